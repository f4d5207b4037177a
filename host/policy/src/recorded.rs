//! What the ledger has of one decision, as the question it was: the facts that were read, and those that were at hand.
//!
//! [`at_hand`] says what is kept besides what was read, so that other settings can be asked the same; [`Recorded::of`] makes
//! a question of both. What is on record of neither is not there, and whoever asks for it ends the replay
//! ([`crate::reads`]): nothing is guessed.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use sealwire_core::address::Mailbox;
use sealwire_core::facts::{
    Certificate, ChainVerdict, ChannelFacts, ChannelState, ClientFacts, DestinationFacts, Field, Handshake, HopFacts,
    MessageFacts, RouteKind, TlsVersion,
};
use sealwire_core::ledger::DecisionRecord;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::limits;
use crate::state::Question;

/// A question of former days.
pub(crate) struct Recorded {
    pub(crate) question: Question,
    /// The decision's time.
    pub(crate) now: u64,
    /// The facts there are, by the method's name.
    pub(crate) names: Arc<BTreeSet<String>>,
}

/// Facts that are kept of every decision though the policy did not read them.
pub(crate) fn at_hand(question: &Question, now: u64, read: &Value) -> Map<String, Value> {
    let mut kept = Map::new();
    let mut keep = |name: &str, value: Value| {
        if read.get(name).is_none() {
            kept.insert(name.to_owned(), value);
        }
    };
    keep("message.now", now.into());
    if let Some(message) = question.message() {
        keep("message.sender-is-ours", message.sender_is_ours.into());
        let mut by = message.secure_transport_required_by.clone();
        if matches!(question, Question::Receive(_)) {
            by.retain(|name| name == crate::REQUIRETLS);
        }
        keep("message.secure-transport-required-by", json!(by));
    }
    match question {
        Question::Configure => {}
        Question::Receive(message) => {
            keep("message.header-from-doubtful", message.header_from_doubtful.into());
            keep("message.client", message.client.is_some().into());
            if let Some(client) = &message.client {
                keep("client.channel.state", client.channel.state.as_str().into());
            }
            // Of more there is no telling who would be concerned without keeping the message's whole envelope once more.
            for (name, all) in
                [("message.header-from", &message.header_from), ("message.recipients", &message.recipients)]
            {
                if all.len() <= limits::MAILBOXES_AT_HAND {
                    keep(name, written(all));
                }
            }
        }
        Question::Plan(_, to) => {
            keep("destination.recipient", to.recipient.to_string().into());
            keep("destination.recipient-is-ours", to.recipient_is_ours.into());
            keep("destination.route-kind", to.route_kind.as_str().into());
            keep("destination.route-name", to.route_name.as_str().into());
            keep("destination.route-demands", json!(to.route_demands));
            keep("destination.round", to.round.into());
        }
        Question::Judge(_, hop) => {
            keep("hop.route-kind", hop.route_kind.as_str().into());
            keep("hop.route-name", hop.route_name.as_str().into());
            keep("hop.host", hop.host.as_str().into());
            keep("hop.address", hop.address.to_string().into());
            keep("hop.channel.state", hop.channel.state.as_str().into());
            keep("hop.channel.handshake", hop.channel.handshake.is_some().into());
            if let Some(handshake) = &hop.channel.handshake {
                keep("hop.handshake.version", handshake.version.0.into());
                keep("hop.handshake.chain", handshake.chain.as_str().into());
                keep("hop.handshake.name-matches", handshake.name_matches.into());
            }
            if hop.recipients.len() <= limits::MAILBOXES_AT_HAND {
                keep("hop.recipients", written(&hop.recipients));
            }
        }
    }
    kept
}

fn written(mailboxes: &[Mailbox]) -> Value {
    mailboxes.iter().map(|mailbox| Value::from(mailbox.to_string())).collect()
}

