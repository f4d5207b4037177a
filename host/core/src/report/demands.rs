//! Demands in a recipient's words: what was required and by whom, what a host lacks, what would mend it.

use std::collections::BTreeSet;

use crate::facts::{ChannelState, TlsVersion};
use crate::floor::{Demand, Source};
use crate::outcome::{FloorUnmet, HostUnmet};
use crate::reason::Reason;
use crate::report::text::{name, public, quote};

pub(super) fn demands(host: &HostUnmet) -> BTreeSet<&Demand> {
    host.unmet.iter().map(|(demand, _)| demand).collect()
}

pub(super) fn lack(demand: &Demand, withdrawn: bool) -> &'static str {
    match demand {
        demand if withdrawn && demand.is_of_issuer() => "its certificate was withdrawn by its issuer",
        Demand::UnrevokedCertificate => "it could not be shown that its certificate was not withdrawn",
        Demand::Tls => "it was not used",
        Demand::MinimumVersion(_) => "its version is too old",
        Demand::TrustedChain => "its certificate is not signed by a trusted authority (CA)",
        Demand::MatchingName => "its certificate names another server",
        Demand::Pin(..) => "its certificate is not the one expected",
        Demand::CipherSuite(_) => "its cipher suite is not one of those required",
        Demand::Dane(_) => "its certificate is not the one that its TLSA records name (DANE)",
        Demand::ListedHost => "its domain's MTA-STS policy does not list it",
        Demand::RequireTls => "it does not pass the demand for TLS on (REQUIRETLS)",
        Demand::VerifiedServer => "its certificate does not prove which server it is",
        Demand::ProvenHost => "its name is not proven",
    }
}

/// What was required, and who requires it: each rule once, in its own public words.
pub(super) fn why(unmet: &FloorUnmet, reasons: &[Reason], domain: &str) -> Vec<String> {
    let sourced: BTreeSet<_> = unmet.hosts.iter().flat_map(|host| &host.unmet).collect();
    if sourced.is_empty() {
        return Vec::new();
    }
    let demands: BTreeSet<&Demand> = sourced.iter().map(|(demand, _)| demand).collect();
    let besides: Vec<String> = demands.into_iter().filter_map(required).collect();
    let with = if besides.is_empty() { String::new() } else { format!(", with {}", besides.join(" and ")) };
    let sources: BTreeSet<&Source> = sourced.iter().map(|(_, source)| source).collect();
    let who = if sources.iter().all(|source| **source == Source::RequireTls) {
        "Whoever sent this message"
    } else {
        "The organization that runs this relay"
    };
    let mut why = vec![format!(
        "{who} requires that this message to {domain} travels only over a secure (TLS) connection{with}."
    )];
    let mut told = BTreeSet::new();
    for sentence in sources.into_iter().map(|source| demanded_by(source, reasons)) {
        if told.insert(sentence.clone()) {
            why.push(sentence);
        }
    }
    why
}

/// What a demand asks for besides TLS itself.
fn required(demand: &Demand) -> Option<String> {
    Some(match demand {
        Demand::Tls => return None,
        Demand::MinimumVersion(version) => format!("{} or newer", version_name(*version)),
        Demand::TrustedChain => "a certificate signed by a trusted authority (CA)".into(),
        Demand::MatchingName => "a certificate that names the mail server".into(),
        Demand::Pin(..) => "the certificate that is expected there".into(),
        Demand::CipherSuite(_) => quote(&demand.to_string()),
        Demand::Dane(_) => "a certificate that the mail server's TLSA records name (DANE)".into(),
        Demand::ListedHost => "a mail server that the recipient's domain lists in its MTA-STS policy".into(),
        Demand::RequireTls => "a mail server that passes this demand on (REQUIRETLS)".into(),
        Demand::VerifiedServer => "a certificate that proves which mail server it is".into(),
        Demand::ProvenHost => "a mail server whose name is proven (by DNSSEC or MTA-STS)".into(),
        Demand::UnrevokedCertificate => "a certificate that is shown not to have been withdrawn".into(),
    })
}

