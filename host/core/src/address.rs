//! Mailboxes and domains, normalised once at the edge so that everything inside compares octets.
//!
//! A domain is held as lower-case A-labels without a trailing dot; an address literal keeps its brackets
//! (RFC 5321 §4.1.3). U-labels and A-labels of one name are therefore equal (RFC 5890 §2.3.2.4).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest local part in octets (RFC 5321 §4.5.3.1.1), with room for quoting.
const LOCAL_PART_MAX: usize = 256;
/// Longest domain in octets (RFC 5321 §4.5.3.1.2).
const DOMAIN_MAX: usize = 255;

/// A domain in A-label form, lower case, without a trailing dot, or an address literal in brackets.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(String);

impl Domain {
    /// Reads a domain as people and protocols write it: U-labels, any case, a trailing dot.
    pub fn parse(text: &str) -> Result<Domain, AddressError> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(AddressError::Domain)?;
            let safe = |b: u8| b.is_ascii_graphic() && !matches!(b, b'[' | b']' | b'\\');
            if inner.is_empty() || inner.len() > DOMAIN_MAX || !inner.bytes().all(safe) {
                return Err(AddressError::Domain);
            }
            return Ok(Domain(text.to_ascii_lowercase()));
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        let lower = text.to_ascii_lowercase();
        let ascii = if lower.is_ascii() && !lower.contains("xn--") {
            lower
        } else {
            idna::domain_to_ascii(text).map_err(|_| AddressError::Domain)?
        };
        if ascii.is_empty() || ascii.len() > DOMAIN_MAX || !ascii.split('.').all(is_label) {
            return Err(AddressError::Domain);
        }
        Ok(Domain(ascii))
    }

    /// The normalised text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An address literal such as `[192.0.2.1]`.
    pub fn is_literal(&self) -> bool {
        self.0.starts_with('[')
    }

    /// The parents, nearest first: of `a.b.example` these are `b.example` and `example`.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        let mut rest = if self.is_literal() { "" } else { self.0.as_str() };
        std::iter::from_fn(move || {
            let (_, parent) = rest.split_once('.')?;
            rest = parent;
            Some(parent)
        })
    }
}

/// Letters, digits, hyphen and underscore; SMTP domains in the wild carry the latter.
fn is_label(label: &str) -> bool {
    let octet = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    !label.is_empty() && label.len() <= 63 && label.bytes().all(octet)
}

/// A mailbox: local part unquoted with its case kept, domain normalised.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Mailbox {
    /// Unquoted, case kept (RFC 5321 §2.4).
    pub local: String,
    /// Normalised.
    pub domain: Domain,
}

impl Mailbox {
    /// A mailbox from its unquoted local part and its domain.
    pub fn new(local: impl Into<String>, domain: Domain) -> Mailbox {
        Mailbox { local: local.into(), domain }
    }

    /// Reads `local@domain`, where local is a dot-string or a quoted string (RFC 5321 §4.1.2).
    pub fn parse(text: &str) -> Result<Mailbox, AddressError> {
        let (local, rest) =
            if let Some(quoted) = text.strip_prefix('"') { unquote(quoted)? } else { dot_string(text)? };
        let domain = rest.strip_prefix('@').ok_or(AddressError::NoAt)?;
        if local.len() > LOCAL_PART_MAX {
            return Err(AddressError::LocalPart);
        }
        Ok(Mailbox { local, domain: Domain::parse(domain)? })
    }
}

fn unquote(quoted: &str) -> Result<(String, &str), AddressError> {
    let mut local = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((local, &quoted[at + 1..])),
            '\\' => match chars.next() {
                Some((_, c)) if (' '..='~').contains(&c) => local.push(c),
                _ => return Err(AddressError::LocalPart),
            },
            c if c.is_control() => return Err(AddressError::LocalPart),
            c => local.push(c),
        }
    }
    Err(AddressError::LocalPart)
}

fn dot_string(text: &str) -> Result<(String, &str), AddressError> {
    let at = text.rfind('@').ok_or(AddressError::NoAt)?;
    let local = &text[..at];
    if is_dot_string(local) { Ok((local.to_owned(), &text[at..])) } else { Err(AddressError::LocalPart) }
}

fn is_dot_string(local: &str) -> bool {
    let atext = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii();
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(atext))
}

/// The form SMTP carries: the local part quoted where it must be.
impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local) {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        write!(f, "\"")?;
        for c in self.local.chars() {
            if matches!(c, '"' | '\\') {
                write!(f, "\\")?;
            }
            write!(f, "{c}")?;
        }
        write!(f, "\"@{}", self.domain)
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{self}>")
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Domain {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Domain, AddressError> {
        Domain::parse(&text)
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> String {
        domain.0
    }
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// There is no `@`.
    NoAt,
    /// The local part is neither a dot-string nor a quoted string.
    LocalPart,
    /// The domain is not a host name, an internationalised name or an address literal.
    Domain,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressError::NoAt => "there is no @ between local part and domain",
            AddressError::LocalPart => "the local part is neither a dot-string nor a quoted string",
            AddressError::Domain => "the domain is not a valid host name",
        })
    }
}

impl std::error::Error for AddressError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_have_one_form() {
        let rows = [
            ("Example.COM", Some("example.com")),
            ("example.com.", Some("example.com")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("XN--Bcher-KVA.example", Some("xn--bcher-kva.example")),
            ("[192.0.2.1]", Some("[192.0.2.1]")),
            ("[IPv6:2001:DB8::1]", Some("[ipv6:2001:db8::1]")),
            ("", None),
            ("a..b", None),
            ("a b.example", None),
            ("[192.0.2.1", None),
            ("exa\u{0}mple.com", None),
            ("xn--a.example", None),
            ("Xn--a.example", None),
            ("xN--bcher-kva.example", Some("xn--bcher-kva.example")),
        ];
        for (text, expected) in rows {
            let parsed = Domain::parse(text).ok();
            assert_eq!(parsed.as_ref().map(Domain::as_str), expected, "{text:?}");
            // What was accepted once is read back from the store for ever.
            let again = parsed.as_ref().map(|domain| Domain::parse(domain.as_str()));
            assert_eq!(again.and_then(Result::ok), parsed, "{text:?}, read back");
        }
    }

    #[test]
    fn mailboxes_are_read_and_written() {
        let rows = [
            ("Ann.B@Example.com", Some("Ann.B@example.com")),
            ("\"a b\"@example.com", Some("\"a b\"@example.com")),
            ("\"ann\"@example.com", Some("ann@example.com")),
            ("\"a\\\"b\"@example.com", Some("\"a\\\"b\"@example.com")),
            ("a..b@example.com", None),
            ("@example.com", None),
            ("ann", None),
            ("\"open@example.com", None),
            ("ann@", None),
        ];
        for (text, expected) in rows {
            assert_eq!(Mailbox::parse(text).ok().map(|m| m.to_string()).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn parents_come_nearest_first() {
        let domain = Domain::parse("a.b.example").expect("a domain");
        assert_eq!(domain.parents().collect::<Vec<_>>(), ["b.example", "example"]);
    }
}