impl Recorded {
    /// The question behind a record about this message. Err: what it lacks.
    pub(crate) fn of(message: &str, record: &DecisionRecord) -> Result<Recorded, String> {
        let mut facts = record.at_hand.clone();
        if let Value::Object(read) = &record.facts {
            facts.extend(read.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        facts.insert("message.id".to_owned(), message.into());
        facts.insert("message.organizational-unit".to_owned(), json!(record.unit));
        // A digest stands in their place.
        facts.retain(|name, _| !name.contains("certificate.der("));
        let facts = Facts(facts);
        let now = facts.needed("message.now")?;
        let message = Arc::new(facts.message()?);
        let question = match record.hook.as_str() {
            "receive" => Question::Receive(message),
            "plan" => Question::Plan(message, Arc::new(facts.destination()?)),
            "judge" => Question::Judge(message, Arc::new(facts.hop()?)),
            other => return Err(format!("hook {other:?} is unknown")),
        };
        Ok(Recorded { question, now, names: Arc::new(facts.0.into_iter().map(|(name, _)| name).collect()) })
    }
}

/// By the method's name. What is not there has any value: it cannot be read.
struct Facts(Map<String, Value>);

impl Facts {
    fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, String> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        T::deserialize(value).map(Some).map_err(|why| format!("{name} is not as this version writes it: {why}"))
    }

    fn or_default<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, String> {
        Ok(self.get(name)?.unwrap_or_default())
    }

    /// It makes the decision the one it is ([`Question::id`]).
    fn needed<T: DeserializeOwned>(&self, name: &str) -> Result<T, String> {
        self.get(name)?.ok_or_else(|| name.to_owned())
    }

    fn mailbox(&self, name: &str) -> Result<Option<Mailbox>, String> {
        self.or_default::<Option<String>>(name)?.map(|text| parsed(name, &text)).transpose()
    }

    fn mailboxes(&self, name: &str) -> Result<Vec<Mailbox>, String> {
        self.or_default::<Vec<String>>(name)?.iter().map(|text| parsed(name, text)).collect()
    }

    /// Facts with an argument: what stands in the brackets, and the value.
    fn with<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.0.iter().filter_map(move |(key, value)| {
            let argument = key.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')')?;
            Some((argument, value))
        })
    }

    fn message(&self) -> Result<MessageFacts, String> {
        Ok(MessageFacts {
            id: self.or_default("message.id")?,
            header_from: self.mailboxes("message.header-from")?,
            header_from_doubtful: self.or_default("message.header-from-doubtful")?,
            envelope_sender: self.mailbox("message.envelope-sender")?,
            recipients: self.mailboxes("message.recipients")?,
            fields: self.fields()?.into(),
            declared_size: self.or_default("message.declared-size")?,
            size: self.or_default("message.size")?,
            sender_is_ours: self.or_default("message.sender-is-ours")?,
            is_report: self.or_default("message.is-report")?,
            organizational_unit: self.or_default("message.organizational-unit")?,
            secure_transport_required_by: self.or_default("message.secure-transport-required-by")?,
            tls_not_required: self.or_default("message.tls-not-required")?,
            arrived_at: self.or_default("message.arrived-at")?,
            client: if self.or_default("message.client")? { Some(self.client()?) } else { None },
        })
    }

    /// All of them where all were read, else those that were asked for by name. Octets go before what was made of them.
    fn fields(&self) -> Result<Vec<Field>, String> {
        let mut fields = Vec::new();
        for (name, value) in self.or_default::<Vec<(String, String)>>("message.headers")? {
            fields.push(Field { name, value: value.into_bytes() });
        }
        let all = self.0.contains_key("message.headers");
        for (name, _) in self.with("message.header").filter(|_| !all) {
            let values: Vec<String> = self.or_default(&format!("message.header({name})"))?;
            let field = |value: String| Field { name: name.to_owned(), value: value.into_bytes() };
            fields.extend(values.into_iter().map(field));
        }
        for (name, _) in self.with("message.header-octets") {
            let key = format!("message.header-octets({name})");
            let values: Vec<String> = self.or_default(&key)?;
            let octets = values.iter().map(|value| unhex(value).ok_or_else(|| key.clone()));
            let octets = octets.collect::<Result<Vec<Vec<u8>>, String>>()?;
            let is_read = fields.iter().any(|field| field.name.eq_ignore_ascii_case(name));
            if is_read {
                let of_name = fields.iter_mut().filter(|field| field.name.eq_ignore_ascii_case(name));
                of_name.zip(octets).for_each(|(field, octets)| field.value = octets);
            } else {
                fields.extend(octets.into_iter().map(|value| Field { name: name.to_owned(), value }));
            }
        }
        Ok(fields)
    }

    fn client(&self) -> Result<ClientFacts, String> {
        Ok(ClientFacts {
            address: self.get("client.address")?.unwrap_or(IpAddr::from([0, 0, 0, 0])),
            greeting_name: self.or_default("client.greeting-name")?,
            authenticated_as: self.or_default("client.authenticated-as")?,
            listener: self.or_default("client.listener")?,
            channel: self.channel("client")?,
        })
    }

    fn destination(&self) -> Result<DestinationFacts, String> {
        let recipient = self.mailbox("destination.recipient")?;
        Ok(DestinationFacts {
            recipient: recipient.ok_or_else(|| "destination.recipient".to_owned())?,
            recipient_is_ours: self.or_default("destination.recipient-is-ours")?,
            route_kind: self.get("destination.route-kind")?.unwrap_or(RouteKind::Mx),
            route_name: self.needed("destination.route-name")?,
            route_demands: self.or_default("destination.route-demands")?,
            round: self.needed("destination.round")?,
        })
    }

    fn hop(&self) -> Result<HopFacts, String> {
        Ok(HopFacts {
            recipients: self.mailboxes("hop.recipients")?,
            route_kind: self.get("hop.route-kind")?.unwrap_or(RouteKind::Mx),
            route_name: self.or_default("hop.route-name")?,
            host: self.needed("hop.host")?,
            address: self.needed("hop.address")?,
            extensions: self.or_default("hop.extensions")?,
            channel: self.channel("hop")?,
            published: self.or_default("hop.published")?,
        })
    }

    fn channel(&self, whose: &str) -> Result<ChannelFacts, String> {
        let present = self.or_default(&format!("{whose}.channel.handshake"))?;
        Ok(ChannelFacts {
            state: self.get(&format!("{whose}.channel.state"))?.unwrap_or(ChannelState::Inconclusive),
            detail: self.or_default(&format!("{whose}.channel.detail"))?,
            handshake: if present { Some(Arc::new(self.handshake(whose)?)) } else { None },
        })
    }

    fn handshake(&self, whose: &str) -> Result<Handshake, String> {
        let of = |name: &str| format!("{whose}.handshake.{name}");
        let count: usize = self.or_default(&of("certificates"))?;
        Ok(Handshake {
            version: TlsVersion(self.or_default(&of("version"))?),
            cipher_suite: self.or_default(&of("cipher-suite"))?,
            key_exchange: self.or_default(&of("key-exchange"))?,
            server_name: self.or_default(&of("server-name"))?,
            implicit: self.or_default(&of("implicit"))?,
            resumed: self.or_default(&of("resumed"))?,
            chain: self.get(&of("chain"))?.unwrap_or(ChainVerdict::ValidationFailure),
            name_matches: self.or_default(&of("name-matches"))?,
            certificates: (0..count).map(|at| self.certificate(whose, at)).collect::<Result<_, _>>()?,
            dane: None,
            revocation: self.or_default(&of("revocation-status"))?,
        })
    }

    fn certificate(&self, whose: &str, at: usize) -> Result<Certificate, String> {
        let of = |name: &str| format!("{whose}.certificate.{name}({at})");
        let digest = |name: &str| match self.get::<String>(&of(name))? {
            None => Ok([0; 32]),
            Some(text) => unhex(&text).and_then(|octets| octets.try_into().ok()).ok_or_else(|| of(name)),
        };
        Ok(Certificate {
            subject: self.or_default(&of("subject"))?,
            issuer: self.or_default(&of("issuer"))?,
            dns_names: self.or_default(&of("dns-names"))?,
            not_before: self.or_default(&of("not-before"))?,
            not_after: self.or_default(&of("not-after"))?,
            sha256: digest("sha256")?,
            spki_sha256: digest("spki-sha256")?,
            der: Vec::new(),
        })
    }
}

fn parsed(name: &str, text: &str) -> Result<Mailbox, String> {
    Mailbox::parse(text).map_err(|why| format!("{name} cannot be read again: {text:?}: {why}"))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let octets = text.as_bytes().chunks(2);
    octets.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests;
