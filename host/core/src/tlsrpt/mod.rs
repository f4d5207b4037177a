//! TLS reports (RFC 8460): what a domain's record asks for, what was counted for it, and the report that tells it.
//!
//! 1. [`destinations`] reads the record of a domain: where its reports go, if it wants any.
//! 2. A [`Session`] is one connection on which a TLS policy, or the lack of one, had an outcome; [`Counts`] joins those of one
//!    domain and day by policy.
//! 3. [`Report`] is the day as JSON, [`mail`] the message that carries it, signed by DKIM ([`crate::dkim`]).
//! 4. [`received`] reads the reports of others about domains of ours.
//!
//! Sessions that carry reports are not counted (§3), whoever sends them: [`is_tls_report`] knows such a message. Pure: time,
//! names and the signature are arguments; whoever sends bounds how often.

mod counts;
mod mail;
pub mod received;
mod record;
mod report;

pub use counts::{Counts, FailureDetails, Policy, PolicyResult, PolicyType, ResultType, Session, SessionFailure};
pub use mail::{MailRequest, ReportMail, mail};
pub use record::{Destination, Url, destinations};
pub use report::{Report, Submitter, compressed};

use crate::facts::Field;
use crate::header::{named, unfold};

/// Seconds of a day, which is what a report covers: from 00:00 to 24:00 UTC (§4.1).
pub const DAY: u64 = 86_400;

/// The message says of itself that it is a TLS report (§5.3): `multipart/report; report-type=tlsrpt`.
pub fn is_tls_report(fields: &[Field]) -> bool {
    let mut types = named(fields, "Content-Type").map(|field| unfold(&field.value).to_ascii_lowercase());
    let Some(kind) = types.next() else { return false };
    let mut parameters = kind.split(';').map(str::trim);
    let is_type = |text: &str| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        name.trim_end() == "report-type" && value.trim().trim_matches('"') == "tlsrpt"
    };
    parameters.next() == Some("multipart/report") && parameters.any(is_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::split;

    #[test]
    fn a_tls_report_says_that_it_is_one() {
        let rows = [
            ("Content-Type: multipart/report; report-type=tlsrpt; boundary=x\r\n", true),
            ("content-type:\r\n Multipart/Report;\r\n\tboundary=\"x\";\r\n Report-Type=\"TLSRPT\"\r\n", true),
            ("Content-Type: multipart/report; report-type=delivery-status\r\n", false),
            ("Content-Type: multipart/mixed; report-type=tlsrpt\r\n", false),
            ("Content-Type: multipart/report; boundary=\"report-type=tlsrpt\"\r\n", false),
            ("Subject: multipart/report; report-type=tlsrpt\r\n", false),
            ("", false),
        ];
        for (header, expected) in rows {
            assert_eq!(is_tls_report(&split(header.as_bytes())), expected, "{header}");
        }
    }
}
