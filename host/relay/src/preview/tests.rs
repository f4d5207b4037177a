//! The built-in policy with all its rules over a table of messages: replayed by the generation that decided, everything is
//! the same again; by another, what differs is told.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use sealwire_core::address::Mailbox;
use sealwire_core::facts::{
    ChainVerdict, ChannelFacts, ChannelState, ClientFacts, DestinationFacts, Handshake, HopFacts, MessageFacts,
    RouteKind, TlsVersion,
};
use sealwire_core::ledger::DecisionRecord;
use sealwire_core::units::UnitPath;
use sealwire_policy::{Sandbox, SandboxConfig};

use super::*;
use crate::config::{self, Surroundings};
use crate::dns::SystemResolver;
use crate::evaluate::judge_arrival;
use crate::live::{Builtins, Parts, build};
use crate::settings::SettingsDocument;
use crate::simulation::guest;

const CONFIG: &str = r#"
hostname = "relay.test"
trusted-networks = ["192.0.2.0/24"]
hosted-domains = ["ours.test"]
[[route]]
name = "mx"
mx = true
default = true
[[route]]
name = "gateway"
match = ["gated.test"]
hosts = [{ host = "127.0.0.1" }]
[[route]]
name = "vault"
hosts = [{ host = "127.0.0.2" }]
tls = "required"
alternate-secure = true
"#;

/// Every rule, an exception, one that is observed, one that is over, and a unit of its own.
pub(super) const ALL_RULES: &str = r#"
[units.sales]
trusted-networks = ["198.51.100.0/24"]
[lists.banks]
entries = ["bank.test", "*.bank.test", "ann@people.test"]
[lists.late]
entries = ["late.bank.test"]
[lists.via]
entries = ["gated.test", "via.test"]
[policy.secure-transport]
tls-report-mailbox = "tlsrpt@ours.test"
alternate-secure-route-for-unlisted = "vault"
[[policy.secure-transport.settings]]
description = "Banks"
scopes = ["inbound", "outbound"]
lists = ["banks"]
require-ca-signed-certificate = true
validate-hostname = true
minimum-tls-version = "1.3"
alternate-secure-route = "vault"
exceptions = [{ lists = ["late"], until = "2099-01-01", reason = "they move" }]
[[policy.secure-transport.settings]]
description = "Via another"
scopes = ["outbound-via-another-setting"]
lists = ["via"]
require-ca-signed-certificate = true
[[policy.secure-transport.settings]]
description = "Observed"
scopes = ["inbound", "outbound"]
lists = ["via"]
observe-only = true
validate-hostname = true
[[policy.secure-transport.settings]]
description = "Over"
scopes = ["inbound", "outbound"]
lists = ["via"]
valid-until = "2001-01-01"
[[policy.secure-transport.settings]]
description = "Sales"
unit = "sales"
scopes = ["inbound", "outbound"]
lists = ["via"]
"#;

/// One setting, after none at all.
pub(super) const FIRST: &str = r#"
[lists.other]
entries = ["other.test"]
[[policy.secure-transport.settings]]
description = "First"
scopes = ["inbound", "outbound"]
lists = ["other"]
"#;

const NOW: u64 = 1_900_000_000;

pub(super) fn built(sandbox: &Sandbox, settings: &str, number: u64) -> Live {
    let text =
        format!("{CONFIG}[[policy]]\nname = \"secure-transport\"\ncomponent = {:?}\n", guest("secure-transport"));
    let config = config::parse(&text, "preview", Path::new(""), &Surroundings::of_this_process());
    let config = config.unwrap_or_else(|problems| panic!("{problems:?}"));
    let settings = SettingsDocument::parse(settings).unwrap_or_else(|problems| panic!("{problems:?}"));
    let resolver = Arc::new(SystemResolver::new(&config.dns).expect("a resolver"));
    let parts =
        Parts { config: Arc::new(config), settings, settings_revision: number, revision_at: 0, resolver, number };
    build(parts, sandbox, &Builtins::new(), None).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).expect("a mailbox")
}

