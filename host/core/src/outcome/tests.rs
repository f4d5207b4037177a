//! What an outcome says of a demand that nobody made then.

use crate::facts::TlsVersion;

use super::*;

#[test]
fn the_attempt_says_whether_it_had_what_would_have_been_demanded() {
    let delivered = |tls: Option<&str>| {
        let evidence = |version: &str| TlsEvidence {
            revocation: "good".into(),
            version: version.into(),
            cipher_suite: "TLS_AES_128_GCM_SHA256".into(),
            key_exchange: "x25519".into(),
            chain: "trusted".into(),
            name_matches: false,
            names: Vec::new(),
            sha256: String::new(),
            resumed: false,
            requiretls: false,
            dane: None,
        };
        Outcome::Delivered(Delivery {
            host: "mx.test".into(),
            address: "192.0.2.1:25".into(),
            reply: Reply::new(250, (2, 0), "taken"),
            tls: tls.map(evidence).map(Box::new),
            in_clear: None,
            dsn: false,
            demanded: Vec::new(),
            published: Vec::new(),
        })
    };
    let inconclusive = || Outcome::Inconclusive { host: None, why: "time-out".into(), reply: None };
    let thirteen = Demand::MinimumVersion(TlsVersion::TLS13);
    let rows = [
        (delivered(None), Demand::Tls, Some(false)),
        (delivered(Some("TLSv1.2")), Demand::Tls, Some(true)),
        (delivered(Some("TLSv1.2")), thirteen.clone(), Some(false)),
        (delivered(Some("TLSv1.3")), thirteen.clone(), Some(true)),
        (delivered(Some("TLSv1.3")), Demand::TrustedChain, Some(true)),
        (delivered(Some("TLSv1.3")), Demand::MatchingName, Some(false)),
        (delivered(Some("TLSv1.3")), Demand::RequireTls, None),
        (delivered(Some("TLSv1.3")), Demand::UnrevokedCertificate, Some(true)),
        (inconclusive(), Demand::Tls, None),
    ];
    for (outcome, demand, had) in rows {
        assert_eq!(outcome.had(&demand), had, "{demand} of {outcome}");
    }
}

#[test]
fn a_delivery_in_clear_says_why() {
    let delivered = |in_clear: Option<&str>| {
        let delivery = Delivery {
            host: "mx.test".into(),
            address: "192.0.2.1:25".into(),
            reply: Reply::new(250, (0, 0), "taken"),
            tls: None,
            in_clear: in_clear.map(str::to_owned),
            dsn: false,
            demanded: Vec::new(),
            published: Vec::new(),
        };
        Outcome::Delivered(delivery).to_string()
    };
    let why = "did not offer STARTTLS";
    assert_eq!(delivered(Some(why)), format!("delivered to mx.test (in clear, as it {why}): 250 2.0.0 taken"));
    assert_eq!(
        delivered(None),
        "delivered to mx.test (in clear): 250 2.0.0 taken",
        "of a record from before that was kept"
    );
}
