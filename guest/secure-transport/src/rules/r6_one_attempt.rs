//! R6: one attempt, then a report.
//!
//! The mission: "Mail won't be delivered and will bounce. You'll get a non-delivery report (NDR). Only one send attempt is
//! made (no retries)." The policy says what to do when no host will do; what counts as one attempt, and when it is over,
//! is the host's promise H9. Without a demand there is nothing to miss, and the ordinary retries stay.

use sealwire_sdk::Floor;

use super::{Hold, Rule};

/// The rule as the public knows it.
pub const RULE: Rule = Rule {
    id: "R6",
    sentence: "Where the required protection cannot be had, the message is returned to its sender after one attempt.",
};

/// The last step of the cascade, behind R7's.
pub(crate) fn plan(holds: &[Hold<'_>], floor: &impl Floor) {
    if let Some(first) = holds.first() {
        floor.fallback("bounce", None);
        floor.because(&first.reason(&RULE));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{WayOut, plan, settings_of, settings_with};

    #[test]
    fn r6_one_attempt() {
        let twice = settings_of(&[r#""scopes": ["outbound"]"#, r#""scopes": ["outbound"]"#]);
        let rows = [
            // (settings, recipient, bounces)
            (settings_with(r#""scopes": ["outbound"]"#), "b@partner.example", 1),
            (settings_with(r#""scopes": ["outbound"], "alternate-secure-route": "vault""#), "b@partner.example", 1),
            (twice, "b@partner.example", 1),
            (settings_with(r#""scopes": ["outbound"]"#), "b@other.example", 0),
            (settings_with(r#""scopes": ["outbound-via-another-setting"]"#), "b@partner.example", 0),
        ];
        for (settings, recipient, bounces) in rows {
            let lines = plan(&settings, &WayOut::mx().for_recipient(recipient)).lines();
            assert_eq!(
                lines.iter().filter(|line| *line == "fallback bounce").count(),
                bounces,
                "{settings}: {lines:?}"
            );
            if bounces > 0 {
                assert_eq!(lines[lines.len() - 3..], ["fallback bounce", "because R6", "conclude"], "{settings}");
            }
        }
    }
}
