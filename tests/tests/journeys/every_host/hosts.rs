//! The hosts, and what becomes of mail to each under each demand: derived from the rules by hand, one line a host.

use std::time::{Duration, SystemTime};

use sealwire_tests::certs::{self, Authority, Leaf};
use sealwire_tests::fake_peer::{Handshake, Script, reply};
use sealwire_tests::signed::Signing;
use sealwire_tests::web::Response;
use sha2::{Digest, Sha256};

use Cell::{Clear, Tls, Waits};

/// What becomes of one message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell {
    /// Delivered by TLS.
    Tls,
    /// Delivered in clear.
    Clear,
    /// It comes back after one attempt.
    Back {
        /// Of the report.
        status: &'static str,
        /// Who demands what was not there, in the report's words.
        by: &'static str,
        /// What was found, in the report's words.
        found: &'static str,
    },
    /// It waits for its next round; a part of what the ledger says of the first.
    Waits(&'static str),
}

const fn back(status: &'static str, by: &'static str, found: &'static str) -> Cell {
    Cell::Back { status, by, found }
}

/// By the rule "TLS only".
const fn r2(status: &'static str, found: &'static str) -> Cell {
    back(status, "Rule R2: Mail to this recipient is sent over TLS only.", found)
}

/// By the option "CA".
const fn r4(status: &'static str, found: &'static str) -> Cell {
    let rule =
        "Rule R4: The receiving mail server must present a certificate signed by a trusted certificate authority.";
    back(status, rule, found)
}

/// By the option "host name".
const fn r5(status: &'static str, found: &'static str) -> Cell {
    back(status, "Rule R5: The receiving mail server must present a certificate that carries its own name.", found)
}

/// By whoever sent it with REQUIRETLS.
const fn asked(status: &'static str, found: &'static str) -> Cell {
    back(status, "The message was sent with the option REQUIRETLS (RFC 8689).", found)
}

/// A domain with its one host, `mx` below it, which passes REQUIRETLS on.
pub(super) struct Host {
    pub(super) zone: &'static str,
    pub(super) peer: Script,
    pub(super) signing: Signing<'static>,
    /// The host's TLSA record.
    pub(super) tlsa: Option<String>,
    /// What is answered to who asks for the policy that is announced.
    pub(super) policy: Option<Response>,
    /// By [`COLUMNS`](super::COLUMNS).
    pub(super) cells: [Cell; 6],
}

fn host(zone: &'static str, peer: Script, cells: [Cell; 6]) -> Host {
    let peer = peer.extension("REQUIRETLS");
    Host { zone, peer, signing: Signing::Sound, tlsa: None, policy: None, cells }
}

impl Host {
    fn tlsa(self, record: String) -> Host {
        Host { tlsa: Some(record), ..self }
    }

    /// MTA-STS is what proves: the zone is not signed.
    fn policy(self, answer: Response) -> Host {
        Host { policy: Some(answer), signing: Signing::None, ..self }
    }
}

/// A policy of this mode that lists this host.
fn policy(mode: &str, mx: &str) -> Response {
    Response::Text(format!("version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 86400\n"))
}

