//! What settings would have done to the mail of the last days, as a job: the same preview as the command's, one at a time.

use std::sync::Arc;

use sealwire_relay::Change;
use sealwire_relay::preview::{Refused, Span, State};
use sealwire_relay::settings::Edit;
use tokio::sync::watch;

use super::LOOKS_AT_SETTINGS;
use crate::access::Caller;
use crate::http::ask::{Ask, Document, Json, Pairs};
use crate::http::endpoint::{Answer, Reply};
use crate::http::jobs::{For, Job, Progress};
use crate::http::problem::Problem;
use crate::http::{Api, BASE};

impl Pairs for Span {}

pub(super) async fn of_document(ask: Ask<(), Span, Document>) -> Answer<Job> {
    let Document(document) = ask.body;
    begin(&ask.api, &ask.caller, Change::Document(document), ask.query).await
}

pub(super) async fn of_edits(ask: Ask<(), Span, Json<Vec<Edit>>>) -> Answer<Job> {
    let Json(edits) = ask.body;
    begin(&ask.api, &ask.caller, Change::Edits(edits), ask.query).await
}

async fn begin(api: &Api, caller: &Caller, change: Change, span: Span) -> Answer<Job> {
    let relay = Arc::clone(&api.relay);
    let begun = relay.begin_preview(change, span).await.map_err(refused)?;
    let number = begun.id;
    let work = |progress: Progress, mut stop: watch::Receiver<bool>| async move {
        let newer = "a newer preview has taken its place";
        let mut watched = relay.watch_preview(number).ok_or(newer)?;
        let mut is_stopping = false;
        loop {
            let (state, done, total) = {
                let found = watched.borrow_and_update();
                (found.state, found.done, found.total)
            };
            progress.of(done, total);
            if state != State::Running {
                break;
            }
            tokio::select! {
                changed = watched.changed() => changed.map_err(|_| newer)?,
                _ = stop.wait_for(|stop| *stop), if !is_stopping => {
                    is_stopping = true;
                    relay.cancel_preview(number);
                }
            }
        }
        let found = watched.borrow();
        match &found.trouble {
            Some(trouble) => Err(trouble.clone()),
            None => serde_json::to_value(&*found).map_err(|error| error.to_string()),
        }
    };
    let of = (caller.name(), For::root(LOOKS_AT_SETTINGS, caller));
    match api.jobs.begin_to_be_asked("settings-preview", of, begun.total, work) {
        Ok(job) => {
            let location = format!("{BASE}/jobs/{}", job.id);
            Ok(Reply::new(job).at(&location))
        }
        Err(too_many) => {
            api.relay.cancel_preview(number);
            Err(too_many)
        }
    }
}

fn refused(refused: Refused) -> Problem {
    match refused {
        Refused::Change(error) => error.into(),
        Refused::Asked(why) => Problem::bad_request(why),
        Refused::Running(_) => Problem::conflict(
            "another preview runs, a job's or a command's, and there is one at a time: wait for its end",
        ),
    }
}
