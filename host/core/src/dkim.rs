//! DKIM signatures (RFC 6376), as TLS reports need them: made here, in relaxed canonical form and of the whole body; those of others
//! are taken apart in [`signatures`].
//!
//! Which octets are signed is found out here; the key is a [`Signer`]'s. mail-auth would bring both, and with them name look-ups
//! and TLS of its own.

mod verify;

pub use verify::{PublicKey, Signature, public_key, signatures};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::address::Domain;
use crate::header::{named, split};

/// Characters of the signature on one line.
const LINE: usize = 72;

/// A key, and where its public half stands: the TXT record of `SELECTOR._domainkey.DOMAIN`.
pub trait Signer {
    /// Why it does not sign.
    type Error;

    /// `d=`.
    fn domain(&self) -> &Domain;

    /// `s=`.
    fn selector(&self) -> &str;

    /// `a=`: `rsa-sha256` (RFC 6376 §3.3.1) or `ed25519-sha256` (RFC 8463).
    fn algorithm(&self) -> &'static str;

    /// Signs these octets by that algorithm, hashing included.
    fn sign(&self, octets: &[u8]) -> Result<Vec<u8>, Self::Error>;
}

/// The field DKIM-Signature, folded, with its CR LF, for a message with this header (CR LF line ends, without the blank line) and
/// body. Covers the fields `signed` that the message has, From so that none can be added (§8.15), and all of the body: `l=` is
/// never used (RFC 8460 §3). `now` in seconds since the Unix epoch.
pub fn sign<E>(
    header: &[u8],
    body: &[u8],
    signed: &[&str],
    now: u64,
    signer: &dyn Signer<Error = E>,
) -> Result<String, E> {
    let fields = split(header);
    let present: Vec<&str> = signed.iter().copied().filter(|name| named(&fields, name).next().is_some()).collect();
    let mut covered = present.clone();
    covered.push("From");
    let mut field = format!(
        "DKIM-Signature: v=1; a={}; c=relaxed/relaxed; d={};\r\n s={}; t={now};\r\n h={};\r\n bh={};\r\n b=",
        signer.algorithm(),
        signer.domain(),
        signer.selector(),
        covered.join(":\r\n  "),
        STANDARD.encode(Sha256::digest(relaxed_body(body)))
    );
    let mut octets = Vec::new();
    for name in present {
        // §5.4.2: of several the last counts first; a report has one of each.
        let last = named(&fields, name).last();
        octets.extend(last.map(|field| relaxed_field(&field.name, &field.value) + "\r\n").unwrap_or_default().bytes());
    }
    // §3.7: the signature's own field comes last, its value empty, without a line end.
    let own = field.split_once(':').map_or("", |(_, value)| value);
    octets.extend(relaxed_field("DKIM-Signature", own.as_bytes()).bytes());
    let signature = STANDARD.encode(signer.sign(&octets)?);
    let lines: Vec<&str> =
        (0..signature.len()).step_by(LINE).map(|at| &signature[at..signature.len().min(at + LINE)]).collect();
    field.push_str(&lines.join("\r\n  "));
    field.push_str("\r\n");
    Ok(field)
}

/// §3.4.2: name in lower case, value on one line, each run of white space one space, none at either end.
fn relaxed_field(name: &str, value: &[u8]) -> String {
    let value = String::from_utf8_lossy(value).replace("\r\n", "");
    let words: Vec<&str> = value.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
    format!("{}:{}", name.trim_end().to_ascii_lowercase(), words.join(" "))
}

/// §3.4.4: each run of white space one space, none at the end of a line, no empty lines at the end.
fn relaxed_body(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    for line in body.split(|&octet| octet == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut space = false;
        for &octet in line {
            if matches!(octet, b' ' | b'\t') {
                space = true;
                continue;
            }
            if std::mem::take(&mut space) {
                out.push(b' ');
            }
            out.push(octet);
        }
        out.extend_from_slice(b"\r\n");
    }
    while out.ends_with(b"\r\n\r\n") {
        out.truncate(out.len() - 2);
    }
    if out == b"\r\n" { Vec::new() } else { out }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::convert::Infallible;

    use super::*;

    /// Keeps what it was to sign.
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
            Ok(vec![0xff; 60])
        }
    }

    #[test]
    fn what_is_signed_is_in_relaxed_form() {
        let witness = Witness(Domain::parse("d.test").expect("a domain"), RefCell::default());
        let header = b"From:  Ann\r\n\t<a@d.test> \r\nX: y\r\nSubJect : a  b\r\n";
        let field = sign(header, b"", &["From", "To", "Subject"], 7, &witness).expect("signs");
        let expected = concat!(
            "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=d.test;\r\n s=s1; t=7;\r\n h=From:\r\n  Subject:\r\n  From;\r\n",
            " bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n",
            " b=////////////////////////////////////////////////////////////////////////\r\n  ////////\r\n"
        );
        assert_eq!(field, expected);
        let signed = concat!(
            "from:Ann <a@d.test>\r\nsubject:a b\r\n",
            "dkim-signature:v=1; a=rsa-sha256; c=relaxed/relaxed; d=d.test; s=s1; t=7; h=From: Subject: From; ",
            "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b="
        );
        assert_eq!(String::from_utf8_lossy(&witness.1.borrow()), signed);
    }

    #[test]
    fn a_body_in_relaxed_form() {
        let rows = [
            ("", ""),
            ("\r\n\r\n", ""),
            (" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n"),
            ("a", "a\r\n"),
            ("a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n"),
            (" \r\n", ""),
        ];
        for (body, expected) in rows {
            assert_eq!(String::from_utf8_lossy(&relaxed_body(body.as_bytes())), expected, "{body:?}");
        }
    }
}
