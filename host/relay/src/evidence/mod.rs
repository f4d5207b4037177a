//! Evidence for a partner: the ledger read through, the document made, and signed with the relay's own key.
//!
//! The ledger is read a bounded number of records at a time, and of each nothing is kept but counts. What was made is verified
//! by [`verify`] alone, without a relay.

mod key;

pub(crate) use key::EvidenceKey;
pub use key::verify;

use sealwire_core::address::Domain;
use sealwire_core::evidence::{Covers, Evidence, FORMAT, InForce, Inbound, Month, Outbound, Signed};
use sealwire_core::ledger::LedgerEvent;
use sealwire_core::time::rfc3339;
use sealwire_store::{AuditQuery, LedgerQuery, Store, StoreError};

use crate::audit::{self, Act, Actor};
use crate::relay::Relay;

/// Records read at once: nobody else who reads waits for long.
const AT_ONCE: usize = 1000;

impl Relay {
    /// What the ledger has of the mail with this domain, and no other below it, in this month; signed. The key is made where
    /// there is none, in the name of `actor`.
    pub async fn evidence(&self, domain: &Domain, month: Month, actor: &Actor) -> Result<Signed, String> {
        let key = self.evidence_key(actor).await?;
        let evidence = self.counted(domain, month).await.map_err(|error| error.to_string())?;
        let evidence = serde_json::to_value(evidence).map_err(|error| error.to_string())?;
        Ok(key.sign(evidence))
    }

    /// The public key that evidence is signed with, as it is verified; made where there is none.
    pub async fn evidence_public_key(&self, actor: &Actor) -> Result<String, String> {
        Ok(self.evidence_key(actor).await?.public())
    }

    async fn evidence_key(&self, actor: &Actor) -> Result<EvidenceKey, String> {
        let path = self.evidence_key.clone();
        let opened = tokio::task::spawn_blocking(move || EvidenceKey::open(&path)).await;
        let (key, is_new) = opened.map_err(|error| error.to_string())??;
        if is_new {
            let after = serde_json::json!({ "public-key": key.public() });
            let object = self.evidence_key.display().to_string();
            self.audit(actor, Act::of("evidence-key-make", object).changing(serde_json::Value::Null, after)).await;
        }
        Ok(key)
    }

    async fn counted(&self, domain: &Domain, month: Month) -> Result<Evidence, StoreError> {
        let now = self.world.now();
        let mut covers = Covers {
            month_is_over: now >= month.ends(),
            whole: is_whole(&*self.store, month).await?,
            ..Covers::default()
        };
        let (mut inbound, mut outbound) = (Inbound::default(), Outbound::default());
        let at_the_door = LedgerQuery { events: words(["accepted", "turned-away"]), ..LedgerQuery::default() };
        read(&*self.store, month, at_the_door, &mut covers, |event| inbound.count(domain, event)).await?;
        // Mailboxes of a record end with their line, so that this is found for recipients of the domain alone.
        let recipient = Some(format!("@{}\n", domain.as_str()));
        let rounds = LedgerQuery { events: words(["attempted", "reported"]), recipient, ..LedgerQuery::default() };
        read(&*self.store, month, rounds, &mut covers, |event| outbound.count(domain, event)).await?;
        Ok(Evidence {
            format: FORMAT.to_owned(),
            relay: self.live().config.hostname.to_string(),
            domain: domain.clone(),
            month,
            made_at: rfc3339(now),
            covers,
            inbound,
            outbound,
            settings: in_force(&*self.store, month).await?,
            audit_head: self.store.audit_head().await?,
        })
    }
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(ToOwned::to_owned).to_vec()
}

/// Gives each record of the month to `count`, and notes those that counted.
async fn read(
    store: &dyn Store,
    month: Month,
    mut query: LedgerQuery,
    covers: &mut Covers,
    mut count: impl FnMut(&LedgerEvent) -> bool,
) -> Result<(), StoreError> {
    (query.since_ms, query.until_ms) = (Some(month.begins() * 1000), Some(month.ends() * 1000));
    query.limit = AT_ONCE;
    loop {
        let lines = store.ledger(query.clone()).await?;
        for line in lines.iter().filter(|line| count(&line.record.event)) {
            covers.records += 1;
            let (first, last) = covers.numbers.unwrap_or((line.number, line.number));
            covers.numbers = Some((first.min(line.number), last.max(line.number)));
        }
        match lines.last().filter(|_| lines.len() == AT_ONCE) {
            Some(last) => query.after = Some(last.number),
            None => return Ok(()),
        }
    }
}

/// Whether the ledger still has what it had of this month: none was ever removed, or something older is there.
async fn is_whole(store: &dyn Store, month: Month) -> Result<bool, StoreError> {
    let first = store.ledger(LedgerQuery { limit: 1, ..LedgerQuery::default() }).await?;
    if let Some(first) = first.first() {
        return Ok(first.number == 1 || first.record.at_ms < month.begins() * 1000);
    }
    let pruned = AuditQuery { action: Some("ledger-prune".to_owned()), limit: 1, ..AuditQuery::default() };
    Ok(store.audit_log(pruned).await?.is_empty())
}

/// The revision that the month began with, and those that came in it.
async fn in_force(store: &dyn Store, month: Month) -> Result<Vec<InForce>, StoreError> {
    let mut revisions = store.revisions(usize::MAX).await?;
    revisions.retain(|revision| revision.at < month.ends());
    // Newest first: what follows the first that is older than the month was no longer in force.
    let before = revisions.iter().position(|revision| revision.at < month.begins());
    revisions.truncate(before.map_or(revisions.len(), |at| at + 1));
    let mut in_force = Vec::with_capacity(revisions.len());
    for revision in revisions.into_iter().rev() {
        let whole = store.settings(Some(revision.revision)).await?;
        let document = whole.map(|whole| whole.document).unwrap_or_default();
        let digest = tokio::task::spawn_blocking(move || audit::digest(document.as_bytes())).await;
        let sha_256 = digest.map_err(|_| StoreError::Closed)?;
        in_force.push(InForce::of(revision.revision, revision.at, revision.by, revision.note, sha_256));
    }
    Ok(in_force)
}
