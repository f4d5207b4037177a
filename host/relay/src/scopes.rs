//! Whose settings concern a message: those of its client's unit, and those of a recipient's.
//!
//! A trusted client brings its own unit, a recipient of ours brings his; where both exist their settings join, chain by
//! chain. What MAIL FROM or From claims brings none.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use sealwire_core::address::Mailbox;
use sealwire_core::entry::Entry;
use sealwire_core::facts::MessageFacts;
use sealwire_core::ledger::{DecisionRecord, MadeFor};
use sealwire_core::plan::Attempt;
use sealwire_core::reply::Reply;
use sealwire_core::smtp::server::Hosted;
use sealwire_core::units::{UnitPath, Units};
use sealwire_policy::{Asked, ChainId, Replayable};
use serde_json::Value;

/// The units of a generation and the chain of each.
#[derive(Clone, Debug)]
pub struct Scopes {
    units: Units,
    chains: BTreeMap<UnitPath, OfUnit>,
}

/// The chains of a unit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OfUnit {
    pub(crate) any: ChainId,
    /// For mail whose client and recipient are both ours.
    pub(crate) internal: ChainId,
}

/// A unit whose settings concern a message, and their chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The unit.
    pub unit: UnitPath,
    /// Its settings.
    pub chain: ChainId,
    /// They are those for mail whose client and recipient are both ours.
    pub internal: bool,
    /// Who has the same settings, and is asked for with it.
    pub also_for: Vec<MadeFor>,
}

impl Scopes {
    pub(crate) fn new(units: Units, chains: BTreeMap<UnitPath, OfUnit>) -> Scopes {
        Scopes { units, chains }
    }

    /// The tree.
    pub fn units(&self) -> &Units {
        &self.units
    }

    /// The unit that a client brings by what is live now (H4), not by what was when it came: its network may stand in another unit.
    /// `trusted`: its recipients were taken as those of a trusted client; Err: it is one no more.
    pub(crate) fn brought_by(&self, client: IpAddr, trusted: bool) -> Result<Option<&UnitPath>, Reply> {
        let unit = self.units.of_client(client).filter(|_| trusted);
        if trusted && unit.is_none() {
            return Err(Reply::new(
                451,
                (7, 1),
                "This client is trusted no more; its recipients must be asked for anew",
            ));
        }
        Ok(unit)
    }

    /// The unit that an entry's client brought; None: a stranger.
    pub(crate) fn client_of(&self, entry: &Entry) -> Option<UnitPath> {
        entry.sender_is_ours.then(|| self.units.nearest(&entry.unit))
    }

    /// Whose settings concern a message of such a client to this recipient: one at least, each chain once.
    pub fn of(&self, client: Option<&UnitPath>, recipient: &Mailbox) -> Vec<Scope> {
        let recipients = self.units.of_recipient(recipient);
        let internal = client.is_some() && recipients.is_some();
        let root = UnitPath::root();
        let (first, second) = match (client, recipients) {
            (Some(client), recipients) => (client, recipients),
            (None, Some(recipients)) => (recipients, None),
            (None, None) => (&root, None),
        };
        let mut scopes = vec![self.scope(first, internal)];
        match second.map(|unit| self.scope(unit, internal)) {
            Some(second) if second.chain == scopes[0].chain => scopes[0].stands_for(&second),
            second => scopes.extend(second),
        }
        scopes
    }

    /// Who is asked about hosts for an attempt of this entry: its recipients share their settings.
    pub(crate) fn judges(&self, entry: &Entry, attempt: &Attempt, message: &Arc<MessageFacts>) -> Vec<Asked> {
        let client = self.client_of(entry);
        let scopes = attempt.recipients.first().map(|first| self.of(client.as_ref(), &first.mailbox));
        scopes.iter().flatten().map(|scope| scope.asks(message)).collect()
    }

    /// For the sessions: who is ours, and by which chain.
    pub(crate) fn hosted(&self) -> Hosted {
        let of = |unit: &UnitPath| self.scope(unit, false).chain.0;
        let domains = self.units.domains().iter().map(|(domain, unit)| (domain.clone(), of(unit))).collect();
        Hosted::new(domains, self.units.addresses().iter().map(|(mailbox, unit)| (mailbox.clone(), of(unit))).collect())
    }

