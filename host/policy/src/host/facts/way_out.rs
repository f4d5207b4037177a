//! `wit/facts.wit`: the destination of one recipient's copy, and one host on the way.

use std::sync::Arc;

use sealwire_core::facts::{DestinationFacts, HopFacts};
use wasmtime::Result;
use wasmtime::component::Resource;

use super::{HOP, addresses, mailbox, mailboxes};
use crate::bindings::facts::{Channel, Destination, Hop, HostDestination, HostHop, Mailbox};
use crate::state::{Question, State, misuse};

impl HostDestination for State {
    fn recipient(&mut self, _: Resource<Destination>) -> Result<Mailbox> {
        let destination = self.destination()?;
        self.reads.plain("", "destination.recipient", || destination.recipient.to_string().into())?;
        Ok(mailbox(&destination.recipient))
    }

    fn recipient_is_ours(&mut self, _: Resource<Destination>) -> Result<bool> {
        let ours = self.destination()?.recipient_is_ours;
        self.told("", "destination.recipient-is-ours", ours)
    }

    fn route_kind(&mut self, _: Resource<Destination>) -> Result<String> {
        let kind = self.destination()?.route_kind.as_str().to_owned();
        self.told("", "destination.route-kind", kind)
    }

    fn route_name(&mut self, _: Resource<Destination>) -> Result<String> {
        let name = self.destination()?.route_name.clone();
        self.told("", "destination.route-name", name)
    }

    fn route_demands(&mut self, _: Resource<Destination>) -> Result<Vec<String>> {
        let demands = self.destination()?.route_demands.clone();
        self.told("", "destination.route-demands", demands)
    }

    fn round(&mut self, _: Resource<Destination>) -> Result<u32> {
        let round = self.destination()?.round;
        self.told("", "destination.round", round)
    }

    fn drop(&mut self, _: Resource<Destination>) -> Result<()> {
        Ok(())
    }
}

impl HostHop for State {
    fn recipients(&mut self, _: Resource<Hop>) -> Result<Vec<Mailbox>> {
        let hop = self.hop()?;
        self.reads.plain("", "hop.recipients", || addresses(&hop.recipients))?;
        Ok(mailboxes(&hop.recipients))
    }

    fn route_kind(&mut self, _: Resource<Hop>) -> Result<String> {
        let kind = self.hop()?.route_kind.as_str().to_owned();
        self.told("", "hop.route-kind", kind)
    }

    fn route_name(&mut self, _: Resource<Hop>) -> Result<String> {
        let name = self.hop()?.route_name.clone();
        self.told("", "hop.route-name", name)
    }

    fn host(&mut self, _: Resource<Hop>) -> Result<String> {
        let host = self.hop()?.host.clone();
        self.told("", "hop.host", host)
    }

    fn address(&mut self, _: Resource<Hop>) -> Result<String> {
        let address = self.hop()?.address.to_string();
        self.told("", "hop.address", address)
    }

    fn extensions(&mut self, _: Resource<Hop>) -> Result<Vec<String>> {
        let extensions = self.hop()?.extensions.clone();
        self.told("", "hop.extensions", extensions)
    }

    fn channel(&mut self, _: Resource<Hop>) -> Result<Resource<Channel>> {
        Ok(self.hand_out(HOP))
    }

    fn published(&mut self, _: Resource<Hop>) -> Result<Vec<(String, String)>> {
        let published = self.hop()?.published.clone();
        self.told("", "hop.published", published)
    }

    fn drop(&mut self, _: Resource<Hop>) -> Result<()> {
        Ok(())
    }
}

impl State {
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
}
