//! `decide`: facts of one's own before the policies, in the same sandbox that mail meets. Nothing is sent or stored.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::SystemTime;

use schemars::JsonSchema;
use sealwire_core::address::Mailbox;
use sealwire_core::decision::{Called, Judgement, Plan, RequireTls, Ruling, Standing, join_plans};
use sealwire_core::facts::{
    ChainVerdict, ChannelFacts, ChannelState, ClientFacts, DestinationFacts, Handshake, HopFacts, MessageFacts,
    RevocationStatus, TlsVersion,
};
use sealwire_core::floor::{ConnectionId, TlsProof};
use sealwire_core::header::{from_of, split, tls_required_no};
use sealwire_core::ledger::DecisionRecord;
use sealwire_core::plan::Route;
use sealwire_core::reason::Reason;
use sealwire_core::units::UnitPath;
use sealwire_policy::{Asked, Generation, Sandbox};
use sealwire_relay::config::Config;
use sealwire_relay::{Scopes, judge_arrival};
use serde::{Deserialize, Serialize};

mod live;

pub(crate) use live::decide_live;

/// As EHLO offers it (RFC 8689 §3).
const REQUIRETLS: &str = "REQUIRETLS";

/// What is asked of the policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// May it come in?
    #[default]
    Receive,
    /// What must the next hop give?
    Plan,
    /// Will this host do?
    Judge,
}

/// Facts to be judged. Everything absent is as for a plain message from a stranger in clear.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct DecideRequest {
    /// What is asked.
    pub stage: Stage,
    /// Header field lines as in a message, LF or CR LF; a body behind an empty line plays no part.
    pub header: String,
    /// Empty: the null reverse-path.
    pub envelope_sender: String,
    /// At least one.
    pub recipients: Vec<String>,
    /// How the client came, on arrival.
    pub client: ChannelAsked,
    /// The client is on a trusted network.
    pub trusted: bool,
    /// The organizational unit that a trusted client brings; None: the root.
    pub unit: Option<UnitPath>,
    /// Policies that asked for secure transport earlier.
    pub flagged_by: Vec<String>,
    /// It came with REQUIRETLS (RFC 8689).
    pub requiretls: bool,
    /// Route to take instead of the recipient's own.
    pub route: Option<String>,
    /// Name of the host to be judged.
    pub host: Option<String>,
    /// What its channel gives.
    pub hop: ChannelAsked,
}

/// A channel in a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelAsked {
    /// In clear; STARTTLS was not offered or not used.
    #[default]
    Clear,
    /// TLS 1.3 with a certificate that leads to a trusted root and names the host; none of a client.
    Tls,
    /// TLS 1.2 with the same.
    Tls12,
    /// TLS 1.3 with a certificate that leads to no trusted root but names the host.
    TlsSelfSigned,
    /// TLS 1.3 with a trusted certificate of another name.
    TlsWrongName,
    /// As `tls`, of a host that offers REQUIRETLS.
    TlsRequiretls,
}

/// What the policies make of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DecideAnswer {
    /// What was asked.
    pub stage: Stage,
    /// One for receive, one for each recipient of plan and judge.
    pub results: Vec<Decision>,
    /// Which generation decided.
    pub generation: u64,
}

/// One decision of the whole chain.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Decision {
    /// Whose copy; None for the message as a whole.
    pub recipient: Option<String>,
    /// `accept`, `reject`, `defer`, `failed`; of plan `planned`; of judge `cleared`, `objected`,
    /// `floor-unmet`.
    pub result: String,
    /// The reply, the demands, the fallback: in words, a line each.
    pub lines: Vec<String>,
    /// All, in the chain's order.
    pub reasons: Vec<Reason>,
    /// One for each policy asked (H8).
    pub records: Vec<DecisionRecord>,
}

