//! Administrators: people with a password. The store keeps its argon2id hash alone.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use schemars::JsonSchema;
use sealwire_core::audit::NewAudit;
use sealwire_core::units::Within;
use sealwire_store::{Known, Store, StoreError};
use serde::{Deserialize, Serialize};

use super::role::Grant;

/// In the store.
const KIND: &str = "administrator";
/// More administrators than any relay has.
pub(crate) const ADMINS_MAX: usize = 1000;

/// What is known of an administrator. His password is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Administrator {
    /// What he logs in with; lower case.
    pub name: String,
    /// What he may.
    pub grants: Vec<Grant>,
    /// He cannot log in, and his sessions have ended.
    pub disabled: bool,
    /// Seconds since the Unix epoch.
    pub created_at: u64,
    /// Who made him one.
    pub created_by: String,
    /// Seconds since the Unix epoch: sessions that began before are over.
    pub changed_at: u64,
}

impl Administrator {
    /// Whether all he may is within these units.
    pub(crate) fn is_within(&self, scope: &Within) -> bool {
        self.grants.iter().all(|grant| scope.holds(grant.unit.names()))
    }
}

/// As the store keeps him.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    #[serde(flatten)]
    pub(crate) administrator: Administrator,
    /// Of his password, in the algorithm's own form.
    pub(crate) hash: String,
}

/// All administrators, as the store has them; the store is written first.
pub(crate) struct Admins {
    store: Arc<dyn Store>,
    records: RwLock<BTreeMap<String, Record>>,
    /// One change at a time: two must not make the same name, or the first administrator twice.
    changing: tokio::sync::Mutex<()>,
}

impl Admins {
    /// Reads them.
    pub(crate) async fn of_store(store: Arc<dyn Store>) -> Result<Admins, StoreError> {
        let mut records = BTreeMap::new();
        for known in store.known(KIND).await? {
            let unreadable = |error: serde_json::Error| StoreError::Unreadable {
                what: format!("the administrator {}", known.key),
                detail: error.to_string(),
            };
            records.insert(known.key.clone(), serde_json::from_str(&known.value).map_err(unreadable)?);
        }
        Ok(Admins { store, records: RwLock::new(records), changing: Default::default() })
    }

    /// By name.
    pub(crate) fn all(&self) -> Vec<Administrator> {
        let records = self.records.read().map(|records| records.values().map(|r| r.administrator.clone()).collect());
        records.unwrap_or_default()
    }

    /// Him, if there is such a one.
    pub(crate) fn record(&self, name: &str) -> Option<Record> {
        self.records.read().ok()?.get(name).cloned()
    }

    /// Changes go one behind another while this is held.
    pub(crate) async fn change(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// Writes him down, in the place of one of the same name. Ready once it is durable, and the audit entry with it.
    pub(crate) async fn put(&self, record: Record, now: u64, act: Option<NewAudit>) -> Result<(), StoreError> {
        let unreadable = |error: serde_json::Error| StoreError::Unreadable {
            what: "an administrator".to_owned(),
            detail: error.to_string(),
        };
        let value = serde_json::to_string(&record).map_err(unreadable)?;
        let key = record.administrator.name.clone();
        let known = Known { kind: KIND.to_owned(), key: key.clone(), value, at: now };
        self.store.learn_with(vec![known], act).await?;
        if let Ok(mut records) = self.records.write() {
            records.insert(key, record);
        }
        Ok(())
    }
}

/// A name as it is kept: letters, digits, `.`, `_`, `-` and `@`, lower case.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"._-@".contains(&octet);
    if text.is_empty() || text.len() > 64 || !text.bytes().all(plain) {
        return Err("must be 1 to 64 letters, digits or . _ - @".to_owned());
    }
    Ok(text.to_ascii_lowercase())
}
