//! The DKIM signatures of a message that arrived (RFC 6376 §6): what each covers, ready for its key.
//!
//! Names and keys are the caller's; here a signature counts only if it covers From and the whole body, and is in date.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::{relaxed_body, relaxed_field};
use crate::address::Domain;
use crate::facts::Field;
use crate::header::named;

/// Signatures of one message that are looked at: each costs a look-up.
const SIGNATURES_MAX: usize = 5;
/// Tags of one list, and names in `h=`: no signer needs so many, and a stranger's must not cost minutes.
const TAGS_MAX: usize = 64;
const COVERED_MAX: usize = 100;

/// A signature whose body hash is right; whether it is good only its key can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// `d=`: who signed, if it is good.
    pub domain: Domain,
    /// `s=`.
    pub selector: String,
    /// `ed25519-sha256` (RFC 8463), else `rsa-sha256`.
    pub is_ed25519: bool,
    /// What is signed; Ed25519 signs its SHA-256.
    pub octets: Vec<u8>,
    /// `b=`.
    pub signature: Vec<u8>,
}

/// The public key of a selector's record (§3.6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// `k=`.
    pub is_ed25519: bool,
    /// `p=`: of RSA a SubjectPublicKeyInfo, of Ed25519 the key itself.
    pub octets: Vec<u8>,
}

/// The signatures of a message that may count, at `now`, seconds since the Unix epoch. What another domain signed than `wanted`
/// names is not looked at further.
pub fn signatures(fields: &[Field], body: &[u8], now: u64, wanted: impl Fn(&Domain) -> bool) -> Vec<Signature> {
    let signing = named(fields, "DKIM-Signature").take(SIGNATURES_MAX);
    signing.filter_map(|field| of_field(field, fields, body, now, &wanted)).collect()
}

/// The key in a TXT record that may sign for this service (`s=`); None: there is none, or it was revoked.
pub fn public_key(record: &[u8], service: &str) -> Option<PublicKey> {
    let tags = tags(std::str::from_utf8(record).ok()?)?;
    let tag = |name| value(&tags, name);
    let serves = tag("s").is_none_or(|services| services.split(':').any(|s| ["*", service].contains(&s.trim())));
    let hashes = tag("h").is_none_or(|hashes| hashes.split(':').any(|hash| hash.trim() == "sha256"));
    let is_ed25519 = match tag("k") {
        None | Some("rsa") => false,
        Some("ed25519") => true,
        Some(_) => return None,
    };
    let octets = decoded(tag("p")?)?;
    let counts = tag("v").is_none_or(|version| version == "DKIM1") && serves && hashes && !octets.is_empty();
    counts.then_some(PublicKey { is_ed25519, octets })
}

fn of_field(
    own: &Field,
    fields: &[Field],
    body: &[u8],
    now: u64,
    wanted: &impl Fn(&Domain) -> bool,
) -> Option<Signature> {
    let text = std::str::from_utf8(&own.value).ok()?;
    let tags = tags(text)?;
    let tag = |name| value(&tags, name);
    let number = |name| tag(name).map(|text| text.parse::<u64>().ok());
    // §3.5; RFC 8460 §3 has no signature of a part of the body count.
    let in_date = number("x").is_none_or(|end| end.is_some_and(|end| now < end));
    if tag("v")? != "1" || tag("l").is_some() || !in_date {
        return None;
    }
    let domain = Domain::parse(tag("d")?).ok().filter(|domain| wanted(domain))?;
    // §6.1.1: whose agent signed is of the signing domain.
    let agent = tag("i").map(|agent| Domain::parse(agent.rsplit('@').next().unwrap_or_default()));
    let is_of = |agent: &Domain| *agent == domain || agent.parents().any(|parent| parent == domain.as_str());
    if agent.is_some_and(|agent| !agent.is_ok_and(|agent| is_of(&agent))) {
        return None;
    }
    let covered: Vec<&str> = tag("h")?.split(':').map(str::trim).take(COVERED_MAX + 1).collect();
    if covered.len() > COVERED_MAX || !covered.iter().any(|name| name.eq_ignore_ascii_case("From")) {
        return None;
    }
    let is_ed25519 = match tag("a")? {
        "rsa-sha256" => false,
        "ed25519-sha256" => true,
        _ => return None,
    };
    let (of_header, of_body) = match tag("c").unwrap_or("simple/simple").split_once('/') {
        Some((header, body)) => (is_relaxed(header)?, is_relaxed(body)?),
        None => (is_relaxed(tag("c")?)?, false),
    };
    let canonical = if of_body { relaxed_body(body) } else { simple_body(body) };
    if decoded(tag("bh")?)? != Sha256::digest(canonical)[..] {
        return None;
    }
    let mut octets = Vec::new();
    for (at, name) in covered.iter().enumerate() {
        // §5.4.2: named once more it is the one above; of those that are not there nothing is signed.
        let earlier = covered[..at].iter().filter(|other| other.eq_ignore_ascii_case(name)).count();
        let of_name: Vec<&Field> = named(fields, name).collect();
        if let Some(field) = of_name.iter().rev().nth(earlier) {
            octets.extend(canonical_field(&field.name, &field.value, of_header));
            octets.extend(b"\r\n");
        }
    }
    octets.extend(canonical_field(&own.name, without_signature(text).as_bytes(), of_header));
    Some(Signature {
        domain,
        selector: Domain::parse(tag("s")?).ok()?.to_string(),
        is_ed25519,
        octets,
        signature: decoded(tag("b")?)?,
    })
}

