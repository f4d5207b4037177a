//! R5: the receiving server presents a certificate that names it.
//!
//! Not in the mission's text, but in the setting of today: "Validate certificate hostname". Checked as RFC 9525 says,
//! against the host that was connected to. Independent of R4: a certificate of the operator's own CA may name the right
//! host. Follows R4's conditions.

use sealwire_sdk::Floor;

use super::{Hold, Joined, Rule, no_certificate};
use crate::trail::Trail;

/// The rule as the public knows it.
pub const RULE: Rule =
    Rule { id: "R5", sentence: "The receiving mail server must present a certificate that carries its own name." };

/// Demands it where the setting ticks it and holds with its certificate options, unless another has.
pub(crate) fn plan(hold: &Hold<'_>, joined: &mut Joined, floor: &impl Floor, trail: &mut impl Trail) {
    if !(hold.grounds.certificate && hold.setting.validate_hostname) {
        let asks_for = hold.setting.validate_hostname.then_some("validate-hostname");
        trail.in_vain(hold.setting, &RULE, || no_certificate(asks_for));
    } else if joined.matching_name {
        trail.adds_nothing(hold.setting, &RULE);
    } else {
        joined.matching_name = true;
        floor.require_matching_name();
        floor.because(&hold.reason(&RULE));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{WayOut, plan, settings_with};

    #[test]
    fn r5_matching_name() {
        let rows = [
            // (setting, recipient, name demanded)
            (r#""scopes": ["outbound"], "validate-hostname": true"#, "b@partner.example", true),
            (r#""scopes": ["outbound"], "validate-hostname": true"#, "b@other.example", false),
            (r#""scopes": ["outbound"], "validate-hostname": false"#, "b@partner.example", false),
            (r#""scopes": ["outbound"], "require-ca-signed-certificate": true"#, "b@partner.example", false),
            (r#""scopes": ["inbound"], "validate-hostname": true"#, "b@partner.example", false),
        ];
        for (setting, recipient, demanded) in rows {
            let lines = plan(&settings_with(setting), &WayOut::mx().for_recipient(recipient)).lines();
            let asked = lines.windows(2).any(|pair| pair == ["require-matching-name", "because R5"]);
            assert_eq!(asked, demanded, "{setting}, to {recipient}: {lines:?}");
            assert_eq!(lines.contains(&"require-matching-name".to_owned()), demanded, "{lines:?}");
        }
    }
}
