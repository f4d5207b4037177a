//! One connection of a next hop: an SMTP server that keeps to its nature, unless chance has it misbehave.
//!
//! It says what it saw to the witness, and it is where mail that must not travel in clear would be seen to do so.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

use super::chance::Chance;
use super::fault::Fault;
use super::hop::{DANE, Demands, Hop, Nature, STS, VAULT, demands};
use super::scene::Scene;
use super::trouble::{Kind, Stage, Trouble};
use super::witness::ChannelSeen;

/// Octets in both directions.
pub(super) trait Octets: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Octets for T {}

/// The connection has ended.
pub(super) struct Gone;

impl From<std::io::Error> for Gone {
    fn from(_: std::io::Error) -> Gone {
        Gone
    }
}

pub(super) struct Peer {
    pub(super) scene: Arc<Scene>,
    pub(super) hop: Hop,
    pub(super) connection: usize,
    chance: Chance,
    pub(super) octets: Box<dyn Octets>,
    pub(super) input: Vec<u8>,
    pub(super) tls: bool,
    trouble: Option<Trouble>,
    pub(super) transaction: Option<Vec<String>>,
    /// Copies whose 250 the relay has not shown to have heard.
    pub(super) unconfirmed: Vec<usize>,
}

/// Serves one connection to its end.
pub(super) async fn serve(scene: Arc<Scene>, hop: Hop, connection: usize, chance: Chance, stream: DuplexStream) {
    let trouble = scene.strikes(&chance, scene.odds.replies).then(|| Trouble::draw(&chance));
    let mut peer = Peer {
        scene,
        hop,
        connection,
        chance,
        octets: Box::new(stream),
        input: Vec::new(),
        tls: false,
        trouble,
        transaction: None,
        unconfirmed: Vec::new(),
    };
    let _ended = peer.session().await;
}

impl Peer {
    async fn session(&mut self) -> Result<(), Gone> {
        let greeting = format!("220 {} ready\r\n", self.hop.name);
        let mut welcome = self.answer(Stage::Greeting, &greeting).await?;
        loop {
            let line = self.line().await?;
            let (verb, rest) = line.split_at(line.find([' ', ':']).unwrap_or(line.len()));
            self.scene.witness.note(|| format!("hop {} #{} < {line}", self.hop.name, self.connection));
            match verb.to_ascii_uppercase().as_str() {
                "QUIT" => return self.say("221 2.0.0 bye\r\n").await,
                _ if !welcome => self.say("503 5.5.1 not welcome\r\n").await?,
                "EHLO" => self.ehlo().await?,
                "HELO" => {
                    self.see(ChannelSeen::NotOffered);
                    self.say("250 hello\r\n").await?;
                }
                "STARTTLS" => self.starttls().await?,
                "MAIL" => {
                    self.not_pipelined();
                    if self.answer(Stage::Mail, "250 2.1.0 sender\r\n").await? {
                        self.transaction = Some(Vec::new());
                    }
                }
                "RCPT" => self.rcpt(rest).await?,
                "DATA" => self.data().await?,
                "BDAT" => self.chunk(rest).await?,
                "RSET" => {
                    self.transaction = None;
                    self.answer(Stage::Other, "250 2.0.0 reset\r\n").await?;
                }
                _ => self.say("500 5.5.1 what?\r\n").await?,
            }
            welcome = true;
        }
    }

    async fn ehlo(&mut self) -> Result<(), Gone> {
        let starttls = self.hop.nature != Nature::Clear && !self.tls;
        // One that is heard in clear and must be forgotten behind STARTTLS (H10).
        let pipelining = self.hop.pipelining || starttls;
        let mut text = format!("250-{}\r\n250-8BITMIME\r\n", self.hop.name);
        let offers = [
            (starttls, "STARTTLS"),
            (pipelining, "PIPELINING"),
            (self.hop.requiretls, "REQUIRETLS"),
            (self.hop.chunking, "CHUNKING"),
            (self.hop.dsn, "DSN"),
        ];
        for (offered, keyword) in offers {
            if offered {
                text.push_str(&format!("250-{keyword}\r\n"));
            }
        }
        text.push_str("250 SIZE 10000000\r\n");
        if self.answer(Stage::Ehlo, &text).await? && !self.tls {
            self.see(if starttls { ChannelSeen::Offered } else { ChannelSeen::NotOffered });
        }
        Ok(())
    }

