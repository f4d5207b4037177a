//! R9: everything else is opportunistic.
//!
//! The mission: "Gmail uses TLS by default, but when a secure connection isn't available (both sender and recipient need
//! to use TLS to create a secure connection), Gmail will deliver messages over non-secure connections." A floor without a
//! demand means just that to the host, so this rule is kept by calling nothing: it has a sentence and a test, no code.

use super::Rule;

/// The rule as the public knows it.
pub const RULE: Rule =
    Rule { id: "R9", sentence: "All other mail is sent over TLS where that works, else in clear text." };

#[cfg(test)]
mod tests {
    use crate::testing::{HOST, WayOut, plan, policy, settings_of};
    use sealwire_sdk::{Policy, fakes};

    #[test]
    fn r9_opportunistic() {
        let all = r#""scopes": ["inbound", "outbound", "outbound-via-another-setting"],
                     "require-ca-signed-certificate": true, "validate-hostname": true, "alternate-secure-route": "vault""#;
        let via = r#""scopes": ["outbound-via-another-setting"], "require-ca-signed-certificate": true"#;
        let rows: &[(&[&str], &str)] =
            &[(&[], "b@partner.example"), (&[all], "b@other.example"), (&[via], "b@partner.example")];
        for (settings, recipient) in rows {
            let calls = plan(&settings_of(settings), &WayOut::mx().for_recipient(recipient));
            assert_eq!(calls.lines(), ["conclude"], "{settings:?}, to {recipient}");
        }
    }

    #[test]
    fn no_host_is_objected_to() {
        let calls = fakes::Calls::default();
        let policy = policy(&settings_of(&[r#""scopes": ["outbound"]"#]));
        policy.judge(&fakes::Message::default(), &fakes::Hop::default(), &*HOST, &calls).expect("a decision");
        assert_eq!(calls.lines(), ["conclude"]);
    }
}
