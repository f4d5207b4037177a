//! A mail socket, in clear or under TLS: read and write with a deadline, nothing more.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

use crate::socket::Socket;

/// Octets read at a time.
const READ_OCTETS: usize = 16 * 1024;

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
    /// What the peer has said, nothing at its end. An elapsed deadline is [`io::ErrorKind::TimedOut`]. The space to read
    /// into exists only while there is something to read: a thousand sessions that are silent hold no buffers.
    pub(crate) async fn hear(&mut self, within: Duration) -> io::Result<Vec<u8>> {
        let heard = poll_fn(|context| {
            let mut space = [MaybeUninit::uninit(); READ_OCTETS];
            let mut buffer = ReadBuf::uninit(&mut space);
            let read = match self {
                Stream::Clear(stream) => Pin::new(stream).poll_read(context, &mut buffer),
                Stream::Server(stream) => Pin::new(stream).poll_read(context, &mut buffer),
                Stream::Client(stream) => Pin::new(stream).poll_read(context, &mut buffer),
                Stream::Gone => Poll::Ready(Ok(())),
            };
            read.map_ok(|()| buffer.filled().to_vec())
        });
        timeout(within, heard).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
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
