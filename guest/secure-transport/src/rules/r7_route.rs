//! R7: the alternate secure route, where the required protection cannot be had on the ordinary one.
//!
//! The mission: "you can set an alternate secure route for outbound messages." Gmail sends messages that require secure
//! transport over it when the host cannot do TLS. It is a fallback: taken when H9 ends in an unmet floor, never sooner.
//! That the route exists and demands TLS is checked when the settings are read. Of several settings that hold, the first
//! in document order that names a route gives it. In the second plan, for that route, the host no longer listens to
//! fallbacks.

use sealwire_sdk::Floor;

use super::{Hold, Rule};

/// The rule as the public knows it.
pub const RULE: Rule = Rule {
    id: "R7",
    sentence: "Where the required protection cannot be had, the message takes the alternate secure route.",
};

/// The first step of the cascade, before R6's.
pub(crate) fn plan(holds: &[Hold<'_>], floor: &impl Floor) {
    let named = holds.iter().find_map(|hold| Some((hold, hold.setting.alternate_secure_route.as_deref()?)));
    if let Some((hold, route)) = named {
        floor.fallback("route", Some(route));
        floor.because(&hold.reason(&RULE));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{WayOut, plan, settings_of};

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
