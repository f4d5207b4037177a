//! The built-in policy: mail of listed senders and to listed recipients travels over TLS, or comes back.
//!
//! It does what Gmail's "Secure transport (TLS) compliance" does, one rule per file under [`rules`]:
//!
//! 1. `configure` reads the settings ([`settings`]) and refuses what could not protect anyone (R10, R11).
//! 2. `receive` refuses mail of a listed From that came in clear text (R1).
//! 3. `plan` asks which settings list the recipient ([`listed`]), which of them hold for this way out (R2, R3), and demands
//!    what they ask for: TLS, a trusted chain (R4), a matching name (R5); where that cannot be had, the alternate secure
//!    route (R7) and the report (R6). No setting holds: nothing is demanded (R9). No setting lists the recipient: the alternate
//!    secure route, where the operator has chosen it for all such mail (R7).
//! 4. `judge` has nothing to add: the host compares the demands with the handshake.
//!
//! It never matches addresses itself (R8 is the host's) and never loosens what someone else demanded.

mod listed;
pub mod rules;
pub mod settings;

#[cfg(test)]
mod testing;

use sealwire_sdk::{Destination, Floor, Hop, Host, Message, Objections, Policy, Problem, Verdict};

use listed::Lookup;
use rules::{
    Hold, r1_inbound, r2_outbound, r3_via_another, r4_trusted_chain, r5_matching_name, r6_one_attempt, r7_route,
};
use settings::Settings;

/// The policy, configured.
#[derive(Debug)]
pub struct SecureTransport {
    settings: Settings,
}

sealwire_sdk::export_policy!(SecureTransport);

impl Policy for SecureTransport {
    fn configure(document: &str, host: &impl Host) -> Result<SecureTransport, Vec<Problem>> {
        Ok(SecureTransport { settings: Settings::read(document, host)? })
    }

    fn receive(&self, message: &impl Message, host: &impl Host, verdict: &impl Verdict) -> Result<(), String> {
        r1_inbound::receive(&self.settings, message, host, verdict)?;
        verdict.conclude();
        Ok(())
    }

    fn plan(
        &self,
        message: &impl Message,
        destination: &impl Destination,
        host: &impl Host,
        floor: &impl Floor,
    ) -> Result<(), String> {
        let (is_listed, holds) = self.holds(message, destination, host)?;
        for hold in &holds {
            hold.demand_tls(floor);
            r4_trusted_chain::plan(hold, floor);
            r5_matching_name::plan(hold, floor);
        }
        r7_route::plan(&holds, floor);
        if !is_listed {
            r7_route::plan_unlisted(&self.settings, destination, floor);
        }
        r6_one_attempt::plan(&holds, floor);
        floor.conclude();
        Ok(())
    }

    fn judge(&self, _: &impl Message, _: &impl Hop, _: &impl Host, objections: &impl Objections) -> Result<(), String> {
        objections.conclude();
        Ok(())
    }
}

impl SecureTransport {
    /// Whether any outbound setting lists this recipient, and those that do and hold for this way out, in document order.
    /// Their demands join.
    fn holds(
        &self,
        message: &impl Message,
        destination: &impl Destination,
        host: &impl Host,
    ) -> Result<(bool, Vec<Hold<'_>>), String> {
        let (mut is_listed, mut holds) = (false, Vec::new());
        let mut outbound = self.settings.outbound().peekable();
        if outbound.peek().is_none() {
            return Ok((is_listed, holds));
        }
        let recipient = [destination.recipient()];
        let mut lookup = Lookup::new(&self.settings, &recipient, host);
        for setting in outbound {
            let Some(listed) = lookup.first(setting)? else { continue };
            is_listed = true;
            let grounds = r2_outbound::grounds(setting);
            if let Some(grounds) = grounds.or_else(|| r3_via_another::grounds(setting, message, destination)) {
                holds.push(Hold { setting, entry: listed.entry, grounds });
            }
        }
        Ok((is_listed, holds))
    }
}