fn channel(version: Option<TlsVersion>) -> ChannelFacts {
    let handshake = |version| Handshake {
        revocation: Default::default(),
        version,
        cipher_suite: "TLS_AES_128_GCM_SHA256".into(),
        key_exchange: "x25519".into(),
        server_name: None,
        implicit: false,
        resumed: false,
        chain: ChainVerdict::CertificateExpired,
        name_matches: false,
        certificates: Vec::new(),
        dane: None,
    };
    let state = if version.is_some() { ChannelState::Secured } else { ChannelState::NotOffered };
    ChannelFacts { state, detail: String::new(), handshake: version.map(handshake).map(Arc::new) }
}

struct Sent {
    id: String,
    from: &'static str,
    to: &'static str,
    tls: bool,
    unit: Option<UnitPath>,
    flagged: bool,
}

/// From whom, to whom, how, and by whose settings: each with each.
fn mail() -> Vec<Sent> {
    let mut all = Vec::new();
    for from in ["carol@bank.test", "x@sub.bank.test", "y@late.bank.test", "v@via.test", "", "z@other.test"] {
        for to in ["bob@ours.test", "tlsrpt@ours.test", "ann@people.test", "g@gated.test", "v@via.test", "o@other.test"]
        {
            for (tls, unit, flagged) in
                [(false, None, false), (true, None, true), (false, Some("root"), false), (false, Some("sales"), true)]
            {
                let unit = unit.map(|unit| unit.parse().expect("a unit"));
                all.push(Sent { id: format!("m{}", all.len()), from, to, tls, unit, flagged });
            }
        }
    }
    all
}

impl Sent {
    fn facts(&self) -> Arc<MessageFacts> {
        let from = (!self.from.is_empty()).then(|| mailbox(self.from));
        let tls = self.tls.then_some(TlsVersion::TLS12);
        Arc::new(MessageFacts {
            id: self.id.clone(),
            header_from: from.iter().cloned().collect(),
            header_from_doubtful: from.is_none(),
            envelope_sender: from,
            recipients: vec![mailbox(self.to)],
            fields: Arc::from([]),
            declared_size: None,
            size: None,
            sender_is_ours: self.unit.is_some(),
            is_report: false,
            organizational_unit: UnitPath::root().names().to_vec(),
            secure_transport_required_by: if self.flagged { vec!["content".into()] } else { Vec::new() },
            tls_not_required: false,
            arrived_at: NOW,
            client: Some(ClientFacts {
                address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                greeting_name: "client.test".into(),
                authenticated_as: None,
                listener: "main".into(),
                channel: channel(tls),
            }),
        })
    }

    /// What a round would have asked about it, as the ledger keeps it.
    async fn decisions(&self, sandbox: &Sandbox, live: &Live) -> Vec<DecisionRecord> {
        let (facts, to) = (self.facts(), mailbox(self.to));
        let scopes = live.scopes.of(self.unit.as_ref(), &to);
        let asked: Vec<_> = scopes.iter().map(|scope| scope.asks(&facts)).collect();
        let route = live.config.routes.for_recipient(&to);
        let destination = DestinationFacts {
            recipient: to.clone(),
            recipient_is_ours: to.domain.as_str() == "ours.test",
            route_kind: route.kind(),
            route_name: route.name().to_owned(),
            route_demands: route.demand_words(),
            round: 1,
        };
        let generation = &live.generation;
        let mut records = judge_arrival(sandbox, generation, &live.scopes, self.unit.as_ref(), &facts).await.records;
        records.extend(sandbox.plan(generation, &asked, Arc::new(destination), NOW + 1).await.records);
        for version in [None, Some(TlsVersion::TLS12), Some(TlsVersion::TLS13)] {
            let hop = HopFacts {
                recipients: vec![to.clone()],
                route_kind: RouteKind::Mx,
                route_name: "mx".into(),
                host: format!("mx{}.test", version.map_or(0, |version| version.0)),
                address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                extensions: Vec::new(),
                channel: channel(version),
                published: Vec::new(),
            };
            records.extend(sandbox.judge(generation, &asked, Arc::new(hop), NOW + 2).await.records);
        }
        records
    }
}

