//! What an engine says of itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the engine has done since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct StoreStatus {
    /// Name of the engine, and where it keeps its data.
    pub engine: String,
    /// Version of the schema.
    pub schema: u32,
    /// Requests that write.
    pub writes: u64,
    /// Transactions they took; each is one sync, shared by all requests that waited (group commit).
    pub transactions: u64,
    /// Orphaned content and pieces of settings removed at opening.
    pub orphans_swept: u64,
    /// Leases a former process left, ended at opening.
    pub leases_cleared: u64,
}
