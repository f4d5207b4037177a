//! `wit/facts.wit`: every fact a policy may read. What is read is noted for the ledger (H8).

use std::sync::Arc;

use sealwire_core::address::{self, Domain};
use sealwire_core::facts::{
    ChannelFacts, ClientFacts, DestinationFacts, Field, Handshake as HandshakeFacts, HopFacts, MessageFacts,
};
use serde_json::{Value, json};
use wasmtime::Result;
use wasmtime::component::Resource;

use crate::bindings::facts::{
    AddressList, Certificate, Channel, Client, Destination, Entry, Handshake, Header, Hop, Host, HostAddressList,
    HostCertificate, HostChannel, HostClient, HostDestination, HostEntry, HostHandshake, HostHop, HostMessage,
    HostRoute, Mailbox, Message, Route,
};
use crate::limits;
use crate::state::{Question, State, misuse, over};

/// Handle of the client's channel and handshake, and of the hop's.
const CLIENT: u32 = 0;
const HOP: u32 = 1;
/// A certificate's handle is its position, with the owner in the top bit.
const HOP_BIT: u32 = 1 << 31;

impl Host for State {
    fn get_list(&mut self, name: String) -> Result<Option<Resource<AddressList>>> {
        let name = argument("get-list", name)?;
        let found = self.surroundings.list(&name);
        if let Some(at) = found {
            let digest = self.surroundings.lists[at].1.digest();
            self.reads.lists.entry(name.clone()).or_insert_with(|| digest.to_owned());
        }
        if matches!(self.question, Question::Configure) {
            self.lookups.lists.insert(name.clone(), found.is_some());
            self.lookups.bounded()?;
        }
        self.reads.with("", "get-list", name, || found.is_some().into())?;
        Ok(found.map(|at| self.hand_out(position(at))))
    }

    fn get_route(&mut self, name: String) -> Result<Option<Resource<Route>>> {
        let name = argument("get-route", name)?;
        let found = self.surroundings.route(&name);
        if matches!(self.question, Question::Configure) {
            let route = found.map(|at| self.surroundings.routes[at].1.clone());
            self.lookups.routes.insert(name.clone(), route);
            self.lookups.bounded()?;
        }
        self.reads.with("", "get-route", name, || found.is_some().into())?;
        Ok(found.map(|at| self.hand_out(position(at))))
    }
}

impl HostMessage for State {
    fn id(&mut self, _: Resource<Message>) -> Result<String> {
        let id = self.message()?.id.clone();
        Ok(self.told("", "message.id", id))
    }

    fn header_from(&mut self, _: Resource<Message>) -> Result<Vec<Mailbox>> {
        let message = self.message()?;
        self.reads.plain("", "message.header-from", || addresses(&message.header_from));
        Ok(mailboxes(&message.header_from))
    }

    fn header_from_doubtful(&mut self, _: Resource<Message>) -> Result<bool> {
        let doubtful = self.message()?.header_from_doubtful;
        Ok(self.told("", "message.header-from-doubtful", doubtful))
    }

    fn envelope_sender(&mut self, _: Resource<Message>) -> Result<Option<Mailbox>> {
        let message = self.message()?;
        let sender = message.envelope_sender.as_ref();
        self.reads.plain("", "message.envelope-sender", || sender.map(ToString::to_string).into());
        Ok(sender.map(mailbox))
    }

    fn recipients(&mut self, _: Resource<Message>) -> Result<Vec<Mailbox>> {
        let message = self.message()?;
        self.reads.plain("", "message.recipients", || addresses(&message.recipients));
        Ok(mailboxes(&message.recipients))
    }

    fn header(&mut self, _: Resource<Message>, name: String) -> Result<Vec<String>> {
        let name = argument("header", name)?.to_ascii_lowercase();
        let message = self.message()?;
        let values: Vec<String> = named(&message.fields, &name).map(|field| unfolded(&field.value)).collect();
        self.reads.with("", "message.header", name, || json!(values))?;
        Ok(values)
    }

    fn headers(&mut self, _: Resource<Message>) -> Result<Vec<Header>> {
        let message = self.message()?;
        let header = |field: &Field| Header { name: field.name.clone(), value: unfolded(&field.value) };
        let headers: Vec<Header> = message.fields.iter().map(header).collect();
        let pairs = || headers.iter().map(|h| json!([h.name, h.value])).collect();
        self.reads.plain("", "message.headers", pairs);
        Ok(headers)
    }

