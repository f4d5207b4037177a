//! Why a message met the end it met; and what would become of one that nobody has sent. In the command's words.

use schemars::JsonSchema;
use sealwire_core::explain::RulesTried;
use serde::{Deserialize, Serialize};

use crate::decide::{DecideRequest, Decision, Stage, decide_live};
use crate::explain::{ExplainedRecord, explained};
use crate::http::ask::{Ask, Json, Pairs};
use crate::http::endpoint::{Answer, Reply, Value};
use crate::http::problem::Problem;

/// A message by its id.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Of {
    /// As the log has it.
    message: String,
}

/// Whose copy.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    /// This recipient's alone; a mailbox, any case.
    recipient: Option<String>,
}

/// What the ledger has of a message, explained.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Explanation {
    /// Id of the message.
    pub message: String,
    /// Record by record, in the order of writing; those with nothing to explain are left out.
    pub records: Vec<Explained>,
    /// False: there are more than 10,000 records, and these are of the last ones.
    pub whole: bool,
}

/// One record.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Explained {
    /// Its number in the log.
    pub number: u64,
    /// In lines: when and what; further lines are indented.
    pub lines: Vec<String>,
    /// Of a decision: which rules its policy tried, asked now by the facts on record; the last of the lines say the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried: Option<RulesTried>,
}

/// What the policies make of a message that nobody has sent, explained.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Foretold {
    /// What was asked.
    pub stage: Stage,
    /// Which generation decided.
    pub generation: u64,
    /// One for receive, one for each recipient of plan and judge.
    pub results: Vec<ForetoldDecision>,
}

/// One decision of the whole chain.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ForetoldDecision {
    /// Whose copy; none for the message as a whole.
    pub recipient: Option<String>,
    /// As of `decide`.
    pub result: String,
    /// What came of it, and how each policy came to that.
    pub lines: Vec<String>,
    /// Which rules each policy tried; the lines say the same.
    pub tried: Vec<RulesTried>,
}

impl Pairs for Of {}
impl Pairs for Whose {}
impl Value for Explanation {}
impl Value for Foretold {}

pub(super) async fn of_message(ask: Ask<Of, Whose>) -> Answer<Explanation> {
    let message = ask.path.message;
    let within = Some(ask.scope).filter(|scope| !scope.is_all());
    let found = explained(&ask.api.relay, &message, ask.query.recipient.as_deref(), within).await?;
    let found = found.ok_or_else(|| Problem::not_found(format!("the log has nothing of message {message:?}")))?;
    let told =
        |record: ExplainedRecord| Explained { number: record.line.number, lines: record.lines(), tried: record.tried };
    let records = found.records.into_iter().map(told).filter(|explained| !explained.lines.is_empty()).collect();
    let whole = found.whole;
    Ok(Reply::new(Explanation { message, records, whole }))
}

pub(super) async fn of_facts(ask: Ask<(), (), Json<DecideRequest>>) -> Answer<Foretold> {
    let Json(request) = ask.body;
    let answer = decide_live(&ask.api.relay, &request).await.map_err(Problem::unprocessable)?;
    let told = |decision: Decision| ForetoldDecision {
        lines: decision.explained(),
        recipient: decision.recipient,
        tried: decision.tried,
        result: decision.result,
    };
    let results = answer.results.into_iter().map(told).collect();
    Ok(Reply::new(Foretold { stage: answer.stage, generation: answer.generation, results }))
}
