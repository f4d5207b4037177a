//! `settings`: apply a new revision, show one, list them.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use sealwire_admin::{Client, query};
use sealwire_core::time::rfc3339;
use sealwire_relay::Replaced;
use sealwire_relay::settings::{Difference, Gathered, gather};
use sealwire_store::Revision;

use super::preview::Preview;
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
  sealwire settings apply settings.toml --dry-run    only say what would change

What would change is told first, then it is put into force. A document with a problem is
refused whole; what was in force stays. docs/settings.md describes every key.")]
    Apply {
        /// The settings file
        file: PathBuf,
        /// Why, for whoever reads the revisions
        #[arg(long, default_value = "")]
        note: String,
        /// Read the configuration again in the same step: how a policy with settings joins or leaves the chain
        #[arg(long)]
        reload: bool,
        /// Say what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Only if this is the newest revision: nobody was faster
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<u64>,
    },
    /// Say what a settings file would change of what is in force; nothing is changed
    Diff {
        /// The settings file
        file: PathBuf,
    },
    /// Write what is in force to files, for version control: settings.toml and its lists
    Export {
        /// The folder; it is made if it is not there
        folder: PathBuf,
        /// A revision [default: the newest]
        #[arg(long)]
        revision: Option<u64>,
    },
    /// Put an older revision into force again, as a new one
    Undo {
        /// The revision; 0 is none at all [default: the one before the newest]
        #[arg(long, value_name = "REVISION")]
        to: Option<u64>,
        /// Why, for whoever reads the revisions
        #[arg(long, default_value = "")]
        note: String,
        /// Only if this is the newest revision
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<u64>,
    },
    /// See what a settings file would have done to the mail of the last days
    Preview(Preview),
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
            Settings::Apply { file, note, reload, dry_run, if_revision } => {
                let document = gather(&file)?;
                // With a policy that joins, only the relay that reads its configuration again can say what is wrong.
                if dry_run || !(reload || output.json) {
                    tell_differences(&document, client, output).await?;
                }
                if dry_run {
                    return Ok(());
                }
                let expected = if_revision.map(|revision| ("expected", revision.to_string()));
                let pairs = [("note", note), ("reload", reload.to_string())].into_iter().chain(expected);
                let replaced: Replaced = client.post(&query("/v1/settings", pairs), document.into_bytes()).await?;
                output.either(&replaced, |replaced| reload::tell(replaced, output));
            }
            Settings::Diff { file } => tell_differences(&gather(&file)?, client, output).await?,
            Settings::Export { folder, revision } => {
                let number = revision.map(|number| ("revision", number.to_string()));
                let revision: Revision = client.get(&query("/v1/settings", number)).await?;
                let written = export(&revision, &folder)?;
                output.either(&written, |written| written.iter().for_each(|file| output.line(format!("wrote {file}"))));
            }
            Settings::Undo { to, note, if_revision } => {
                let to = to.map(|to| ("to", to.to_string()));
                let expected = if_revision.map(|revision| ("expected", revision.to_string()));
                let pairs = [("note", note)].into_iter().chain(to).chain(expected);
                let replaced: Replaced = client.post(&query("/v1/settings/undo", pairs), Vec::new()).await?;
                output.either(&replaced, |replaced| reload::tell(replaced, output));
            }
            Settings::Preview(preview) => preview.run(client, output).await?,
            Settings::Show { revision, list } => {
                let number = revision.map(|number| ("revision", number.to_string()));
                let revision: Revision = client.get(&query("/v1/settings", number)).await?;
                let text = text_of(&revision, list.as_deref())?;
                output.either(&revision, |_| output.file(&text));
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

async fn tell_differences(document: &str, client: &Client, output: &Output) -> Result<(), Failure> {
    let found: Vec<Difference> = client.post("/v1/settings/diff", document.as_bytes().to_vec()).await?;
    output.either(&found, |found| {
        if found.is_empty() {
            output.line("nothing would change");
        }
        found.iter().flat_map(Difference::told).for_each(|line| output.line(line));
    });
    Ok(())
}

/// Writes a revision as files; returns their names. A list's file goes into the folder under its last name.
fn export(revision: &Revision, folder: &Path) -> Result<Vec<String>, Failure> {
    let gathered = Gathered::read(&revision.document)?;
    let cannot =
        |path: &Path, why: std::io::Error| Failure::Text(format!("{}: cannot be written: {why}", path.display()));
    std::fs::create_dir_all(folder).map_err(|why| cannot(folder, why))?;
    let mut document: toml_edit::DocumentMut =
        gathered.text.parse().map_err(|error| format!("revision {} is not TOML: {error}", revision.revision))?;
    let mut written = Vec::new();
    let mut write = |name: &str, text: &str| {
        let path = folder.join(name);
        written.push(path.display().to_string());
        std::fs::write(&path, text).map_err(|why| cannot(&path, why))
    };
    for (name, list) in &gathered.lists {
        let file = format!("{name}.txt");
        write(&file, &list.text)?;
        if let Some(table) = document.get_mut("lists").and_then(|lists| lists.get_mut(name)) {
            table["file"] = toml_edit::value(file);
        }
    }
    write("settings.toml", &document.to_string())?;
    Ok(written)
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