    fn header_octets(&mut self, _: Resource<Message>, name: String) -> Result<Vec<Vec<u8>>> {
        let name = argument("header-octets", name)?.to_ascii_lowercase();
        let message = self.message()?;
        let values: Vec<Vec<u8>> = named(&message.fields, &name).map(|field| field.value.clone()).collect();
        self.reads.with("", "message.header-octets", name, || values.iter().map(|value| hex(value)).collect())?;
        Ok(values)
    }

    fn declared_size(&mut self, _: Resource<Message>) -> Result<Option<u64>> {
        let size = self.message()?.declared_size;
        Ok(self.told("", "message.declared-size", size))
    }

    fn size(&mut self, _: Resource<Message>) -> Result<Option<u64>> {
        let size = self.message()?.size;
        Ok(self.told("", "message.size", size))
    }

    fn sender_is_ours(&mut self, _: Resource<Message>) -> Result<bool> {
        let ours = self.message()?.sender_is_ours;
        Ok(self.told("", "message.sender-is-ours", ours))
    }

    fn is_report(&mut self, _: Resource<Message>) -> Result<bool> {
        let report = self.message()?.is_report;
        Ok(self.told("", "message.is-report", report))
    }

    fn organizational_unit(&mut self, _: Resource<Message>) -> Result<Vec<String>> {
        let unit = self.message()?.organizational_unit.clone();
        Ok(self.told("", "message.organizational-unit", unit))
    }

    fn secure_transport_required_by(&mut self, _: Resource<Message>) -> Result<Vec<String>> {
        let mut by = self.message()?.secure_transport_required_by.clone();
        // During receive no policy's flag is seen: the answer must not depend on the order of the chain.
        if matches!(self.question, Question::Receive(_)) {
            by.retain(|name| name == crate::REQUIRETLS);
        }
        Ok(self.told("", "message.secure-transport-required-by", by))
    }

    fn tls_not_required(&mut self, _: Resource<Message>) -> Result<bool> {
        let not_required = self.message()?.tls_not_required;
        Ok(self.told("", "message.tls-not-required", not_required))
    }

    fn now(&mut self, _: Resource<Message>) -> Result<u64> {
        let now = self.now;
        Ok(self.told("", "message.now", now))
    }

    fn arrived_at(&mut self, _: Resource<Message>) -> Result<u64> {
        let at = self.message()?.arrived_at;
        Ok(self.told("", "message.arrived-at", at))
    }

    fn client(&mut self, _: Resource<Message>) -> Result<Option<Resource<Client>>> {
        let present = self.message()?.client.is_some();
        self.reads.plain("", "message.client", || present.into());
        Ok(present.then(|| self.hand_out(CLIENT)))
    }

    fn drop(&mut self, _: Resource<Message>) -> Result<()> {
        Ok(())
    }
}

impl HostClient for State {
    fn address(&mut self, _: Resource<Client>) -> Result<String> {
        let address = self.client_facts()?.address.to_string();
        Ok(self.told("", "client.address", address))
    }

    fn greeting_name(&mut self, _: Resource<Client>) -> Result<String> {
        let name = self.client_facts()?.greeting_name.clone();
        Ok(self.told("", "client.greeting-name", name))
    }

    fn authenticated_as(&mut self, _: Resource<Client>) -> Result<Option<String>> {
        let identity = self.client_facts()?.authenticated_as.clone();
        Ok(self.told("", "client.authenticated-as", identity))
    }

    fn listener(&mut self, _: Resource<Client>) -> Result<String> {
        let listener = self.client_facts()?.listener.clone();
        Ok(self.told("", "client.listener", listener))
    }

    fn channel(&mut self, _: Resource<Client>) -> Result<Resource<Channel>> {
        Ok(self.hand_out(CLIENT))
    }

    fn drop(&mut self, _: Resource<Client>) -> Result<()> {
        self.taken_back()
    }
}

impl HostDestination for State {
    fn recipient(&mut self, _: Resource<Destination>) -> Result<Mailbox> {
        let destination = self.destination()?;
        self.reads.plain("", "destination.recipient", || destination.recipient.to_string().into());
        Ok(mailbox(&destination.recipient))
    }

