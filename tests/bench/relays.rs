//! The relays under test: Postfix as Debian installs it and sealwire, configured to do the same work.
//!
//! Both take mail from loopback, hand everything to the sink, and sync before they say 250. Secured means STARTTLS with
//! an ECDSA P-256 certificate on the way in, and on the way out TLS with a certificate that leads to the bench's
//! authority and bears the sink's name. Everything else is each one's default.

use std::net::SocketAddr;
use std::time::Duration;

use sealwire_tests::certs::{Authority, Leaf};
use sealwire_tests::postfix::Postfix;
use sealwire_tests::relay::{Ground, Relay};
use sealwire_tests::{place, wait};

use crate::meter::{self, Meter};

/// The relays' own name in their certificates.
pub(crate) const RELAY: &str = "relay.bench.test";

/// A relay rests when it uses less CPU than this in a while.
const RESTING_SECONDS: f64 = 0.004;
const WHILE: Duration = Duration::from_millis(250);
const REST_TIME: Duration = Duration::from_secs(10);

/// Which relay; as a number, its place among the figures of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Postfix,
    Sealwire,
}

/// What surrounds the relay: certificates, and where the sink is.
pub(crate) struct Surroundings {
    pub(crate) authority: Authority,
    pub(crate) relay_leaf: Leaf,
    pub(crate) sink_leaf: Leaf,
    pub(crate) sink: SocketAddr,
    pub(crate) secured: bool,
}

impl Surroundings {
    pub(crate) fn new(secured: bool) -> Surroundings {
        let authority = Authority::new("Bench CA");
        let (relay_leaf, sink_leaf) = (authority.leaf(&[RELAY]), authority.leaf(&["127.0.0.1", "localhost"]));
        Surroundings { authority, relay_leaf, sink_leaf, sink: place::free_address(), secured }
    }

    /// Starts a relay of this kind.
    pub(crate) fn start(&self, kind: Kind) -> UnderTest {
        let meter = Meter::new(match kind {
            Kind::Postfix => "postfix",
            Kind::Sealwire => "sealwire",
        });
        let under = meter.under();
        self.start_under(kind, meter, &under, "")
    }

    /// Starts sealwire with more configuration behind the usual one.
    pub(crate) fn sealwire_with(&self, more: &str) -> UnderTest {
        self.sealwire_as(|ground| format!("{}{more}", self.sealwire(ground)))
    }

    /// Starts sealwire with this configuration.
    pub(crate) fn sealwire_as(&self, config: impl FnOnce(&Ground) -> String) -> UnderTest {
        let meter = Meter::new("sealwire");
        let running = Running::Sealwire(started(config, &meter.under()));
        UnderTest { running, meter }
    }

    /// Starts a relay by this command, which must end in it.
    pub(crate) fn start_under(&self, kind: Kind, meter: Meter, under: &[String], more: &str) -> UnderTest {
        let config = |ground: &Ground| format!("{}{more}", self.sealwire(ground));
        let running = match kind {
            Kind::Postfix => Running::Postfix(self.postfix(under)),
            Kind::Sealwire => Running::Sealwire(started(config, under)),
        };
        UnderTest { running, meter }
    }

    fn postfix(&self, under: &[String]) -> Postfix {
        // Debian's own defaults where the harness has others, which suit tests and not a bench.
        let mut setup = Postfix::sender(self.sink)
            .hostname(RELAY)
            .set("smtpd_tls_loglevel", "0")
            .set("smtp_tls_loglevel", "0")
            .set("smtpd_tls_received_header", "no")
            .set("queue_run_delay", "300s")
            .set("minimal_backoff_time", "300s")
            .set("maximal_backoff_time", "4000s")
            .set("smtp_tls_connection_reuse", "yes")
            .client_tls("none");
        if self.secured {
            setup = setup
                .offer_tls(&self.relay_leaf)
                .set("relayhost", &format!("[localhost]:{}", self.sink.port()))
                .client_tls("secure")
                .set("smtp_tls_secure_cert_match", "localhost")
                .set("smtp_tls_CAfile", &self.authority.file().display().to_string());
        }
        setup.under(under).start()
    }

    fn sealwire(&self, ground: &Ground) -> String {
        let (listener, route) = match self.secured {
            false => (String::new(), ""),
            true => (
                format!(
                    "certificate = {:?}\nkey = {:?}\n",
                    self.relay_leaf.cert_file().display().to_string(),
                    self.relay_leaf.key_file().display().to_string()
                ),
                "require-ca-signed-certificate = true\nvalidate-hostname = true\n",
            ),
        };
        format!(
            "hostname = \"{RELAY}\"\ndata-directory = \"data\"\n[tls]\nroots = {:?}\n\
             [[listener]]\nname = \"bench\"\naddress = \"{}\"\n{listener}\
             [[route]]\nname = \"sink\"\ndefault = true\nhosts = [{{ host = \"127.0.0.1\", port = {} }}]\n{route}",
            self.authority.file().display().to_string(),
            ground.smtp,
            self.sink.port()
        )
    }
}

fn started(config: impl FnOnce(&Ground) -> String, under: &[String]) -> Relay {
    let mut relay = Relay::new(config);
    relay.under(&under.iter().map(String::as_str).collect::<Vec<_>>());
    relay.start();
    relay
}

/// A relay that runs; stops on drop.
pub(crate) struct UnderTest {
    // The order matters: a control group can be removed only when its processes are gone.
    pub(crate) running: Running,
    meter: Meter,
}

pub(crate) enum Running {
    Postfix(Postfix),
    Sealwire(Relay),
}

impl UnderTest {
    pub(crate) fn address(&self) -> SocketAddr {
        match &self.running {
            Running::Postfix(postfix) => postfix.address(),
            Running::Sealwire(relay) => relay.smtp(),
        }
    }

    pub(crate) fn process(&self) -> u32 {
        match &self.running {
            Running::Postfix(postfix) => postfix.process_id(),
            Running::Sealwire(relay) => relay.id(),
        }
    }

    /// CPU seconds so far.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.meter.cpu_seconds(self.process())
    }

    /// Memory now, in octets.
    pub(crate) fn memory(&self) -> f64 {
        meter::memory(self.process())
    }

    /// CPU seconds so far, once what it does behind the last delivery is done.
    pub(crate) fn cpu_seconds_at_rest(&self) -> f64 {
        let mut before = self.cpu_seconds();
        let resting = || {
            std::thread::park_timeout(WHILE);
            let now = self.cpu_seconds();
            let used = std::mem::replace(&mut before, now);
            (now - used < RESTING_SECONDS).then_some(now)
        };
        wait::within(REST_TIME, resting).unwrap_or_else(|| self.cpu_seconds())
    }
}
