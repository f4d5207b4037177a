//! What a sender asks to be told, and by which names (RFC 3461): NOTIFY and ORCPT of each recipient, RET and ENVID of the message.
//!
//! Kept with the entry, passed to a next hop that offers DSN, obeyed where this relay reports itself.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest ENVID, encoded (RFC 3461 §4.4).
const ENVID_MAX: usize = 100;
/// Longest ORCPT, encoded (RFC 3461 §4.2).
const ORCPT_MAX: usize = 500;

/// Of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case")]
pub struct Dsn {
    /// How much of the message a report on a failure returns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ret: Option<Ret>,
    /// The sender's own name for this sending; decoded, printable ASCII.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub envid: Option<String>,
    /// Of recipients that asked for something, by their index in the envelope.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub recipients: BTreeMap<u32, RecipientDsn>,
}

/// Of one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case")]
pub struct RecipientDsn {
    /// None: as the relay thinks fit, which is failures and delays (§4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify: Option<Notify>,
    /// The address the sender wrote, before any alias or list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orcpt: Option<OriginalRecipient>,
}

/// Of what a sender may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was delivered, or handed to a server that will not tell.
    Success,
    /// It will not be delivered.
    Failure,
    /// It is late.
    Delay,
}

/// NOTIFY= (§4.1); none of the three is NEVER.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Notify {
    success: bool,
    failure: bool,
    delay: bool,
}

/// RET= (§4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ret {
    /// The whole message.
    Full,
    /// Its header.
    Hdrs,
}

/// ORCPT= (§4.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OriginalRecipient {
    /// `rfc822`, `utf-8` or another address type, an atom.
    pub kind: String,
    /// Decoded; printable ASCII, or UTF-8 where the kind is `utf-8`.
    pub address: String,
}

/// A text that is no value of its parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoValue;

impl Dsn {
    /// Nothing was asked for.
    pub fn is_empty(&self) -> bool {
        *self == Dsn::default()
    }

    /// The sender wants to hear of this event, as far as this recipient goes.
    pub fn wants(&self, index: u32, event: Event) -> bool {
        match self.recipients.get(&index).and_then(|recipient| recipient.notify) {
            Some(notify) => notify.includes(event),
            // §4.1: without NOTIFY a success is never told.
            None => event != Event::Success,
        }
    }

    /// The same message for some of its recipients, in this order.
    pub fn of(&self, indices: impl IntoIterator<Item = u32>) -> Dsn {
        let asked = |(position, index): (u32, u32)| Some((position, self.recipients.get(&index)?.clone()));
        let recipients = (0..).zip(indices).filter_map(asked).collect();
        Dsn { ret: self.ret, envid: self.envid.clone(), recipients }
    }

    /// Parameters of MAIL, each behind a blank, for a host that offers DSN.
    pub fn mail_parameters(&self) -> String {
        let ret = self.ret.map(|ret| format!(" RET={ret}"));
        let envid = self.envid.as_deref().map(|envid| format!(" ENVID={}", xtext(envid)));
        ret.into_iter().chain(envid).collect()
    }

    /// Parameters of RCPT, likewise. `utf8`: the transaction is one of SMTPUTF8.
    pub fn rcpt_parameters(&self, position: u32, utf8: bool) -> String {
        let Some(recipient) = self.recipients.get(&position) else { return String::new() };
        let notify = recipient.notify.map(|notify| format!(" NOTIFY={notify}"));
        // In ASCII an international one may be longer than it may be (§4.2).
        let orcpt = recipient.orcpt.as_ref().map(|orcpt| orcpt.encoded(utf8)).filter(|orcpt| orcpt.len() <= ORCPT_MAX);
        let orcpt = orcpt.map(|orcpt| format!(" ORCPT={orcpt}"));
        notify.into_iter().chain(orcpt).collect()
    }
}

impl RecipientDsn {
    /// Of a report: nobody is to be told of it (§6.1).
    pub fn never() -> RecipientDsn {
        RecipientDsn { notify: Some(Notify { success: false, failure: false, delay: false }), orcpt: None }
    }

    /// Nothing was asked for.
    pub fn is_empty(&self) -> bool {
        *self == RecipientDsn::default()
    }
}

impl Notify {
    fn includes(self, event: Event) -> bool {
        match event {
            Event::Success => self.success,
            Event::Failure => self.failure,
            Event::Delay => self.delay,
        }
    }
}

impl FromStr for Notify {
    type Err = NoValue;