    fn recipient_is_ours(&mut self, _: Resource<Destination>) -> Result<bool> {
        let ours = self.destination()?.recipient_is_ours;
        Ok(self.told("", "destination.recipient-is-ours", ours))
    }

    fn route_kind(&mut self, _: Resource<Destination>) -> Result<String> {
        let kind = self.destination()?.route_kind.as_str().to_owned();
        Ok(self.told("", "destination.route-kind", kind))
    }

    fn route_name(&mut self, _: Resource<Destination>) -> Result<String> {
        let name = self.destination()?.route_name.clone();
        Ok(self.told("", "destination.route-name", name))
    }

    fn route_demands(&mut self, _: Resource<Destination>) -> Result<Vec<String>> {
        let demands = self.destination()?.route_demands.clone();
        Ok(self.told("", "destination.route-demands", demands))
    }

    fn round(&mut self, _: Resource<Destination>) -> Result<u32> {
        let round = self.destination()?.round;
        Ok(self.told("", "destination.round", round))
    }

    fn drop(&mut self, _: Resource<Destination>) -> Result<()> {
        Ok(())
    }
}

impl HostHop for State {
    fn recipients(&mut self, _: Resource<Hop>) -> Result<Vec<Mailbox>> {
        let hop = self.hop()?;
        self.reads.plain("", "hop.recipients", || addresses(&hop.recipients));
        Ok(mailboxes(&hop.recipients))
    }

    fn route_kind(&mut self, _: Resource<Hop>) -> Result<String> {
        let kind = self.hop()?.route_kind.as_str().to_owned();
        Ok(self.told("", "hop.route-kind", kind))
    }

    fn route_name(&mut self, _: Resource<Hop>) -> Result<String> {
        let name = self.hop()?.route_name.clone();
        Ok(self.told("", "hop.route-name", name))
    }

    fn host(&mut self, _: Resource<Hop>) -> Result<String> {
        let host = self.hop()?.host.clone();
        Ok(self.told("", "hop.host", host))
    }

    fn address(&mut self, _: Resource<Hop>) -> Result<String> {
        let address = self.hop()?.address.to_string();
        Ok(self.told("", "hop.address", address))
    }

    fn extensions(&mut self, _: Resource<Hop>) -> Result<Vec<String>> {
        let extensions = self.hop()?.extensions.clone();
        Ok(self.told("", "hop.extensions", extensions))
    }

    fn channel(&mut self, _: Resource<Hop>) -> Result<Resource<Channel>> {
        Ok(self.hand_out(HOP))
    }

    fn published(&mut self, _: Resource<Hop>) -> Result<Vec<(String, String)>> {
        let published = self.hop()?.published.clone();
        Ok(self.told("", "hop.published", published))
    }

    fn drop(&mut self, _: Resource<Hop>) -> Result<()> {
        Ok(())
    }
}

impl HostChannel for State {
    fn state(&mut self, channel: Resource<Channel>) -> Result<String> {
        let state = self.channel_facts(channel.rep())?.state.as_str().to_owned();
        Ok(self.told(whose(channel.rep()), "channel.state", state))
    }

    fn detail(&mut self, channel: Resource<Channel>) -> Result<String> {
        let detail = self.channel_facts(channel.rep())?.detail.clone();
        Ok(self.told(whose(channel.rep()), "channel.detail", detail))
    }

    fn handshake(&mut self, channel: Resource<Channel>) -> Result<Option<Resource<Handshake>>> {
        let present = self.channel_facts(channel.rep())?.handshake.is_some();
        self.reads.plain(whose(channel.rep()), "channel.handshake", || present.into());
        Ok(present.then(|| self.hand_out(channel.rep())))
    }

    fn drop(&mut self, _: Resource<Channel>) -> Result<()> {
        self.taken_back()
    }
}

impl HostHandshake for State {
    fn version(&mut self, of: Resource<Handshake>) -> Result<u16> {
        let version = self.handshake_facts(of.rep())?.version.0;
        Ok(self.told(whose(of.rep()), "handshake.version", version))
    }

    fn cipher_suite(&mut self, of: Resource<Handshake>) -> Result<String> {
        let name = self.handshake_facts(of.rep())?.cipher_suite.clone();
        Ok(self.told(whose(of.rep()), "handshake.cipher-suite", name))
    }

