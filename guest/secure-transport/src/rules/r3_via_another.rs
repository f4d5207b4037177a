//! R3: mail to a listed recipient that another setting already sends over a secure connection.
//!
//! The mission: "Choose Outbound - messages requiring Secure Transport via another setting for outbound messages to which
//! another secure connection setting applies. For example, you can set email routing to send outbound messages through a
//! secure connection, or you can set an alternate secure route", and: "only outgoing messages sent through a smart host or
//! alternate secure route will require a CA signed cert. Messages sent through any other route are delivered without
//! requiring a CA signed cert." So the rule demands nothing of its own: it holds where the route or a flag asks for TLS,
//! and R4 and R5 join only away from MX. REQUIRETLS asks for TLS, and for certificates by RFC 8689, not by R4.

use sealwire_sdk::{Destination, Message};

use super::{Grounds, Rule};
use crate::settings::Setting;

/// The rule as the public knows it.
pub const RULE: Rule = Rule {
    id: "R3",
    sentence: "Mail to this recipient that must travel over a secure connection by another setting is sent over TLS only.",
};

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    tls: bool,
    certificate: bool,
}

/// Holds where this way out or a flag asks for TLS.
pub(crate) fn grounds(setting: &Setting, message: &impl Message, destination: &impl Destination) -> Option<Grounds> {
    if !setting.scopes.outbound_via_another {
        return None;
    }
    let row = row(message, destination);
    row.tls.then_some(Grounds { rule: &RULE, certificate: row.certificate })
}

/// Why it does not hold on this way out.
pub(crate) fn in_vain(destination: &impl Destination) -> String {
    format!(
        "Nobody asks for secure transport: no policy flagged the message, it came without REQUIRETLS, and its route ({}) demands no TLS.",
        destination.route_kind()
    )
}

/// Any word among the demands of a route implies TLS, and an unknown kind is a configured route (`wit/facts.wit`).
fn row(message: &impl Message, destination: &impl Destination) -> Row {
    let by_route = || !destination.route_demands().is_empty();
    match &*destination.route_kind() {
        "alternate-secure" => Row { tls: true, certificate: true },
        "mx" => Row { tls: !message.secure_transport_required_by().is_empty() || by_route(), certificate: false },
        _ if by_route() => Row { tls: true, certificate: true },
        _ => {
            let flagged_by = message.secure_transport_required_by();
            Row { tls: !flagged_by.is_empty(), certificate: flagged_by.iter().any(|flag| flag != "requiretls") }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{WayOut, plan, settings_with};

    const TLS: &[&str] = &["require-tls", "require-minimum-version 0x0304", "because R3"];
    const CERTIFICATE: &[&str] = &["require-trusted-chain", "because R4", "require-matching-name", "because R5"];
    const FALLBACK: &[&str] = &["fallback bounce", "because R6"];

    /// Route, what it demands, flagged by; TLS, CA certificate and name.
    type Case = (&'static str, &'static [&'static str], &'static [&'static str], bool, bool);

    #[test]
    fn r3_via_another() {
        let ticked = settings_with(
            r#""scopes": ["outbound-via-another-setting"], "require-ca-signed-certificate": true,
               "validate-hostname": true, "minimum-tls-version": "1.3""#,
        );
        // The seven rows, then their neighbours.
        let rows: &[Case] = &[
            ("mx", &[], &[], false, false),
            ("mx", &[], &["flag-subject"], true, false),
            ("mx", &[], &["requiretls"], true, false),
            ("smart-host", &["tls"], &[], true, true),
            ("alternate-secure", &["tls"], &[], true, true),
            ("smart-host", &[], &[], false, false),
            ("smart-host", &[], &["flag-subject"], true, true),
            ("mx", &[], &["requiretls", "flag-subject"], true, false),
            ("mx", &["tls"], &[], true, false),
            ("smart-host", &["tls"], &["requiretls"], true, true),
            ("smart-host", &[], &["requiretls"], true, false),
            ("smart-host", &[], &["requiretls", "flag-subject"], true, true),
            ("smart-host", &["a-word-of-tomorrow"], &[], true, true),
            ("alternate-secure", &["tls"], &["requiretls"], true, true),
            ("alternate-secure", &[], &[], true, true),
            ("a-route-of-tomorrow", &[], &[], false, false),
            ("a-route-of-tomorrow", &["tls"], &[], true, true),
        ];
        for (kind, demands, flags, tls, certificate) in rows {
            let calls = plan(&ticked, &WayOut::to(kind, demands).flagged_by(flags));
            let mut expected = Vec::new();
            expected.extend_from_slice(if *tls { TLS } else { &[] });
            expected.extend_from_slice(if *certificate { CERTIFICATE } else { &[] });
            expected.extend_from_slice(if *tls { FALLBACK } else { &[] });
            expected.push("conclude");
            assert_eq!(calls.lines(), expected, "{kind} demanding {demands:?}, flagged by {flags:?}");
        }
    }

    #[test]
    fn it_holds_for_listed_recipients_and_its_own_scope_alone() {
        let flagged = WayOut::to("smart-host", &["tls"]).flagged_by(&["flag-subject"]);
        let rows = [
            (r#""scopes": ["outbound-via-another-setting"]"#, "b@partner.example", true),
            (r#""scopes": ["outbound-via-another-setting"]"#, "b@other.example", false),
            (r#""scopes": ["inbound"]"#, "b@partner.example", false),
        ];
        for (setting, recipient, held) in rows {
            let lines = plan(&settings_with(setting), &flagged.for_recipient(recipient)).lines();
            assert_eq!(lines.contains(&"because R3".to_owned()), held, "{setting}, to {recipient}");
        }
    }
}
