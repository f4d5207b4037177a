//! `wit/facts.wit`: a channel, its handshake and the certificates presented, the client's or the hop's.

use sealwire_core::facts::{self, ChannelFacts};
use serde_json::Value;
use wasmtime::Result;
use wasmtime::component::Resource;

use super::{CLIENT, HOP, ToJson, hex, index, position};
use crate::bindings::facts::{Certificate, Channel, Handshake, HostCertificate, HostChannel, HostHandshake};
use crate::state::{Question, State, misuse};

/// A certificate's handle is its position, with the owner in the top bit.
const HOP_BIT: u32 = 1 << 31;

impl HostChannel for State {
    fn state(&mut self, channel: Resource<Channel>) -> Result<String> {
        let state = self.channel_facts(channel.rep())?.state.as_str().to_owned();
        self.told(whose(channel.rep()), "channel.state", state)
    }

    fn detail(&mut self, channel: Resource<Channel>) -> Result<String> {
        let detail = self.channel_facts(channel.rep())?.detail.clone();
        self.told(whose(channel.rep()), "channel.detail", detail)
    }

    fn handshake(&mut self, channel: Resource<Channel>) -> Result<Option<Resource<Handshake>>> {
        let present = self.channel_facts(channel.rep())?.handshake.is_some();
        self.reads.plain(whose(channel.rep()), "channel.handshake", || present.into())?;
        Ok(present.then(|| self.hand_out(channel.rep())))
    }

    fn drop(&mut self, _: Resource<Channel>) -> Result<()> {
        self.taken_back()
    }
}

impl HostHandshake for State {
    fn version(&mut self, of: Resource<Handshake>) -> Result<u16> {
        let version = self.handshake_facts(of.rep())?.version.0;
        self.told(whose(of.rep()), "handshake.version", version)
    }

    fn cipher_suite(&mut self, of: Resource<Handshake>) -> Result<String> {
        let name = self.handshake_facts(of.rep())?.cipher_suite.clone();
        self.told(whose(of.rep()), "handshake.cipher-suite", name)
    }

    fn key_exchange(&mut self, of: Resource<Handshake>) -> Result<String> {
        let name = self.handshake_facts(of.rep())?.key_exchange.clone();
        self.told(whose(of.rep()), "handshake.key-exchange", name)
    }

    fn server_name(&mut self, of: Resource<Handshake>) -> Result<Option<String>> {
        let name = self.handshake_facts(of.rep())?.server_name.clone();
        self.told(whose(of.rep()), "handshake.server-name", name)
    }

    fn implicit(&mut self, of: Resource<Handshake>) -> Result<bool> {
        let implicit = self.handshake_facts(of.rep())?.implicit;
        self.told(whose(of.rep()), "handshake.implicit", implicit)
    }

    fn resumed(&mut self, of: Resource<Handshake>) -> Result<bool> {
        let resumed = self.handshake_facts(of.rep())?.resumed;
        self.told(whose(of.rep()), "handshake.resumed", resumed)
    }

    fn chain(&mut self, of: Resource<Handshake>) -> Result<String> {
        let chain = self.handshake_facts(of.rep())?.chain.as_str().to_owned();
        self.told(whose(of.rep()), "handshake.chain", chain)
    }

    fn name_matches(&mut self, of: Resource<Handshake>) -> Result<bool> {
        let matches = self.handshake_facts(of.rep())?.name_matches;
        self.told(whose(of.rep()), "handshake.name-matches", matches)
    }

    fn revocation_status(&mut self, of: Resource<Handshake>) -> Result<String> {
        let status = self.handshake_facts(of.rep())?.revocation.as_str().to_owned();
        self.told(whose(of.rep()), "handshake.revocation-status", status)
    }

    fn certificates(&mut self, of: Resource<Handshake>) -> Result<Vec<Resource<Certificate>>> {
        let count = self.handshake_facts(of.rep())?.certificates.len();
        self.reads.plain(whose(of.rep()), "handshake.certificates", || count.into())?;
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

impl State {
    fn channel_facts(&self, owner: u32) -> Result<&ChannelFacts> {
        match &self.question {
            Question::Judge(_, hop) if owner == HOP => Ok(&hop.channel),
            _ if owner == HOP => Err(misuse("there is a hop in judge only")),
            _ => Ok(&self.client_facts()?.channel),
        }
    }

    fn handshake_facts(&self, owner: u32) -> Result<&facts::Handshake> {
        self.channel_facts(owner)?.handshake.as_deref().ok_or_else(|| misuse("there was no handshake"))
    }

    fn certificate_at(&self, rep: u32) -> Result<&facts::Certificate> {
        let owner = if rep & HOP_BIT == 0 { CLIENT } else { HOP };
        let certificates = &self.handshake_facts(owner)?.certificates;
        certificates.get(index(rep & !HOP_BIT)).ok_or_else(|| misuse("there is no such certificate"))
    }

    fn certificate<T: ToJson>(
        &mut self,
        of: &Resource<Certificate>,
        name: &'static str,
        read: impl FnOnce(&facts::Certificate) -> T,
    ) -> Result<T> {
        let rep = of.rep();
        let value = read(self.certificate_at(rep)?);
        let owner = whose(if rep & HOP_BIT == 0 { CLIENT } else { HOP });
        self.reads.with(owner, name, (rep & !HOP_BIT).to_string(), || value.to_json())?;
        Ok(value)
    }
}

struct Digest([u8; 32]);

impl ToJson for Digest {
    fn to_json(&self) -> Value {
        hex(&self.0)
    }
}

fn whose(owner: u32) -> &'static str {
    if owner == HOP { "hop" } else { "client" }
}
