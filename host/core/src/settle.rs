//! Settle: what follows from an outcome, and when. Nothing else decides that.
//!
//! One attempt (H9): an unmet floor ends in the first plan's fallback after one conclusive round. While some host could
//! not be asked the round repeats, a few times within a window, then its last result stands. A round in which no host
//! got as far as answering EHLO uses nothing up, and neither does a greylisting 4xx: both are ordinary retries by
//! [`Schedule`]. A failed decision defers without using up a round (H3). Expiry ends everything, held mail too
//! (RFC 5321 §4.5.4.1). Time and jitter are arguments.

mod ending;

pub use ending::{Delay, Ending, Failure, HeldBy};

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decision::FallbackStep;
use crate::floor::{Demand, Source, Sourced};
use crate::outcome::{FloorUnmet, Outcome};
use crate::reason::Reason;
use crate::schedule::Schedule;
use crate::time::rfc3339;

/// What earlier rounds left for the next, per recipient; written in the entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Progress {
    /// Rounds that took place.
    pub rounds: u32,
    /// Ordinary retries so far; the back-off counts them.
    pub retries: u32,
    /// H9: rounds whose floor was unmet and some host inconclusive, since when.
    pub unmet: Option<UnmetWindow>,
    /// The first plan's fallback once it was entered, and how many of its steps are taken.
    pub cascade: Option<Cascade>,
    /// Since when failed decisions alone have kept it waiting; seconds since the Unix epoch.
    pub failing_since: Option<u64>,
    /// The sender was told of the delay.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub delay_told: bool,
    /// The last round in words, for `queue list`.
    pub last: String,
    /// The last round as it was, for the report of a message that expires while it is held.
    pub last_round: Option<LastRound>,
}

/// Inconclusive rounds of an unmet floor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnmetWindow {
    /// Seconds since the Unix epoch.
    pub since: u64,
    /// Rounds so far, the first included.
    pub rounds: u32,
}

/// A fallback that was entered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cascade {
    /// As the first plan named them.
    pub steps: Vec<FallbackStep>,
    /// Steps taken so far.
    pub taken: usize,
    /// A demand was unmet, not only an objection raised: whatever step is taken, clear text is none of them.
    pub tls: bool,
}

/// The last round that took place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastRound {
    /// Seconds since the Unix epoch.
    pub at: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// The plan's reasons.
    pub reasons: Vec<Reason>,
}

impl Progress {
    /// The route that the cascade has reached; None: the recipient's own.
    pub fn route(&self) -> Option<&str> {
        let cascade = self.cascade.as_ref()?;
        let taken = cascade.steps.iter().take(cascade.taken).rev();
        taken.into_iter().find_map(|step| match step {
            FallbackStep::Route(name) => Some(name.as_str()),
            // Mail that is retried after a hold goes where it went before it.
            FallbackStep::Hold | FallbackStep::Bounce => None,
        })
    }

    /// The cascade was entered because a floor was not met: its routes must give TLS, whatever they demand themselves.
    pub fn must_stay_secure(&self) -> bool {
        self.cascade.as_ref().is_some_and(|cascade| cascade.tls)
    }

    /// When an operator is to be told that failed decisions keep this waiting; None while none do.
    pub fn alert_at(&self, schedule: &Schedule) -> Option<u64> {
        self.failing_since.map(|since| since.saturating_add(schedule.failed_decision_alert_after_secs))
    }
}

/// One round's result for one recipient.
#[derive(Clone, Copy, Debug)]
pub struct RoundResult<'a> {
    /// What became of it.
    pub outcome: &'a Outcome,
    /// Of the first plan. Ignored once a cascade was entered: the one written in the progress goes on.
    pub fallback: &'a [FallbackStep],
    /// Of the plan; the report quotes their public half.
    pub reasons: &'a [Reason],
}

/// When, and how much to spread.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// When the message arrived; seconds since the Unix epoch.
    pub arrived_at: u64,
    /// When the round ended; seconds since the Unix epoch.
    pub now: u64,
    /// 0.0 to 1.0.
    pub jitter: f64,
}

/// What follows for this recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The next hop has taken responsibility.
    Delivered,
    /// Another round; at once where the cascade has just reached a route ([`Progress::route`]).
    RetryAt {
        /// Seconds since the Unix epoch.
        at: u64,
        /// For that round.
        progress: Progress,
    },
    /// Kept until somebody says `queue retry`; at `expires_at` ask [`expired`].
    Held {
        /// Seconds since the Unix epoch.
        expires_at: u64,
        /// For the round after that.
        progress: Progress,
    },
    /// Over: the sender is told.
    Failed {
        /// Why.
        failure: Failure,
    },
}

