//! A scripted next hop that behaves well or badly on purpose, and keeps every octet it was sent.
//!
//! A [`Script`] is an obedient SMTP server (RFC 5321, RFC 3207) plus the answers that a test wants otherwise. It never
//! judges: tests read [`Session`]s and say what must, or must never, have been sent, in clear above all.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;

use crate::certs::{self, Authority, Leaf};
pub use crate::fake_session::{Received, Session, TlsSeen};
use crate::{fake_session, place, wait};

/// Where an answer to the connection itself hangs: `script.answer(GREETING, Action::Drop)`.
pub const GREETING: &str = "greeting";

/// Where the answer to the end of the data hangs.
pub const END_OF_DATA: &str = ".";

/// What the peer does instead of what it should.
#[derive(Clone, Debug)]
pub enum Action {
    /// Says this, `CR LF` added.
    Reply(String),
    /// Closes the connection without a word.
    Drop,
    /// Says nothing more and keeps the connection until the other side gives up.
    Hold,
    /// Waits until the peer has become another, and does what that one does.
    Wait,
}

/// `Action::Reply` of a text.
pub fn reply(text: &str) -> Action {
    Action::Reply(text.to_owned())
}

/// What follows its `220` to STARTTLS.
#[derive(Clone, Debug)]
pub enum Handshake {
    /// A TLS handshake, as it should be.
    Complete,
    /// These octets in the same packet as the 220, then a TLS handshake (response injection; promise H10).
    PlaintextBehind(String),
    /// Octets that are not TLS, in answer to the ClientHello.
    Garbage,
    /// The connection is closed, in answer to the ClientHello.
    Abort,
    /// Nothing.
    Hold,
    /// Whatever the TLS server at this address makes of it, and what follows: see [`openssl`](crate::openssl).
    Elsewhere(SocketAddr),
}

/// How a peer behaves. Sessions share it: an answer given "times" counts over all of them.
#[derive(Clone, Debug)]
pub struct Script {
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) offers_starttls: bool,
    pub(crate) implicit_tls: bool,
    pub(crate) handshake: Handshake,
    pub(crate) extensions: Vec<String>,
    answers: Vec<Answer>,
}

#[derive(Clone, Debug)]
struct Answer {
    to: String,
    action: Action,
    left: Option<u32>,
    in_tls_alone: bool,
}

impl Script {
    /// A good server that does not know STARTTLS.
    pub fn clear() -> Self {
        let (extensions, answers) = (vec!["8BITMIME".to_owned(), "SIZE 104857600".to_owned()], Vec::new());
        Self {
            tls: None,
            offers_starttls: false,
            implicit_tls: false,
            handshake: Handshake::Complete,
            extensions,
            answers,
        }
    }

    /// A good server with STARTTLS and this certificate.
    pub fn tls(leaf: &Leaf) -> Self {
        Self::tls_versions(leaf, rustls::ALL_VERSIONS)
    }

