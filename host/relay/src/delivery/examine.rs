//! The test of a destination: everything a delivery does up to the point where it would say MAIL.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use sealwire_core::address::Mailbox;
use sealwire_core::decision::{Judgement, Plan, Standing, join_plans};
use sealwire_core::facts::{ChannelFacts, DestinationFacts, Handshake, MessageFacts, TlsVersion};
use sealwire_core::floor::{ConnectionId, Demand, Source, Sourced, TlsProof};
use sealwire_core::plan::{NextHop, Route, Target};
use sealwire_core::units::UnitPath;
use sealwire_policy as policy;
use tokio::time::{Instant, timeout_at};

use super::connection::{Connection, OpenError, Opening, open};
use super::hosts::{HostToAsk, NotLocated, hosts_of};
use super::published::{Asked, Published};
use super::tally::hexadecimal;
use super::{CONNECTIONS, hop_facts};
use crate::live::Live;
use crate::relay::Relay;
use crate::tls::Connector;
use crate::tls_test::{AddressTested, HostTested, SettingsTested, TlsTest, TlsTested, Would, settings};

/// Hosts that are asked side by side.
const HOSTS_AT_ONCE: usize = 8;
/// For all addresses of one host.
const HOST_TIME: Duration = Duration::from_secs(60);

/// What is live is the newest or was a moment ago.
const REVISIONS_LOOKED_AT: usize = 10;

impl Relay {
    /// Tests how mail to this recipient would leave, by this route or by its own. Err: why that cannot be asked.
    pub async fn test_tls(&self, recipient: &Mailbox, route: Option<&str>) -> Result<TlsTest, String> {
        let live = self.live();
        let asked = match route {
            None => live.config.routes.for_recipient(recipient),
            Some(name) => live.config.routes.by_name(name).ok_or_else(|| format!("there is no route {name:?}"))?,
        };
        let examining = Examining::of(self, &live, recipient);
        let (route, plan) = examining.plan(asked, route.is_some()).await?;
        Ok(self.tested(&examining, route, &plan).await)
    }

    /// The same by their own routes, once for all recipients whose mail takes the same route under the same floor.
    pub(crate) async fn test_each(&self, recipients: &[Mailbox]) -> Vec<Result<TlsTest, String>> {
        let live = self.live();
        let (mut ways, mut tests) = (Vec::new(), Vec::new());
        for recipient in recipients {
            let examining = Examining::of(self, &live, recipient);
            match examining.plan(live.config.routes.for_recipient(recipient), false).await {
                Err(why) => tests.push(Err(why)),
                Ok((route, plan)) => {
                    let way = (route.name().to_owned(), plan.floor.clone());
                    if !ways.contains(&way) {
                        ways.push(way);
                        tests.push(Ok(self.tested(&examining, route, &plan).await));
                    }
                }
            }
        }
        tests
    }

    async fn tested(&self, examining: &Examining<'_>, route: &Route, plan: &Plan) -> TlsTest {
        let mut test = examining.examine(route, plan).await;
        let revision = examining.live.settings_revision;
        // Among the newest, without the document, which may be megabytes.
        let newest = self.store.revisions(REVISIONS_LOOKED_AT).await.unwrap_or_default();
        let applied = newest.iter().find(|applied| applied.revision == revision);
        test.settings = SettingsTested { revision, applied_at: applied.map(|applied| applied.at) };
        test.judged(self.world.now())
    }
}

/// A plain message of our own postmaster's.
fn message_to(relay: &Relay, live: &Live, recipient: &Mailbox) -> MessageFacts {
    let from = Mailbox::new("postmaster", live.config.hostname.clone());
    MessageFacts {
        id: "tls-test".to_owned(),
        header_from: vec![from.clone()],
        header_from_doubtful: false,
        envelope_sender: Some(from),
        recipients: vec![recipient.clone()],
        fields: Arc::new([]),
        declared_size: None,
        size: None,
        sender_is_ours: true,
        is_report: false,
        organizational_unit: UnitPath::root().names().to_vec(),
        secure_transport_required_by: Vec::new(),
        tls_not_required: false,
        arrived_at: relay.world.now(),
        client: None,
    }
}

