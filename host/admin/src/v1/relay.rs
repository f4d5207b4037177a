//! The relay as a whole, and whoever asks.

use schemars::JsonSchema;
use sealwire_relay::{RelayStatus, Replaced};
use serde::{Deserialize, Serialize};

use crate::access::Grant;
use crate::http::ask::Ask;
use crate::http::endpoint::{Answer, Reply, Value};

/// Who asks.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Whoami {
    /// As the log names him.
    pub name: String,
    /// What he may.
    pub grants: Vec<Grant>,
}

impl Value for Whoami {}
impl Value for RelayStatus {}
impl Value for Replaced {}

pub(super) async fn me(ask: Ask) -> Answer<Whoami> {
    Ok(Reply::new(Whoami { name: ask.caller.name(), grants: ask.caller.grants }))
}

pub(super) async fn status(ask: Ask) -> Answer<RelayStatus> {
    Ok(Reply::new(ask.api.relay.status().await))
}

pub(super) async fn reload(ask: Ask) -> Answer<Replaced> {
    Ok(Reply::new(ask.api.relay.reload(&ask.caller.actor()).await?))
}
