//! The key that evidence is signed with: Ed25519 (RFC 8032), by the cryptography that TLS has already, in a file of its own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealwire_core::evidence::{Evidence, Signed};

/// How a public key is written, before its 32 octets in base64.
const ED25519_PREFIX: &str = "ed25519:";
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// Held while a key is made: two would write over each other's.
static MAKING: Mutex<()> = Mutex::new(());

/// A signing key in hand.
pub(crate) struct EvidenceKey(Ed25519KeyPair);

impl EvidenceKey {
    /// Reads it, or makes one where there is none; whether it was made just now.
    pub(crate) fn open(path: &Path) -> Result<(EvidenceKey, bool), String> {
        let failed = |error: io::Error| {
            format!("{}: the key that evidence is signed with cannot be had: {error}", path.display())
        };
        let _one_at_a_time = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        match fs::read_to_string(path) {
            Ok(pem) => Ok((EvidenceKey::of_pem(path, &pem)?, false)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let pem = make(path).map_err(failed)?;
                Ok((EvidenceKey::of_pem(path, &pem)?, true))
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn of_pem(path: &Path, pem: &str) -> Result<EvidenceKey, String> {
        let between = pem.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
        let der = between.and_then(|text| STANDARD.decode(text.split_whitespace().collect::<String>()).ok());
        let key = der.and_then(|der| Ed25519KeyPair::from_pkcs8(&der).ok());
        key.map(EvidenceKey).ok_or_else(|| {
            let path = path.display();
            format!("{path}: is no Ed25519 key in PEM; restore it from a backup, or move it away to have another made")
        })
    }

    /// `ed25519:` and base64.
    pub(crate) fn public(&self) -> String {
        format!("{ED25519_PREFIX}{}", STANDARD.encode(self.0.public_key()))
    }

    /// Signs a document.
    pub(crate) fn sign(&self, evidence: serde_json::Value) -> Signed {
        let signature = STANDARD.encode(self.0.sign(&Signed::signed_octets(&evidence)));
        Signed { evidence, key: self.public(), signature }
    }
}

/// Makes a key, for this user alone. The file has its name once it is whole, and never takes another's place.
fn make(path: &Path) -> io::Result<String> {
    let failed = |_| io::Error::other("no key can be made");
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(failed)?;
    let text = STANDARD.encode(pkcs8.as_ref());
    let part = path.with_extension("part");
    // What a crash left may have other rights.
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&part)?;
    // Base64 of an Ed25519 key fills less than two lines of 64 (RFC 7468 §2).
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    let pem = format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"));
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    fs::hard_link(&part, path)?;
    fs::remove_file(&part)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(pem)
}

/// Verifies what was handed on, and reads it. With `key` it must be signed by that one; without, by the one that it names, which
/// proves no more than that nothing was changed since.
pub fn verify(signed: &Signed, key: Option<&str>) -> Result<Evidence, String> {
    if let Some(key) = key.filter(|key| *key != signed.key) {
        return Err(format!("it is signed by the key {}, and not by {key}", signed.key));
    }
    let octets = |text: &str, what: &str| STANDARD.decode(text).map_err(|_| format!("its {what} cannot be read"));
    let public = signed.key.strip_prefix(ED25519_PREFIX).ok_or("its key is none that is known here")?;
    let (public, signature) = (octets(public, "key")?, octets(&signed.signature, "signature")?);
    UnparsedPublicKey::new(&ED25519, public)
        .verify(&Signed::signed_octets(&signed.evidence), &signature)
        .map_err(|_| "the signature is not good: the document, the key or the signature was changed".to_owned())?;
    signed.evidence()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use sealwire_core::evidence::FORMAT;
    use serde_json::{Value, json};

    use super::*;

    fn document() -> Value {
        let none = || json!({ "counts": {} });
        json!({
            "format": FORMAT,
            "relay": "mail.example.com",
            "domain": "partner.example",
            "month": "2026-11",
            "made-at": "2026-12-01T00:00:00Z",
            "covers": { "records": 3, "numbers": [1, 9], "whole": true, "month-is-over": true },
            "inbound": {
                "accepted": 2, "accepted-in-clear": 0, "tls-versions": none(), "cipher-suites": none(), "refused": 1,
                "refused-in-clear": 1, "deferred": 0, "turned-away-by": none(), "accepted-with": none(), "flagged-by": none(), "clients": none()
            },
            "outbound": {
                "delivered": 0, "delivered-in-clear": 0, "tls-versions": none(), "cipher-suites": none(),
                "verified": none(), "hosts": none(), "certificates": none(), "routes": none(), "demanded": none(),
                "reasons": none(), "floor-unmet": 0, "unmet": none(), "refused": none(), "inconclusive": 0,
                "failed-decisions": 0, "reported": 0
            },
            "settings": [],
            "audit-head": format!("1:{}", "0".repeat(64)),
        })
    }

    #[test]
    fn a_key_is_made_once_for_its_user_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("evidence.key");
        // What a crash left.
        fs::write(path.with_extension("part"), "half").expect("written");
        let (first, is_new) = EvidenceKey::open(&path).expect("a key");
        assert!(is_new);
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 1);
        let (second, is_new) = EvidenceKey::open(&path).expect("a key");
        assert_eq!((first.public(), false), (second.public(), is_new));
        assert!(make(&path).is_err(), "the one that is there stays");
        assert_eq!(EvidenceKey::open(&path).expect("a key").0.public(), first.public());
        for wrong in ["", "nonsense", &format!("{BEGIN}\n{END}"), &format!("{BEGIN}\nAAAA\n{END}")] {
            fs::write(&path, wrong).expect("written");
            let error = EvidenceKey::open(&path).map(drop).expect_err(wrong);
            assert!(error.contains("is no Ed25519 key"), "{error}");
        }
    }