/// Asks the chain. An error says what is wrong with the request.
pub async fn decide(
    sandbox: &Sandbox,
    generation: &Arc<Generation>,
    scopes: &Scopes,
    config: &Config,
    request: &DecideRequest,
) -> Result<DecideAnswer, String> {
    if let Some(unit) = request.unit.as_ref().filter(|unit| scopes.units().get(unit).is_none()) {
        return Err(format!("there is no unit {unit}"));
    }
    let client = request.trusted.then(|| request.unit.clone().unwrap_or_else(UnitPath::root));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let message = Arc::new(message_of(request, now)?);
    let asking = Asking { sandbox, generation, scopes, client, config, request, message, now };
    let results = match request.stage {
        Stage::Receive => vec![asking.receive().await],
        Stage::Plan | Stage::Judge => {
            let mut results = Vec::new();
            for recipient in &asking.message.recipients {
                let planned = asking.plan(recipient).await?;
                results.push(match request.stage {
                    Stage::Judge => asking.judge(planned).await,
                    _ => planned.told(),
                });
            }
            results
        }
    };
    Ok(DecideAnswer { stage: request.stage, results, generation: generation.number() })
}

/// One request, and what decides on it.
struct Asking<'a> {
    sandbox: &'a Sandbox,
    generation: &'a Arc<Generation>,
    scopes: &'a Scopes,
    /// The unit of a trusted client.
    client: Option<UnitPath>,
    config: &'a Config,
    request: &'a DecideRequest,
    message: Arc<MessageFacts>,
    now: u64,
}

/// What the chain planned for one recipient.
struct Planned<'a> {
    recipient: &'a Mailbox,
    /// By which the copy goes: another than its own where a policy takes one.
    route: &'a Route,
    plan: Called<Plan>,
    records: Vec<DecisionRecord>,
}

impl<'a> Asking<'a> {
    async fn receive(&self) -> Decision {
        let client = self.client.as_ref();
        let decided = judge_arrival(self.sandbox, self.generation, self.scopes, client, &self.message).await;
        let verdict = decided.result;
        let (result, mut lines) = match verdict.ruling {
            Ruling::Accept => ("accept", Vec::new()),
            Ruling::Reject(reply) => ("reject", vec![format!("reply: {reply}")]),
            Ruling::Defer(reply) => ("defer", vec![format!("reply: {reply}")]),
            Ruling::Failed(failed) => ("failed", vec![failed.to_string()]),
        };
        let flags = verdict.flagged_by.iter();
        lines.extend(flags.map(|policy| format!("secure transport on every later hop, by {policy}")));
        let (result, reasons, records) = (result.to_owned(), verdict.reasons, decided.records);
        Decision { recipient: None, result, lines, reasons, records }
    }

