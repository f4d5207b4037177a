//! Whatever a policy read is read again from the record, and nothing else is.

use serde_json::json;
use wasmtime::Result;
use wasmtime::component::Resource;

use super::*;
use crate::bindings::facts::{
    Certificate as CertificateHandle, Channel, Handshake as HandshakeHandle, HostCertificate, HostChannel, HostClient,
    HostDestination, HostHandshake, HostHop, HostMessage,
};
use crate::limits::Profile;
use crate::reads::Reads;
use crate::state::State;

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).expect("a mailbox")
}

fn handshake() -> Handshake {
    let certificate = |number: u8| Certificate {
        subject: format!("CN=host {number}"),
        issuer: "CN=authority, O=\"a, b\"".into(),
        dns_names: vec!["mx.example".into(), "*.example".into()],
        not_before: 1,
        not_after: u64::from(number),
        sha256: [number; 32],
        spki_sha256: [number + 1; 32],
        der: vec![number; 9],
    };
    Handshake {
        revocation: sealwire_core::facts::RevocationStatus::Good,
        version: TlsVersion::TLS13,
        cipher_suite: "TLS_AES_128_GCM_SHA256".into(),
        key_exchange: "x25519".into(),
        server_name: Some("mx.example".into()),
        implicit: true,
        resumed: true,
        chain: ChainVerdict::CertificateExpired,
        name_matches: true,
        certificates: vec![certificate(7), certificate(250)],
        dane: None,
    }
}

fn channel(secured: bool) -> ChannelFacts {
    let state = if secured { ChannelState::Secured } else { ChannelState::Refused };
    let handshake = secured.then(|| Arc::new(handshake()));
    ChannelFacts { state, detail: "454 \u{fc} \"no\"".into(), handshake }
}

fn message(client: Option<bool>) -> Arc<MessageFacts> {
    let field = |name: &str, value: &[u8]| Field { name: name.into(), value: value.to_vec() };
    Arc::new(MessageFacts {
        id: "m1".into(),
        header_from: vec![mailbox("\"an (odd) \\\"one\"@b\u{fc}cher.example"), mailbox("b@[192.0.2.1]")],
        header_from_doubtful: true,
        envelope_sender: client.map(|_| mailbox("Ann@Sender.Example")),
        recipients: vec![mailbox("bob@partner.example"), mailbox("eve@partner.example")],
        fields: Arc::from([
            field("Subject", b" folded\r\n\tonce"),
            field("X-Octets", b" \xff\xfe"),
            field("subject", b"  again "),
            field("Empty", b""),
        ]),
        declared_size: Some(10),
        size: None,
        sender_is_ours: true,
        is_report: true,
        organizational_unit: vec!["root".into(), "sales".into()],
        secure_transport_required_by: vec!["requiretls".into(), "content".into()],
        tls_not_required: true,
        arrived_at: 99,
        client: client.map(|secured| ClientFacts {
            address: "2001:db8::1".parse().expect("an address"),
            greeting_name: "client.example".into(),
            authenticated_as: secured.then(|| "ann".into()),
            listener: "public".into(),
            channel: channel(secured),
        }),
    })
}

fn questions() -> Vec<Question> {
    let destination = |kind| DestinationFacts {
        recipient: mailbox("bob@partner.example"),
        recipient_is_ours: true,
        route_kind: kind,
        route_name: "vault".into(),
        route_demands: vec!["tls".into(), "trusted-chain".into()],
        round: 3,
    };
    let hop = |secured| HopFacts {
        recipients: vec![mailbox("bob@partner.example")],
        route_kind: RouteKind::AlternateSecure,
        route_name: "vault".into(),
        host: "mx.example".into(),
        address: "192.0.2.9".parse().expect("an address"),
        extensions: vec!["SIZE 10".into()],
        channel: channel(secured),
        published: vec![("dane".into(), "valid".into())],
    };
    vec![
        Question::Receive(message(Some(true))),
        Question::Receive(message(Some(false))),
        Question::Plan(message(None), Arc::new(destination(RouteKind::SmartHost))),
        Question::Plan(message(Some(true)), Arc::new(destination(RouteKind::Mx))),
        Question::Judge(message(Some(true)), Arc::new(hop(true))),
        Question::Judge(message(None), Arc::new(hop(false))),
    ]
}

