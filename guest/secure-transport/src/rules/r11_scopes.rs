//! R11: a setting says which mail it is for.
//!
//! The mission: "Choose inbound and/or outbound messages." Inbound is every message that arrives, from trusted clients too;
//! outbound is every recipient's way out, hosted domains too; outbound via another setting is R3. One or more.

use sealwire_sdk::settings::{Object, Problems};

use super::Rule;

/// The rule as the public knows it.
pub const RULE: Rule = Rule {
    id: "R11",
    sentence: "A setting must be for inbound, outbound, or outbound-via-another-setting, one or more of them.",
};

/// Which mail a setting is for.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Scopes {
    /// R1.
    pub inbound: bool,
    /// R2.
    pub outbound: bool,
    /// R3.
    pub outbound_via_another: bool,
}

impl Scopes {
    /// It is for mail on its way out, by R2 or R3.
    pub(crate) fn is_outbound(self) -> bool {
        self.outbound || self.outbound_via_another
    }
}

/// The scopes of one setting.
pub(crate) fn read(object: &mut Object<'_>, problems: &Problems) -> Scopes {
    let mut scopes = Scopes::default();
    let words = object.texts("scopes");
    if words.is_empty() {
        problems.add(object.path("scopes"), RULE.sentence);
    }
    for (path, word) in words {
        match &*word {
            "inbound" => scopes.inbound = true,
            "outbound" => scopes.outbound = true,
            "outbound-via-another-setting" => scopes.outbound_via_another = true,
            _ => problems.add(path, format!("unknown scope `{word}`. {}", RULE.sentence)),
        }
    }
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{problems, read_settings, settings_of};

    #[test]
    fn r11_scopes() {
        let scopes = |inbound, outbound, outbound_via_another| Scopes { inbound, outbound, outbound_via_another };
        let rows = [
            (r#"["inbound"]"#, scopes(true, false, false)),
            (r#"["outbound"]"#, scopes(false, true, false)),
            (r#"["outbound-via-another-setting"]"#, scopes(false, false, true)),
            (r#"["outbound", "inbound"]"#, scopes(true, true, false)),
            (r#"["inbound", "outbound", "outbound-via-another-setting"]"#, scopes(true, true, true)),
        ];
        for (words, expected) in rows {
            let settings = read_settings(&settings_of(&[&format!(r#""scopes": {words}"#)]));
            let all: Vec<Scopes> = settings.all().map(|setting| setting.scopes).collect();
            assert_eq!(all, [expected], "{words}");
        }
    }

    #[test]
    fn no_scope_or_an_unknown_one_is_refused() {
        let rows = [
            ("", "/settings/0/scopes: A setting must be for"),
            (r#""scopes": []"#, "/settings/0/scopes: A setting must be for"),
            (
                r#""scopes": ["inbound", "Outbound"]"#,
                "/settings/0/scopes/1: unknown scope `Outbound`. A setting must be for",
            ),
        ];
        for (scopes, expected) in rows {
            let found = problems(&settings_of(&[scopes]));
            assert!(found.len() == 1 && found[0].starts_with(expected), "{scopes}: {found:?}");
        }
    }
}
