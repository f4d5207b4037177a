//! What a preview found, in sentences first, then row by row, with examples.

use std::collections::BTreeSet;

use sealwire_core::visible::visible;
use sealwire_relay::preview::{Difference, Found, Had, State};

/// Rows that are shown; `--json` has all of them.
const ROWS_SHOWN: usize = 30;

/// One line while it goes on.
pub(super) fn progress(found: &Found) -> String {
    let share = (found.done * 100).checked_div(found.total).unwrap_or_default();
    format!("{share}%  {} of {} records, {} decisions made again", found.done, found.total, found.replayed)
}

/// All of it.
pub(super) fn tell(found: &Found) -> Vec<String> {
    let mut lines = sentences(found);
    if !found.differences.is_empty() {
        lines.push(String::new());
        let shown = found.differences.iter().take(ROWS_SHOWN);
        shown.for_each(|row| lines.extend(row_lines(row)));
        let rest = found.differences.len().saturating_sub(ROWS_SHOWN);
        if rest > 0 {
            lines.push(format!("and {rest} rows more, in --json"));
        }
        if found.beyond > 0 {
            lines.push(format!("and {} differences that are not told apart any more", found.beyond));
        }
        lines.push(String::new());
    }
    lines.extend(reach(found));
    lines
}

/// One sentence for each kind of difference, over all domains.
fn sentences(found: &Found) -> Vec<String> {
    let mut kinds: Vec<(&str, &str)> = Vec::new();
    for row in &found.differences {
        let kind = (row.hook.as_str(), row.change.as_str());
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    if kinds.is_empty() {
        return vec!["nothing would have been another".to_owned()];
    }
    let sentence = |(hook, change): (&str, &str)| {
        let rows = || found.differences.iter().filter(|row| row.hook == hook && row.change == change);
        let domains = rows().map(|row| row.domain.as_str()).collect::<BTreeSet<_>>();
        let of = match domains.first() {
            Some(only) if domains.len() == 1 => whose(hook, only),
            _ => format!("of {} domains", domains.len()),
        };
        let count: u64 = rows().map(|row| row.count).sum();
        let later: u64 = rows().map(|row| row.later_rounds).sum();
        let again = if later > 0 { format!(" (and in {later} later rounds)") } else { String::new() };
        let had = rows().filter_map(|row| row.had).reduce(|one, other| Had {
            yes: one.yes + other.yes,
            no: one.no + other.no,
            unknown: one.unknown + other.unknown,
        });
        let had = had.filter(|_| count > 0).map(had_words).unwrap_or_default();
        format!("{count} {} {of} {}{again}{had}", noun(hook, count), would(change))
    };
    kinds.into_iter().map(sentence).collect()
}

fn noun(hook: &str, count: u64) -> String {
    let one = match hook {
        "receive" => "message",
        "plan" => "recipient",
        _ => "host",
    };
    if count == 1 { one.to_owned() } else { format!("{one}s") }
}

fn whose(hook: &str, domain: &str) -> String {
    let domain = if domain.is_empty() { "a domain that is not on record".to_owned() } else { visible(domain) };
    match hook {
        "receive" => format!("from {domain}"),
        "plan" => format!("at {domain}"),
        _ => format!("for {domain}"),
    }
}

/// What follows "12 recipients".
fn would(change: &str) -> String {
    const FLAG: &str = "secure transport asked for";
    let change = visible(change);
    let rest = |prefix: &str| change.strip_prefix(prefix).map(ToOwned::to_owned);
    if let Some(more) = rest("+ ") {
        let verb = if more.starts_with(FLAG) { "had" } else { "needed" };
        return format!("would have {verb} {more}");
    }
    if let Some(less) = rest("- ") {
        let verb = if less.starts_with(FLAG) { "had" } else { "needed" };
        return format!("would no longer have {verb} {less}");
    }
    if let Some(route) = rest("route: ") {
        return format!("would have gone by another route: {route}");
    }
    if let Some(steps) = rest("if no host does: ") {
        return format!("would have had another fallback: {steps}");
    }
    match change.split_once(" -> ") {
        Some((before, after)) => format!("would have been {after} instead of {before}"),
        None => "would have met the same end, for other reasons".to_owned(),
    }
}

fn had_words(had: Had) -> String {
    let Had { yes, no, unknown } = had;
    let unknown = if unknown > 0 { format!(", of {unknown} it is not known") } else { String::new() };
    format!("; of these {yes} had it, {no} had not{unknown}")
}

fn row_lines(row: &Difference) -> Vec<String> {
    let had = row.had.filter(|_| row.count > 0).map(had_words).unwrap_or_default();
    let later =
        if row.later_rounds > 0 { format!(", and in {} later rounds", row.later_rounds) } else { String::new() };
    let (whose, change) = (whose(&row.hook, &row.domain), visible(&row.change));
    let count = row.count;
    let by = visible(&row.policies);
    let mut lines = vec![format!("{count} {} {whose}: {change}, by {by}{later}{had}", noun(&row.hook, count))];
    for example in &row.examples {
        let about = if example.about.is_empty() { String::new() } else { format!("  {}", visible(&example.about)) };
        lines.push(format!("    {}{about}", visible(&example.message)));
        lines.push(format!("      was: {}", visible(&example.before)));
        lines.push(format!("      would have been: {}", visible(&example.after)));
    }
    lines
}

/// How far it came, and what it cannot tell.
fn reach(found: &Found) -> Vec<String> {
    let Found { done, total, replayed, not_replayable, per_second, span, .. } = found;
    let days = span.days;
    let mut lines = Vec::new();
    match found.state {
        State::OutOfTime => lines.push(format!(
            "ended by its time: {done} of {total} records of the last {days} days were read, the newest first; \
             --within gives it longer"
        )),
        State::Cancelled => {
            lines.push(format!(
                "stopped: {done} of {total} records of the last {days} days were read, the newest first"
            ));
        }
        _ => lines.push(format!("all {total} records of the last {days} days were read")),
    }
    lines.push(format!("{replayed} decisions made again, {per_second} a second; not replayable: {not_replayable}"));
    lines.extend(found.why_not.iter().map(|(why, count)| format!("  {count}  {}", visible(why))));
    lines
}

#[cfg(test)]
mod tests;
