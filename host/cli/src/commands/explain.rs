//! `explain`: why a message met the end it met, from the ledger alone.

use clap::Args;
use sealwire_admin::{Client, query};
use sealwire_core::explain::{concerns, lines};
use sealwire_store::LedgerLine;

use crate::failure::Failure;
use crate::output::Output;

/// Records of one message that are asked for.
const RECORDS_MAX: usize = 10_000;

#[derive(Args)]
#[command(after_help = "\
Every decision on the message, as it was made: by whose settings, which entries of which lists
were met, the facts that were read, the rules that had something to say. Then each attempt
with its floor: every demand and where it came from.

Examples:
  sealwire explain ID
  sealwire explain ID --recipient ann@bank.example

`sealwire log` has the ids; `sealwire decide` explains a message that nobody has sent.")]
pub(crate) struct Explain {
    /// Id of the message
    message: String,
    /// This recipient's copy alone
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<String>,
}

impl Explain {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<(), Failure> {
        let pairs = [("message", self.message.clone()), ("limit", RECORDS_MAX.to_string())];
        let mut found: Vec<LedgerLine> = client.get(&query("/v1/log", pairs)).await?;
        if found.is_empty() {
            let id = &self.message;
            return Err(Failure::Text(format!("the ledger has nothing of message {id:?}; `sealwire log` has the ids")));
        }
        let whole = found.len() < RECORDS_MAX;
        if let Some(recipient) = &self.recipient {
            found.retain(|line| concerns(&line.record.event, recipient));
        }
        if output.json {
            output.value(&found);
            return Ok(());
        }
        if !whole {
            output.line(format!("the last {RECORDS_MAX} records of this message"));
        }
        found.iter().flat_map(|line| lines(&line.record)).for_each(|line| output.line(line));
        Ok(())
    }
}
