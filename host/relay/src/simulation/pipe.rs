//! A connection in memory that can be cut at any octet, in either direction.
//!
//! The relay holds one end and meets the cut; the other end then finds its peer gone, as after a reset.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

/// Octets that wait in either direction before the writer does.
const BUFFERED: usize = 256 * 1024;

/// The relay's end.
pub(crate) struct Pipe {
    /// None: it was cut.
    stream: Option<DuplexStream>,
    cut: Option<Cut>,
}

/// Where a connection is cut.
pub(crate) struct Cut {
    /// Counted on what the relay reads; else on what it writes.
    pub(crate) reading: bool,
    /// Octets that still pass.
    pub(crate) after: usize,
    /// Told once, when it happens.
    pub(crate) struck: Arc<dyn Fn() + Send + Sync>,
}

/// A connection: the relay's end, and the other.
pub(crate) fn pipe(cut: Option<Cut>) -> (Pipe, DuplexStream) {
    let (ours, theirs) = duplex(BUFFERED);
    (Pipe { stream: Some(ours), cut }, theirs)
}

impl Pipe {
    /// How many of `wanted` octets may pass in this direction; None: any number.
    fn left(&self, reading: bool) -> Option<usize> {
        self.cut.as_ref().filter(|cut| cut.reading == reading).map(|cut| cut.after)
    }

    fn passed(&mut self, reading: bool, octets: usize) {
        if let Some(cut) = self.cut.as_mut().filter(|cut| cut.reading == reading) {
            cut.after = cut.after.saturating_sub(octets);
        }
    }

    fn reset(&mut self) -> io::Error {
        self.stream = None;
        if let Some(cut) = self.cut.take() {
            (cut.struck)();
        }
        io::ErrorKind::ConnectionReset.into()
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let pipe = self.get_mut();
        let left = pipe.left(true).unwrap_or(usize::MAX);
        let Some(stream) = &mut pipe.stream else { return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())) };
        if left == 0 {
            return Poll::Ready(Err(pipe.reset()));
        }
        // Through a buffer of our own, since no more may be read than may pass.
        let mut octets = [0; 4096];
        let wanted = left.min(buffer.remaining()).min(octets.len());
        let mut part = ReadBuf::new(&mut octets[..wanted]);
        std::task::ready!(Pin::new(stream).poll_read(cx, &mut part))?;
        buffer.put_slice(part.filled());
        let read = part.filled().len();
        pipe.passed(true, read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let pipe = self.get_mut();
        let left = pipe.left(false).unwrap_or(usize::MAX);
        let Some(stream) = &mut pipe.stream else { return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())) };
        if left == 0 {
            return Poll::Ready(Err(pipe.reset()));
        }
        let written = std::task::ready!(Pin::new(stream).poll_write(cx, &octets[..octets.len().min(left)]))?;
        pipe.passed(false, written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Some(stream) => Pin::new(stream).poll_flush(cx),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Some(stream) => Pin::new(stream).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}
