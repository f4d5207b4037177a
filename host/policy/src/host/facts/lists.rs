//! `wit/facts.wit`: the lists and routes of the generation. They stay in the host; a policy asks.

use std::sync::Arc;

use sealwire_core::address::{self, Domain};
use serde_json::json;
use wasmtime::Result;
use wasmtime::component::Resource;

use super::{argument, index, position};
use crate::bindings::facts::{AddressList, Entry, Host, HostAddressList, HostEntry, HostRoute, Mailbox, Route};
use crate::limits;
use crate::state::{Lookups, Question, State, misuse, over};

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
        self.reads.of_generation("get-list", name, || found.is_some().into())?;
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
        self.reads.of_generation("get-route", name, || found.is_some().into())?;
        Ok(found.map(|at| self.hand_out(position(at))))
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
        let found = list.find(&who, self.now);
        let text = found.as_ref().map(|entry| entry.text.to_owned());
        self.reads.of_generation("find", format!("{name}, {who}"), || text.clone().into())?;
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
        self.reads.of_generation("entry.authenticated-sender-only", text, || only.into())?;
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
        self.reads.of_generation("route.kind", name.clone(), || route.kind.as_str().into())?;
        Ok(route.kind.as_str().to_owned())
    }

    fn demands(&mut self, route: Resource<Route>) -> Result<Vec<String>> {
        let surroundings = Arc::clone(&self.surroundings);
        let (name, route) = surroundings.routes.get(index(route.rep())).ok_or_else(|| misuse("unknown route"))?;
        self.reads.of_generation("route.demands", name.clone(), || json!(route.demands))?;
        Ok(route.demands.clone())
    }

    fn drop(&mut self, _: Resource<Route>) -> Result<()> {
        self.taken_back()
    }
}

impl State {
    fn entry(&self, rep: u32) -> Result<&(String, bool)> {
        self.entries.get(index(rep)).ok_or_else(|| misuse("there is no such entry"))
    }
}

impl Lookups {
    fn bounded(&self) -> Result<()> {
        if self.lists.len() + self.routes.len() > limits::LOOKUPS {
            return Err(over(format!("configure looked up more than {} lists and routes", limits::LOOKUPS)));
        }
        Ok(())
    }
}
