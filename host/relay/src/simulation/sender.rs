//! The senders: each gives one message, and remembers what it was answered.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::chance::Chance;
use super::fault::Fault;
use super::hop::DOMAINS;
use super::peer::{Gone, Octets};
use super::run::Door;
use super::scene::Scene;
use super::shared::{RELAY, WANTS_EVERY_REPORT, WANTS_NO_REPORT};
use super::witness::Submission;

/// What one sender will do.
pub(super) struct Plan {
    token: String,
    number: u64,
    /// When, in milliseconds from the beginning.
    pub(super) at_ms: u64,
    tls: bool,
    pipelining: bool,
    from: String,
    submission: Submission,
    misdeed: Option<Misdeed>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Misdeed {
    Silent,
    Injects,
    Garbage,
}

/// What the senders of a seed will do.
pub(super) fn plans(scene: &Scene) -> Vec<Plan> {
    let chance = Chance::new(scene.seed, 6);
    (0..1 + chance.below(4)).map(|number| plan(scene, &chance, number)).collect()
}

fn plan(scene: &Scene, chance: &Chance, number: u64) -> Plan {
    let token = format!("m{number}@home.test");
    let from = if chance.percent(20) { "ann@secret.test" } else { "ann@home.test" };
    // The null sender: nobody can be told (H5).
    let sender = (!chance.percent(8)).then(|| sender_of(scene.seed, number).to_owned());
    let mut recipients = Vec::new();
    for local in 0..1 + chance.below(3) {
        recipients.push(format!("r{local}@{}", chance.among(&DOMAINS)));
    }
    let subject = match chance.below(20) {
        0 => "tls hold",
        1 => "tls bounce",
        2 => "tls",
        3 => "take:vault",
        4 => "tls route:vault bounce",
        5 => "err in receive",
        6 => "err in plan",
        7 => "trap in judge",
        8 => "no conclude in plan",
        _ => "hello",
    };
    let mut content = format!("From: <{from}>\r\nMessage-ID: <{token}>\r\nSubject: {subject}\r\n\r\n").into_bytes();
    let lines = if chance.percent(3) { 2_000 } else { chance.below(12) };
    for line in 0..lines {
        content.extend_from_slice(if line % 3 == 1 { b".a line with a dot\r\n" } else { b"a line of the body\r\n" });
    }
    let misdeed = chance
        .percent(scene.odds.senders / 2)
        .then(|| chance.among(&[Misdeed::Silent, Misdeed::Injects, Misdeed::Injects, Misdeed::Garbage]));
    Plan {
        token,
        number,
        at_ms: chance.below(if chance.percent(50) { 2_000 } else { 1_800_000 }),
        tls: chance.percent(50),
        pipelining: chance.percent(50),
        from: from.to_owned(),
        submission: Submission {
            sender,
            recipients,
            content,
            subject: subject.to_owned(),
            by_tls: false,
            required: false,
            answer: None,
            accepted: Vec::new(),
        },
        misdeed,
    }
}

/// By its number, so that no chance is drawn for it.
fn sender_of(seed: u64, number: u64) -> &'static str {
    match seed.wrapping_add(number) % 6 {
        0 => WANTS_NO_REPORT,
        1 => WANTS_EVERY_REPORT,
        _ => "ann@home.test",
    }
}

/// Gives the message.
pub(super) async fn submit(scene: Arc<Scene>, door: Arc<Door>, plan: Plan) {
    scene.witness.seen().submissions.insert(plan.token.clone(), plan.submission.clone());
    let chance = Chance::new(scene.seed, 10_000 + plan.number);
    let faults = (Fault::SenderResetWhileReading, Fault::SenderResetWhileSending);
    let cut = scene.cut(&chance, scene.odds.senders / 2, faults, None);
    let Some(stream) = door.connect(cut) else { return };
    let mut sender = Sender { scene, plan, octets: Box::new(stream), input: Vec::new() };
    let _ended = sender.session().await;
}

struct Sender {
    scene: Arc<Scene>,
    plan: Plan,
    octets: Box<dyn Octets>,
    input: Vec<u8>,
}

impl Sender {
    async fn session(&mut self) -> Result<(), Gone> {
        self.expect(220, "").await?;
        self.expect(250, "EHLO client.home.test\r\n").await?;
        if self.plan.misdeed == Some(Misdeed::Garbage) && !self.scene.is_calm() {
            self.scene.witness.struck(Fault::SenderGarbage, &self.plan.token);
            self.expect(500, "\u{1}\u{7f}% nonsense\r\n").await?;
        }
        if self.plan.misdeed == Some(Misdeed::Injects) && !self.scene.is_calm() {
            return self.inject().await;
        }
        if self.plan.tls {
            self.expect(220, "STARTTLS\r\n").await?;
            self.handshake().await?;
            self.submission(|submission| submission.by_tls = true);
            self.expect(250, "EHLO client.home.test\r\n").await?;
        }
        self.transaction().await
    }

