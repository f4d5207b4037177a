//! How jobs end, who may look at them, and how many there may be.

use serde_json::json;
use tokio::sync::oneshot;

use super::*;
use crate::access::{Grant, Who};

fn caller(role: Role, unit: &str) -> Caller {
    Caller {
        who: Who::Token { id: "1".to_owned(), name: "ci".to_owned() },
        grants: vec![Grant { role, unit: unit.parse().expect("a path") }],
        from: None,
        is_tls: false,
    }
}

fn ann() -> Caller {
    caller(Role::Owner, "root")
}

fn of_ann() -> (String, For) {
    ("ann".to_owned(), For::root(&Role::ALL, &ann()))
}

fn one(jobs: &Jobs, id: &str) -> Job {
    jobs.all(&ann()).into_iter().find(|job| job.id == id).expect("it is kept")
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
        progress.of(2, 3);
        Ok(json!("result"))
    };
    let job = jobs.begin("test", of_ann(), 2, work).expect("begun");
    while one(&jobs, &job.id).done == 0 {
        tokio::task::yield_now().await;
    }
    go.send(()).expect("it waits");
    let ended = until_ended(&jobs, &job.id).await;
    let told = (ended.state, ended.result, ended.done, ended.total);
    assert_eq!(told, (JobState::Done, Some(json!("result")), 2, 3));

    let job = jobs.begin("test", of_ann(), 1, |_| async { Err("why".to_owned()) }).expect("begun");
    let ended = until_ended(&jobs, &job.id).await;
    assert_eq!((ended.state, ended.error.as_deref()), (JobState::Failed, Some("why")));

    let job = jobs.begin("test", of_ann(), 1, |_| std::future::pending()).expect("begun");
    assert_eq!(jobs.end(&job.id, &ann()).map(|job| job.expect("he may").state), Some(JobState::Cancelled));
    assert_eq!(one(&jobs, &job.id).state, JobState::Cancelled);
    assert!(jobs.end(&job.id, &ann()).is_some() && jobs.end(&job.id, &ann()).is_none(), "then it is forgotten");
}

#[tokio::test]
async fn a_job_that_is_asked_to_end_tells_what_came_of_it_until_then() {
    let jobs = Jobs::default();
    let work = |progress: Progress, mut stop: watch::Receiver<bool>| async move {
        progress.of(3, 9);
        stop.wait_for(|stop| *stop).await.map_err(|error| error.to_string())?;
        Ok(json!("a third"))
    };
    let job = jobs.begin_to_be_asked("test", of_ann(), 9, work).expect("begun");
    assert_eq!(
        jobs.end(&job.id, &ann()).map(|job| job.expect("he may").state),
        Some(JobState::Running),
        "it is not over yet"
    );
    let ended = until_ended(&jobs, &job.id).await;
    assert_eq!((ended.state, ended.done, ended.result), (JobState::Cancelled, 3, Some(json!("a third"))));
}

#[tokio::test]
async fn a_job_is_there_for_those_whose_role_and_units_it_is_of() {
    let jobs = Jobs::default();
    let units = Within::new(vec![vec!["root".to_owned(), "sales".to_owned()]]);
    let of = For { roles: &[Role::Queue], units, begun_by: ann().key() };
    let job = jobs.begin("test", ("ann".to_owned(), of), 1, |_| std::future::pending()).expect("begun");
    let rows = [
        (Role::Queue, "root/sales", true),
        (Role::Queue, "root", true),
        (Role::Owner, "root/sales", true),
        (Role::Settings, "root/sales", false),
        (Role::Queue, "root/sales/emea", false),
        (Role::Queue, "root/it", false),
    ];
    for (role, unit, expected) in rows {
        let found = jobs.all(&caller(role, unit)).len();
        assert_eq!(found, usize::from(expected), "{} in {unit}", role.as_str());
        if !expected {
            assert!(jobs.end(&job.id, &caller(role, unit)).is_none(), "{} in {unit}", role.as_str());
        }
    }
    assert_eq!(one(&jobs, &job.id).state, JobState::Running);
}

#[tokio::test]
async fn a_job_is_ended_by_who_began_it_or_does_what_it_does() {
    let jobs = Jobs::default();
    let as_token = |id: &str, role| Caller {
        who: Who::Token { id: id.to_owned(), name: "ci".to_owned() },
        ..caller(role, "root")
    };
    // Who began it, who ends it and as what, whether he may.
    let rows = [
        ("1", "2", Role::Auditor, false),
        ("1", "1", Role::Auditor, true),
        ("1", "2", Role::Settings, true),
        ("1", "2", Role::Owner, true),
    ];
    for (began, ends, role, expected) in rows {
        let of = For::root(&[Role::Settings, Role::Auditor], &as_token(began, Role::Auditor));
        let job = jobs.begin("test", ("ci".to_owned(), of), 1, |_| std::future::pending()).expect("begun");
        // Once while it goes on, and once when it has ended.
        for state in [JobState::Running, JobState::Cancelled] {
            let ended = jobs.end(&job.id, &as_token(ends, role)).expect("he sees it");
            let what = format!("{ends} as {} ends what {began} began, {state:?}", role.as_str());
            assert_eq!(ended.map_err(|problem| problem.status().as_u16()).err(), (!expected).then_some(403), "{what}");
            if !expected {
                assert_eq!(one(&jobs, &job.id).state, state, "{what}");
                jobs.end(&job.id, &ann()).expect("she sees it").expect("she may");
            }
        }
        assert!(jobs.end(&job.id, &ann()).is_none(), "it is forgotten");
    }
}

#[tokio::test]
async fn there_is_a_bound_on_jobs_at_work() {
    let jobs = Jobs::default();
    let begin = || jobs.begin("test", of_ann(), 1, |_| std::future::pending());
    let begun: Vec<_> = (0..AT_WORK_MAX).map(|_| begin().expect("begun")).collect();
    assert_eq!(begin().expect_err("too many").status().as_u16(), 429);
    jobs.end(&begun[0].id, &ann()).expect("there is one").expect("she may");
    assert!(begin().is_ok(), "one has ended");
}
