//! `status`: how the running relay does, on one screen.

use std::collections::BTreeMap;

use sealwire_admin::Client;
use serde_json::Value;

use crate::failure::Failure;
use crate::output::{Output, Tone, now, span};

/// Domains shown; `--json` has all of them.
const TOP_DOMAINS: usize = 5;

pub(crate) async fn run(client: &Client, output: &Output) -> Result<(), Failure> {
    let status: Value = client.get("/v1/status").await?;
    output.either(&status, |status| tell(status, output));
    Ok(())
}

fn tell(status: &Value, output: &Output) {
    let text = |path: &str| status.pointer(path).map(words).unwrap_or_default();
    let number = |path: &str| status.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let up = span(now().saturating_sub(number("/started-at")));
    output.pairs(&[
        ("relay", format!("{}, sealwire {}, up {up}", text("/hostname"), text("/version"))),
        ("listens", listeners(status)),
        ("sessions", text("/sessions")),
        ("policies", policies(status)),
        ("lists", lists(status)),
        ("settings", format!("revision {}, generation {}", text("/settings-revision"), text("/generation/number"))),
        ("audit log", text("/audit-head")),
        ("queue", queue(status)),
        (
            "received",
            format!("{} over TLS, {} in clear", number("/totals/received-tls"), number("/totals/received-clear")),
        ),
        ("turned away", format!("{} refused, {} deferred", number("/totals/refused"), number("/totals/deferred"))),
        (
            "delivered",
            format!("{} over TLS, {} in clear", number("/totals/delivered-tls"), number("/totals/delivered-clear")),
        ),
        (
            "TLS unmet",
            format!(
                "{} rounds, {} senders told",
                number("/totals/tls-required-but-unavailable"),
                number("/totals/reported")
            ),
        ),
        ("  by domain", unmet_by_domain(status)),
        ("decisions", format!("{}, {} failed", number("/totals/decisions"), number("/totals/failed-decisions"))),
        ("sandbox", sandbox(status)),
        ("DNSSEC", text("/dnssec")),
        ("probes", format!("{} of {} domains well", number("/probes/well"), number("/probes/probed"))),
        ("TLS reports", tls_reports(status)),
        ("  received", tls_reports_received(status)),
    ]);
    for troubled in array(status, "/probes/troubled") {
        let findings: Vec<String> =
            troubled["findings"].as_array().into_iter().flatten().map(|finding| words(&finding["text"])).collect();
        let (destination, state) = (words(&troubled["destination"]), words(&troubled["state"]));
        output.toned(Tone::Bad, &format!("probe of {destination}: {state}: {}", findings.join("; ")));
    }
    for list in array(status, "/revocation-lists") {
        output.toned(Tone::Bad, &words(list));
    }
    for downgrade in array(status, "/downgrades") {
        let (destination, host) = (words(&downgrade["destination"]), words(&downgrade["host"]));
        let text = format!("lost protection: {destination} at {host}; see `sealwire downgrades list`");
        output.toned(Tone::Bad, &text);
    }
    for alert in array(status, "/alerts") {
        let at = alert["at-ms"].as_u64().unwrap_or(0) / 1000;
        let ago = span(now().saturating_sub(at));
        output.toned(Tone::Bad, &format!("alert, {ago} ago: {}", words(&alert["text"])));
    }
}

fn listeners(status: &Value) -> String {
    let listener = |pair: &Value| format!("{} ({})", words(&pair[1]), words(&pair[0]));
    joined(array(status, "/listeners").iter().map(listener))
}

fn policies(status: &Value) -> String {
    let policy = |policy: &Value| {
        let digest: String = words(&policy["component"]).chars().take(12).collect();
        format!("{} ({digest})", words(&policy["name"]))
    };
    joined(array(status, "/generation/policies").iter().map(policy))
}

fn lists(status: &Value) -> String {
    let list = |list: &Value| format!("{} ({} entries)", words(&list["name"]), words(&list["entries"]));
    match array(status, "/generation/lists") {
        [] => "none".to_owned(),
        lists => joined(lists.iter().map(list)),
    }
}

