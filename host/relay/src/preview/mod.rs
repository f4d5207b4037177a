//! Preview: what a settings document, or edits of the one in force, would have done to the mail of the last days.
//!
//! 1. A generation is built of it beside the one that is live, as for an apply; with a problem that is the answer.
//! 2. The ledger's decisions are read a bounded number at a time, the newest day first, and replayed
//!    ([`sealwire_policy::Sandbox::replay`]) by the chain of the unit they were made for, or of that to which their recipient moves.
//! 3. Decisions on one thing, of all policies and units, are compared as one ([`compare`]), and what differs is counted
//!    ([`found`]). Where a recipient's mail would have needed more, the attempt that was made says whether it had it.
//!
//! It changes nothing, sends nothing, and ends in bounded time: what was not reached is said.

mod compare;
mod found;

pub use found::{Difference, Example, Found, Had, State};

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use sealwire_core::ledger::LedgerEvent;
use sealwire_core::outcome::Outcome;
use sealwire_policy::{Replayable, Replayed};
use sealwire_store::{LedgerLine, LedgerQuery, StoreError};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::apply::{Change, ChangeError, read, read_apart};
use crate::live::Live;
use crate::relay::Relay;
use crate::settings::{Gathered, pieces};
use compare::{Group, Subject};

/// Decisions read and replayed at once: some hundredths of a second, after which a preview can be stopped.
const AT_ONCE: usize = 250;
/// Attempts of one message that are looked through for its proof.
const ATTEMPTS_MAX: usize = 1000;
const DAY_MS: u64 = 86_400_000;

/// How far back, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Span {
    /// Days.
    #[schemars(range(min = 1, max = 3650))]
    pub days: u64,
    /// Seconds after which it ends wherever it is.
    #[schemars(range(max = 3600))]
    pub within: u64,
}

impl Default for Span {
    fn default() -> Span {
        Span { days: 7, within: 300 }
    }
}

impl Span {
    /// The most of each.
    const MOST: Span = Span { days: 3_650, within: 3_600 };

    fn checked(self) -> Result<Span, String> {
        let (days, within) = (Span::MOST.days, Span::MOST.within);
        if (1..=days).contains(&self.days) && self.within <= within {
            return Ok(self);
        }
        Err(format!("days are 1 to {days}, and it may take {within} seconds at most"))
    }
}

/// Why there is no preview.
#[derive(Debug)]
pub enum Refused {
    /// These settings will not do.
    Change(ChangeError),
    /// It was asked for what cannot be.
    Asked(String),
    /// Another one runs, of this number.
    Running(u64),
}

/// The newest preview; one at a time, for each holds a generation.
#[derive(Debug, Default)]
pub(crate) struct Previews(Mutex<(u64, Option<Arc<Job>>)>);

#[derive(Debug)]
struct Job {
    found: watch::Sender<Found>,
    stop: Arc<AtomicBool>,
}

impl Job {
    /// Whoever watches it is told.
    fn tell(&self, found: impl FnOnce(&mut Found)) {
        self.found.send_modify(found);
    }
}

impl Previews {
    fn begin(&self, span: Span, live: &Live) -> Result<Arc<Job>, Refused> {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, job) = &mut *newest;
        if job.as_ref().is_some_and(|job| job.found.borrow().state == State::Running) {
            return Err(Refused::Running(*number));
        }
        *number += 1;
        let found = Found::new(*number, span, live.settings_revision, live.generation.number());
        let begun = Arc::new(Job { found: watch::Sender::new(found), stop: Arc::default() });
        *job = Some(Arc::clone(&begun));
        Ok(begun)
    }

    fn of(&self, number: u64) -> Option<Arc<Job>> {
        let newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        newest.1.clone().filter(|_| newest.0 == number)
    }
}

/// A job that somebody works on: whatever becomes of him, a client that went while its candidate was built or a panic, it ends.
struct Running(Arc<Job>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.found.send_if_modified(|found| {
            let is_left = found.state == State::Running;
            if is_left {
                found.trouble.get_or_insert_with(|| "it was given up".to_owned());
                found.end(State::Failed);
            }
            is_left
        });
    }
}

