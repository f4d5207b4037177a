//! SMTP (RFC 5321) as machines without sockets: octets in, steps and octets out.
//!
//! The same octets give the same outcome however they were cut into pieces. Read in this order.

pub mod line;

pub mod command;
pub mod data;
pub mod parameters;
pub mod server;

pub mod reply_reader;

pub mod client;
