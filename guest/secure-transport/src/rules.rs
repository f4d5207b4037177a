//! The rules, one per file, in the order of the mission. R8, how lists match, is kept by the host's list matcher.

pub mod r10_needs_list;
pub mod r11_scopes;
pub mod r1_inbound;
pub mod r2_outbound;
pub mod r3_via_another;
pub mod r4_trusted_chain;
pub mod r5_matching_name;
pub mod r6_one_attempt;
pub mod r7_route;
pub mod r9_opportunistic;

use sealwire_sdk::{Floor, Reason};

use crate::settings::Setting;
use crate::trail::Trail;

/// A rule as the public knows it.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// What verdict, ledger and report carry.
    pub id: &'static str,
    /// Sender and recipient may read this.
    pub sentence: &'static str,
}

/// All rules of this policy.
pub const ALL: [&Rule; 10] = [
    &r1_inbound::RULE,
    &r2_outbound::RULE,
    &r3_via_another::RULE,
    &r4_trusted_chain::RULE,
    &r5_matching_name::RULE,
    &r6_one_attempt::RULE,
    &r7_route::RULE,
    &r9_opportunistic::RULE,
    &r10_needs_list::RULE,
    &r11_scopes::RULE,
];

/// Why a setting holds on a way out: its rule demands TLS there.
#[derive(Clone, Copy, Debug)]
pub struct Grounds {
    /// R2 or R3.
    pub rule: &'static Rule,
    /// Whether R4 and R5, if the setting ticks them, hold too.
    pub certificate: bool,
}

/// A setting that lists the recipient and holds on this way out.
#[derive(Debug)]
pub struct Hold<'a> {
    /// Whose demands.
    pub setting: &'a Setting,
    /// The entry that lists the recipient.
    pub entry: String,
    /// Why it holds.
    pub grounds: Grounds,
}

/// What has been demanded so far, for settings that hold together: what a further one adds is demanded, and no more of what is
/// there already.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    settings: usize,
    version: Option<u16>,
    pub(crate) trusted_chain: bool,
    pub(crate) unrevoked: bool,
    pub(crate) matching_name: bool,
}

/// Of how many settings it is told that they hold, though they add nothing to those before.
const SETTINGS_TOLD: usize = 8;

impl Joined {
    /// TLS, and with it the minimum version.
    pub(crate) fn demand_tls(&mut self, hold: &Hold<'_>, floor: &impl Floor, trail: &mut impl Trail) {
        let version =
            hold.setting.minimum_version.filter(|version| self.version.is_none_or(|before| before < *version));
        self.settings += 1;
        if self.settings > SETTINGS_TOLD && version.is_none() {
            return trail.adds_nothing(hold.setting, hold.grounds.rule);
        }
        floor.require_tls();
        if let Some(version) = version {
            floor.require_minimum_version(version);
            self.version = Some(version);
        }
        floor.because(&hold.reason(hold.grounds.rule));
    }
}

/// Why a setting that holds asks for no certificate; `asks_for`: the key by which it would, were it not for its scope.
fn no_certificate(asks_for: Option<&str>) -> String {
    match asks_for {
        None => "The setting does not ask for it.".to_owned(),
        Some(key) => format!(
            "Its scope asks for a certificate by smart host and alternate secure route alone, where the route or a policy asks \
             for secure transport: `{key}` does not count here."
        ),
    }
}

impl Hold<'_> {
    /// Public sentence; which entry and which setting are the operator's alone.
    pub(crate) fn reason(&self, rule: &Rule) -> Reason {
        Reason::new(rule.id, rule.sentence).matched(&*self.entry).detail(&*self.setting.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_sentences_printable() {
        for (index, rule) in ALL.iter().enumerate() {
            assert!(ALL[..index].iter().all(|other| other.id != rule.id), "{}", rule.id);
            let printable = rule.sentence.bytes().all(|octet| (b' '..=b'~').contains(&octet));
            assert!(printable && rule.sentence.ends_with('.'), "{}", rule.sentence);
        }
    }
}
