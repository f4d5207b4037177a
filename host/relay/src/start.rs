//! Start, reload, apply, stop: how a relay comes to life and how what is live is replaced.
//!
//! Every replacement is built whole beside what is live and swapped in one store of a pointer; one that fails leaves what
//! was live, and its problems are told.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use schemars::JsonSchema;
use sealwire_policy::{Sandbox, SandboxConfig};
use sealwire_store::{SqliteStore, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::alerts::{self, Alerts};
use crate::apply::read_apart;
use crate::audit::{self, Act, Actor};
use crate::config::{self, Config, Problem, Surroundings};
use crate::counters::Counters;
use crate::delivery::{Logins, Pool};
use crate::destinations::Destinations;
use crate::dns::{self, Resolver, SystemResolver};
use crate::fresh::Fresh;
use crate::lanes::Lanes;
use crate::list_ends;
use crate::listener::{self, Sessions};
use crate::live::{Builtins, Live, Parts, build};
use crate::preview::Previews;
use crate::probes::{self, Probes};
use crate::relay::Relay;
use crate::retention;
use crate::scheduler;
use crate::settings::{Gathered, SettingsDocument, pieces};
use crate::sts::{self, Policies};
use crate::tls_reports::{self, Received, Reports};
use crate::world::{ThisMachine, World};

/// What a relay is started with.
pub struct Start {
    /// As meant.
    pub config: Config,
    /// Where the configuration was read from, for reload; None: the defaults.
    pub configuration: Option<PathBuf>,
    /// Components that are part of the program.
    pub builtins: Builtins,
}

/// A running relay and its tasks.
pub struct Running {
    /// The relay.
    pub relay: Arc<Relay>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// What a reload or an apply has put in place.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Replaced {
    /// The new generation.
    pub generation: u64,
    /// Of the settings.
    pub settings_revision: u64,
    /// What did not take effect until a restart.
    pub notes: Vec<String>,
}

/// Starts a relay: opens the store, builds the first generation, binds, accepts.
pub async fn start(start: Start) -> Result<Running, Vec<Problem>> {
    let config = Arc::new(start.config);
    let store = open_store(&config.data_directory, config.limits.free_space)?;
    let sandbox = Sandbox::start(SandboxConfig::default()).map_err(|e| one("sandbox", e.to_string()))?;
    let (settings, settings_revision, revision_at) = stored_settings(&*store, SettingsDocument::empty()).await?;
    let sts = Policies::of_store(&*store).await.map_err(|error| one("store", error.to_string()))?;
    let destinations = Destinations::of_store(&*store).await.map_err(|error| one("store", error.to_string()))?;
    let tls_reports = Reports::of_store(&*store).await.map_err(|error| one("store", error.to_string()))?;
    let received = Received::of_store(&*store).await.map_err(|error| one("store", error.to_string()))?;
    let resolver = resolver(&config)?;
    let parts = Parts { config: Arc::clone(&config), settings, settings_revision, revision_at, resolver, number: 1 };
    let live = build_apart(parts, &sandbox, &start.builtins, None).await?;
    let acceptors = listener::acceptors(&config)?;
    let bound = listener::bind(&config.listeners)?;
    let world: Arc<dyn World> = Arc::new(ThisMachine);
    let relay = Arc::new(Relay {
        sandbox,
        store,
        fresh: Fresh::default(),
        pool: Pool::default(),
        logins: Logins::default(),
        lanes: Arc::new(Lanes::new(config.limits.deliveries)),
        sts,
        destinations,
        probes: Probes::default(),
        tls_reports,
        tls_reports_received: received,
        sessions: Arc::new(Sessions::default()),
        live: ArcSwap::from_pointee(live),
        acceptors: ArcSwap::from_pointee(acceptors),
        builtins: start.builtins,
        configuration: start.configuration,
        evidence_key: config.data_directory.join("evidence.key"),
        listening: bound.iter().map(|b| (b.name.clone(), b.address)).collect(),
        started_at: world.now(),
        world,
        building: Mutex::new(()),
        alerts: Alerts::default(),
        counters: Counters::default(),
        previews: Previews::default(),
    });
    relay.audit(&Actor::new("relay", "file"), relay.in_force("start")).await;
    let (stop, stopping) = watch::channel(false);
    let mut tasks = vec![tokio::spawn(scheduler::run(Arc::clone(&relay), stopping.clone()))];
    tasks.push(tokio::spawn(dns::watch(Arc::clone(&relay), stopping.clone())));
    tasks.push(tokio::spawn(sts::refresh(Arc::clone(&relay), stopping.clone())));
    tasks.push(tokio::spawn(tls_reports::run(Arc::clone(&relay), stopping.clone())));
    tasks.push(tokio::spawn(probes::run(Arc::clone(&relay), stopping.clone())));
    tasks.push(tokio::spawn(retention::run(Arc::clone(&relay), stopping.clone())));
    tasks.push(tokio::spawn(list_ends::run(Arc::clone(&relay), stopping.clone())));
    tasks.push(tokio::spawn(alerts::send(Arc::clone(&relay), stopping.clone())));
    tasks.push(tokio::spawn(alerts::sum_refusals(Arc::clone(&relay), stopping.clone())));
    for listener in bound {
        tasks.push(tokio::spawn(listener::accept(Arc::clone(&relay), listener, stopping.clone())));
    }
    Ok(Running { relay, stop, tasks })
}

impl Running {
    /// Stops: no new connections, sessions end between transactions, rounds under way are finished.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
        // Sessions in a transaction are given time to end it; their clients repeat what got no 250.
        let patience = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
        while self.relay.sessions.open() > 0 && tokio::time::Instant::now() < patience {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

impl Relay {
    /// Reads the configuration again and builds a new generation from it and the newest settings; done or refused, the audit
    /// log tells of it.
    pub async fn reload(&self, actor: &Actor) -> Result<Replaced, Vec<Problem>> {
        let before = self.in_force("reload").after;
        let reloaded = self.try_reload().await;
        let act = match &reloaded {
            Ok(_) => Act { before, ..self.in_force("reload") },
            Err(problems) => Act::of("reload", self.configured_by()).refused(audit::reason(problems)),
        };
        self.audit(actor, act).await;
        reloaded
    }

    /// What is in force, by configuration and settings.
    fn in_force(&self, action: &str) -> Act {
        let live = self.live();
        let file = self.configuration.as_ref().and_then(|path| std::fs::read(path).ok());
        let after = json!({
            "generation": live.generation.number(),
            "settings-revision": live.settings_revision,
            "configuration-sha-256": file.map(|octets| audit::digest(&octets)),
            "components-sha-256": live.components.digests(),
        });
        Act::of(action, self.configured_by()).changing(Value::Null, after)
    }

    fn configured_by(&self) -> String {
        self.configuration
            .as_ref()
            .map_or_else(|| "no configuration file".to_owned(), |path| path.display().to_string())
    }

    async fn try_reload(&self) -> Result<Replaced, Vec<Problem>> {
        let _one_at_a_time = self.building.lock().await;
        let live = self.live();
        let (settings, revision, revision_at) = stored_settings(&*self.store, live.settings.clone()).await?;
        let config = self.read_configuration()?;
        let acceptors = listener::acceptors(&config)?;
        let notes = self.needs_restart(&config);
        let built = self.built(Arc::new(config), settings, revision).await?;
        self.acceptors.store(Arc::new(acceptors));
        Ok(Replaced { notes, ..self.swap(built.of_revision(revision, revision_at)) })
    }

    pub(crate) fn read_configuration(&self) -> Result<Config, Vec<Problem>> {
        match &self.configuration {
            Some(path) => config::load(path, &Surroundings::of_this_process()),
            None => Ok((*self.live().base).clone()),
        }
    }

    pub(crate) async fn built(
        &self,
        config: Arc<Config>,
        settings: SettingsDocument,
        revision: u64,
    ) -> Result<Live, Vec<Problem>> {
        let live = self.live();
        // What is known of names, and that they are proven, outlives an edit of the settings.
        let resolver = if Arc::ptr_eq(&config, &live.base) { Arc::clone(&live.resolver) } else { resolver(&config)? };
        let number = live.generation.number() + 1;
        let revision_at = live.revision_at;
        let parts = Parts { config, settings, settings_revision: revision, revision_at, resolver, number };
        build_apart(parts, &self.sandbox, &self.builtins, Some(live)).await
    }

    pub(crate) fn swap(&self, built: Live) -> Replaced {
        let replaced = Replaced {
            generation: built.generation.number(),
            settings_revision: built.settings_revision,
            notes: Vec::new(),
        };
        self.live.store(Arc::new(built));
        // Roots and routes may have changed: no connection outlives the verdict on its chain.
        for connection in self.pool.take_idle(true) {
            tokio::spawn(connection.quit());
        }
        tracing::info!(generation = replaced.generation, "a new generation is live");
        replaced
    }

    pub(crate) fn needs_restart(&self, config: &Config) -> Vec<String> {
        let live = self.live();
        let addresses = |c: &Config| c.listeners.iter().map(|l| (l.name.clone(), l.address)).collect::<Vec<_>>();
        let mut notes = Vec::new();
        if addresses(config) != addresses(&live.config) {
            notes.push("names and addresses of listeners change with a restart".to_owned());
        }
        let fixed = |c: &Config| (c.limits.deliveries, c.limits.free_space, c.log_level);
        if fixed(config) != fixed(&live.config) {
            notes.push("limits.deliveries, limits.free-space and log-level change with a restart".to_owned());
        }
        let api = |c: &Config| c.api.as_ref().map(|api| (api.address, api.certificate.is_some()));
        if api(config) != api(&live.config) {
            notes.push("the address of the API, and whether it has TLS, change with a restart".to_owned());
        }
        if config.data_directory != live.config.data_directory || config.admin_socket != live.config.admin_socket {
            notes.push("data directory and admin socket change with a restart".to_owned());
        }
        notes
    }
}

fn open_store(directory: &Path, free_space: u64) -> Result<Arc<dyn Store>, Vec<Problem>> {
    let opened = SqliteStore::open_keeping(directory, free_space);
    let store = opened.map_err(|error: StoreError| one(&directory.display().to_string(), error.to_string()))?;
    Ok(Arc::new(store))
}

async fn stored_settings(
    store: &dyn Store,
    before: SettingsDocument,
) -> Result<(SettingsDocument, u64, u64), Vec<Problem>> {
    let newest = store.settings(None).await.map_err(|error| one("settings", error.to_string()))?;
    let Some(revision) = newest else { return Ok((SettingsDocument::empty(), 0, 0)) };
    let mut gathered = Gathered::read(&revision.document)?.into_owned();
    pieces::fetch(store, &mut gathered, Some(&before)).await?;
    Ok((read_apart(gathered, before).await?.0, revision.revision, revision.at))
}

async fn build_apart(
    parts: Parts,
    sandbox: &Sandbox,
    builtins: &Builtins,
    previous: Option<Arc<Live>>,
) -> Result<Live, Vec<Problem>> {
    let (sandbox, builtins) = (sandbox.clone(), builtins.clone());
    let build = move || build(parts, &sandbox, &builtins, previous.as_deref());
    tokio::task::spawn_blocking(build).await.unwrap_or_else(|error| Err(one("generation", error.to_string())))
}

fn resolver(config: &Config) -> Result<Arc<dyn Resolver>, Vec<Problem>> {
    let resolver = SystemResolver::new(&config.dns).map_err(|why| vec![config.problem("dns.dnssec", why)])?;
    Ok(Arc::new(resolver))
}

pub(crate) fn one(place: &str, text: String) -> Vec<Problem> {
    vec![Problem::of_file(place, text)]
}
