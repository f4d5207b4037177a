//! How decisions join: the calls of each policy in the chain become one verdict, one plan, one judgement.
//!
//! Reject beats a failed decision or defer, which beats accept. Demands are joined; the first policy that names a
//! route or a fallback gives it whole; any objection stands. A failed decision never accepts and never sends (H3): it
//! leaves no floor and no clearance. A chain without a policy is a failed decision, so it cannot open anything.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::Mailbox;
use crate::floor::{Cleared, Demand, Source, Sourced, TlsFloor};
use crate::reason::Reason;
use crate::reply::Reply;

/// A policy's decision that did not come about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailedDecision {
    /// Name of the policy in the chain; empty where there was none to ask.
    pub policy: String,
    /// What kind of failure.
    pub cause: FailureCause,
    /// In words, for log and ledger; bounded by the host.
    pub detail: String,
}

/// What can keep a decision from counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailureCause {
    /// The component trapped.
    Trap,
    /// It ran longer than it may, twice.
    Overrun,
    /// It asked for more memory, reasons, handles or octets than it may.
    Limit,
    /// The hook returned err.
    Err,
    /// The hook returned ok without `conclude`.
    NotConcluded,
    /// The host could not run it: no policy in the chain, or the sandbox could not be set up.
    Unavailable,
}

/// What one policy concluded on a message that arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiveCall {
    /// Name of the policy.
    pub policy: String,
    /// First `reject`.
    pub reject: Option<Reply>,
    /// First `defer`.
    pub defer: Option<Reply>,
    /// `require-secure-transport` was called.
    pub require_secure_transport: bool,
    /// In the order given.
    pub reasons: Vec<Reason>,
}

/// What one policy concluded on one recipient's way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanCall {
    /// Name of the policy.
    pub policy: String,
    /// Demands with the rule of the reason that explains each; empty where none does.
    pub demands: Vec<(Demand, String)>,
    /// `take-route`.
    pub take_route: Option<String>,
    /// `fallback`, in the order called.
    pub fallback: Vec<FallbackStep>,
    /// In the order given.
    pub reasons: Vec<Reason>,
}

/// What one policy concluded on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgeCall {
    /// Name of the policy.
    pub policy: String,
    /// First `object`.
    pub objection: Option<Reply>,
    /// In the order given.
    pub reasons: Vec<Reason>,
}

/// What to do when no host can do what the floor demands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "step", content = "route")]
pub enum FallbackStep {
    /// Send by this route instead.
    Route(String),
    /// Keep it until somebody says `queue retry`, or it expires.
    Hold,
    /// Report to the sender.
    Bounce,
}

/// One policy's call, or why it does not count.
pub type Called<T> = Result<T, FailedDecision>;

/// The chain's answer to a message that arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// May it come in?
    pub ruling: Ruling,
    /// Policies that asked for secure transport on every later hop.
    pub flagged_by: Vec<String>,
    /// All, in the chain's order.
    pub reasons: Vec<Reason>,
}

/// May it come in?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Yes.
    Accept,
    /// 5xx, with this reply of this policy.
    Reject(Reply),
    /// 4xx, with this reply of this policy.
    Defer(Reply),
    /// 451: a policy could not decide.
    Failed(FailedDecision),
}

/// Joins the chain's `receive`.
pub fn join_receives(calls: Vec<Called<ReceiveCall>>) -> Verdict {
    let mut verdict = Verdict { ruling: Ruling::Accept, flagged_by: Vec::new(), reasons: Vec::new() };
    if calls.is_empty() {
        verdict.ruling = Ruling::Failed(no_policy());
    }
    for call in calls {
        let ruling = match call {
            Err(failed) => Some(Ruling::Failed(failed)),
            Ok(call) => {
                if call.require_secure_transport {
                    verdict.flagged_by.push(call.policy);
                }
                verdict.reasons.extend(call.reasons);
                call.reject.map(Ruling::Reject).or(call.defer.map(Ruling::Defer))
            }
        };
        if let Some(ruling) = ruling
            && ruling.strength() > verdict.ruling.strength()
        {
            verdict.ruling = ruling;
        }
    }
    verdict
}

impl Verdict {
    /// Both verdicts on one message: the stricter ruling, everything else of both.
    #[must_use]
    pub fn joined(mut self, other: Verdict) -> Verdict {
        if other.ruling.strength() > self.ruling.strength() {
            self.ruling = other.ruling;
        }
        for policy in other.flagged_by {
            if !self.flagged_by.contains(&policy) {
                self.flagged_by.push(policy);
            }
        }
        add_new(&mut self.reasons, other.reasons);
        self
    }

    /// Its reply says that it is about this recipient's settings, not all recipients'.
    pub fn name(&mut self, recipient: &Mailbox) {
        if let Ruling::Reject(reply) | Ruling::Defer(reply) = &mut self.ruling {
            reply.text.push_str(&format!(" (for {recipient})"));
        }
    }
}

/// Units share settings, and what they say of one message need not be said twice.
fn add_new(reasons: &mut Vec<Reason>, more: Vec<Reason>) {
    for reason in more {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
}

impl Ruling {
    fn strength(&self) -> u8 {
        match self {
            Ruling::Accept => 0,
            Ruling::Defer(_) | Ruling::Failed(_) => 1,
            Ruling::Reject(_) => 2,
        }
    }
}

/// What joins a floor besides the policies' own demands.
#[derive(Clone, Debug, Default)]
pub struct Standing<'a> {
    /// Name and demands of the route.
    pub route: Option<(&'a str, &'a [Demand])>,
    /// Policies that asked for secure transport when the message arrived; written in the entry, nothing removes them.
    pub flags: &'a [String],
    /// A report of a message that came by TLS (H6).
    pub report_of_tls: bool,
    /// What came with REQUIRETLS.
    pub require_tls: Option<RequireTls>,
}