fn queue(status: &Value) -> String {
    let queue = &status["queue"];
    if queue.is_null() {
        return "the store does not answer".to_owned();
    }
    let of = |key: &str| queue[key].as_u64().unwrap_or(0);
    let held = if of("held") > 0 { format!(", {} held", of("held")) } else { String::new() };
    let on_hold = if of("on-hold") > 0 { format!(", {} on hold by operators", of("on-hold")) } else { String::new() };
    let failed = match of("failed-decisions") {
        0 => String::new(),
        failed => format!(", {failed} waiting for a policy that cannot decide"),
    };
    let oldest = match queue["oldest-arrived-at"].as_u64() {
        Some(at) => format!(", oldest {}", span(now().saturating_sub(at))),
        None => String::new(),
    };
    format!("{} messages, {} recipients waiting{held}{on_hold}{failed}{oldest}", of("entries"), of("queued"))
}

fn sandbox(status: &Value) -> String {
    let sandbox = &status["sandbox"];
    let on = |key: &str| if sandbox[key].as_bool().unwrap_or(false) { "on" } else { "off" };
    let (threads, pool, scan) = (words(&sandbox["threads"]), on("pooling"), on("pagemap-scan"));
    format!("{threads} threads, instance pool {pool}, pagemap scan {scan}")
}

/// What is told to other domains (RFC 8460).
fn tls_reports(status: &Value) -> String {
    let reports = &status["tls-reports"];
    if !reports["enabled"].as_bool().unwrap_or(false) {
        return "off, as configured".to_owned();
    }
    let of = |key: &str| reports[key].as_u64().unwrap_or(0);
    let last = &reports["last"];
    let last = if last.is_null() {
        String::new()
    } else {
        let ago = span(now().saturating_sub(last["at"].as_u64().unwrap_or(0)));
        format!("; last {ago} ago to {}: {}", words(&last["to"]), words(&last["result"]))
    };
    let (counted, waiting) = (of("counted"), of("waiting"));
    format!("{counted} domains counted, {waiting} waiting, {} taken, {} given up{last}", of("taken"), of("given-up"))
}

/// What others told in the last seven days of TLS on the way to our domains: the worst first.
fn tls_reports_received(status: &Value) -> String {
    let received = &status["tls-reports-received"];
    let reports = match received["reports"].as_u64().unwrap_or(0) {
        0 => return "none in 7 days".to_owned(),
        reports => reports,
    };
    let of = |counts: &Value, key: &str| counts[key].as_u64().unwrap_or(0);
    let mut domains: Vec<(&String, &Value)> = received["domains"].as_object().into_iter().flatten().collect();
    domains.sort_by_key(|(_, counts)| std::cmp::Reverse(of(counts, "failed")));
    let more = domains.len().saturating_sub(TOP_DOMAINS);
    let told = domains.iter().take(TOP_DOMAINS).map(|(domain, counts)| {
        let results = counts["results"].as_object().into_iter().flatten();
        let worst = results.max_by_key(|(_, count)| count.as_u64()).map(|(kind, _)| format!(", most {kind}"));
        let (good, bad) = (of(counts, "successful"), of(counts, "failed"));
        format!("{domain} ({good} sessions as asked, {bad} not{})", worst.unwrap_or_default())
    });
    let told = joined(told);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{reports} in 7 days: {told}{more}")
}

/// The domains that lack TLS most often: messages turned away, and rounds without a host that would do.
fn unmet_by_domain(status: &Value) -> String {
    let mut unmet: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let of = |direction: &str| status.pointer(&format!("/totals/domains/{direction}")).and_then(Value::as_object);
    let counted = |counts: &Value| counts["tls-required-but-unavailable"].as_u64().unwrap_or(0);
    for (domain, counts) in of("inbound").into_iter().flatten() {
        unmet.entry(domain).or_default().0 = counted(counts);
    }
    for (domain, counts) in of("outbound").into_iter().flatten() {
        unmet.entry(domain).or_default().1 = counted(counts);
    }
    let mut unmet: Vec<_> = unmet.into_iter().filter(|(_, (inbound, outbound))| inbound + outbound > 0).collect();
    unmet.sort_by_key(|(_, (inbound, outbound))| std::cmp::Reverse(inbound + outbound));
    if unmet.is_empty() {
        return "none".to_owned();
    }
    let more = unmet.len().saturating_sub(TOP_DOMAINS);
    let top = unmet.iter().take(TOP_DOMAINS);
    let top = joined(top.map(|(domain, (inbound, outbound))| format!("{domain} ({inbound} in, {outbound} out)")));
    if more > 0 { format!("{top} and {more} more") } else { top }
}

fn array<'a>(status: &'a Value, path: &str) -> &'a [Value] {
    status.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn words(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}
