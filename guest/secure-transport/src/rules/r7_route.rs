//! R7: the alternate secure route, where the required protection cannot be had on the ordinary one.
//!
//! The mission: "you can set an alternate secure route for outbound messages." Gmail sends messages that require secure
//! transport over it when the host cannot do TLS. It is a fallback: taken when H9 ends in an unmet floor, never sooner.
//! That the route exists and demands TLS is checked when the settings are read. Of several settings that hold, the first
//! in document order that names a route gives it. In the second plan, for that route, the host no longer listens to
//! fallbacks.
//!
//! Gmail again: "Domains not listed in TLS rules can be rerouted to this alternate route". Chosen so, mail for recipients that
//! no outbound setting lists takes the route at once, where it would have gone by MX. Hosted domains stay where they are, and
//! so does what a route of the configuration sends to hosts of its own: an operator named those.

use sealwire_sdk::{Destination, Floor, Reason, Tried};

use super::{Hold, Rule};
use crate::settings::Settings;
use crate::trail::Trail;

/// The rule as the public knows it.
pub const RULE: Rule = Rule {
    id: "R7",
    sentence: "Where the required protection cannot be had, the message takes the alternate secure route.",
};

/// The key it is chosen by.
const UNLISTED_KEY: &str = "alternate-secure-route-for-unlisted";

/// What the reason of an unlisted recipient's way says.
const UNLISTED: &str = "Mail to recipients that are on no list takes the alternate secure route.";

/// Takes the route, for a recipient that no outbound setting lists. In the second plan, for the route itself, there is
/// nothing more to take.
pub(crate) fn plan_unlisted(
    settings: &Settings,
    is_listed: bool,
    destination: &impl Destination,
    floor: &impl Floor,
    trail: &mut impl Trail,
) {
    let Some(route) = settings.unlisted_route.as_deref() else { return };
    let mut in_vain = |why: &str| trail.tried(|| Tried::in_vain(UNLISTED_KEY, RULE.id, why));
    if is_listed {
        in_vain("A setting lists the recipient.");
    } else if destination.route_kind() != "mx" {
        in_vain("The recipient's mail goes by a route of its own.");
    } else if destination.recipient_is_ours() {
        in_vain("The recipient's domain is hosted here.");
    } else {
        floor.take_route(route);
        floor.because(&Reason::new(RULE.id, UNLISTED).detail(UNLISTED_KEY));
    }
}

