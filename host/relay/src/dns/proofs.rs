//! Whether name servers on this machine prove what they say (DNSSEC), tried with the root's own records.
//!
//! Once they did, proofs are insisted on until the configuration is read again: a resolver that no longer validates answers
//! without its word (AD) as if nobody had signed anything, and DANE would be gone without a sound. So the root is asked again time
//! and again, and behind each answer without that word before it counts as unsigned.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RecordType;
use tokio::time::Instant;

use super::validated::{self, NoAnswer, Said};

/// Between two tries.
const TRY_AGAIN: Duration = Duration::from_secs(60);
/// The same while mail waits for the outcome. Meanwhile look-ups fail at once: where nobody answers each would wait in vain.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// What is known of some servers.
pub(super) struct Proofs {
    /// Empty: nothing can be proven.
    servers: Vec<SocketAddr>,
    known: Mutex<Known>,
    /// One try at a time.
    trying: tokio::sync::Mutex<()>,
}

/// Whether answers are proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Untried,
    Come,
    /// They never did; why not.
    DoNot(String),
    /// They did, and the servers vouch for nothing any more; how that was seen.
    Lost(String),
    /// Nobody answered, so nothing is known; why.
    Silence(String),
}

struct Known {
    state: State,
    /// They have come once.
    came: bool,
    /// When the last try began and ended.
    tried: Option<(Instant, Instant)>,
    /// They were lost, and nobody has been told.
    untold: Option<String>,
}

impl Proofs {
    /// Of these servers, which nobody has asked yet.
    pub(super) fn of(servers: Vec<SocketAddr>) -> Proofs {
        let known = Known { state: State::Untried, came: false, tried: None, untold: None };
        Proofs { servers, known: Mutex::new(known), trying: tokio::sync::Mutex::new(()) }
    }

    /// Who is asked.
    pub(super) fn servers(&self) -> &[SocketAddr] {
        &self.servers
    }

    /// As found last.
    pub(super) fn known(&self) -> State {
        self.lock().state.clone()
    }

    /// As found last, tried where that is due.
    pub(super) async fn tried(&self) -> State {
        self.tried_if(|known| match (&known.state, known.tried) {
            (State::Lost(_) | State::Silence(_), Some((_, ended))) => ended.elapsed() >= ASK_AGAIN,
            (_, Some((_, ended))) => ended.elapsed() >= TRY_AGAIN,
            (_, None) => true,
        })
        .await
    }

    /// By a try that began after this moment.
    pub(super) async fn tried_since(&self, moment: Instant) -> State {
        self.tried_if(|known| known.tried.is_none_or(|(began, _)| began < moment)).await
    }

    /// Tries where that is due. What an operator must be told, once for each loss and while it lasts.
    pub(super) async fn trouble(&self) -> Option<String> {
        let state = self.tried().await;
        let untold = self.lock().untold.take();
        match state {
            State::Lost(why) => Some(why),
            _ => untold,
        }
    }

    async fn tried_if(&self, is_due: impl Fn(&Known) -> bool) -> State {
        if self.servers.is_empty() || !is_due(&self.lock()) {
            return self.known();
        }
        let _one_at_a_time = self.trying.lock().await;
        if !is_due(&self.lock()) {
            return self.known();
        }
        let began = Instant::now();
        let said = validated::ask(&self.servers, ".", RecordType::NS).await;
        let mut known = self.lock();
        let state = found(said, known.came);
        known.tried = Some((began, Instant::now()));
        if state != known.state {
            match &state {
                State::DoNot(why) => {
                    tracing::warn!(%why, "the DNS proves nothing (DNSSEC), so TLSA records count for nothing");
                }
                State::Lost(why) => known.untold = Some(why.clone()),
                State::Come => known.came = true,
                State::Untried | State::Silence(_) => {}
            }
        }
        known.state = state.clone();
        state
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the answer to a question for the root means where proofs came before, or did not.
fn found(said: Result<Said, NoAnswer>, came: bool) -> State {
    let none = |why: String| if came { State::Lost(why) } else { State::DoNot(why) };
    match said {
        Ok(Said { proven: true, .. }) => State::Come,
        Ok(_) => none("the name servers do not validate: they vouch for no answer (AD)".to_owned()),
        // Whoever knows of no root is no resolver; it answers for its own zones.
        Err(NoAnswer::Code(code @ (ResponseCode::Refused | ResponseCode::NotImp))) => {
            none(format!("the name servers do not validate: asked for the root they say {code}"))
        }
        // One that cannot reach the root, or cannot prove it, must not have mail go as if nobody had signed anything.
        Err(NoAnswer::Code(code)) => State::Silence(format!("asked for the root the name servers say {code}")),
        Err(NoAnswer::Silence(why)) => State::Silence(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing but a proven answer lets answers count, and what was proven once is never merely unproven.
    #[test]
    fn what_an_answer_for_the_root_means() {
        let said = |proven| Ok(Said { code: ResponseCode::NoError, records: Vec::new(), proven });
        let code = |code| Err(NoAnswer::Code(code));
        let silence = || Err(NoAnswer::Silence("timed out".to_owned()));
        // (the answer, where no proof has come yet, where proofs came)
        type Answer<'a> = &'a dyn Fn() -> Result<Said, NoAnswer>;
        let rows: [(Answer<'_>, &str, &str); 6] = [
            (&|| said(true), "Come", "Come"),
            (&|| said(false), "DoNot", "Lost"),
            (&|| code(ResponseCode::Refused), "DoNot", "Lost"),
            (&|| code(ResponseCode::NotImp), "DoNot", "Lost"),
            (&|| code(ResponseCode::ServFail), "Silence", "Silence"),
            (&silence, "Silence", "Silence"),
        ];
        for (number, (answer, before, after)) in rows.into_iter().enumerate() {
            for (came, expected) in [(false, before), (true, after)] {
                let state = format!("{:?}", found(answer(), came));
                assert!(state.starts_with(expected), "row {number}, came before: {came}: {state}");
            }
        }
    }
}
