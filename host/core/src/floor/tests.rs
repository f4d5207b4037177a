//! What a floor asks and what a channel gives.

use super::*;
use crate::facts::Certificate;

fn handshake() -> Handshake {
    Handshake {
        version: TlsVersion::TLS12,
        cipher_suite: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256".into(),
        key_exchange: "x25519".into(),
        server_name: None,
        implicit: false,
        resumed: false,
        chain: ChainVerdict::CertificateNotTrusted,
        name_matches: false,
        // The second is anybody's to present: no pin may be met by it.
        certificates: vec![certificate(1, 2), certificate(3, 4)],
        dane: None,
        revocation: RevocationStatus::Unknown,
    }
}

fn certificate(sha256: u8, spki_sha256: u8) -> Certificate {
    Certificate {
        subject: String::new(),
        issuer: String::new(),
        dns_names: Vec::new(),
        not_before: 0,
        not_after: 0,
        sha256: [sha256; 32],
        spki_sha256: [spki_sha256; 32],
        der: Vec::new(),
    }
}

#[test]
fn each_demand_is_met_by_its_own_evidence_alone() {
    let pin = |kind, octet| Demand::Pin(kind, BTreeSet::from([[octet; 32], [9; 32]]));
    let suite = |name: &str| Demand::CipherSuite(BTreeSet::from([name.to_owned()]));
    // (demand, met in clear, met by TLS 1.2 with a self-signed certificate, met once chain and name are good)
    let tlsa = |octet: u8| Tlsa { usage: 3, selector: 1, matching: 1, data: vec![octet; 32] };
    let rows = [
        (Demand::Dane(BTreeSet::from([tlsa(1), tlsa(2)])), false, true),
        (Demand::Dane(BTreeSet::from([tlsa(2)])), false, false),
        (Demand::ListedHost, false, false),
        (Demand::ProvenHost, false, false),
        (Demand::VerifiedServer, false, true),
        (Demand::RequireTls, false, true),
        (Demand::Tls, true, true),
        (Demand::MinimumVersion(TlsVersion::TLS12), true, true),
        (Demand::MinimumVersion(TlsVersion::TLS13), false, false),
        (Demand::TrustedChain, false, true),
        (Demand::MatchingName, false, true),
        (Demand::UnrevokedCertificate, false, true),
        (pin(PinKind::CertificateSha256, 1), true, true),
        (pin(PinKind::CertificateSha256, 2), false, false),
        (pin(PinKind::SpkiSha256, 2), true, true),
        (pin(PinKind::CertificateSha256, 3), false, false),
        (pin(PinKind::SpkiSha256, 4), false, false),
        (suite("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"), true, true),
        (suite("TLS_AES_128_GCM_SHA256"), false, false),
    ];
    let clear = TlsProof::of_nothing(ConnectionId(1));
    let weak = TlsProof::of_handshake(ConnectionId(1), Arc::new(handshake()));
    let good = Handshake {
        chain: ChainVerdict::Trusted,
        name_matches: true,
        dane: Some(tlsa(1)),
        revocation: RevocationStatus::Good,
        ..handshake()
    };
    let good = TlsProof::of_handshake(ConnectionId(1), Arc::new(good)).offering_requiretls(true);
    for (demand, by_weak, by_good) in rows {
        let floor = TlsFloor::of_finished_chain([(demand.clone(), Source::Report)]);
        assert!(!floor.unmet(&clear).is_empty(), "{demand} in clear");
        assert_eq!(floor.unmet(&weak).is_empty(), by_weak, "{demand} by a self-signed certificate");
        assert_eq!(floor.unmet(&good).is_empty(), by_good, "{demand} by a good certificate");
    }
}

/// RFC 9325 §7.5: where it is asked for, no word is not enough.
#[test]
fn a_certificate_is_unrevoked_by_its_issuers_word_alone() {
    let floor = TlsFloor::of_finished_chain([(Demand::UnrevokedCertificate, Source::Report)]);
    for (revocation, is_met) in [
        (RevocationStatus::Unknown, false),
        (RevocationStatus::Stale, false),
        (RevocationStatus::Good, true),
        (RevocationStatus::Revoked, false),
    ] {
        let handshake = Handshake { revocation, chain: ChainVerdict::Trusted, ..handshake() };
        let proof = TlsProof::of_handshake(ConnectionId(1), Arc::new(handshake));
        assert_eq!(floor.unmet(&proof).is_empty(), is_met, "{revocation:?}");
    }
}

#[test]
fn the_empty_floor_permits_clear_text_and_any_demand_forbids_it() {
    let clear = TlsProof::of_nothing(ConnectionId(7));
    let open = TlsFloor::of_finished_chain([]);
    let permit = open.permit(&clear, Cleared::by_the_whole_chain()).expect("an empty floor");
    assert_eq!(permit.connection(), ConnectionId(7));
    let raised = open.raised(Demand::Tls, Source::Route("out".into()));
    assert!(raised.permit(&clear, Cleared::by_the_whole_chain()).is_err());
}
