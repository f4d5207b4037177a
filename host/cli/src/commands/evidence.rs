//! `evidence`: what the ledger has of the mail with a domain in a month, signed; and whether such a document is as it was made.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use sealwire_admin::{Client, encoded, query};
use sealwire_core::canonical::canonical;
use sealwire_core::evidence::{Evidence, Month, Signed};
use sealwire_core::visible::visible_json;
use sealwire_relay::evidence::verify;

use crate::args::Place;
use crate::failure::Failure;
use crate::output::{Output, Tone};

#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  sealwire evidence partner.example --month 2026-11 --output partner-2026-11.json
  sealwire evidence partner.example --month 2026-11 --html --output partner-2026-11.html
  sealwire evidence key
  sealwire evidence verify partner-2026-11.json --key ed25519:qw0I..."
)]
pub(crate) struct OfDomain {
    #[command(subcommand)]
    about: Option<About>,
    /// Mail with this domain; those below it are others
    #[arg(value_name = "DOMAIN", required = true)]
    domain: Option<String>,
    /// A month of UTC, such as 2026-11
    #[arg(long, value_name = "MONTH", required = true)]
    month: Option<Month>,
    /// As a page for people, not as the JSON that can be verified
    #[arg(long)]
    html: bool,
    /// Instead of standard output; must not exist yet
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Subcommand)]
enum About {
    /// Print the public key that this relay signs evidence with; for whoever is to verify it
    Key,
    /// Say whether a document is as the relay made it; needs no relay
    Verify {
        /// As `evidence DOMAIN` wrote it, JSON
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The relay's key, as it told you by another way
        #[arg(long, value_name = "PUBLIC")]
        key: Option<String>,
    },
}

impl OfDomain {
    pub(crate) async fn run(self, place: &Place, output: &Output) -> Result<(), Failure> {
        match (self.about, self.domain, self.month) {
            (Some(About::Key), ..) => {
                let key: String = place.client()?.get("/v1/evidence-key").await?;
                output.either(&key, |key| output.line(key));
            }
            (Some(About::Verify { file, key }), ..) => {
                let evidence = verified(&file, key.as_deref())?;
                output.either(&evidence, |evidence| tell(evidence, key.is_some(), output));
            }
            (None, Some(domain), Some(month)) => {
                let signed = make(&place.client()?, &domain, month).await?;
                let text = match self.html {
                    true => signed.html()?,
                    false => {
                        let signed = serde_json::to_value(&signed).map_err(|error| error.to_string())?;
                        visible_json(&canonical(&signed)) + "\n"
                    }
                };
                match &self.output {
                    None => output.file(&text),
                    Some(path) => write(path, &text)?,
                }
            }
            // The command line's own rules leave nothing else.
            (None, ..) => return Err(Failure::Text("name a domain and a month".to_owned())),
        }
        Ok(())
    }
}

async fn make(client: &Client, domain: &str, month: Month) -> Result<Signed, Failure> {
    let path = format!("/v1/evidence/{}", encoded(domain));
    Ok(client.get(&query(&path, [("month", month.to_string())])).await?)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let written = File::create_new(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| Failure::Text(format!("{}: {error}", path.display())))
}

fn verified(file: &Path, key: Option<&str>) -> Result<Evidence, Failure> {
    let failed = |why: String| format!("{}: {why}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    let signed: Signed = serde_json::from_str(&text)
        .map_err(|error| failed(format!("is no evidence, as `sealwire evidence DOMAIN` writes it: {error}")))?;
    Ok(verify(&signed, key).map_err(failed)?)
}

fn tell(evidence: &Evidence, by_known_key: bool, output: &Output) {
    let Evidence { relay, domain, month, made_at, inbound, outbound, audit_head, covers, .. } = evidence;
    output.toned(Tone::Good, "as it was made");
    if !by_known_key {
        output.line("by the key that it names itself: hold that against the relay's own, with --key");
    }
    output.pairs(&[
        ("relay", relay.clone()),
        ("domain", domain.to_string()),
        ("month", format!("{month}{}", if covers.month_is_over { "" } else { ", not over when it was made" })),
        ("made at", made_at.clone()),
        (
            "inbound",
            format!(
                "{} accepted, {} in clear; {} refused",
                inbound.accepted, inbound.accepted_in_clear, inbound.refused
            ),
        ),
        (
            "outbound",
            format!(
                "{} delivered, {} in clear; {} rounds without what was demanded",
                outbound.delivered, outbound.delivered_in_clear, outbound.floor_unmet
            ),
        ),
        ("audit log", audit_head.to_string()),
    ]);
    if !covers.whole {
        output.line("records of this month were kept no longer: there was more than is counted here");
    }
}
