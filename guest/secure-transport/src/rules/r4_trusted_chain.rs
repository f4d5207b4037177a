//! R4: the receiving server presents a certificate signed by a trusted certificate authority.
//!
//! The mission: "(Optional) Check the Require CA signed cert when delivering outbound to the above-specified TLS-enabled
//! domains box. If you check this box, the client SMTP server must present a valid CA signed certificate for messages that
//! match the conditions you set in steps 6 and 7." The server meant is the one that receives. Independent of R5: a trusted
//! certificate may name another host.
//!
//! What the mission leaves open is whether an authority may take its word back: `require-revocation-check` asks that it has not,
//! as RFC 9325 section 7.5 has it for strict rules. That is the same rule to its end, not one of its own: it holds where this
//! one does, and without an authority that is trusted there is none whose word could count.

use sealwire_sdk::Floor;

use super::{Hold, Joined, Rule, no_certificate};
use crate::trail::Trail;

/// The rule as the public knows it.
pub const RULE: Rule = Rule {
    id: "R4",
    sentence: "The receiving mail server must present a certificate signed by a trusted certificate authority.",
};

/// Demands it where the setting ticks it and holds with its certificate options, unless another has.
pub(crate) fn plan(hold: &Hold<'_>, joined: &mut Joined, floor: &impl Floor, trail: &mut impl Trail) {
    if !(hold.grounds.certificate && hold.setting.require_ca_signed_certificate) {
        let asks_for = hold.setting.require_ca_signed_certificate.then_some("require-ca-signed-certificate");
        return trail.in_vain(hold.setting, &RULE, || no_certificate(asks_for));
    }
    let chain = !std::mem::replace(&mut joined.trusted_chain, true);
    let unrevoked = hold.setting.require_revocation_check && !std::mem::replace(&mut joined.unrevoked, true);
    if chain {
        floor.require_trusted_chain();
    }
    if unrevoked {
        floor.require_unrevoked_certificate();
    }
    if chain || unrevoked {
        floor.because(&hold.reason(&RULE));
    } else {
        trail.adds_nothing(hold.setting, &RULE);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{WayOut, plan, settings_with};

    #[test]
    fn r4_trusted_chain() {
        let rows = [
            // (setting, recipient, chain demanded)
            (r#""scopes": ["outbound"], "require-ca-signed-certificate": true"#, "b@partner.example", true),
            (r#""scopes": ["outbound"], "require-ca-signed-certificate": true"#, "b@other.example", false),
            (r#""scopes": ["outbound"], "require-ca-signed-certificate": false"#, "b@partner.example", false),
            (r#""scopes": ["outbound"], "validate-hostname": true"#, "b@partner.example", false),
            (r#""scopes": ["inbound"], "require-ca-signed-certificate": true"#, "b@partner.example", false),
            (
                r#""scopes": ["outbound", "outbound-via-another-setting"], "require-ca-signed-certificate": true"#,
                "b@partner.example",
                true,
            ),
        ];
        for (setting, recipient, demanded) in rows {
            let lines = plan(&settings_with(setting), &WayOut::mx().for_recipient(recipient)).lines();
            let asked = lines.windows(2).any(|pair| pair == ["require-trusted-chain", "because R4"]);
            assert_eq!(asked, demanded, "{setting}, to {recipient}: {lines:?}");
            assert_eq!(lines.contains(&"require-trusted-chain".to_owned()), demanded, "{lines:?}");
            assert!(!lines.contains(&"require-unrevoked-certificate".to_owned()), "nobody ticked it: {lines:?}");
        }
    }

    #[test]
    fn r4_trusted_chain_that_was_not_withdrawn() {
        let ticked = r#""require-ca-signed-certificate": true, "require-revocation-check": true"#;
        // As R4 itself: with this scope not by MX.
        for (scope, way, demanded) in [
            ("outbound", WayOut::mx(), true),
            ("outbound-via-another-setting", WayOut::mx().flagged_by(&["content"]), false),
            ("outbound-via-another-setting", WayOut::to("smart-host", &["tls"]), true),
            ("inbound", WayOut::mx(), false),
        ] {
            let lines = plan(&settings_with(&format!(r#""scopes": ["{scope}"], {ticked}"#)), &way).lines();
            let expected = ["require-trusted-chain", "require-unrevoked-certificate", "because R4"];
            assert_eq!(lines.windows(3).any(|three| three == expected), demanded, "{scope}: {lines:?}");
            assert_eq!(lines.contains(&expected[1].to_owned()), demanded, "{scope}: {lines:?}");
        }
    }
}
