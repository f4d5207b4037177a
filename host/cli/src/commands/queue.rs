//! `queue`: what waits, why, until when; and what an operator may do about it.

use clap::{Args, Subcommand};
use sealwire_admin::api::{QueueEntry, Removed};
use sealwire_admin::{Client, encoded, query};
use sealwire_core::entry::{QueuedRecipient, RecipientStatus};
use sealwire_core::time::rfc3339;
use sealwire_store::{QueueItem, Retried, Retry};

use crate::failure::Failure;
use crate::output::{Output, now, size, span};

mod holds;

#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  sealwire queue list --recipient example.com
  sealwire queue show ID
  sealwire queue retry --failed-decisions
  sealwire queue hold --domain example.com --reason 'gateway down' --for 12h
  sealwire queue release --domain example.com
  sealwire queue remove ID")]
pub(crate) enum Queue {
    /// List what waits, oldest first
    List(List),
    /// One message: its recipients, their next round, and its header
    Show {
        /// The message's id, as in the list, the log and its 250 reply
        id: String,
    },
    /// Make recipients due at once; those that an operator holds stay so
    Retry(Which),
    /// Keep what is in the queue from leaving, for a reason and a time
    Hold(holds::Hold),
    /// End holds of operators: the mail goes on at once
    Release(holds::Selected),
    /// Take a message out of the queue; its sender is not told
    Remove {
        /// The message's id
        id: String,
    },
}

#[derive(Args)]
pub(crate) struct List {
    /// Part of a recipient's address
    #[arg(long)]
    recipient: Option<String>,
    /// Part of the envelope sender's address
    #[arg(long)]
    sender: Option<String>,
    /// Only messages with a recipient that a policy's fallback holds
    #[arg(long)]
    held: bool,
    /// Only messages with a recipient that an operator holds
    #[arg(long)]
    on_hold: bool,
    /// Only messages behind this id: the next page
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// One message
    id: Option<String>,
    /// Everything
    #[arg(long)]
    all: bool,
    /// What waits because a policy could not decide
    #[arg(long)]
    failed_decisions: bool,
    /// What a policy's fallback holds
    #[arg(long)]
    held: bool,
}

impl Queue {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<(), Failure> {
        match self {
            Queue::List(list) => {
                let items: Vec<QueueItem> = client.get(&list.path()).await?;
                output.either(&items, |items| tell_list(items, output));
            }
            Queue::Show { id } => {
                let entry: QueueEntry = client.get(&format!("/v1/queue/{}", encoded(&id))).await?;
                output.either(&entry, |entry| tell_entry(entry, output));
            }
            Queue::Retry(which) => {
                let which = serde_json::to_vec(&which.meant()).map_err(|error| error.to_string())?;
                let retried: Retried = client.post("/v1/queue/retry", which).await?;
                output.either(&retried, |retried| {
                    output.line(format!("{} recipients are due now", retried.recipients));
                    if retried.on_hold > 0 {
                        output.line(format!("{} stay on hold; queue release frees them", retried.on_hold));
                    }
                });
            }
            Queue::Hold(hold) => hold.run(client, output).await?,
            Queue::Release(which) => which.release(client, output).await?,
            Queue::Remove { id } => {
                let removed: Removed = client.delete(&format!("/v1/queue/{}", encoded(&id))).await?;
                output.either(&removed, |removed| output.line(format!("{} is removed", removed.removed)));
            }
        }
        Ok(())
    }
}

impl List {
    fn path(self) -> String {
        let texts = [("recipient", self.recipient), ("sender", self.sender), ("after", self.after)];
        let held = self.held.then(|| ("status", "held".to_owned()));
        let on_hold = self.on_hold.then(|| ("on_hold", "true".to_owned()));
        let given = texts.into_iter().filter_map(|(key, value)| Some((key, value?)));
        query("/v1/queue", given.chain(held).chain(on_hold).chain([("limit", self.limit.to_string())]))
    }
}

impl Which {
    fn meant(self) -> Retry {
        match self {
            Which { id: Some(id), .. } => Retry::Entry(id),
            Which { failed_decisions: true, .. } => Retry::FailedDecisions,
            Which { held: true, .. } => Retry::Held,
            Which { .. } => Retry::All,
        }
    }
}

fn tell_list(items: &[QueueItem], output: &Output) {
    if items.is_empty() {
        output.line("nothing waits");
        return;
    }
    let mut rows = Vec::new();
    for item in items {
        let waiting: Vec<_> = item.recipients.iter().filter(|recipient| waits(recipient)).collect();
        for (index, recipient) in waiting.into_iter().enumerate() {
            let (id, age, octets, sender) = match index {
                0 => (
                    item.entry.id.clone(),
                    span(now().saturating_sub(item.entry.arrived_at)),
                    size(item.entry.size),
                    sender(item),
                ),
                _ => Default::default(),
            };
            let next = next_round(recipient);
            let to = recipient.mailbox.to_string();
            rows.push([id, age, octets, sender, to, next, last_or_hold(recipient)]);
        }
    }
    output.table(["message", "age", "size", "from", "to", "next", "last round"], &rows);
}

fn tell_entry(entry: &QueueEntry, output: &Output) {
    let QueueEntry { item, header } = entry;
    let mut pairs = vec![
        ("message", item.entry.id.clone()),
        ("arrived", rfc3339(item.entry.arrived_at)),
        ("from", sender(item)),
        ("size", size(item.entry.size)),
        ("in delivery", if item.claimed { "yes" } else { "no" }.to_owned()),
    ];
    if !item.entry.flagged_by.is_empty() {
        pairs.push(("must be secure", format!("by {}", item.entry.flagged_by.join(", "))));
    }
    output.pairs(&pairs);
    output.line("");
    let row = |recipient: &QueuedRecipient| {
        let rounds = recipient.progress.rounds.to_string();
        [recipient.mailbox.to_string(), next_round(recipient), rounds, last_or_hold(recipient)]
    };
    let rows: Vec<_> = item.recipients.iter().map(row).collect();
    output.table(["to", "next", "rounds", "last round"], &rows);
    output.line("");
    output.lines(header.trim_end());
}

fn waits(recipient: &QueuedRecipient) -> bool {
    matches!(recipient.status, RecipientStatus::Queued | RecipientStatus::Held)
}

fn next_round(recipient: &QueuedRecipient) -> String {
    match recipient.status {
        RecipientStatus::Queued | RecipientStatus::Held if recipient.hold.is_some() => "on hold".to_owned(),
        RecipientStatus::Queued if recipient.due_at <= now() => "now".to_owned(),
        RecipientStatus::Queued => format!("in {}", span(recipient.due_at - now())),
        RecipientStatus::Held => "held".to_owned(),
        RecipientStatus::Delivered => "delivered".to_owned(),
        RecipientStatus::Reported => "reported".to_owned(),
        RecipientStatus::Removed => "removed".to_owned(),
    }
}

/// How the last round ended; of what an operator holds, the hold.
fn last_or_hold(recipient: &QueuedRecipient) -> String {
    let Some(hold) = &recipient.hold else { return recipient.progress.last.clone() };
    let until = hold.until.map_or_else(|| "it expires".to_owned(), rfc3339);
    format!("held by {} until {until}: {}", hold.by, hold.reason)
}

fn sender(item: &QueueItem) -> String {
    item.entry.envelope_sender.as_ref().map_or_else(|| "<>".to_owned(), ToString::to_string)
}
