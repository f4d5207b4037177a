//! swaks, the SMTP user agent that postmasters test with, as sender. Its transcript is what the tests read.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use crate::place;

/// One run of swaks.
#[derive(Debug)]
pub struct Transcript {
    /// Everything it said, commands and replies, in order.
    pub text: String,
    /// Its exit status; 0 means that the message was accepted for every recipient asked for.
    pub status: i32,
}

/// Runs swaks with exactly these arguments.
pub fn run(args: &[&str]) -> Transcript {
    let mut swaks = Command::new(place::program("swaks"));
    let output = swaks.args(args).stdin(Stdio::null()).output().expect("swaks can be started");
    let text = [output.stdout, output.stderr].concat();
    Transcript { text: String::from_utf8_lossy(&text).into_owned(), status: output.status.code().unwrap_or(-1) }
}

/// Sends one message to `server`; `more` are further arguments (`--tls` makes STARTTLS a must).
pub fn send(server: SocketAddr, from: &str, to: &str, more: &[&str]) -> Transcript {
    let (host, port) = (server.ip().to_string(), server.port().to_string());
    let mut args = vec!["--server", &host, "--port", &port, "--ehlo", "swaks.test", "--timeout", "30"];
    args.extend(["--from", from, "--to", to]);
    args.extend(more);
    run(&args)
}

impl Transcript {
    /// Whether swaks ended well: the message was accepted.
    pub fn accepted(&self) -> bool {
        self.status == 0
    }

    /// Asserts that it was.
    #[track_caller]
    pub fn assert_accepted(&self) {
        assert!(self.accepted(), "{}", self.text);
    }

    /// What swaks sent, in clear or in TLS, line by line (the content included).
    pub fn sent(&self) -> Vec<&str> {
        self.lines(&[" ->", " ~>"])
    }

    /// What the server answered, in clear or in TLS, line by line.
    pub fn replies(&self) -> Vec<&str> {
        self.lines(&["<- ", "<~ ", "<**", "<~*"])
    }

    /// The lines the server answered in TLS.
    pub fn replies_in_tls(&self) -> Vec<&str> {
        self.lines(&["<~ ", "<~*"])
    }

    /// The first reply line that begins with `start` (a code, say `550 5.7.1`).
    ///
    /// # Panics
    /// With the transcript, if there is none.
    #[track_caller]
    pub fn reply(&self, start: &str) -> &str {
        let found = self.replies().into_iter().find(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("no reply begins with `{start}`:\n{}", self.text))
    }

    fn lines(&self, marks: &[&str]) -> Vec<&str> {
        let marked = |line: &'_ str| marks.iter().any(|mark| line.starts_with(mark));
        self.text.lines().filter(|line| marked(line)).map(|line| line[3..].trim()).collect()
    }
}
