//! `downgrades`: destinations that give less protection than they gave, and what an operator makes of them.

use clap::Subcommand;
use sealwire_admin::{Client, encoded};
use sealwire_core::time::rfc3339;
use sealwire_relay::Downgrade;

use crate::failure::Failure;
use crate::output::{Output, Tone};

#[derive(Subcommand)]
#[command(after_help = "\
A host that gave TLS with a good certificate and gives less now was changed by its owner, or
somebody stands in between. Ask them by another way than mail; `sealwire tls-test DOMAIN` says
what it gives.

Examples:
  sealwire downgrades list
  sealwire downgrades accept partner.example")]
pub(crate) enum Downgrades {
    /// List hosts that give less than they gave
    List,
    /// Expect of a destination from now on what it gives now
    Accept {
        /// A domain, or `route NAME`, as in the list
        #[arg(value_name = "DESTINATION")]
        destination: String,
    },
}

impl Downgrades {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<(), Failure> {
        match self {
            Downgrades::List => {
                let downgrades: Vec<Downgrade> = client.get("/v1/downgrades").await?;
                output.either(&downgrades, |downgrades| tell(downgrades, output));
            }
            Downgrades::Accept { destination } => {
                let path = format!("/v1/downgrades/{}", encoded(&destination));
                let accepted: Vec<Downgrade> = client.delete(&path).await?;
                output.either(&accepted, |accepted| {
                    for Downgrade { host, gives, .. } in accepted {
                        output.line(format!("{gives} is expected of {host} from now on"));
                    }
                });
            }
        }
        Ok(())
    }
}

fn tell(downgrades: &[Downgrade], output: &Output) {
    if downgrades.is_empty() {
        output.line("no host gives less protection than it gave");
    }
    for Downgrade { destination, host, gave, gave_at, gives, since } in downgrades {
        output.toned(Tone::Bad, destination);
        output.line(format!("  {host} gives {gives} since {}", rfc3339(*since)));
        output.line(format!("  it gave {gave}, seen last {}", rfc3339(*gave_at)));
    }
}
