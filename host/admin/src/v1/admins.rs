//! Administrators: made, listed and changed by owners, each within his units; the first one by a code that is told once.

use axum::http::{StatusCode, header};
use schemars::JsonSchema;
use sealwire_relay::Act;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::tokens::granted;
use crate::access::admins::{ADMINS_MAX, Administrator, Record, name};
use crate::access::{Caller, Grant, Role, passwords};
use crate::http::ask::{Ask, Json, Pairs};
use crate::http::endpoint::{self, Answer, Reply};
use crate::http::problem::Problem;
use crate::http::{Api, BASE, now};

/// What attempts at the code are counted by; no administrator can be called so.
const FIRST: &str = "the first administrator";

/// An administrator to be made.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAdministrator {
    /// What he logs in with.
    #[schemars(regex(pattern = r"^[A-Za-z0-9._@-]{1,64}$"))]
    pub name: String,
    /// 12 characters at least, five of them different, without the name.
    #[schemars(length(min = 12, max = 512))]
    pub password: String,
    /// What he may; nothing that his maker may not.
    #[schemars(length(min = 1, max = 50))]
    pub grants: Vec<Grant>,
}

/// The first administrator, who becomes the owner of everything.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstAdministrator {
    /// As the relay told it at its start.
    pub code: String,
    /// What he logs in with.
    #[schemars(regex(pattern = r"^[A-Za-z0-9._@-]{1,64}$"))]
    pub name: String,
    /// 12 characters at least, five of them different, without the name.
    #[schemars(length(min = 12, max = 512))]
    pub password: String,
}

/// What of an administrator changes; what is absent stays. His sessions end.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdministratorChange {
    /// He cannot log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// A new password, where he has forgotten his.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 12, max = 512))]
    pub password: Option<String>,
    /// What he may from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    pub grants: Option<Vec<Grant>>,
}

/// Name of an administrator.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Name {
    /// As in the list.
    name: String,
}

impl Pairs for Name {}
impl endpoint::Value for Administrator {}

pub(super) async fn list(ask: Ask) -> Answer<Vec<Administrator>> {
    let admins = ask.api.admins.all().into_iter().filter(|admin| admin.is_within(&ask.scope));
    Ok(Reply::new(admins.collect()))
}

pub(super) async fn show(ask: Ask<Name>) -> Answer<Administrator> {
    Ok(Reply::new(found(&ask.api, &ask.path.name, &ask.scope)?.administrator))
}

pub(super) async fn create(ask: Ask<(), (), Json<NewAdministrator>>) -> Answer<Administrator> {
    let Json(NewAdministrator { name, password, grants }) = ask.body;
    granted(&grants, &ask.scope)?;
    made(
        (&ask.api, &ask.caller),
        "admin-create",
        Making { name: &name, password, grants, by: ask.caller.name(), is_first: false },
    )
    .await
}

/// Good once, for an hour, while there is no administrator.
pub(super) async fn create_first(ask: Ask<(), (), Json<FirstAdministrator>>) -> Answer<Administrator> {
    let Json(FirstAdministrator { code, name, password }) = ask.body;
    let address = ask.caller.from.unwrap_or(std::net::Ipv4Addr::LOCALHOST.into());
    match ask.api.throttle.attempt(FIRST, address, now()) {
        0 => {}
        wait => {
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, format!("try again in {wait} s"));
            return Err(problem.with(header::RETRY_AFTER, &wait.to_string()));
        }
    }
    if !ask.api.first.is_code(&code, now()) {
        let text = "this code is not good: wrong, used, or an hour old; a start of the relay tells a new one while there is no \
                    administrator";
        return Err(Problem::unauthorized(text));
    }
    let grants = vec![Grant { role: Role::Owner, unit: sealwire_core::units::UnitPath::root() }];
    let by = "the first administrator's code".to_owned();
    let made = made(
        (&ask.api, &ask.caller),
        "admin-create-first",
        Making { name: &name, password, grants, by, is_first: true },
    )
    .await?;
    ask.api.first.used();
    ask.api.throttle.succeeded(FIRST, address, now());
    Ok(made)
}

