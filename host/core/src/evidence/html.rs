//! The document as a page for people. Every word of it is a stranger's until proven otherwise.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::{Counts, Evidence, InForce, Inbound, Outbound};
use crate::report::escaped;
use crate::visible::visible;

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\n";

const STYLE: &str = "body{font-family:sans-serif;max-width:60em;margin:2em}table{border-collapse:collapse;margin:0 0 1em}\
    td,th{border:1px solid #999;padding:.2em .6em;text-align:left;overflow-wrap:anywhere}td.n{text-align:right}";

/// The page's style as a Content-Security-Policy names it (CSP Level 3, section 2.3.1): no other will do.
pub fn style_hash() -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(STYLE)))
}

/// The whole page.
pub(super) fn page(evidence: &Evidence, key: &str, signature: &str) -> String {
    let Evidence { relay, domain, month, made_at, covers, inbound, outbound, settings, audit_head, .. } = evidence;
    let title = format!("Transport security of mail with {domain}, {month}");
    let policy = format!("default-src 'none'; style-src '{}'", style_hash());
    let mut page = format!(
        "{HEAD}<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n<style>{STYLE}</style>\n\
         <title>{0}</title></head>\n<body>\n<h1>{0}</h1>\n",
        text(&title)
    );
    let numbers = covers.numbers.map(|(first, last)| format!(", numbers {first} to {last}")).unwrap_or_default();
    let made_of = format!("Told by {relay} at {made_at}, of {} records of its ledger{numbers}.", covers.records);
    paragraph(&mut page, &made_of);
    if !covers.month_is_over {
        paragraph(&mut page, "The month was not over.");
    }
    if !covers.whole {
        paragraph(&mut page, "Records of this month are kept no longer: there was more than is counted here.");
    }
    self::inbound(&mut page, inbound);
    self::outbound(&mut page, outbound);
    self::settings(&mut page, settings);
    heading(&mut page, "Proof");
    let proof = [
        ("Audit log's head", audit_head.to_string()),
        ("Public key", key.to_owned()),
        ("Signature over the JSON document", signature.to_owned()),
    ];
    rows(&mut page, proof.iter().map(|(name, value)| (*name, value.as_str())));
    page.push_str("</body>\n</html>\n");
    page
}

fn inbound(page: &mut String, inbound: &Inbound) {
    heading(page, "Inbound: messages from the domain");
    let by_tls = inbound.accepted - inbound.accepted_in_clear.min(inbound.accepted);
    numbers(
        page,
        &[
            ("Accepted", inbound.accepted),
            ("of these over TLS", by_tls),
            ("of these in clear", inbound.accepted_in_clear),
            ("Refused", inbound.refused),
            ("of these in clear", inbound.refused_in_clear),
            ("Put off", inbound.deferred),
        ],
    );
    table(page, "TLS version", &inbound.tls_versions);
    table(page, "Cipher suite", &inbound.cipher_suites);
    table(page, "Accepted, with the reason of a policy", &inbound.accepted_with);
    table(page, "Refused or put off by", &inbound.turned_away_by);
    table(page, "Secure transport asked for by policy", &inbound.flagged_by);
    table(page, "Client", &inbound.clients);
}

fn outbound(page: &mut String, outbound: &Outbound) {
    heading(page, "Outbound: rounds for recipients of the domain");
    let by_tls = outbound.delivered - outbound.delivered_in_clear.min(outbound.delivered);
    numbers(
        page,
        &[
            ("Delivered", outbound.delivered),
            ("of these over TLS", by_tls),
            ("of these in clear", outbound.delivered_in_clear),
            ("Not sent: no host gave what was demanded", outbound.floor_unmet),
            ("Refused by the next hop", outbound.refused.total()),
            ("Not settled", outbound.inconclusive),
            ("A policy could not decide", outbound.failed_decisions),
            ("Reported to senders", outbound.reported),
        ],
    );
    table(page, "TLS version", &outbound.tls_versions);
    table(page, "Cipher suite", &outbound.cipher_suites);
    table(page, "Verified", &outbound.verified);
    table(page, "Demanded, and by whom", &outbound.demanded);
    table(page, "Reason of a policy", &outbound.reasons);
    table(page, "Lacking where nothing was sent", &outbound.unmet);
    table(page, "Refused with", &outbound.refused);
    table(page, "Route", &outbound.routes);
    table(page, "Host", &outbound.hosts);
    table(page, "Certificate", &outbound.certificates);
}

fn settings(page: &mut String, settings: &[InForce]) {
    heading(page, "Settings in force");
    page.push_str("<table>\n<tr><th>Revision</th><th>Since</th><th>By</th><th>Note</th><th>SHA-256</th></tr>\n");
    for InForce { revision, since, by, note, sha_256 } in settings {
        page.push_str("<tr>");
        for cell in [&revision.to_string(), since, by, note, sha_256] {
            let _ = write!(page, "<td>{}</td>", text(cell));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n");
}

fn table(page: &mut String, title: &str, counts: &Counts) {
    if counts.total() == 0 {
        return;
    }
    let _ = write!(page, "<table>\n<tr><th>{}</th><th>Count</th></tr>\n", text(title));
    let others = (counts.others > 0).then_some(("others", counts.others));
    for (word, count) in counts.counts.iter().map(|(word, count)| (word.as_str(), *count)).chain(others) {
        let _ = writeln!(page, "<tr><td>{}</td><td class=\"n\">{count}</td></tr>", text(word));
    }
    page.push_str("</table>\n");
}

fn numbers(page: &mut String, numbers: &[(&str, u64)]) {
    let numbers: Vec<_> = numbers.iter().map(|(name, number)| (*name, number.to_string())).collect();
    rows(page, numbers.iter().map(|(name, number)| (*name, number.as_str())));
}

fn rows<'a>(page: &mut String, rows: impl Iterator<Item = (&'a str, &'a str)>) {
    page.push_str("<table>\n");
    for (name, value) in rows {
        let _ = writeln!(page, "<tr><th>{}</th><td>{}</td></tr>", text(name), text(value));
    }
    page.push_str("</table>\n");
}

fn heading(page: &mut String, words: &str) {
    let _ = writeln!(page, "<h2>{}</h2>", text(words));
}

fn paragraph(page: &mut String, words: &str) {
    let _ = writeln!(page, "<p>{}</p>", text(words));
}

fn text(words: &str) -> String {
    escaped(&visible(words))
}