/// The first step of the cascade, before R6's.
pub(crate) fn plan(holds: &[Hold<'_>], floor: &impl Floor, trail: &mut impl Trail) {
    let mut is_named = false;
    for hold in holds {
        match hold.setting.alternate_secure_route.as_deref() {
            None => trail.in_vain(hold.setting, &RULE, || "The setting names no alternate secure route.".to_owned()),
            Some(_) if is_named => {
                trail.in_vain(hold.setting, &RULE, || "A setting before it names the route.".to_owned())
            }
            Some(route) => {
                is_named = true;
                floor.fallback("route", Some(route));
                floor.because(&hold.reason(&RULE));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{WayOut, plan, settings_of};

    /// A document with this for who is not listed.
    fn with_unlisted(settings: &[&str]) -> String {
        settings_of(settings).replacen('{', r#"{"alternate-secure-route-for-unlisted": "tunnel", "#, 1)
    }

    #[test]
    fn r7_route_of_who_is_not_listed() {
        let outbound = r#""scopes": ["outbound"]"#;
        let via = r#""scopes": ["outbound-via-another-setting"]"#;
        let inbound = r#""scopes": ["inbound"]"#;
        let off = r#""scopes": ["outbound"], "enabled": false"#;
        let observed = r#""scopes": ["outbound"], "observe-only": true"#;
        let (mx, smart_host) = (WayOut::mx(), WayOut::to("smart-host", &[]));
        let alternate = WayOut::to("alternate-secure", &["tls"]);
        // (settings, way, recipient, takes the route)
        let rows: &[(&[&str], &WayOut, &str, bool)] = &[
            (&[outbound], &mx, "b@other.example", true),
            (&[outbound], &mx, "b@partner.example", false),
            (&[outbound], &mx, "x@deep.below.example", false),
            (&[outbound], &mx, "bob@people.example", true),
            // Listed is listed, though the setting does not hold on this way out.
            (&[via], &mx, "b@partner.example", false),
            // What is only observed changes nothing.
            (&[observed], &mx, "b@partner.example", true),
            (&[observed, outbound], &mx, "b@partner.example", false),
            (&[via, outbound], &mx, "b@other.example", true),
            // What lists senders, or is switched off, lists no recipient.
            (&[inbound], &mx, "b@partner.example", true),
            (&[off], &mx, "b@partner.example", true),
            (&[], &mx, "b@partner.example", true),
            (&[outbound], &smart_host, "b@other.example", false),
            (&[outbound], &alternate, "b@other.example", false),
        ];
        for (settings, way, recipient, taken) in rows {
            let way = way.for_recipient(recipient);
            let lines = plan(&with_unlisted(settings), &way).lines();
            let takes = lines.contains(&"take-route tunnel".to_owned());
            assert_eq!(takes, *taken, "{settings:?}, to {recipient} by {way:?}: {lines:?}");
            assert!(!plan(&settings_of(settings), &way).lines().contains(&"take-route tunnel".to_owned()));
        }
        let lines = plan(&with_unlisted(&[outbound]), &mx.for_recipient("b@other.example").ours()).lines();
        assert_eq!(lines, ["conclude"], "hosted domains stay where they are");
        let calls = plan(&with_unlisted(&[]), &mx.flagged_by(&["flag-subject"]));
        assert_eq!(calls.lines(), ["take-route tunnel", "because R7", "conclude"], "flagged mail too");
        assert_eq!(calls.reasons()[0].text, super::UNLISTED);
    }

    #[test]
    fn r7_route() {
        let plain = r#""scopes": ["outbound"]"#;
        let vault = r#""scopes": ["outbound"], "alternate-secure-route": "vault""#;
        let tunnel = r#""scopes": ["outbound"], "alternate-secure-route": "tunnel""#;
        let elsewhere = r#""scopes": ["outbound"], "lists": ["banks"], "alternate-secure-route": "tunnel""#;
        let via = r#""scopes": ["outbound-via-another-setting"], "alternate-secure-route": "tunnel""#;
        let rows: &[(&[&str], &[&str])] = &[
            // (settings, cascade)
            (&[plain], &["fallback bounce"]),
            (&[vault], &["fallback route vault", "fallback bounce"]),
            (&[plain, vault], &["fallback route vault", "fallback bounce"]),
            (&[vault, tunnel], &["fallback route vault", "fallback bounce"]),
            (&[tunnel, vault], &["fallback route tunnel", "fallback bounce"]),
            // A setting that lists someone else, or does not hold on this way out, gives no route.
            (&[elsewhere, vault], &["fallback route vault", "fallback bounce"]),
            (&[via, vault], &["fallback route vault", "fallback bounce"]),
            (&[elsewhere], &[]),
            (&[via], &[]),
        ];
        for (settings, cascade) in rows {
            let calls = plan(&settings_of(settings), &WayOut::mx());
            let steps: Vec<String> = calls.lines().into_iter().filter(|line| line.starts_with("fallback")).collect();
            assert_eq!(steps, *cascade, "{settings:?}");
        }
    }

    #[test]
    fn the_route_is_named_by_r7() {
        let calls =
            plan(&settings_of(&[r#""scopes": ["outbound"], "alternate-secure-route": "vault""#]), &WayOut::mx());
        assert_eq!(calls.lines()[2..4], ["fallback route vault", "because R7"]);
    }
}