pub(super) async fn recorded(sandbox: &Sandbox, live: &Live, by: &Live) -> Arc<[Replayable]> {
    let mut all = Vec::new();
    for sent in mail() {
        for record in sent.decisions(sandbox, live).await {
            // Through the ledger's own words.
            let text = serde_json::to_string(&record).expect("JSON");
            let record: DecisionRecord = serde_json::from_str(&text).expect("the same");
            all.extend(by.scopes.asked_again(&sent.id, record));
        }
    }
    all.into()
}

/// By hook and change.
fn differences(asked: &[Replayable], again: Vec<Replayed>) -> BTreeMap<(String, String), u64> {
    let mut found = Found::new(1, Span::default(), 1, 1);
    found.replayed(&again, Duration::from_micros(1));
    let mut group: Option<Group> = None;
    for (asked, again) in asked.iter().zip(again) {
        let subject = Subject::of(asked);
        match group.as_mut().filter(|group| group.subject == subject) {
            Some(group) => group.add(asked.record.clone(), again),
            None => {
                let ended = group.replace(Group::of(subject, asked.record.clone(), again));
                ended.iter().for_each(|ended| found.count(ended, ended.changes(), &[]));
            }
        }
    }
    group.iter().for_each(|ended| found.count(ended, ended.changes(), &[]));
    assert_eq!((found.not_replayable, found.beyond), (0, 0), "{:?}", found.why_not);
    let mut counts = BTreeMap::new();
    for row in found.differences {
        *counts.entry((row.hook, row.change)).or_default() += row.count;
    }
    counts
}

