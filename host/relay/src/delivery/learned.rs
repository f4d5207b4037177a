//! What a delivery tells of its destination, beyond the message: how much it bears, and what protection its hosts give.

use sealwire_core::downgrade::Protection;
use sealwire_core::facts::{ChannelFacts, ChannelState};
use sealwire_core::plan::HostName;
use sealwire_core::reply::Reply;
use sealwire_core::smtp::client::RecipientResult;

use super::Delivering;
use crate::lanes::asks_for_less;

impl Delivering<'_> {
    /// What the host gave, unless that could not be found out, or is an earlier session's.
    pub(super) fn note_protection(&self, host: &HostName, channel: &ChannelFacts) {
        let handshake = channel.handshake.as_deref();
        if channel.state != ChannelState::Inconclusive && !handshake.is_some_and(|handshake| handshake.resumed) {
            let (relay, next_hop) = (self.relay, &self.attempt.next_hop);
            relay.destinations.note(relay, next_hop, &host.to_string(), Protection::of(handshake));
        }
    }

    /// A reply that asks for less counts for all that goes to this destination.
    pub(super) fn note_pace(&self, reply: Option<&Reply>) {
        if reply.is_some_and(asks_for_less) {
            self.place.asked_for_less(&self.attempt.next_hop);
        }
    }

    /// The same of a message's results.
    pub(super) fn note_results(&self, results: &[RecipientResult]) {
        for result in results {
            match result {
                RecipientResult::Delivered(_) => self.place.took(&self.attempt.next_hop),
                RecipientResult::Deferred(reply) => self.note_pace(Some(reply)),
                RecipientResult::Refused { .. } | RecipientResult::Unanswered { .. } => {}
            }
        }
    }
}
