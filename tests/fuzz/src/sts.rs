//! Records and policies of MTA-STS (`core::sts`): what a domain's owner, or whoever answers for him, may write.
//!
//! At most one record announces a policy, by an id of letters and digits. A policy that is read means the same when it is
//! written and read again, and with a key more that nobody knows; it covers its own hosts and one label, no more. A fault is
//! bounded and printable.

use sealwire_core::address::Domain;
use sealwire_core::sts::{MAX_AGE_MAX, Mode, MxPattern, StsPolicy, record_id};

/// Records, parted by NUL, and the same octets as a policy.
pub fn sts(octets: &[u8]) {
    record(octets);
    policy(octets);
}

fn record(octets: &[u8]) {
    let records: Vec<Vec<u8>> = octets.split(|octet| *octet == 0).map(<[u8]>::to_vec).collect();
    let Some(id) = record_id(&records) else { return };
    assert!((1..=32).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_alphanumeric()), "{id:?}");
    let announces = |record: &&Vec<u8>| {
        let text = std::str::from_utf8(record).ok().and_then(|text| text.strip_prefix("v=STSv1"));
        text.is_some_and(|rest| rest.trim_start_matches([' ', '\t']).starts_with(';'))
    };
    assert_eq!(records.iter().filter(announces).count(), 1, "one record announces {id:?}");
}

fn policy(octets: &[u8]) {
    let policy = match StsPolicy::parse(octets) {
        Ok(policy) => policy,
        Err(fault) => {
            let text = fault.to_string();
            assert!(text.len() < 500 && !text.chars().any(char::is_control), "{text:?}");
            return;
        }
    };
    assert!(policy.max_age <= MAX_AGE_MAX);
    assert!(policy.mode == Mode::None || !policy.mx.is_empty());
    let mode = match policy.mode {
        Mode::Enforce => "enforce",
        Mode::Testing => "testing",
        Mode::None => "none",
    };
    let mx: String = policy.mx.iter().map(|pattern| format!("mx: {pattern}\r\n")).collect();
    let written = format!("version: STSv1\r\nmode: {mode}\r\n{mx}max_age: {}\r\nx-more: y\r\n", policy.max_age);
    // Written again it may be longer than a policy may be.
    if let Ok(again) = StsPolicy::parse(written.as_bytes()) {
        assert_eq!(again, policy, "written and read again");
    }
    for pattern in &policy.mx {
        let (below, own) = match pattern {
            MxPattern::Host(host) => (None, host),
            MxPattern::OneBelow(domain) => (Some(domain), domain),
        };
        let of = |text: String| Domain::parse(&text).ok();
        let alone = StsPolicy { mx: vec![pattern.clone()], ..policy.clone() };
        assert_eq!(alone.covers(own), below.is_none(), "{pattern}");
        let one = of(format!("x.{own}")).is_none_or(|host| alone.covers(&host) == below.is_some());
        let two = of(format!("x.y.{own}")).is_none_or(|host| !alone.covers(&host));
        assert!(one && two, "{pattern}");
    }
}
