//! Generations, messages and hosts for the tests of this crate; the guests themselves are those of `tests/hostile`.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use sealwire_core::address::{Domain, Mailbox};
use sealwire_core::facts::{
    ChannelFacts, ChannelState, ClientFacts, DestinationFacts, Field, HopFacts, MessageFacts, RouteKind,
};
use sealwire_core::list::AddressList;
use sealwire_policy::{BuildProblem, Generation, GenerationSource, PolicySource, Profile, Sandbox};

#[path = "../../../../tests/src/hostile.rs"]
#[allow(unreachable_pub, reason = "it is the harness's, where it is public")]
mod hostile;
#[allow(unused_imports, reason = "each test binary uses a part")]
pub(crate) use hostile::{always, assembled, guest, of_fields};

/// A policy without settings.
pub(crate) fn policy(name: &str, component: Arc<[u8]>) -> PolicySource {
    PolicySource { name: name.to_owned(), component, settings: "{}".to_owned(), limits: Profile::Native }
}

/// A generation of these policies, with the list `partners` of these entries.
pub(crate) fn source(policies: Vec<PolicySource>, partners: &str) -> GenerationSource {
    let list = AddressList::parse(partners).expect("well-formed entries");
    let lists = BTreeMap::from([("partners".to_owned(), Arc::new(list))]);
    GenerationSource { number: 1, chains: vec![policies], lists, routes: BTreeMap::new() }
}

/// Built, or every problem.
pub(crate) fn built(sandbox: &Sandbox, policies: Vec<PolicySource>) -> Result<Arc<Generation>, Vec<BuildProblem>> {
    sandbox.build(source(policies, "partner.example"), None).map(Arc::new)
}

/// A mailbox.
pub(crate) fn mailbox(text: &str) -> Mailbox {
    let (local, domain) = text.split_once('@').expect("an at sign");
    Mailbox::new(local, Domain::parse(domain).expect("a domain"))
}

/// A message from there, in clear.
pub(crate) fn message(from: &str) -> MessageFacts {
    let field = |name: &str, value: &str| Field { name: name.to_owned(), value: format!(" {value}").into_bytes() };
    MessageFacts {
        id: "m1".to_owned(),
        header_from: vec![mailbox(from)],
        header_from_doubtful: false,
        envelope_sender: Some(mailbox(from)),
        recipients: vec![mailbox("bob@partner.example")],
        fields: Arc::from([field("From", from), field("Subject", "hello")]),
        declared_size: None,
        size: None,
        sender_is_ours: false,
        is_report: false,
        organizational_unit: vec!["root".to_owned()],
        secure_transport_required_by: Vec::new(),
        tls_not_required: false,
        arrived_at: 1_000,
        client: Some(ClientFacts {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            greeting_name: "client.example".to_owned(),
            authenticated_as: None,
            listener: "public".to_owned(),
            channel: in_clear(),
        }),
    }
}

/// A message on which a hostile guest misbehaves.
pub(crate) fn provoking() -> MessageFacts {
    let fields = Arc::from([Field { name: hostile::FIELD.to_owned(), value: b" yes".to_vec() }]);
    MessageFacts { fields, ..message("alice@stranger.example") }
}

/// The way to this recipient.
pub(crate) fn destination(recipient: &str) -> Arc<DestinationFacts> {
    Arc::new(DestinationFacts {
        recipient: mailbox(recipient),
        recipient_is_ours: false,
        route_kind: RouteKind::Mx,
        route_name: "mx".to_owned(),
        route_demands: Vec::new(),
        round: 1,
    })
}

/// A host.
pub(crate) fn hop() -> Arc<HopFacts> {
    Arc::new(HopFacts {
        recipients: vec![mailbox("bob@partner.example")],
        route_kind: RouteKind::Mx,
        route_name: "mx".to_owned(),
        host: "mx.partner.example".to_owned(),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        extensions: vec!["STARTTLS".to_owned()],
        channel: in_clear(),
        published: Vec::new(),
    })
}

fn in_clear() -> ChannelFacts {
    ChannelFacts { state: ChannelState::NotOffered, detail: String::new(), handshake: None }
}
