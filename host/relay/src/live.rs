//! What is live: configuration, routes, connectors and the generation, as one immutable value behind one pointer.
//!
//! A round takes it once (H4). It is built off the mail path; a build that fails leaves what was live before.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwire_core::auth::Credentials;
use sealwire_core::floor::Demand;
use sealwire_core::plan::Route;
use sealwire_policy::{Generation, Sandbox};

use crate::config::{Config, Login, Problem, RouteChannel};
use crate::dns::Resolver;
use crate::generation::{Components, build_generation};
use crate::listener::Servers;
use crate::scopes::Scopes;
use crate::settings::SettingsDocument;
use crate::tls::{Connector, Identity, RevocationList, RevocationLists, TlsSetupError, web_acceptor};
use crate::tls_reports::DkimKey;

/// Components that are part of the program, by name.
pub type Builtins = BTreeMap<String, Arc<[u8]>>;

/// What one round takes once.
#[derive(Clone)]
pub struct Live {
    /// As meant, with what the settings add.
    pub config: Arc<Config>,
    /// The configuration alone.
    pub(crate) base: Arc<Config>,
    /// Those of its policies, as read with it.
    pub(crate) components: Components,
    /// The units, and whose settings concern a message.
    pub scopes: Scopes,
    /// Lists and policies' settings, as read; the next document is read after it.
    pub settings: SettingsDocument,
    /// Policies with their settings, and lists.
    pub generation: Arc<Generation>,
    /// Revision of the settings the generation was built from; 0 before the first.
    pub settings_revision: u64,
    /// When it was made, seconds since the Unix epoch; 0 before the first.
    pub revision_at: u64,
    /// The names.
    pub resolver: Arc<dyn Resolver>,
    pub(crate) servers: Servers,
    connectors: BTreeMap<String, Connector>,
    logins: BTreeMap<String, Credentials>,
    default_connector: Connector,
    web: tokio_rustls::TlsConnector,
    dkim: Option<Arc<DkimKey>>,
    api: Option<tokio_rustls::TlsAcceptor>,
}

impl Live {
    /// The connector with the roots of this route.
    pub(crate) fn connector(&self, route: &str) -> &Connector {
        self.connectors.get(route).unwrap_or(&self.default_connector)
    }

    /// Every revocation list that some connection is judged by, once for each route that names it.
    pub(crate) fn revocation_lists(&self) -> impl Iterator<Item = &RevocationList> {
        let connectors = std::iter::once(&self.default_connector).chain(self.connectors.values());
        connectors.flat_map(|connector| connector.lists().iter())
    }

    /// Who to log in as at this route's hosts before mail is sent there.
    pub(crate) fn login(&self, route: &str) -> Option<&Credentials> {
        self.logins.get(route)
    }

    /// Opens TLS to web servers, whose chain and name it verifies by the configuration's roots.
    pub(crate) fn web(&self) -> &tokio_rustls::TlsConnector {
        &self.web
    }

    /// Takes TLS of clients of the HTTP API; None: it is off, or in clear on loopback.
    pub fn api_acceptor(&self) -> Option<&tokio_rustls::TlsAcceptor> {
        self.api.as_ref()
    }

    /// Signs TLS reports that go by mail.
    pub(crate) fn dkim(&self) -> Option<&DkimKey> {
        self.dkim.as_deref()
    }

    /// The same with other names: what a simulation's seeds do not share.
    #[cfg(test)]
    pub(crate) fn with_resolver(&self, resolver: Arc<dyn Resolver>) -> Live {
        Live { resolver, ..self.clone() }
    }

    /// The same, of a revision whose number was not known while it was built, and of that time.
    pub(crate) fn of_revision(self, settings_revision: u64, revision_at: u64) -> Live {
        Live { settings_revision, revision_at, ..self }
    }
}

/// What a live value is built from.
pub(crate) struct Parts {
    pub(crate) config: Arc<Config>,
    pub(crate) settings: SettingsDocument,
    pub(crate) settings_revision: u64,
    pub(crate) revision_at: u64,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) number: u64,
}

