//! `audit`: the audit log: list, show, verify, export.
//!
//! What administrators and strangers wrote stands in it; for people it is printed with control characters escaped, so that no
//! entry can look like two, nor speak to the terminal.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use sealwire_admin::{Client, query};
use sealwire_core::audit::{AuditLine, AuditResult, Head, NewAudit, Verified, Walk};
use sealwire_core::time::rfc3339;
use sealwire_core::visible::visible_json;
use sealwire_relay::config::values::seconds;
use serde::{Deserialize, Serialize};

use crate::args::Place;
use crate::failure::Failure;
use crate::output::{Output, Tone, now};

/// Entries asked for at once where all are wanted.
const AT_ONCE: usize = 1000;

#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  sealwire audit list --since 7d
  sealwire audit list --by ann --action settings-apply
  sealwire audit show 17
  sealwire audit verify --head 17:9f86d081884c7d65...
  sealwire audit export --output audit.jsonl
  sealwire audit verify --file audit.jsonl")]
pub(crate) enum Audit {
    /// List entries, the last hundred unless told otherwise
    List(List),
    /// Show one entry whole
    Show {
        /// Its number, as in the list
        #[arg(value_name = "NUMBER")]
        number: u64,
    },
    /// Walk along the whole log, or along an export, and tell what was changed, removed or put in
    Verify {
        /// An export instead of the running relay's log
        #[arg(long, value_name = "EXPORT")]
        file: Option<PathBuf>,
        /// A head that was kept elsewhere: tells an end that was cut off, and a log that was written anew
        #[arg(long, value_name = "NUMBER:HASH")]
        head: Option<Head>,
    },
    /// Write all entries, one JSON document on a line, each with its number and hash
    Export {
        /// Only what is younger than this, such as 5m, 1h or 30d
        #[arg(long, value_name = "AGE", value_parser = seconds)]
        since: Option<u64>,
        /// Instead of standard output; must not exist yet
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Args)]
pub(crate) struct List {
    /// Part of who did it
    #[arg(long)]
    by: Option<String>,
    /// What was done: settings-apply, reload, queue-hold...
    #[arg(long)]
    action: Option<String>,
    /// Part of what it touched
    #[arg(long)]
    object: Option<String>,
    /// Part of the entry as it is written, JSON
    #[arg(long)]
    text: Option<String>,
    /// Only what is younger than this, such as 90s, 5m, 1h or 2d
    #[arg(long, value_name = "AGE", value_parser = seconds)]
    since: Option<u64>,
    /// Only what is older than this
    #[arg(long, value_name = "AGE", value_parser = seconds)]
    until: Option<u64>,
    /// Only entries behind this one
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
    /// At most so many: the last, or with --after the first
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

/// First line of an export: what its first entry follows.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Beginning {
    anchor: Head,
}