/// What follows from one round.
pub fn settle(progress: &Progress, round: RoundResult<'_>, timing: Timing, schedule: &Schedule) -> Settlement {
    let settling = Settling { before: progress, round, timing, schedule };
    match round.outcome {
        Outcome::Delivered(_) => Settlement::Delivered,
        // RFC 5321 §4.2.1: a 5yz reply is not to be tried again.
        Outcome::Refused { .. } => settling.failed(Ending::Refused),
        Outcome::FailedDecision(_) => settling.failed_decision(),
        Outcome::Inconclusive { .. } => settling.ordinary_retry(),
        Outcome::FloorUnmet(unmet) => settling.floor_unmet(unmet),
    }
}

/// What a sender is told of mail that waits for longer than `delay_notice_after_secs`, and whose last round, or decision that
/// failed, came to `round`; None: nothing, or nothing more. The caller remembers in `progress` that it was told.
pub fn delay(progress: &Progress, round: RoundResult<'_>, timing: Timing, schedule: &Schedule) -> Option<Delay> {
    let waited_secs = timing.now.saturating_sub(timing.arrived_at);
    let is_late = schedule.delay_notice_after_secs > 0 && waited_secs >= schedule.delay_notice_after_secs;
    (is_late && !progress.delay_told).then(|| Delay {
        waited_secs,
        last: LastRound { at: timing.now, outcome: round.outcome.clone(), reasons: round.reasons.to_vec() },
        until: schedule.expires_at(timing.arrived_at),
    })
}

/// The failure of a message that waits, held or queued, without a round having just ended; None while it has time left.
/// `by_operator`: an operator holds it, whatever a policy does.
pub fn expired(
    progress: &Progress,
    by_operator: bool,
    arrived_at: u64,
    now: u64,
    schedule: &Schedule,
) -> Option<Failure> {
    let held = match &progress.cascade {
        _ if by_operator => HeldBy::Operator,
        Some(cascade) if cascade.holds() => HeldBy::Policy,
        _ => HeldBy::Nobody,
    };
    (now >= schedule.expires_at(arrived_at)).then(|| Failure::of_waiting(progress, schedule.expire_after_secs, held))
}

impl Cascade {
    /// Of what was not named by any policy, and ends in a report all the same.
    fn of_report() -> Cascade {
        Cascade { steps: vec![FallbackStep::Bounce], taken: 0, tls: false }
    }

    /// The step taken last is a hold.
    fn holds(&self) -> bool {
        self.taken.checked_sub(1).and_then(|last| self.steps.get(last)) == Some(&FallbackStep::Hold)
    }
}

/// One call of [`settle`].
struct Settling<'a> {
    before: &'a Progress,
    round: RoundResult<'a>,
    timing: Timing,
    schedule: &'a Schedule,
}

