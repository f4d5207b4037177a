//! Reads a report that somebody sent about a domain of ours (§4.4, §5.3), as leniently as the many who write them ask, and never
//! beyond its bounds.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use mail_parser::{MessageParser, MimeHeaders as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::Domain;
use crate::report::tame_ascii;
use crate::tlsrpt::ResultType;

/// The longest message that is read as a report, octets: a day's failures of the largest senders take far less.
pub const MESSAGE_MAX: usize = 4 << 20;
/// The longest report, inflated: what is longer was made to fill memory.
pub const JSON_MAX: usize = 10 << 20;
/// Policies of one report that count, and domains of theirs.
const POLICIES_MAX: usize = 1000;
/// Characters of a name that a stranger gave himself.
const NAME_MAX: usize = 100;
/// Result types told apart: the standard has eleven.
const TYPES_MAX: usize = 24;

/// What somebody reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ReceivedReport {
    /// Who says it of himself.
    pub organization: String,
    /// As he names it.
    pub report_id: String,
    /// The day as written: where it begins and ends.
    pub range: (String, String),
    /// By policy domain.
    pub domains: BTreeMap<Domain, ReceivedCounts>,
}

/// What is reported of one domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ReceivedCounts {
    /// Sessions that were secured.
    pub successful: u64,
    /// Sessions that were not.
    pub failed: u64,
    /// Of these, by result type.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub results: BTreeMap<String, u64>,
}

impl ReceivedCounts {
    /// Adds another's.
    pub fn add(&mut self, other: &ReceivedCounts) {
        self.successful = self.successful.saturating_add(other.successful);
        self.failed = self.failed.saturating_add(other.failed);
        for (kind, count) in &other.results {
            if self.results.len() < TYPES_MAX || self.results.contains_key(kind) {
                let sum = self.results.entry(kind.clone()).or_default();
                *sum = sum.saturating_add(*count);
            }
        }
    }
}

/// Why a message is no report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoReport {
    /// More than [`MESSAGE_MAX`].
    TooLong,
    /// No part `application/tlsrpt+gzip` or `application/tlsrpt+json`.
    NoPart,
    /// The part is no GZIP.
    NoGzip(String),
    /// It inflates to more than [`JSON_MAX`].
    Inflates,
    /// It is no JSON of this form.
    NoJson(String),
}

impl fmt::Display for NoReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoReport::TooLong => write!(f, "the message has more than {MESSAGE_MAX} octets"),
            NoReport::NoPart => f.write_str("no part is application/tlsrpt+gzip or application/tlsrpt+json"),
            NoReport::NoGzip(why) => write!(f, "its part is no GZIP: {why}"),
            NoReport::Inflates => write!(f, "it inflates to more than {JSON_MAX} octets"),
            NoReport::NoJson(why) => write!(f, "it is no JSON of RFC 8460's form: {why}"),
        }
    }
}

impl std::error::Error for NoReport {}

/// The report in a whole message, header and body.
pub fn of_message(message: &[u8]) -> Result<ReceivedReport, NoReport> {
    if message.len() > MESSAGE_MAX {
        return Err(NoReport::TooLong);
    }
    let message = MessageParser::new().parse(message).ok_or(NoReport::NoPart)?;
    let subtype = |part: &mail_parser::MessagePart<'_>| {
        let kind = part.content_type().filter(|kind| kind.c_type.eq_ignore_ascii_case("application"))?;
        kind.c_subtype.as_ref().map(|subtype| subtype.to_ascii_lowercase())
    };
    for part in &message.parts {
        match subtype(part).as_deref() {
            Some("tlsrpt+gzip") => return of_json(&inflated(part.contents())?),
            Some("tlsrpt+json") => return of_json(part.contents()),
            _ => {}
        }
    }
    Err(NoReport::NoPart)
}

