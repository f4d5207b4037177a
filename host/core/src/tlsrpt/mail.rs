//! The message that carries a report (§5.3): `multipart/report; report-type=tlsrpt`, signed, from `<>`.
//!
//! It asks for no TLS (RFC 8689 §5, `TLS-Required: No`): whatever is broken at the receiver must not keep him from hearing of it
//! (§3). It is a report of our own (H5), so nobody is told if it cannot be delivered.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::report::{Report, compressed};
use crate::address::{Domain, Mailbox};
use crate::dkim::{self, Signer};
use crate::entry::Entry;
use crate::report::fold;
use crate::time::{rfc3339, rfc5322};

/// Octets that make one line of 76 in base64 (RFC 2045 §6.8).
const LINE_OCTETS: usize = 57;

/// Fields that the signature covers, those of §5.3 among them.
const SIGNED: [&str; 11] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "TLS-Report-Domain",
    "TLS-Report-Submitter",
    "TLS-Required",
    "Auto-Submitted",
];

/// What to send.
#[derive(Clone, Copy)]
pub struct MailRequest<'a> {
    /// The report.
    pub report: &'a Report,
    /// Of the organization; in the domain of the signature.
    pub from: &'a Mailbox,
    /// Where it goes.
    pub to: &'a Mailbox,
    /// Id of the message's own entry.
    pub id: &'a str,
    /// This relay's own name.
    pub hostname: &'a Domain,
    /// Organizational unit, root first.
    pub unit: &'a [String],
    /// Generation that is live.
    pub generation: u64,
    /// Seconds since the Unix epoch.
    pub now: u64,
}

/// A finished message, one more entry for the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportMail {
    /// Null sender, `is_report`.
    pub entry: Entry,
    /// Its only recipient.
    pub recipient: Mailbox,
    /// Content behind the blank line.
    pub body: Vec<u8>,
}

/// The message, signed. Err: the key does not sign.
pub fn mail<E>(request: &MailRequest<'_>, signer: &dyn Signer<Error = E>) -> Result<ReportMail, E> {
    let MailRequest { report, from, to, id, hostname, unit, generation, now } = *request;
    let boundary = format!("tlsrpt-{id}");
    let mut header = String::new();
    let mut field = |name: &str, value: &str| header.push_str(&fold(name, value));
    let (about, submitter) = (report.about(), report.submitter());
    field("Date", &rfc5322(now));
    field("From", &from.to_string());
    field("To", &to.to_string());
    field("Subject", &format!("Report Domain: {about} Submitter: {submitter} Report-ID: <{}>", report.id()));
    field("Message-ID", &format!("<{id}@{hostname}>"));
    field("TLS-Report-Domain", about.as_str());
    field("TLS-Report-Submitter", submitter.as_str());
    field("TLS-Required", "No");
    field("Auto-Submitted", "auto-generated");
    field("MIME-Version", "1.0");
    field("Content-Type", &format!("multipart/report; report-type=\"tlsrpt\"; boundary=\"{boundary}\""));
    let body = body(report, &boundary).into_bytes();
    let signature = dkim::sign(header.as_bytes(), &body, &SIGNED, now, signer)?;
    let header = [signature.into_bytes(), header.into_bytes()].concat();
    let entry = Entry::of_our_own(id, now, unit, generation, header, &body);
    Ok(ReportMail { entry, recipient: to.clone(), body })
}

