//! nginx, a real web server, by HTTPS on a loopback port: it publishes policies (RFC 8461) and takes reports (RFC 8460),
//! well or badly on purpose.
//!
//! A [`Site`] is chosen by its name, in the SNI and in Host; for any other name the handshake is refused. Each config has a
//! number, which nginx tells on a socket of the private folder, so that a test knows which one is live.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use tempfile::TempDir;

use crate::certs::Leaf;
use crate::process::{Process, Signal};
use crate::{place, wait};

/// Where a policy is published (RFC 8461 §3.3).
pub const POLICY: &str = "/.well-known/mta-sts.txt";

/// What is answered to a request.
#[derive(Clone, Debug)]
pub enum Response {
    /// 200 and this, as `text/plain`.
    Text(String),
    /// 200 and the second, as the type that the first says; as none if it is empty.
    Typed(String, String),
    /// As [`Text`](Self::Text), in chunks, its length not told before.
    Chunked(String),
    /// As [`Text`](Self::Text), its length not told; the end of the connection ends it.
    UntilClosed(String),
    /// As [`Text`](Self::Text), one octet a second, header included.
    Trickle(String),
    /// Only a status, with nginx's own words: 404, 500.
    Status(u16),
    /// A redirect with this status (301) to this URL.
    Redirect(u16, String),
    /// Nothing, until the client gives up.
    Hang,
    /// Takes what is posted and answers this status (201); [`Request::body`] has it.
    Collect(u16),
}

/// A site: a name, the certificate it shows and what it answers.
#[derive(Clone, Debug)]
pub struct Site {
    name: String,
    leaf: Leaf,
    answers: BTreeMap<String, Response>,
}

impl Site {
    /// Shows this certificate, whatever that is good for, and answers 404.
    pub fn new(name: &str, leaf: &Leaf) -> Self {
        Self { name: name.to_owned(), leaf: leaf.clone(), answers: BTreeMap::new() }
    }

    /// At this path, exactly, this.
    pub fn answer(mut self, path: &str, response: Response) -> Self {
        self.answers.insert(path.to_owned(), response);
        self
    }

    /// At [`POLICY`], this.
    pub fn policy(self, response: Response) -> Self {
        self.answer(POLICY, response)
    }
}

/// A request as the access log has it.
#[derive(Clone, Debug, Deserialize)]
pub struct Request {
    /// The name of the site that answered.
    pub site: String,
    /// The name in the SNI; empty without one.
    pub sni: String,
    /// The Host header, with its port if it had one.
    pub host: String,
    /// Such as `GET`.
    pub method: String,
    /// With its query.
    pub path: String,
    /// What was answered; `499` if the client gave up before, `000` if [`Web::set`] cut it.
    pub status: String,
    /// The User-Agent header; empty without one.
    pub agent: String,
    /// The Content-Type header; empty without one.
    pub content_type: String,
    body_file: PathBuf,
}

impl Request {
    /// What was posted, if the site collects and something was.
    pub fn body(&self) -> Option<Vec<u8>> {
        std::fs::read(&self.body_file).ok()
    }
}

/// A running nginx; stops on drop.
#[derive(Debug)]
pub struct Web {
    // The order matters: the process ends before its folder goes.
    process: Option<Process>,
    address: SocketAddr,
    sites: BTreeMap<String, Site>,
    config: u32,
    _silent: UnixListener,
    folder: TempDir,
}

impl Web {
    /// Serves these sites on a free port.
    #[track_caller]
    pub fn start(sites: Vec<Site>) -> Self {
        Self::start_at(place::free_address(), sites)
    }

    /// Serves these sites at this address.
    #[track_caller]
    pub fn start_at(address: SocketAddr, sites: Vec<Site>) -> Self {
        let folder = place::folder();
        let silent = UnixListener::bind(folder.path().join("silent")).expect("a socket in a folder of our own");
        let sites = sites.into_iter().map(|site| (site.name.clone(), site)).collect();
        let mut web = Self { process: None, address, sites, config: 0, _silent: silent, folder };
        web.start_again();
        web
    }

