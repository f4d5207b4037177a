//! How a next hop takes a message: behind DATA or in a chunk; and what becomes of the last 250.

use super::fault::Fault;
use super::peer::{Gone, Peer};
use super::trouble::{Kind, Stage};
use super::witness::CopySeen;

impl Peer {
    pub(super) async fn data(&mut self) -> Result<(), Gone> {
        let Some(recipients) = self.transaction.clone().filter(|recipients| !recipients.is_empty()) else {
            return self.say("503 5.5.1 RCPT first\r\n").await;
        };
        if !self.answer(Stage::Data, "354 go ahead\r\n").await? {
            return Ok(());
        }
        let mut content = Vec::new();
        loop {
            let line = self.raw_line().await?;
            if line == b".\r\n" {
                break;
            }
            content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
        self.taken(&content, recipients).await
    }

    /// RFC 3030: the relay sends one chunk, and only once somebody was accepted.
    pub(super) async fn chunk(&mut self, rest: &str) -> Result<(), Gone> {
        let octets = rest.trim().strip_suffix(" LAST").and_then(|octets| octets.parse::<usize>().ok());
        let recipients = self.transaction.clone().filter(|recipients| !recipients.is_empty());
        let (Some(octets), Some(recipients), true) = (octets, recipients, self.hop.chunking) else {
            self.scene.witness.violation(format!("{} is told BDAT{rest}", self.hop.name));
            return Err(Gone);
        };
        while self.input.len() < octets {
            self.read().await?;
        }
        let rest = self.input.split_off(octets);
        let content = std::mem::replace(&mut self.input, rest);
        self.taken(&content, recipients).await
    }

    /// All of a message has come.
    async fn taken(&mut self, content: &[u8], recipients: Vec<String>) -> Result<(), Gone> {
        self.transaction = None;
        let token = self.inspect(content, &recipients);
        let kept = match self.trouble_at(Stage::End) {
            Some(Kind::Temporary | Kind::Permanent | Kind::Goodbye) => false,
            Some(Kind::Silent) => self.is_lost(Fault::FinalReplySilent),
            Some(Kind::Hangup) => self.is_lost(Fault::FinalReplyLost),
            Some(Kind::Garbage | Kind::Overlong | Kind::Endless | Kind::Trickle) => {
                self.is_lost(Fault::FinalReplyGarbled)
            }
            _ => true,
        };
        if kept {
            self.keep(&token, recipients);
        }
        self.answer(Stage::End, "250 2.0.0 kept\r\n").await.map(drop)
    }

    fn is_lost(&self, fault: Fault) -> bool {
        self.scene.witness.struck_on(self.connection, fault);
        true
    }

    /// The message is ours now, whatever becomes of the reply.
    fn keep(&mut self, token: &str, recipients: Vec<String>) {
        let at_ms = self.scene.witness.now_ms();
        for recipient in recipients {
            self.scene.witness.note(|| format!("hop {} keeps {token} for {recipient}", self.hop.name));
            let mut seen = self.scene.witness.seen();
            self.unconfirmed.push(seen.copies.len());
            seen.copies.push(CopySeen {
                token: token.to_owned(),
                recipient,
                at_ms,
                connection: self.connection,
                by_tls: self.tls,
                confirmed: false,
            });
        }
        self.scene.copy_was_kept();
    }
}
