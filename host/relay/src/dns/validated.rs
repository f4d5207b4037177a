//! Asks a validating resolver on this machine, and takes its word (the AD flag, RFC 4035 §3.2.3, RFC 6840 §5.8) for what is
//! proven. The way there is not open to others, which is what the word is worth (RFC 7672 §2.2 asks for such a resolver).
//!
//! What such a resolver finds forged or broken it answers with SERVFAIL, so that never looks like an answer. It keeps a cache;
//! nothing is kept here.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::proto::op::{Edns, Message, MessageType, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long one server is waited for, and how often all are asked.
const WAIT: Duration = Duration::from_secs(5);
const TRIES: usize = 2;
/// Octets of an answer by UDP; beyond it TCP is asked (RFC 9715 §3).
const UDP_OCTETS: u16 = 1232;

/// What a server said.
pub(super) struct Said {
    /// No error, or the name does not exist; whatever else is an error.
    pub(super) code: ResponseCode,
    pub(super) records: Vec<Record>,
    /// The resolver has proven it.
    pub(super) proven: bool,
}

/// Why there is no answer.
pub(super) enum NoAnswer {
    /// The server's word.
    Code(ResponseCode),
    /// Nobody answered, or nothing that could be read.
    Silence(String),
}

/// Asks the servers in turn until one answers.
pub(super) async fn ask(servers: &[SocketAddr], name: &str, kind: RecordType) -> Result<Said, NoAnswer> {
    let unreadable = |error: String| NoAnswer::Silence(error);
    let owner = Name::from_ascii(format!("{}.", name.trim_end_matches('.'))).map_err(|e| unreadable(e.to_string()))?;
    let mut message = Message::query();
    message.add_query(Query::query(owner, kind));
    message.metadata.recursion_desired = true;
    // RFC 6840 §5.7: asks for the word without the signatures.
    message.metadata.authentic_data = true;
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_OCTETS);
    message.set_edns(edns);
    let octets = message.to_vec().map_err(|error| unreadable(error.to_string()))?;
    let mut last = NoAnswer::Silence("there is no name server to ask".to_owned());
    for server in (0..TRIES).flat_map(|_| servers) {
        last = match timeout(WAIT, exchange(*server, &message, &octets)).await {
            Err(_) => NoAnswer::Silence(format!("{server}: the request timed out")),
            Ok(Err(error)) => NoAnswer::Silence(format!("{server}: {error}")),
            Ok(Ok(answer)) => match answer.metadata.response_code {
                code @ (ResponseCode::NoError | ResponseCode::NXDomain) => {
                    let proven = answer.metadata.authentic_data;
                    return Ok(Said { code, records: answer.answers, proven });
                }
                code => NoAnswer::Code(code),
            },
        };
    }
    Err(last)
}

async fn exchange(server: SocketAddr, asked: &Message, octets: &[u8]) -> io::Result<Message> {
    let answer = by_udp(server, asked, octets).await?;
    if answer.metadata.truncation { by_tcp(server, asked, octets).await } else { Ok(answer) }
}

async fn by_udp(server: SocketAddr, asked: &Message, octets: &[u8]) -> io::Result<Message> {
    let here = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let socket = UdpSocket::bind(here).await?;
    // From now on nothing of anybody else is received.
    socket.connect(server).await?;
    socket.send(octets).await?;
    let mut heard = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut heard).await?;
        // A late answer to an earlier question is passed over.
        if let Some(answer) = heard.get(..length).and_then(|heard| answer_to(asked, heard)) {
            return Ok(answer);
        }
    }
}

async fn by_tcp(server: SocketAddr, asked: &Message, octets: &[u8]) -> io::Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(octets.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), octets].concat()).await?;
    let length = stream.read_u16().await?;
    let mut heard = vec![0; usize::from(length)];
    stream.read_exact(&mut heard).await?;
    answer_to(asked, &heard).ok_or_else(|| io::Error::other("it answered another question"))
}

fn answer_to(asked: &Message, heard: &[u8]) -> Option<Message> {
    let answer = Message::from_vec(heard).ok()?;
    let same = answer.metadata.message_type == MessageType::Response
        && answer.metadata.id == asked.metadata.id
        && answer.queries == asked.queries;
    same.then_some(answer)
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    /// Each server is waited for, twice, and then nothing is known.
    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_answers_is_no_answer() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = silent.local_addr().expect("a bound socket");
        let began = Instant::now();
        let Err(NoAnswer::Silence(why)) = ask(&[address], "mx.test", RecordType::A).await else {
            panic!("nobody has answered")
        };
        assert_eq!(why, format!("{address}: the request timed out"));
        assert_eq!(began.elapsed().as_secs(), 2 * WAIT.as_secs());
    }
}