    /// A good server with STARTTLS, this certificate and only these versions (`&[&rustls::version::TLS12]`).
    pub fn tls_versions(leaf: &Leaf, versions: &[&'static rustls::SupportedProtocolVersion]) -> Self {
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder =
            builder.with_protocol_versions(versions).expect("versions that rustls knows").with_no_client_auth();
        let config = builder.with_single_cert(leaf.presented(), leaf.key()).expect("a key made for its certificate");
        Self { tls: Some(Arc::new(config)), offers_starttls: true, ..Self::clear() }
    }

    /// A good server with STARTTLS, this certificate, and this response about it stapled to the handshake (RFC 6066).
    pub fn stapling(leaf: &Leaf, response: Vec<u8>) -> Self {
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("rustls's own").with_no_client_auth();
        let config = builder.with_single_cert_with_ocsp(leaf.presented(), leaf.key(), response);
        let tls = Some(Arc::new(config.expect("a key made for its certificate")));
        Self { tls, offers_starttls: true, ..Self::clear() }
    }

    /// A good server with STARTTLS whose TLS is done by the server at this address.
    pub fn tls_elsewhere(server: SocketAddr) -> Self {
        Self { offers_starttls: true, handshake: Handshake::Elsewhere(server), ..Self::clear() }
    }

    /// TLS from the first octet, as on port 465; only with a certificate.
    pub fn implicit(self) -> Self {
        Self { offers_starttls: false, implicit_tls: true, ..self }
    }

    /// After the 220 to STARTTLS, this.
    pub fn handshake(mut self, handshake: Handshake) -> Self {
        self.handshake = handshake;
        self
    }

    /// One more line in the answer to EHLO, in clear and in TLS.
    pub fn extension(mut self, line: &str) -> Self {
        self.extensions.push(line.to_owned());
        self
    }

    /// Every time a command begins with `to` (letter case aside), this instead. The first answer that fits counts.
    /// Besides commands: [`GREETING`] and [`END_OF_DATA`]. `.answer("RCPT TO:<bob@", reply("550 5.1.1 no such user"))`
    pub fn answer(self, to: &str, action: Action) -> Self {
        self.put(to, action, None, false)
    }

    /// The same inside TLS alone.
    pub fn answer_in_tls(self, to: &str, action: Action) -> Self {
        self.put(to, action, None, true)
    }

    /// The same, but only the first `times` times: a greylisting peer answers `450` once.
    pub fn answer_times(self, times: u32, to: &str, action: Action) -> Self {
        self.put(to, action, Some(times), false)
    }

    /// Starts the peer on a free port.
    pub fn start(self) -> FakePeer {
        self.start_at(place::free_address())
    }

    /// Starts the peer at this address.
    pub fn start_at(self, address: SocketAddr) -> FakePeer {
        FakePeer::start(self, address)
    }

    fn put(mut self, to: &str, action: Action, left: Option<u32>, in_tls_alone: bool) -> Self {
        self.answers.push(Answer { to: to.to_ascii_uppercase(), action, left, in_tls_alone });
        self
    }

    /// The action for this command, if the script has one; counts it.
    pub(crate) fn take(&mut self, command: &str, in_tls: bool) -> Option<Action> {
        let command = command.to_ascii_uppercase();
        let mut fitting = self.answers.iter_mut().filter(|answer| in_tls || !answer.in_tls_alone);
        let answer = fitting.find(|answer| answer.left != Some(0) && command.starts_with(&answer.to))?;
        answer.left = answer.left.map(|left| left - 1);
        Some(answer.action.clone())
    }
}

/// Peers with which no TLS ever comes about, each with its name: nothing of a message that needs TLS may reach them.
pub fn without_tls(leaf: &Leaf) -> Vec<(&'static str, Script)> {
    let tls = || Script::tls(leaf);
    let injected = "250 2.0.0 injected\r\n".to_owned();
    vec![
        ("does not offer STARTTLS", Script::clear()),
        ("454 to STARTTLS", tls().answer("STARTTLS", reply("454 4.7.0 TLS not available due to temporary reason"))),
        ("501 to STARTTLS", tls().answer("STARTTLS", reply("501 5.5.4 syntax error"))),
        ("502 to STARTTLS", tls().answer("STARTTLS", reply("502 5.5.1 command not implemented"))),
        ("closes at STARTTLS", tls().answer("STARTTLS", Action::Drop)),
        ("garbage in the handshake", tls().handshake(Handshake::Garbage)),
        ("closes in the handshake", tls().handshake(Handshake::Abort)),
        ("plaintext behind the 220", tls().handshake(Handshake::PlaintextBehind(injected))),
        ("closes at the connection", tls().answer(GREETING, Action::Drop)),
        ("4xx greeting", tls().answer(GREETING, reply("421 4.3.2 not now"))),
    ]
}

/// Peers whose TLS works and whose certificate is not one for `name` by `authority`, each with its name.
pub fn bad_certificates(authority: &Authority, name: &str) -> Vec<(&'static str, Script)> {
    vec![
        ("self-signed", Script::tls(&certs::self_signed(&[name]))),
        ("expired", Script::tls(&authority.expired(&[name]))),
        ("for another name", Script::tls(&authority.leaf(&["elsewhere.test"]))),
        ("by an unknown authority", Script::tls(&Authority::new("Stranger").leaf(&[name]))),
    ]
}

/// A running scripted peer; stops on drop, whatever its sessions are doing.
#[derive(Debug)]
pub struct FakePeer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) script: Mutex<Script>,
    sessions: Mutex<Vec<Session>>,
    streams: Mutex<Vec<TcpStream>>,
    stopping: AtomicBool,
}