    fn key_exchange(&mut self, of: Resource<Handshake>) -> Result<String> {
        let name = self.handshake_facts(of.rep())?.key_exchange.clone();
        Ok(self.told(whose(of.rep()), "handshake.key-exchange", name))
    }

    fn server_name(&mut self, of: Resource<Handshake>) -> Result<Option<String>> {
        let name = self.handshake_facts(of.rep())?.server_name.clone();
        Ok(self.told(whose(of.rep()), "handshake.server-name", name))
    }

    fn implicit(&mut self, of: Resource<Handshake>) -> Result<bool> {
        let implicit = self.handshake_facts(of.rep())?.implicit;
        Ok(self.told(whose(of.rep()), "handshake.implicit", implicit))
    }

    fn resumed(&mut self, of: Resource<Handshake>) -> Result<bool> {
        let resumed = self.handshake_facts(of.rep())?.resumed;
        Ok(self.told(whose(of.rep()), "handshake.resumed", resumed))
    }

    fn chain(&mut self, of: Resource<Handshake>) -> Result<String> {
        let chain = self.handshake_facts(of.rep())?.chain.as_str().to_owned();
        Ok(self.told(whose(of.rep()), "handshake.chain", chain))
    }

    fn name_matches(&mut self, of: Resource<Handshake>) -> Result<bool> {
        let matches = self.handshake_facts(of.rep())?.name_matches;
        Ok(self.told(whose(of.rep()), "handshake.name-matches", matches))
    }

    fn certificates(&mut self, of: Resource<Handshake>) -> Result<Vec<Resource<Certificate>>> {
        let count = self.handshake_facts(of.rep())?.certificates.len();
        self.reads.plain(whose(of.rep()), "handshake.certificates", || count.into());
        let owner = if of.rep() == HOP { HOP_BIT } else { 0 };
        Ok((0..count).map(|at| self.hand_out(position(at) | owner)).collect())
    }

    fn drop(&mut self, _: Resource<Handshake>) -> Result<()> {
        self.taken_back()
    }
}

impl HostCertificate for State {
    fn subject(&mut self, of: Resource<Certificate>) -> Result<String> {
        self.certificate(&of, "certificate.subject", |c| c.subject.clone())
    }

    fn issuer(&mut self, of: Resource<Certificate>) -> Result<String> {
        self.certificate(&of, "certificate.issuer", |c| c.issuer.clone())
    }

    fn dns_names(&mut self, of: Resource<Certificate>) -> Result<Vec<String>> {
        self.certificate(&of, "certificate.dns-names", |c| c.dns_names.clone())
    }

    fn not_before(&mut self, of: Resource<Certificate>) -> Result<u64> {
        self.certificate(&of, "certificate.not-before", |c| c.not_before)
    }

    fn not_after(&mut self, of: Resource<Certificate>) -> Result<u64> {
        self.certificate(&of, "certificate.not-after", |c| c.not_after)
    }

    fn sha256(&mut self, of: Resource<Certificate>) -> Result<Vec<u8>> {
        let digest = self.certificate(&of, "certificate.sha256", |c| Digest(c.sha256))?;
        Ok(digest.0.to_vec())
    }

    fn spki_sha256(&mut self, of: Resource<Certificate>) -> Result<Vec<u8>> {
        let digest = self.certificate(&of, "certificate.spki-sha256", |c| Digest(c.spki_sha256))?;
        Ok(digest.0.to_vec())
    }

    fn der(&mut self, of: Resource<Certificate>) -> Result<Vec<u8>> {
        // The ledger keeps the digest in the certificate's place.
        let _ = self.certificate(&of, "certificate.der", |c| Digest(c.sha256))?;
        Ok(self.certificate_at(of.rep())?.der.clone())
    }

    fn drop(&mut self, _: Resource<Certificate>) -> Result<()> {
        self.taken_back()
    }
}

