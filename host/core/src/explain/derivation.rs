//! How one policy came to its decision, in lines: as `explain` tells of a recorded one, and `decide` of one of the moment.
//!
//! 1. By whose settings: policy, unit, generation, revision of the settings.
//! 2. What was looked up: entries met, and where nobody was listed.
//! 3. The facts that were read; whatever else there was played no part.
//! 4. The rules that had something to say, and which demand each of them made.

use crate::floor::Demand;
use crate::ledger::DecisionRecord;
use crate::reason::Reason;
use crate::time::rfc3339;
use crate::visible::visible;
use serde::Deserialize;
use serde_json::Value;

/// Facts that are no facts of the message, but what the generation's lists and routes say.
const OF_GENERATION: [&str; 5] = ["find(", "get-list(", "get-route(", "route.", "entry."];
/// Characters of a fact's value that are shown.
const VALUE_SHOWN: usize = 200;
/// Facts that are shown; `--json` has all of them.
const FACTS_SHOWN: usize = 40;

/// The whole derivation; its first line is not indented.
pub fn lines(record: &DecisionRecord) -> Vec<String> {
    let mut lines = vec![format!("{} by policy {}: {}", record.hook, visible(&record.policy), result(record))];
    lines.push(format!("  settings: {}", settings(record)));
    lines.extend(looked_up(record));
    lines.extend(facts(record));
    lines.extend(record.reasons.iter().flat_map(rule));
    lines.extend(demands(record));
    lines
}

/// What it came to.
fn result(record: &DecisionRecord) -> String {
    let of = |key: &str| record.result.get(key).filter(|value| !value.is_null());
    let reply = |value: &Value| {
        let words: Option<crate::reply::Reply> = Deserialize::deserialize(value).ok();
        visible(&words.map_or_else(|| value.to_string(), |reply| reply.to_string()))
    };
    if let Some(failed) = of("failed") {
        let word = |key: &str| visible(failed[key].as_str().unwrap_or_default());
        return format!("it could not decide ({}): {}", word("cause"), word("detail"));
    }
    let flag = match record.result.get("require-secure-transport") {
        Some(Value::Bool(true)) => "; asks for secure transport on every later hop",
        _ => "",
    };
    match record.hook.as_str() {
        "plan" => match of("demands").and_then(Value::as_array).map_or(0, Vec::len) {
            0 => "it demands nothing".to_owned(),
            1 => "1 demand".to_owned(),
            count => format!("{count} demands"),
        },
        "judge" => {
            of("objection").map_or_else(|| "no objection".to_owned(), |said| format!("objects: {}", reply(said)))
        }
        _ => match (of("reject"), of("defer")) {
            (Some(said), _) => format!("refused: {}{flag}", reply(said)),
            (None, Some(said)) => format!("deferred: {}{flag}", reply(said)),
            (None, None) => format!("accepted{flag}"),
        },
    }
}

fn settings(record: &DecisionRecord) -> String {
    let internal = if record.internal { ", as mail within the organization" } else { "" };
    let revision = match record.revision {
        0 => "no revision".to_owned(),
        number if record.revision_at == 0 => format!("revision {number}"),
        number => format!("revision {number} of {}", rfc3339(record.revision_at)),
    };
    format!("{revision}, of unit {}{internal}, in generation {}", record.unit.join("/"), record.generation)
}

fn looked_up(record: &DecisionRecord) -> Vec<String> {
    let Value::Object(facts) = &record.facts else { return Vec::new() };
    let found = facts.iter().filter_map(|(name, entry)| {
        let (list, who) = name.strip_prefix("find(")?.strip_suffix(')')?.split_once(", ")?;
        let (list, who) = (visible(list), visible(who));
        Some(match entry.as_str() {
            Some(entry) => format!("  listed: {who}, in list {list} by entry {}", visible(entry)),
            None => format!("  not listed: {who}, in list {list}"),
        })
    });
    found.collect()
}

fn facts(record: &DecisionRecord) -> Vec<String> {
    let Value::Object(facts) = &record.facts else { return Vec::new() };
    let of_message = facts.iter().filter(|(name, _)| !OF_GENERATION.iter().any(|prefix| name.starts_with(prefix)));
    let mut lines: Vec<String> =
        of_message.map(|(name, fact)| format!("  fact: {} = {}", visible(name), value(fact))).collect();
    if lines.is_empty() {
        return vec!["  no fact was read".to_owned()];
    }
    let more = lines.len().saturating_sub(FACTS_SHOWN);
    lines.truncate(FACTS_SHOWN);
    if more > 0 {
        lines.push(format!("  and {more} facts more, in --json"));
    }
    lines
}

fn value(fact: &Value) -> String {
    let text = match fact {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(all) if all.is_empty() => "none".to_owned(),
        Value::Array(all) if all.iter().all(Value::is_string) => {
            all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    let text = visible(&text);
    match text.char_indices().nth(VALUE_SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// A rule that had something to say.
pub(super) fn rule(reason: &Reason) -> Vec<String> {
    let mut lines = vec![format!("  rule {}: {}", visible(&reason.rule), visible(&reason.text))];
    for (name, detail) in [("matched", &reason.matched), ("detail", &reason.detail)] {
        lines.extend(detail.iter().map(|detail| format!("    {name}: {}", visible(detail))));
    }
    lines
}

fn demands(record: &DecisionRecord) -> Vec<String> {
    let demands: Vec<(Demand, String)> =
        record.result.get("demands").and_then(|value| Deserialize::deserialize(value).ok()).unwrap_or_default();
    let by =
        |rule: &str| if rule.is_empty() { "without a reason".to_owned() } else { format!("by rule {}", visible(rule)) };
    let demand = |(demand, rule): (Demand, String)| format!("  demands: {demand}, {}", by(&rule));
    let mut lines: Vec<String> = demands.into_iter().map(demand).collect();
    let route = record.result.get("take-route").and_then(Value::as_str);
    lines.extend(route.map(|route| format!("  takes route: {}", visible(route))));
    let steps = record.result.get("fallback").and_then(Value::as_array);
    for step in steps.into_iter().flatten() {
        let route = step["route"].as_str().map(|route| format!(" {}", visible(route))).unwrap_or_default();
        lines.push(format!("  if no host does: {}{route}", step["step"].as_str().unwrap_or_default()));
    }
    lines
}

#[cfg(test)]
mod tests;
