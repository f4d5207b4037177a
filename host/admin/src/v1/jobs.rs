//! Jobs: looked at by whoever has a role for what they do, in all the units that they are about; ended by those of them who began
//! them or do more than look.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::http::ask::{Ask, Pairs};
use crate::http::endpoint::{Answer, Reply, Value};
use crate::http::jobs::Job;
use crate::http::problem::Problem;

/// Id of a job.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Id {
    /// As in its Location.
    id: String,
}

impl Pairs for Id {}
impl Value for Job {}

pub(super) async fn list(ask: Ask) -> Answer<Vec<Job>> {
    Ok(Reply::new(ask.api.jobs.all(&ask.caller)))
}

pub(super) async fn show(ask: Ask<Id>) -> Answer<Job> {
    let found = ask.api.jobs.all(&ask.caller).into_iter().find(|job| job.id == ask.path.id);
    found.map(Reply::new).ok_or_else(|| unknown(&ask.path.id))
}

pub(super) async fn end(ask: Ask<Id>) -> Answer<Job> {
    let ended = ask.api.jobs.end(&ask.path.id, &ask.caller);
    ended.unwrap_or_else(|| Err(unknown(&ask.path.id))).map(Reply::new)
}

fn unknown(id: &str) -> Problem {
    Problem::not_found(format!("there is no job {id:?}; one that ended an hour ago is gone"))
}