/// Builds it, or says everything that stands in the way. Blocking: compiles components.
pub(crate) fn build(
    parts: Parts,
    sandbox: &Sandbox,
    builtins: &Builtins,
    previous: Option<&Live>,
) -> Result<Live, Vec<Problem>> {
    let Parts { config, settings, settings_revision, revision_at, resolver, number } = parts;
    let mut problems = Vec::new();
    let base = config;
    let (config, units) = settings.meant(&base)?;
    let default_connector =
        Connector::new(&config.roots).map_err(|error| vec![config.problem("tls.roots", error.to_string())])?;
    let lists = config.crl.as_deref().map(RevocationLists::load).transpose();
    let lists = lists.map_err(|error| vec![config.problem("tls.crl", error.to_string())])?.unwrap_or_default();
    let default_connector = default_connector.judging_by(&lists);
    let mut connectors = BTreeMap::new();
    let mut logins = BTreeMap::new();
    for (route, channel) in &config.route_channels {
        match connector_of(&config, route, channel, &default_connector) {
            Ok(connector) => drop(connectors.insert(route.clone(), connector)),
            Err(problem) => problems.push(problem),
        }
        match channel.login.as_ref().map(Login::read).transpose() {
            Ok(credentials) => logins.extend(credentials.map(|credentials| (route.clone(), credentials))),
            Err(why) => problems.push(config.problem(&format!("route {route}: auth-password-file"), why)),
        }
    }
    let mail = config.tls_reports.as_ref().and_then(|reports| reports.mail.as_ref());
    let dkim = match mail.map(DkimKey::load).transpose() {
        Ok(key) => key.map(Arc::new),
        Err(why) => {
            problems.push(config.problem("tls-reports.dkim-key", why));
            None
        }
    };
    let api = config.api.as_ref().and_then(|api| api.certificate.as_ref());
    let api = match api.map(|files| web_acceptor(&files.certificate, &files.key)).transpose() {
        Ok(acceptor) => acceptor,
        Err(error) => {
            problems.push(config.problem("api.certificate", error.to_string()));
            None
        }
    };
    let read_already = previous.filter(|live| Arc::ptr_eq(&live.base, &base)).map(|live| live.components.clone());
    let components = read_already.unwrap_or_else(|| Components::read(&base, builtins));
    let generation = previous.map(|live| &*live.generation);
    let generation = build_generation(number, &config, &settings, units, &components, sandbox, generation);
    let (generation, scopes) = match generation {
        Ok((generation, scopes)) if problems.is_empty() => (Arc::new(generation), scopes),
        Ok(_) => return Err(problems),
        Err(found) => {
            problems.extend(found);
            return Err(problems);
        }
    };
    let web = default_connector.web().map_err(|error| vec![config.problem("tls.roots", error.to_string())])?;
    Ok(Live {
        servers: Servers::of(&config, &scopes),
        config: Arc::new(config),
        base,
        components,
        scopes,
        settings,
        generation,
        settings_revision,
        revision_at,
        resolver,
        connectors,
        logins,
        default_connector,
        web,
        dkim,
        api,
    })
}

/// What opens TLS to a route's hosts: by its roots, with its cipher suites, as who it says.
fn connector_of(
    config: &Config,
    route: &str,
    channel: &RouteChannel,
    default: &Connector,
) -> Result<Connector, Problem> {
    let problem = |key: &str, error: TlsSetupError| config.problem(&format!("route {route}: {key}"), error.to_string());
    let by_roots = channel.roots.as_ref().map(Connector::new).transpose().map_err(|error| problem("roots", error))?;
    let mut connector = by_roots.map_or_else(|| default.clone(), |by_roots| by_roots.judging_by(default.lists()));
    if let Some(file) = &channel.crl {
        connector = connector.judging_by(&RevocationLists::load(file).map_err(|error| problem("crl", error))?);
    }
    let demands = config.routes.by_name(route).map(Route::demands).unwrap_or_default();
    for demand in demands {
        if let Demand::CipherSuite(suites) = demand {
            connector = connector.offering(suites).map_err(|error| problem("cipher-suites", error))?;
        }
    }
    let Some(files) = &channel.client_certificate else { return Ok(connector) };
    let identity = Identity::load(&files.certificate, &files.key);
    Ok(connector.presenting(&identity.map_err(|error| problem("client-certificate", error))?))
}