    /// Plans as a round does: once more for a route that a policy takes, unless the request names the route.
    async fn plan(&'a self, recipient: &'a Mailbox) -> Result<Planned<'a>, String> {
        let mut planned = self.plan_by(recipient, route_of(self.config, self.request, recipient)?).await;
        let taken = planned.plan.as_ref().ok().and_then(|plan| plan.take_route.clone());
        if let (None, Some(name)) = (&self.request.route, taken) {
            let second = self.plan_by(recipient, named_route(self.config, &name)?).await;
            planned.route = second.route;
            planned.records.extend(second.records);
            planned.plan = planned.plan.and_then(|first| Ok(first.with_second(second.plan?)));
        }
        Ok(planned)
    }

    fn asked(&self, recipient: &Mailbox) -> Vec<Asked> {
        let scopes = self.scopes.of(self.client.as_ref(), recipient);
        scopes.iter().map(|scope| scope.asks(&self.message)).collect()
    }

    async fn plan_by(&self, recipient: &'a Mailbox, route: &'a Route) -> Planned<'a> {
        let destination = Arc::new(DestinationFacts {
            recipient: recipient.clone(),
            recipient_is_ours: self.config.hosted_domains.contains(&recipient.domain),
            route_kind: route.kind(),
            route_name: route.name().to_owned(),
            route_demands: route.demand_words(),
            round: 1,
        });
        let decided = self.sandbox.plan(self.generation, &self.asked(recipient), destination, self.now).await;
        let standing = Standing {
            route: Some((route.name(), route.demands())),
            flags: &self.request.flagged_by,
            report_of_tls: false,
            require_tls: required_tls(self.request, &self.message),
        };
        Planned { recipient, route, plan: join_plans(&standing, decided.result), records: decided.records }
    }

    /// Judges as a delivery does: floor and proof first, then the chain.
    async fn judge(&self, planned: Planned<'_>) -> Decision {
        let plan = match &planned.plan {
            Ok(plan) => plan,
            Err(_) => return planned.told(),
        };
        let hop = hop_of(self.request, planned.route, planned.recipient);
        let mut lines = vec![format!("host: {}, by route {}", hop.host, planned.route.name())];
        let recipient = Some(planned.recipient.to_string());
        let unmet = plan.floor.unmet(&proof_of(&hop));
        if !unmet.is_empty() {
            lines.extend(unmet.iter().map(|(demand, source)| format!("unmet: {demand}, by {source}")));
            lines.extend(fallback_lines(plan));
            let (result, reasons) = ("floor-unmet".to_owned(), plan.reasons.clone());
            return Decision { recipient, result, lines, reasons, records: planned.records };
        }
        let decided =
            self.sandbox.judge(self.generation, &self.asked(planned.recipient), Arc::new(hop), self.now).await;
        let (result, line, reasons) = match decided.result {
            Judgement::Cleared(_) => ("cleared", None, Vec::new()),
            Judgement::Objected { policy, reply, reasons } => ("objected", Some(format!("{policy}: {reply}")), reasons),
            Judgement::Failed(failed) => ("failed", Some(failed.to_string()), Vec::new()),
        };
        lines.extend(line);
        let records = planned.records.into_iter().chain(decided.records).collect();
        Decision { recipient, result: result.to_owned(), lines, reasons, records }
    }
}

impl Planned<'_> {
    fn told(self) -> Decision {
        let mut lines = vec![format!("route: {} ({})", self.route.name(), self.route.kind().as_str())];
        let (result, reasons) = match self.plan {
            Err(failed) => {
                lines.push(failed.to_string());
                ("failed", Vec::new())
            }
            Ok(plan) => {
                if !plan.floor.requires_tls() {
                    lines.push("demands: none, TLS is used where it works".to_owned());
                }
                lines.extend(plan.floor.demands().map(|(demand, source)| format!("demands: {demand}, by {source}")));
                lines.extend(plan.take_route.iter().map(|route| format!("instead by route: {route}")));
                lines.extend(fallback_lines(&plan));
                ("planned", plan.reasons)
            }
        };
        let recipient = Some(self.recipient.to_string());
        Decision { recipient, result: result.to_owned(), lines, reasons, records: self.records }
    }
}

fn fallback_lines(plan: &Plan) -> impl Iterator<Item = String> {
    plan.fallback.iter().map(|step| format!("if no host does: {step:?}").to_lowercase())
}

/// As of an entry.
fn required_tls(request: &DecideRequest, message: &MessageFacts) -> Option<RequireTls> {
    let asks = if message.envelope_sender.is_some() { RequireTls::Passed } else { RequireTls::TlsAlone };
    request.requiretls.then_some(asks)
}

/// Of a connection that there is not: no permit is asked for with it.
fn proof_of(hop: &HopFacts) -> TlsProof {
    let none = ConnectionId(0);
    match &hop.channel.handshake {
        Some(handshake) => {
            let offered = hop.extensions.iter().any(|line| line == REQUIRETLS);
            TlsProof::of_handshake(none, Arc::clone(handshake)).offering_requiretls(offered)
        }
        None => TlsProof::of_nothing(none),
    }
}