fn body(report: &Report, boundary: &str) -> String {
    let (about, submitter, file) = (report.about(), report.submitter(), report.file_name());
    let (first, last) = report.covers();
    let mut body = format!(
        "--{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
         This is a TLS report (RFC 8460) from {submitter}\r\nabout mail to {about}\r\nfrom {} to {}.\r\n\r\n\
         --{boundary}\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment;\r\n filename=\"{file}\"\r\n\r\n",
        rfc3339(first),
        rfc3339(last)
    );
    for line in compressed(&report.json()).chunks(LINE_OCTETS) {
        STANDARD.encode_string(line, &mut body);
        body.push_str("\r\n");
    }
    body.push_str(&format!("\r\n--{boundary}--\r\n"));
    body
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use mail_parser::{MessageParser, MimeHeaders as _};

    use super::*;
    use crate::facts::Field;
    use crate::header::split;
    use crate::tlsrpt::{Counts, Policy, PolicyType, ResultType, Session, SessionFailure, Submitter, is_tls_report};

    struct Unsigned(Domain);

    impl Signer for Unsigned {
        type Error = Infallible;

        fn domain(&self) -> &Domain {
            &self.0
        }

        fn selector(&self) -> &str {
            "s1"
        }

        fn algorithm(&self) -> &'static str {
            "ed25519-sha256"
        }

        fn sign(&self, _: &[u8]) -> Result<Vec<u8>, Infallible> {
            Ok(vec![0; 64])
        }
    }

    fn domain(text: &str) -> Domain {
        Domain::parse(text).expect("a domain")
    }

    fn made() -> Report {
        let about = domain("company-y.example");
        let mut counts = Counts::default();
        let policy = Policy {
            kind: PolicyType::NoPolicyFound,
            text: Vec::new(),
            domain: about.to_string(),
            mx_host: Vec::new(),
        };
        for n in 0..9000 {
            let reason = || format!("the handshake failed for the {n}th reason");
            let failure = || SessionFailure { result: ResultType::ValidationFailure, reason: reason() };
            let result = if n < 40 { Err(failure()) } else { Ok(()) };
            counts.add(
                Session { policy: policy.clone(), result, host: format!("mx{n}"), address: None, from: None },
                &about,
            );
        }
        let submitter = Submitter {
            organization: "Company-X".into(),
            contact: "tls@company-x.example".into(),
            domain: domain("company-x.example"),
        };
        Report::of(&counts, &about, &submitter, 1_459_468_800, 1_459_600_000)
    }

    fn report() -> ReportMail {
        let report = made();
        let request = MailRequest {
            report: &report,
            from: &Mailbox::parse("tls@company-x.example").expect("a mailbox"),
            to: &Mailbox::parse("reports@company-y.example").expect("a mailbox"),
            id: "0123456789abcdefghjk",
            hostname: &domain("mail.company-x.example"),
            unit: &["root".into()],
            generation: 3,
            now: 1_459_600_000,
        };
        mail(&request, &Unsigned(domain("company-x.example"))).expect("signs")
    }

    #[test]
    fn the_header_is_the_standards() {
        let ReportMail { entry, recipient, .. } = report();
        let fields = split(&entry.header);
        let value = |name: &str| {
            let found: Vec<&Field> = fields.iter().filter(|field| field.name == name).collect();
            let [field] = found.as_slice() else { panic!("{name}: {found:?}") };
            crate::header::unfold(&field.value)
        };
        let rows = [
            ("From", "tls@company-x.example"),
            ("To", "reports@company-y.example"),
            (
                "Subject",
                "Report Domain: company-y.example Submitter: company-x.example Report-ID: <1459468800.1459555199.company-y.example@company-x.example>",
            ),
            ("TLS-Report-Domain", "company-y.example"),
            ("TLS-Report-Submitter", "company-x.example"),
            ("TLS-Required", "No"),
            ("Message-ID", "<0123456789abcdefghjk@mail.company-x.example>"),
            ("Content-Type", "multipart/report; report-type=\"tlsrpt\"; boundary=\"tlsrpt-0123456789abcdefghjk\""),
        ];
        for (name, expected) in rows {
            assert_eq!(value(name), expected);
        }
        let signature = value("DKIM-Signature");
        for part in ["d=company-x.example;", "s=s1;", "TLS-Report-Domain:", "TLS-Report-Submitter:", "TLS-Required:"] {
            assert!(signature.contains(part), "{part} in {signature}");
        }
        assert!(!signature.contains("l="), "{signature}");
        assert!(is_tls_report(&fields));
        assert!(entry.is_report && entry.envelope_sender.is_none() && !entry.require_tls);
        assert_eq!(recipient.to_string(), "reports@company-y.example");
        // RFC 5322 §2.1.1, and no bare line end anywhere.
        let lines: Vec<&[u8]> = entry.header.split(|&octet| octet == b'\n').collect();
        assert!(lines.iter().all(|line| line.len() <= 200 && (line.is_empty() || line.ends_with(b"\r"))), "{lines:?}");
    }

    #[test]
    fn the_report_comes_out_as_it_went_in() {
        let ReportMail { entry, body, .. } = report();
        let message = [&entry.header[..], b"\r\n", &body].concat();
        assert_eq!(entry.size, message.len() as u64);
        assert!(message.is_ascii());
        assert!(body.split(|&octet| octet == b'\n').all(|line| line.len() <= 78), "{}", String::from_utf8_lossy(&body));
        let read = MessageParser::new().parse(&message).expect("a message");
        let [_, text, part] = read.parts.as_slice() else { panic!("{:?}", read.parts) };
        assert_eq!(text.content_type().map(|kind| kind.ctype()), Some("text"));
        assert_eq!(part.content_type().and_then(|kind| kind.subtype()), Some("tlsrpt+gzip"));
        let file = "company-x.example!company-y.example!1459468800!1459555199.json.gz";
        assert_eq!(part.attachment_name(), Some(file));
        let mut json = String::new();
        GzDecoder::new(part.contents()).read_to_string(&mut json).expect("GZIP");
        assert_eq!(json.as_bytes(), made().json());
    }
}