    async fn starttls(&mut self) -> Result<(), Gone> {
        match self.trouble_at(Stage::StartTls) {
            Some(Kind::Broken) => return self.break_handshake(Some(Fault::HandshakeBroken)).await,
            Some(Kind::Injected) => return self.inject(Some(Fault::InjectedBehind220)).await,
            _ => {}
        }
        match self.hop.nature {
            Nature::Breaks => return self.break_handshake(None).await,
            Nature::Injects => return self.inject(None).await,
            Nature::Defers => {
                self.see(ChannelSeen::Deferred);
                return self.say("454 4.7.0 TLS not available now\r\n").await;
            }
            Nature::Refuses => {
                self.see(ChannelSeen::Refused);
                return self.say("502 5.5.1 no TLS here\r\n").await;
            }
            Nature::Clear | Nature::Tls | Nature::WrongName | Nature::SelfSigned => {}
        }
        if !self.answer(Stage::StartTls, "220 2.0.0 go ahead\r\n").await? {
            return Ok(());
        }
        let clear = std::mem::replace(&mut self.octets, Box::new(tokio::io::empty()));
        let secured = self.scene.shared.hop_acceptor(self.hop.nature).accept(clear).await?;
        self.octets = Box::new(secured);
        self.input.clear();
        self.transaction = None;
        self.tls = true;
        self.see(ChannelSeen::Secured);
        Ok(())
    }

    async fn break_handshake(&mut self, fault: Option<Fault>) -> Result<(), Gone> {
        self.strike(fault);
        self.see(ChannelSeen::Broken);
        self.say("220 2.0.0 go ahead\r\n").await?;
        let mut hello = [0; 16];
        self.octets.read_exact(&mut hello).await?;
        self.say("502 what is this?\r\n").await?;
        self.octets.shutdown().await?;
        Err(Gone)
    }

    async fn inject(&mut self, fault: Option<Fault>) -> Result<(), Gone> {
        self.strike(fault);
        self.see(ChannelSeen::Broken);
        self.say("220 2.0.0 go ahead\r\n250-injected\r\n250 PIPELINING\r\n").await?;
        // Whoever goes on has not noticed; whoever has, hangs up.
        let mut next = [0; 1];
        self.octets.read_exact(&mut next).await?;
        Err(Gone)
    }

    async fn rcpt(&mut self, rest: &str) -> Result<(), Gone> {
        self.not_pipelined();
        let recipient = between(rest, '<', '>');
        let domain = recipient.rsplit('@').next().unwrap_or_default();
        // What is published holds for its own hosts; by the vault goes what came with a policy's word.
        if self.hop.name != VAULT || ![DANE, STS].contains(&domain) {
            self.demand(demands(domain), &recipient);
        }
        if rest.contains(" NOTIFY=") && !self.hop.dsn {
            self.scene.witness.violation(format!("{} is spoken to of DSN: {rest}", self.hop.name));
        }
        if self.transaction.is_none() {
            return self.say("503 5.5.1 MAIL first\r\n").await;
        }
        if self.answer(Stage::Rcpt, "250 2.1.5 recipient\r\n").await?
            && let Some(recipients) = &mut self.transaction
        {
            recipients.push(recipient);
        }
        Ok(())
    }

    /// Whose message it is, and whether it may come here and is whole.
    pub(super) fn inspect(&self, content: &[u8], recipients: &[String]) -> String {
        let text = String::from_utf8_lossy(content);
        let header = text.split("\r\n\r\n").next().unwrap_or_default();
        let field = |name: &str| {
            let line = header.lines().find(|line| line.to_ascii_lowercase().starts_with(name));
            line.map(|line| between(line, '<', '>'))
        };
        let token = field("message-id:").unwrap_or_default();
        let seen = self.scene.witness.seen();
        let (submission, original) =
            (seen.submissions.get(&token), field("in-reply-to:").and_then(|id| seen.submissions.get(&id)));
        let mut wrong = Vec::new();
        let mut demanded = Demands::default();
        if let Some(submission) = submission {
            if !content.ends_with(&submission.content) {
                wrong.push(format!("{token} is not what was given"));
            }
            if !recipients.iter().all(|recipient| submission.recipients.contains(recipient)) {
                wrong.push(format!("{token} goes to {recipients:?}, meant were {:?}", submission.recipients));
            }
            let words = || submission.subject.split(' ');
            // RFC 8689; the null sender's goes by TLS.
            if submission.required && submission.sender.is_some() {
                demanded = Demands { tls: true, chain: true, name: true };
                if !self.hop.requiretls || !self.hop.is_proven() {
                    wrong.push(format!("{token} came with REQUIRETLS and goes to {}", self.hop.name));
                }
            }
            demanded.tls |= submission.required;
            demanded.tls |= words().any(|word| word == "tls") || words().any(|word| word.starts_with("take:"));
        } else if let Some(original) = original {
            // H6.
            demanded.tls = original.by_tls;
            if recipients.iter().any(|recipient| Some(recipient) != original.sender.as_ref()) {
                wrong.push(format!("a report on mail of {:?} goes to {recipients:?}", original.sender));
            }
        } else {
            wrong.push(format!("nobody gave {token:?}"));
        }
        demanded.tls |= self.hop.name == VAULT;
        drop(seen);
        wrong.into_iter().for_each(|what| self.scene.witness.violation(what));
        self.demand(demanded, &token);
        token
    }