    /// What a decision would be here, once for each chain: by that of the unit it was made for, or of the nearest above it that is
    /// there, and by those of whom it was made for as well.
    pub(crate) fn asked_again(&self, message: &str, decision: DecisionRecord) -> Vec<Replayable> {
        let first = MadeFor { unit: decision.unit.clone(), internal: decision.internal };
        let mut again: Vec<Replayable> = Vec::new();
        for MadeFor { unit, internal } in std::iter::once(first).chain(decision.also_for.iter().cloned()) {
            let chain = self.scope(&self.units.nearest(&unit), internal).chain;
            if again.iter().all(|known| known.chain != chain) {
                let record = DecisionRecord { unit, internal, ..decision.clone() };
                again.push(Replayable { chain, message: message.to_owned(), record });
            }
        }
        again
    }

    /// The chain that a decision went by, as it is here: of its unit, or of the nearest above it that is there.
    pub fn chain_of(&self, decision: &DecisionRecord) -> ChainId {
        self.scope(&self.units.nearest(&decision.unit), decision.internal).chain
    }

    /// A decision as for the units that its recipients have here, where it was made for those that they had before. What a
    /// client brought stays as it was: on record is not whose its network is.
    pub(crate) fn moved_from(&self, before: &Scopes, decision: DecisionRecord) -> DecisionRecord {
        let recipients = recipients_of(&decision);
        let first = MadeFor { unit: decision.unit.clone(), internal: decision.internal };
        let mut made_for: Vec<MadeFor> = Vec::new();
        for one in std::iter::once(first).chain(decision.also_for.iter().cloned()) {
            let theirs = |recipient: &&Mailbox| {
                before.units.of_recipient(recipient).is_some_and(|unit| unit.names() == one.unit)
            };
            let root = UnitPath::root();
            let now = recipients.iter().filter(theirs).map(|recipient| {
                let unit = self.units.of_recipient(recipient).unwrap_or(&root).names().to_vec();
                MadeFor { unit, internal: one.internal }
            });
            let now: Vec<MadeFor> = now.collect();
            // Of internal mail the client may have brought the same unit, which it still does.
            let stays = (one.internal || now.is_empty()).then_some(one);
            for one in stays.into_iter().chain(now) {
                if !made_for.contains(&one) {
                    made_for.push(one);
                }
            }
        }
        let MadeFor { unit, internal } = made_for.remove(0);
        DecisionRecord { unit, internal, also_for: made_for, ..decision }
    }

    fn scope(&self, unit: &UnitPath, internal: bool) -> Scope {
        // Never another's settings for want of its own: what is not there any more has those of the nearest that is.
        let unit = if self.chains.contains_key(unit) { unit.clone() } else { self.units.nearest(unit.names()) };
        let of_unit = self.chains.get(&unit).copied().unwrap_or_default();
        let chain = if internal { of_unit.internal } else { of_unit.any };
        Scope { unit, chain, internal, also_for: Vec::new() }
    }
}

/// Whose mail a decision is about, as far as it is on record.
fn recipients_of(decision: &DecisionRecord) -> Vec<Mailbox> {
    let names = ["destination.recipient", "hop.recipients", "message.recipients"];
    let kept = |name: &&str| decision.at_hand.get(*name).or_else(|| decision.facts.get(*name)).cloned();
    let mailboxes = match names.iter().find_map(kept) {
        Some(Value::Array(all)) => all,
        one => one.into_iter().collect(),
    };
    mailboxes.iter().filter_map(|mailbox| Mailbox::parse(mailbox.as_str()?).ok()).collect()
}

impl Scope {
    /// Another's settings are the same.
    pub fn stands_for(&mut self, other: &Scope) {
        for one in other.made_for() {
            if self.made_for().all(|known| known != one) {
                self.also_for.push(one);
            }
        }
    }

    /// Itself, and who is asked for with it.
    pub(crate) fn made_for(&self) -> impl Iterator<Item = MadeFor> {
        let own = MadeFor { unit: self.unit.names().to_vec(), internal: self.internal };
        std::iter::once(own).chain(self.also_for.iter().cloned())
    }

    /// The message as this unit sees it.
    pub fn asks(&self, message: &Arc<MessageFacts>) -> Asked {
        let Scope { chain, internal, ref also_for, .. } = *self;
        let message = if message.organizational_unit == self.unit.names() {
            Arc::clone(message)
        } else {
            let organizational_unit = self.unit.names().to_vec();
            Arc::new(MessageFacts { organizational_unit, ..(**message).clone() })
        };
        Asked { chain, internal, message, also_for: also_for.clone() }
    }
}
