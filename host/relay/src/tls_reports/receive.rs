//! The reports of others about domains of ours: read when they are ours, verified, told in the ledger, summed up for the status.
//!
//! The message itself goes on to its recipient as any other: nothing here holds it up. What bears no good signature of its sender's
//! domain is told and not summed up (RFC 8460 §3).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::signature::{
    ED25519, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, UnparsedPublicKey, VerificationAlgorithm,
};
use schemars::JsonSchema;
use sealwire_core::address::{Domain, Mailbox};
use sealwire_core::dkim::{PublicKey, Signature, public_key, signatures};
use sealwire_core::facts::Field;
use sealwire_core::header::{from_of, split};
use sealwire_core::ledger::{LedgerEvent, LedgerRecord};
use sealwire_core::tlsrpt::received::{MESSAGE_MAX, NoReport, ReceivedCounts, ReceivedReport, of_message};
use sealwire_core::tlsrpt::{DAY, is_tls_report};
use sealwire_store::{Known, Store, StoreError};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::{known, locked};
use crate::config::Config;
use crate::live::Live;
use crate::relay::Relay;

/// Reports that arrive side by side: each is kept in memory until it is read, and may inflate to 10 MiB then.
const AT_ONCE: usize = 4;
/// Reports that are summed up, and of one signer: a sender makes one a day, large ones a few. Beyond, further ones are told and not
/// kept.
const KEPT_MAX: usize = 10_000;
const KEPT_OF_ONE: usize = 50;
/// Domains of ours in one report.
const DOMAINS_MAX: usize = 100;
/// For how long, seconds.
const KEPT_FOR: u64 = 7 * DAY;
/// For the look-up of one key.
const LOOK_UP_TIME: Duration = Duration::from_secs(20);
/// How the store knows these.
const RECEIVED: &str = "tls-report-received";

/// What others have told of late.
#[derive(Debug)]
pub(crate) struct Received {
    kept: Mutex<HashMap<String, Kept>>,
    reading: Arc<Semaphore>,
}

/// One report, as far as it is about domains of ours.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    /// Seconds since the Unix epoch.
    at: u64,
    domains: BTreeMap<Domain, ReceivedCounts>,
}

/// What others have told in the last seven days.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct TlsReportsReceived {
    /// Reports with a good signature.
    pub reports: usize,
    /// Of our domains and the hosts below them.
    pub domains: BTreeMap<Domain, ReceivedCounts>,
}

/// A report that is arriving, within bounds.
pub(crate) struct Arriving {
    octets: Result<Vec<u8>, NoReport>,
    fields: Arc<[Field]>,
    _reading: OwnedSemaphorePermit,
}

