//! The octets under a mail session: TCP in service, a pipe in memory where a test runs both ends.
//!
//! An enum and not a trait object: in service there is one variant, and matching on it costs nothing.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// One connection's octets in clear.
pub(crate) enum Socket {
    /// Over TCP.
    Tcp(TcpStream),
    /// To the other end in this process.
    #[cfg(test)]
    Pipe(crate::simulation::Pipe),
}

impl Socket {
    /// Our own address on it, if it has one that can be had.
    pub(crate) fn local_address(&self) -> Option<IpAddr> {
        match self {
            Socket::Tcp(stream) => stream.local_addr().ok().map(|address| address.ip()),
            #[cfg(test)]
            Socket::Pipe(_) => None,
        }
    }
}

/// Does the same with whatever it is.
macro_rules! with {
    ($socket:expr, $stream:ident => $call:expr) => {
        match $socket.get_mut() {
            Socket::Tcp($stream) => $call,
            #[cfg(test)]
            Socket::Pipe($stream) => $call,
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        with!(self, stream => Pin::new(stream).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        with!(self, stream => Pin::new(stream).poll_write(cx, octets))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        with!(self, stream => Pin::new(stream).poll_write_vectored(cx, octets))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Socket::Tcp(stream) => stream.is_write_vectored(),
            #[cfg(test)]
            Socket::Pipe(_) => false,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
