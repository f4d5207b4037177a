//! Tokens: made, listed and revoked by owners, each within his units.

use schemars::JsonSchema;
use sealwire_core::units::Within;
use sealwire_relay::Act;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::access::Grant;
use crate::access::tokens::{TOKENS_MAX, Token};
use crate::http::ask::{Ask, Json, Pairs};
use crate::http::endpoint::{self, Answer, Reply};
use crate::http::problem::Problem;
use crate::http::{BASE, now};

/// A token outlives no machine.
const LIFE_MAX_SECS: u64 = 10 * 366 * 86_400;
/// Grants of one token.
const GRANTS_MAX: usize = 50;

/// A token to be made.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NewToken {
    /// What it is for: one line of at most 64 characters.
    #[schemars(regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]{1,64}$"))]
    pub name: String,
    /// What it stands for; nothing that its maker may not.
    #[schemars(length(min = 1, max = 50))]
    pub grants: Vec<Grant>,
    /// Seconds since the Unix epoch; not good from then on.
    pub expires_at: u64,
}

/// A token that was made.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CreatedToken {
    /// As it is listed.
    pub token: Token,
    /// The token itself. It is kept nowhere and never told again.
    pub secret: String,
}

/// Id of a token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Id {
    /// As in the list.
    id: String,
}

impl Pairs for Id {}
impl endpoint::Value for Token {}
impl endpoint::Value for CreatedToken {}

pub(super) async fn list(ask: Ask) -> Answer<Vec<Token>> {
    let tokens = ask.api.tokens.all().into_iter().filter(|token| token.is_within(&ask.scope));
    Ok(Reply::new(tokens.collect()))
}

pub(super) async fn show(ask: Ask<Id>) -> Answer<Token> {
    Ok(Reply::new(found(&ask)?))
}

pub(super) async fn create(ask: Ask<(), (), Json<NewToken>>) -> Answer<CreatedToken> {
    let Json(NewToken { name, grants, expires_at }) = ask.body;
    one_line(&name, 64).map_err(|why| Problem::at_pointer("/name", why))?;
    granted(&grants, &ask.scope)?;
    let now = now();
    if expires_at <= now || expires_at > now + LIFE_MAX_SECS {
        return Err(Problem::at_pointer("/expires-at", "must be a time to come, within ten years"));
    }
    if ask.api.tokens.all().len() >= TOKENS_MAX {
        return Err(Problem::conflict(format!(
            "there are {TOKENS_MAX} tokens, which is enough; those that ended 90 days ago go at the next start"
        )));
    }
    let act = |token: &Token| Some(ask.api.relay.act(&ask.caller.actor(), told("token-create", token)));
    let (token, secret) = ask.api.tokens.create(name, grants, ask.caller.name(), now, expires_at, act).await?;
    let location = format!("{BASE}/tokens/{}", token.id);
    Ok(Reply::new(CreatedToken { token, secret }).at(&location).told_with_it(true))
}

pub(super) async fn revoke(ask: Ask<Id>) -> Answer<Token> {
    let id = found(&ask)?.id;
    let act = |token: &Token| Some(ask.api.relay.act(&ask.caller.actor(), told("token-revoke", token)));
    let revoked = ask.api.tokens.revoke(&id, now(), act).await?;
    let reply = |(token, is_new): (Token, bool)| {
        let act = told("token-revoke", &token);
        Reply::new(token).told(act).told_with_it(is_new)
    };
    revoked.map(reply).ok_or_else(|| unknown(&id))
}

fn told(action: &str, token: &Token) -> Act {
    Act::of(action, format!("token {}", token.name)).changing(Value::Null, json!(token))
}

/// The token, if all it stands for is within the caller's units.
fn found(ask: &Ask<Id>) -> Result<Token, Problem> {
    let of_id = ask.api.tokens.all().into_iter().find(|token| token.id == ask.path.id);
    of_id.filter(|token| token.is_within(&ask.scope)).ok_or_else(|| unknown(&ask.path.id))
}

fn unknown(id: &str) -> Problem {
    Problem::not_found(format!("there is no token {id:?}"))
}

/// Nobody gives what he does not have.
pub(super) fn granted(grants: &[Grant], scope: &Within) -> Result<(), Problem> {
    if grants.is_empty() || grants.len() > GRANTS_MAX {
        return Err(Problem::at_pointer("/grants", format!("must have 1 to {GRANTS_MAX} grants")));
    }
    match grants.iter().position(|grant| !scope.holds(grant.unit.names())) {
        None => Ok(()),
        Some(index) => {
            let text = format!("is outside the units that you are an owner of: {scope}");
            Err(Problem::at_pointer(format!("/grants/{index}/unit"), text))
        }
    }
}

/// Names stand in logs and lists.
pub(super) fn one_line(text: &str, characters_max: usize) -> Result<(), String> {
    let plain = !text.is_empty() && text.chars().count() <= characters_max && !text.contains(char::is_control);
    if plain { Ok(()) } else { Err(format!("must be one line of 1 to {characters_max} characters")) }
}