fn inflated(octets: &[u8]) -> Result<Vec<u8>, NoReport> {
    let mut json = Vec::new();
    let mut reader = MultiGzDecoder::new(octets).take(JSON_MAX as u64 + 1);
    reader.read_to_end(&mut json).map_err(|why| NoReport::NoGzip(why.to_string()))?;
    if json.len() > JSON_MAX { Err(NoReport::Inflates) } else { Ok(json) }
}

/// As strangers write it: what is missing or null is empty, what is unknown is passed over.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Written {
    #[serde(default)]
    organization_name: Option<String>,
    #[serde(default)]
    report_id: Option<String>,
    #[serde(default)]
    date_range: Option<WrittenRange>,
    policies: Vec<WrittenPolicy>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct WrittenRange {
    start_datetime: Option<String>,
    end_datetime: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WrittenPolicy {
    policy: WrittenPolicyName,
    #[serde(default)]
    summary: Option<WrittenSummary>,
    #[serde(default)]
    failure_details: Option<Vec<WrittenFailure>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WrittenPolicyName {
    policy_domain: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct WrittenSummary {
    total_successful_session_count: u64,
    total_failure_session_count: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WrittenFailure {
    #[serde(default)]
    result_type: String,
    #[serde(default)]
    failed_session_count: u64,
}

/// The report in these octets of JSON.
pub fn of_json(json: &[u8]) -> Result<ReceivedReport, NoReport> {
    if json.len() > JSON_MAX {
        return Err(NoReport::Inflates);
    }
    let written: Written = serde_json::from_slice(json).map_err(|why| NoReport::NoJson(tame(&why.to_string())))?;
    let mut domains: BTreeMap<Domain, ReceivedCounts> = BTreeMap::new();
    for WrittenPolicy { policy, summary, failure_details } in written.policies.into_iter().take(POLICIES_MAX) {
        // One that nobody can have written about us is no reason to pass over the others.
        let Ok(domain) = Domain::parse(&policy.policy_domain) else { continue };
        let WrittenSummary { total_successful_session_count: successful, total_failure_session_count: failed } =
            summary.unwrap_or_default();
        let counts = domains.entry(domain).or_default();
        counts.add(&ReceivedCounts { successful, failed, results: BTreeMap::new() });
        for WrittenFailure { result_type, failed_session_count } in failure_details.unwrap_or_default() {
            // What the standard does not know is one kind: a stranger may make up as many as he likes.
            let word = ResultType::of_word(&result_type).map_or("other", |_| result_type.as_str());
            let results = BTreeMap::from([(word.to_owned(), failed_session_count)]);
            counts.add(&ReceivedCounts { results, ..ReceivedCounts::default() });
        }
    }
    let WrittenRange { start_datetime, end_datetime } = written.date_range.unwrap_or_default();
    let tame = |text: Option<String>| tame(&text.unwrap_or_default());
    Ok(ReceivedReport {
        organization: tame(written.organization_name),
        report_id: tame(written.report_id),
        range: (tame(start_datetime), tame(end_datetime)),
        domains,
    })
}

fn tame(text: &str) -> String {
    tame_ascii(text, NAME_MAX)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::tlsrpt::compressed;

    fn message(kind: &str, octets: &[u8]) -> Vec<u8> {
        format!(
            "From: a@b.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=tlsrpt; boundary=x\r\n\r\n\
             --x\r\nContent-Type: text/plain\r\n\r\nHello\r\n--x\r\nContent-Type: {kind}\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{}\r\n--x--\r\n",
            STANDARD.encode(octets)
        )
        .into_bytes()
    }

    const JSON: &str = r#"{
        "organization-name": "Big\u0000 Mail", "contact-info": "x", "new": [1],
        "date-range": {"start-datetime": "2026-11-24T00:00:00Z", "end-datetime": "2026-11-24T23:59:59Z"},
        "report-id": "1@big.test",
        "policies": [
            {"policy": {"policy-type": "sts", "policy-domain": "D.test", "mx-host": "*.d.test"},
             "summary": {"total-successful-session-count": 5, "total-failure-session-count": 3},
             "failure-details": [{"result-type": "certificate-expired", "failed-session-count": 2},
                                 {"result-type": "odd", "sending-mta-ip": "no address", "failed-session-count": 1}]},
            {"policy": {"policy-domain": "d.test", "mx-host": ["mx.d.test"]}},
            {"policy": {"policy-domain": "mx.d.test"}, "summary": {"total-successful-session-count": 1}},
            {"policy": {"policy-domain": "mx.d.test"}, "summary": null, "failure-details": null},
            {"policy": {"policy-domain": "a b"}, "summary": {"total-successful-session-count": 1}}
        ]}"#;

    #[test]
    fn what_others_write_is_read() {
        let gzip = message("application/tlsrpt+gzip; name=x.json.gz", &compressed(JSON.as_bytes()));
        let plain = message("Application/TLSRPT+JSON", JSON.as_bytes());
        let expected = serde_json::json!({
            "organization": "Big  Mail",
            "report-id": "1@big.test",
            "range": ["2026-11-24T00:00:00Z", "2026-11-24T23:59:59Z"],
            "domains": {
                "d.test": { "successful": 5, "failed": 3, "results": { "certificate-expired": 2, "other": 1 } },
                "mx.d.test": { "successful": 1, "failed": 0 }
            }
        });
        for octets in [gzip, plain] {
            let read = of_message(&octets).expect("a report");
            assert_eq!(serde_json::to_value(&read).expect("JSON"), expected);
        }
    }

    #[test]
    fn what_is_no_report_is_told() {
        let gzip = |octets: &[u8]| message("application/tlsrpt+gzip", octets);
        let many = format!(r#"{{"policies": [], "x": "{}"}}"#, " ".repeat(JSON_MAX));
        // It would never end well, and that is not waited for.
        let bomb = compressed(&vec![b' '; 4 * JSON_MAX]);
        let rows = [
            (gzip(&bomb[..bomb.len() - 20]), "inflates to more than 10485760 octets"),
            (b"Subject: hello\r\n\r\nhello\r\n".to_vec(), "no part"),
            (message("application/gzip", &compressed(JSON.as_bytes())), "no part"),
            (gzip(b"PK"), "no GZIP"),
            (gzip(&compressed(JSON.as_bytes())[..60]), "no GZIP"),
            (gzip(&compressed(b"{}")), "missing field `policies`"),
            (gzip(&compressed(br#"{"policies": {}}"#)), "JSON"),
            // Ten thousand times as long as its message.
            (gzip(&compressed(many.as_bytes())), "inflates to more than 10485760 octets"),
            (vec![b' '; MESSAGE_MAX + 1], "more than 4194304 octets"),
            (Vec::new(), "no part"),
        ];
        for (octets, part) in rows {
            let why = of_message(&octets).expect_err(part).to_string();
            assert!(why.contains(part), "{why}, not {part}");
        }
    }

    #[test]
    fn a_report_is_read_within_its_bounds() {
        let detail = |n: usize| format!(r#"{{"result-type": "r{n}", "failed-session-count": 18446744073709551615}}"#);
        let details: Vec<String> = (0..999).map(detail).collect();
        let policy =
            format!(r#"{{"policy": {{"policy-domain": "d.test"}}, "failure-details": [{}]}}"#, details.join(","));
        let json = format!(r#"{{"organization-name": "{}", "policies": [{policy}, {policy}]}}"#, "x".repeat(5000));
        let read = of_json(json.as_bytes()).expect("a report");
        assert_eq!(read.organization.len(), NAME_MAX);
        let counts = &read.domains[&Domain::parse("d.test").expect("a domain")];
        assert_eq!(counts.results, BTreeMap::from([("other".to_owned(), u64::MAX)]));
    }
}
