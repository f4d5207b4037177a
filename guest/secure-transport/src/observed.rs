//! Settings that are observed only: what they would do is decided and recorded, and nothing is demanded.
//!
//! On arrival the refusal there would have been is a reason; on the way out so are the demands, and at each host what of
//! them it would not have met. The rule's id says that it is not enforced.

use sealwire_sdk::{Channel, Destination, Handshake, Hop, Host, Mailbox, Message, Reason, Route, Said};

use crate::rules::{Hold, Rule};
use crate::settings::{Setting, Settings};
use crate::trail::{Trail, not_for_the_way_out, not_in_force, outbound_rule};

/// What a reason of an observed setting is called.
fn rule_id(rule: &str) -> String {
    format!("{rule}-observed")
}

/// What a reason of this setting would be called.
pub(crate) fn id_of(setting: &Setting, rule: &Rule) -> String {
    if setting.observe_only { rule_id(rule.id) } else { rule.id.to_owned() }
}

/// The same reason, said not to be enforced.
pub(crate) fn reason(reason: Reason) -> Reason {
    let text = format!("Observed only, not enforced: {}", reason.text);
    Reason { rule: rule_id(&reason.rule), text, ..reason }
}

/// How many lists are asked of at one host, of the 4,096 facts that a decision may read.
const ASKED: usize = 2_048;

/// Of how many of a host's recipients it is asked what would hold for them.
pub(crate) fn recipients_asked(settings: &Settings) -> usize {
    (ASKED / settings.lists.len().max(1)).max(1)
}

/// Tells that these many recipients more were not asked about.
pub(crate) fn not_asked(recipients: usize) -> Reason {
    Reason::new("observed", format!("Of {recipients} recipients more it was not asked what is only observed."))
}

/// Whether there is anything that this setting, were it to hold, would miss in this host.
pub(crate) fn may_object(setting: &Setting, hop: &impl Hop) -> bool {
    !missing(setting, true, hop).is_empty()
}

/// What this host lacks of what a setting asks for. `certificate`: R4 and R5 hold too.
fn missing(setting: &Setting, certificate: bool, hop: &impl Hop) -> Vec<String> {
    let channel = hop.channel();
    let Some(handshake) = channel.handshake().filter(|_| channel.state() == "secured") else {
        return vec![format!("TLS ({})", channel.state())];
    };
    let mut missing = Vec::new();
    if setting.minimum_version.is_some_and(|least| handshake.version() < least) {
        missing.push("the minimum TLS version".to_owned());
    }
    if certificate && setting.require_ca_signed_certificate && handshake.chain() != "trusted" {
        missing.push(format!("a CA signed certificate ({})", handshake.chain()));
    }
    if certificate
        && setting.require_ca_signed_certificate
        && setting.require_revocation_check
        && handshake.revocation_status() != "good"
    {
        missing.push(format!("a certificate that is shown not to be withdrawn ({})", handshake.revocation_status()));
    }
    if certificate && setting.validate_hostname && !handshake.name_matches() {
        missing.push("a certificate that names the host".to_owned());
    }
    missing
}

/// Why settings have nothing to say of this host, but for those whose reasons do.
pub(crate) fn judged_in_vain(
    settings: &Settings,
    message: &impl Message,
    hop: &impl Hop,
    said: &Said,
    trail: &mut impl Trail,
) {
    not_for_the_way_out(settings, trail);
    let now = message.now();
    for setting in settings.outbound().filter(|setting| !said.tells_of(&setting.detail)) {
        let why = match setting.observe_only {
            _ if !setting.is_valid(now) => not_in_force(setting, now),
            false => "It is enforced: the host compares what it demands with what this host gives.".to_owned(),
            true if !may_object(setting, hop) => "This host gives all that it asks for.".to_owned(),
            true => "It would hold for none of these recipients, or lacks nothing for them.".to_owned(),
        };
        trail.in_vain(setting, outbound_rule(setting), || why);
    }
}

/// What this host would not have met; None: it would have done.
pub(crate) fn objection(hold: &Hold<'_>, hop: &impl Hop) -> Option<Reason> {
    let missing = missing(hold.setting, hold.grounds.certificate, hop);
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