    /// No MAIL without a permit (H2): what is on its way here must be met by this channel.
    fn demand(&self, demanded: Demands, what: &str) {
        // The host that the policy does not list is sent no mail at all.
        if self.hop.name == format!("mx2.{STS}") || !demanded.met_by(self.tls, self.hop.nature) {
            let channel = if self.tls { "TLS" } else { "clear" };
            let Hop { name, nature, .. } = &self.hop;
            self.scene.witness.violation(format!("{what} comes to {name} ({nature:?}) in {channel}: {demanded:?}"));
        }
    }

    fn not_pipelined(&self) {
        if self.tls && !self.hop.pipelining && !self.input.is_empty() {
            self.scene.witness.violation("what EHLO said in clear was remembered under TLS".into());
        }
    }

    fn see(&self, channel: ChannelSeen) {
        self.scene.witness.seen().connections[self.connection].channel = channel;
    }

    fn strike(&mut self, fault: Option<Fault>) {
        if let Some(fault) = fault {
            self.trouble = None;
            self.scene.witness.struck_on(self.connection, fault);
        }
    }

    pub(super) fn trouble_at(&self, stage: Stage) -> Option<Kind> {
        let trouble = self.trouble.as_ref().filter(|trouble| trouble.stage == stage && !self.scene.is_calm());
        trouble.map(|trouble| trouble.kind)
    }

    /// Says `text`, or what chance puts in its place. False: a refusal was said instead.
    pub(super) async fn answer(&mut self, stage: Stage, text: &str) -> Result<bool, Gone> {
        let Some(kind) = self.trouble_at(stage) else {
            self.say(text).await?;
            return Ok(true);
        };
        self.strike(kind.fault(stage));
        self.trouble = None;
        match kind {
            Kind::Delay => {
                tokio::time::sleep(Duration::from_secs(1 + self.chance.below(100))).await;
                self.say(text).await?;
                return Ok(true);
            }
            Kind::Silent => tokio::time::sleep(Duration::from_secs(3_600)).await,
            Kind::Trickle => {
                for octet in text.bytes() {
                    tokio::time::sleep(Duration::from_secs(45)).await;
                    self.octets.write_all(&[octet]).await?;
                }
                tokio::time::sleep(Duration::from_secs(3_600)).await;
            }
            Kind::Garbage => self.say("\0\u{7f}25\r\n\r\nok\r\n").await?,
            Kind::Overlong => self.say(&"2".repeat(50_000)).await?,
            Kind::Endless => self.say(&"250-and more\r\n".repeat(4_000)).await?,
            Kind::Goodbye => self.say("421 4.3.2 closing\r\n").await?,
            Kind::Hangup => {}
            Kind::Temporary | Kind::Permanent => {
                if stage == Stage::StartTls {
                    let temporary = kind == Kind::Temporary;
                    self.see(if temporary { ChannelSeen::Deferred } else { ChannelSeen::Refused });
                }
                self.say(kind.reply(stage)).await?;
                return Ok(false);
            }
            // Of STARTTLS alone, and dealt with there.
            Kind::Broken | Kind::Injected => {
                self.say(text).await?;
                return Ok(true);
            }
        }
        Err(Gone)
    }

    pub(super) async fn say(&mut self, text: &str) -> Result<(), Gone> {
        self.octets.write_all(text.as_bytes()).await?;
        Ok(self.octets.flush().await?)
    }

    async fn line(&mut self) -> Result<String, Gone> {
        let line = self.raw_line().await?;
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    pub(super) async fn raw_line(&mut self) -> Result<Vec<u8>, Gone> {
        loop {
            if let Some(end) = self.input.iter().position(|octet| *octet == b'\n') {
                let rest = self.input.split_off(end + 1);
                return Ok(std::mem::replace(&mut self.input, rest));
            }
            self.read().await?;
        }
    }

    pub(super) async fn read(&mut self) -> Result<(), Gone> {
        let mut buffer = [0; 8 * 1024];
        let read = self.octets.read(&mut buffer).await?;
        if read == 0 {
            return Err(Gone);
        }
        self.input.extend_from_slice(&buffer[..read]);
        let mut seen = self.scene.witness.seen();
        for copy in self.unconfirmed.drain(..) {
            seen.copies[copy].confirmed = true;
        }
        Ok(())
    }
}

/// What stands between the first of these and the last of those.
fn between(text: &str, open: char, close: char) -> String {
    let inner = text.split_once(open).map_or("", |(_, rest)| rest);
    inner.rsplit_once(close).map_or(inner, |(inner, _)| inner).to_owned()
}