    fn from_str(text: &str) -> Result<Notify, NoValue> {
        let mut notify = Notify { success: false, failure: false, delay: false };
        // §4.1: NEVER stands alone.
        if text.eq_ignore_ascii_case("NEVER") {
            return Ok(notify);
        }
        for word in text.split(',') {
            match word {
                _ if word.eq_ignore_ascii_case("SUCCESS") => notify.success = true,
                _ if word.eq_ignore_ascii_case("FAILURE") => notify.failure = true,
                _ if word.eq_ignore_ascii_case("DELAY") => notify.delay = true,
                _ => return Err(NoValue),
            }
        }
        Ok(notify)
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [(self.success, "SUCCESS"), (self.failure, "FAILURE"), (self.delay, "DELAY")];
        let words: Vec<&str> = words.into_iter().filter_map(|(asked, word)| asked.then_some(word)).collect();
        f.write_str(if words.is_empty() { "NEVER".to_owned() } else { words.join(",") }.as_str())
    }
}

impl TryFrom<String> for Notify {
    type Error = String;

    fn try_from(text: String) -> Result<Notify, String> {
        text.parse().map_err(|NoValue| format!("{text:?} is no value of NOTIFY"))
    }
}

impl From<Notify> for String {
    fn from(notify: Notify) -> String {
        notify.to_string()
    }
}

impl FromStr for Ret {
    type Err = NoValue;

    fn from_str(text: &str) -> Result<Ret, NoValue> {
        match text {
            _ if text.eq_ignore_ascii_case("FULL") => Ok(Ret::Full),
            _ if text.eq_ignore_ascii_case("HDRS") => Ok(Ret::Hdrs),
            _ => Err(NoValue),
        }
    }
}

impl fmt::Display for Ret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ret::Full => "FULL",
            Ret::Hdrs => "HDRS",
        })
    }
}

impl FromStr for OriginalRecipient {
    type Err = NoValue;

    fn from_str(text: &str) -> Result<OriginalRecipient, NoValue> {
        let (kind, address) = text.split_once(';').filter(|_| text.len() <= ORCPT_MAX).ok_or(NoValue)?;
        let is_atom = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        // RFC 6533 §3: an address of this type may stand as it is.
        let is_utf8 = kind.eq_ignore_ascii_case("utf-8") && !address.is_ascii();
        let address = if is_utf8 { address.to_owned() } else { of_xtext(address)? };
        // §4.2: printable ASCII, if it is no other.
        let is_plain = !address.is_empty() && !address.chars().any(char::is_control) && (is_utf8 || address.is_ascii());
        if is_atom && is_plain { Ok(OriginalRecipient { kind: kind.to_owned(), address }) } else { Err(NoValue) }
    }
}

impl OriginalRecipient {
    /// As a parameter's value.
    fn encoded(&self, utf8: bool) -> String {
        let address = match self.address.is_ascii() {
            true => xtext(&self.address),
            // RFC 6533 §3: unencoded within SMTPUTF8 only.
            false if utf8 => self.address.clone(),
            false => xtext(&seven_bit(&self.address)),
        };
        format!("{};{address}", self.kind)
    }

    /// As a field's value: ASCII.
    pub(crate) fn typed(&self) -> String {
        let address = if self.address.is_ascii() { self.address.clone() } else { seven_bit(&self.address) };
        format!("{}; {address}", self.kind)
    }
}

/// Reads ENVID= (§4.4): printable ASCII, decoded.
pub fn envid(value: &str) -> Result<String, NoValue> {
    let decoded = of_xtext(value).ok().filter(|_| value.len() <= ENVID_MAX && !value.is_empty()).ok_or(NoValue)?;
    if decoded.bytes().all(|b| (b' '..=b'~').contains(&b)) { Ok(decoded) } else { Err(NoValue) }
}

/// An international address in ASCII: utf-8-addr-xtext (RFC 6533 §3).
pub(crate) fn seven_bit(address: &str) -> String {
    let escaped = |c: char| match c {
        '!'..='~' if !matches!(c, '\\' | '+' | '=') => c.to_string(),
        c => format!("\\x{{{:X}}}", u32::from(c)),
    };
    address.chars().map(escaped).collect()
}

/// Encodes (§4): octets other than printable ASCII, and `+` and `=`, as `+XX`.
fn xtext(text: &str) -> String {
    let encoded = |octet: u8| match octet {
        b'!'..=b'~' if !matches!(octet, b'+' | b'=') => char::from(octet).to_string(),
        octet => format!("+{octet:02X}"),
    };
    text.bytes().map(encoded).collect()
}