    #[test]
    fn what_was_changed_is_not_verified() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = |name: &str| EvidenceKey::open(&folder.path().join(name)).expect("a key").0;
        let (ours, other) = (key("ours"), key("other"));
        let signed = ours.sign(document());
        let evidence = verify(&signed, Some(&ours.public())).expect("good");
        assert_eq!((evidence.inbound.accepted, evidence.domain.as_str()), (2, "partner.example"));
        let written = serde_json::to_string_pretty(&signed).expect("JSON");
        let again: Signed = serde_json::from_str(&written).expect("JSON");
        assert_eq!(verify(&again, None), Ok(evidence), "spaces are nothing");

        let changed = |change: fn(&mut Signed)| {
            let mut signed = signed.clone();
            change(&mut signed);
            signed
        };
        let mut by_other = other.sign(document());
        assert!(verify(&by_other, None).is_ok());
        assert!(verify(&by_other, Some(&ours.public())).is_err_and(|why| why.contains("and not by")));
        by_other.key = ours.public();
        let cases = [
            ("a count", changed(|signed| signed.evidence["inbound"]["accepted"] = 3.into())),
            ("a word more", changed(|signed| signed.evidence["more"] = "x".into())),
            (
                "a signature",
                changed(|signed| signed.signature = signed.signature.replacen(['A', 'B', 'C'], "D", 1) + "="),
            ),
            ("no signature", changed(|signed| signed.signature.clear())),
            ("another's key", changed(|signed| signed.key = "ed25519:AAAA".into())),
            ("another algorithm", changed(|signed| signed.key = "none:".into())),
            ("another's signature", by_other),
        ];
        for (what, signed) in cases {
            assert!(verify(&signed, None).is_err(), "{what}");
        }
        let mut of_later = document();
        of_later["format"] = "sealwire-evidence-2".into();
        assert!(verify(&ours.sign(of_later), None).is_err_and(|why| why.contains("sealwire-evidence-2")));
    }
}
