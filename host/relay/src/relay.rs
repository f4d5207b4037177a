//! The relay: what all sessions and rounds share, and what an operator can ask of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use schemars::JsonSchema;
use sealwire_core::address::Mailbox;
use sealwire_core::audit::Head;
use sealwire_core::ledger::{LedgerEvent, LedgerRecord};
use sealwire_core::tlsrpt::Destination;
use sealwire_core::units::UnitPath;
use sealwire_policy::{GenerationStatus, Sandbox, SandboxStatus};
use sealwire_store::{By, QueueCounts, Retried, Retry, Store, StoreError, StoreStatus};
use serde::Serialize;
use tokio::sync::Mutex;

use crate::alerts::{Alert, Alerts, Audience};
use crate::counters::{Counters, Totals};
use crate::delivery::{Logins, Pool};
use crate::destinations::{Destinations, Downgrade};
use crate::fresh::Fresh;
use crate::lanes::Lanes;
use crate::listener::{Acceptors, Sessions};
use crate::live::{Builtins, Live};
use crate::preview::Previews;
use crate::probes::{Probes, ProbesStatus};
use crate::sts::Policies;
use crate::tls_reports::{Received, Reports, TlsReportsReceived, TlsReportsStatus};
use crate::world::World;

/// Entries retried in one transaction: mail that waits for its 250 must not wait for a queue of a million.
const LOT: usize = 200;

/// One running relay.
pub struct Relay {
    pub(crate) world: Arc<dyn World>,
    pub(crate) sandbox: Sandbox,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) fresh: Fresh,
    pub(crate) pool: Pool,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) logins: Logins,
    pub(crate) sts: Policies,
    pub(crate) destinations: Destinations,
    pub(crate) probes: Probes,
    pub(crate) tls_reports: Reports,
    pub(crate) tls_reports_received: Received,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) live: ArcSwap<Live>,
    pub(crate) acceptors: ArcSwap<Acceptors>,
    pub(crate) builtins: Builtins,
    pub(crate) configuration: Option<PathBuf>,
    /// Where the key is that evidence is signed with: beside the store.
    pub(crate) evidence_key: PathBuf,
    pub(crate) listening: Vec<(String, SocketAddr)>,
    pub(crate) started_at: u64,
    /// One build at a time: two would race for the next number.
    pub(crate) building: Mutex<()>,
    pub(crate) alerts: Alerts,
    pub(crate) counters: Counters,
    pub(crate) previews: Previews,
}

/// A relay at one moment.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct RelayStatus {
    /// Of the program.
    pub version: String,
    /// Its own name.
    pub hostname: String,
    /// Seconds since the Unix epoch.
    pub started_at: u64,
    /// Names and addresses of the listeners.
    pub listeners: Vec<(String, SocketAddr)>,
    /// Open sessions.
    pub sessions: u32,
    /// Policies and lists that are live.
    pub generation: GenerationStatus,
    /// Of the settings the generation was built from.
    pub settings_revision: u64,
    /// Whether the DNS proves what it says (DNSSEC), as DANE needs it: `on`, or why not.
    pub dnssec: String,
    /// How decisions run.
    pub sandbox: SandboxStatus,
    /// What waits; None if the store did not answer.
    pub queue: Option<QueueCounts>,
    /// How the store does.
    pub store: StoreStatus,
    /// Number and hash of the audit log's last entry; None if the store did not answer.
    pub audit_head: Option<Head>,
    /// Hosts that give less protection than they gave.
    pub downgrades: Vec<Downgrade>,
    /// Revocation lists that are out of date or soon will be, in words.
    pub revocation_lists: Vec<String>,
    /// What probes of listed domains found.
    pub probes: ProbesStatus,
    /// Reports to other domains (RFC 8460).
    pub tls_reports: TlsReportsStatus,
    /// Reports of others about domains of ours.
    pub tls_reports_received: TlsReportsReceived,
    /// Counted since the start.
    pub totals: Totals,
    /// The latest alerts, oldest first.
    pub alerts: Vec<Alert>,
}

impl Relay {
    /// What is live; a round takes it once (H4).
    pub fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// Names and addresses of the listeners.
    pub fn listeners(&self) -> &[(String, SocketAddr)] {
        &self.listening
    }

    /// Queue, settings and ledger.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The sandbox, for `decide`.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Makes recipients due now, in the name of whoever asked. Destinations that asked to be left alone are asked again.
    pub async fn retry(&self, which: Retry, by: By) -> Result<Retried, StoreError> {
        self.lanes.end_rests();
        self.logins.end_rests();
        self.store.retry(which, self.world.now_ms(), by).await
    }

