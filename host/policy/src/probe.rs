//! Probe facts: a message nobody sent, judged once by every policy before it goes live.
//!
//! What a policy decides about it does not matter; that it decides does. A component that traps, hangs or does not
//! conclude on plain facts would fail on all mail.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use sealwire_core::address::{Domain, Mailbox};
use sealwire_core::facts::{
    ChainVerdict, ChannelFacts, ChannelState, ClientFacts, DestinationFacts, Field, Handshake, HopFacts, MessageFacts,
    RevocationStatus, RouteKind, TlsVersion,
};

use crate::state::Question;

/// When the probe "arrives": the first second of 2020.
pub(crate) const NOW: u64 = 1_577_836_800;

/// One question for each hook.
pub(crate) fn questions() -> Vec<Question> {
    // Both names are fixed and valid; were they not, there would be nothing to ask and no probe.
    let (Ok(from), Ok(to)) = (Domain::parse("sender.example"), Domain::parse("recipient.example")) else {
        return Vec::new();
    };
    let (from, to) = (Mailbox::new("probe", from), Mailbox::new("probe", to));
    let message = Arc::new(message(from, to.clone()));
    let destination = Arc::new(DestinationFacts {
        recipient: to.clone(),
        recipient_is_ours: false,
        route_kind: RouteKind::Mx,
        route_name: "mx".to_owned(),
        route_demands: Vec::new(),
        round: 1,
    });
    let hop = Arc::new(hop(to));
    vec![
        Question::Receive(Arc::clone(&message)),
        Question::Plan(Arc::clone(&message), destination),
        Question::Judge(message, hop),
    ]
}

fn message(from: Mailbox, to: Mailbox) -> MessageFacts {
    let field = |name: &str, value: String| Field { name: name.to_owned(), value: value.into_bytes() };
    let fields = [
        field("From", format!(" {from}")),
        field("To", format!(" {to}")),
        field("Subject", " probe".to_owned()),
        field("Date", " Wed, 1 Jan 2020 00:00:00 +0000".to_owned()),
    ];
    MessageFacts {
        id: "probe".to_owned(),
        header_from: vec![from.clone()],
        header_from_doubtful: false,
        envelope_sender: Some(from),
        recipients: vec![to],
        fields: Arc::from(fields),
        declared_size: Some(1_000),
        size: None,
        sender_is_ours: false,
        is_report: false,
        organizational_unit: vec!["root".to_owned()],
        secure_transport_required_by: Vec::new(),
        tls_not_required: false,
        arrived_at: NOW,
        client: Some(ClientFacts {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            greeting_name: "sender.example".to_owned(),
            authenticated_as: None,
            listener: "probe".to_owned(),
            channel: secured(),
        }),
    }
}

fn hop(to: Mailbox) -> HopFacts {
    HopFacts {
        recipients: vec![to],
        route_kind: RouteKind::Mx,
        route_name: "mx".to_owned(),
        host: "mx.recipient.example".to_owned(),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        extensions: vec!["PIPELINING".to_owned(), "STARTTLS".to_owned(), "8BITMIME".to_owned()],
        channel: secured(),
        published: Vec::new(),
    }
}

fn secured() -> ChannelFacts {
    let handshake = Handshake {
        version: TlsVersion::TLS13,
        cipher_suite: "TLS_AES_128_GCM_SHA256".to_owned(),
        key_exchange: "x25519".to_owned(),
        server_name: None,
        implicit: false,
        resumed: false,
        chain: ChainVerdict::Trusted,
        name_matches: true,
        certificates: Vec::new(),
        dane: None,
        revocation: RevocationStatus::Good,
    };
    ChannelFacts { state: ChannelState::Secured, detail: String::new(), handshake: Some(Arc::new(handshake)) }
}
