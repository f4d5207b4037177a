//! TLS reports (`core::tlsrpt`): records, which a domain's owner or whoever answers for him may write, and reports that arrive with
//! their signatures (`core::dkim`).
//!
//! At most one record counts. Every destination that is read is written so that it is read as the same again, holds nothing that
//! could end a line of a request or a header field, and there are few. What is read of a report is printable and bounded, and adds up; a message is no better than the report in it. A
//! signature covers From.

use sealwire_core::dkim::signatures;
use sealwire_core::header::split;
use sealwire_core::tlsrpt::received::{ReceivedCounts, of_json, of_message};
use sealwire_core::tlsrpt::{Destination, destinations};

/// Records, parted by NUL; the same octets as a report, and as a message with its signatures.
pub fn tlsrpt(octets: &[u8]) {
    record(octets);
    report(octets);
    message(octets);
}

fn report(octets: &[u8]) {
    let report = match of_json(octets) {
        Ok(report) => report,
        Err(why) => return assert_printable(&why.to_string(), 400),
    };
    for text in [&report.organization, &report.report_id, &report.range.0, &report.range.1] {
        assert_printable(text, 100);
    }
    for counts in report.domains.values() {
        counts.results.keys().for_each(|kind| assert_printable(kind, 100));
        let mut sum = ReceivedCounts::default();
        sum.add(counts);
        assert_eq!(sum, *counts, "nothing and it is it");
    }
    let head =
        "MIME-Version: 1.0\r\nContent-Type: application/tlsrpt+json\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let encoded = base64(octets);
    assert_eq!(of_message(format!("{head}{encoded}\r\n").as_bytes()), Ok(report), "in a message");
}

fn message(octets: &[u8]) {
    if let Err(why) = of_message(octets) {
        assert_printable(&why.to_string(), 400);
    }
    let fields = split(octets);
    let body = octets.windows(4).position(|end| end == b"\r\n\r\n").map_or(&[][..], |at| &octets[at + 4..]);
    for signature in signatures(&fields, body, 0, |_| true) {
        let has_from = fields.iter().any(|field| field.name.eq_ignore_ascii_case("From"));
        let covers = signature.octets.to_ascii_lowercase().windows(5).any(|name| name == b"from:");
        assert!(!has_from || covers, "{signature:?}");
    }
}

fn assert_printable(text: &str, max: usize) {
    assert!(text.chars().count() <= max && !text.chars().any(char::is_control), "{text:?}");
}

/// RFC 4648, on one line.
fn base64(octets: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let quartet = |octets: &[u8]| {
        let of = |at: usize| u32::from(octets.get(at).copied().unwrap_or(0));
        let bits = of(0) << 16 | of(1) << 8 | of(2);
        let digit = |at: usize| match at <= octets.len() {
            true => char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize]),
            false => '=',
        };
        [digit(0), digit(1), digit(2), digit(3)]
    };
    octets.chunks(3).flat_map(quartet).collect()
}

fn record(octets: &[u8]) {
    let records: Vec<Vec<u8>> = octets.split(|octet| *octet == 0).map(<[u8]>::to_vec).collect();
    let found = destinations(&records);
    if found.is_empty() {
        return;
    }
    let counts = |record: &&Vec<u8>| {
        let text = std::str::from_utf8(record).ok().and_then(|text| text.strip_prefix("v=TLSRPTv1"));
        text.is_some_and(|rest| rest.trim_start_matches([' ', '\t']).starts_with(';'))
    };
    assert_eq!(records.iter().filter(counts).count(), 1, "one record asks for reports");
    assert!(found.len() <= 10, "{found:?}");
    for destination in &found {
        let written = destination.to_string();
        assert!(written.is_ascii() && !written.chars().any(char::is_control), "{written:?}");
        assert_eq!(written.parse().ok().as_ref(), Some(destination), "{written}");
        if let Destination::Https(url) = destination {
            assert!(url.path.starts_with('/') && url.path.bytes().all(|octet| octet.is_ascii_graphic()), "{url:?}");
        }
    }
}
