//! Records of TLS reports (`core::tlsrpt`): what a domain's owner, or whoever answers for him, may write.
//!
//! At most one record counts. Every destination that is read is written so that it is read as the same again, holds nothing that
//! could end a line of a request or a header field, and there are few.

use sealwire_core::tlsrpt::{Destination, destinations};

/// Records, parted by NUL.
pub fn tlsrpt(octets: &[u8]) {
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
