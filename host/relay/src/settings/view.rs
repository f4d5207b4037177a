//! What is in force, object by object: units, settings and how they stand, lists and where they are used, routes.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use sealwire_core::audit::hexadecimal;
use sealwire_core::floor::Demand;
use sealwire_core::plan::{HostName, Route, RouteHost, RouteTarget};
use sealwire_core::units::{ByUnit, SettingScope, Standing, Unit, UnitPath};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::SettingsDocument;
use crate::config::{Config, Problem};
use crate::tls::Roots;

/// Everything but lists' entries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Model {
    /// Of the settings; 0 before the first.
    pub revision: u64,
    /// Each before those below it.
    pub units: Vec<UnitView>,
    /// By policy, in the document's order.
    pub settings: Vec<SettingView>,
    /// By name.
    pub lists: Vec<ListView>,
    /// By name.
    pub routes: Vec<RouteView>,
    /// What else policies' tables hold, by policy.
    pub policies: BTreeMap<String, Value>,
}

/// How a unit is configured, in the words of the console this is the model of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Configured {
    /// No setting is in force.
    NotConfigured,
    /// Settings of units above are in force, and none of its own.
    Inherited,
    /// Settings of its own are in force.
    LocallyApplied,
}

/// A unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct UnitView {
    /// Where it stands.
    pub unit: UnitPath,
    /// For people.
    pub description: String,
    /// Hosted.
    pub domains: Vec<String>,
    /// Mailboxes of hosted domains.
    pub addresses: Vec<String>,
    /// Whose clients bring it.
    pub trusted_networks: Vec<String>,
    /// Inherited settings that are switched off.
    pub disables: Vec<String>,
    /// In a word.
    pub configured: Configured,
    /// Every setting on its path, by id, and how it stands.
    pub settings: Vec<(String, Standing)>,
}

/// A setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SettingView {
    /// Its name among all.
    pub id: String,
    /// Whose it is.
    pub policy: String,
    /// In force there and below.
    pub unit: UnitPath,
    /// As written.
    pub value: Value,
}

/// A list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ListView {
    /// Its name.
    pub name: String,
    /// Different ones.
    pub entries: usize,
    /// Of its content.
    pub digest: String,
    /// Settings that name it, by id, and `[probes]` of the configuration.
    pub used_by: Vec<String>,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct RouteView {
    /// Its name.
    pub name: String,
    /// `mx`, `smart-host`, `alternate-secure`.
    pub kind: String,
    /// What it demands, in the contract's words.
    pub demands: Vec<String>,
    /// It stands in the settings; else in the configuration file.
    pub of_settings: bool,
    /// All that it is, but no secret: for comparisons.
    #[serde(skip)]
    pub whole: Value,
}

impl Model {
    /// Of a document over a configuration, as a revision of this number.
    pub(crate) fn of(settings: &SettingsDocument, config: &Config, revision: u64) -> Result<Model, Vec<Problem>> {
        let (config, units) = settings.meant(config)?;
        let scopes: Vec<SettingScope> = settings.scoped().iter().map(|scoped| scoped.scope.clone()).collect();
        let by_unit = ByUnit::of(&scopes);
        let value = |policy: &str, index: usize| {
            settings.policies.get(policy).and_then(|table| table["settings"].get(index)).cloned().unwrap_or_default()
        };
        let views: Vec<SettingView> = settings
            .scoped()
            .iter()
            .map(|scoped| SettingView {
                id: scoped.scope.id.clone(),
                policy: scoped.policy.clone(),
                unit: scoped.scope.unit.clone(),
                value: value(&scoped.policy, scoped.index),
            })
            .collect();
        let list = |(name, list): (&String, &std::sync::Arc<sealwire_core::list::AddressList>)| {
            let probes = config.probes.lists.contains(name).then(|| "[probes]".to_owned());
            ListView {
                name: name.clone(),
                entries: list.len(),
                digest: list.digest().to_owned(),
                used_by: settings.users_of(name).into_iter().chain(probes).collect(),
            }
        };
        let route = |route: &Route| RouteView {
            name: route.name().to_owned(),
            kind: route.kind().as_str().to_owned(),
            demands: route.demand_words(),
            of_settings: settings.routes.routes.iter().any(|own| own.name() == route.name()),
            whole: whole(&config, route),
        };
        Ok(Model {
            revision,
            units: units
                .all()
                .map(|(path, unit)| unit_view(path, unit, &scopes, by_unit.standing(&units, path)))
                .collect(),
            lists: settings.lists().iter().map(list).collect(),
            routes: config.routes.iter().map(route).collect(),
            policies: settings.policies.iter().map(|(name, table)| (name.clone(), rest(table))).collect(),
            settings: views,
        })
    }
}