    /// The same, some entries at a time, the oldest first. `told` hears how many of how many were asked for and what came of
    /// all of them, before the first and after each lot, and says whether to go on.
    pub async fn retry_by_lots(
        &self,
        which: Retry,
        by: String,
        mut told: impl FnMut(u64, u64, Retried) -> bool + Send,
    ) -> Result<Retried, StoreError> {
        self.lanes.end_rests();
        self.logins.end_rests();
        let ids = self.store.to_retry(which.clone()).await?;
        let (mut done, total, mut retried) = (0, ids.len() as u64, Retried::default());
        for lot in ids.chunks(LOT) {
            if !told(done, total, retried) {
                return Ok(retried);
            }
            let of_lot = Retry::Among(lot.to_vec(), Box::new(which.clone()));
            let Retried { recipients, on_hold } =
                self.store.retry(of_lot, self.world.now_ms(), by.clone().into()).await?;
            retried = Retried { recipients: retried.recipients + recipients, on_hold: retried.on_hold + on_hold };
            done += lot.len() as u64;
        }
        told(done, total, retried);
        Ok(retried)
    }

    /// How it does.
    pub async fn status(&self) -> RelayStatus {
        let live = self.live();
        RelayStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            hostname: live.config.hostname.to_string(),
            started_at: self.started_at,
            listeners: self.listening.clone(),
            sessions: self.sessions.open(),
            generation: live.generation.status(),
            settings_revision: live.settings_revision,
            dnssec: live.resolver.dnssec(),
            sandbox: self.sandbox.status(),
            queue: self.store.counts().await.ok(),
            store: self.store.status(),
            audit_head: self.store.audit_head().await.ok(),
            downgrades: self.destinations.downgrades(),
            revocation_lists: self.list_troubles().into_iter().collect(),
            probes: self.probes.status(),
            tls_reports: self.tls_reports_status(),
            tls_reports_received: self.tls_reports_received.status(self.world.now()),
            totals: self.counters.totals(),
            alerts: self.alerts.latest(),
        }
    }

    /// Hosts that give less protection than they gave.
    pub fn downgrades(&self) -> Vec<Downgrade> {
        self.destinations.downgrades()
    }

    /// What this destination gives now is what is expected of it from now on; what gave more, none where it gives no less.
    pub fn accept_downgrade(&self, destination: &str, by: &str) -> Vec<Downgrade> {
        let accepted = self.destinations.accept(self, destination);
        if !accepted.is_empty() {
            let (unit, action) = (UnitPath::root().names().to_vec(), format!("accept-downgrade {destination}"));
            let event = LedgerEvent::Operator { unit, action, by: by.to_owned(), reason: None, until: None };
            self.append(vec![LedgerRecord { at_ms: self.world.now_ms(), message: String::new(), event }]);
        }
        accepted
    }

    /// Gives an alert unless one of this key was given a moment ago.
    pub(crate) fn alert_once(&self, key: &str, text: String) {
        self.alert_once_to(Audience::All, key, text);
    }

    /// About mail to this mailbox: by mail only where that is not the mail of alerts, which would beget the next one.
    pub(crate) fn audience_of(&self, recipient: &Mailbox) -> Audience {
        let live = self.live();
        let is_told = |to: &Destination| matches!(to, Destination::Mail(mailbox) if mailbox == recipient);
        if live.config.alerts.to.iter().any(is_told) { Audience::NotByMail } else { Audience::All }
    }

    /// The same, to an audience.
    pub(crate) fn alert_once_to(&self, audience: Audience, key: &str, text: String) {
        if self.alerts.give(key, &text, self.world.now_ms(), audience) {
            self.append(vec![self.alert_record(text)]);
        }
    }

    /// How the ledger tells of an alert.
    pub(crate) fn alert_record(&self, text: String) -> LedgerRecord {
        LedgerRecord { at_ms: self.world.now_ms(), message: String::new(), event: LedgerEvent::Alert { text } }
    }

    /// Writes ledger records that nobody waits for.
    pub(crate) fn append(&self, records: Vec<LedgerRecord>) {
        if records.is_empty() {
            return;
        }
        let store = Arc::clone(&self.store);
        tokio::spawn(async move {
            if let Err(error) = store.append(records).await {
                tracing::error!(%error, "ledger records could not be written");
            }
        });
    }
}
