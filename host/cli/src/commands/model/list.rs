//! `address-list`: addresses and domains, shared by all settings that name the list.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use sealwire_admin::{Client, encoded, query};
use sealwire_core::list::NewEntry;
use sealwire_relay::settings::{Edit, Entries, EntryView, ListView, Position};

use super::{Change, model, words};
use crate::failure::Failure;
use crate::output::Output;

mod csv;

/// Octets of a file that is imported: several times a million long addresses.
const FILE_MAX: u64 = 256 << 20;
/// Entries asked for at once.
const PAGE: usize = 10_000;

#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  sealwire address-list create partners
  sealwire address-list add partners bank.example ann@insurer.example --note 'contract 17'
  sealwire address-list add partners clinic.example --with-subdomains --until 2026-12-31
  sealwire address-list import partners partners.csv
  sealwire address-list show partners --search bank
  sealwire address-list export partners --csv > partners.csv
  sealwire address-list remove partners bank.example

An entry is an address, a domain (that domain exactly), or *.domain (every domain below it).")]
pub(crate) enum AddressList {
    /// List the lists, how long they are and where they are used
    List,
    /// The entries of one
    Show {
        /// Its name
        list: String,
        /// Only entries with this in them or in their note
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// From there on: the next page, as the one before names it
        #[arg(long, value_name = "POSITION")]
        after: Option<Position>,
    },
    /// Make an empty list
    Create {
        /// Its name, such as partners
        list: String,
        #[command(flatten)]
        change: Change,
    },
    /// Add entries
    Add(Add),
    /// Take entries out
    Remove {
        /// The list
        list: String,
        /// Entries, in any form of the same
        #[arg(required = true, value_name = "ENTRY")]
        entries: Vec<String>,
        #[command(flatten)]
        change: Change,
    },
    /// Put the entries of a file in the place of the list's, or of a new list
    Import {
        /// The list
        list: String,
        /// Entries apart by commas, blanks or lines; or CSV with the headings entry, note, until,
        /// sender; `-` reads standard input
        file: PathBuf,
        /// It is CSV [default: as its name ends]
        #[arg(long)]
        csv: bool,
        #[command(flatten)]
        change: Change,
    },
    /// Print all entries, as a list file is written or as CSV
    Export {
        /// The list
        list: String,
        /// As CSV, safe to open in a spreadsheet
        #[arg(long)]
        csv: bool,
    },
    /// Delete a list that nothing uses
    Delete {
        /// The list
        list: String,
        #[command(flatten)]
        change: Change,
    },
}

#[derive(Args)]
pub(crate) struct Add {
    /// The list
    list: String,
    /// Entries; one argument may hold several, apart by commas, blanks or lines
    #[arg(required = true, value_name = "ENTRY")]
    entries: Vec<String>,
    /// Of domains: their subdomains too, which makes two entries of each
    #[arg(long)]
    with_subdomains: bool,
    /// For people
    #[arg(long, default_value = "", value_name = "TEXT")]
    note: String,
    /// They list nobody after this day, or this time in UTC
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// For policies that loosen: only an authenticated sender counts
    #[arg(long)]
    authenticated_sender_only: bool,
    #[command(flatten)]
    change: Change,
}

impl AddressList {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<(), Failure> {
        match self {
            AddressList::List => list(client, output).await,
            AddressList::Show { list, search, limit, after } => {
                let page = page(client, &list, search, after, limit).await?;
                output.either(&page, |page| show(page, output));
                Ok(())
            }
            AddressList::Create { list, change } => {
                if model(client).await?.lists.iter().any(|view| view.name == list) {
                    return Err(Failure::Text(format!("there is a list {list:?} already")));
                }
                change.make(vec![Edit::PutList { list, entries: Vec::new() }], client, output).await
            }
            AddressList::Add(add) => add.run(client, output).await,
            AddressList::Remove { list, entries, change } => {
                let entries = entries.iter().flat_map(|text| pasted(text)).collect();
                change.make(vec![Edit::RemoveEntries { list, entries }], client, output).await
            }
            AddressList::Import { list, file, csv, change } => {
                let text = read(&file)?;
                let csv = csv || file.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv"));
                let text = if csv { csv::read(&text).map_err(|faults| faults.join("\n"))? } else { text };
                change.make(vec![Edit::PutListText { list, text }], client, output).await
            }
            AddressList::Export { list, csv } => export(client, &list, csv, output).await,
            AddressList::Delete { list, change } => change.make(vec![Edit::RemoveList { list }], client, output).await,
        }
    }
}