/// In the words of the settings, as far as something is said. Of a login the user; where its password is stands there, not what
/// it is.
fn whole(config: &Config, route: &Route) -> Value {
    let channel = config.route_channels.get(route.name());
    let file = |path: &Path| json!(path.display().to_string());
    let (port, hosts) = match route.target() {
        RouteTarget::Mx { port } => (Some(json!(port)), None),
        RouteTarget::Hosts(hosts) => (None, Some(json!(hosts.iter().map(host).collect::<Vec<_>>()))),
    };
    let matches: Vec<_> = config.routes.matches(route.name()).iter().map(ToString::to_string).collect();
    let roots = channel.and_then(|channel| channel.roots.as_ref()).map(|roots| match roots {
        Roots::System => json!("system"),
        Roots::File(path) => file(path),
    });
    let (mut pins, mut suites) = (Vec::new(), Vec::new());
    for demand in route.demands() {
        match demand {
            Demand::Pin(_, digests) => pins.extend(digests.iter().map(|digest| hexadecimal(digest))),
            Demand::CipherSuite(names) => suites.extend(names.iter().cloned()),
            _ => {}
        }
    }
    let login = channel.and_then(|channel| channel.login.as_ref());
    let certificate = channel.and_then(|channel| channel.client_certificate.as_ref());
    let said = [
        ("kind", Some(json!(route.kind().as_str()))),
        ("demands", Some(json!(route.demand_words()))),
        ("pins", json_if_any(pins)),
        ("cipher-suites", json_if_any(suites)),
        ("match", json_if_any(matches)),
        ("default", (config.routes.default_name() == route.name()).then_some(json!(true))),
        ("port", port),
        ("hosts", hosts),
        ("implicit-tls", route.implicit_tls().then_some(json!(true))),
        ("roots", roots),
        ("crl", channel.and_then(|channel| channel.crl.as_deref()).map(file)),
        ("login", login.map(|login| json!({ "user": login.user, "password-file": file(&login.password_file) }))),
        ("client-certificate", certificate.map(|certificate| json!(certificate))),
    ];
    said.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect::<serde_json::Map<_, _>>().into()
}

fn json_if_any(words: Vec<String>) -> Option<Value> {
    (!words.is_empty()).then(|| json!(words))
}

/// `10 gw.example:25`; with a weight where it is not alone.
fn host(RouteHost { preference, weight, host, port }: &RouteHost) -> String {
    let address = match host {
        HostName::Address(std::net::IpAddr::V6(address)) => format!("[{address}]:{port}"),
        _ => format!("{host}:{port}"),
    };
    let weight = if *weight == 1 { String::new() } else { format!(" weight {weight}") };
    format!("{preference} {address}{weight}")
}

impl SettingsDocument {
    /// Settings that name a list, by id.
    pub(super) fn users_of(&self, list: &str) -> Vec<String> {
        let uses = |scoped: &&super::Scoped| {
            let setting = self.policies.get(&scoped.policy).and_then(|table| table["settings"].get(scoped.index));
            setting.is_some_and(|setting| names_list(setting, list))
        };
        self.scoped.iter().filter(uses).map(|scoped| scoped.scope.id.clone()).collect()
    }
}

fn unit_view(path: &UnitPath, unit: &Unit, scopes: &[SettingScope], stands: Vec<(usize, Standing)>) -> UnitView {
    let any = |wanted: Standing| stands.iter().any(|(_, standing)| *standing == wanted);
    let configured = match (any(Standing::LocallyApplied), any(Standing::Inherited)) {
        (true, _) => Configured::LocallyApplied,
        (false, true) => Configured::Inherited,
        (false, false) => Configured::NotConfigured,
    };
    UnitView {
        unit: path.clone(),
        description: unit.description.clone(),
        domains: unit.domains.iter().map(ToString::to_string).collect(),
        addresses: unit.addresses.iter().map(ToString::to_string).collect(),
        trusted_networks: unit.networks.iter().map(ToString::to_string).collect(),
        disables: unit.disables.iter().cloned().collect(),
        configured,
        settings: stands.into_iter().map(|(index, standing)| (scopes[index].id.clone(), standing)).collect(),
    }
}

/// Whatever a policy calls lists: an array under `lists`, wherever it stands.
fn names_list(value: &Value, name: &str) -> bool {
    match value {
        Value::Object(object) => object.iter().any(|(key, value)| {
            (key == "lists" && value.as_array().is_some_and(|lists| lists.iter().any(|list| list == name)))
                || names_list(value, name)
        }),
        Value::Array(items) => items.iter().any(|item| names_list(item, name)),
        _ => false,
    }
}

pub(super) fn rest(table: &Value) -> Value {
    let keys = table.as_object().into_iter().flatten().filter(|(key, _)| *key != "settings");
    Value::Object(keys.map(|(key, value)| (key.clone(), value.clone())).collect())
}
