//! `wit/policy.wit`, `decisions`: verdict, floor, objections. The rules are in [`crate::calls`].

use sealwire_core::floor::Demand;
use sealwire_core::reason::Reason;
use wasmtime::Result;
use wasmtime::component::Resource;

use crate::bindings::decisions::{
    self, Floor, Host, HostFloor, HostObjections, HostVerdict, Objections, Reply, Verdict,
};
use crate::calls::Turn;
use crate::state::State;

impl Host for State {}

impl HostVerdict for State {
    fn reject(&mut self, _: Resource<Verdict>, reply: Reply) -> Result<()> {
        self.reply(Turn::Reject, &reply)
    }

    fn defer(&mut self, _: Resource<Verdict>, reply: Reply) -> Result<()> {
        self.reply(Turn::Defer, &reply)
    }

    fn require_secure_transport(&mut self, _: Resource<Verdict>) -> Result<()> {
        self.calls.require_secure_transport()
    }

    fn because(&mut self, _: Resource<Verdict>, reason: decisions::Reason) -> Result<()> {
        self.calls.because(named(reason))
    }

    fn conclude(&mut self, _: Resource<Verdict>) -> Result<()> {
        self.calls.conclude()
    }

    fn drop(&mut self, _: Resource<Verdict>) -> Result<()> {
        Ok(())
    }
}

impl HostFloor for State {
    fn require_tls(&mut self, _: Resource<Floor>) -> Result<()> {
        self.calls.demand("require-tls", Demand::Tls)
    }

    fn require_minimum_version(&mut self, _: Resource<Floor>, version: u16) -> Result<()> {
        self.calls.minimum_version(version)
    }

    fn require_trusted_chain(&mut self, _: Resource<Floor>) -> Result<()> {
        self.calls.demand("require-trusted-chain", Demand::TrustedChain)
    }

    fn require_matching_name(&mut self, _: Resource<Floor>) -> Result<()> {
        self.calls.demand("require-matching-name", Demand::MatchingName)
    }

    fn require_unrevoked_certificate(&mut self, _: Resource<Floor>) -> Result<()> {
        self.calls.demand("require-unrevoked-certificate", Demand::UnrevokedCertificate)
    }

    fn require_pin(&mut self, _: Resource<Floor>, kind: String, digests: Vec<Vec<u8>>) -> Result<()> {
        self.calls.pin(&kind, &digests)
    }

    fn require_cipher_suite(&mut self, _: Resource<Floor>, names: Vec<String>) -> Result<()> {
        self.calls.cipher_suite(names)
    }

    fn take_route(&mut self, _: Resource<Floor>, name: String) -> Result<()> {
        let exists = self.surroundings.route(&name).is_some();
        self.calls.take_route(name, exists)
    }

    fn fallback(&mut self, _: Resource<Floor>, step: String, name: Option<String>) -> Result<()> {
        let exists = name.as_ref().is_some_and(|name| self.surroundings.route(name).is_some());
        self.calls.fallback(&step, name, exists)
    }

    fn because(&mut self, _: Resource<Floor>, reason: decisions::Reason) -> Result<()> {
        self.calls.because(named(reason))
    }

    fn conclude(&mut self, _: Resource<Floor>) -> Result<()> {
        self.calls.conclude()
    }

    fn drop(&mut self, _: Resource<Floor>) -> Result<()> {
        Ok(())
    }
}

impl HostObjections for State {
    fn object(&mut self, _: Resource<Objections>, reply: Reply) -> Result<()> {
        self.reply(Turn::Object, &reply)
    }

    fn because(&mut self, _: Resource<Objections>, reason: decisions::Reason) -> Result<()> {
        self.calls.because(named(reason))
    }

    fn conclude(&mut self, _: Resource<Objections>) -> Result<()> {
        self.calls.conclude()
    }

    fn drop(&mut self, _: Resource<Objections>) -> Result<()> {
        Ok(())
    }
}

impl State {
    fn reply(&mut self, turn: Turn, reply: &Reply) -> Result<()> {
        self.calls.reply(turn, reply.code, &reply.enhanced, &reply.text)
    }
}

fn named(reason: decisions::Reason) -> Reason {
    let decisions::Reason { rule, text, matched, detail } = reason;
    Reason { policy: String::new(), rule, text, matched, detail }
}
