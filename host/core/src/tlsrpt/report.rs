//! The report: one domain's day as JSON (§4.4), and the name of the file that carries it (§5.1).

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use super::DAY;
use super::counts::{Counts, PolicyResult};
use crate::address::Domain;
use crate::time::rfc3339;

/// Who reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitter {
    /// Its name, for people.
    pub organization: String,
    /// Whom to ask: a mailbox or a URL.
    pub contact: String,
    /// The domain it reports as (`TLS-Report-Submitter`).
    pub domain: Domain,
}

/// A report (§4.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    organization_name: String,
    date_range: DateRange,
    contact_info: String,
    report_id: String,
    /// An array even where there is one.
    policies: Vec<PolicyResult>,
    #[serde(skip)]
    about: Domain,
    #[serde(skip)]
    submitter: Domain,
    /// First and last second.
    #[serde(skip)]
    covers: (u64, u64),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
struct DateRange {
    start_datetime: String,
    end_datetime: String,
}

impl Report {
    /// Of what was counted of a domain from `since` on, to the end of that day or to `now`, whichever is sooner; seconds since
    /// the Unix epoch. The same counts give the same report: who gets it twice can tell by its id.
    pub fn of(counts: &Counts, about: &Domain, submitter: &Submitter, since: u64, now: u64) -> Report {
        let last = ((since / DAY + 1) * DAY - 1).min(now.max(since));
        Report {
            organization_name: submitter.organization.clone(),
            date_range: DateRange { start_datetime: rfc3339(since), end_datetime: rfc3339(last) },
            contact_info: submitter.contact.clone(),
            report_id: format!("{since}.{last}.{about}@{}", submitter.domain),
            policies: counts.policies().to_vec(),
            about: about.clone(),
            submitter: submitter.domain.clone(),
            covers: (since, last),
        }
    }

    /// As it is sent.
    pub fn json(&self) -> Vec<u8> {
        // Only a map with keys that are no text, or a value that cannot be written, fails; there is neither.
        serde_json::to_vec(self).expect("a report is JSON")
    }

    /// The same, for whoever looks into it.
    pub fn value(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a report is JSON")
    }

    /// The domain it is about.
    pub fn about(&self) -> &Domain {
        &self.about
    }

    /// The domain it comes from.
    pub fn submitter(&self) -> &Domain {
        &self.submitter
    }

    /// Made unique by who reports, about whom, and when; of the form of a Message-ID, without brackets.
    pub fn id(&self) -> &str {
        &self.report_id
    }

    /// First and last second, since the Unix epoch.
    pub fn covers(&self) -> (u64, u64) {
        self.covers
    }

    /// Of the file (§5.1).
    pub fn file_name(&self) -> String {
        let (first, last) = self.covers;
        format!("{}!{}!{first}!{last}.json.gz", self.submitter, self.about)
    }
}

/// Octets as GZIP (RFC 1952), which is how reports travel (§5.2).
pub fn compressed(octets: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // A vector takes whatever it is given.
    encoder.write_all(octets).and_then(|()| encoder.finish()).expect("memory takes octets")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlsrpt::{Policy, PolicyType, ResultType, Session, SessionFailure};

    fn domain(text: &str) -> Domain {
        Domain::parse(text).expect("a domain")
    }

    /// The example of RFC 8460 Appendix B, as far as it can be counted here.
    #[test]
    fn a_day_reads_as_the_standard_shows_it() {
        let about = domain("company-y.example");
        let policy = Policy {
            kind: PolicyType::Sts,
            text: ["version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"]
                .map(String::from)
                .into(),
            domain: about.to_string(),
            mx_host: vec!["*.mail.company-y.example".into()],
        };
        let session = |host: &str, address: &str, result| Session {
            policy: policy.clone(),
            result,
            host: host.into(),
            address: Some(address.parse().expect("an address")),
            from: Some([192, 0, 2, 7].into()),
        };
        let failed = |result, reason: &str| Err(SessionFailure { result, reason: reason.into() });
        let mut counts = Counts::default();
        counts.add(session("mx1.mail.company-y.example", "203.0.113.56", Ok(())), &about);
        for _ in 0..2 {
            let expired = failed(ResultType::CertificateExpired, "");
            counts.add(session("mx1.mail.company-y.example", "203.0.113.56", expired), &about);
        }
        let none = failed(ResultType::StarttlsNotSupported, "502 no");
        counts.add(session("mx2.mail.company-y.example", "2001:db8::1", none), &about);
        let submitter = Submitter {
            organization: "Company-X".into(),
            contact: "sts-reporting@company-x.example".into(),
            domain: domain("company-x.example"),
        };
        let report = Report::of(&counts, &about, &submitter, 1_459_468_800, 1_459_600_000);
        let expected = serde_json::json!({
            "organization-name": "Company-X",
            "date-range": { "start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z" },
            "contact-info": "sts-reporting@company-x.example",
            "report-id": "1459468800.1459555199.company-y.example@company-x.example",
            "policies": [{
                "policy": {
                    "policy-type": "sts",
                    "policy-string": ["version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"],
                    "policy-domain": "company-y.example",
                    "mx-host": ["*.mail.company-y.example"]
                },
                "summary": { "total-successful-session-count": 1, "total-failure-session-count": 3 },
                "failure-details": [
                    {
                        "result-type": "certificate-expired",
                        "sending-mta-ip": "192.0.2.7",
                        "receiving-mx-hostname": "mx1.mail.company-y.example",
                        "receiving-ip": "203.0.113.56",
                        "failed-session-count": 2
                    },
                    {
                        "result-type": "starttls-not-supported",
                        "sending-mta-ip": "192.0.2.7",
                        "receiving-mx-hostname": "mx2.mail.company-y.example",
                        "receiving-ip": "2001:db8::1",
                        "failed-session-count": 1,
                        "failure-reason-code": "502 no"
                    }
                ]
            }]
        });
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&report.json()).expect("JSON"), expected);
        assert_eq!(report.file_name(), "company-x.example!company-y.example!1459468800!1459555199.json.gz");
        // A report that is made before the day has ended says so.
        let early = Report::of(&counts, &about, &submitter, 1_459_468_800, 1_459_468_900);
        assert_eq!(early.date_range.end_datetime, "2016-04-01T00:01:40Z");
        assert_ne!(early.id(), report.id());
    }
}
