//! A client that says exactly what a test writes, octet by octet: injection, smuggling, parameters, and many messages fast.
//!
//! swaks sends what is proper; this sends anything, and an end of the connection is an answer, not a fault.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::certs::Authority;

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection, after its greeting and EHLO.
#[derive(Debug)]
pub struct Dialogue {
    stream: BufReader<Box<dyn Channel>>,
    tcp: TcpStream,
}

/// Clear or TLS.
trait Channel: Read + Write + Send + std::fmt::Debug {}

impl<T: Read + Write + Send + std::fmt::Debug> Channel for T {}

impl Dialogue {
    /// Connects, hears the greeting, says EHLO.
    pub fn open(server: SocketAddr) -> io::Result<Self> {
        Self::open_within(server, PATIENCE)
    }

    /// The same; no reply may take longer than this.
    pub fn open_within(server: SocketAddr, patience: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_nodelay(true)?;
        let tcp = stream.try_clone()?;
        let mut dialogue = Self { stream: BufReader::new(Box::new(stream)), tcp };
        dialogue.reply()?;
        dialogue.command("EHLO client.test")?;
        Ok(dialogue)
    }

    /// STARTTLS, a handshake with whoever this authority calls `name`, EHLO; gives the answer to that.
    pub fn start_tls(&mut self, authority: &Authority, name: &str) -> io::Result<String> {
        self.command("STARTTLS")?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone()).map_err(io::Error::other)?;
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        self.stream = BufReader::new(Box::new(StreamOwned::new(session, self.tcp.try_clone()?)));
        self.command("EHLO client.test")
    }

    /// Sends these octets in one write, and nothing else.
    pub fn say(&mut self, octets: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(octets.as_ref())?;
        self.stream.get_mut().flush()
    }

    /// One whole reply, its lines joined by LF; an end of the connection is an error.
    pub fn reply(&mut self) -> io::Result<String> {
        let mut reply = String::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            reply.push_str(line.trim_end());
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(reply);
            }
            reply.push('\n');
        }
    }

    /// Sends one line and hears its reply.
    pub fn command(&mut self, line: &str) -> io::Result<String> {
        self.say(format!("{line}\r\n"))?;
        self.reply()
    }

    /// MAIL, RCPT, DATA, up to the 354.
    ///
    /// # Panics
    /// When one of them is refused: no policy speaks before the content.
    #[track_caller]
    pub fn begin(&mut self, from: &str, to: &[&str]) -> io::Result<()> {
        self.begin_with(from, "", to)
    }

    /// The same with parameters of MAIL, ` REQUIRETLS`.
    #[track_caller]
    fn begin_with(&mut self, from: &str, parameters: &str, to: &[&str]) -> io::Result<()> {
        let mut commands = vec![format!("MAIL FROM:<{from}>{parameters}")];
        commands.extend(to.iter().map(|to| format!("RCPT TO:<{to}>")));
        commands.push("DATA".to_owned());
        for command in commands {
            let reply = self.command(&command)?;
            assert!(reply.starts_with(['2', '3']), "{command}: {reply}");
        }
        Ok(())
    }

    /// One whole message; the reply to its end. `content` is header, empty line, text, its lines ended by LF.
    pub fn submit(&mut self, from: &str, to: &[&str], content: &str) -> io::Result<String> {
        self.submit_with(from, "", to, content)
    }

    /// The same with parameters of MAIL.
    #[track_caller]
    pub fn submit_with(&mut self, from: &str, parameters: &str, to: &[&str], content: &str) -> io::Result<String> {
        self.begin_with(from, parameters, to)?;
        self.say(format!("{}\r\n.\r\n", content.trim_end().replace('\n', "\r\n")))?;
        self.reply()
    }

    /// Everything said until the other side closes.
    pub fn rest(mut self) -> io::Result<String> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest)?;
        Ok(String::from_utf8_lossy(&rest).into_owned())
    }
}
