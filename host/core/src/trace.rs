//! Trace: the Received field that this relay adds (RFC 5321 §4.4), with the evidence of its TLS (RFC 8314 §4.3).
//!
//! The greeting name is a stranger's word: whatever is neither a domain nor an address literal is made harmless, so
//! that no octet of it can end the field or begin a comment.

use std::net::IpAddr;

use crate::address::Domain;
use crate::facts::ClientFacts;
use crate::time::rfc5322;

/// Longest greeting name that is kept; a domain cannot be longer (RFC 5321 §4.5.3.1.2).
const GREETING_MAX: usize = 255;

/// How one message came in.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The connection it came by.
    pub client: &'a ClientFacts,
    /// The client greeted with EHLO.
    pub extended: bool,
    /// SMTPUTF8 was given.
    pub smtp_utf8: bool,
    /// This relay's own name.
    pub by: &'a str,
    /// The message's id.
    pub id: &'a str,
    /// Seconds since the Unix epoch.
    pub now: u64,
}

/// The whole field, folded, with its CR LF.
pub fn received(received: &Received<'_>) -> String {
    let Received { client, extended, smtp_utf8, by, id, now } = *received;
    let greeting = harmless(&client.greeting_name);
    let address = literal(client.address);
    // RFC 6531 §4.3: the words for SMTPUTF8.
    let with =
        if smtp_utf8 { protocol(client, true).replacen('E', "UTF8", 1) } else { protocol(client, extended).into() };
    let tls = client.channel.handshake.as_ref().map(|handshake| {
        // RFC 8314 §4.3: the clause names the cipher suite; the version stands beside it for people.
        format!("\r\n\ttls {} ({})", handshake.cipher_suite, handshake.version.name())
    });
    let tls = tls.unwrap_or_default();
    format!("Received: from {greeting} ({address})\r\n\tby {by} with {with} id {id}{tls};\r\n\t{}\r\n", rfc5322(now))
}

/// The transmission type (RFC 3848). After HELO there are no extensions, hence no word for TLS.
fn protocol(client: &ClientFacts, extended: bool) -> &'static str {
    match (extended, client.channel.handshake.is_some(), client.authenticated_as.is_some()) {
        (false, _, _) => "SMTP",
        (true, false, false) => "ESMTP",
        (true, true, false) => "ESMTPS",
        (true, false, true) => "ESMTPA",
        (true, true, true) => "ESMTPSA",
    }
}

/// TCP-info (RFC 5321 §4.4).
fn literal(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => format!("[{v4}]"),
        IpAddr::V6(v6) => format!("[IPv6:{v6}]"),
    }
}

fn harmless(greeting: &str) -> String {
    if greeting.is_ascii() && greeting.len() <= GREETING_MAX && Domain::parse(greeting).is_ok_and(is_unambiguous) {
        return greeting.to_owned();
    }
    let letter = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '?' };
    let kept: String = greeting.chars().take(GREETING_MAX).map(letter).collect();
    if kept.is_empty() { "unknown".to_owned() } else { kept }
}

/// A name or a literal without anything that a header has another meaning for.
fn is_unambiguous(domain: Domain) -> bool {
    domain.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::facts::{ChainVerdict, ChannelFacts, ChannelState, Handshake, TlsVersion};

    fn client(greeting: &str, address: &str, tls: bool, authenticated: bool) -> ClientFacts {
        let handshake = Handshake {
            version: TlsVersion::TLS13,
            cipher_suite: "TLS_AES_128_GCM_SHA256".into(),
            key_exchange: "x25519".into(),
            server_name: None,
            implicit: false,
            resumed: false,
            chain: ChainVerdict::None,
            name_matches: false,
            certificates: Vec::new(),
            dane: None,
            revocation: Default::default(),
        };
        ClientFacts {
            address: address.parse().expect("an address"),
            greeting_name: greeting.into(),
            authenticated_as: authenticated.then(|| "ann".into()),
            listener: "mx".into(),
            channel: ChannelFacts {
                state: if tls { ChannelState::Secured } else { ChannelState::NotOffered },
                detail: String::new(),
                handshake: tls.then(|| Arc::new(handshake)),
            },
        }
    }

    fn field(client: &ClientFacts, extended: bool) -> String {
        received(&Received { client, extended, smtp_utf8: false, by: "relay.example", id: "4XyZ", now: 1_795_511_100 })
    }

    #[test]
    fn the_field_tells_who_how_and_when() {
        assert_eq!(
            field(&client("mail.example", "192.0.2.1", true, false), true),
            "Received: from mail.example ([192.0.2.1])\r\n\tby relay.example with ESMTPS id 4XyZ\r\n\t\
             tls TLS_AES_128_GCM_SHA256 (TLSv1.3);\r\n\tTue, 24 Nov 2026 09:05:00 +0000\r\n"
        );
        assert_eq!(
            field(&client("[IPv6:2001:db8::1]", "2001:db8::1", false, false), true),
            "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n\tby relay.example with ESMTP id 4XyZ;\r\n\t\
             Tue, 24 Nov 2026 09:05:00 +0000\r\n"
        );
        let rows = [
            (true, false, false, "ESMTP"),
            (true, true, false, "ESMTPS"),
            (true, false, true, "ESMTPA"),
            (true, true, true, "ESMTPSA"),
            (false, false, false, "SMTP"),
            (false, true, false, "SMTP"),
        ];
        for (extended, tls, authenticated, expected) in rows {
            let field = field(&client("c.example", "192.0.2.1", tls, authenticated), extended);
            assert!(field.contains(&format!(" with {expected} id ")), "{field}");
        }
        let mapped = field(&client("c.example", "::ffff:192.0.2.1", false, false), true);
        assert!(mapped.contains("([192.0.2.1])"), "{mapped}");
    }

    #[test]
    fn a_hostile_greeting_stays_one_harmless_word() {
        let rows = [
            ("mail.example", "mail.example"),
            ("", "unknown"),
            ("a b", "a?b"),
            ("x\r\nBcc: y", "x??Bcc??y"),
            ("x) by trusted.example (", "x??by?trusted.example??"),
            ("b\u{fc}cher.example", "b?cher.example"),
            ("[a;(b]", "?a??b?"),
            ("\u{0}", "?"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ];
        for (greeting, expected) in rows {
            let field = field(&client(greeting, "192.0.2.1", false, false), true);
            assert!(field.starts_with(&format!("Received: from {expected} ([192.0.2.1])\r\n\tby ")), "{field:?}");
            assert_eq!(field.matches("\r\n").count(), 3, "{field:?}");
        }
        let long = field(&client(&"x y".repeat(1000), "192.0.2.1", false, false), true);
        assert!(long.lines().all(|line| line.len() <= 998), "RFC 5322 §2.1.1");
    }
}
