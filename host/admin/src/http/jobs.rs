//! Work that takes longer than a request: begun by one, looked at and ended by others. Kept in memory for an hour after its end.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};

use schemars::JsonSchema;
use sealwire_core::units::Within;
use sealwire_store::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::now;
use super::problem::Problem;
use crate::access::tokens::random;
use crate::access::{Caller, Role};

/// How long a job that has ended can be looked at.
const KEPT_SECS: u64 = 3600;
/// Jobs at work at a time: each holds connections to other hosts.
const AT_WORK_MAX: usize = 16;
/// Jobs of all states.
const JOBS_MAX: usize = 1000;
/// Octets of an id.
const ID_OCTETS: usize = 8;

/// A piece of work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Job {
    /// Of this job.
    pub id: String,
    /// What it does: `tls-test`, `settings-preview`.
    pub kind: String,
    /// Who began it.
    pub by: String,
    /// How it stands.
    pub state: JobState,
    /// Steps that were done.
    pub done: u64,
    /// Steps that there are, as far as it is known.
    pub total: u64,
    /// Seconds since the Unix epoch.
    pub began_at: u64,
    /// Seconds since the Unix epoch; none: it has not ended.
    pub ended_at: Option<u64>,
    /// What came of it, once it is done; of some that were ended, what came of it until then.
    pub result: Option<Value>,
    /// Why it failed.
    pub error: Option<String>,
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// It goes on.
    Running,
    /// It has a result.
    Done,
    /// It has an error.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

/// Who may look at a job: whoever has one of the roles in all of the units that it is about. Of those whoever began it may end it,
/// and whoever has such a role but the auditor's, which changes nothing of what others do.
#[derive(Clone, Debug)]
pub(crate) struct For {
    pub(crate) roles: &'static [Role],
    pub(crate) units: Within,
    /// [`Caller::key`].
    pub(crate) begun_by: String,
}

impl For {
    /// A job about the relay as a whole.
    pub(crate) fn root(roles: &'static [Role], begun_by: &Caller) -> For {
        let units = Within::new(vec![sealwire_core::units::UnitPath::root().names().to_vec()]);
        For { roles, units, begun_by: begun_by.key() }
    }

    fn is_for(&self, caller: &Caller) -> bool {
        self.has_one_of(self.roles, caller)
    }

    fn may_be_ended_by(&self, caller: &Caller) -> bool {
        let acting: Vec<Role> = self.roles.iter().copied().filter(|role| *role != Role::Auditor).collect();
        self.begun_by == caller.key() || self.has_one_of(&acting, caller)
    }

    fn has_one_of(&self, roles: &[Role], caller: &Caller) -> bool {
        let scope = caller.scope(roles);
        self.units.units().iter().all(|unit| scope.holds(unit))
    }
}

/// All jobs.
#[derive(Clone, Default)]
pub(crate) struct Jobs(Arc<Mutex<BTreeMap<String, Kept>>>);

struct Kept {
    job: Job,
    of: For,
    how_to_end: End,
    /// Somebody has asked it to end.
    is_ending: bool,
}

/// How work is ended before it is done.
enum End {
    /// Wherever it is; nothing comes of it.
    Abort(AbortHandle),
    /// It is asked, and tells what came of it until then.
    Ask(watch::Sender<bool>),
}

/// Who wants it told how far a job is.
pub(crate) struct Progress {
    jobs: Jobs,
    id: String,
}

impl Progress {
    /// So many steps were done.
    pub(crate) fn done(&self, done: u64) {
        self.jobs.change(&self.id, |job| job.done = done);
    }

    /// So many steps of so many were done.
    pub(crate) fn of(&self, done: u64, total: u64) {
        self.jobs.change(&self.id, |job| (job.done, job.total) = (done, total));
    }
}

impl Jobs {
    /// Begins work of so many steps, which may be broken off anywhere.
    pub(crate) fn begin<F>(
        &self,
        kind: &str,
        (by, of): (String, For),
        total: u64,
        work: impl FnOnce(Progress) -> F,
    ) -> Result<Job, Problem>
    where
        F: Future<Output = Result<Value, String>> + Send + 'static,
    {
        self.start(kind, (by, of), total, work, End::Abort)
    }

    /// Begins work that ends by itself soon after it was asked to; what it says then is kept.
    pub(crate) fn begin_to_be_asked<F>(
        &self,
        kind: &str,
        (by, of): (String, For),
        total: u64,
        work: impl FnOnce(Progress, watch::Receiver<bool>) -> F,
    ) -> Result<Job, Problem>
    where
        F: Future<Output = Result<Value, String>> + Send + 'static,
    {
        let (stop, asked) = watch::channel(false);
        self.start(kind, (by, of), total, |progress| work(progress, asked), |_| End::Ask(stop))
    }

