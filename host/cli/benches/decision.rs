//! What a decision of the built-in policy costs: `cargo bench` prints the decision rows of the budgets.
//!
//! Budgets are ratios of figures of one run: a fresh sandbox costs at most 4 warm calls, the three decisions of a message
//! (receive, plan, judge) at most 13, and a list of 1,000,000 entries at most 10% more than one of 10. Each case runs
//! with PAGEMAP_SCAN and without it. Warm is `receive` in an instance that is kept; nothing in service keeps one.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sealwire_core::address::Mailbox;
use sealwire_core::facts::{
    ChannelFacts, ChannelState, ClientFacts, DestinationFacts, HopFacts, MessageFacts, RouteKind,
};
use sealwire_core::list::AddressList;
use sealwire_policy::bench::{Ask, Warm, fresh};
use sealwire_policy::{Generation, GenerationSource, PolicySource, Profile, Sandbox, SandboxConfig};

const COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/secure-transport.wasm"));
const SETTINGS: &str =
    r#"{"settings":[{"description":"partners","scopes":["inbound","outbound"],"lists":["partners"]}]}"#;
/// Calls of each kind; the figure is their median.
const CALLS: usize = 20_000;
const NOW: u64 = 1_800_000_000;

#[expect(clippy::print_stdout, reason = "a bench speaks to a person")]
fn main() {
    println!("median of {CALLS} calls, microseconds; one listed From in clear text, refused by R1 with its reason");
    println!("{:<34}{:>8}{:>8}{:>14}{:>12}{:>16}", "", "warm", "fresh", "fresh / warm", "3 decisions", "3 / warm");
    for (label, pagemap_scan) in [("with pagemap_scan", true), ("without pagemap_scan", false)] {
        let sandbox = Sandbox::start(SandboxConfig { pagemap_scan, ..SandboxConfig::default() }).expect("a sandbox");
        let mut of_ten = None;
        for entries in [10, 1_000_000] {
            let row = Row::measure(&sandbox, &generation(&sandbox, entries));
            let growth = of_ten.map_or(String::new(), |ten| {
                format!("  fresh against 10 entries: {:+.1}%", (row.fresh / ten - 1.0) * 100.0)
            });
            of_ten.get_or_insert(row.fresh);
            println!(
                "{:<34}{:>8.1}{:>8.1}{:>14.1}{:>12.1}{:>16.1}{growth}",
                format!("{label}, {entries} entries"),
                row.warm,
                row.fresh,
                row.fresh / row.warm,
                row.three,
                row.three / row.warm
            );
        }
    }
    println!("budgets: fresh / warm <= 4, 3 / warm <= 13, 1,000,000 entries within 10% of 10");
}

struct Row {
    warm: f64,
    fresh: f64,
    three: f64,
}

impl Row {
    fn measure(sandbox: &Sandbox, generation: &Generation) -> Row {
        let message = Arc::new(message());
        let receive = Ask::receive(&message);
        let plan = Ask::plan(&message, &Arc::new(destination()));
        let judge = Ask::judge(&message, &Arc::new(hop()));
        let mut kept = Warm::new(generation, &receive).expect("an instance");
        Row {
            warm: median(|| assert!(kept.call(&receive))),
            fresh: median(|| assert!(fresh(sandbox, generation, &receive, NOW))),
            three: median(|| assert!([&receive, &plan, &judge].iter().all(|ask| fresh(sandbox, generation, ask, NOW)))),
        }
    }
}

/// Microseconds.
fn median(mut work: impl FnMut()) -> f64 {
    for _ in 0..CALLS / 10 {
        work();
    }
    let mut times: Vec<Duration> = (0..CALLS)
        .map(|_| {
            let started = Instant::now();
            work();
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[CALLS / 2].as_secs_f64() * 1e6
}

fn generation(sandbox: &Sandbox, entries: usize) -> Generation {
    let others = (1..entries).map(|n| format!("user{n}@domain{}.example\n", n % 1_000));
    let text: String = std::iter::once("partner.example\n".to_owned()).chain(others).collect();
    let list = AddressList::parse(&text).expect("well-formed entries");
    let source = GenerationSource {
        number: 1,
        chains: vec![vec![PolicySource {
            name: "secure-transport".into(),
            component: COMPONENT.into(),
            settings: SETTINGS.into(),
            limits: Profile::Native,
        }]],
        lists: BTreeMap::from([("partners".to_owned(), Arc::new(list))]),
        routes: BTreeMap::new(),
    };
    sandbox.build(source, None).expect("the built-in policy builds")
}

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).expect("a mailbox")
}

fn clear() -> ChannelFacts {
    ChannelFacts { state: ChannelState::NotOffered, detail: String::new(), handshake: None }
}

fn message() -> MessageFacts {
    MessageFacts {
        id: "01m84nz561dheydaxq6z".into(),
        header_from: vec![mailbox("ann@partner.example")],
        header_from_doubtful: false,
        envelope_sender: Some(mailbox("bounce@partner.example")),
        recipients: vec![mailbox("bob@partner.example")],
        fields: Arc::new([]),
        declared_size: Some(4_096),
        size: None,
        sender_is_ours: false,
        is_report: false,
        organizational_unit: vec!["root".into()],
        secure_transport_required_by: Vec::new(),
        tls_not_required: false,
        arrived_at: NOW,
        client: Some(ClientFacts {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            greeting_name: "client.example".into(),
            authenticated_as: None,
            listener: "main".into(),
            channel: clear(),
        }),
    }
}

fn destination() -> DestinationFacts {
    DestinationFacts {
        recipient: mailbox("bob@partner.example"),
        recipient_is_ours: false,
        route_kind: RouteKind::Mx,
        route_name: "mx".into(),
        route_demands: Vec::new(),
        round: 1,
    }
}

fn hop() -> HopFacts {
    HopFacts {
        recipients: vec![mailbox("bob@partner.example")],
        route_kind: RouteKind::Mx,
        route_name: "mx".into(),
        host: "mx.partner.example".into(),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        extensions: vec!["PIPELINING".into(), "8BITMIME".into()],
        channel: clear(),
        published: Vec::new(),
    }
}