impl Settling<'_> {
    /// A decision that did not come about uses up no round and no retry; the H9 window stays as it is.
    fn failed_decision(&self) -> Settlement {
        let since = self.before.failing_since.unwrap_or(self.timing.now);
        let mut progress = self.before.clone();
        progress.failing_since = Some(since);
        progress.last = self.round.outcome.to_string();
        self.retry_in(self.schedule.failed_decision_wait_secs(self.timing.jitter), progress)
    }

    fn ordinary_retry(&self) -> Settlement {
        let mut progress = self.after_round();
        progress.retries = progress.retries.saturating_add(1);
        self.retry_in(self.schedule.wait_secs(progress.retries, self.timing.jitter), progress)
    }

    /// H9.
    fn floor_unmet(&self, unmet: &FloorUnmet) -> Settlement {
        // Nobody was asked, so nothing is known: not a round in the sense of H9.
        if unmet.hosts.is_empty() {
            return self.ordinary_retry();
        }
        let cascade = match consequence(unmet) {
            Consequence::Deferral => None,
            Consequence::Fallback => self.cascade(),
            Consequence::Report => Some(self.cascade().unwrap_or_else(Cascade::of_report)),
        };
        let Some(mut cascade) = cascade else { return self.ordinary_retry() };
        cascade.tls |= unmet.hosts.iter().any(|host| !host.unmet.is_empty());
        let mut progress = self.after_round();
        let window = progress.unmet.get_or_insert(UnmetWindow { since: self.timing.now, rounds: 0 });
        window.rounds = window.rounds.saturating_add(1);
        if !unmet.is_conclusive()
            && let Some(wait) = self.repeat_in(window)
        {
            return self.retry_in(wait, progress);
        }
        self.fall_back(cascade, progress)
    }

    /// The wait before an inconclusive round is repeated; None where its result stands. A repeat is never put behind
    /// the window's end, so it may come sooner than its back-off.
    fn repeat_in(&self, window: &UnmetWindow) -> Option<u64> {
        let left = self.schedule.window_ends_at(window.since).saturating_sub(self.timing.now);
        let may_repeat = window.rounds <= self.schedule.inconclusive_repeats && left > 0;
        may_repeat.then(|| self.schedule.wait_secs(window.rounds, self.timing.jitter).min(left))
    }

    /// The cascade that goes on, or the first plan's, not yet entered; None where no policy named one.
    fn cascade(&self) -> Option<Cascade> {
        let first = || Cascade { steps: self.round.fallback.to_vec(), taken: 0, tls: false };
        let cascade = self.before.cascade.clone().unwrap_or_else(first);
        (!cascade.steps.is_empty()).then_some(cascade)
    }

    /// Takes the cascade's next step. Each step begins a window and a back-off of its own.
    fn fall_back(&self, mut cascade: Cascade, progress: Progress) -> Settlement {
        let rounds = progress.unmet.as_ref().map_or(1, |window| window.rounds);
        let step = cascade.steps.get(cascade.taken).cloned();
        // A hold that ends the cascade is entered again: `queue retry` must not make a bounce that no policy named.
        let step = step.or_else(|| cascade.holds().then_some(FallbackStep::Hold));
        cascade.taken = (cascade.taken + 1).min(cascade.steps.len());
        let at_step = Progress { unmet: None, retries: 0, cascade: Some(cascade), ..progress };
        match step {
            Some(FallbackStep::Route(_)) => self.retry_in(0, at_step),
            Some(FallbackStep::Hold) if self.is_expired() => self.expired(HeldBy::Policy),
            Some(FallbackStep::Hold) => {
                Settlement::Held { expires_at: self.schedule.expires_at(self.timing.arrived_at), progress: at_step }
            }
            Some(FallbackStep::Bounce) | None => self.failed(Ending::FloorUnmet { rounds }),
        }
    }

    /// One more round took place.
    fn after_round(&self) -> Progress {
        let last = LastRound {
            at: self.timing.now,
            outcome: self.round.outcome.clone(),
            reasons: self.round.reasons.to_vec(),
        };
        Progress {
            rounds: self.before.rounds.saturating_add(1),
            failing_since: None,
            last: self.round.outcome.to_string(),
            last_round: Some(last),
            ..self.before.clone()
        }
    }

    /// Every further round passes here, so nothing is tried after its expiry; the last one is put right before it.
    fn retry_in(&self, wait_secs: u64, progress: Progress) -> Settlement {
        if self.is_expired() {
            return self.expired(HeldBy::Nobody);
        }
        let at = self.timing.now.saturating_add(wait_secs);
        Settlement::RetryAt { at: at.min(self.schedule.expires_at(self.timing.arrived_at)), progress }
    }

    fn is_expired(&self) -> bool {
        self.timing.now >= self.schedule.expires_at(self.timing.arrived_at)
    }

    fn expired(&self, held: HeldBy) -> Settlement {
        self.failed(Ending::Expired { after_secs: self.schedule.expire_after_secs, held })
    }

    fn failed(&self, ending: Ending) -> Settlement {
        let uses_up_a_round = !matches!(self.round.outcome, Outcome::FailedDecision(_));
        let failure = Failure {
            ending,
            outcome: self.round.outcome.clone(),
            reasons: self.round.reasons.to_vec(),
            rounds: self.before.rounds.saturating_add(u32::from(uses_up_a_round)),
            route: self.before.route().map(str::to_owned),
            at: self.timing.now,
        };
        Settlement::Failed { failure }
    }
}

/// What an unmet demand leads to, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Consequence {
    /// Deferred and looked up again: what is published in the DNS may have been changed since, and a server with it
    /// (RFC 7672 §2.2, RFC 8461 §5).
    Deferral,
    /// One attempt, then the fallback; the ordinary schedule where no policy named one.
    Fallback,
    /// One attempt, then the fallback; a report where no policy named one (RFC 8689 §4.2.1).
    Report,
}

/// A new source must say here what it leads to.
fn consequence_of((demand, source): &Sourced) -> Consequence {
    match source {
        Source::Rule { .. } | Source::Flag(_) | Source::Route(_) | Source::Report => Consequence::Fallback,
        // The null sender's asks for TLS alone, and its mail is not given up for want of it (RFC 8689 §5).
        Source::RequireTls if *demand == Demand::Tls => Consequence::Fallback,
        Source::RequireTls => Consequence::Report,
        Source::Dane { .. } | Source::MtaSts { .. } => Consequence::Deferral,
    }
}

/// The strongest over all hosts. An objection has no source among the floor's; it counts as its policy's demand.
fn consequence(unmet: &FloorUnmet) -> Consequence {
    let of_host = unmet.hosts.iter().flat_map(|host| {
        let of_objection = host.unmet.is_empty().then_some(Consequence::Fallback);
        host.unmet.iter().map(consequence_of).chain(of_objection)
    });
    of_host.max().unwrap_or(Consequence::Fallback)
}

/// In words, for log and ledger.
impl fmt::Display for Settlement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Settlement::Delivered => f.write_str("delivered"),
            Settlement::RetryAt { at, progress } => match progress.route() {
                Some(route) => write!(f, "by route {route} at {}", rfc3339(*at)),
                None => write!(f, "again at {}", rfc3339(*at)),
            },
            Settlement::Held { expires_at, .. } => write!(f, "held until queue retry or {}", rfc3339(*expires_at)),
            Settlement::Failed { failure } => write!(f, "failed: {}", failure.ending),
        }
    }
}

#[cfg(test)]
mod tests;