struct Examining<'a> {
    relay: &'a Relay,
    live: &'a Live,
    message: Arc<MessageFacts>,
    recipient: &'a Mailbox,
}

/// One host with what is known of it before it is connected.
struct AtHost<'a> {
    next_hop: &'a NextHop,
    host: &'a HostToAsk,
    published: Published,
    plan: &'a Plan,
}

impl<'a> Examining<'a> {
    fn of(relay: &'a Relay, live: &'a Live, recipient: &'a Mailbox) -> Examining<'a> {
        Examining { relay, live, message: Arc::new(message_to(relay, live, recipient)), recipient }
    }

    /// As a round plans: once more for a route that a policy takes, unless the route was named.
    async fn plan(&self, route: &'a Route, is_named: bool) -> Result<(&'a Route, Plan), String> {
        let plan = self.plan_by(route).await?;
        match &plan.take_route {
            Some(name) if !is_named => {
                let taken =
                    self.live.config.routes.by_name(name).ok_or_else(|| format!("there is no route {name:?}"))?;
                let second = self.plan_by(taken).await?;
                Ok((taken, plan.with_second(second)))
            }
            _ => Ok((route, plan)),
        }
    }

    /// By the settings that mail of a trusted client of the root goes by.
    fn asked(&self) -> Vec<policy::Asked> {
        let scopes = self.live.scopes.of(Some(&UnitPath::root()), self.recipient);
        scopes.iter().map(|scope| scope.asks(&self.message)).collect()
    }

    async fn plan_by(&self, route: &Route) -> Result<Plan, String> {
        let destination = DestinationFacts {
            recipient: self.recipient.clone(),
            recipient_is_ours: self.live.config.hosted_domains.contains(&self.recipient.domain),
            route_kind: route.kind(),
            route_name: route.name().to_owned(),
            route_demands: route.demand_words(),
            round: 1,
        };
        let (generation, now) = (&self.live.generation, self.relay.world.now());
        let decided = self.relay.sandbox.plan(generation, &self.asked(), Arc::new(destination), now).await;
        let standing = Standing { route: Some((route.name(), route.demands())), ..Standing::default() };
        join_plans(&standing, decided.result).map_err(|failed| failed.to_string())
    }

    async fn examine(&self, route: &Route, plan: &Plan) -> TlsTest {
        let next_hop = route.next_hop(self.recipient);
        let mut test = TlsTest {
            recipient: self.recipient.to_string(),
            route: route.name().to_owned(),
            route_kind: route.kind().as_str().to_owned(),
            demands: plan.floor.demands().map(in_words).collect(),
            reasons: plan
                .reasons
                .iter()
                .map(|reason| format!("{} ({}): {}", reason.rule, reason.policy, reason.text))
                .collect(),
            settings: SettingsTested::default(),
            mta_sts: None,
            hosts_proven: None,
            trouble: None,
            hosts: Vec::new(),
            state: Default::default(),
            findings: Vec::new(),
        };
        let me = [self.live.config.hostname.clone()];
        let hosts = match hosts_of(&next_hop, &me, &*self.live.resolver, &*self.relay.world).await {
            Ok(hosts) => hosts,
            Err(outcome) => {
                test.trouble = Some(outcome.to_string());
                return test;
            }
        };
        if let Target::Mx { .. } = next_hop.target {
            test.hosts_proven = hosts.first().map(HostToAsk::is_proven);
        }
        let asked: Vec<_> = hosts.iter().map(|host| self.host(&next_hop, host, plan)).collect();
        let examined: Vec<_> = stream::iter(asked).buffered(HOSTS_AT_ONCE).collect().await;
        for (host, (tested, published)) in hosts.iter().zip(examined) {
            if test.mta_sts.is_none() {
                test.mta_sts =
                    published.as_ref().and_then(|published| published.sts_tested(host.policy_domain.as_ref()));
            }
            test.hosts.push(tested);
        }
        test
    }

    async fn host(&self, next_hop: &NextHop, host: &HostToAsk, plan: &Plan) -> (HostTested, Option<Published>) {
        let mut tested = HostTested {
            host: host.host.to_string(),
            listed: None,
            proven: host.is_proven(),
            tlsa: Vec::new(),
            trouble: None,
            addresses: Vec::new(),
        };
        let located = match host.locate(&*self.live.resolver, true, self.relay.world.now()).await {
            Ok(located) => located,
            Err(NotLocated { why, .. }) => {
                tested.trouble = Some(why);
                return (tested, None);
            }
        };
        // With the demand for a proven name, so that all is looked up that any message may need.
        let floor = plan.floor.clone().raised(Demand::RequireTls, Source::RequireTls);
        let asked = Asked { host, floor: &floor, tls_not_required: false, everything: true };
        let published = Published::look(self.relay, self.live, asked, located.dane).await;
        tested.listed = published.is_listed();
        tested.proven = published.is_proven();
        tested.tlsa = published.tlsa();
        let at = AtHost { next_hop, host, published, plan };
        let until = Instant::now() + HOST_TIME;
        for address in &located.addresses {
            let address = SocketAddr::new(*address, host.port);
            let asked = timeout_at(until, self.address(&at, address)).await;
            tested.addresses.push(asked.unwrap_or_else(|_| AddressTested {
                address: address.to_string(),
                trouble: Some(format!("the host's addresses were not all asked within {} s", HOST_TIME.as_secs())),
                ..AddressTested::default()
            }));
        }
        tested.trouble = located.more;
        (tested, Some(at.published))
    }

    async fn address(&self, at: &AtHost<'_>, address: SocketAddr) -> AddressTested {
        let began = Instant::now();
        let connector = self.live.connector(&at.next_hop.route);
        let opened = open(self.opening(at, address, connector)).await;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut tested = AddressTested { address: address.to_string(), took_ms, ..AddressTested::default() };
        let (channel, proof) = match opened {
            Err(OpenError::NotAnswered(why, _) | OpenError::NoWay(why)) => {
                return AddressTested { trouble: Some(why), ..tested };
            }
            Err(OpenError::Handshake { state, detail, .. }) => {
                (ChannelFacts { state, detail, handshake: None }, TlsProof::of_nothing(ConnectionId(0)))
            }
            Ok(connection) => {
                tested.extensions = connection.extensions();
                let objection = self.judge(at, &connection).await;
                tested.unmet.extend(objection);
                let found = (connection.channel.clone(), connection.proof.clone());
                connection.quit().await;
                found
            }
        };
        tested.channel = channel.state.as_str().to_owned();
        tested.detail = channel.detail.clone();
        tested.tls = channel.handshake.as_deref().map(of_handshake);
        tested.requiretls = proof.offers_requiretls();
        tested.versions = self.versions(at, address, channel.handshake.as_deref()).await;
        let demanded = at.published.raise(&at.plan.floor);
        tested.unmet.splice(0..0, demanded.unmet(&proof).iter().map(in_words));
        let of_route = self.live.config.routes.by_name(&at.next_hop.route).map(Route::demands).unwrap_or_default();
        tested.would = would(of_route, &at.published, &proof);
        tested
    }

    fn opening<'o>(&'o self, at: &'o AtHost<'_>, address: SocketAddr, connector: &'o Connector) -> Opening<'o> {
        Opening {
            world: &*self.relay.world,
            id: ConnectionId(CONNECTIONS.fetch_add(1, Ordering::Relaxed)),
            hello_name: &self.live.config.hostname,
            host: &at.host.host,
            address,
            connector,
            dane: at.published.dane_check(),
            implicit_tls: at.next_hop.implicit_tls,
            afresh: true,
            must_authenticate: false,
            want_tls: true,
        }
    }

    /// A policy's objection to this host, or why it cannot judge.
    async fn judge(&self, at: &AtHost<'_>, connection: &Connection) -> Option<String> {
        let recipients = vec![self.recipient.clone()];
        let hop = Arc::new(hop_facts(recipients, at.next_hop, connection, &at.host.host, &at.published));
        let (generation, now) = (&self.live.generation, self.relay.world.now());
        match self.relay.sandbox.judge(generation, &self.asked(), hop, now).await.result {
            Judgement::Cleared(_) => None,
            Judgement::Objected { policy, reply, .. } => Some(format!("what policy {policy} asks: {reply}")),
            Judgement::Failed(failed) => Some(format!("a decision: {failed}")),
        }
    }

    /// The versions that the host speaks; each but the one it chose wants a connection of its own.
    async fn versions(&self, at: &AtHost<'_>, address: SocketAddr, chosen: Option<&Handshake>) -> Vec<String> {
        let Some(chosen) = chosen else { return Vec::new() };
        let mut spoken = Vec::new();
        let known: [(TlsVersion, &'static SupportedProtocolVersion); 2] =
            [(TlsVersion::TLS12, &TLS12), (TlsVersion::TLS13, &TLS13)];
        for (version, only) in known {
            let speaks = version == chosen.version || self.speaks(at, address, only).await;
            spoken.extend(speaks.then(|| version.name()));
        }
        spoken
    }

    async fn speaks(&self, at: &AtHost<'_>, address: SocketAddr, only: &'static SupportedProtocolVersion) -> bool {
        let Ok(connector) = self.live.connector(&at.next_hop.route).only(only) else { return false };
        match open(self.opening(at, address, &connector)).await {
            Ok(connection) => {
                let secured = connection.channel.handshake.is_some();
                connection.quit().await;
                secured
            }
            Err(_) => false,
        }
    }
}

/// What mail would come to under each setting, with what the route and the host's side demand beside it.
fn would(of_route: &[Demand], published: &Published, proof: &TlsProof) -> Vec<Would> {
    let published_demands: Vec<Demand> = published.demands().into_iter().map(|(demand, _)| demand).collect();
    let of = |(setting, mut demands): (&str, Vec<Demand>)| {
        if demands.contains(&Demand::RequireTls) && !published.is_proven() {
            demands.push(Demand::ProvenHost);
        }
        demands.extend(of_route.iter().chain(&published_demands).cloned());
        let mut lacks: Vec<String> = proof.lacks(&demands).map(ToString::to_string).collect();
        lacks.sort();
        lacks.dedup();
        let how = match (lacks.is_empty(), proof.handshake()) {
            (true, Some(handshake)) => format!("by {}", handshake.version.name()),
            (true, None) => "in clear".to_owned(),
            (false, _) => format!("lacks {}", lacks.join(", ")),
        };
        Would { setting: setting.to_owned(), leaves: lacks.is_empty(), how }
    };
    settings().into_iter().map(of).collect()
}

fn in_words((demand, source): &Sourced) -> String {
    format!("{demand}, by {source}")
}

fn of_handshake(handshake: &Handshake) -> TlsTested {
    let leaf = handshake.certificates.first();
    TlsTested {
        version: handshake.version.name(),
        cipher_suite: handshake.cipher_suite.clone(),
        key_exchange: handshake.key_exchange.clone(),
        chain: handshake.chain.as_str().to_owned(),
        name_matches: handshake.name_matches,
        names: leaf.map(|leaf| leaf.dns_names.clone()).unwrap_or_default(),
        issuer: leaf.map(|leaf| leaf.issuer.clone()).unwrap_or_default(),
        not_after: leaf.map_or(0, |leaf| leaf.not_after),
        sha256: leaf.map(|leaf| hexadecimal(&leaf.sha256)).unwrap_or_default(),
        dane: handshake.dane.as_ref().map(ToString::to_string),
        revocation: handshake.revocation.as_str().to_owned(),
    }
}
