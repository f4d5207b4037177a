//! Alerts as a mail to an operator: from `<>`, so that nothing answers it, with one line for each.

use crate::address::{Domain, Mailbox};
use crate::entry::Entry;
use crate::report::{fold, wrap};
use crate::time::rfc5322;

/// Most characters of an alert in the subject.
const SUBJECT_MAX: usize = 120;

/// What to write.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// This relay's own name.
    pub hostname: &'a Domain,
    /// The operator's mailbox.
    pub to: &'a Mailbox,
    /// Time and text of each alert; at least one.
    pub lines: &'a [String],
    /// So many more were raised than can be told.
    pub dropped: usize,
    /// Id of its entry.
    pub id: &'a str,
    /// Organizational unit, root first.
    pub unit: &'a [String],
    /// That is live.
    pub generation: u64,
    /// Seconds since the Unix epoch.
    pub now: u64,
}

/// The entry and its body.
pub fn write(request: &Request<'_>) -> (Entry, Vec<u8>) {
    let Request { hostname, to, lines, dropped, id, unit, generation, now } = *request;
    let subject = match lines {
        [one] => {
            let text = one.split_once("  ").map_or(one.as_str(), |(_, text)| text);
            format!("sealwire on {hostname}: {}", ascii(text, SUBJECT_MAX))
        }
        many => format!("sealwire on {hostname}: {} alerts", many.len()),
    };
    let mut header = String::new();
    let mut field = |name: &str, value: &str| header.push_str(&fold(name, value));
    field("Date", &rfc5322(now));
    field("From", &format!("sealwire <postmaster@{hostname}>"));
    field("To", &ascii(&to.to_string(), usize::MAX));
    field("Subject", &subject);
    field("Message-ID", &format!("<{id}@{hostname}>"));
    // RFC 3834 §5: so that no vacation notice answers it.
    field("Auto-Submitted", "auto-generated");
    field("MIME-Version", "1.0");
    field("Content-Type", "text/plain; charset=us-ascii");
    let mut text: String = lines.iter().map(|line| wrap(&ascii(line, usize::MAX), "") + "\n").collect();
    if dropped > 0 {
        text.push_str(&format!("{dropped} more were raised; they are in the log.\n\n"));
    }
    text.push_str("What to do: docs/operators.md, Alerts. The latest: `sealwire status`.\n");
    let body = text.replace('\n', "\r\n").into_bytes();
    (Entry::of_our_own(id, now, unit, generation, header.into_bytes(), &body), body)
}

/// A stranger's words may stand in an alert.
fn ascii(text: &str, max: usize) -> String {
    text.chars().take(max).map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(lines: &[&str], dropped: usize) -> String {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let request = Request {
            hostname: &Domain::parse("relay.example").expect("a domain"),
            to: &Mailbox::parse("ops@example.com").expect("a mailbox"),
            lines: &lines,
            dropped,
            id: "4XyZ",
            unit: &["root".to_owned()],
            generation: 3,
            now: 1_795_511_100,
        };
        let (entry, body) = write(&request);
        assert!(entry.is_report && entry.envelope_sender.is_none() && entry.size as usize > body.len());
        String::from_utf8([entry.header, b"\r\n".to_vec(), body].concat()).expect("ASCII")
    }

    #[test]
    fn one_alert_is_the_subject_and_several_are_counted() {
        let one = written(&["2026-11-25T09:05:00Z  mx.d.example gives no TLS"], 0);
        assert!(one.contains("Subject: sealwire on relay.example: mx.d.example gives no TLS\r\n"), "{one}");
        assert!(one.contains("\r\n\r\n2026-11-25T09:05:00Z mx.d.example gives no TLS\r\n"), "{one}");
        let many = written(&["t  a", "t  b"], 7);
        assert!(many.contains("Subject: sealwire on relay.example: 2 alerts\r\n"), "{many}");
        assert!(many.contains("t a\r\n\r\nt b\r\n\r\n7 more were raised"), "{many}");
    }

    #[test]
    fn a_strangers_words_end_no_field_and_no_message() {
        let alert = format!("t  a\r\nBcc: eve@x\r\n.\r\n\u{fc}{}", "x".repeat(1000));
        let mail = written(&[&alert], 0);
        assert!(!mail.contains("\nBcc") && mail.is_ascii(), "{mail}");
        assert!(mail.lines().filter(|line| !line.contains("xxxx")).all(|line| line.len() <= 78), "{mail}");
    }
}
