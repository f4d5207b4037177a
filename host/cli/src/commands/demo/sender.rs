//! The mail server that hands messages to the relay: a handful of commands written by hand (RFC 5321), in clear or, where
//! the message says so, over TLS with the relay's certificate verified.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::commands::trust::client_config;

/// Knows where the relay is and whom to believe.
pub(super) struct Sender {
    relay: SocketAddr,
    name: ServerName<'static>,
    connector: TlsConnector,
}

/// What is sent.
pub(super) struct Letter<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) subject: &'a str,
    /// Over STARTTLS.
    pub(super) secured: bool,
}

impl Sender {
    /// A sender that expects the relay of this name at this address, with a certificate of the authority in this file.
    pub(super) fn new(relay: SocketAddr, name: &'static str, authority: &Path) -> io::Result<Sender> {
        let config = client_config(authority)?;
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        Ok(Sender { relay, name, connector: TlsConnector::from(Arc::new(config)) })
    }

    /// Hands it in; the reply to its end, whatever it is.
    pub(super) async fn send(&self, letter: &Letter<'_>) -> io::Result<String> {
        let stream = TcpStream::connect(self.relay).await?;
        stream.set_nodelay(true)?;
        let mut stream = BufStream::new(stream);
        expect(&mut stream, '2').await?;
        command(&mut stream, "EHLO home.demo.test", '2').await?;
        if !letter.secured {
            return transaction(&mut stream, letter).await;
        }
        command(&mut stream, "STARTTLS", '2').await?;
        let stream = self.connector.connect(self.name.clone(), stream.into_inner()).await?;
        let mut stream = BufStream::new(stream);
        command(&mut stream, "EHLO home.demo.test", '2').await?;
        transaction(&mut stream, letter).await
    }
}

async fn transaction<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufStream<S>,
    letter: &Letter<'_>,
) -> io::Result<String> {
    let Letter { from, to, subject, .. } = letter;
    command(stream, &format!("MAIL FROM:<{from}>"), '2').await?;
    command(stream, &format!("RCPT TO:<{to}>"), '2').await?;
    command(stream, "DATA", '3').await?;
    let content = format!(
        "From: <{from}>\r\nTo: <{to}>\r\nSubject: {subject}\r\n\r\nA message of `sealwire demo`: {subject}.\r\n.\r\n"
    );
    stream.write_all(content.as_bytes()).await?;
    stream.flush().await?;
    let answer = reply(stream).await?;
    command(stream, "QUIT", '2').await?;
    Ok(answer)
}

async fn command<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufStream<S>,
    line: &str,
    class: char,
) -> io::Result<()> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await?;
    stream.flush().await?;
    expect(stream, class).await
}

async fn expect<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufStream<S>, class: char) -> io::Result<()> {
    match reply(stream).await? {
        reply if reply.starts_with(class) => Ok(()),
        reply => Err(io::Error::other(format!("the relay answered `{reply}`"))),
    }
}

/// A whole reply, its lines joined by blanks, the code once.
async fn reply<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufStream<S>) -> io::Result<String> {
    let mut whole = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        match line.get(4..) {
            Some(text) if !whole.is_empty() => whole.push_str(&format!(" {text}")),
            _ => whole.push_str(line),
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(whole);
        }
    }
}
