//! `queue hold` and `queue release`: what an operator keeps from leaving, why and until when.

use clap::Args;
use sealwire_admin::Client;
use sealwire_admin::api::{HoldRequest, Released};
use sealwire_core::address::{Domain, Mailbox};
use sealwire_core::time::parse_rfc3339;
use sealwire_relay::config::values::{domain, seconds};
use sealwire_store::{Held, Selection, Sender};

use crate::failure::Failure;
use crate::output::{Output, now};

#[derive(Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Selected {
    /// One message
    #[arg(conflicts_with_all = ["all", "domain", "sender"])]
    id: Option<String>,
    /// Everything that is in the queue now
    #[arg(long, conflicts_with_all = ["domain", "sender"])]
    all: bool,
    /// Recipients of this domain, none below it
    #[arg(long, value_parser = domain)]
    domain: Option<Domain>,
    /// Messages of this envelope sender: a mailbox, a domain, or <> for reports
    #[arg(long, value_parser = sender)]
    sender: Option<Sender>,
}

#[derive(Args)]
pub(crate) struct Hold {
    #[command(flatten)]
    which: Selected,
    /// Why; for operators and the log, senders are not told
    #[arg(long)]
    reason: String,
    /// Until then, such as 2026-11-24T09:05:00Z; without it, and where that is later, until the message's own expiry
    #[arg(long, value_name = "TIME", value_parser = parse_rfc3339, conflicts_with = "span")]
    until: Option<u64>,
    /// For so long, such as 30m, 12h or 2d
    #[arg(long = "for", id = "span", value_name = "SPAN", value_parser = seconds)]
    span: Option<u64>,
}

impl Selected {
    fn meant(self) -> Selection {
        match self {
            Selected { id: Some(id), .. } => Selection::Entry(id),
            Selected { all: true, .. } => Selection::All,
            Selected { domain, sender, .. } => Selection::Matching { domain, sender },
        }
    }

    pub(super) async fn release(self, client: &Client, output: &Output) -> Result<(), Failure> {
        let which = serde_json::to_vec(&self.meant()).map_err(|error| error.to_string())?;
        let released: Released = client.post("/v1/queue/release", which).await?;
        output.either(&released, |released| {
            output.line(format!("{} recipients go on", released.recipients));
        });
        Ok(())
    }
}

impl Hold {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<(), Failure> {
        let until = self.until.or_else(|| self.span.map(|span| now().saturating_add(span)));
        let request = HoldRequest { which: self.which.meant(), reason: self.reason, until };
        let request = serde_json::to_vec(&request).map_err(|error| error.to_string())?;
        let held: Held = client.post("/v1/queue/hold", request).await?;
        output.either(&held, |held| in_words(held).into_iter().for_each(|line| output.line(line)));
        Ok(())
    }
}

fn in_words(held: &Held) -> Vec<String> {
    let mut lines = vec![format!("{} recipients are on hold", held.recipients)];
    if held.in_delivery > 0 {
        lines.push(format!("{} of them are in a round just now, which goes on", held.in_delivery));
    }
    if held.expire_before > 0 {
        lines.push(format!(
            "{} of them expire before that time: they stay on hold, and are then reported to their senders without one more attempt",
            held.expire_before
        ));
    }
    lines
}

fn sender(text: &str) -> Result<Sender, String> {
    if text == "<>" {
        return Ok(Sender::Null);
    }
    if !text.contains('@') {
        return domain(text).map(Sender::OfDomain);
    }
    Mailbox::parse(text).map(Sender::Mailbox).map_err(|why| format!("is no mailbox, no domain and not <>: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_held_is_told_and_what_expires_first() {
        let held = Held { recipients: 5, in_delivery: 2, expire_before: 3 };
        let told = in_words(&held).join("\n");
        for part in ["5 recipients are on hold", "2 of them are in a round", "3 of them expire before that time"] {
            assert!(told.contains(part), "{told}");
        }
        assert_eq!(in_words(&Held { recipients: 5, ..Held::default() }), ["5 recipients are on hold"]);
    }

    #[test]
    fn senders_are_mailboxes_domains_or_null() {
        let domain = Domain::parse("a.example").expect("a domain");
        let rows = [
            ("<>", Some(Sender::Null)),
            ("A.example", Some(Sender::OfDomain(domain.clone()))),
            ("Ann@a.example", Some(Sender::Mailbox(Mailbox::new("Ann", domain)))),
            ("ann@", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(sender(text).ok(), expected, "{text:?}");
        }
    }
}
