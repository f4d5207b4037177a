//! Why something was decided. Rule and text are public: reply, report, log and console carry the same words.
//! What matched and the detail go to ledger and console only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One reason of one policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// Name of the policy in the chain that gave it.
    pub policy: String,
    /// Id of the rule, such as `R1`.
    pub rule: String,
    /// Public sentence.
    pub text: String,
    /// Private: the list entry or other thing that matched.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub matched: Option<String>,
    /// Private: anything else the operator wants to know.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
}
