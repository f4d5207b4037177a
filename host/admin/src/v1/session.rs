//! Sessions of administrators, for pages in a browser: logging in and out, and one's own password.
//!
//! Who cannot log in is told the same, in the same time, whatever was wrong.

use axum::http::{StatusCode, header};
use schemars::JsonSchema;
use sealwire_relay::Act;
use serde::{Deserialize, Serialize};

use super::admins::{hash, password_rules};
use crate::access::admins::{Record, name};
use crate::access::sessions::LIFE_SECS;
use crate::access::{Caller, Grant, Who, passwords};
use crate::http::ask::{Ask, Json};
use crate::http::cookies;
use crate::http::endpoint::{Answer, Reply, Value};
use crate::http::problem::Problem;
use crate::http::{Api, now};

/// Who logs in.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// Of an administrator.
    pub name: String,
    /// His.
    pub password: String,
}

/// Characters of a name that the log repeats of who is not let in.
const NAME_TOLD: usize = 64;

/// Who is logged in.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct LoggedIn {
    /// As the log names him.
    pub name: String,
    /// What he may.
    pub grants: Vec<Grant>,
    /// To be sent as X-CSRF-Token with every request that is not a GET.
    pub csrf_token: String,
    /// Seconds since the Unix epoch: over by then, and sooner if it is not used for half an hour.
    pub expires_at: u64,
}

/// One's own password, and a new one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// As it is.
    pub old: String,
    /// 12 characters at least.
    #[schemars(length(min = 12, max = 512))]
    pub new: String,
}

impl Value for LoggedIn {}

pub(super) async fn login(ask: Ask<(), (), Json<Login>>) -> Answer<LoggedIn> {
    let Json(Login { name: said, password }) = ask.body;
    let found = check(&ask.api, &ask.caller, &said, password).await;
    let object = format!("admin {}", said.chars().take(NAME_TOLD).collect::<String>());
    let record = match found {
        Ok(record) => record,
        Err(problem) => {
            let address = ask.caller.from.unwrap_or(std::net::Ipv4Addr::LOCALHOST.into());
            // A stranger who goes on does not write the log full: of those that were not even checked one a minute stands there.
            if problem.status() != StatusCode::TOO_MANY_REQUESTS || ask.api.throttle.tells(address, now()) {
                ask.api.relay.audit(&ask.caller.actor(), Act::of("login", object).refused(problem.reason())).await;
            }
            return Err(problem);
        }
    };
    let (administrator, now) = (&record.administrator, now());
    let begun = ask.api.sessions.begin(&administrator.name, &record.hash, now)?;
    let who = Who::Admin { name: administrator.name.clone(), session: begun.secret.clone() };
    let caller = Caller { who, grants: administrator.grants.clone(), ..ask.caller };
    ask.api.relay.audit(&caller.actor(), Act::of("login", object)).await;
    let logged_in = LoggedIn {
        name: caller.name(),
        grants: administrator.grants.clone(),
        csrf_token: begun.csrf,
        expires_at: now + LIFE_SECS,
    };
    Ok(Reply::new(logged_in).with(header::SET_COOKIE, &cookies::begun(caller.is_tls, &begun.secret)))
}

pub(super) async fn logout(ask: Ask) -> Answer<()> {
    let Who::Admin { session, .. } = &ask.caller.who else { return Err(no_session()) };
    ask.api.sessions.end(session);
    Ok(Reply::new(()).with(header::SET_COOKIE, &cookies::ended(ask.caller.is_tls)))
}

/// Every session ends, this one too: whoever has stolen one is out.
pub(super) async fn change_password(ask: Ask<(), (), Json<NewPassword>>) -> Answer<()> {
    let Who::Admin { name, .. } = ask.caller.who.clone() else { return Err(no_session()) };
    let Json(NewPassword { old, new }) = ask.body;
    let record = check(&ask.api, &ask.caller, &name, old).await?;
    password_rules(&new, &name, "/new")?;
    let hash = hash(&ask.api, new).await?;
    let _one_at_a_time = ask.api.admins.change().await;
    let mut record = ask.api.admins.record(&name).unwrap_or(record);
    (record.hash, record.administrator.changed_at) = (hash, now());
    let act = ask.api.relay.act(&ask.caller.actor(), Act::of("password-change", format!("admin {name}")));
    ask.api.admins.put(record, now(), Some(act)).await?;
    ask.api.sessions.end_all_of(&name);
    Ok(Reply::new(()).told_with_it(true).with(header::SET_COOKIE, &cookies::ended(ask.caller.is_tls)))
}

/// The administrator, if it is his password and he may log in.
async fn check(api: &Api, caller: &Caller, said: &str, password: String) -> Result<Record, Problem> {
    let address = caller.from.unwrap_or(std::net::Ipv4Addr::LOCALHOST.into());
    let wrong = || Problem::unauthorized("name or password is not right");
    // What is no name of anybody waits and is hashed like what is.
    let account = name(said).unwrap_or_else(|_| String::new());
    match api.throttle.attempt(&account, address, now()) {
        0 => {}
        wait => {
            let text = format!("too many logins have failed; try again in {wait} s");
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, text);
            return Err(problem.with(header::RETRY_AFTER, &wait.to_string()));
        }
    }
    let record = api.admins.record(&account).filter(|record| !record.administrator.disabled);
    let kept = record.as_ref().map(|record| record.hash.clone());
    let _one_of_few = api.hashing.acquire().await.map_err(|error| Problem::internal(error.to_string()))?;
    let checked = tokio::task::spawn_blocking(move || passwords::is_it(&password, kept.as_deref()));
    let is_his = checked.await.map_err(|error| Problem::internal(error.to_string()))?;
    let record = record.filter(|_| is_his).ok_or_else(wrong)?;
    api.throttle.succeeded(&account, address, now());
    Ok(record)
}

fn no_session() -> Problem {
    Problem::conflict("this is for administrators who have logged in: a token has no session and no password")
}