pub(super) async fn change(ask: Ask<Name, (), Json<AdministratorChange>>) -> Answer<Administrator> {
    let Json(AdministratorChange { disabled, password, grants }) = ask.body;
    let name = found(&ask.api, &ask.path.name, &ask.scope)?.administrator.name;
    if let Some(grants) = &grants {
        granted(grants, &ask.scope)?;
    }
    let hash = match password {
        Some(password) => {
            password_rules(&password, &name, "/password")?;
            Some(hash(&ask.api, password).await?)
        }
        None => None,
    };
    let _one_at_a_time = ask.api.admins.change().await;
    let mut record = found(&ask.api, &name, &ask.scope)?;
    let before = json!(record.administrator);
    let has_new_password = hash.is_some();
    record.hash = hash.unwrap_or(record.hash);
    let administrator = &mut record.administrator;
    administrator.disabled = disabled.unwrap_or(administrator.disabled);
    administrator.grants = grants.unwrap_or_else(|| administrator.grants.clone());
    administrator.changed_at = now();
    let administrator = administrator.clone();
    let note = if has_new_password { "a new password" } else { "" };
    let act = Act::of("admin-change", format!("admin {name}")).changing(before, json!(administrator)).noting(note);
    let act = ask.api.relay.act(&ask.caller.actor(), act);
    ask.api.admins.put(record, now(), Some(act)).await?;
    ask.api.sessions.end_all_of(&name);
    Ok(Reply::new(administrator).told_with_it(true))
}

/// Whoever is made.
struct Making<'a> {
    name: &'a str,
    password: String,
    grants: Vec<Grant>,
    by: String,
    is_first: bool,
}

async fn made((api, caller): (&Api, &Caller), action: &str, making: Making<'_>) -> Answer<Administrator> {
    let Making { name: said, password, grants, by, is_first } = making;
    let name = name(said).map_err(|why| Problem::at_pointer("/name", why))?;
    password_rules(&password, &name, "/password")?;
    let hash = hash(api, password).await?;
    let _one_at_a_time = api.admins.change().await;
    let all = api.admins.all();
    if all.iter().any(|admin| admin.name == name) {
        return Err(Problem::conflict(format!("there is an administrator {name:?}; choose another name")));
    }
    if all.len() >= ADMINS_MAX || (is_first && !all.is_empty()) {
        return Err(Problem::conflict(format!("there are {} administrators already", all.len())));
    }
    let now = now();
    let administrator =
        Administrator { name, grants, disabled: false, created_at: now, created_by: by, changed_at: now };
    let act = Act::of(action, format!("admin {}", administrator.name)).changing(Value::Null, json!(administrator));
    let act = api.relay.act(&caller.actor(), act);
    api.admins.put(Record { administrator: administrator.clone(), hash }, now, Some(act)).await?;
    let location = format!("{BASE}/admins/{}", administrator.name);
    Ok(Reply::new(administrator).at(&location).told_with_it(true))
}

/// Him, if all he may is within the caller's units.
fn found(api: &Api, name: &str, scope: &sealwire_core::units::Within) -> Result<Record, Problem> {
    let record = api.admins.record(&name.to_ascii_lowercase());
    let record = record.filter(|record| record.administrator.is_within(scope));
    record.ok_or_else(|| Problem::not_found(format!("there is no administrator {name:?}")))
}

pub(super) fn password_rules(password: &str, name: &str, pointer: &str) -> Result<(), Problem> {
    passwords::rules(password, name).map_err(|why| Problem::at_pointer(pointer, why))
}

/// Hashes take memory and time: few at a time, on threads of their own.
pub(super) async fn hash(api: &Api, password: String) -> Result<String, Problem> {
    let _one_of_few = api.hashing.acquire().await.map_err(|error| Problem::internal(error.to_string()))?;
    let hashed = tokio::task::spawn_blocking(move || passwords::hashed(&password)).await;
    hashed.map_err(|error| Problem::internal(error.to_string()))?.map_err(Problem::internal)
}
