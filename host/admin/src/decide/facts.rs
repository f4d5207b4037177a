//! Facts of one's own as policies see them: the message, a host and its channel.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use sealwire_core::address::Mailbox;
use sealwire_core::decision::RequireTls;
use sealwire_core::facts::{
    ChainVerdict, ChannelFacts, ChannelState, ClientFacts, Handshake, HopFacts, MessageFacts, RevocationStatus,
    TlsVersion,
};
use sealwire_core::floor::{ConnectionId, TlsProof};
use sealwire_core::header::{from_of, split, tls_required_no};
use sealwire_core::plan::Route;
use sealwire_core::units::UnitPath;

use super::{ChannelAsked, DecideRequest};

/// As EHLO offers it (RFC 8689 §3).
const REQUIRETLS: &str = "REQUIRETLS";

/// As of an entry.
pub(super) fn required_tls(request: &DecideRequest, message: &MessageFacts) -> Option<RequireTls> {
    let asks = if message.envelope_sender.is_some() { RequireTls::Passed } else { RequireTls::TlsAlone };
    request.requiretls.then_some(asks)
}

/// Of a connection that there is not: no permit is asked for with it.
pub(super) fn proof_of(hop: &HopFacts) -> TlsProof {
    let none = ConnectionId(0);
    match &hop.channel.handshake {
        Some(handshake) => {
            let offered = hop.extensions.iter().any(|line| line == REQUIRETLS);
            TlsProof::of_handshake(none, Arc::clone(handshake)).offering_requiretls(offered)
        }
        None => TlsProof::of_nothing(none),
    }
}

pub(super) fn message_of(request: &DecideRequest, now: u64) -> Result<MessageFacts, String> {
    let mailbox = |text: &String| Mailbox::parse(text).map_err(|why| format!("{text:?} is no mailbox: {why}"));
    let recipients = request.recipients.iter().map(mailbox).collect::<Result<Vec<_>, _>>()?;
    if recipients.is_empty() {
        return Err("name at least one recipient".to_owned());
    }
    let envelope_sender = match request.envelope_sender.as_str() {
        "" => None,
        _ => Some(mailbox(&request.envelope_sender)?),
    };
    let header = request.header.replace("\r\n", "\n").replace('\n', "\r\n");
    let header = header.split("\r\n\r\n").next().unwrap_or_default();
    let fields: Arc<[_]> = split(format!("{}\r\n", header.trim_end_matches("\r\n")).as_bytes()).into();
    let from = from_of(&fields);
    let sender = request.requiretls.then(|| "requiretls".to_owned());
    let required_by = sender.into_iter().chain(request.flagged_by.iter().cloned()).collect();
    Ok(MessageFacts {
        id: "decide".to_owned(),
        header_from: from.mailboxes,
        header_from_doubtful: from.doubtful,
        envelope_sender,
        recipients,
        tls_not_required: !request.requiretls && tls_required_no(&fields),
        fields,
        declared_size: None,
        size: None,
        sender_is_ours: request.trusted,
        is_report: false,
        organizational_unit: request.unit.as_ref().unwrap_or(&UnitPath::root()).names().to_vec(),
        secure_transport_required_by: required_by,
        arrived_at: now,
        client: Some(ClientFacts {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            greeting_name: "decide.invalid".to_owned(),
            authenticated_as: None,
            listener: "decide".to_owned(),
            // Of a client no certificate is asked, so there is no chain to judge.
            channel: channel_of(request.client, None),
        }),
    })
}

pub(super) fn hop_of(request: &DecideRequest, route: &Route, recipient: &Mailbox) -> HopFacts {
    let host = request.host.clone().unwrap_or_else(|| "host.invalid".to_owned());
    let channel = channel_of(request.hop, Some(&host));
    HopFacts {
        recipients: vec![recipient.clone()],
        route_kind: route.kind(),
        route_name: route.name().to_owned(),
        host,
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        extensions: if request.hop == ChannelAsked::TlsRequiretls { vec![REQUIRETLS.to_owned()] } else { Vec::new() },
        channel,
        published: Vec::new(),
    }
}

fn channel_of(asked: ChannelAsked, host: Option<&str>) -> ChannelFacts {
    let chain = match (asked, host) {
        (ChannelAsked::Clear, _) => {
            let detail = "as asked for by decide".to_owned();
            return ChannelFacts { state: ChannelState::NotOffered, detail, handshake: None };
        }
        (_, None) => ChainVerdict::None,
        (ChannelAsked::TlsSelfSigned, Some(_)) => ChainVerdict::CertificateNotTrusted,
        (_, Some(_)) => ChainVerdict::Trusted,
    };
    let version = if asked == ChannelAsked::Tls12 { TlsVersion::TLS12 } else { TlsVersion::TLS13 };
    let handshake = Handshake {
        version,
        cipher_suite: "TLS_AES_256_GCM_SHA384".to_owned(),
        key_exchange: "X25519".to_owned(),
        server_name: host.map(ToOwned::to_owned),
        implicit: false,
        resumed: false,
        chain,
        name_matches: host.is_some() && asked != ChannelAsked::TlsWrongName,
        certificates: Vec::new(),
        dane: None,
        revocation: if chain == ChainVerdict::Trusted { RevocationStatus::Good } else { RevocationStatus::Unknown },
    };
    ChannelFacts { state: ChannelState::Secured, detail: String::new(), handshake: Some(Arc::new(handshake)) }
}