impl Shared {
    /// Changes the record of one session.
    pub(crate) fn note(&self, session: usize, change: impl FnOnce(&mut Session)) {
        change(&mut lock(&self.sessions)[session]);
    }
}

impl FakePeer {
    fn start(script: Script, address: SocketAddr) -> Self {
        let listener =
            TcpListener::bind(address).unwrap_or_else(|why| panic!("{address} cannot be listened on: {why}"));
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            sessions: Mutex::default(),
            streams: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let accepting = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Self { address, shared, accepting: Some(accepting) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Behaves like this from now on, in sessions under way too.
    pub fn become_(&self, script: Script) {
        *lock(&self.shared.script) = script;
    }

    /// Every session so far, in the order of connecting, with what it was sent up to now.
    pub fn sessions(&self) -> Vec<Session> {
        lock(&self.shared.sessions).clone()
    }

    /// Every message it has accepted.
    pub fn messages(&self) -> Vec<Received> {
        self.sessions().into_iter().flat_map(|session| session.messages).collect()
    }

    /// Waits until `enough` of the sessions is true, and gives them.
    #[track_caller]
    pub fn wait_for(&self, what: &str, mut enough: impl FnMut(&[Session]) -> bool) -> Vec<Session> {
        wait::until(wait::PATIENCE, &format!("{what} at the scripted peer"), || {
            let sessions = self.sessions();
            enough(&sessions).then_some(sessions)
        })
    }

    /// Waits until `count` sessions have ended.
    #[track_caller]
    pub fn wait_for_ended(&self, count: usize) -> Vec<Session> {
        let what = format!("{count} ended session(s)");
        self.wait_for(&what, |sessions| sessions.iter().filter(|session| session.ended).count() >= count)
    }

    /// Waits until `count` messages have been accepted.
    #[track_caller]
    pub fn wait_for_messages(&self, count: usize) -> Vec<Received> {
        let what = format!("{count} message(s)");
        self.wait_for(&what, |all| all.iter().map(|session| session.messages.len()).sum::<usize>() >= count);
        self.messages()
    }

    /// Asserts that no session ever carried `MAIL` in clear, not even after a failed handshake (promise H2).
    #[track_caller]
    pub fn assert_no_mail_in_clear(&self) {
        for (number, session) in self.sessions().iter().enumerate() {
            let wire = String::from_utf8_lossy(&session.wire);
            assert!(!session.mail_in_clear(), "session {number} sent MAIL in clear:\n{wire}");
        }
    }
}

impl Drop for FakePeer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the accepting thread; if even that fails, the listener is gone already.
        let woken = TcpStream::connect(self.address);
        for stream in lock(&self.shared.streams).iter() {
            // An error means that the other side was faster.
            let _gone = stream.shutdown(Shutdown::Both);
        }
        if let (Ok(_), Some(accepting)) = (woken, self.accepting.take()) {
            let _panicked = accepting.join();
        }
        if std::thread::panicking() {
            for (number, session) in self.sessions().iter().enumerate() {
                eprintln!("---- scripted peer {}, session {number} ----\n{session}", self.address);
            }
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut serving = Vec::new();
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            break;
        }
        let Ok(stream) = stream else { continue };
        let Ok(twin) = stream.try_clone() else { continue };
        lock(&shared.streams).push(twin);
        let number = {
            let mut sessions = lock(&shared.sessions);
            sessions.push(Session::default());
            sessions.len() - 1
        };
        let shared = Arc::clone(shared);
        serving.push(std::thread::spawn(move || {
            fake_session::serve(stream, &shared, number);
            shared.note(number, |session| session.ended = true);
        }));
    }
    // A session accepted while `drop` was going through the streams is ended here.
    for stream in lock(&shared.streams).iter() {
        let _gone = stream.shutdown(Shutdown::Both);
    }
    for session in serving {
        let _panicked = session.join();
    }
}

/// A record stays readable after a session's thread has panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