fn message_of(request: &DecideRequest, now: u64) -> Result<MessageFacts, String> {
    let mailbox = |text: &String| Mailbox::parse(text).map_err(|why| format!("{text:?} is no mailbox: {why}"));
    let recipients = request.recipients.iter().map(mailbox).collect::<Result<Vec<_>, _>>()?;
    if recipients.is_empty() {
        return Err("name at least one recipient".to_owned());
    }
    let envelope_sender = match request.envelope_sender.as_str() {
        "" => None,
        _ => Some(mailbox(&request.envelope_sender)?),
    };
    let header = request.header.replace("\r\n", "\n").replace('\n', "\r\n");
    let header = header.split("\r\n\r\n").next().unwrap_or_default();
    let fields: Arc<[_]> = split(format!("{}\r\n", header.trim_end_matches("\r\n")).as_bytes()).into();
    let from = from_of(&fields);
    let sender = request.requiretls.then(|| "requiretls".to_owned());
    let required_by = sender.into_iter().chain(request.flagged_by.iter().cloned()).collect();
    Ok(MessageFacts {
        id: "decide".to_owned(),
        header_from: from.mailboxes,
        header_from_doubtful: from.doubtful,
        envelope_sender,
        recipients,
        tls_not_required: !request.requiretls && tls_required_no(&fields),
        fields,
        declared_size: None,
        size: None,
        sender_is_ours: request.trusted,
        is_report: false,
        organizational_unit: request.unit.as_ref().unwrap_or(&UnitPath::root()).names().to_vec(),
        secure_transport_required_by: required_by,
        arrived_at: now,
        client: Some(ClientFacts {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            greeting_name: "decide.invalid".to_owned(),
            authenticated_as: None,
            listener: "decide".to_owned(),
            // Of a client no certificate is asked, so there is no chain to judge.
            channel: channel_of(request.client, None),
        }),
    })
}

fn route_of<'a>(config: &'a Config, request: &DecideRequest, recipient: &Mailbox) -> Result<&'a Route, String> {
    match &request.route {
        None => Ok(config.routes.for_recipient(recipient)),
        Some(name) => named_route(config, name),
    }
}

fn named_route<'a>(config: &'a Config, name: &str) -> Result<&'a Route, String> {
    config.routes.by_name(name).ok_or_else(|| format!("there is no route {name:?}"))
}

fn hop_of(request: &DecideRequest, route: &Route, recipient: &Mailbox) -> HopFacts {
    let host = request.host.clone().unwrap_or_else(|| "host.invalid".to_owned());
    let channel = channel_of(request.hop, Some(&host));
    HopFacts {
        recipients: vec![recipient.clone()],
        route_kind: route.kind(),
        route_name: route.name().to_owned(),
        host,
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        extensions: if request.hop == ChannelAsked::TlsRequiretls { vec![REQUIRETLS.to_owned()] } else { Vec::new() },
        channel,
        published: Vec::new(),
    }
}

fn channel_of(asked: ChannelAsked, host: Option<&str>) -> ChannelFacts {
    let chain = match (asked, host) {
        (ChannelAsked::Clear, _) => {
            let detail = "as asked for by decide".to_owned();
            return ChannelFacts { state: ChannelState::NotOffered, detail, handshake: None };
        }
        (_, None) => ChainVerdict::None,
        (ChannelAsked::TlsSelfSigned, Some(_)) => ChainVerdict::CertificateNotTrusted,
        (_, Some(_)) => ChainVerdict::Trusted,
    };
    let version = if asked == ChannelAsked::Tls12 { TlsVersion::TLS12 } else { TlsVersion::TLS13 };
    let handshake = Handshake {
        version,
        cipher_suite: "TLS_AES_256_GCM_SHA384".to_owned(),
        key_exchange: "X25519".to_owned(),
        server_name: host.map(ToOwned::to_owned),
        implicit: false,
        resumed: false,
        chain,
        name_matches: host.is_some() && asked != ChannelAsked::TlsWrongName,
        certificates: Vec::new(),
        dane: None,
        revocation: if chain == ChainVerdict::Trusted { RevocationStatus::Good } else { RevocationStatus::Unknown },
    };
    ChannelFacts { state: ChannelState::Secured, detail: String::new(), handshake: Some(Arc::new(handshake)) }
}
