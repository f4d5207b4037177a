//! The demo's name server: every name is this machine, over UDP (RFC 1035 §4.1).
//!
//! Next hops have names, because certificates are checked against names and reports call hosts by them. Nothing is asked
//! of the network's own name servers.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::UdpSocket;

const HEADER_OCTETS: usize = 12;
/// Type A, class IN, as they end a question.
const A_IN: [u8; 4] = [0, 1, 0, 1];
/// A response without error, recursion desired and available.
const RESPONSE: [u8; 2] = [0x81, 0x80];
/// The name of the question, by a pointer to it.
const SAME_NAME: [u8; 2] = [0xc0, 12];
/// No longer than the demo takes.
const TTL_SECS: u32 = 60;

/// Answers for as long as the demo runs; the address it answers at.
pub(super) async fn serve() -> io::Result<SocketAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = socket.local_addr()?;
    tokio::spawn(async move {
        let mut query = [0; 512];
        while let Ok((octets, client)) = socket.recv_from(&mut query).await {
            if let Some(answer) = answer(&query[..octets]) {
                // A client that has gone away asks again if it wants to know.
                let _ = socket.send_to(&answer, client).await;
            }
        }
    });
    Ok(address)
}

/// 127.0.0.1 to a question for an address of the fourth version, and nothing to any other.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let name = query.get(HEADER_OCTETS..)?.iter().position(|octet| *octet == 0)?;
    let question = query.get(HEADER_OCTETS..HEADER_OCTETS + name + 1 + A_IN.len())?;
    let found = question.ends_with(&A_IN);
    let mut answer = query[..2].to_vec();
    answer.extend(RESPONSE);
    answer.extend([0, 1, 0, u8::from(found), 0, 0, 0, 0]);
    answer.extend(question);
    if found {
        answer.extend(SAME_NAME);
        answer.extend(A_IN);
        answer.extend(TTL_SECS.to_be_bytes());
        answer.extend([0, 4]);
        answer.extend(Ipv4Addr::LOCALHOST.octets());
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_answered_and_other_types_are_not() {
        let query = |kind: u8| [&[7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, b'm', b'x', 0, 0][..], &[kind, 0, 1]].concat();
        let (a, mx) = (answer(&query(1)).expect("a question"), answer(&query(15)).expect("a question"));
        assert!(a.starts_with(&[7, 7, 0x81, 0x80, 0, 1, 0, 1]) && a.ends_with(&[0, 4, 127, 0, 0, 1]));
        assert!(mx.starts_with(&[7, 7, 0x81, 0x80, 0, 1, 0, 0]) && mx.ends_with(&[15, 0, 1]));
        for cut in 0..query(1).len() {
            assert_eq!(answer(&query(1)[..cut]), None, "{cut} octets are no question");
        }
    }
}
