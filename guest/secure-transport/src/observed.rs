//! Settings that are observed only: what they would do is decided and recorded, and nothing is demanded.
//!
//! On arrival the refusal there would have been is a reason; on the way out so are the demands, and at each host what of
//! them it would not have met. The rule's id says that it is not enforced.

use sealwire_sdk::{Channel, Destination, Handshake, Hop, Host, Mailbox, Reason, Route};

use crate::rules::Hold;

/// What a reason of an observed setting is called.
fn rule_id(rule: &str) -> String {
    format!("{rule}-observed")
}

/// The same reason, said not to be enforced.
pub(crate) fn reason(reason: Reason) -> Reason {
    let text = format!("Observed only, not enforced: {}", reason.text);
    Reason { rule: rule_id(&reason.rule), text, ..reason }
}

/// What this host would not have met; None: it would have done.
pub(crate) fn objection(hold: &Hold<'_>, hop: &impl Hop) -> Option<Reason> {
    let channel = hop.channel();
    let handshake = channel.handshake().filter(|_| channel.state() == "secured");
    let mut missing = Vec::new();
    match &handshake {
        None => missing.push(format!("TLS ({})", channel.state())),
        Some(handshake) => {
            let setting = hold.setting;
            if setting.minimum_version.is_some_and(|least| handshake.version() < least) {
                missing.push("the minimum TLS version".to_owned());
            }
            if hold.grounds.certificate && setting.require_ca_signed_certificate && handshake.chain() != "trusted" {
                missing.push(format!("a CA signed certificate ({})", handshake.chain()));
            }
            if hold.grounds.certificate && setting.validate_hostname && !handshake.name_matches() {
                missing.push("a certificate that names the host".to_owned());
            }
        }
    }
    if missing.is_empty() {
        return None;
    }
    let text = format!("this host would not have done, for it lacks {}.", missing.join(", "));
    let told = Reason::new(hold.grounds.rule.id, text).matched(&*hold.entry).detail(&*hold.setting.detail);
    Some(reason(told))
}

/// The way to one recipient as a hop tells it: what `judge` knows of what `plan` was asked.
pub(crate) struct WayTo<'a, P, H> {
    pub(crate) recipient: &'a Mailbox,
    pub(crate) hop: &'a P,
    pub(crate) host: &'a H,
}

impl<P: Hop, H: Host> Destination for WayTo<'_, P, H> {
    fn recipient(&self) -> Mailbox {
        self.recipient.clone()
    }

    /// No rule of demands asks.
    fn recipient_is_ours(&self) -> bool {
        false
    }

    fn route_kind(&self) -> String {
        self.hop.route_kind()
    }

    fn route_name(&self) -> String {
        self.hop.route_name()
    }

    fn route_demands(&self) -> Vec<String> {
        self.host.route(&self.hop.route_name()).map(|route| route.demands()).unwrap_or_default()
    }

    fn round(&self) -> u32 {
        1
    }
}
