//! A host whose channel does not do: because of what the host lacks, or of what we do.

use sealwire_core::facts::{ChannelFacts, ChannelState, RevocationStatus};
use sealwire_core::floor::{Demand, Sourced, TlsProof};
use sealwire_core::outcome::HostUnmet;

use super::Delivering;
use super::pool::PoolKey;
use super::tally::found_in_words;
use crate::alerts::Audience;

impl Delivering<'_> {
    /// The channel lacks what the floor demands; the tally knows it.
    pub(super) fn unmet(&mut self, key: &PoolKey, channel: &ChannelFacts, proof: &TlsProof) {
        let unmet = key.floor.unmet(proof);
        let revocation = channel.handshake.as_ref().map(|handshake| handshake.revocation).unwrap_or_default();
        if revocation == RevocationStatus::Stale && lacks_nothing_else(&unmet) {
            return self.waits_for_our_list(key, channel);
        }
        self.tally.unmet(HostUnmet {
            host: key.host.to_string(),
            address: key.address.to_string(),
            channel: channel.state,
            unmet,
            objection: None,
            withdrawn: revocation == RevocationStatus::Revoked,
            found: found_in_words(channel),
            conclusive: channel.state != ChannelState::Inconclusive,
        });
    }

    /// The host may be all that is asked. That nobody can tell is the fault of our own file, and no reason to give mail back: it
    /// waits, by the ordinary schedule, until the list is brought up to date.
    fn waits_for_our_list(&mut self, key: &PoolKey, channel: &ChannelFacts) {
        let first = channel.handshake.as_ref().and_then(|handshake| handshake.certificates.first());
        let issuer = first.map(|certificate| certificate.issuer.clone()).unwrap_or_default();
        let why = format!("the revocation list of {issuer}, which would tell of its certificate, is out of date here");
        let recipients = self.attempt.recipients.iter().map(|recipient| self.relay.audience_of(&recipient.mailbox));
        let audience = recipients.min().unwrap_or(Audience::All);
        let text = format!("mail to {} waits: {why}; bring the file up to date and reload", key.host);
        self.relay.alert_once_to(audience, &format!("revocation list {issuer}"), text);
        self.tally.waits_for_us(&key.host, why);
    }
}

fn lacks_nothing_else(unmet: &[Sourced]) -> bool {
    !unmet.is_empty() && unmet.iter().all(|(demand, _)| *demand == Demand::UnrevokedCertificate)
}
