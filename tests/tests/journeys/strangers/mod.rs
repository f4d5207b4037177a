//! Field by field: what mail and administrators write, with everything in it that might break out somewhere, looked at wherever it
//! comes out. [`BY_MAIL`] and [`BY_ADMINISTRATORS`] are all fields there are; each says what it must come out with, or that it is
//! refused, so that a field that was never seen is a failure and no proof of anything.

mod administrators;
mod mail;
mod outlets;

use outlets::Outlet;

/// What a field of free text is filled with, behind a word by which it is found: line ends, and a line that would be forged by
/// them, terminals (ESC, C1, BEL, NUL, DEL), the direction of writing, markup, JSON, TOML and quotes.
const HOSTILE: &str = "\r\nFORGED\nFORGED\rFORGED\u{1b}[2J\u{9b}31m\u{7}\u{7f}\u{202e}\u{2066}\u{2028}\
                       <script>alert(1)</script>\"\"\"'''\\\"},{\"x\":[";

/// The same as far as it can stand on one line of SMTP.
const HOSTILE_LINE: &str =
    "\u{1b}[2J\u{9b}31m\u{7}\u{7f}\u{202e}\u{2066}\u{2028}<script>alert(1)</script>\"\"\"'''\\\"},{\"x\":[";

/// The same without control characters, which some fields of one line refuse.
const HOSTILE_WORDS: &str = "\u{202e}\u{2066}\u{2028}<script>alert(1)</script>\"\"\"'''\\\"},{\"x\":[";

/// What becomes of a field's text.
#[derive(Clone, Copy, Debug)]
enum Ends {
    /// It is kept: this word of it comes out at one outlet at least, and nothing of it breaks out anywhere.
    Shown(&'static str),
    /// Whoever writes it is refused; this says so.
    Refused(&'static str),
    /// It comes out nowhere: this word is looked for at every outlet in vain. And why.
    Nowhere(&'static str, &'static str),
}
use Ends::{Nowhere, Refused, Shown};

/// Every field that a message, its client or a next hop fills. The door asks clients for no certificate.
const BY_MAIL: [(&str, Ends); 28] = [
    ("MAIL FROM", Shown("w-mailfrom")),
    ("MAIL FROM with a control character", Refused("500 5.5.2")),
    ("RCPT TO", Shown("w-rcptto")),
    ("RCPT TO with a control character", Refused("500 5.5.2")),
    ("EHLO name", Shown("w-ehlo")),
    ("EHLO name with a control character", Refused("500 5.5.2")),
    ("an unknown command", Refused("500 5.5.1")),
    ("ENVID", Shown("w-envid")),
    ("ENVID of a line end", Refused("501 5.5.4")),
    ("ORCPT", Shown("w-orcpt")),
    ("ORCPT of a line end", Refused("501 5.5.4")),
    ("AUTH identity", Nowhere("w-auth", "AUTH is not offered at the door")),
    ("header From, its mailbox", Shown("w-frombox")),
    ("header Subject", Shown("w-subject")),
    ("a header field's name", Shown("w-fieldname")),
    ("a header field's value", Shown("w-fieldvalue")),
    ("a header field of octets that are no text", Shown("w-octets")),
    ("a header field without an end", Shown("w-long")),
    ("what a policy says of a message", Shown("w-policy")),
    ("a next hop's greeting", Shown("w-banner")),
    ("a next hop's EHLO keywords", Nowhere("w-keyword", "they are held against the known ones")),
    ("a next hop's reply of several lines", Shown("w-lastline")),
    ("a next hop's 4xx", Shown("w-later")),
    ("a next hop's certificate: names", Shown("w-san")),
    ("a next hop's certificate: issuer", Shown("w-issuer")),
    ("MX host name", Nowhere("w-mxhost", "what is no name of a host is no host")),
    ("an MTA-STS policy", Nowhere("w-sts", "what is wrong with it is told in words of ours")),
    ("another's TLS report", Shown("w-organization")),
];

/// Every field that administrators fill.
const BY_ADMINISTRATORS: [(&str, Ends); 26] = [
    ("list name", Shown("w-listname")),
    ("list name of several lines", Refused("is no name of a list")),
    ("list name that is a path", Refused("is no name of a list")),
    ("list entry", Shown("w-entry")),
    ("list entry with a control character", Refused("is not an address")),
    ("entry note", Shown("w-entrynote")),
    ("entry note of several lines", Refused("its note must be one line")),
    ("entry note in a list file", Shown("w-filenote")),
    ("unit name", Refused("is no unit")),
    ("unit description", Shown("w-unit")),
    ("setting id", Refused("is no id")),
    ("setting description", Shown("w-description")),
    ("setting owner", Shown("w-owner")),
    ("setting note", Shown("w-settingnote")),
    ("exception reason", Shown("w-exception")),
    ("revision note", Shown("w-revisionnote")),
    ("hold reason", Shown("w-holdreason")),
    ("hold reason of several lines", Refused("one line")),
    ("route name", Refused("is no name")),
    ("route host", Refused("host")),
    ("administrator name", Refused("name")),
    ("token name", Refused("name")),
    ("token that is asked for", Refused("404")),
    ("login name", Shown("w-login")),
    ("path and query of a request", Shown("w-path")),
    ("header of a request", Refused("4")),
];

/// Asserts that nothing broke out at any outlet, and that what must be seen was.
#[track_caller]
fn assert_harmless(fields: &[(&str, Ends)], outlets: &[Outlet]) {
    let mut wrong: Vec<String> = outlets.iter().filter_map(Outlet::fault).collect();
    for (field, ends) in fields {
        let seen = |word: &str| outlets.iter().find(|outlet| outlet.text.contains(word));
        match ends {
            Shown(word) if seen(word).is_none() => {
                wrong.push(format!("{field}: `{word}` came out nowhere: nothing is shown"))
            }
            Nowhere(word, why) => wrong.extend(seen(word).map(|at| format!("{field}: {why}, but see {}", at.name))),
            Shown(_) | Refused(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What this field's row says it is refused with.
#[track_caller]
fn refusal_of(fields: &[(&str, Ends)], field: &str) -> &'static str {
    match fields.iter().find(|(name, _)| *name == field) {
        Some((_, Refused(words))) => words,
        other => panic!("{field} is no row that is refused: {other:?}"),
    }
}

/// The word of this field with something behind.
#[track_caller]
fn filled(fields: &[(&str, Ends)], field: &str, with: &str) -> String {
    match fields.iter().find(|(name, _)| *name == field) {
        Some((_, Shown(word) | Nowhere(word, _))) => format!("{word}{with}"),
        other => panic!("{field} is no row that is shown: {other:?}"),
    }
}
