//! `wit/facts.wit`: the message and the client it came from.

use std::sync::Arc;

use sealwire_core::facts::{ClientFacts, Field, MessageFacts};
use serde_json::json;
use wasmtime::Result;
use wasmtime::component::Resource;

use super::{CLIENT, addresses, argument, hex, mailbox, mailboxes};
use crate::bindings::facts::{Channel, Client, Header, HostClient, HostMessage, Mailbox, Message};
use crate::state::{Question, State, misuse};

impl HostMessage for State {
    fn id(&mut self, _: Resource<Message>) -> Result<String> {
        let id = self.message()?.id.clone();
        self.told("", "message.id", id)
    }

    fn header_from(&mut self, _: Resource<Message>) -> Result<Vec<Mailbox>> {
        let message = self.message()?;
        self.reads.plain("", "message.header-from", || addresses(&message.header_from))?;
        Ok(mailboxes(&message.header_from))
    }

    fn header_from_doubtful(&mut self, _: Resource<Message>) -> Result<bool> {
        let doubtful = self.message()?.header_from_doubtful;
        self.told("", "message.header-from-doubtful", doubtful)
    }

    fn envelope_sender(&mut self, _: Resource<Message>) -> Result<Option<Mailbox>> {
        let message = self.message()?;
        let sender = message.envelope_sender.as_ref();
        self.reads.plain("", "message.envelope-sender", || sender.map(ToString::to_string).into())?;
        Ok(sender.map(mailbox))
    }

    fn recipients(&mut self, _: Resource<Message>) -> Result<Vec<Mailbox>> {
        let message = self.message()?;
        self.reads.plain("", "message.recipients", || addresses(&message.recipients))?;
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
        self.reads.plain("", "message.headers", pairs)?;
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
        self.told("", "message.declared-size", size)
    }

    fn size(&mut self, _: Resource<Message>) -> Result<Option<u64>> {
        let size = self.message()?.size;
        self.told("", "message.size", size)
    }

    fn sender_is_ours(&mut self, _: Resource<Message>) -> Result<bool> {
        let ours = self.message()?.sender_is_ours;
        self.told("", "message.sender-is-ours", ours)
    }

    fn is_report(&mut self, _: Resource<Message>) -> Result<bool> {
        let report = self.message()?.is_report;
        self.told("", "message.is-report", report)
    }

    fn organizational_unit(&mut self, _: Resource<Message>) -> Result<Vec<String>> {
        let unit = self.message()?.organizational_unit.clone();
        self.told("", "message.organizational-unit", unit)
    }

    fn secure_transport_required_by(&mut self, _: Resource<Message>) -> Result<Vec<String>> {
        let mut by = self.message()?.secure_transport_required_by.clone();
        // During receive no policy's flag is seen: the answer must not depend on the order of the chain.
        if matches!(self.question, Question::Receive(_)) {
            by.retain(|name| name == crate::REQUIRETLS);
        }
        self.told("", "message.secure-transport-required-by", by)
    }

    fn tls_not_required(&mut self, _: Resource<Message>) -> Result<bool> {
        let not_required = self.message()?.tls_not_required;
        self.told("", "message.tls-not-required", not_required)
    }

    fn now(&mut self, _: Resource<Message>) -> Result<u64> {
        let now = self.now;
        self.told("", "message.now", now)
    }

    fn arrived_at(&mut self, _: Resource<Message>) -> Result<u64> {
        let at = self.message()?.arrived_at;
        self.told("", "message.arrived-at", at)
    }

    fn client(&mut self, _: Resource<Message>) -> Result<Option<Resource<Client>>> {
        let present = self.message()?.client.is_some();
        self.reads.plain("", "message.client", || present.into())?;
        Ok(present.then(|| self.hand_out(CLIENT)))
    }

    fn drop(&mut self, _: Resource<Message>) -> Result<()> {
        Ok(())
    }
}

impl HostClient for State {
    fn address(&mut self, _: Resource<Client>) -> Result<String> {
        let address = self.client_facts()?.address.to_string();
        self.told("", "client.address", address)
    }

    fn greeting_name(&mut self, _: Resource<Client>) -> Result<String> {
        let name = self.client_facts()?.greeting_name.clone();
        self.told("", "client.greeting-name", name)
    }

    fn authenticated_as(&mut self, _: Resource<Client>) -> Result<Option<String>> {
        let identity = self.client_facts()?.authenticated_as.clone();
        self.told("", "client.authenticated-as", identity)
    }

    fn listener(&mut self, _: Resource<Client>) -> Result<String> {
        let listener = self.client_facts()?.listener.clone();
        self.told("", "client.listener", listener)
    }

    fn channel(&mut self, _: Resource<Client>) -> Result<Resource<Channel>> {
        Ok(self.hand_out(CLIENT))
    }

    fn drop(&mut self, _: Resource<Client>) -> Result<()> {
        self.taken_back()
    }
}

impl State {
    fn message(&self) -> Result<Arc<MessageFacts>> {
        self.question.message().cloned().ok_or_else(|| misuse("there is no message in configure"))
    }

    pub(super) fn client_facts(&self) -> Result<&ClientFacts> {
        let client = self.question.message().and_then(|message| message.client.as_ref());
        client.ok_or_else(|| misuse("there is no client"))
    }
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
