//! Work that takes longer than a request: begun by one, looked at and ended by others. Kept in memory for an hour after its end.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};

use schemars::JsonSchema;
use sealwire_store::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::AbortHandle;

use super::now;
use super::problem::Problem;
use crate::access::tokens::random;

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
    /// What it does: `tls-test`.
    pub kind: String,
    /// Who began it.
    pub by: String,
    /// How it stands.
    pub state: JobState,
    /// Steps that were done.
    pub done: u64,
    /// Steps that there are.
    pub total: u64,
    /// Seconds since the Unix epoch.
    pub began_at: u64,
    /// Seconds since the Unix epoch; none: it has not ended.
    pub ended_at: Option<u64>,
    /// What came of it, once it is done.
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

/// All jobs.
#[derive(Clone, Default)]
pub(crate) struct Jobs(Arc<Mutex<BTreeMap<String, Kept>>>);

struct Kept {
    job: Job,
    work: Option<AbortHandle>,
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
}

impl Jobs {
    /// Begins work of so many steps.
    pub(crate) fn begin<F>(
        &self,
        kind: &str,
        by: String,
        total: u64,
        work: impl FnOnce(Progress) -> F,
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
        let work = work(Progress { jobs: self.clone(), id: id.clone() });
        let mut jobs = self.0.lock().map_err(|_| Problem::internal("jobs cannot be looked up"))?;
        jobs.retain(|_, kept| kept.job.ended_at.is_none_or(|at| at + KEPT_SECS > now()));
        let at_work = jobs.values().filter(|kept| kept.job.state == JobState::Running).count();
        if at_work >= AT_WORK_MAX || jobs.len() >= JOBS_MAX {
            let text = format!("{at_work} jobs are at work, and {} are kept; wait until some have ended", jobs.len());
            let problem = Problem::new(axum::http::StatusCode::TOO_MANY_REQUESTS, text);
            return Err(problem.with(axum::http::header::RETRY_AFTER, "60"));
        }
        jobs.insert(id.clone(), Kept { job: job.clone(), work: None });
        let ended = self.clone();
        let doing = tokio::spawn(async move {
            let result = work.await;
            ended.change(&id, |job| match result {
                Ok(result) => (job.state, job.result, job.done) = (JobState::Done, Some(result), job.total),
                Err(why) => (job.state, job.error) = (JobState::Failed, Some(why)),
            });
        });
        if let Some(kept) = jobs.get_mut(&job.id) {
            kept.work = Some(doing.abort_handle());
        }
        Ok(job)
    }

    /// Those that go on or ended lately, in the order of their ids.
    pub(crate) fn all(&self) -> Vec<Job> {
        let is_kept = |job: &Job| job.ended_at.is_none_or(|at| at + KEPT_SECS > now());
        let jobs = self.0.lock();
        jobs.map(|jobs| jobs.values().map(|kept| kept.job.clone()).filter(is_kept).collect()).unwrap_or_default()
    }

    /// Ends one that goes on; one that has ended is forgotten. None: there is no such job.
    pub(crate) fn end(&self, id: &str) -> Option<Job> {
        let mut jobs = self.0.lock().ok()?;
        let kept = jobs.get_mut(id)?;
        if kept.job.state != JobState::Running {
            return jobs.remove(id).map(|kept| kept.job);
        }
        if let Some(work) = &kept.work {
            work.abort();
        }
        kept.job.state = JobState::Cancelled;
        kept.job.ended_at = Some(now());
        Some(kept.job.clone())
    }

    /// Of a job that goes on; what was cancelled stays so.
    fn change(&self, id: &str, change: impl FnOnce(&mut Job)) {
        let Ok(mut jobs) = self.0.lock() else { return };
        let Some(kept) = jobs.get_mut(id).filter(|kept| kept.job.state == JobState::Running) else { return };
        change(&mut kept.job);
        if kept.job.state != JobState::Running {
            kept.job.ended_at = Some(now());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::sync::oneshot;

    use super::*;

    fn one(jobs: &Jobs, id: &str) -> Job {
        jobs.all().into_iter().find(|job| job.id == id).expect("it is kept")
    }

    async fn until_ended(jobs: &Jobs, id: &str) -> Job {
        while one(jobs, id).state == JobState::Running {
            tokio::task::yield_now().await;
        }
        one(jobs, id)
    }

    #[tokio::test]
    async fn a_job_is_done_fails_or_is_ended() {
        let jobs = Jobs::default();
        let (go, gone) = oneshot::channel::<()>();
        let work = |progress: Progress| async move {
            progress.done(1);
            gone.await.map_err(|error| error.to_string())?;
            Ok(json!("result"))
        };
        let job = jobs.begin("test", "ann".to_owned(), 2, work).expect("begun");
        while one(&jobs, &job.id).done == 0 {
            tokio::task::yield_now().await;
        }
        go.send(()).expect("it waits");
        let ended = until_ended(&jobs, &job.id).await;
        assert_eq!((ended.state, ended.result, ended.done), (JobState::Done, Some(json!("result")), 2));

        let job = jobs.begin("test", "ann".to_owned(), 1, |_| async { Err("why".to_owned()) }).expect("begun");
        let ended = until_ended(&jobs, &job.id).await;
        assert_eq!((ended.state, ended.error.as_deref()), (JobState::Failed, Some("why")));

        let job = jobs.begin("test", "ann".to_owned(), 1, |_| std::future::pending()).expect("begun");
        assert_eq!(jobs.end(&job.id).map(|job| job.state), Some(JobState::Cancelled));
        assert_eq!(one(&jobs, &job.id).state, JobState::Cancelled);
        assert!(jobs.end(&job.id).is_some() && jobs.end(&job.id).is_none(), "then it is forgotten");
    }

    #[tokio::test]
    async fn there_is_a_bound_on_jobs_at_work() {
        let jobs = Jobs::default();
        let begin = || jobs.begin("test", "ann".to_owned(), 1, |_| std::future::pending());
        let begun: Vec<_> = (0..AT_WORK_MAX).map(|_| begin().expect("begun")).collect();
        assert_eq!(begin().expect_err("too many").status().as_u16(), 429);
        jobs.end(&begun[0].id);
        assert!(begin().is_ok(), "one has ended");
    }
}
