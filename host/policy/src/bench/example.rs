//! What benches ask about: one listed From in clear text, refused by R1 with its reason, and its way out.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sealwire_core::address::Mailbox;
use sealwire_core::facts::{
    ChannelFacts, ChannelState, ClientFacts, DestinationFacts, HopFacts, MessageFacts, RouteKind,
};
use sealwire_core::list::AddressList;

use super::{Ask, Warm};
use crate::generation::{Generation, GenerationSource, PolicySource};
use crate::limits::Profile;
use crate::sandbox::Sandbox;
use crate::state::Question;

const SETTINGS: &str =
    r#"{"settings":[{"description":"partners","scopes":["inbound","outbound"],"lists":["partners"]}]}"#;
/// Calls of each kind; the figure is their median.
pub const CALLS: usize = 20_000;
/// The decision's time.
pub const NOW: u64 = 1_800_000_000;

/// Of so many calls, after some that warm up; microseconds.
pub fn median(mut work: impl FnMut()) -> f64 {
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

/// The built-in policy, which is this component, with a list of so many entries. None: it does not build.
pub fn generation(sandbox: &Sandbox, component: &[u8], entries: usize) -> Option<Generation> {
    let others = (1..entries).map(|n| format!("user{n}@domain{}.example\n", n % 1_000));
    let text: String = std::iter::once("partner.example\n".to_owned()).chain(others).collect();
    let list = AddressList::parse(&text).ok()?;
    let source = GenerationSource {
        number: 1,
        chains: vec![vec![PolicySource {
            name: "secure-transport".into(),
            component: component.into(),
            settings: SETTINGS.into(),
            limits: Profile::Native,
        }]],
        lists: BTreeMap::from([("partners".to_owned(), Arc::new(list))]),
        routes: BTreeMap::new(),
    };
    sandbox.build(source, None).ok()
}

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).expect("a mailbox")
}

fn clear() -> ChannelFacts {
    ChannelFacts { state: ChannelState::NotOffered, detail: String::new(), handshake: None }
}

/// `receive`, `plan` and `judge` of one message.
pub fn asks() -> [Ask; 3] {
    let message = Arc::new(message());
    let (destination, hop) = (Arc::new(destination()), Arc::new(hop()));
    [
        Ask(Question::Receive(Arc::clone(&message))),
        Ask(Question::Plan(Arc::clone(&message), destination)),
        Ask(Question::Judge(message, hop)),
    ]
}

/// A call of `receive` in an instance that is kept, which budgets are held against; microseconds. None: no instance.
pub fn warm_call(generation: &Generation) -> Option<f64> {
    let [receive, ..] = asks();
    let mut kept = Warm::new(generation, &receive)?;
    Some(median(|| assert!(kept.call(&receive))))
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
