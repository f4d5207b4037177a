//! The sessions of a load: each opens connections, sends so many messages over each, and keeps the times.
//!
//! A message that is not accepted is sent again, over a new connection, until it is: every number below the total has its
//! 250 in the end, or the load gives up and says why. So what is missing at the far end is lost, and nothing else is.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio_rustls::TlsConnector;

use super::conversation::Conversation;
use super::letter::Letter;

/// Failures of one session in a row, after which it gives up.
const FAILURES_MAX: u32 = 50;
/// Before a session that failed tries again.
const FAILURE_PAUSE: Duration = Duration::from_millis(100);

/// What all sessions do.
pub(super) struct Plan {
    pub(super) address: SocketAddr,
    /// Handshake after STARTTLS, with the name that the certificate must bear.
    pub(super) tls: Option<(TlsConnector, ServerName<'static>)>,
    pub(super) per_connection: u64,
    /// What is sent; `MAIL`, `RCPT` and `DATA` for each of the domains that take turns.
    pub(super) letter: Letter,
    pub(super) envelopes: Vec<Vec<u8>>,
    /// The number of the next message, and the one that is never sent.
    pub(super) next: AtomicU64,
    pub(super) end: u64,
    /// Wait so long after each message.
    pub(super) pause: Duration,
    /// Keep the connection so long, and send nothing.
    pub(super) hold: Option<Duration>,
    /// Where sessions that hold wait for each other.
    pub(super) all_open: Barrier,
}

/// What one session has seen.
#[derive(Default)]
pub(super) struct Seen {
    /// From MAIL to the last 250, for each message.
    pub(super) messages: Vec<Duration>,
    /// From the first packet to the reply to EHLO, the one under TLS if there is TLS.
    pub(super) connects: Vec<Duration>,
    pub(super) failures: u64,
    /// The first failure in the server's words.
    pub(super) trouble: Option<String>,
    /// Too many failures in a row: there are messages that nobody sends any more.
    pub(super) gave_up: bool,
}

/// One session, to its end.
pub(super) async fn run(plan: Arc<Plan>) -> Seen {
    let mut seen = Seen::default();
    let mut letter = plan.letter.clone();
    let mut number = None;
    let mut failures = 0;
    while plan.hold.is_some() || number.is_some() || plan.next.load(Ordering::Relaxed) < plan.end {
        let before = seen.messages.len();
        match connection(&plan, &mut letter, &mut number, &mut seen).await {
            Ok(()) if plan.hold.is_some() => break,
            Ok(()) => failures = 0,
            Err(error) => {
                failures = if seen.messages.len() > before { 1 } else { failures + 1 };
                seen.failures += 1;
                seen.trouble.get_or_insert(error.to_string());
                if failures >= FAILURES_MAX {
                    seen.gave_up = true;
                    break;
                }
                tokio::time::sleep(FAILURE_PAUSE).await;
            }
        }
    }
    seen
}

async fn connection(plan: &Plan, letter: &mut Letter, number: &mut Option<u64>, seen: &mut Seen) -> io::Result<()> {
    let started = Instant::now();
    let stream = TcpStream::connect(plan.address).await?;
    stream.set_nodelay(true)?;
    let mut clear = Conversation::new(stream);
    clear.expect(b'2').await?;
    clear.say(b"EHLO bench.invalid\r\n", b"2").await?;
    let Some((connector, name)) = &plan.tls else {
        seen.connects.push(started.elapsed());
        return messages(plan, clear, letter, number, seen).await;
    };
    clear.say(b"STARTTLS\r\n", b"2").await?;
    let stream = connector.connect(name.clone(), clear.into_stream()?).await?;
    let mut secured = Conversation::new(stream);
    secured.say(b"EHLO bench.invalid\r\n", b"2").await?;
    seen.connects.push(started.elapsed());
    messages(plan, secured, letter, number, seen).await
}

async fn messages<S: AsyncRead + AsyncWrite + Unpin>(
    plan: &Plan,
    mut open: Conversation<S>,
    letter: &mut Letter,
    number: &mut Option<u64>,
    seen: &mut Seen,
) -> io::Result<()> {
    if let Some(time) = plan.hold {
        // Without a time to hold them, sessions do not wait for each other: a server may not have room for all.
        if !time.is_zero() {
            if plan.all_open.wait().await.is_leader() {
                eprintln!("all sessions are open");
            }
            tokio::time::sleep(time).await;
        }
        return open.say(b"QUIT\r\n", b"2").await;
    }
    for _ in 0..plan.per_connection {
        let this = match *number {
            Some(again) => again,
            None => plan.next.fetch_add(1, Ordering::Relaxed),
        };
        if this >= plan.end {
            break;
        }
        *number = Some(this);
        let envelope = &plan.envelopes[(this % plan.envelopes.len() as u64) as usize];
        let started = Instant::now();
        open.say(envelope, b"223").await?;
        open.say(letter.numbered(this), b"2").await?;
        seen.messages.push(started.elapsed());
        *number = None;
        if !plan.pause.is_zero() {
            tokio::time::sleep(plan.pause).await;
        }
    }
    open.say(b"QUIT\r\n", b"2").await
}