fn digest_of_key(leaf: &Leaf) -> String {
    Sha256::digest(leaf.public_key()).iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Whom the relay believes.
pub(super) struct Authorities {
    /// And [`except`](Self::except) beside it.
    pub(super) trusted: Authority,
    except: Authority,
}

impl Authorities {
    pub(super) fn new() -> Authorities {
        let except = Authority::except("Constrained Root", &["constrained-root.test"]);
        Authorities { trusted: Authority::new("Trusted Root").beside(&except), except }
    }
}

/// All of them; `old` speak TLS 1.0, TLS 1.1, a suite with CBC, and one whose key exchange is RSA, each that alone.
#[rustfmt::skip::macros(vec)]
pub(super) fn hosts(authorities: &Authorities, old: [Script; 4]) -> Vec<Host> {
    let Authorities { trusted, except } = authorities;
    let own = |name: &str| Script::tls(&certs::self_signed(&[name]));
    let good = |zone: &str| Script::tls(&trusted.leaf(&[&format!("mx.{zone}")]));
    let day = Duration::from_secs(24 * 60 * 60);
    let now = SystemTime::now();
    let early = trusted.leaf_valid(&["mx.not-yet.test"], now + day, now + 2 * day);
    let between = trusted.below("Between", &[]);
    let constrained = trusted.below("Constrained", &["constrained.test"]);
    let unnamed = certs::self_signed(&["elsewhere.test"]);
    let tlsa = |leaf: &Leaf| format!("3 1 1 {}", digest_of_key(leaf));
    let other_key = || format!("3 1 1 {}", "00".repeat(32));
    // A usage that is not for SMTP.
    let unusable = || format!("1 1 1 {}", "00".repeat(32));

    // What was found, in the words of reports.
    let no_tls = "did not offer a secure (TLS) connection";
    let not_now = "could not be asked for a secure (TLS) connection: 454 4.7.0 TLS not available";
    let broken = "failed to set up a secure (TLS) connection: the TLS handshake failed";
    let cut = "could not be asked for a secure (TLS) connection: the TLS handshake was cut short";
    let too_old = "failed to set up a secure (TLS) connection: no common TLS version or cipher";
    let untrusted = "judged certificate-not-trusted, naming the host";
    let expired = "judged certificate-expired, naming the host";
    let invalid = "judged validation-failure, naming the host";
    let no_ca = "its certificate is not signed by a trusted authority (CA)";
    let misnamed = "a certificate signed by a trusted CA, naming elsewhere.test and not the host";
    let nameless = "a certificate signed by a trusted CA, naming no host";
    let neither = "judged certificate-not-trusted, naming elsewhere.test and not the host";
    let not_dane = "its certificate is not the one that its TLSA records name (DANE)";
    let unverified = "its certificate does not prove which server it is";
    let unproven = "was found by an answer of the DNS that neither DNSSEC nor MTA-STS proves";
    let deaf = "it does not pass the demand for TLS on (REQUIRETLS)";
    // The same in the ledger's.
    let not_offered = "did not offer STARTTLS";
    let dane = "\"dane\"";
    let bogus = "its TLSA records: ";
    let not_listed = "is not listed in the MTA-STS policy of sts-mismatch.test";

    // TLS with a certificate of no use: enough for TLS alone, and for nothing more.
    let no_use = |found| [Tls, Tls, r4("5.7.5", found), r4("5.7.5", found), Tls, asked("5.7.10", unverified)];
    // TLS that this relay does not speak: none for whoever demands it, and no reason to keep other mail back.
    let too_weak = [
        Clear,
        r2("5.7.5", too_old),
        r4("5.7.5", too_old),
        r5("5.7.5", too_old),
        Waits(too_old),
        asked("5.7.10", too_old),
    ];
    let [tls_1_0, tls_1_1, cbc, rsa] = old;
    // In what follows: unlisted; listed; and CA; and name; flagged; REQUIRETLS.
    let mut hosts = vec![
        host("no-starttls.test", Script::clear(), [
            Clear, r2("5.7.10", no_tls), r4("5.7.10", no_tls), r5("5.7.10", no_tls), Waits(not_offered),
            asked("5.7.10", no_tls),
        ]),
        host("not-now.test", good("not-now.test").answer("STARTTLS", reply("454 4.7.0 TLS not available")), [
            Clear, r2("5.7.10", not_now), r4("5.7.10", not_now), r5("5.7.10", not_now), Waits("454 4.7.0"),
            asked("5.7.10", not_now),
        ]),
        host("broken.test", good("broken.test").handshake(Handshake::Garbage), [
            Clear, r2("5.7.5", broken), r4("5.7.5", broken), r5("5.7.5", broken), Waits(broken),
            asked("5.7.10", broken),
        ]),
        host("cut-short.test", good("cut-short.test").handshake(Handshake::Abort), [
            Clear, r2("5.7.10", cut), r4("5.7.10", cut), r5("5.7.10", cut), Waits(cut), asked("5.7.10", cut),
        ]),
        host("older.test", tls_1_0, too_weak),
        host("old.test", tls_1_1, too_weak),
        host("cbc.test", cbc, too_weak),
        host("no-secrecy.test", rsa, too_weak),

        host("self-signed.test", own("mx.self-signed.test"), no_use(untrusted)),
        host("unknown.test", Script::tls(&Authority::new("Stranger").leaf(&["mx.unknown.test"])), no_use(untrusted)),
        host("expired.test", Script::tls(&trusted.expired(&["mx.expired.test"])), no_use(expired)),
        host("not-yet.test", Script::tls(&early), no_use(no_ca)),
        host("incomplete.test", Script::tls(&between.leaf_alone(&["mx.incomplete.test"])), no_use(untrusted)),
        host("complete.test", Script::tls(&between.leaf(&["mx.complete.test"])), [Tls, Tls, Tls, Tls, Tls, Tls]),
        host("constrained.test", Script::tls(&constrained.leaf(&["mx.constrained.test"])), no_use(invalid)),
        host("constrained-root.test", Script::tls(&except.leaf(&["mx.constrained-root.test"])), no_use(invalid)),
        // Neither the one nor the other vouches for a name that is not its own.
        host("unconstrained.test", Script::tls(&constrained.leaf(&["mx.unconstrained.test"])), [
            Tls, Tls, Tls, Tls, Tls, Tls,
        ]),
        host("misnamed.test", Script::tls(&trusted.leaf(&["elsewhere.test"])), [
            Tls, Tls, Tls, r5("5.7.5", misnamed), Tls, asked("5.7.10", unverified),
        ]),
        // RFC 9525: the common name is no name.
        host("common-name.test", Script::tls(&trusted.leaf_by_common_name("mx.common-name.test")), [
            Tls, Tls, Tls, r5("5.7.5", nameless), Tls, asked("5.7.10", unverified),
        ]),

        // The owner's own key will do for TLS and for REQUIRETLS, and is no certificate of a CA.
        host("dane.test", Script::tls(&unnamed), [
            Tls, Tls, r4("5.7.5", neither), r5("5.7.5", neither), Tls, Tls,
        ]).tlsa(tlsa(&unnamed)),
        // What the owner's side alone demands is waited for: it may be mended.
        host("dane-mismatch.test", good("dane-mismatch.test"), [
            Waits(dane), Waits(dane), Waits(dane), Waits(dane), Waits(dane), Waits(dane),
        ]).tlsa(other_key()),
        // What ours demands beside it is not.
        host("dane-neither.test", own("mx.dane-neither.test"), [
            Waits(dane), Waits(dane), r4("5.7.5", not_dane), r4("5.7.5", not_dane), Waits(dane),
            asked("5.7.10", unverified),
        ]).tlsa(other_key()),
        // No answer is no host that was asked.
        Host { signing: Signing::Without("\tTLSA\t"), ..host("dane-bogus.test", good("dane-bogus.test"), [
            Waits(bogus), Waits(bogus), Waits(bogus), Waits(bogus), Waits(bogus), Waits(bogus),
        ]).tlsa(other_key()) },
        // RFC 7672 section 2.2: TLS, with any certificate.
        host("dane-unusable.test", own("mx.dane-unusable.test"), no_use(untrusted)).tlsa(unusable()),
        host("dane-unusable-clear.test", Script::clear(), [
            Waits(not_offered), r2("5.7.10", no_tls), r4("5.7.10", no_tls), r5("5.7.10", no_tls), Waits(not_offered),
            asked("5.7.10", no_tls),
        ]).tlsa(unusable()),
    ];
    hosts.extend(vec![
        host("sts.test", good("sts.test"), [Tls, Tls, Tls, Tls, Tls, Tls]).policy(policy("enforce", "mx.sts.test")),
        // The owner's demand alone; but REQUIRETLS asks for a host that is proven, which this one is by nobody.
        host("sts-mismatch.test", good("sts-mismatch.test"), [
            Waits(not_listed), Waits(not_listed), Waits(not_listed), Waits(not_listed), Waits(not_listed),
            asked("5.7.10", "and was not connected"),
        ]).policy(policy("enforce", "mx.elsewhere.test")),
        host("sts-clear.test", Script::clear(), [
            Waits(not_offered), r2("5.7.10", no_tls), r4("5.7.10", no_tls), r5("5.7.10", no_tls), Waits(not_offered),
            asked("5.7.10", no_tls),
        ]).policy(policy("enforce", "mx.sts-clear.test")),
        host("sts-untrusted.test", own("mx.sts-untrusted.test"), [
            Waits(untrusted), Waits(untrusted), r4("5.7.5", untrusted), r4("5.7.5", untrusted), Waits(untrusted),
            asked("5.7.10", unverified),
        ]).policy(policy("enforce", "mx.sts-untrusted.test")),
        // A policy that tests demands nothing, and proves the hosts that it lists all the same.
        host("sts-testing.test", good("sts-testing.test"), [Tls, Tls, Tls, Tls, Tls, Tls])
            .policy(policy("testing", "mx.sts-testing.test")),
        host("sts-testing-mismatch.test", good("sts-testing-mismatch.test"), [
            Tls, Tls, Tls, Tls, Tls, asked("5.7.10", unproven),
        ]).policy(policy("testing", "mx.elsewhere.test")),
        host("sts-testing-clear.test", Script::clear(), [
            Clear, r2("5.7.10", no_tls), r4("5.7.10", no_tls), r5("5.7.10", no_tls), Waits(not_offered),
            asked("5.7.10", no_tls),
        ]).policy(policy("testing", "mx.sts-testing-clear.test")),
        // A policy that is not to be had is none.
        host("sts-missing.test", good("sts-missing.test"), [
            Tls, Tls, Tls, Tls, Tls, asked("5.7.10", unproven),
        ]).policy(Response::Status(404)),

        host("requiretls.test", good("requiretls.test"), [Tls, Tls, Tls, Tls, Tls, Tls]),
        Host { peer: good("deaf.test"), ..host("deaf.test", Script::clear(), [
            Tls, Tls, Tls, Tls, Tls, asked("5.7.30", deaf),
        ]) },
        Host { signing: Signing::None, ..host("unsigned.test", good("unsigned.test"), [
            Tls, Tls, Tls, Tls, Tls, asked("5.7.10", unproven),
        ]) },
    ]);
    hosts
}