fn demanded_by(source: &Source, reasons: &[Reason]) -> String {
    match source {
        Source::Rule { policy, rule } => {
            let given = reasons.iter().find(|reason| reason.policy == *policy && reason.rule == *rule);
            given.map(public).unwrap_or_else(|| format!("It is demanded by {}.", quote(&source.to_string())))
        }
        Source::Flag(policy) => {
            format!("The policy \"{}\" marked this message for secure transport when it arrived.", quote(policy))
        }
        Source::Route(name) => format!("The route \"{}\" that this message takes demands it.", quote(name)),
        Source::Report => "The message that this one reports on came over a secure connection.".into(),
        Source::Dane { name, .. } => format!(
            "The owner of the mail server demands it: see the TLSA records of {} (DANE, RFC 7672).",
            quote(name)
        ),
        Source::RequireTls => "The message was sent with the option REQUIRETLS (RFC 8689).".into(),
        Source::MtaSts { domain, .. } => format!(
            "The owner of {0} demands it: see the policy at https://mta-sts.{0}/.well-known/mta-sts.txt (MTA-STS, \
             RFC 8461).",
            quote(domain)
        ),
    }
}

pub(super) fn remedies(host: &HostUnmet) -> Vec<String> {
    if host.objection.is_some() {
        return Vec::new();
    }
    let name = name(&host.host);
    if let Some(demand) = host.barred_by() {
        return vec![remedy(demand, &name)];
    }
    match host.channel {
        ChannelState::NotOffered | ChannelState::Refused | ChannelState::Inconclusive => {
            vec![format!("Offer STARTTLS (RFC 3207) with TLS 1.2 or newer on {name}.")]
        }
        ChannelState::Failed => {
            vec![format!("Mend TLS on {name}: a handshake with TLS 1.2 or TLS 1.3 must succeed after STARTTLS.")]
        }
        ChannelState::Secured => {
            let of_host = host.withdrawn.then(|| {
                format!("Install on {name} a new certificate: the one that it has was withdrawn by its issuer.")
            });
            let demands = demands(host).into_iter().filter(|demand| !host.withdrawn || !demand.is_of_issuer());
            of_host.into_iter().chain(demands.map(|demand| remedy(demand, &name))).collect()
        }
    }
}

fn remedy(demand: &Demand, name: &str) -> String {
    match demand {
        Demand::Tls => format!("Offer STARTTLS (RFC 3207) with TLS 1.2 or newer on {name}."),
        Demand::MinimumVersion(version) => format!("Enable {} on {name}.", version_name(*version)),
        Demand::TrustedChain => format!(
            "Install on {name} a certificate that a public certification authority has signed, that is in date, and \
             that comes with its intermediate certificates."
        ),
        Demand::MatchingName => {
            format!("Install on {name} a certificate that has {name} among its subject alternative names.")
        }
        Demand::Pin(..) => format!("Tell the sender's postmaster about the new certificate of {name}."),
        Demand::CipherSuite(_) => format!("Enable one of the cipher suites named above on {name}."),
        Demand::Dane(_) => format!(
            "Publish TLSA records for {name} that name the certificate it has now, or give it back the one they name."
        ),
        Demand::RequireTls => format!("Offer REQUIRETLS (RFC 8689) on {name}, or have it sent without this option."),
        Demand::VerifiedServer => format!(
            "Install on {name} a certificate that has {name} among its subject alternative names and that a public \
             certification authority has signed, or publish TLSA records for it."
        ),
        Demand::ProvenHost => {
            format!("Sign the domain whose mail {name} takes (DNSSEC), or publish an MTA-STS policy for it.")
        }
        Demand::UnrevokedCertificate => format!(
            "Have {name} send the word of its certificate's issuer along with the certificate (OCSP stapling, RFC 6066)."
        ),
        Demand::ListedHost => {
            format!("List {name} in the MTA-STS policy of the domain, or take it out of its MX records.")
        }
    }
}

fn version_name(version: TlsVersion) -> String {
    version.name().replace("TLSv", "TLS ")
}