impl Default for Received {
    fn default() -> Received {
        Received { kept: Mutex::default(), reading: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Received {
    /// Those that the store holds.
    pub(crate) async fn of_store(store: &dyn Store) -> Result<Received, StoreError> {
        let received = Received::default();
        for Known { key, value, .. } in store.known(RECEIVED).await? {
            if let Ok(kept) = serde_json::from_str(&value) {
                locked(&received.kept).insert(key, kept);
            }
        }
        Ok(received)
    }

    /// The arrival with this header is a report to a mailbox where we read them. None: it is not, or too many arrive just now.
    pub(crate) fn arriving(
        &self,
        config: &Config,
        recipients: &[Mailbox],
        fields: &Arc<[Field]>,
        header: &[u8],
    ) -> Option<Arriving> {
        if !recipients.iter().any(|recipient| config.tls_reports_at.contains(recipient)) || !is_tls_report(fields) {
            return None;
        }
        let Ok(reading) = Arc::clone(&self.reading).try_acquire_owned() else {
            tracing::warn!("a TLS report is not read: too many arrive at the same time");
            return None;
        };
        let mut arriving = Arriving { octets: Ok(Vec::new()), fields: Arc::clone(fields), _reading: reading };
        arriving.take(header);
        arriving.take(b"\r\n");
        Some(arriving)
    }

    /// Sums a report up, in the place of one of the same sender with the same id.
    async fn keep(&self, store: &dyn Store, signed_by: &Domain, report: &ReceivedReport, now: u64) {
        let kept = Kept { at: now, domains: report.domains.clone() };
        let id = Sha256::digest(&report.report_id).iter().map(|octet| format!("{octet:02x}")).collect::<String>();
        let key = format!("{signed_by} {id}");
        let (mut learned, mut ended) = (Vec::new(), Vec::new());
        {
            let mut all = locked(&self.kept);
            all.retain(|key, kept| {
                let is_young = now.saturating_sub(kept.at) < KEPT_FOR;
                ended.extend((!is_young).then(|| key.clone()));
                is_young
            });
            let of_signer = format!("{signed_by} ");
            let is_new = !all.contains_key(&key);
            let is_full =
                || all.len() >= KEPT_MAX || all.keys().filter(|k| k.starts_with(&of_signer)).count() >= KEPT_OF_ONE;
            let has_room = !is_new || !is_full();
            if !kept.domains.is_empty() && has_room {
                learned.push(known(RECEIVED, key.clone(), &kept, now));
                all.insert(key, kept);
            }
        }
        let written = async {
            store.learn(learned).await?;
            store.forget(RECEIVED, ended).await
        };
        if let Err(error) = written.await {
            tracing::error!(%error, "a TLS report cannot be kept; until the next start it is summed up");
        }
    }

    /// Of the last days.
    pub(crate) fn status(&self, now: u64) -> TlsReportsReceived {
        let mut sum = TlsReportsReceived::default();
        for kept in locked(&self.kept).values().filter(|kept| now.saturating_sub(kept.at) < KEPT_FOR) {
            sum.reports += 1;
            for (domain, counts) in &kept.domains {
                sum.domains.entry(domain.clone()).or_default().add(counts);
            }
        }
        sum
    }
}

impl Arriving {
    /// A piece of the message.
    pub(crate) fn take(&mut self, piece: &[u8]) {
        if let Ok(octets) = &mut self.octets {
            if octets.len() + piece.len() > MESSAGE_MAX {
                self.octets = Err(NoReport::TooLong);
            } else {
                octets.extend_from_slice(piece);
            }
        }
    }

    /// The message of this id is ours now: reads it, verifies it, tells of it.
    pub(crate) async fn read(self, relay: Arc<Relay>, message: String) {
        let Arriving { octets, fields, _reading } = self;
        let live = relay.live();
        let read = async {
            let octets = Arc::new(octets?);
            let of_report = Arc::clone(&octets);
            // Seconds of work are not for those who serve sessions.
            let parsed = tokio::task::spawn_blocking(move || of_message(&of_report)).await;
            let report = parsed.unwrap_or_else(|error| Err(NoReport::NoJson(error.to_string())))?;
            Ok::<_, NoReport>((report, signed_by(&relay, &live, &fields, &octets).await))
        };
        let (report, signed_by, trouble) = match read.await {
            Ok((report, Some(signed_by))) => {
                let received = &relay.tls_reports_received;
                let report = about_ours(report, &live.config);
                received.keep(&*relay.store, &signed_by, &report, relay.world.now()).await;
                (Some(report), Some(signed_by), None)
            }
            // Of what anybody could have written nothing is kept.
            Ok((_, None)) => {
                let trouble = "it bears no good DKIM signature of its sender's domain, and does not count";
                (None, None, Some(trouble.to_owned()))
            }
            Err(why) => (None, None, Some(format!("it cannot be read: {why}"))),
        };
        if let Some(trouble) = &trouble {
            tracing::warn!(message, trouble, "a TLS report has arrived");
        }
        let event = LedgerEvent::TlsReportReceived { signed_by, report, trouble };
        relay.append(vec![LedgerRecord { at_ms: relay.world.now_ms(), message, event }]);
    }
}

/// The part of it that is about domains of ours and the hosts below them.
fn about_ours(mut report: ReceivedReport, config: &Config) -> ReceivedReport {
    let hosted = |name: &str| config.hosted_domains.iter().any(|hosted| hosted.as_str() == name);
    let is_ours =
        |domain: &Domain| *domain == config.hostname || hosted(domain.as_str()) || domain.parents().any(hosted);
    report.domains = report.domains.into_iter().filter(|(domain, _)| is_ours(domain)).take(DOMAINS_MAX).collect();
    report
}

/// Who has signed it: the domain of From, or one above it; None: nobody has, or it could not be verified.
async fn signed_by(relay: &Relay, live: &Live, fields: &[Field], octets: &Arc<Vec<u8>>) -> Option<Domain> {
    let from = from_of(fields);
    let [from] = from.mailboxes.as_slice() else { return None };
    let (now, sender, octets) = (relay.world.now(), from.domain.clone(), Arc::clone(octets));
    let found = tokio::task::spawn_blocking(move || {
        let header = octets.windows(4).position(|octets| octets == b"\r\n\r\n")? + 4;
        let of_sender = |signer: &Domain| *signer == sender || sender.parents().any(|parent| parent == signer.as_str());
        Some(signatures(&split(&octets[..header]), &octets[header..], now, of_sender))
    });
    for signature in found.await.ok().flatten()? {
        let name = format!("{}._domainkey.{}", signature.selector, signature.domain);
        let Ok(Ok(found)) = timeout(LOOK_UP_TIME, live.resolver.txt(&name)).await else { continue };
        let mut keys = found.found.iter().filter_map(|record| public_key(record, "tlsrpt"));
        if keys.any(|key| is_good(&signature, &key)) {
            return Some(signature.domain);
        }
    }
    None
}

fn is_good(signature: &Signature, key: &PublicKey) -> bool {
    if signature.is_ed25519 != key.is_ed25519 {
        return false;
    }
    let verifies = |algorithm: &'static dyn VerificationAlgorithm, octets: &[u8]| {
        UnparsedPublicKey::new(algorithm, &key.octets).verify(octets, &signature.signature).is_ok()
    };
    if key.is_ed25519 {
        // RFC 8463 §3: Ed25519 signs the hash.
        return verifies(&ED25519, &Sha256::digest(&signature.octets));
    }
    // RFC 8301 §3.2: keys of 1024 bits are still in use and must verify, shorter ones must not. What TLS takes begins at 2048.
    verifies(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, &signature.octets)
}

#[cfg(test)]
mod tests {
    use sealwire_store::MemoryPlace;

    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use rcgen::PublicKeyData as _;
    use sealwire_core::dkim::{self, Signer as _};

    use crate::config::{ReportsByMail, Surroundings, parse};
    use crate::tls_reports::DkimKey;

    const NOW: u64 = 20_000 * DAY;

    fn report(id: &str, domain: &str, failed: u64) -> ReceivedReport {
        let results = BTreeMap::from([("certificate-expired".to_owned(), failed)]);
        let counts = ReceivedCounts { successful: 5, failed, results };
        ReceivedReport {
            organization: "Big".into(),
            report_id: id.into(),
            range: (String::new(), String::new()),
            domains: BTreeMap::from([(Domain::parse(domain).expect("a domain"), counts)]),
        }
    }

    #[tokio::test]
    async fn reports_about_our_domains_are_summed_up_once_for_a_week() {
        let text = "hostname = \"mx.relay.test\"\nhosted-domains = [\"ours.test\"]\n";
        let surroundings =
            Surroundings { hostname: Domain::parse("h.test").expect("a domain"), state_directory: "/".into() };
        let config = parse(text, "", std::path::Path::new("/"), &surroundings).expect("well written");
        let store = MemoryPlace::default().open();
        let received = Received::default();
        let big = Domain::parse("big.test").expect("a domain");
        for (id, domain, failed, at) in [
            ("old", "ours.test", 100, NOW - KEPT_FOR - 20),
            ("1", "ours.test", 1, NOW - 10),
            // The same once more, mended: it comes in the place of the first.
            ("1", "ours.test", 2, NOW - 9),
            ("2", "mx.ours.test", 3, NOW - 8),
            ("3", "mx.relay.test", 0, NOW - 8),
            ("4", "others.test", 9, NOW - 8),
        ] {
            received.keep(&store, &big, &about_ours(report(id, domain, failed), &config), at).await;
        }
        for received in [&received, &Received::of_store(&store).await.expect("a store")] {
            let status = received.status(NOW);
            let found: Vec<_> = status
                .domains
                .iter()
                .map(|(domain, counts)| (domain.as_str(), counts.successful, counts.failed))
                .collect();
            assert_eq!(found, [("mx.ours.test", 5, 3), ("mx.relay.test", 5, 0), ("ours.test", 5, 2)]);
            assert_eq!(status.reports, 3);
        }
        assert_eq!(received.status(NOW + KEPT_FOR).reports, 0);
        assert_eq!(store.known(RECEIVED).await.expect("a store").len(), 3, "the old one is forgotten");
    }

    /// RFC 8301 §3.2. The keys are of `openssl genrsa`, the signatures of `openssl dgst -sha256 -sign`.
    #[test]
    fn rsa_keys_verify_from_1024_bits_on() {
        let octets = b"what a key of any length signs".to_vec();
        let rows = [
            (768, include_str!("testdata/768.txt"), false),
            (1024, include_str!("testdata/1024.txt"), true),
            (4096, include_str!("testdata/4096.txt"), true),
        ];
        for (bits, text, expected) in rows {
            let [record, signature] = text.lines().collect::<Vec<_>>()[..] else { panic!("two lines") };
            let key = dkim::public_key(record.as_bytes(), "tlsrpt").expect("a key");
            let signature = Signature {
                domain: Domain::parse("d.test").expect("a domain"),
                selector: "s1".into(),
                is_ed25519: false,
                octets: octets.clone(),
                signature: STANDARD.decode(signature).expect("base64"),
            };
            assert_eq!(is_good(&signature, &key), expected, "{bits} bits");
            let other = Signature { octets: b"other".to_vec(), ..signature };
            assert!(!is_good(&other, &key), "{bits} bits, other octets");
        }
    }

    /// What our own key signs is good by its record, and by no other.
    #[test]
    fn a_signature_is_good_by_the_key_that_made_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key.pem");
        let from = Mailbox::parse("a@d.test").expect("a mailbox");
        let by_mail = ReportsByMail {
            dkim_domain: from.domain.clone(),
            dkim_selector: "s1".into(),
            dkim_key: file.clone(),
            from,
        };
        let (header, body) = ("From: a@d.test\r\n", b"Hello\r\n");
        let mut made = Vec::new();
        for algorithm in [&rcgen::PKCS_ED25519, &rcgen::PKCS_RSA_SHA256] {
            let pair = rcgen::KeyPair::generate_for(algorithm).expect("a key");
            std::fs::write(&file, pair.serialize_pem()).expect("written");
            let key = DkimKey::load(&by_mail).expect("a key");
            let field = dkim::sign(header.as_bytes(), body, &["From"], 7, &key).expect("signs");
            let is_ed25519 = key.algorithm() == "ed25519-sha256";
            let octets = if is_ed25519 { pair.public_key_raw().to_vec() } else { pair.subject_public_key_info() };
            let found = signatures(&split((field + header).as_bytes()), body, 8, |_| true);
            made.push((found[0].clone(), PublicKey { is_ed25519, octets }));
        }
        for (number, (signature, key)) in made.iter().enumerate() {
            assert!(is_good(signature, key));
            let other = Signature { octets: b"other".to_vec(), ..signature.clone() };
            assert!(!is_good(&other, key), "other octets");
            assert!(!is_good(signature, &made[1 - number].1), "another kind of key");
            assert!(!is_good(signature, &PublicKey { octets: vec![0; 32], ..key.clone() }), "no key");
        }
    }
}
