//! `settings preview`: what a settings document would have done to the mail of the last days.

use std::io::{IsTerminal, Write, stderr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use sealwire_admin::{Client, query};
use sealwire_relay::config::values::seconds;
use sealwire_relay::preview::{Found, State};
use sealwire_relay::settings::gather;

use crate::failure::Failure;
use crate::output::Output;

mod words;

/// How often a running preview is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(200);

#[derive(Args)]
#[command(after_help = "\
The decisions of the last days are made again, by the facts the ledger has of them, with
these settings. Nothing changes and nothing is sent. What cannot be told is counted, never
guessed. Ctrl-C stops it; what it found until then is shown.

Examples:
  sealwire settings preview settings.toml
  sealwire settings preview settings.toml --days 30 --within 30m")]
pub(crate) struct Preview {
    /// The settings file
    file: PathBuf,
    /// How many days back
    #[arg(long, default_value_t = 7)]
    days: u64,
    /// How long it may take, such as 90s or 5m; then it ends and says how far it came
    #[arg(long, value_name = "TIME", value_parser = seconds, default_value = "5m")]
    within: u64,
}

impl Preview {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<(), Failure> {
        let document = gather(&self.file)?;
        let span = [("days", self.days.to_string()), ("within", self.within.to_string())];
        let begun: Found = client.post(&query("/v1/settings/preview", span), document.into_bytes()).await?;
        let found = self.to_its_end(begun, client, output).await?;
        if found.state == State::Failed {
            return Err(Failure::Text(found.trouble.unwrap_or_else(|| "the preview could not be done".to_owned())));
        }
        output.either(&found, |found| words::tell(found).iter().for_each(|line| output.line(line)));
        Ok(())
    }

    async fn to_its_end(&self, mut found: Found, client: &Client, output: &Output) -> Result<Found, Failure> {
        let path = format!("/v1/settings/preview/{}", found.id);
        let shows = !output.json && stderr().is_terminal();
        while found.state == State::Running {
            if shows {
                let _ = write!(stderr(), "\r\u{1b}[K{}", words::progress(&found));
            }
            found = tokio::select! {
                () = tokio::time::sleep(ASK_EVERY) => client.get(&path).await?,
                _ = tokio::signal::ctrl_c() => client.delete(&path).await?,
            };
        }
        if shows {
            let _ = write!(stderr(), "\r\u{1b}[K");
        }
        Ok(found)
    }
}