    /// Starts it after a [`stop`](Self::stop), with the same sites at the same address.
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "nginx is running already");
        self.write_config();
        let folder = self.folder.path();
        let mut nginx = Command::new(place::program("nginx"));
        nginx.arg("-e").arg("stderr").arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
        let process = self.process.insert(Process::start("nginx", &mut nginx, &folder.join("nginx.log")));
        process.ready_when("its config live", || live(folder).filter(|live| live.config == self.config));
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Adds a site, or puts it in the place of the one with its name. Comes back when nothing answers any more as before;
    /// connections that hang are cut.
    #[track_caller]
    pub fn set(&mut self, site: Site) {
        let before = live(self.folder.path()).expect("nginx has been started and not stopped");
        self.sites.insert(site.name.clone(), site);
        self.write_config();
        let (folder, config) = (self.folder.path(), self.config);
        let process = self.process.as_mut().expect("nginx has been started and not stopped");
        process.signal(Signal::Hup);
        process.ready_when("its new config live", || live(folder).filter(|live| live.config == config));
        let old = PathBuf::from(format!("/proc/{}", before.worker));
        process.ready_when("the end of its old worker", || (!old.exists()).then_some(()));
    }

    /// Stops it: connections to its port are refused. What it has seen can still be read.
    #[track_caller]
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("nginx has been started and not stopped");
        process.signal(Signal::Term);
        process.wait();
    }

    /// The requests that this site has answered, in the order of their ends: one that hangs is not among them yet.
    pub fn requests(&self, name: &str) -> Vec<Request> {
        let log = std::fs::read(self.folder.path().join("access.log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let requests = whole.lines().map(|line| {
            serde_json::from_str(line).unwrap_or_else(|why| panic!("the access log has no request: {why}:\n{line}"))
        });
        requests.filter(|request: &Request| request.site == name).collect()
    }

    /// The same, once there are as many: a client may have its answer before the log has it.
    #[track_caller]
    pub fn wait_for_requests(&self, name: &str, at_least: usize) -> Vec<Request> {
        wait::until(wait::PATIENCE, &format!("{at_least} request(s) to {name}"), || {
            let requests = self.requests(name);
            (requests.len() >= at_least).then_some(requests)
        })
    }

    /// What nginx says, handshakes that failed among it.
    pub fn log(&self) -> String {
        let log = std::fs::read(self.folder.path().join("nginx.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Writes the next config; it counts from the next start or SIGHUP.
    fn write_config(&mut self) {
        self.config += 1;
        let mut config = Config { folder: self.folder.path(), number: self.config, bodies: 0 };
        let servers: String = self.sites.values().map(|site| config.server(site, self.address)).collect();
        // By status: two sites may answer the same.
        let answers = self.sites.values().flat_map(|site| site.answers.values());
        let collected: BTreeMap<u16, String> = answers.filter_map(collected).collect();
        let collected: String = collected.into_values().collect();
        let text = format!("{}{servers}}}\n", config.head(self.address, &collected));
        place::write(&self.folder.path().join("nginx.conf"), text);
    }
}

/// What is live.
struct Live {
    config: u32,
    worker: u32,
}

/// What nginx says of itself on its socket, if it listens.
fn live(folder: &Path) -> Option<Live> {
    let mut stream = UnixStream::connect(folder.join("control")).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    stream.write_all(b"GET /live HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (config, worker) = answer.rsplit_once("\r\n\r\n")?.1.split_once(' ')?;
    Some(Live { config: config.parse().ok()?, worker: worker.parse().ok()? })
}

/// A config as it is written.
struct Config<'a> {
    folder: &'a Path,
    number: u32,
    bodies: u32,
}

/// [`Request`] in nginx's variables.
const LOGGED: &str = concat!(
    r#"{"site":"$server_name","sni":"$ssl_server_name","host":"$http_host","method":"$request_method","#,
    r#""path":"$request_uri","status":"$status","agent":"$http_user_agent","content_type":"$content_type","#,
    r#""body_file":"$request_body_file"}"#,
);

impl Config<'_> {
    /// All that is not a site's; the block `http` stays open. One worker: when it is gone, so is its config.
    fn head(&self, address: SocketAddr, collected: &str) -> String {
        let (folder, number) = (self.folder.display(), self.number);
        let temporary = ["proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|module| format!("  {module}_temp_path {folder}/{module};\n"))
            .concat();
        format!(
            "daemon off;\nuser root;\nworker_processes 1;\nworker_shutdown_timeout 1s;\npid {folder}/nginx.pid;\n\
             error_log stderr info;\nevents {{}}\nhttp {{\n{temporary}  client_body_temp_path {folder}/posted;\n  \
             client_max_body_size 0;\n  server_names_hash_bucket_size 256;\n  types {{}}\n  \
             ssl_protocols TLSv1.2 TLSv1.3;\n  log_format requests escape=json '{LOGGED}';\n  \
             access_log {folder}/access.log requests;\n  \
             server {{\n    listen unix:{folder}/control;\n    access_log off;\n    \
             location = /live {{ return 200 \"{number} $pid\"; }}\n{collected}  }}\n  \
             server {{\n    listen {address} ssl default_server;\n    ssl_reject_handshake on;\n    return 421;\n  }}\n",
        )
    }

    fn server(&mut self, site: &Site, address: SocketAddr) -> String {
        let answers: String = site.answers.iter().map(|(path, response)| self.location(path, response)).collect();
        format!(
            "  server {{\n    listen {address} ssl;\n    server_name {};\n    ssl_certificate {};\n    \
             ssl_certificate_key {};\n{answers}    location / {{ return 404; }}\n  }}\n",
            quoted(&site.name),
            site.leaf.cert_file().display(),
            site.leaf.key_file().display(),
        )
    }

    fn location(&mut self, path: &str, response: &Response) -> String {
        let folder = self.folder.display();
        let does = match response {
            Response::Text(text) => self.text("text/plain", text),
            Response::Typed(kind, text) => self.text(kind, text),
            // While nginx looks for something to replace, it does not know the length.
            Response::Chunked(text) => self.text("text/plain", text) + UNKNOWN_LENGTH,
            Response::UntilClosed(text) => {
                self.text("text/plain", text) + UNKNOWN_LENGTH + " chunked_transfer_encoding off;"
            }
            Response::Trickle(text) => self.text("text/plain", text) + " limit_rate 1;",
            Response::Status(status) => format!("return {status};"),
            Response::Redirect(status, url) => format!("return {status} {};", quoted(url)),
            // Nobody accepts there.
            Response::Hang => format!("proxy_pass http://unix:{folder}/silent; proxy_read_timeout 1d;"),
            // nginx reads what is posted only to pass it on; the file has it, and only the question for a status goes on.
            Response::Collect(status) => format!(
                "client_body_in_file_only on; proxy_pass_request_body off; proxy_set_header Content-Length \"\"; \
                 proxy_pass http://unix:{folder}/control:/collected/{status};"
            ),
        };
        format!("    location = {} {{ {does} }}\n", quoted(path))
    }

    /// Serves this text from a file of its own, so that nothing in it means anything to nginx.
    fn text(&mut self, kind: &str, text: &str) -> String {
        self.bodies += 1;
        let file = self.folder.join(format!("body-{}-{}", self.number, self.bodies));
        place::write(&file, text);
        format!("alias {}; default_type {};", file.display(), quoted(kind))
    }
}

const UNKNOWN_LENGTH: &str = " sub_filter_types *; sub_filter \"what no policy says\" \"\";";

/// Where a site that collects asks for its status.
fn collected(response: &Response) -> Option<(u16, String)> {
    let Response::Collect(status) = response else { return None };
    Some((*status, format!("    location = /collected/{status} {{ return {status} \"\"; }}\n")))
}

/// A word of a config.
fn quoted(word: &str) -> String {
    assert!(!word.contains(['"', '\\', '$', '\r', '\n']), "nginx would read `{word}` otherwise than it is meant");
    format!("\"{word}\"")
}