/// Decodes.
fn of_xtext(text: &str) -> Result<String, NoValue> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        rest = match first {
            b'+' => {
                let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()).ok_or(NoValue)?;
                // §4: upper case.
                let is_hex = digits.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
                octets.push(u8::from_str_radix(digits, 16).ok().filter(|_| is_hex).ok_or(NoValue)?);
                &behind[2..]
            }
            b'!'..=b'~' if first != b'=' => {
                octets.push(first);
                behind
            }
            _ => return Err(NoValue),
        };
    }
    String::from_utf8(octets).map_err(|_| NoValue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notify_is_never_alone_or_a_list() {
        let rows = [
            ("NEVER", Some("NEVER")),
            ("never", Some("NEVER")),
            ("Success", Some("SUCCESS")),
            ("DELAY,failure", Some("FAILURE,DELAY")),
            ("SUCCESS,SUCCESS", Some("SUCCESS")),
            ("NEVER,FAILURE", None),
            ("FAILURE,", None),
            ("FAILURE, DELAY", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let read = text.parse::<Notify>().map(|notify| notify.to_string()).ok();
            assert_eq!(read.as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn names_are_decoded_and_come_out_as_they_came() {
        // As written, as meant, as written again with and without SMTPUTF8.
        let same = |text| (text, text);
        let rows = [
            ("rfc822;bob@d.example", Some("bob@d.example"), same("rfc822;bob@d.example")),
            // Not a letter of it is changed, nor its case (§5.2.1).
            ("rfc822;Bob.Smith@D.Example", Some("Bob.Smith@D.Example"), same("rfc822;Bob.Smith@D.Example")),
            ("RFC822;BOB@d.example", Some("BOB@d.example"), same("RFC822;BOB@d.example")),
            ("rfc822;a+2Bb+3Dc@d.example", Some("a+b=c@d.example"), same("rfc822;a+2Bb+3Dc@d.example")),
            ("x400;/C=us/", None, same("")),
            ("x400;/C+3Dus/", Some("/C=us/"), same("x400;/C+3Dus/")),
            (
                "utf-8;b\u{f6}b@d.example",
                Some("b\u{f6}b@d.example"),
                ("utf-8;b\u{f6}b@d.example", "utf-8;b\\x{F6}b@d.example"),
            ),
            ("utf-8;b\\x{F6}b@d.example", Some("b\\x{F6}b@d.example"), same("utf-8;b\\x{F6}b@d.example")),
            ("rfc822;a+2", None, same("")),
            ("rfc822;a+2b@d", None, same("")),
            ("rfc822;a+0D+0AX: y", None, same("")),
            ("rfc822;b\u{f6}b@d.example", None, same("")),
            ("utf-8;b+C3+B6b@d.example", None, same("")),
            ("rfc822;", None, same("")),
            (";bob@d.example", None, same("")),
            ("bob@d.example", None, same("")),
        ];
        for (text, meant, (utf8, ascii)) in rows {
            let read = text.parse::<OriginalRecipient>().ok();
            assert_eq!(read.as_ref().map(|orcpt| orcpt.address.as_str()), meant, "{text:?}");
            if let Some(orcpt) = read {
                assert_eq!((orcpt.encoded(true).as_str(), orcpt.encoded(false).as_str()), (utf8, ascii));
            }
        }
        assert_eq!(format!("rfc822;{}", "a".repeat(ORCPT_MAX)).parse::<OriginalRecipient>(), Err(NoValue));
        for (text, expected) in [
            ("QQ314159", Ok("QQ314159")),
            ("a+20b", Ok("a b")),
            ("a+0Ab", Err(NoValue)),
            ("", Err(NoValue)),
            ("a b", Err(NoValue)),
        ] {
            assert_eq!(envid(text).as_deref().map_err(|_| NoValue), expected, "{text:?}");
        }
        assert_eq!(envid(&"a".repeat(ENVID_MAX + 1)), Err(NoValue));
    }

    #[test]
    fn what_was_asked_for_travels_with_its_recipient() {
        let asked = |notify: &str| RecipientDsn { notify: notify.parse().ok(), orcpt: None };
        let recipients = BTreeMap::from([(1, asked("SUCCESS")), (2, asked("NEVER"))]);
        let dsn = Dsn { ret: Some(Ret::Hdrs), envid: Some("a b".into()), recipients };
        assert_eq!(dsn.mail_parameters(), " RET=HDRS ENVID=a+20b");
        let some = dsn.of([2, 0, 1]);
        let written: Vec<String> = (0..3).map(|position| some.rcpt_parameters(position, false)).collect();
        assert_eq!(written, [" NOTIFY=NEVER", "", " NOTIFY=SUCCESS"]);
        let wanted = |index| [Event::Success, Event::Failure, Event::Delay].map(|event| dsn.wants(index, event));
        assert_eq!(wanted(0), [false, true, true]);
        assert_eq!(wanted(1), [true, false, false]);
        assert_eq!(wanted(2), [false; 3]);
        let kept = serde_json::to_string(&dsn).expect("JSON");
        assert_eq!(serde_json::from_str::<Dsn>(&kept).expect("the same"), dsn);
        assert!(Dsn::default().is_empty() && !dsn.is_empty());
    }
}