fn is_relaxed(word: &str) -> Option<bool> {
    match word {
        "relaxed" => Some(true),
        "simple" => Some(false),
        _ => None,
    }
}

fn canonical_field(name: &str, value: &[u8], relaxed: bool) -> Vec<u8> {
    if relaxed { relaxed_field(name, value).into_bytes() } else { [name.as_bytes(), b":", value].concat() }
}

/// §3.4.3: as it is, without the empty lines at its end.
fn simple_body(body: &[u8]) -> Vec<u8> {
    let mut body = body;
    while let Some(shorter) = body.strip_suffix(b"\r\n") {
        body = shorter;
    }
    [body, b"\r\n"].concat()
}

/// §3.7: everything but what stands behind `b=`.
fn without_signature(value: &str) -> String {
    let emptied = |tag: &str| match tag.split_once('=') {
        Some((name, _)) if name.trim() == "b" => format!("{name}="),
        _ => tag.to_owned(),
    };
    value.split(';').map(emptied).collect::<Vec<_>>().join(";")
}

/// §3.2: `name=value` pairs; none may come twice.
fn tags(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut tags: Vec<(&str, &str)> = Vec::new();
    for tag in text.split(';').map(str::trim).filter(|tag| !tag.is_empty()) {
        let (name, value) = tag.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        if tags.len() == TAGS_MAX || tags.iter().any(|(other, _)| *other == name) {
            return None;
        }
        tags.push((name, value));
    }
    Some(tags)
}

fn value<'a>(tags: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    tags.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
}

