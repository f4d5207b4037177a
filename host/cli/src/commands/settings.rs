//! `settings`: apply a new revision, show one, list them.

use std::path::PathBuf;

use clap::Subcommand;
use sealwire_admin::{Client, query};
use sealwire_core::time::rfc3339;
use sealwire_relay::Replaced;
use sealwire_relay::settings::{Gathered, gather};
use sealwire_store::Revision;

use super::reload;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Subcommand)]
pub(crate) enum Settings {
    /// Put a settings file, and the list files it names, into force; kept as a revision
    #[command(after_help = "\
Examples:
  sealwire settings apply settings.toml --note 'bank added'
  sealwire settings apply settings.toml --reload     with a policy that joins the chain

A document with a problem is refused whole; what was in force stays. docs/settings.md describes
every key.")]
    Apply {
        /// The settings file
        file: PathBuf,
        /// Why, for whoever reads the revisions
        #[arg(long, default_value = "")]
        note: String,
        /// Read the configuration again in the same step: how a policy with settings joins or leaves the chain
        #[arg(long)]
        reload: bool,
    },
    /// Print a settings document as it was written
    Show {
        /// A revision [default: the newest]
        #[arg(long)]
        revision: Option<u64>,
        /// Print this list's file instead
        #[arg(long, value_name = "NAME")]
        list: Option<String>,
    },
    /// List the revisions: when, who, why
    Revisions,
}

impl Settings {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<(), Failure> {
        match self {
            Settings::Apply { file, note, reload } => {
                let document = gather(&file)?;
                let path = query("/v1/settings", [("note", note), ("reload", reload.to_string())]);
                let replaced: Replaced = client.post(&path, document.into_bytes()).await?;
                output.either(&replaced, |replaced| reload::tell(replaced, output));
            }
            Settings::Show { revision, list } => {
                let number = revision.map(|number| ("revision", number.to_string()));
                let revision: Revision = client.get(&query("/v1/settings", number)).await?;
                let text = text_of(&revision, list.as_deref())?;
                output.either(&revision, |_| output.line(text.trim_end()));
            }
            Settings::Revisions => {
                let revisions: Vec<Revision> = client.get("/v1/settings/revisions").await?;
                output.either(&revisions, |revisions| {
                    let row = |r: &Revision| [r.revision.to_string(), rfc3339(r.at), r.by.clone(), r.note.clone()];
                    let rows: Vec<_> = revisions.iter().map(row).collect();
                    output.table(["revision", "applied", "by", "note"], &rows);
                });
            }
        }
        Ok(())
    }
}

fn text_of(revision: &Revision, list: Option<&str>) -> Result<String, Failure> {
    let gathered = Gathered::read(&revision.document)?;
    let Some(name) = list else { return Ok(gathered.text.clone()) };
    let file = gathered.lists.get(name);
    file.map(|file| file.text.clone()).ok_or_else(|| {
        let known = gathered.lists.keys().cloned().collect::<Vec<_>>().join(", ");
        Failure::Text(format!("revision {} has no list file {name:?}; it has: {known}", revision.revision))
    })
}
