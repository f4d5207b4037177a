//! `decide`: facts of one's own before the policies, in the same sandbox that mail meets. Nothing is sent or stored.

use std::sync::Arc;
use std::time::SystemTime;

use schemars::JsonSchema;
use sealwire_core::address::Mailbox;
use sealwire_core::decision::{Called, Judgement, Plan, Ruling, Standing, join_plans};
use sealwire_core::explain::RulesTried;
use sealwire_core::facts::{DestinationFacts, MessageFacts};
use sealwire_core::ledger::DecisionRecord;
use sealwire_core::plan::Route;
use sealwire_core::reason::Reason;
use sealwire_core::units::UnitPath;
use sealwire_policy::{Asked, AskedFacts, Explainable, Generation, Sandbox};
use sealwire_relay::config::Config;
use sealwire_relay::{Scopes, judge_arrival};
use serde::{Deserialize, Serialize};

mod facts;
mod live;

use facts::{hop_of, message_of, proof_of, required_tls};
pub(crate) use live::decide_live;

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
    /// Which rules each of them tried, in the order of `records`.
    #[serde(default)]
    pub tried: Vec<RulesTried>,
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
    tried: Vec<RulesTried>,
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
        let tried = self.tried(&records, AskedFacts::Receive(Arc::clone(&self.message))).await;
        Decision { recipient: None, result, lines, reasons, records, tried }
    }

    /// Which rules the policies tried in these decisions.
    async fn tried(&self, records: &[DecisionRecord], facts: AskedFacts) -> Vec<RulesTried> {
        let asked = |record: &DecisionRecord| Explainable {
            chain: self.scopes.chain_of(record),
            message: self.message.id.clone(),
            record: record.clone(),
            facts: Some(facts.clone()),
        };
        self.sandbox.explain(self.generation, records.iter().map(asked).collect()).await
    }

    /// Plans as a round does: once more for a route that a policy takes, unless the request names the route.
    async fn plan(&'a self, recipient: &'a Mailbox) -> Result<Planned<'a>, String> {
        let mut planned = self.plan_by(recipient, route_of(self.config, self.request, recipient)?).await;
        let taken = planned.plan.as_ref().ok().and_then(|plan| plan.take_route.clone());
        if let (None, Some(name)) = (&self.request.route, taken) {
            let second = self.plan_by(recipient, named_route(self.config, &name)?).await;
            planned.route = second.route;
            planned.records.extend(second.records);
            planned.tried.extend(second.tried);
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
        let asked = self.asked(recipient);
        let decided = self.sandbox.plan(self.generation, &asked, Arc::clone(&destination), self.now).await;
        let facts = AskedFacts::Plan(Arc::clone(&self.message), destination);
        let tried = self.tried(&decided.records, facts).await;
        let standing = Standing {
            route: Some((route.name(), route.demands())),
            flags: &self.request.flagged_by,
            report_of_tls: false,
            require_tls: required_tls(self.request, &self.message),
        };
        Planned { recipient, route, plan: join_plans(&standing, decided.result), records: decided.records, tried }
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
            return Decision { recipient, result, lines, reasons, records: planned.records, tried: planned.tried };
        }
        let (asked, hop) = (self.asked(planned.recipient), Arc::new(hop));
        let decided = self.sandbox.judge(self.generation, &asked, Arc::clone(&hop), self.now).await;
        let judged = self.tried(&decided.records, AskedFacts::Judge(Arc::clone(&self.message), hop)).await;
        let (result, line, reasons) = match decided.result {
            Judgement::Cleared(_) => ("cleared", None, Vec::new()),
            Judgement::Objected { policy, reply, reasons } => ("objected", Some(format!("{policy}: {reply}")), reasons),
            Judgement::Failed(failed) => ("failed", Some(failed.to_string()), Vec::new()),
        };
        lines.extend(line);
        let records = planned.records.into_iter().chain(decided.records).collect();
        let tried = planned.tried.into_iter().chain(judged).collect();
        Decision { recipient, result: result.to_owned(), lines, reasons, records, tried }
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
        let (records, tried) = (self.records, self.tried);
        Decision { recipient, result: result.to_owned(), lines, reasons, records, tried }
    }
}

fn fallback_lines(plan: &Plan) -> impl Iterator<Item = String> {
    plan.fallback.iter().map(|step| format!("if no host does: {step:?}").to_lowercase())
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