impl Audit {
    pub(crate) async fn run(self, place: &Place, output: &Output) -> Result<ExitCode, Failure> {
        match self {
            Audit::List(list) => list.run(&place.client()?, output).await?,
            Audit::Show { number } => show(&place.client()?, number, output).await?,
            Audit::Verify { file, head } => {
                let verified = match file {
                    Some(file) => walk(&file, head)?,
                    None => {
                        let head = head.map(|head| ("head", head.to_string()));
                        place.client()?.get(&query("/v1/audit/verify", head)).await?
                    }
                };
                output.either(&verified, |verified| tell(verified, output));
                let whole = verified.faults_in_all == 0;
                return Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            Audit::Export { since, output: file } => {
                let client = place.client()?;
                match file {
                    Some(path) => {
                        let failed = |error| format!("{}: {error}", path.display());
                        let mut file = File::create_new(&path).map_err(failed)?;
                        export(&client, since, &mut file).await?;
                        file.sync_all().map_err(failed)?;
                    }
                    None => export(&client, since, &mut std::io::stdout()).await?,
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    async fn run(self, client: &Client, output: &Output) -> Result<(), Failure> {
        let ago = |age: Option<u64>| age.map(|age| (now().saturating_sub(age) * 1000).to_string());
        let pairs = [
            ("by", self.by),
            ("action", self.action),
            ("object", self.object),
            ("text", self.text),
            ("since-ms", ago(self.since)),
            ("until-ms", ago(self.until)),
            ("after", self.after.map(|after| after.to_string())),
            ("limit", Some(self.limit.to_string())),
            ("last", Some(self.after.is_none().to_string())),
        ];
        let path = query("/v1/audit", pairs.into_iter().filter_map(|(key, value)| Some((key, value?))));
        let lines: Vec<AuditLine> = client.get(&path).await?;
        output.either(&lines, |lines| {
            lines.iter().for_each(|line| output.line(in_words(line)));
        });
        Ok(())
    }
}

/// One entry on one line.
fn in_words(line: &AuditLine) -> String {
    let record = match line.record() {
        Ok(record) => record,
        Err(why) => return format!("{}  {why}", line.number),
    };
    let NewAudit { at_ms, by, from, action, object, note, revision, generation, result, .. } = &record;
    let object = if object.is_empty() { String::new() } else { format!(" {object}") };
    let revision = revision.map(|revision| format!(", revision {revision}")).unwrap_or_default();
    let generation = generation.map(|generation| format!(", generation {generation}")).unwrap_or_default();
    let result = match result {
        AuditResult::Done => String::new(),
        AuditResult::Refused { reason } => format!("; refused: {reason}"),
    };
    let note = if note.is_empty() { String::new() } else { format!("; {note:?}") };
    let words = format!("{action}{object}  by {by}, {from}{revision}{generation}{note}{result}");
    format!("{}  {}  {words}", line.number, rfc3339(at_ms / 1000))
}

async fn show(client: &Client, number: u64, output: &Output) -> Result<(), Failure> {
    let asked = [("after", number.saturating_sub(1).to_string()), ("limit", "1".to_owned())];
    let lines: Vec<AuditLine> = client.get(&query("/v1/audit", asked)).await?;
    let line = lines.into_iter().find(|line| line.number == number);
    let line =
        line.ok_or_else(|| format!("the audit log has no entry {number}; `sealwire audit list` has the last"))?;
    output.value(&line);
    Ok(())
}

fn tell(verified: &Verified, output: &Output) {
    let Verified { first, last, entries, head, faults, faults_in_all } = verified;
    match (first, last) {
        (Some(first), Some(last)) => output.line(format!("{entries} entries, {first} to {last}")),
        _ => output.line("no entries"),
    }
    output.line(format!("head {head}"));
    faults.iter().for_each(|fault| output.toned(Tone::Bad, &fault.to_string()));
    match faults_in_all {
        0 => output.toned(Tone::Good, "one whole chain"),
        all if *all > faults.len() as u64 => output.line(format!("and {} faults more", all - faults.len() as u64)),
        _ => {}
    }
}

/// Writes from the first entry that is asked for to the last that there is, without a gap.
async fn export(client: &Client, since: Option<u64>, to: &mut impl Write) -> Result<(), Failure> {
    let failed = |error: std::io::Error| format!("the export cannot be written: {error}");
    let next = async |pairs: Vec<(&str, String)>| client.get::<Vec<AuditLine>>(&query("/v1/audit", pairs)).await;
    let mut at: Head = client.get("/v1/audit/anchor").await?;
    if let Some(age) = since {
        let since_ms = (now().saturating_sub(age) * 1000).to_string();
        let first = next(vec![("since-ms", since_ms), ("limit", "1".to_owned())]).await?;
        let before = first.first().map_or(u64::MAX, |line| line.number - 1);
        if before > at.number {
            // What the first one follows is the last before it; of none, the log's end.
            let limit = ("limit", "1".to_owned());
            let behind = match first.first() {
                Some(_) => next(vec![("after", (before - 1).to_string()), limit]).await?,
                None => next(vec![("last", "true".to_owned()), limit]).await?,
            };
            at = behind.first().map_or(at, AuditLine::head);
        }
    }
    let beginning = serde_json::to_string(&Beginning { anchor: at }).map_err(|error| error.to_string())?;
    writeln!(to, "{beginning}").map_err(failed)?;
    loop {
        let lines = next(vec![("after", at.number.to_string()), ("limit", AT_ONCE.to_string())]).await?;
        let Some(last) = lines.last() else { return to.flush().map_err(|error| failed(error).into()) };
        at = last.head();
        for line in &lines {
            let line = serde_json::to_string(line).map_err(|error| error.to_string())?;
            writeln!(to, "{}", visible_json(&line)).map_err(failed)?;
        }
    }
}

/// Walks along an export.
fn walk(path: &Path, told: Option<Head>) -> Result<Verified, Failure> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut lines = BufReader::new(File::open(path).map_err(|error| failed(&error))?).lines();
    let first = lines.next().transpose().map_err(|error| failed(&error))?.unwrap_or_default();
    let begins: Beginning = serde_json::from_str(&first)
        .map_err(|_| failed(&"is no export of the audit log; make one with `sealwire audit export`"))?;
    let mut walk = Walk::of_part(begins.anchor, told);
    for (number, line) in (2..).zip(lines) {
        let line = line.map_err(|error| failed(&error))?;
        let line = serde_json::from_str(&line)
            .map_err(|error| failed(&format!("line {number} is no entry of an audit log: {error}")))?;
        walk.step(&line);
    }
    Ok(walk.end())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn an_entry_is_one_line_whatever_stands_in_it() {
        let record = NewAudit {
            at_ms: 1_795_511_100_000,
            by: "ann\n18  2026-11-24T09:05:00Z  reload".into(),
            from: "socket\u{1b}[2J".into(),
            action: "queue-hold".into(),
            object: "entry \u{202e}e1\u{2028}".into(),
            before: Value::Null,
            after: Value::Null,
            note: "\"why\"\r\n".into(),
            revision: None,
            generation: Some(3),
            result: AuditResult::Refused { reason: "no\tsuch\u{7f}".into() },
        };
        let line = AuditLine { number: 17, hash: [0; 32], text: record.text().expect("JSON") };
        let expected = concat!(
            r"17  2026-11-24T09:05:00Z  queue-hold entry \u{202e}e1\u{2028}  by ann\n18  2026-11-24T09:05:00Z  reload, ",
            r#"socket\u{1b}[2J, generation 3; "\"why\"\r\n"; refused: no\tsuch\u{7f}"#
        );
        assert_eq!(sealwire_core::visible::visible(&in_words(&line)), expected, "as Output writes it");
    }

    #[test]
    fn an_export_is_walked_without_a_relay() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.jsonl");
        let whole = include_str!("audit/export.jsonl");
        let verify = |text: &str, head: Option<&str>| {
            std::fs::write(&path, text).expect("written");
            walk(&path, head.map(|head| head.parse().expect("a head"))).map(|verified| {
                let faults: Vec<_> = verified.faults.iter().map(ToString::to_string).collect();
                (verified.entries, faults.join("; "))
            })
        };
        let head = {
            std::fs::write(&path, whole).expect("written");
            walk(&path, None).expect("an export").head.to_string()
        };
        let without_last = whole.trim_end().rsplit_once('\n').expect("lines").0;
        let rows = [
            (whole.to_owned(), Some(head.as_str()), (3, "")),
            (whole.replace(",\"", " ,  \""), None, (3, "")),
            (whole.replace("\"by\":\"ann", "\"by\":\"bob"), None, (3, "entry 5 does not follow")),
            (without_last.to_owned(), None, (2, "")),
            (without_last.to_owned(), Some(&head), (2, "entry 6 is missing")),
        ];
        for (text, head, (entries, fault)) in rows {
            let (found, faults) = verify(&text, head).expect("an export");
            assert_eq!(found, entries, "{text}");
            assert!(faults.starts_with(fault) && faults.is_empty() == fault.is_empty(), "{text}: {faults}");
        }
        for wrong in ["", "{}", "{\"anchor\": \"0\"}", &whole.replace("record", "recorded")] {
            assert!(verify(wrong, None).is_err(), "{wrong}");
        }
    }
}