    fn start<F>(
        &self,
        kind: &str,
        (by, of): (String, For),
        total: u64,
        work: impl FnOnce(Progress) -> F,
        end: impl FnOnce(AbortHandle) -> End,
    ) -> Result<Job, Problem>
    where
        F: Future<Output = Result<Value, String>> + Send + 'static,
    {
        let id = random(ID_OCTETS).map_err(|error: StoreError| Problem::internal(error.to_string()))?;
        let job = Job {
            id: id.clone(),
            kind: kind.to_owned(),
            by,
            state: JobState::Running,
            done: 0,
            total,
            began_at: now(),
            ended_at: None,
            result: None,
            error: None,
        };
        let mut jobs = self.0.lock().map_err(|_| Problem::internal("jobs cannot be looked up"))?;
        jobs.retain(|_, kept| kept.job.ended_at.is_none_or(|at| at + KEPT_SECS > now()));
        let at_work = jobs.values().filter(|kept| kept.job.state == JobState::Running).count();
        if at_work >= AT_WORK_MAX || jobs.len() >= JOBS_MAX {
            let text = format!("{at_work} jobs are at work, and {} are kept; wait until some have ended", jobs.len());
            let problem = Problem::new(axum::http::StatusCode::TOO_MANY_REQUESTS, text);
            return Err(problem.with(axum::http::header::RETRY_AFTER, "60"));
        }
        let work = work(Progress { jobs: self.clone(), id: id.clone() });
        let ended = self.clone();
        // It waits for the lock with whatever it has to tell, so that it finds itself in the list.
        let doing = tokio::spawn(async move {
            let result = work.await;
            ended.ended(&id, result);
        });
        let kept = Kept { job: job.clone(), of, how_to_end: end(doing.abort_handle()), is_ending: false };
        jobs.insert(job.id.clone(), kept);
        Ok(job)
    }

    /// Those that the caller may look at and that go on or ended lately, in the order of their ids.
    pub(crate) fn all(&self, caller: &Caller) -> Vec<Job> {
        let is_shown =
            |kept: &&Kept| kept.of.is_for(caller) && kept.job.ended_at.is_none_or(|at| at + KEPT_SECS > now());
        let jobs = self.0.lock();
        jobs.map(|jobs| jobs.values().filter(is_shown).map(|kept| kept.job.clone()).collect()).unwrap_or_default()
    }

    /// Ends one that goes on; one that has ended is forgotten. None: there is no such job, or none for the caller.
    pub(crate) fn end(&self, id: &str, caller: &Caller) -> Option<Result<Job, Problem>> {
        let mut jobs = self.0.lock().ok()?;
        let kept = jobs.get_mut(id).filter(|kept| kept.of.is_for(caller))?;
        if !kept.of.may_be_ended_by(caller) {
            let text = "a job is ended by whoever began it, or by who has a role that does what it does; an auditor looks at it";
            return Some(Err(Problem::forbidden(text)));
        }
        if kept.job.state != JobState::Running {
            return jobs.remove(id).map(|kept| Ok(kept.job));
        }
        kept.is_ending = true;
        match &kept.how_to_end {
            End::Abort(work) => {
                work.abort();
                kept.job.state = JobState::Cancelled;
                kept.job.ended_at = Some(now());
            }
            End::Ask(stop) => drop(stop.send_replace(true)),
        }
        Some(Ok(kept.job.clone()))
    }

    /// Of a job that goes on; what was cancelled stays so.
    fn change(&self, id: &str, change: impl FnOnce(&mut Job)) {
        let Ok(mut jobs) = self.0.lock() else { return };
        let running = jobs.get_mut(id).filter(|kept| kept.job.state == JobState::Running);
        if let Some(kept) = running {
            change(&mut kept.job);
        }
    }

    fn ended(&self, id: &str, result: Result<Value, String>) {
        let Ok(mut jobs) = self.0.lock() else { return };
        let Some(kept) = jobs.get_mut(id).filter(|kept| kept.job.state == JobState::Running) else { return };
        let done = if kept.is_ending { JobState::Cancelled } else { JobState::Done };
        match result {
            Ok(result) => (kept.job.state, kept.job.result) = (done, Some(result)),
            Err(why) => (kept.job.state, kept.job.error) = (JobState::Failed, Some(why)),
        }
        kept.job.ended_at = Some(now());
    }
}

#[cfg(test)]
mod tests;