impl HostAddressList for State {
    fn find(&mut self, list: Resource<AddressList>, who: Mailbox) -> Result<Option<Resource<Entry>>> {
        if matches!(self.question, Question::Configure) {
            // What it found would be frozen in the snapshot, and an edit of the list would go unseen.
            return Err(misuse("find: a list cannot be searched in configure, only looked up"));
        }
        let local = argument("find", who.local_part)?;
        let domain = argument("find", who.domain)?;
        let Ok(domain) = Domain::parse(&domain) else {
            return Err(misuse(format!("find: {:?} is no domain", limits::bounded(&domain, 80))));
        };
        let who = address::Mailbox::new(local, domain);
        let surroundings = Arc::clone(&self.surroundings);
        let (name, list) = surroundings.lists.get(index(list.rep())).ok_or_else(|| misuse("find: unknown list"))?;
        let found = list.find(&who);
        let text = found.as_ref().map(|entry| entry.text.to_owned());
        self.reads.with("", "find", format!("{name}, {who}"), || text.clone().into())?;
        let (Some(found), Some(text)) = (found, text) else { return Ok(None) };
        if self.entries.len() >= limits::READS {
            return Err(over(format!("it found more than {} entries in one decision", limits::READS)));
        }
        self.entries.push((text, found.authenticated_sender_only));
        let at = self.entries.len() - 1;
        Ok(Some(self.hand_out(position(at))))
    }

    fn drop(&mut self, _: Resource<AddressList>) -> Result<()> {
        self.taken_back()
    }
}

impl HostEntry for State {
    fn text(&mut self, entry: Resource<Entry>) -> Result<String> {
        Ok(self.entry(entry.rep())?.0.clone())
    }

    fn authenticated_sender_only(&mut self, entry: Resource<Entry>) -> Result<bool> {
        let (text, only) = self.entry(entry.rep())?.clone();
        self.reads.with("", "entry.authenticated-sender-only", text, || only.into())?;
        Ok(only)
    }

    fn drop(&mut self, _: Resource<Entry>) -> Result<()> {
        self.taken_back()
    }
}

impl HostRoute for State {
    fn kind(&mut self, route: Resource<Route>) -> Result<String> {
        let surroundings = Arc::clone(&self.surroundings);
        let (name, route) = surroundings.routes.get(index(route.rep())).ok_or_else(|| misuse("unknown route"))?;
        self.reads.with("", "route.kind", name.clone(), || route.kind.as_str().into())?;
        Ok(route.kind.as_str().to_owned())
    }

    fn demands(&mut self, route: Resource<Route>) -> Result<Vec<String>> {
        let surroundings = Arc::clone(&self.surroundings);
        let (name, route) = surroundings.routes.get(index(route.rep())).ok_or_else(|| misuse("unknown route"))?;
        self.reads.with("", "route.demands", name.clone(), || json!(route.demands))?;
        Ok(route.demands.clone())
    }

    fn drop(&mut self, _: Resource<Route>) -> Result<()> {
        self.taken_back()
    }
}

impl State {
    /// Notes a fact that has been read, and gives it back.
    fn told<T: Clone + ToJson>(&mut self, whose: &'static str, name: &'static str, value: T) -> T {
        self.reads.plain(whose, name, || value.to_json());
        value
    }

    fn hand_out<T: 'static>(&mut self, rep: u32) -> Resource<T> {
        self.handles += 1;
        Resource::new_own(rep)
    }

    fn taken_back(&mut self) -> Result<()> {
        self.handles = self.handles.saturating_sub(1);
        Ok(())
    }

    fn message(&self) -> Result<Arc<MessageFacts>> {
        self.question.message().cloned().ok_or_else(|| misuse("there is no message in configure"))
    }

    fn destination(&self) -> Result<Arc<DestinationFacts>> {
        match &self.question {
            Question::Plan(_, destination) => Ok(Arc::clone(destination)),
            _ => Err(misuse("there is a destination in plan only")),
        }
    }

    fn hop(&self) -> Result<Arc<HopFacts>> {
        match &self.question {
            Question::Judge(_, hop) => Ok(Arc::clone(hop)),
            _ => Err(misuse("there is a hop in judge only")),
        }
    }

    fn client_facts(&self) -> Result<&ClientFacts> {
        let client = self.question.message().and_then(|message| message.client.as_ref());
        client.ok_or_else(|| misuse("there is no client"))
    }

    fn channel_facts(&self, owner: u32) -> Result<&ChannelFacts> {
        match &self.question {
            Question::Judge(_, hop) if owner == HOP => Ok(&hop.channel),
            _ if owner == HOP => Err(misuse("there is a hop in judge only")),
            _ => Ok(&self.client_facts()?.channel),
        }
    }

    fn handshake_facts(&self, owner: u32) -> Result<&HandshakeFacts> {
        self.channel_facts(owner)?.handshake.as_deref().ok_or_else(|| misuse("there was no handshake"))
    }

    fn certificate_at(&self, rep: u32) -> Result<&sealwire_core::facts::Certificate> {
        let owner = if rep & HOP_BIT == 0 { CLIENT } else { HOP };
        let certificates = &self.handshake_facts(owner)?.certificates;
        certificates.get(index(rep & !HOP_BIT)).ok_or_else(|| misuse("there is no such certificate"))
    }

    fn certificate<T: ToJson>(
        &mut self,
        of: &Resource<Certificate>,
        name: &'static str,
        read: impl FnOnce(&sealwire_core::facts::Certificate) -> T,
    ) -> Result<T> {
        let rep = of.rep();
        let value = read(self.certificate_at(rep)?);
        let owner = whose(if rep & HOP_BIT == 0 { CLIENT } else { HOP });
        self.reads.with(owner, name, (rep & !HOP_BIT).to_string(), || value.to_json())?;
        Ok(value)
    }

    fn entry(&self, rep: u32) -> Result<&(String, bool)> {
        self.entries.get(index(rep)).ok_or_else(|| misuse("there is no such entry"))
    }
}