    async fn transaction(&mut self) -> Result<(), Gone> {
        let sender = self.plan.submission.sender.clone().unwrap_or_default();
        let recipients = self.plan.submission.recipients.clone();
        // By its number, so that no chance is drawn for it.
        let required = self.plan.tls && self.plan.number % 3 == 1;
        self.submission(|submission| submission.required = required);
        let mail = format!("MAIL FROM:<{sender}>{}\r\n", if required { " REQUIRETLS" } else { "" });
        let mut commands = vec![mail];
        let notify = match sender.as_str() {
            WANTS_NO_REPORT => " NOTIFY=NEVER",
            WANTS_EVERY_REPORT => " NOTIFY=SUCCESS,FAILURE,DELAY",
            _ => "",
        };
        commands.extend(recipients.iter().map(|recipient| format!("RCPT TO:<{recipient}>{notify}\r\n")));
        if self.plan.pipelining {
            self.say(commands.concat().as_bytes()).await?;
        }
        for (number, command) in commands.iter().enumerate() {
            if !self.plan.pipelining {
                self.say(command.as_bytes()).await?;
            }
            let (code, _) = self.reply().await?;
            if code == 250 && number > 0 {
                let recipient = recipients[number - 1].clone();
                self.submission(|submission| submission.accepted.push(recipient));
            }
        }
        let content = self.plan.submission.content.clone();
        // In two chunks, one sender in four; by its number, so that no chance is drawn for it.
        let chunks = self.plan.number % 4 == 2;
        let text = if chunks {
            let (first, rest) = content.split_at(content.len() / 3);
            let chunk =
                |octets: &[u8], last| format!("BDAT {}{last}\r\n{}", octets.len(), String::from_utf8_lossy(octets));
            chunk(first, "") + &chunk(rest, " LAST")
        } else {
            self.expect(354, "DATA\r\n").await?;
            String::from_utf8_lossy(&content).replace("\r\n.", "\r\n..") + ".\r\n"
        };
        if self.plan.misdeed == Some(Misdeed::Silent) && !self.scene.is_calm() {
            self.scene.witness.struck(Fault::SenderSilent, &self.plan.token);
            self.say(&text.as_bytes()[..text.len() / 2]).await?;
            return self.reply().await.map(drop);
        }
        self.say(text.as_bytes()).await?;
        let (mut code, mut text) = self.reply().await?;
        if chunks && code == 250 {
            (code, text) = self.reply().await?;
        }
        let id = text.rsplit(' ').next().filter(|_| code == 250).map(str::to_owned);
        self.scene.witness.note(|| format!("sender {} is answered {code} {text}", self.plan.token));
        if code == 250 && self.plan.from.ends_with("@secret.test") && !self.plan.tls {
            self.scene.witness.violation(format!("{} of a listed sender was taken in clear (R1)", self.plan.token));
        }
        self.submission(|submission| submission.answer = Some((code, id.clone())));
        self.expect(221, "QUIT\r\n").await
    }

    /// Commands behind STARTTLS, in one piece with it: none of them may be obeyed behind the handshake (H10).
    async fn inject(&mut self) -> Result<(), Gone> {
        self.scene.witness.struck(Fault::SenderInjects, &self.plan.token);
        self.say(b"STARTTLS\r\nNOOP injected\r\n").await?;
        let (code, _) = self.reply().await?;
        if code == 220 {
            self.handshake().await?;
            let heard = tokio::time::timeout(Duration::from_secs(60), self.reply()).await;
            if let Ok(Ok((code, text))) = heard {
                let what = format!("what was said before STARTTLS was answered behind it: {code} {text} (H10)");
                self.scene.witness.violation(what);
            }
        }
        Ok(())
    }

    async fn handshake(&mut self) -> Result<(), Gone> {
        if !self.input.is_empty() {
            self.scene.witness.violation("octets behind our own 220 to STARTTLS".into());
        }
        let clear = std::mem::replace(&mut self.octets, Box::new(tokio::io::empty()));
        let name = ServerName::try_from(RELAY).map_err(|_| Gone)?;
        self.octets = Box::new(self.scene.shared.connector.connect(name, clear).await?);
        Ok(())
    }

    fn submission(&self, change: impl FnOnce(&mut Submission)) {
        if let Some(submission) = self.scene.witness.seen().submissions.get_mut(&self.plan.token) {
            change(submission);
        }
    }

    async fn expect(&mut self, code: u16, command: &str) -> Result<(), Gone> {
        self.say(command.as_bytes()).await?;
        let (heard, _) = self.reply().await?;
        if heard == code { Ok(()) } else { Err(Gone) }
    }

    async fn say(&mut self, octets: &[u8]) -> Result<(), Gone> {
        self.octets.write_all(octets).await?;
        Ok(self.octets.flush().await?)
    }

    /// The last line of the next reply.
    async fn reply(&mut self) -> Result<(u16, String), Gone> {
        loop {
            while let Some(end) = self.input.iter().position(|octet| *octet == b'\n') {
                let rest = self.input.split_off(end + 1);
                let line = String::from_utf8_lossy(&std::mem::replace(&mut self.input, rest)).trim_end().to_owned();
                let code = line.get(..3).and_then(|code| code.parse().ok()).ok_or(Gone)?;
                if line.as_bytes().get(3) != Some(&b'-') {
                    return Ok((code, line.get(4..).unwrap_or_default().to_owned()));
                }
            }
            let mut buffer = [0; 4 * 1024];
            let read = self.octets.read(&mut buffer).await?;
            if read == 0 {
                return Err(Gone);
            }
            self.input.extend_from_slice(&buffer[..read]);
        }
    }
}
