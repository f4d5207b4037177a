//! Destinations that give less protection than they gave.

use schemars::JsonSchema;
use sealwire_relay::Downgrade;
use serde::Deserialize;

use crate::http::ask::{Ask, Pairs};
use crate::http::endpoint::{Answer, Reply, Value};
use crate::http::problem::Problem;

/// A destination as the list has it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Of {
    /// A domain, or `route NAME`.
    destination: String,
}

impl Pairs for Of {}
impl Value for Downgrade {}

pub(super) async fn list(ask: Ask) -> Answer<Vec<Downgrade>> {
    Ok(Reply::new(ask.api.relay.downgrades()))
}

pub(super) async fn accept(ask: Ask<Of>) -> Answer<Vec<Downgrade>> {
    let destination = ask.path.destination;
    let accepted = ask.api.relay.accept_downgrade(&destination, &ask.caller.name());
    match accepted.is_empty() {
        true => Err(Problem::not_found(format!("no host of {destination:?} gives less than it gave"))),
        false => Ok(Reply::new(accepted)),
    }
}