/// Calls every method there is.
fn read_everything(state: &mut State) -> Result<()> {
    HostMessage::id(state, Resource::new_borrow(0))?;
    state.header_from(Resource::new_borrow(0))?;
    state.header_from_doubtful(Resource::new_borrow(0))?;
    state.envelope_sender(Resource::new_borrow(0))?;
    HostMessage::recipients(state, Resource::new_borrow(0))?;
    state.header(Resource::new_borrow(0), "SUBJECT".into())?;
    state.header(Resource::new_borrow(0), "absent".into())?;
    state.header_octets(Resource::new_borrow(0), "x-octets".into())?;
    state.header_octets(Resource::new_borrow(0), "subject".into())?;
    state.headers(Resource::new_borrow(0))?;
    state.declared_size(Resource::new_borrow(0))?;
    state.size(Resource::new_borrow(0))?;
    state.sender_is_ours(Resource::new_borrow(0))?;
    state.is_report(Resource::new_borrow(0))?;
    state.organizational_unit(Resource::new_borrow(0))?;
    state.secure_transport_required_by(Resource::new_borrow(0))?;
    state.tls_not_required(Resource::new_borrow(0))?;
    state.now(Resource::new_borrow(0))?;
    state.arrived_at(Resource::new_borrow(0))?;
    if state.client(Resource::new_borrow(0))?.is_some() {
        HostClient::address(state, Resource::new_borrow(0))?;
        state.greeting_name(Resource::new_borrow(0))?;
        state.authenticated_as(Resource::new_borrow(0))?;
        state.listener(Resource::new_borrow(0))?;
        let channel = HostClient::channel(state, Resource::new_borrow(0))?;
        read_channel(state, channel)?;
    }
    match state.question {
        Question::Plan(..) => {
            state.recipient(Resource::new_borrow(0))?;
            state.recipient_is_ours(Resource::new_borrow(0))?;
            HostDestination::route_kind(state, Resource::new_borrow(0))?;
            HostDestination::route_name(state, Resource::new_borrow(0))?;
            state.route_demands(Resource::new_borrow(0))?;
            state.round(Resource::new_borrow(0))?;
        }
        Question::Judge(..) => {
            HostHop::recipients(state, Resource::new_borrow(0))?;
            HostHop::route_kind(state, Resource::new_borrow(0))?;
            HostHop::route_name(state, Resource::new_borrow(0))?;
            state.host(Resource::new_borrow(0))?;
            HostHop::address(state, Resource::new_borrow(0))?;
            state.extensions(Resource::new_borrow(0))?;
            state.published(Resource::new_borrow(0))?;
            let channel = HostHop::channel(state, Resource::new_borrow(0))?;
            read_channel(state, channel)?;
        }
        Question::Configure | Question::Receive(_) => {}
    }
    Ok(())
}

fn read_channel(state: &mut State, channel: Resource<Channel>) -> Result<()> {
    let rep = channel.rep();
    HostChannel::state(state, Resource::new_borrow(rep))?;
    state.detail(Resource::new_borrow(rep))?;
    let Some(handshake) = state.handshake(Resource::new_borrow(rep))? else { return Ok(()) };
    let handshake = || Resource::<HandshakeHandle>::new_borrow(handshake.rep());
    state.version(handshake())?;
    state.cipher_suite(handshake())?;
    state.key_exchange(handshake())?;
    state.server_name(handshake())?;
    state.implicit(handshake())?;
    state.resumed(handshake())?;
    state.chain(handshake())?;
    state.name_matches(handshake())?;
    for certificate in state.certificates(handshake())? {
        let certificate = || Resource::<CertificateHandle>::new_borrow(certificate.rep());
        state.subject(certificate())?;
        state.issuer(certificate())?;
        state.dns_names(certificate())?;
        state.not_before(certificate())?;
        state.not_after(certificate())?;
        state.sha256(certificate())?;
        state.spki_sha256(certificate())?;
    }
    Ok(())
}

