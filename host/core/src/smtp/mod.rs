//! SMTP (RFC 5321) as machines without sockets.