impl Relay {
    /// Begins a preview of these settings; how far it is [`Relay::preview`] tells.
    pub async fn begin_preview(self: &Arc<Relay>, change: Change, span: Span) -> Result<Found, Refused> {
        let span = span.checked().map_err(Refused::Asked)?;
        let running = Running(self.previews.begin(span, &self.live())?);
        let candidate = self.candidate(&change).await.map_err(Refused::Change)?;
        let found = running.0.found.borrow().clone();
        let relay = Arc::clone(self);
        tokio::spawn(async move {
            let state = Replaying { relay: &relay, candidate: &candidate, job: &running.0 }.run(span).await;
            running.0.tell(|found| found.end(state));
        });
        Ok(found)
    }

    /// How far the preview of this number is, and what it found; None: it is not the newest.
    pub fn preview(&self, number: u64) -> Option<Found> {
        self.previews.of(number).map(|job| job.found.borrow().clone())
    }

    /// The same, and whoever holds it is told of every step.
    pub fn watch_preview(&self, number: u64) -> Option<watch::Receiver<Found>> {
        self.previews.of(number).map(|job| job.found.subscribe())
    }

    /// Stops it where it is.
    pub fn cancel_preview(&self, number: u64) -> Option<Found> {
        let job = self.previews.of(number)?;
        job.stop.store(true, Ordering::Relaxed);
        let found = job.found.borrow().clone();
        Some(found)
    }

    /// What would be live, and is not.
    async fn candidate(&self, change: &Change) -> Result<Live, ChangeError> {
        let _one_at_a_time = self.building.lock().await;
        let live = self.live();
        let newest = self.store.settings(None).await?;
        let newest = newest.map_or_else(|| Ok(Gathered::default()), |newest| read(&newest.document))?;
        let mut after = self.changed(change, &newest).await?;
        pieces::fetch(&*self.store, &mut after, Some(&live.settings)).await?;
        let (settings, _) = read_apart(after, live.settings.clone()).await?;
        Ok(self.built(Arc::clone(&live.base), settings, live.settings_revision + 1).await?)
    }
}

/// One preview on its way.
struct Replaying<'a> {
    relay: &'a Relay,
    candidate: &'a Live,
    job: &'a Job,
}

/// Why it goes no further.
enum Ended {
    Store(StoreError),
    State(State),
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Ended {
        Ended::Store(error)
    }
}

