//! Transcripts of a document: commands as a reader would copy them, run in one shell, and what the document says they answer.
//!
//! A transcript is the code below a heading: a line that begins with `$ ` is a command, with the lines that it needs to end (a
//! backslash, a here-document); what follows is its answer. A line `...` stands for any lines. Times and ids are compared by their form.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use crate::{place, relay, wait};

/// Ends the answer to a command.
const END: &str = "end-of-answer";

/// One command and what is said to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// As it is copied.
    pub command: String,
    /// What the document says.
    pub answer: Vec<String>,
}

/// The code below this heading, up to the next.
///
/// # Panics
/// Where there is no such heading, or a line of the code belongs to no command.
#[track_caller]
pub fn steps(document: &str, heading: &str) -> Vec<Step> {
    let below = document.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no heading `{heading}`")).1;
    let mut lines = below.lines().take_while(|line| !line.starts_with('#')).peekable();
    let mut steps: Vec<Step> = Vec::new();
    while let Some(line) = lines.next() {
        let Some(code) = line.strip_prefix("    ") else { continue };
        let Some(command) = code.strip_prefix("$ ") else {
            let step = steps.last_mut().unwrap_or_else(|| panic!("`{code}` answers no command"));
            step.answer.push(code.to_owned());
            continue;
        };
        let mut command = command.to_owned();
        let ends = command.contains("<<'END'");
        while command.ends_with('\\') || (ends && !command.ends_with("\nEND")) {
            let more = lines.next().unwrap_or_else(|| panic!("`{command}` does not end"));
            command.push('\n');
            command.push_str(more.strip_prefix("    ").unwrap_or(more));
        }
        steps.push(Step { command, answer: Vec::new() });
    }
    steps
}

/// Whether these lines are what the document says, but for times and ids, and for any lines where it says `...`.
pub fn is_said(expected: &[String], said: &[String]) -> bool {
    match expected {
        [] => said.is_empty(),
        [any, rest @ ..] if any == "..." => (0..=said.len()).any(|skipped| is_said(rest, &said[skipped..])),
        [line, rest @ ..] => said.first().is_some_and(|first| form(first) == form(line)) && is_said(rest, &said[1..]),
    }
}

/// The line with every digit of a time, of a long word such as an id, and of seconds since the epoch as `0`.
fn form(line: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in line.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '_') {
            word.push(c);
            continue;
        }
        // Of JSON: what parts a name from its number.
        let colons = word.len() - word.trim_start_matches(':').len();
        out.push_str(&word[..colons]);
        word.drain(..colons);
        let is_time = word.len() == 20 && word.ends_with('Z') && word.as_bytes()[10] == b'T';
        let has_digit = word.contains(|c: char| c.is_ascii_digit());
        let is_id = word.len() >= 10 && has_digit && !word.contains(':') && !word.contains('-');
        out.push_str(if is_time || is_id { "0" } else { &word });
        word.clear();
        out.push(c);
    }
    out.trim_end().to_owned()
}

/// The text with each whole number that is called otherwise by its other name: one port may hold another's digits.
fn numbers<'a>(text: &str, other: impl Fn(&str) -> Option<&'a String>) -> String {
    let is_digit = |c: char| c.is_ascii_digit();
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(is_digit) {
        let number = &rest[at..];
        let number = &number[..number.find(|c| !is_digit(c)).unwrap_or(number.len())];
        out.push_str(&rest[..at]);
        out.push_str(other(number).map_or(number, String::as_str));
        rest = &rest[at + number.len()..];
    }
    out + rest
}

/// A shell in a folder of its own, with this `sealwire` first on its path.
#[derive(Debug)]
pub struct Shell {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    /// What the document calls it, and what it is here.
    called: Vec<(String, String)>,
}

