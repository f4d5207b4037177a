//! Tokens: a secret that stands for grants until a day. The store keeps its SHA-256 digest alone.
//!
//! A token reads `swt_ID_SECRET`: the prefix lets scanners find one that was leaked, the id finds its record, and the secret
//! has 256 bits of the system's randomness, so that a plain digest of it is as good as a slow one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, RwLock};

use rand::TryRngCore;
use rand::rngs::OsRng;
use schemars::JsonSchema;
use sealwire_core::audit::NewAudit;
use sealwire_core::units::Within;
use sealwire_store::{Known, Store, StoreError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::role::Grant;

/// In the store.
const KIND: &str = "api-token";
/// What a scanner looks for.
const PREFIX: &str = "swt_";
/// Octets of an id; it is no secret.
const ID_OCTETS: usize = 8;
/// Octets of a secret.
const SECRET_OCTETS: usize = 32;
/// How long one that ended is listed.
const REMEMBERED_SECS: u64 = 90 * 86_400;
/// More tokens than anybody looks after.
pub(crate) const TOKENS_MAX: usize = 10_000;

/// What is known of a token. Its secret is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Token {
    /// Stable; also in the token itself.
    pub id: String,
    /// What it is for, in its maker's words.
    pub name: String,
    /// What it stands for.
    pub grants: Vec<Grant>,
    /// Seconds since the Unix epoch.
    pub created_at: u64,
    /// Who made it.
    pub created_by: String,
    /// Seconds since the Unix epoch; not good from then on.
    pub expires_at: u64,
    /// Seconds since the Unix epoch; none: it was not revoked.
    pub revoked_at: Option<u64>,
}

impl Token {
    /// Whether it stands for anything.
    pub(crate) fn is_good(&self, now: u64) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }

    fn ended_at(&self) -> u64 {
        self.revoked_at.unwrap_or(u64::MAX).min(self.expires_at)
    }

    /// Whether all it stands for is within these units.
    pub(crate) fn is_within(&self, scope: &Within) -> bool {
        self.grants.iter().all(|grant| scope.holds(grant.unit.names()))
    }
}

/// As the store keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    token: Token,
    /// SHA-256 of the secret, hexadecimal.
    digest: String,
}

/// All tokens, as the store has them; the store is written first.
pub(crate) struct Tokens {
    store: Arc<dyn Store>,
    records: RwLock<BTreeMap<String, Record>>,
}

impl Tokens {
    /// Reads them, and forgets those that ended long ago.
    pub(crate) async fn of_store(store: Arc<dyn Store>, now: u64) -> Result<Tokens, StoreError> {
        let (mut records, mut gone) = (BTreeMap::new(), Vec::new());
        for known in store.known(KIND).await? {
            let unreadable = |error: serde_json::Error| StoreError::Unreadable {
                what: format!("the API token {}", known.key),
                detail: error.to_string(),
            };
            let record: Record = serde_json::from_str(&known.value).map_err(unreadable)?;
            if record.token.ended_at().saturating_add(REMEMBERED_SECS) < now {
                gone.push(known.key);
            } else {
                records.insert(known.key, record);
            }
        }
        if !gone.is_empty() {
            store.forget(KIND, gone).await?;
        }
        Ok(Tokens { store, records: RwLock::new(records) })
    }

    /// Makes one; the text is told once and never again. Ready once it is durable, and with it the audit entry that `told` makes.
    pub(crate) async fn create(
        &self,
        name: String,
        grants: Vec<Grant>,
        by: String,
        now: u64,
        expires_at: u64,
        told: impl FnOnce(&Token) -> Option<NewAudit>,
    ) -> Result<(Token, String), StoreError> {
        let (id, secret) = (random(ID_OCTETS)?, random(SECRET_OCTETS)?);
        let token =
            Token { id: id.clone(), name, grants, created_at: now, created_by: by, expires_at, revoked_at: None };
        self.put(Record { token: token.clone(), digest: digest(&secret) }, now, told(&token)).await?;
        Ok((token, format!("{PREFIX}{id}_{secret}")))
    }

    /// It is no good from now on, and whether it was until now; then the audit entry that `told` makes is written with it.
    /// None: there is no such token.
    pub(crate) async fn revoke(
        &self,
        id: &str,
        now: u64,
        told: impl FnOnce(&Token) -> Option<NewAudit>,
    ) -> Result<Option<(Token, bool)>, StoreError> {
        let Some(mut record) = self.record(id) else { return Ok(None) };
        let is_new = record.token.revoked_at.is_none();
        if is_new {
            record.token.revoked_at = Some(now);
            self.put(record.clone(), now, told(&record.token)).await?;
        }
        Ok(Some((record.token, is_new)))
    }

    /// By their ids.
    pub(crate) fn all(&self) -> Vec<Token> {
        let records = self.records.read().map(|records| records.values().map(|r| r.token.clone()).collect());
        records.unwrap_or_default()
    }

    /// The token of this text, whatever its state; None: the text is no token of ours.
    pub(crate) fn of_text(&self, text: &str) -> Option<Token> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let record = self.record(id);
        // Compared even where there is no such id, so that time tells nothing of ids.
        let kept = record.as_ref().map_or_else(String::new, |record| record.digest.clone());
        let is_it: bool = digest(secret).as_bytes().ct_eq(kept.as_bytes()).into();
        record.filter(|_| is_it).map(|record| record.token)
    }

    fn record(&self, id: &str) -> Option<Record> {
        self.records.read().ok()?.get(id).cloned()
    }

    async fn put(&self, record: Record, now: u64, act: Option<NewAudit>) -> Result<(), StoreError> {
        let unreadable = |error: serde_json::Error| StoreError::Unreadable {
            what: "an API token".to_owned(),
            detail: error.to_string(),
        };
        let value = serde_json::to_string(&record).map_err(unreadable)?;
        let key = record.token.id.clone();
        let known = Known { kind: KIND.to_owned(), key: key.clone(), value, at: now };
        self.store.learn_with(vec![known], act).await?;
        if let Ok(mut records) = self.records.write() {
            records.insert(key, record);
        }
        Ok(())
    }
}

/// Octets of the system's randomness, hexadecimal.
pub(crate) fn random(octets: usize) -> Result<String, StoreError> {
    let mut bytes = vec![0; octets];
    let unready = |error: rand::rand_core::OsError| StoreError::Unreadable {
        what: "the system's randomness".to_owned(),
        detail: error.to_string(),
    };
    OsRng.try_fill_bytes(&mut bytes).map_err(unready)?;
    Ok(hexadecimal(&bytes))
}

pub(crate) fn digest(text: &str) -> String {
    hexadecimal(&Sha256::digest(text.as_bytes()))
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(2 * octets.len()), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}