impl Add {
    async fn run(self, client: &Client, output: &Output) -> Result<(), Failure> {
        let entry = |text: String| NewEntry {
            text,
            with_subdomains: self.with_subdomains,
            note: self.note.clone(),
            until: self.until.clone(),
            authenticated_sender_only: self.authenticated_sender_only,
        };
        let entries = self.entries.iter().flat_map(|text| pasted(text)).map(entry).collect();
        self.change.make(vec![Edit::AddEntries { list: self.list, entries }], client, output).await
    }
}

/// The entries of a text, apart by commas, blanks or lines.
fn pasted(text: &str) -> Vec<String> {
    sealwire_core::list::written(text).map(|entry| entry.text.to_owned()).collect()
}

fn read(file: &Path) -> Result<String, Failure> {
    let cannot = |why: std::io::Error| Failure::Text(format!("{}: cannot be read: {why}", file.display()));
    let mut octets = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().take(FILE_MAX).read_to_end(&mut octets).map_err(cannot)?;
    } else {
        std::fs::File::open(file).map_err(cannot)?.take(FILE_MAX).read_to_end(&mut octets).map_err(cannot)?;
    }
    if octets.len() as u64 == FILE_MAX {
        return Err(Failure::Text(format!("{}: has {FILE_MAX} octets or more; split it", file.display())));
    }
    String::from_utf8(octets).map_err(|_| Failure::Text(format!("{}: is not UTF-8; save it as UTF-8", file.display())))
}

async fn page(
    client: &Client,
    list: &str,
    search: Option<String>,
    after: Option<Position>,
    limit: usize,
) -> Result<Entries, Failure> {
    let search = search.map(|search| ("search", search));
    let after = after.map(|after| ("after", after.to_string()));
    let pairs = [("limit", limit.to_string())].into_iter().chain(search).chain(after);
    Ok(client.get(&query(&format!("/v1/lists/{}/entries", encoded(list)), pairs)).await?)
}

async fn list(client: &Client, output: &Output) -> Result<(), Failure> {
    let model = model(client).await?;
    output.either(&model.lists, |lists| {
        let row = |list: &ListView| [list.name.clone(), list.entries.to_string(), words(&list.used_by)];
        let rows: Vec<_> = lists.iter().map(row).collect();
        output.table(["list", "entries", "used by"], &rows);
    });
    Ok(())
}

fn show(page: &Entries, output: &Output) {
    let row = |entry: &EntryView| {
        [
            entry.text.clone(),
            entry.until.clone().unwrap_or_default(),
            if entry.authenticated_sender_only { "authenticated" } else { "" }.to_owned(),
            entry.note.clone(),
        ]
    };
    let rows: Vec<_> = page.entries.iter().map(row).collect();
    output.table(["entry", "until", "sender", "note"], &rows);
    if let Some(next) = page.next {
        let of = page.total.map_or_else(String::new, |total| format!(" of {total}"));
        output.line(format!("{}{of}; the next page: --after {next}", page.entries.len()));
    }
}

async fn export(client: &Client, list: &str, csv: bool, output: &Output) -> Result<(), Failure> {
    if csv {
        output.file(csv::HEADINGS);
    }
    let mut after = None;
    loop {
        let page = page(client, list, None, after, PAGE).await?;
        let lines = page.entries.iter().map(|entry| if csv { csv::line(entry) } else { as_written(entry) } + "\n");
        let lines: String = lines.collect();
        if !lines.is_empty() {
            output.file(&lines);
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

fn as_written(entry: &EntryView) -> String {
    let until = entry.until.iter().map(|until| format!(" until={until}"));
    let sender = entry.authenticated_sender_only.then(|| " sender=authenticated".to_owned());
    let note = Some(&entry.note).filter(|note| !note.is_empty()).map(|note| format!(" # {note}"));
    format!("{}{}", entry.text, until.chain(sender).chain(note).collect::<String>())
}
