//! Bodies at real sockets, the network's and the relay's own: how much one may have, and all together.

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;

use super::world::World;
use crate::access::Role;
use crate::http::Listener;
use crate::http::bodies::DOCUMENT_MAX;
use crate::server::Server;

/// More than a request may have, and less than a document.
const LARGE: usize = 2 << 20;

struct Sockets {
    world: World,
    tcp: std::net::SocketAddr,
    unix: std::path::PathBuf,
    token: String,
    stop: watch::Sender<bool>,
    _folder: TempDir,
}

impl Sockets {
    async fn new() -> Sockets {
        let world = World::new().await;
        let (_, token) = world.token(Role::Owner, "root", "owner").await;
        let (stop, stopped) = watch::channel(false);
        let listener = Listener::bind("127.0.0.1:0".parse().expect("an address")).await.expect("bound");
        let tcp = listener.address();
        tokio::spawn(listener.run(world.api.clone(), stopped.clone()));
        let folder = tempfile::tempdir().expect("a folder");
        let unix = folder.path().join("run").join("admin.sock");
        let server = Server::bind(&unix).expect("bound");
        let mut until = stopped;
        let stopping = async move { drop(until.wait_for(|stop| *stop).await) };
        tokio::spawn(server.run(world.api.clone(), stopping));
        Sockets { world, tcp, unix, token, stop, _folder: folder }
    }

    /// A request to either socket, its body said by `framing` and sent as far as `body` goes.
    async fn begin(&self, at: &At, framing: &str, body: &[u8]) -> Box<dyn Stream> {
        let mut stream: Box<dyn Stream> = match at {
            At::Tcp(..) => Box::new(TcpStream::connect(self.tcp).await.expect("connected")),
            At::Unix(..) => Box::new(UnixStream::connect(&self.unix).await.expect("connected")),
        };
        let (At::Tcp(path, media) | At::Unix(path, media)) = at;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Type: {media}\r\n{framing}\r\n\r\n",
            self.token
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        stream.write_all(body).await.expect("sent");
        stream
    }

    async fn ask(&self, at: &At, body: &[u8]) -> String {
        heard(self.begin(at, &format!("Content-Length: {}", body.len()), body).await).await
    }
}

/// At which socket, with path and media type.
enum At {
    Tcp(&'static str, &'static str),
    Unix(&'static str, &'static str),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The whole answer.
async fn heard(mut stream: Box<dyn Stream>) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[track_caller]
fn assert_said(answer: &str, status: u16, words: &[&str], what: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer}");
    for words in words {
        assert!(answer.contains(words), "{what}: {answer}");
    }
}

const REQUESTS: [At; 2] =
    [At::Tcp("/api/v1/queue/retry", "application/json"), At::Unix("/v1/queue/retry", "application/json")];
const DOCUMENTS: [At; 2] =
    [At::Tcp("/api/v1/settings/diff", "application/toml"), At::Unix("/v1/settings/diff", "application/toml")];

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused_with_the_limit() {
    let sockets = Sockets::new().await;
    let chunk = format!("{LARGE:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(LARGE));
    for at in &REQUESTS {
        let what = "a request";
        assert_said(&sockets.ask(at, &vec![b'x'; LARGE]).await, 413, &["more than 1048576 octets"], what);
        let chunked = sockets.begin(at, "Transfer-Encoding: chunked", chunk.as_bytes()).await;
        assert_said(&heard(chunked).await, 413, &["more than 1048576 octets"], what);
    }
    for at in &DOCUMENTS {
        // Nothing of it is sent, for whoever would send it waits to be asked.
        let framing = format!("Content-Length: {}\r\nExpect: 100-continue", DOCUMENT_MAX + 1);
        let answer = heard(sockets.begin(at, &framing, b"").await).await;
        assert_said(&answer, 413, &["more than 268435456 octets"], "a document");
        assert_said(&sockets.ask(at, &vec![b'\n'; LARGE]).await, 200, &[], "a document");
    }
    sockets.stop.send_replace(true);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_all_send_at_a_time_is_bounded() {
    let sockets = Sockets::new().await;
    let bodies = &sockets.world.api.bodies;
    let others = bodies.take_documents(DOCUMENT_MAX - LARGE);
    let part = vec![b'\n'; LARGE / 2 + 1];
    for slow in &DOCUMENTS {
        // More than half of what is left has arrived, and no more of it comes.
        let stalled = sockets.begin(slow, &format!("Content-Length: {LARGE}"), &part).await;
        while bodies.documents_left() > LARGE - part.len() {
            tokio::task::yield_now().await;
        }
        for at in &DOCUMENTS {
            let answer = sockets.ask(at, &part).await;
            assert_said(&answer, 503, &["others are sending", "retry-after: 10"], "a document too many");
        }
        for at in &REQUESTS {
            let retry = if matches!(at, At::Tcp(..)) { r#"{"which": "all"}"# } else { r#""all""# };
            assert_said(&sockets.ask(at, retry.as_bytes()).await, 200, &["recipients"], "the queue is not held up");
        }
        drop(stalled);
        while bodies.documents_left() < LARGE {
            tokio::task::yield_now().await;
        }
        for at in &DOCUMENTS {
            assert_said(&sockets.ask(at, &part).await, 200, &[], "there is room again");
        }
    }
    drop(others);
    assert_eq!(bodies.documents_left(), DOCUMENT_MAX, "nothing is kept");
    sockets.stop.send_replace(true);
}