impl Shell {
    /// bash in this folder; of `called`, the first stands in the document, the second is meant here.
    pub fn start(folder: &Path, called: &[(&str, String)]) -> Shell {
        let binary = relay::binary();
        let beside = binary.parent().expect("a binary stands in a folder").display();
        let path = format!("{beside}:{}", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new(place::program("bash"));
        command.args(["--norc", "-s"]).current_dir(folder).env("PATH", path).env("HOME", folder).env("TZ", "UTC");
        for unwanted in ["SEALWIRE_CONFIG", "SEALWIRE_SOCKET", "RUST_LOG"] {
            command.env_remove(unwanted);
        }
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = piped.expect("bash can be started");
        let mut input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        // Whatever goes to standard error is part of the answer; what runs in the background ends with the shell.
        writeln!(input, "exec 2>&1; trap 'kill $(jobs -p) 2> /dev/null' EXIT").expect("bash reads");
        let called = called.iter().map(|(in_document, here)| ((*in_document).to_owned(), here.clone())).collect();
        Shell { child, input, lines, called }
    }

    /// Runs the command and gives its answer, as the document would have it.
    #[track_caller]
    pub fn run(&mut self, command: &str) -> Vec<String> {
        let meant =
            numbers(command, |number| self.called.iter().find(|(called, _)| called == number).map(|(_, here)| here));
        writeln!(self.input, "{meant}\necho {END}").expect("bash reads");
        let mut said = Vec::new();
        loop {
            let line = self.lines.recv_timeout(wait::PATIENCE * 2);
            let line = line.unwrap_or_else(|why| panic!("{command}: {why}; it has said {said:#?}"));
            if line == END {
                return said;
            }
            said.push(numbers(&line, |number| {
                self.called.iter().find(|(_, here)| here == number).map(|(called, _)| called)
            }));
        }
    }

    /// Runs the step and asserts its answer. What only looks is repeated until it sees what is to be seen.
    #[track_caller]
    pub fn follow(&mut self, step: &Step) {
        let looks = ["sealwire log", "sealwire status", "sealwire check", "curl -s -H \"$A\" \"$API/log?"];
        let may_wait = looks.iter().any(|look| step.command.starts_with(look));
        let mut said = self.run(&step.command);
        let deadline = std::time::Instant::now() + wait::PATIENCE;
        while may_wait && !is_said(&step.answer, &said) && std::time::Instant::now() < deadline {
            std::thread::yield_now();
            said = self.run(&step.command);
        }
        let (command, expected) = (&step.command, step.answer.join("\n"));
        assert!(
            is_said(&step.answer, &said),
            "$ {command}\n{}\n---- but the document says\n{expected}",
            said.join("\n")
        );
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ended = writeln!(self.input, "exit");
        let _status = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\n## One\nwords\n\n    $ a \\\n        b\n    said\n    $ cat <<'END'\n    x\n\n    y\n    END\n\n## Two\n    $ c\n";

    #[test]
    fn commands_are_read_with_their_answers() {
        let steps = steps(DOCUMENT, "## One");
        let commands: Vec<&str> = steps.iter().map(|step| step.command.as_str()).collect();
        assert_eq!(commands, ["a \\\n    b", "cat <<'END'\nx\n\ny\nEND"]);
        assert_eq!((steps[0].answer.as_slice(), steps[1].answer.len()), (&["said".to_owned()][..], 0));
    }

    #[test]
    fn times_and_ids_may_differ_and_words_may_not() {
        let lines = |text: &str| text.lines().map(ToOwned::to_owned).collect::<Vec<_>>();
        let rows = [
            (
                "2026-11-25T19:19:55Z  01m8a2cxvh6p0jt4f289  to a@b",
                "2027-01-01T00:00:00Z  01zzzzzzzzzzzzzzzz00  to a@b",
                true,
            ),
            ("revision 1", "revision 2", false),
            ("a\n...\nd", "a\nb\nc\nd", true),
            ("a\n...\nd", "a\nb\nc", false),
            ("550 5.7.10 no", "550 5.7.1 no", false),
            ("a", "a\nb", false),
            ("\"at\":1795634276,", "\"at\":1795639999,", true),
        ];
        for (expected, said, fits) in rows {
            assert_eq!(is_said(&lines(expected), &lines(said)), fits, "{expected}: {said}");
        }
    }
}