fn state(question: Question, now: u64, reads: Reads) -> State {
    let mut state = State::new(question, now, Arc::default(), Profile::Native);
    state.reads = reads;
    state
}

/// As the ledger would have it.
fn record(question: &Question, facts: Value, at_hand: Map<String, Value>) -> DecisionRecord {
    DecisionRecord {
        hook: question.hook().into(),
        policy: "p".into(),
        generation: 1,
        revision: 1,
        revision_at: 0,
        unit: question.message().expect("a message").organizational_unit.clone(),
        internal: false,
        also_for: Vec::new(),
        component: String::new(),
        settings: String::new(),
        lists: Default::default(),
        facts,
        at_hand,
        result: json!({}),
        reasons: Vec::new(),
        took_us: 0,
    }
}

#[test]
fn every_fact_that_was_read_is_read_again() {
    for question in questions() {
        let mut before = state(question.clone(), 1_234, Reads::default());
        read_everything(&mut before).expect("there is no limit in the way");
        let facts = before.reads.take_json();
        // Nothing is at hand that was not read, and everything at hand is among what can be read.
        assert_eq!(at_hand(&question, 1_234, &facts), Map::new());
        for (name, value) in at_hand(&question, 1_234, &json!({})) {
            assert_eq!(facts[&name], value, "{name}");
        }
        let again = Recorded::of("m1", &record(&question, facts.clone(), Map::new())).expect("whole");
        assert_eq!(
            (again.now, again.question.id()),
            (1_234, question.id()),
            "the clock and randomness stand as they stood"
        );
        let mut after = state(again.question, again.now, Reads::of_record(again.names));
        read_everything(&mut after).expect("all of it is on record");
        assert_eq!(after.reads.take_json(), facts);
    }
}

#[test]
fn what_was_at_hand_can_be_read_and_nothing_else() {
    let all = |question: &Question| {
        let mut state = state(question.clone(), 5, Reads::default());
        read_everything(&mut state).expect("live");
        state.reads.take_json()
    };
    for question in questions() {
        let kept = at_hand(&question, 5, &json!({}));
        let again = Recorded::of("m1", &record(&question, json!({}), kept.clone())).expect("whole");
        assert_eq!(again.question.id(), question.id());
        let Value::Object(all) = all(&question) else { panic!("an object") };
        let known =
            |name: &String| kept.contains_key(name) || name == "message.id" || name == "message.organizational-unit";
        for name in all.keys() {
            assert_eq!(again.names.contains(name), known(name), "{name}");
        }
        let mut after = state(again.question, again.now, Reads::of_record(again.names));
        let error = read_everything(&mut after).expect_err("not all is on record");
        assert!(error.to_string().ends_with("is not on record"), "{error}");
    }
}

#[test]
fn a_record_that_lacks_what_makes_it_is_no_question() {
    let of = |question: &Question, missing: &str| {
        let mut kept = at_hand(question, 5, &json!({}));
        kept.remove(missing);
        Recorded::of("m1", &record(question, json!({}), kept)).err()
    };
    let questions = questions();
    let rows = [
        (0, "message.now"),
        (2, "destination.recipient"),
        (2, "destination.route-name"),
        (2, "destination.round"),
        (4, "hop.host"),
        (4, "hop.address"),
    ];
    for (index, name) in rows {
        assert_eq!(of(&questions[index], name).as_deref(), Some(name));
    }
    // A certificate's octets are not kept, its digest is.
    let facts = json!({ "client.certificate.der(0)": "00", "client.certificate.sha256(0)": "00" });
    let kept = at_hand(&questions[0], 5, &json!({}));
    let recorded = Recorded::of("m1", &record(&questions[0], facts, kept)).expect("whole");
    assert!(recorded.names.contains("client.certificate.sha256(0)"));
    assert!(!recorded.names.contains("client.certificate.der(0)"));
    let many = MessageFacts {
        recipients: vec![mailbox("b@x.example"); limits::MAILBOXES_AT_HAND + 1],
        ..(*message(None)).clone()
    };
    assert!(!at_hand(&Question::Receive(Arc::new(many)), 5, &json!({})).contains_key("message.recipients"));
}