impl Replaying<'_> {
    async fn run(&self, span: Span) -> State {
        let until = Instant::now() + Duration::from_secs(span.within);
        match self.days(span.days, until).await {
            Ok(()) => State::Done,
            Err(Ended::State(state)) => state,
            Err(Ended::Store(error)) => {
                self.job.tell(|found| found.trouble = Some(format!("the ledger cannot be read: {error}")));
                State::Failed
            }
        }
    }

    async fn days(&self, days: u64, until: Instant) -> Result<(), Ended> {
        let now_ms = self.relay.world.now_ms() + 1;
        let since_ms = now_ms.saturating_sub(days * DAY_MS);
        let Some((first, last)) = self.numbers(since_ms, now_ms).await? else { return Ok(()) };
        self.job.tell(|found| found.total = last - first + 1);
        for day in 0..days {
            let ends = now_ms.saturating_sub(day * DAY_MS);
            let begins = ends.saturating_sub(DAY_MS).max(since_ms);
            self.day(begins, ends, last, until).await?;
        }
        Ok(())
    }

    /// One day, from its first decision to its last. `last` is the number of the newest record of all.
    async fn day(&self, begins: u64, ends: u64, last: u64, until: Instant) -> Result<(), Ended> {
        let Some((first, end)) = self.numbers(begins, ends).await? else { return Ok(()) };
        let before = last.saturating_sub(end);
        let mut group: Option<Group> = None;
        let mut after = None;
        loop {
            self.may_go_on(until)?;
            let lines = self.decisions(begins, ends, after).await?;
            let newest = lines.last().map(|line| line.number);
            for (asked, again) in self.replayed(lines, until).await? {
                let subject = Subject::of(&asked);
                let open = group.as_mut().filter(|group| group.subject == subject);
                match open {
                    Some(open) => open.add(asked.record, again),
                    None => {
                        let ended = group.replace(Group::of(subject, asked.record, again));
                        self.count(ended).await?;
                    }
                }
            }
            let Some(newest) = newest else { break };
            self.job.tell(|found| found.done = before + newest.saturating_sub(first) + 1);
            after = Some(newest);
        }
        self.count(group).await?;
        self.job.tell(|found| found.done = before + end.saturating_sub(first) + 1);
        Ok(())
    }

    fn may_go_on(&self, until: Instant) -> Result<(), Ended> {
        match self.job.stop.load(Ordering::Relaxed) {
            _ if Instant::now() >= until => Err(Ended::State(State::OutOfTime)),
            true => Err(Ended::State(State::Cancelled)),
            false => Ok(()),
        }
    }

    async fn decisions(&self, begins: u64, ends: u64, after: Option<u64>) -> Result<Vec<LedgerLine>, StoreError> {
        let query = LedgerQuery {
            events: vec!["decision".to_owned()],
            since_ms: Some(begins),
            until_ms: Some(ends),
            after,
            limit: AT_ONCE,
            ..LedgerQuery::default()
        };
        self.relay.store.ledger(query).await
    }

    /// What these were asked, and what came of it. Stopped on its way none of them counts.
    async fn replayed(&self, lines: Vec<LedgerLine>, until: Instant) -> Result<Vec<(Replayable, Replayed)>, Ended> {
        let live = self.relay.live();
        let asked = lines.into_iter().flat_map(|line| match line.record.event {
            LedgerEvent::Decision(record) => {
                let record = self.candidate.scopes.moved_from(&live.scopes, record);
                self.candidate.scopes.asked_again(&line.record.message, record)
            }
            _ => Vec::new(),
        });
        let asked: Arc<[Replayable]> = asked.collect();
        let began = Instant::now();
        let stop = Arc::clone(&self.job.stop);
        let mut replay = pin!(self.relay.sandbox.replay(&self.candidate.generation, Arc::clone(&asked), stop));
        let again = tokio::select! {
            again = &mut replay => again,
            () = sleep_until(until) => {
                self.job.stop.store(true, Ordering::Relaxed);
                replay.await
            }
        };
        self.may_go_on(until)?;
        self.job.tell(|found| found.replayed(&again, began.elapsed()));
        Ok(asked.iter().cloned().zip(again).collect())
    }

    async fn count(&self, group: Option<Group>) -> Result<(), StoreError> {
        let Some(group) = group else { return Ok(()) };
        let changes = group.changes();
        let is_asked = changes.iter().any(|change| change.demand.is_some());
        let attempts = if is_asked { self.attempts(&group.subject).await? } else { Vec::new() };
        self.job.tell(|found| found.count(&group, changes, &attempts));
        Ok(())
    }

    /// What became of the attempts for this recipient, as far as the ledger has them; of a recipient's later rounds none, for
    /// they are told with the first.
    async fn attempts(&self, subject: &Subject) -> Result<Vec<Outcome>, StoreError> {
        let Subject::Plan { message, recipient, round: 1 } = subject else { return Ok(Vec::new()) };
        let query = LedgerQuery {
            message: Some(message.clone()),
            events: vec!["attempted".to_owned()],
            limit: ATTEMPTS_MAX,
            ..LedgerQuery::default()
        };
        let lines = self.relay.store.ledger(query).await?;
        let of_recipient = lines.into_iter().filter_map(|line| match line.record.event {
            LedgerEvent::Attempted { recipient: whose, result, .. } if whose.to_string() == *recipient => Some(result),
            _ => None,
        });
        Ok(of_recipient.collect())
    }

    /// Numbers of the first and the last record of this time.
    async fn numbers(&self, since_ms: u64, until_ms: u64) -> Result<Option<(u64, u64)>, StoreError> {
        let one = |last| LedgerQuery {
            since_ms: Some(since_ms),
            until_ms: Some(until_ms),
            limit: 1,
            last,
            ..LedgerQuery::default()
        };
        let first = self.relay.store.ledger(one(false)).await?;
        let last = self.relay.store.ledger(one(true)).await?;
        Ok(first.first().zip(last.first()).map(|(first, last)| (first.number, last.number)))
    }
}

#[cfg(test)]
mod job_tests;
#[cfg(test)]
mod tests;