/// Base64 with white space in it.
fn decoded(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text.split_ascii_whitespace().collect::<String>()).ok()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::convert::Infallible;

    use super::*;
    use crate::dkim::{Signer, sign};
    use crate::header::split;

    struct Witness(Domain, RefCell<Vec<u8>>);

    impl Signer for Witness {
        type Error = Infallible;

        fn domain(&self) -> &Domain {
            &self.0
        }

        fn selector(&self) -> &str {
            "s1"
        }

        fn algorithm(&self) -> &'static str {
            "rsa-sha256"
        }

        fn sign(&self, octets: &[u8]) -> Result<Vec<u8>, Infallible> {
            self.1.replace(octets.to_vec());
            Ok(vec![7; 60])
        }
    }

    const HEADER: &str = "From: a@d.test\r\nTo: b@e.test\r\nSubject: x\r\n";
    const BODY: &[u8] = b"Hello \r\n\r\n";

    fn signed() -> (String, Vec<u8>) {
        let witness = Witness(Domain::parse("d.test").expect("a domain"), RefCell::default());
        let field = sign(HEADER.as_bytes(), BODY, &["From", "Subject"], 7, &witness).expect("signs");
        (field, witness.1.into_inner())
    }

    #[test]
    fn what_is_verified_is_what_was_signed() {
        let (field, octets) = signed();
        let found = signatures(&split(format!("Received: x\r\n{field}{HEADER}").as_bytes()), BODY, 8, |_| true);
        let [signature] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(String::from_utf8_lossy(&signature.octets), String::from_utf8_lossy(&octets));
        assert_eq!((signature.domain.as_str(), signature.selector.as_str()), ("d.test", "s1"));
        assert_eq!((signature.signature.as_slice(), signature.is_ed25519), ([7; 60].as_slice(), false));
    }

    /// Each row: what is put in the place of what, in the signature's field or the body; and whether it may still count.
    #[test]
    fn a_signature_counts_only_if_it_covers_what_it_must() {
        let (field, _) = signed();
        let rows: [(&str, &str, bool); 14] = [
            ("", "", true),
            ("t=7;", "t=7; x=9;", true),
            ("t=7;", "t=7; x=8;", false),
            ("t=7;", "t=7; l=5;", false),
            ("t=7;", "t=7; t=8;", false),
            ("v=1;", "v=2;", false),
            ("rsa-sha256", "rsa-sha1", false),
            ("h=From:", "h=To:", true),
            ("h=From:\r\n  Subject:\r\n  From;", "h=Subject;", false),
            ("c=relaxed/relaxed", "c=relaxed/simple", false),
            ("d=d.test", "d=", false),
            ("t=7;", "t=7; i=@d.test;", true),
            ("t=7;", "t=7; i=ann@mail.d.test;", true),
            ("t=7;", "t=7; i=@other.test;", false),
        ];
        for (from, to, counts) in rows {
            let header = field.replacen(from, to, 1) + HEADER;
            assert_eq!(signatures(&split(header.as_bytes()), BODY, 8, |_| true).len(), usize::from(counts), "{header}");
        }
        let fields = split((field + HEADER).as_bytes());
        for (body, counts) in [(&b"Hello\r\n"[..], true), (b"Hello \r\n\r\nmore", false), (b"", false)] {
            assert_eq!(signatures(&fields, body, 8, |_| true).len(), usize::from(counts));
        }
    }

    /// A stranger may write what he likes into his own signature; it costs him his signature.
    #[test]
    fn no_signature_is_endless() {
        let (field, _) = signed();
        let names = field.replacen("h=From:", &format!("h=From:{}", "x:".repeat(100_000)), 1) + HEADER;
        let tags: String = (0..50_000).map(|number| format!(" t{number}=;")).collect();
        let tags = field.replacen("t=7;", &format!("t=7;{tags}"), 1) + HEADER;
        for header in [names, tags] {
            assert!(signatures(&split(header.as_bytes()), BODY, 8, |_| true).is_empty());
        }
        let fields = split((field + HEADER).as_bytes());
        assert!(signatures(&fields, BODY, 8, |domain| domain.as_str() != "d.test").is_empty());
    }

    #[test]
    fn a_record_has_a_key_for_a_service_or_none() {
        let rows = [
            ("v=DKIM1; k=rsa; s=tlsrpt; p=AAEC", Some((false, 3))),
            ("p=AA EC", Some((false, 3))),
            ("v=DKIM1; k=ed25519; s=*; h=sha1:sha256; p=AAEC;", Some((true, 3))),
            ("v=DKIM1; s=email:tlsrpt; p=AAEC", Some((false, 3))),
            ("v=DKIM1; s=email; p=AAEC", None),
            ("v=DKIM1; h=sha1; p=AAEC", None),
            ("v=DKIM2; p=AAEC", None),
            ("v=DKIM1; k=dsa; p=AAEC", None),
            ("v=DKIM1; p=", None),
            ("v=DKIM1; p=?", None),
            ("v=DKIM1; p=AAEC; p=AAEC", None),
            ("v=DKIM1", None),
            ("", None),
        ];
        for (record, expected) in rows {
            let found = public_key(record.as_bytes(), "tlsrpt").map(|key| (key.is_ed25519, key.octets.len()));
            assert_eq!(found, expected, "{record}");
        }
    }
}