#[tokio::test]
async fn the_live_generation_decides_everything_the_same_again() {
    let sandbox = Sandbox::start(SandboxConfig::default()).expect("a sandbox");
    let live = built(&sandbox, ALL_RULES, 1);
    let asked = recorded(&sandbox, &live, &live).await;
    let mut rules: Vec<&str> =
        asked.iter().flat_map(|asked| &asked.record.reasons).map(|reason| &*reason.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    let all = ["R1", "R1-observed", "R2", "R2-observed", "R3", "R4", "R5", "R6", "R7", "exception"];
    assert_eq!(rules, all, "the table has a decision by every rule");
    assert!(asked.iter().any(|asked| asked.record.unit.len() > 1), "and of a unit of its own");
    let again = sandbox.replay(&live.generation, Arc::clone(&asked), Arc::default()).await;
    for (asked, again) in asked.iter().zip(&again) {
        let Replayed::Decided(after) = again else { panic!("{again:?} of {:?}", asked.record) };
        let before = DecisionRecord { took_us: after.took_us, ..asked.record.clone() };
        assert_eq!(**after, before);
    }
    assert_eq!(differences(&asked, again), BTreeMap::new());
}

#[tokio::test]
async fn other_settings_are_foreseen_by_what_they_would_have_done() {
    let sandbox = Sandbox::start(SandboxConfig::default()).expect("a sandbox");
    // The first setting there ever was: the policy had read nothing.
    let nothing = built(&sandbox, "", 1);
    let candidate = built(&sandbox, FIRST, 2);
    let asked = recorded(&sandbox, &nothing, &candidate).await;
    let again = sandbox.replay(&candidate.generation, Arc::clone(&asked), Arc::default()).await;
    let row = |hook: &str, change: &str, count: u64| ((hook.to_owned(), change.to_owned()), count);
    let expected = BTreeMap::from([
        // From other.test and from nobody knows whom, in clear, to six recipients by three kinds of clients.
        row("receive", "accepted -> refused (R1)", 36),
        row("plan", "+ TLS", 24),
        row("plan", "if no host does: none -> bounce", 24),
    ]);
    assert_eq!(differences(&asked, again), expected);

    // And back: what it would take away.
    let asked = recorded(&sandbox, &candidate, &nothing).await;
    let again = sandbox.replay(&nothing.generation, Arc::clone(&asked), Arc::default()).await;
    let expected = BTreeMap::from([
        row("receive", "refused (R1) -> accepted", 36),
        row("plan", "- TLS", 24),
        row("plan", "if no host does: bounce -> none", 24),
    ]);
    assert_eq!(differences(&asked, again), expected);

    // The same effect in other words.
    let renamed = built(&sandbox, &FIRST.replace("First", "Second"), 3);
    let asked = recorded(&sandbox, &candidate, &renamed).await;
    let again = sandbox.replay(&renamed.generation, Arc::clone(&asked), Arc::default()).await;
    let words = "other reasons, the same effect";
    assert_eq!(differences(&asked, again), BTreeMap::from([row("receive", words, 36), row("plan", words, 24)]));

    // More of what was there: the version, the certificate, the route, and what is observed.
    let more = FIRST.to_owned()
        + "minimum-tls-version = \"1.3\"\nrequire-ca-signed-certificate = true\nalternate-secure-route = \"vault\"\n";
    let stricter = built(&sandbox, &more, 4);
    let asked = recorded(&sandbox, &candidate, &stricter).await;
    let again = sandbox.replay(&stricter.generation, Arc::clone(&asked), Arc::default()).await;
    let expected = BTreeMap::from([
        row("plan", "+ TLSv1.3 or newer", 24),
        row("plan", "+ a certificate signed by a trusted CA", 24),
        row("plan", "if no host does: bounce -> route vault, then bounce", 24),
    ]);
    assert_eq!(differences(&asked, again), expected);
}

/// A decision that nobody can tell leaves what holds without it.
#[test]
fn what_cannot_be_told_is_no_difference_but_a_refusal_stands() {
    let record = |policy: &str, result: &str| -> DecisionRecord {
        let text = format!(
            r#"{{"hook": "receive", "policy": "{policy}", "generation": 1, "component": "", "settings": "", "lists": {{}},
            "facts": {{"message.header-from": ["a@b.test"]}}, "result": {result}, "reasons": [], "took_us": 0}}"#
        );
        serde_json::from_str(&text).expect("a record")
    };
    const ACCEPT: &str = r#"{"reject": null, "defer": null, "require-secure-transport": false}"#;
    const REJECT: &str = r#"{"reject": {"code": 550, "enhanced": "5.7.1", "text": "no"}}"#;
    const FLAG: &str = r#"{"require-secure-transport": true}"#;
    const FAILED: &str = r#"{"failed": {"policy": "two", "cause": "trap", "detail": ""}}"#;
    let unknown = || Replayed::NotReplayable("not on record: x".into());
    let decided = |result| Replayed::Decided(Box::new(record("two", result)));
    // Before and after of the second policy; after of the first, which accepted.
    let rows: [(&str, Replayed, Replayed, &[&str]); 8] = [
        (ACCEPT, decided(ACCEPT), decided(ACCEPT), &[]),
        (ACCEPT, decided(REJECT), decided(ACCEPT), &["accepted -> refused"]),
        (ACCEPT, decided(REJECT), unknown(), &["accepted -> refused"]),
        (REJECT, decided(ACCEPT), decided(ACCEPT), &["refused -> accepted"]),
        (REJECT, decided(ACCEPT), unknown(), &[]),
        (ACCEPT, decided(FAILED), decided(ACCEPT), &["accepted -> not decided"]),
        (ACCEPT, decided(FLAG), unknown(), &["+ secure transport asked for by two"]),
        (FLAG, decided(ACCEPT), decided(ACCEPT), &["- secure transport asked for by two"]),
    ];
    for (before, after, first, expected) in rows {
        let subject = Subject::Receive { message: "m".into() };
        let mut group = Group::of(subject, record("one", ACCEPT), first);
        group.add(record("two", before), after);
        let changes: Vec<String> = group.changes().into_iter().map(|change| change.words).collect();
        assert_eq!(changes, expected, "{group:?}");
        assert_eq!(group.domain(), "b.test");
    }
}
