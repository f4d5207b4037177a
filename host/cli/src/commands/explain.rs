//! `explain`: why a message met the end it met, from the ledger; and which rules the policies tried, asked by what it has.

use clap::Args;
use sealwire_admin::{Client, ExplainedMessage, ExplainedRecord, query};

use crate::failure::Failure;
use crate::output::Output;

#[derive(Args)]
#[command(after_help = "\
Every decision on the message, as it was made: by whose settings, which entries of which lists
were met, the facts that were read, the rules that had something to say. Below it stands which
rules held and which were tried in vain, and why: the policy is asked again, by the facts on
record, as long as it and its settings are the same. Then each attempt with its floor: every
demand and where it came from.

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
        let mut pairs = vec![("message", self.message)];
        pairs.extend(self.recipient.map(|recipient| ("recipient", recipient)));
        let found: ExplainedMessage = client.get(&query("/v1/explain", pairs)).await?;
        if output.json {
            output.value(&found.records);
            return Ok(());
        }
        if !found.whole {
            output.line("the last 10,000 records of this message");
        }
        found.records.iter().flat_map(ExplainedRecord::lines).for_each(|line| output.line(line));
        Ok(())
    }
}
