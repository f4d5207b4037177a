//! Tests of how mail to a destination would leave, as jobs: they wait for other hosts.

use schemars::JsonSchema;
use sealwire_core::address::Mailbox;
use sealwire_relay::tls_test::TlsTest;
use serde::{Deserialize, Serialize};

use super::ANY;
use crate::http::BASE;
use crate::http::ask::{Ask, Json};
use crate::http::endpoint::{Answer, Reply};
use crate::http::jobs::{For, Job, Progress};
use crate::http::problem::Problem;

/// Mailboxes of one job.
const RECIPIENTS_MAX: usize = 20;

/// What to test.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsTestRequest {
    /// Whose mail: mailboxes, tested one behind another.
    #[schemars(length(min = 1, max = 20))]
    pub recipients: Vec<String>,
    /// By this route; none: by each recipient's own.
    pub route: Option<String>,
}

pub(super) async fn begin(ask: Ask<(), (), Json<TlsTestRequest>>) -> Answer<Job> {
    let Json(TlsTestRequest { recipients, route }) = ask.body;
    if recipients.is_empty() || recipients.len() > RECIPIENTS_MAX {
        return Err(Problem::at_pointer("/recipients", format!("must have 1 to {RECIPIENTS_MAX} mailboxes")));
    }
    let wrong = |index, text: &str, why| {
        Problem::at_pointer(format!("/recipients/{index}"), format!("{text:?} is no mailbox: {why}"))
    };
    let parse = |(index, text): (usize, &String)| Mailbox::parse(text).map_err(|why| wrong(index, text, why));
    let recipients = recipients.iter().enumerate().map(parse).collect::<Result<Vec<_>, _>>()?;
    let live = ask.api.relay.live();
    if let Some(name) = route.as_ref().filter(|name| live.config.routes.by_name(name).is_none()) {
        return Err(Problem::at_pointer("/route", format!("there is no route {name:?}")));
    }
    let relay = std::sync::Arc::clone(&ask.api.relay);
    let total = recipients.len() as u64;
    let work = |progress: Progress| async move {
        let mut tested: Vec<TlsTest> = Vec::new();
        for recipient in &recipients {
            tested.push(relay.test_tls(recipient, route.as_deref()).await?);
            progress.done(tested.len() as u64);
        }
        serde_json::to_value(tested).map_err(|error| error.to_string())
    };
    let job = ask.api.jobs.begin("tls-test", (ask.caller.name(), For::root(ANY, &ask.caller)), total, work)?;
    let location = format!("{BASE}/jobs/{}", job.id);
    Ok(Reply::new(job).at(&location))
}
