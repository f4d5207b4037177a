//! The client's half of an SMTP dialogue, as cheap as can be: octets that were built before go out, replies are counted.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// A server that says nothing for so long is given up.
const REPLY_TIME: Duration = Duration::from_secs(120);
/// More of a reply than any server says.
const REPLY_OCTETS: usize = 16 * 1024;

/// One side of a connection.
pub(super) struct Conversation<S> {
    stream: S,
    /// What was read and not yet understood.
    heard: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    pub(super) fn new(stream: S) -> Conversation<S> {
        Conversation { stream, heard: Vec::new() }
    }

    /// The connection, for a handshake. What was heard and not asked for is an error: nobody may speak before TLS.
    pub(super) fn into_stream(self) -> io::Result<S> {
        if self.heard.is_empty() { Ok(self.stream) } else { Err(io::Error::other("octets behind the 220 to STARTTLS")) }
    }

    /// Sends, and waits for one reply of each of these classes (`2` of 250, `3` of 354), in this order.
    pub(super) async fn say(&mut self, octets: &[u8], classes: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets).await?;
        self.stream.flush().await?;
        for class in classes {
            self.expect(*class).await?;
        }
        Ok(())
    }

    /// One reply of this class.
    pub(super) async fn expect(&mut self, class: u8) -> io::Result<()> {
        loop {
            while let Some(end) = self.heard.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                match line.get(3) {
                    Some(b'-') => {}
                    _ if line[0] == class => return Ok(()),
                    _ => return Err(io::Error::other(String::from_utf8_lossy(line.trim_ascii()).into_owned())),
                }
            }
            if self.heard.len() > REPLY_OCTETS {
                return Err(io::Error::other("a reply without an end"));
            }
            let read = timeout(REPLY_TIME, self.stream.read_buf(&mut self.heard)).await;
            if read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
