//! A queue of 100,000 deferred messages to 1,000 destinations becomes due, and 50 of these are dead and 50 slow: how fast the
//! others drain, beside what they do where all are well; how soon after a crash the first message is delivered; how much
//! memory that takes.
//!
//! Destinations are domains with an MX of their own, from a real name server. A dead host takes no connection and refuses
//! none; a slow one takes five seconds to say 250. At the end the dead come to life, and every message must have come once.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use sealwire_tests::nsd::Nsd;
use sealwire_tests::wait;

use crate::Extent;
use crate::ends::{Load, Sink};
use crate::relays::{Running, Surroundings, UnderTest};
use crate::table::{Budget, Figures, Row, say};

const MESSAGES: u64 = 100_000;
const DOMAINS: u64 = 1_000;
const DEAD: u64 = 50;
const SLOW: u64 = 50;
const SLOW_MS: &str = "5000";
const DEAD_HOST: [u8; 4] = [127, 0, 0, 2];
const SLOW_HOST: [u8; 4] = [127, 0, 0, 3];
/// Until half of the healthy mail is delivered, and until all is, on a machine with other work.
const DRAIN_TIME: Duration = Duration::from_secs(600);
/// Between orders to try again at once.
const AGAIN: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(100);
const MIB: f64 = 1024.0 * 1024.0;

pub(crate) fn measure(extent: &Extent) -> Vec<Row> {
    let messages = if extent.quick { MESSAGES / 20 } else { MESSAGES };
    say(&format!("{messages} deferred messages, all destinations well"));
    let well = drain(messages, 0, 0);
    say(&format!("{messages} deferred messages, {DEAD} destinations dead and {SLOW} slow"));
    let ill = drain(messages, DEAD, SLOW);
    let row = |what: &str, unit, sealwire: f64, budget| Row {
        what: what.to_owned(),
        unit,
        postfix: None,
        sealwire: Figures::from(sealwire),
        budget,
    };
    vec![
        row("100,000 deferred to 1,000 destinations, all well", "messages/s", well.rate, Budget::None),
        row("the healthy ones beside 50 dead and 50 slow", "messages/s", ill.rate, Budget::None),
        row("the same as a share of full speed", "share", ill.rate / well.rate, Budget::AtLeast(0.9)),
        row("restart to first delivery", "s", well.restart.max(ill.restart), Budget::AtMost(5.0)),
        row("most memory meanwhile", "MiB", well.memory.max(ill.memory), Budget::AtMost(150.0)),
    ]
}

struct Drained {
    /// Healthy messages per second, until half of them are delivered.
    rate: f64,
    /// Seconds from the start behind a crash to a delivery.
    restart: f64,
    /// The most memory, MiB.
    memory: f64,
}

fn drain(messages: u64, dead: u64, slow: u64) -> Drained {
    let around = Surroundings::new(false);
    let at = |host: [u8; 4]| SocketAddr::from((host, around.sink.port()));
    let names = Nsd::start(&[("bench.test", &zone(dead, slow))]);
    let mut relay = around.sealwire_as(|ground| {
        format!(
            "hostname = \"relay.bench.test\"\ndata-directory = \"data\"\nlog-level = \"error\"\n\
             [dns]\nservers = [\"{}\"]\n[[listener]]\nname = \"bench\"\naddress = \"{}\"\n\
             [[route]]\nname = \"mx\"\nmx = true\nport = {}\ndefault = true\n\
             [schedule]\nfirst-retry = \"2h\"\nmax-interval = \"2h\"\n",
            names.address(),
            ground.smtp,
            around.sink.port()
        )
    });

    // Nobody listens yet, so every message is deferred.
    let load = Load { sessions: 50, messages, domains: Some(DOMAINS), ..Load::default() };
    load.run(relay.address(), &around);
    relay.cpu_seconds_at_rest();
    let healthy = Sink::start(&around, messages);
    let slow_sink = Sink::start_at(&around, at(SLOW_HOST), messages, &["--final-delay", SLOW_MS], false);
    let deaf = Deaf::at(at(DEAD_HOST));

    let expected = messages - messages / DOMAINS * (dead + slow);
    let mut most = 0.0_f64;
    let began = Instant::now();
    retry(&relay);
    until(expected / 2, &healthy, || most = most.max(relay.memory()));
    let rate = (expected / 2) as f64 / began.elapsed().as_secs_f64();

    sealwire(&mut relay).kill();
    // What was delivered and not yet settled is delivered once more: no more than were under way.
    let before = healthy.account().messages;
    let began = Instant::now();
    sealwire(&mut relay).start();
    until(before + 1, &healthy, || ());
    let restart = began.elapsed().as_secs_f64();
    let mut retried = Instant::now();
    wait::until(DRAIN_TIME, "all healthy mail", || {
        most = most.max(relay.memory());
        // The name server drops questions when a thousand come at once, and that is a deferral too.
        if retried.elapsed() > AGAIN {
            retry(&relay);
            retried = Instant::now();
        }
        thread::park_timeout(LOOK);
        (healthy.account().distinct >= expected).then_some(())
    });

    drop(deaf);
    let revived = Sink::start_at(&around, at(DEAD_HOST), messages, &[], false);
    let distinct = || [&healthy, &slow_sink, &revived].map(|sink| sink.account().distinct).iter().sum::<u64>();
    wait::until(DRAIN_TIME, "every message", || {
        retry(&relay);
        thread::park_timeout(AGAIN);
        (distinct() >= messages).then_some(())
    });
    for sink in [&healthy, &slow_sink, &revived] {
        let account = sink.account();
        assert_eq!((account.damaged, account.strange), (0, 0), "the run is void: {account:?}");
    }
    Drained { rate, restart, memory: most / MIB }
}

/// Every domain under `bench.test` has an MX; the first ones a dead one, the next a slow one.
fn zone(dead: u64, slow: u64) -> String {
    let ill =
        |range: std::ops::Range<u64>, host: &str| range.map(|n| format!("{n} MX 10 {host}\n")).collect::<String>();
    let host = |octets: [u8; 4]| std::net::Ipv4Addr::from(octets);
    format!(
        "sink A 127.0.0.1\ndead A {}\nslow A {}\n{}{}* MX 10 sink\n",
        host(DEAD_HOST),
        host(SLOW_HOST),
        ill(0..dead, "dead"),
        ill(dead..dead + slow, "slow")
    )
}

fn retry(relay: &UnderTest) {
    let Running::Sealwire(relay) = &relay.running else { unreachable!("it was started as sealwire") };
    let said = relay.run(&["queue", "retry", "--all"]);
    assert!(said.status.success(), "queue retry: {}", said.err);
}

fn sealwire(relay: &mut UnderTest) -> &mut sealwire_tests::relay::Relay {
    let Running::Sealwire(relay) = &mut relay.running else { unreachable!("it was started as sealwire") };
    relay
}

fn until(messages: u64, sink: &Sink, mut look: impl FnMut()) {
    wait::until(DRAIN_TIME, &format!("{messages} messages"), || {
        look();
        (sink.account().messages >= messages).then_some(())
    });
}

/// An address that takes no connection and refuses none: its backlog is full and stays so.
struct Deaf {
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Deaf {
    fn at(address: SocketAddr) -> Deaf {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.set_reuse_address(true).expect("an option");
        socket.bind(&address.into()).expect("a free address");
        socket.listen(0).expect("a listener");
        let timeout = Duration::from_millis(200);
        let waiting = std::iter::from_fn(|| TcpStream::connect_timeout(&address, timeout).ok()).take(64).collect();
        Deaf { _listener: socket.into(), _waiting: waiting }
    }
}
