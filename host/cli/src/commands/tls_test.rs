//! `tls-test`: how mail to a destination would leave, host by host, and whether that is what is demanded.

use std::process::ExitCode;

use clap::Args;
use sealwire_admin::{Client, query};
use sealwire_relay::tls_test::{AddressTested, HostTested, State, StsTested, TlsTest};

use crate::failure::Failure;
use crate::output::{Output, Tone, now, span};

/// Test how mail to a destination would leave; nothing is sent
#[derive(Args)]
#[command(after_help = "\
Exit status, as monitoring plugins have it:
  0  mail leaves as it is demanded now
  1  it leaves, and something is or will be wrong: a certificate ends soon, one host will not do
  2  no host will do: mail does not leave
  3  no host could be asked, or the relay does not answer")]
pub(crate) struct TlsTestOf {
    /// A domain, or a mailbox where lists name mailboxes
    #[arg(value_name = "DOMAIN")]
    destination: String,
    /// By this route instead of its own
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
}

impl TlsTestOf {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<ExitCode, Failure> {
        let recipient = match self.destination.contains('@') {
            true => self.destination,
            false => format!("postmaster@{}", self.destination),
        };
        let mut asked = vec![("recipient", recipient)];
        asked.extend(self.route.map(|route| ("route", route)));
        let test: TlsTest = match client.get(&query("/v1/tls-test", asked)).await {
            Ok(test) => test,
            // A monitor must not take this for a destination that does well or badly.
            Err(error) => {
                output.failure(&error.into());
                return Ok(ExitCode::from(State::Unknown.exit_status()));
            }
        };
        output.either(&test, |test| tell(test, output));
        Ok(ExitCode::from(test.state.exit_status()))
    }
}

fn tell(test: &TlsTest, output: &Output) {
    let tone = if test.state == State::Ok { Tone::Good } else { Tone::Bad };
    let whose = format!("  {}, by route {}", test.recipient, test.route);
    output.pieces(&[(Some(tone), &test.state.to_string()), (None, &whose)]);
    for finding in &test.findings {
        output.toned(tone, &format!("  {}", finding.text));
    }
    let demanded = match test.demands.as_slice() {
        [] => "TLS where it works".to_owned(),
        demands => demands.join("; "),
    };
    let proven = match test.hosts_proven {
        None => "named by the route".to_owned(),
        Some(true) => "proven by DNSSEC".to_owned(),
        Some(false) => "not proven by DNSSEC".to_owned(),
    };
    let settings = match test.settings.applied_at {
        Some(at) => format!("revision {}, {} old", test.settings.revision, span(now().saturating_sub(at))),
        None => "none applied yet".to_owned(),
    };
    let mut pairs = vec![("demanded", demanded), ("settings", settings)];
    // Where no host was found nothing more was asked.
    if test.trouble.is_none() {
        pairs.push(("hosts", proven));
        pairs.push(("MTA-STS", test.mta_sts.as_ref().map_or_else(|| "no policy".to_owned(), sts)));
    }
    output.pairs(&pairs);
    for host in &test.hosts {
        tell_host(host, output);
    }
}

fn sts(sts: &StsTested) -> String {
    let Some(id) = &sts.id else { return format!("{} of {}", sts.mode, sts.domain) };
    let left = sts.ends_at.unwrap_or(0).saturating_sub(now());
    let age = now().saturating_sub(sts.fetched_at.unwrap_or(0));
    format!(
        "{}, policy {id} of {}, {} old, holds for {}, lists {}",
        sts.mode,
        sts.domain,
        span(age),
        span(left),
        sts.mx.join(" ")
    )
}

fn tell_host(host: &HostTested, output: &Output) {
    output.line("");
    output.line(&host.host);
    let dane = if host.tlsa.is_empty() { "no TLSA records".to_owned() } else { host.tlsa.join("; ") };
    let mut pairs = vec![("  DANE", dane)];
    pairs.extend(host.listed.map(|listed| ("  MTA-STS", if listed { "listed" } else { "not listed" }.to_owned())));
    pairs.extend(host.trouble.clone().map(|trouble| ("  trouble", trouble)));
    output.pairs(&pairs);
    for address in &host.addresses {
        tell_address(address, output);
    }
}

fn tell_address(address: &AddressTested, output: &Output) {
    let (tone, channel) = match (&address.trouble, &address.tls) {
        (Some(trouble), _) => (Some(Tone::Bad), trouble.clone()),
        (None, Some(tls)) => (None, format!("{} {} {}", tls.version, tls.cipher_suite, tls.key_exchange)),
        (None, None) => (Some(Tone::Bad), format!("no TLS: {} {}", address.channel, address.detail)),
    };
    output.pieces(&[(None, &format!("  {}  ", address.address)), (tone, &channel)]);
    let mut pairs = Vec::new();
    if let Some(tls) = &address.tls {
        let name = if tls.name_matches { "names the host" } else { "does not name the host" };
        let ends = match tls.not_after.checked_sub(now()) {
            Some(left) => format!("ends in {}", span(left)),
            None => "has expired".to_owned(),
        };
        pairs.push(("    versions", address.versions.join(", ")));
        pairs.push(("    certificate", format!("{}, {name} ({}), {ends}", tls.chain, tls.names.join(" "))));
        pairs.push(("    issuer", tls.issuer.clone()));
        pairs.push(("    SHA-256", tls.sha256.clone()));
        pairs.extend(tls.dane.clone().map(|record| ("    DANE", format!("meets {record}"))));
        pairs.push(("    revocation", tls.revocation.clone()));
        pairs.push(("    REQUIRETLS", if address.requiretls { "offered" } else { "not offered" }.to_owned()));
    }
    pairs.extend(address.unmet.iter().map(|unmet| ("    unmet", unmet.clone())));
    output.pairs(&pairs);
    if address.trouble.is_none() {
        let rows: Vec<[String; 2]> =
            address.would.iter().map(|would| [format!("    {}", would.setting), would.how.clone()]).collect();
        output.table(["    mail that is", "would leave"], &rows);
    }
}
