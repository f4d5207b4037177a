//! Which rules a policy tried on the facts of a decision, by its own word: those that held, those that did not, and why.
//!
//! A policy is asked for an explanation alone, never in a decision (`wit/policy.wit`, interface `explanation`); so the ledger has
//! nothing of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::visible::visible;

/// One rule of one setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tried {
    /// Which setting, in the policy's words; empty: the policy as a whole.
    pub setting: String,
    /// Its id.
    pub rule: String,
    /// It had something to say; false: it was tried in vain.
    pub holds: bool,
    /// The facts that decide it.
    pub why: String,
}

/// What one policy says of the rules behind one decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RulesTried {
    /// Its name in the chain.
    pub policy: String,
    /// What holds first, in the order the policy gives.
    pub rules: Vec<Tried>,
    /// Why they are not told, or not all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untold: Option<String>,
}

impl RulesTried {
    /// Nothing is told, and why.
    pub fn untold(policy: &str, why: impl Into<String>) -> RulesTried {
        RulesTried { policy: policy.to_owned(), rules: Vec::new(), untold: Some(why.into()) }
    }

    /// As lines that stand below a decision's.
    pub fn lines(&self) -> Vec<String> {
        let untold = self.untold.iter().map(|why| format!("  rules tried: not told, {}", visible(why)));
        self.rules.iter().map(Tried::line).chain(untold).collect()
    }
}

impl Tried {
    fn line(&self) -> String {
        let rule = (!self.rule.is_empty()).then(|| format!("rule {}", visible(&self.rule)));
        let setting = (!self.setting.is_empty()).then(|| format!("of {}", visible(&self.setting)));
        let what: Vec<String> = rule.into_iter().chain(setting).collect();
        let what = if what.is_empty() { String::new() } else { format!("{}: ", what.join(" ")) };
        format!("  {}: {what}{}", if self.holds { "holds" } else { "in vain" }, visible(&self.why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_like_this() {
        let tried = |setting: &str, rule: &str, holds, why: &str| Tried {
            setting: setting.into(),
            rule: rule.into(),
            holds,
            why: why.into(),
        };
        let told = RulesTried {
            policy: "p".into(),
            rules: vec![
                tried("setting \"Banks\"", "R2", true, "Matched: bank.test"),
                tried("", "R7", false, "The recipient's domain is hosted here."),
                tried("", "", false, "3 more\u{1b}[2J"),
            ],
            untold: Some("2 more\nare left out".into()),
        };
        let expected = [
            "  holds: rule R2 of setting \"Banks\": Matched: bank.test",
            "  in vain: rule R7: The recipient's domain is hosted here.",
            "  in vain: 3 more\\u{1b}[2J",
            "  rules tried: not told, 2 more\\nare left out",
        ];
        assert_eq!(told.lines(), expected);
        assert_eq!(RulesTried::untold("p", "why").lines(), ["  rules tried: not told, why"]);
    }
}
