//! R2: mail to a listed recipient leaves over TLS only.
//!
//! The mission: "you can configure your TLS setting to require a secure connection for email to (or from) specific
//! domains or email addresses that you list." Scope "outbound - all messages": every way out, hosted domains and every
//! kind of route included; R4, R5 and the minimum version hold on each of them. That not one octet of MAIL FROM leaves in
//! clear is the host's promise H2, kept because of this demand.

use super::{Grounds, Rule};
use crate::settings::Setting;

/// The rule as the public knows it.
pub const RULE: Rule = Rule { id: "R2", sentence: "Mail to this recipient is sent over TLS only." };

/// Holds on every way out.
pub(crate) fn grounds(setting: &Setting) -> Option<Grounds> {
    setting.scopes.outbound.then_some(Grounds { rule: &RULE, certificate: true })
}

#[cfg(test)]
mod tests {
    use crate::testing::{WayOut, plan, settings_with};

    const HELD: [&str; 4] = ["require-tls", "because R2", "fallback bounce", "because R6"];

    #[test]
    fn r2_outbound() {
        let rows: &[(&str, &str, bool)] = &[
            // (setting, recipient, held)
            (r#""scopes": ["outbound"]"#, "b@partner.example", true),
            (r#""scopes": ["inbound", "outbound"]"#, "b@partner.example", true),
            (r#""scopes": ["outbound", "outbound-via-another-setting"]"#, "b@partner.example", true),
            (r#""scopes": ["outbound"]"#, "ann@people.example", true),
            (r#""scopes": ["outbound"]"#, "x@deep.below.example", true),
            (r#""scopes": ["outbound"]"#, "bob@people.example", false),
            (r#""scopes": ["outbound"]"#, "b@sub.partner.example", false),
            (r#""scopes": ["inbound"]"#, "b@partner.example", false),
            (r#""scopes": ["outbound"], "enabled": false"#, "b@partner.example", false),
        ];
        for (setting, recipient, held) in rows {
            // Whatever the route, whoever flagged or not.
            for way in [WayOut::mx(), WayOut::to("smart-host", &[]), WayOut::to("alternate-secure", &["tls"])] {
                let lines = plan(&settings_with(setting), &way.for_recipient(recipient)).lines();
                let expected = if *held { &HELD[..] } else { &[] };
                assert_eq!(lines, [expected, &["conclude"]].concat(), "{setting}, to {recipient} by {way:?}");
            }
        }
    }

    #[test]
    fn the_minimum_version_comes_with_it() {
        for (word, version) in [("1.2", "0x0303"), ("1.3", "0x0304")] {
            let setting = settings_with(&format!(r#""scopes": ["outbound"], "minimum-tls-version": "{word}""#));
            let calls = plan(&setting, &WayOut::mx());
            assert_eq!(
                calls.lines()[..3],
                ["require-tls", &format!("require-minimum-version {version}"), "because R2"]
            );
        }
    }

    #[test]
    fn what_matched_and_the_setting_stay_private() {
        let calls = plan(&settings_with(r#""scopes": ["outbound"]"#), &WayOut::mx());
        let reason = &calls.reasons()[0];
        assert_eq!(reason.text, "Mail to this recipient is sent over TLS only.");
        assert_eq!(reason.matched.as_deref(), Some("partner.example"));
        assert_eq!(reason.detail.as_deref(), Some("setting \"Partners\""));
    }
}