/// What REQUIRETLS asks of the next hop (RFC 8689).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequireTls {
    /// TLS with a verified, proven host that passes the demand on (§4.2.1).
    Passed,
    /// Of mail from the null sender: TLS; the rest is no reason to give it up (§5).
    TlsAlone,
}

impl RequireTls {
    /// What it demands.
    pub fn demands(self) -> &'static [Demand] {
        match self {
            RequireTls::Passed => &[Demand::Tls, Demand::VerifiedServer, Demand::RequireTls],
            RequireTls::TlsAlone => &[Demand::Tls],
        }
    }
}

/// The chain's answer on one recipient's way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What its next hop must give.
    pub floor: TlsFloor,
    /// Take this route instead of the recipient's own.
    pub take_route: Option<String>,
    /// What to do when no host can meet the floor; empty: retry by the schedule.
    pub fallback: Vec<FallbackStep>,
    /// All, in the chain's order.
    pub reasons: Vec<Reason>,
}

/// Joins the chain's `plan`. One failed decision fails the plan: there is no floor then, hence no permit.
pub fn join_plans(standing: &Standing<'_>, calls: Vec<Called<PlanCall>>) -> Called<Plan> {
    if calls.is_empty() {
        return Err(no_policy());
    }
    let mut demands: Vec<Sourced> = standing_demands(standing);
    let (mut take_route, mut fallback, mut reasons) = (None, Vec::new(), Vec::new());
    for call in calls {
        let call = call?;
        let source = |rule: String| Source::Rule { policy: call.policy.clone(), rule };
        demands.extend(call.demands.into_iter().map(|(demand, rule)| (demand, source(rule))));
        take_route = take_route.or(call.take_route);
        if fallback.is_empty() {
            fallback = call.fallback;
        }
        add_new(&mut reasons, call.reasons);
    }
    Ok(Plan { floor: TlsFloor::of_finished_chain(demands), take_route, fallback, reasons })
}

fn standing_demands(standing: &Standing<'_>) -> Vec<Sourced> {
    let mut demands = Vec::new();
    if let Some((name, route)) = standing.route {
        demands.extend(route.iter().map(|demand| (demand.clone(), Source::Route(name.to_owned()))));
    }
    demands.extend(standing.flags.iter().map(|policy| (Demand::Tls, Source::Flag(policy.clone()))));
    let require_tls = standing.require_tls.map_or(&[][..], RequireTls::demands);
    demands.extend(require_tls.iter().map(|demand| (demand.clone(), Source::RequireTls)));
    if standing.report_of_tls {
        demands.push((Demand::Tls, Source::Report));
    }
    demands
}

impl Plan {
    /// This first plan with the second one of a route it took: both floors join; routes and fallbacks named in the
    /// second are ignored.
    #[must_use]
    pub fn with_second(mut self, second: Plan) -> Plan {
        self.floor = self.floor.joined(&second.floor);
        self.reasons.extend(second.reasons);
        self
    }
}

/// The chain's answer on one host.
#[derive(Debug)]
pub enum Judgement {
    /// No policy objects.
    Cleared(Cleared),
    /// Some policy does: the first reply in the chain's order, and all reasons.
    Objected {
        /// Whose reply it is.
        policy: String,
        /// Conclusive with 5xx, inconclusive with 4xx; used if no other host does either.
        reply: Reply,
        /// All, in the chain's order.
        reasons: Vec<Reason>,
    },
    /// A policy could not decide.
    Failed(FailedDecision),
}

/// Joins the chain's `judge`. A failed decision beats an objection: it defers and uses up no round.
pub fn join_judges(calls: Vec<Called<JudgeCall>>) -> Judgement {
    if calls.is_empty() {
        return Judgement::Failed(no_policy());
    }
    let (mut objection, mut all_reasons) = (None, Vec::new());
    for call in calls {
        let JudgeCall { policy, objection: reply, reasons } = match call {
            Ok(call) => call,
            Err(failed) => return Judgement::Failed(failed),
        };
        all_reasons.extend(reasons);
        objection = objection.or(reply.map(|reply| (policy, reply)));
    }
    match objection {
        None => Judgement::Cleared(Cleared::by_the_whole_chain()),
        Some((policy, reply)) => Judgement::Objected { policy, reply, reasons: all_reasons },
    }
}

fn no_policy() -> FailedDecision {
    let detail = "there is no policy in the chain to decide".to_owned();
    FailedDecision { policy: String::new(), cause: FailureCause::Unavailable, detail }
}

impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FailureCause::Trap => "it trapped",
            FailureCause::Overrun => "it ran out of time",
            FailureCause::Limit => "it went over a limit",
            FailureCause::Err => "it returned an error",
            FailureCause::NotConcluded => "it returned without concluding",
            FailureCause::Unavailable => "it could not be run",
        })
    }
}

impl fmt::Display for FailedDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy {:?} could not decide: {} ({})", self.policy, self.cause, self.detail)
    }
}

impl std::error::Error for FailedDecision {}

#[cfg(test)]
mod tests;
