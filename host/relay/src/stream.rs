//! A mail socket, in clear or under TLS: read and write with a deadline, nothing more.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::socket::Socket;

/// One connection's octets.
pub(crate) enum Stream {
    /// In clear.
    Clear(Socket),
    /// Under TLS, we are the server.
    Server(Box<tokio_rustls::server::TlsStream<Socket>>),
    /// Under TLS, we are the client.
    Client(Box<tokio_rustls::client::TlsStream<Socket>>),
    /// Given away for a handshake that failed.
    Gone,
}

impl Stream {
    /// Reads into `buffer`; 0 is the end. An elapsed deadline is [`io::ErrorKind::TimedOut`].
    pub(crate) async fn read(&mut self, buffer: &mut [u8], within: Duration) -> io::Result<usize> {
        let read = async {
            match self {
                Stream::Clear(stream) => stream.read(buffer).await,
                Stream::Server(stream) => stream.read(buffer).await,
                Stream::Client(stream) => stream.read(buffer).await,
                Stream::Gone => Ok(0),
            }
        };
        timeout(within, read).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Writes all of it and empties `octets`.
    pub(crate) async fn write(&mut self, octets: &mut Vec<u8>, within: Duration) -> io::Result<()> {
        if octets.is_empty() {
            return Ok(());
        }
        let write = async {
            match self {
                Stream::Clear(stream) => stream.write_all(octets).await,
                Stream::Server(stream) => {
                    stream.write_all(octets).await?;
                    stream.flush().await
                }
                Stream::Client(stream) => {
                    stream.write_all(octets).await?;
                    stream.flush().await
                }
                Stream::Gone => Err(io::ErrorKind::NotConnected.into()),
            }
        };
        let written = timeout(within, write).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        octets.clear();
        written
    }

    /// Says goodbye (TLS close_notify, FIN); what the peer makes of it is its affair.
    pub(crate) async fn close(&mut self) {
        let close = async {
            match self {
                Stream::Clear(stream) => stream.shutdown().await,
                Stream::Server(stream) => stream.shutdown().await,
                Stream::Client(stream) => stream.shutdown().await,
                Stream::Gone => Ok(()),
            }
        };
        let _ = timeout(Duration::from_secs(2), close).await;
    }

    /// Takes the clear socket for a handshake; None if it is not clear.
    pub(crate) fn take_clear(&mut self) -> Option<Socket> {
        match std::mem::replace(self, Stream::Gone) {
            Stream::Clear(stream) => Some(stream),
            other => {
                *self = other;
                None
            }
        }
    }
}
