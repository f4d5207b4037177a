//! Where text comes out, and what must not come out of it.

use sealwire_tests::curl;
use serde_json::Value;

use super::super::scene::Scene;

/// What one command, endpoint, log, mail or reply said.
pub(super) struct Outlet {
    pub(super) name: String,
    pub(super) text: String,
    kind: Kind,
}

/// What its text is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Lines that end with LF.
    Lines,
    /// Lines that end with CR LF: SMTP, the head of a response.
    Protocol,
    /// The same, and in the parts that are words for people their lines begin wherever they had to.
    Mail,
    /// One JSON document, or one on each line.
    Json,
    Html,
    /// Cells hold what is imported again: no control character, and no formula.
    Csv,
    /// A file as it was given, which a program reads back: whatever it holds is in the form's own quotes.
    File,
}

impl Outlet {
    pub(super) fn new(name: impl Into<String>, kind: Kind, text: impl Into<String>) -> Outlet {
        Outlet { name: name.into(), kind, text: text.into() }
    }

    /// What broke out.
    pub(super) fn fault(&self) -> Option<String> {
        let Outlet { name, text, kind } = self;
        let text = match kind {
            Kind::Protocol | Kind::Mail => text.replace("\r\n", "\n").replace('\t', " "),
            _ => text.clone(),
        };
        let fault = |what: &str, line: &str| Some(format!("{name}: {what}: {line:?}"));
        let mut is_words = false;
        for line in text.split('\n') {
            let begins = line.starts_with("Content-Type: text/plain") || line.starts_with("Content-Type: text/html");
            is_words = *kind == Kind::Mail && (is_words || begins) && !line.starts_with("--");
            if line.trim_start().starts_with("FORGED") && !is_words && *kind != Kind::File {
                return fault("a line of a stranger's", line);
            }
            if *kind != Kind::File && line.chars().any(|c| speaks(c) && (*kind != Kind::Csv || c.is_control())) {
                return fault("a character that does something", line);
            }
            if *kind == Kind::Html && line.to_ascii_lowercase().contains("<script") {
                return fault("markup of a stranger's", line);
            }
            if *kind == Kind::Csv && cells(line).iter().any(|cell| cell.starts_with(['=', '+', '-', '@', '\u{ff1d}'])) {
                return fault("a formula", line);
            }
        }
        let is_json = || text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok());
        if *kind == Kind::Json && serde_json::from_str::<Value>(&text).is_err() && !is_json() {
            return fault("no JSON", &text);
        }
        None
    }
}

/// Whether it does something where it is shown; written down here once more, lest the relay's own table be wrong.
fn speaks(c: char) -> bool {
    let turns =
        ['\u{61c}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}'];
    let more = ['\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}'];
    c.is_control() || turns.contains(&c) || more.contains(&c)
}

/// The cells of a line as a spreadsheet takes them.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' | ';' | '\t' if !quoted => cells.push(String::new()),
            c => cells.last_mut().expect("there is one").push(c),
        }
    }
    cells
}

/// Commands that are good without further words; `ID` is a message's, `MONTH` the current one, `LIST` a list's.
const COMMANDS: [&str; 24] = [
    "status",
    "log --limit 1000",
    "queue list",
    "queue show ID",
    "explain ID",
    "audit list --limit 1000",
    "audit show 2",
    "audit verify",
    "settings show",
    "settings revisions",
    "settings undo --to 99",
    "address-list list",
    "address-list show LIST",
    "unit list",
    "unit show root",
    "setting list",
    "setting show partners",
    "route list",
    "downgrades list",
    "tls-reports list",
    "token list",
    "admin list",
    "evidence partner.test --month MONTH",
    "tls-test bob@named.test",
];

/// Endpoints that answer a GET.
const ENDPOINTS: [&str; 17] = [
    "status",
    "log?limit=1000",
    "queue?limit=1000",
    "queue/ID",
    "audit?limit=1000",
    "model",
    "settings",
    "settings/revisions",
    "lists/LIST/entries",
    "downgrades",
    "tls-reports",
    "tokens",
    "admins",
    "jobs",
    "me",
    "queue/w-path%0d%0aFORGED:%20x%1b%5b2J%c2%9b%e2%80%ae%3cscript%3e",
    "log?message=w-path%0d%0aFORGED:%20x%1b%5b2J%c2%9b%e2%80%ae%3cscript%3e",
];

/// Everything that is shown of this relay, to whoever looks; `id` is a message's, `list` a list's.
#[track_caller]
pub(super) fn of(scene: &Scene, url: &str, authorization: &str, id: &str, list: &str) -> Vec<Outlet> {
    let month =
        &sealwire_core::time::rfc3339(scene.log(&[])[0]["at_ms"].as_u64().expect("a time of the ledger") / 1000)[..7];
    let mut outlets = Vec::new();
    for command in COMMANDS {
        let word = |word: &str| match word {
            "ID" => id.to_owned(),
            "MONTH" => month.to_owned(),
            "LIST" => list.to_owned(),
            word => word.to_owned(),
        };
        let words: Vec<String> = command.split(' ').map(word).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = scene.relay.run(&words);
        let kind = match words[0] {
            "evidence" => Kind::Json,
            // Standard output is no terminal here: the document comes as it was written.
            "settings" if words[1] == "show" => Kind::File,
            _ => Kind::Lines,
        };
        outlets.push(Outlet::new(command, kind, said.out));
        outlets.push(Outlet::new(format!("{command}, standard error"), Kind::Lines, said.err));
        let said = scene.relay.run(&[&words[..], &["--json"]].concat());
        outlets.push(Outlet::new(format!("{command} --json"), Kind::Json, said.out));
    }
    let more: [(&str, Kind, &[&str]); 4] = [
        ("evidence --html", Kind::Html, &["evidence", "partner.test", "--month", month, "--html"]),
        ("address-list export --csv", Kind::Csv, &["address-list", "export", list, "--csv"]),
        ("address-list export", Kind::File, &["address-list", "export", list]),
        ("audit export", Kind::Json, &["audit", "export"]),
    ];
    for (name, kind, words) in more {
        let said = scene.relay.run(words);
        outlets.push(Outlet::new(name, kind, said.out));
        outlets.push(Outlet::new(format!("{name}, standard error"), Kind::Lines, said.err));
    }
    for endpoint in ENDPOINTS {
        let path = endpoint.replace("ID", id).replace("LIST", &percent(list));
        let answer = curl::ask(&["-H", authorization, "--path-as-is", &format!("{url}/api/v1/{path}")]);
        outlets.push(Outlet::new(format!("the head of GET {endpoint}"), Kind::Protocol, answer.head));
        outlets.push(Outlet::new(format!("GET {endpoint}"), Kind::Json, answer.body));
    }
    outlets.push(Outlet::new("the relay's log", Kind::Lines, scene.relay.log()));
    outlets.push(Outlet::new("/metrics", Kind::Protocol, scene.metrics()));
    for (number, message) in scene.home.messages().into_iter().enumerate() {
        outlets.push(Outlet::new(format!("message {number} to senders"), Kind::Mail, message.data));
    }
    outlets
}

fn percent(text: &str) -> String {
    text.bytes().map(|octet| format!("%{octet:02X}")).collect()
}
