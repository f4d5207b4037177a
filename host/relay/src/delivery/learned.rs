//! What a delivery tells of its destination, beyond the message: how much it bears, and what protection its hosts give.

use sealwire_core::downgrade::Protection;
use sealwire_core::facts::{ChannelFacts, ChannelState};
use sealwire_core::plan::HostName;
use sealwire_core::reply::Reply;
use sealwire_core::smtp::client::RecipientResult;

use super::Delivering;
use crate::lanes::asks_for_less;

/// What an attempt heard of its destination's strength.
#[derive(Default)]
pub(super) struct Heard {
    took: bool,
    asked_for_less: bool,
}

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
    pub(super) fn note_pace(&mut self, reply: Option<&Reply>) {
        self.heard.asked_for_less |= reply.is_some_and(asks_for_less);
    }

    /// The same of a message's results.
    pub(super) fn note_results(&mut self, results: &[RecipientResult]) {
        for result in results {
            match result {
                RecipientResult::Delivered(_) => self.heard.took = true,
                RecipientResult::Deferred(reply) => self.note_pace(Some(reply)),
                RecipientResult::Refused { .. } | RecipientResult::Unanswered { .. } => {}
            }
        }
    }

    /// Once, however many hosts and recipients said it.
    pub(super) fn tell_pace(&self) {
        match self.heard {
            Heard { took: true, .. } => self.place.took(self.live.config.limits.deliveries_per_destination),
            Heard { asked_for_less: true, .. } => self.place.asked_for_less(),
            Heard { .. } => {}
        }
    }
}