impl crate::state::Lookups {
    fn bounded(&self) -> Result<()> {
        if self.lists.len() + self.routes.len() > limits::LOOKUPS {
            return Err(over(format!("configure looked up more than {} lists and routes", limits::LOOKUPS)));
        }
        Ok(())
    }
}

/// A fact as the ledger writes it.
trait ToJson {
    fn to_json(&self) -> Value;
}

macro_rules! as_serde_does {
    ($($kind:ty),+) => {
        $(impl ToJson for $kind {
            fn to_json(&self) -> Value {
                json!(self)
            }
        })+
    };
}

as_serde_does!(bool, u16, u32, u64, Option<u64>, Option<String>, Vec<String>, Vec<(String, String)>);

impl ToJson for String {
    fn to_json(&self) -> Value {
        self.as_str().into()
    }
}

struct Digest([u8; 32]);

impl ToJson for Digest {
    fn to_json(&self) -> Value {
        hex(&self.0)
    }
}

fn hex(octets: &[u8]) -> Value {
    crate::hex(octets).into()
}

fn whose(owner: u32) -> &'static str {
    if owner == HOP { "hop" } else { "client" }
}

fn argument(method: &str, text: String) -> Result<String> {
    if text.len() > limits::ARGUMENT_OCTETS {
        return Err(over(format!(
            "{method}: an argument has {} octets; it may have {}",
            text.len(),
            limits::ARGUMENT_OCTETS
        )));
    }
    Ok(text)
}

/// Positions are bounded by limits far below 2^31.
fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn index(rep: u32) -> usize {
    usize::try_from(rep).unwrap_or(usize::MAX)
}

fn mailbox(mailbox: &address::Mailbox) -> Mailbox {
    Mailbox { local_part: mailbox.local.clone(), domain: mailbox.domain.as_str().to_owned() }
}

fn mailboxes(all: &[address::Mailbox]) -> Vec<Mailbox> {
    all.iter().map(mailbox).collect()
}

fn addresses(all: &[address::Mailbox]) -> Value {
    all.iter().map(|mailbox| Value::from(mailbox.to_string())).collect()
}

fn named<'a>(fields: &'a [Field], name: &'a str) -> impl Iterator<Item = &'a Field> {
    fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name))
}

/// Without the line breaks of folding (RFC 5322 §2.2.3) and the space after the colon; foreign octets become U+FFFD.
fn unfolded(value: &[u8]) -> String {
    let value: Vec<u8> = value.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect();
    String::from_utf8_lossy(&value).trim_matches([' ', '\t']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_unfolded_and_made_readable() {
        let rows: [(&[u8], &str); 4] = [
            (b" plain", "plain"),
            (b" folded\r\n\tonce\r\n  twice", "folded\tonce  twice"),
            (b" b\xfccher", "b\u{fffd}cher"),
            (b"", ""),
        ];
        for (value, expected) in rows {
            assert_eq!(unfolded(value), expected);
        }
    }
}
