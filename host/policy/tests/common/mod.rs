//! Test guests: a `.wat` file of `tests/hostile` holds what one guest does; the rest of a policy is put around it here.
//!
//! A file that begins with `(component` is taken as it is.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealwire_core::address::{Domain, Mailbox};
use sealwire_core::facts::{
    ChannelFacts, ChannelState, ClientFacts, DestinationFacts, Field, HopFacts, MessageFacts, RouteKind,
};
use sealwire_core::list::AddressList;
use sealwire_policy::{BuildProblem, Generation, GenerationSource, PolicySource, Profile, Sandbox};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Fields a guest that does not define them gets.
const DEFAULTS: [(&str, &str); 5] = [
    ("(global $always", "(global $always i32 (i32.const 0))"),
    ("(func $configure", "(func $configure (param i32 i32) (result i32) (call $ok))"),
    (
        "(func $evil",
        "(func $evil (param i32) (param $verdict i32) (result i32) (call $conclude (local.get $verdict)) (call $ok))",
    ),
    (
        "(func $plan",
        "(func $plan (param i32 i32) (param $floor i32) (result i32) (call $floor-conclude (local.get $floor)) (call $ok))",
    ),
    (
        "(func $judge",
        "(func $judge (param i32 i32) (param $objections i32) (result i32) (call $objections-conclude (local.get $objections)) (call $ok))",
    ),
];

fn hostile_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/hostile")
}

/// The component of `tests/hostile/NAME.wat`.
pub(crate) fn guest(name: &str) -> Arc<[u8]> {
    let path = hostile_folder().join(format!("{name}.wat"));
    let fields = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    of_fields(&fields)
}

/// The same guest, misbehaving on every message: on the probe facts too.
pub(crate) fn always(name: &str) -> Arc<[u8]> {
    let path = hostile_folder().join(format!("{name}.wat"));
    let fields = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    of_fields(&format!("{fields}\n(global $always i32 (i32.const 1))"))
}

/// A component of a guest's fields.
pub(crate) fn of_fields(fields: &str) -> Arc<[u8]> {
    if fields.lines().any(|line| line.starts_with("(component")) {
        return wat::parse_str(fields).expect("the text is well formed").into();
    }
    let imports = fields.lines().filter(|line| line.trim_start().starts_with("(import")).collect::<Vec<_>>().join("\n");
    let rest = fields.lines().filter(|line| !line.trim_start().starts_with("(import")).collect::<Vec<_>>().join("\n");
    let mut prelude = include_str!("prelude.wat").to_owned();
    if rest.contains("(memory (") {
        prelude = prelude.replace("(memory (export \"memory\") 4)", "");
    }
    let missing = DEFAULTS.iter().filter(|(head, _)| !rest.contains(head));
    let defaults: String = missing.map(|(_, field)| *field).collect();
    let mut module = wat::parse_str(format!("(module {imports} {prelude} {rest} {defaults})")).expect("well formed");
    let (resolve, world) = world();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).expect("metadata");
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(&module).expect("a policy's module").encode().expect("a component").into()
}

/// The contract's world with two interfaces of WASI, as a vendor's component may have them.
fn world() -> (Resolve, wit_parser::WorldId) {
    let mut resolve = Resolve::default();
    resolve.push_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")).expect("the contract");
    let wasi = [
        "package wasi:random@0.2.6; interface random { get-random-u64: func() -> u64; }",
        "package wasi:clocks@0.2.6; interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }",
        "package test:guest; world guest { import wasi:random/random@0.2.6; import wasi:clocks/wall-clock@0.2.6; \
         include sealwire:policy/policy@1.0.0-rc.2; }",
    ];
    let packages = wasi.map(|text| resolve.push_str("wasi.wit", text).expect("well formed"));
    let world = resolve.select_world(&packages[2..], Some("guest")).expect("the world");
    (resolve, world)
}

/// A policy without settings.
pub(crate) fn policy(name: &str, component: Arc<[u8]>) -> PolicySource {
    PolicySource { name: name.to_owned(), component, settings: "{}".to_owned(), limits: Profile::Native }
}

/// A generation of these policies, with the list `partners` of these entries.
pub(crate) fn source(policies: Vec<PolicySource>, partners: &str) -> GenerationSource {
    let list = AddressList::parse(partners).expect("well-formed entries");
    let lists = BTreeMap::from([("partners".to_owned(), Arc::new(list))]);
    GenerationSource { number: 1, policies, lists, routes: BTreeMap::new() }
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
pub(crate) fn report() -> Arc<MessageFacts> {
    Arc::new(MessageFacts { is_report: true, ..message("alice@stranger.example") })
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
