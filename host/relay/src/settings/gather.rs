//! One text out of a settings file and the list files it names, so that a revision in the store is whole.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::Problem;
use crate::config::reader::{Faults, Table, read};

/// Octets of one settings or list file: several times a million long addresses.
const FILE_MAX: u64 = 256 << 20;

/// A settings document as it travels and is kept: JSON around the operator's own texts, so that a list of a million
/// entries costs no TOML and problems still name the operator's files and lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gathered {
    /// The settings file as the operator named it; empty where the text came without one.
    #[serde(default)]
    pub file: String,
    /// Its text, TOML.
    pub text: String,
    /// The list files it names, by the list's name.
    #[serde(default)]
    pub lists: BTreeMap<String, ListFile>,
}

/// A list file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListFile {
    /// As the settings file and its folder name it.
    pub file: String,
    /// Its text; empty in the store where it has pieces.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Digests of the pieces it is kept in, in hexadecimal; none of a short one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pieces: Vec<String>,
}

/// Longest name of a list, in characters.
const NAME_MAX: usize = 64;

/// Err: why this is no name of a list. It becomes a file's name where settings are exported.
pub(super) fn list_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    let well =
        (1..=NAME_MAX).contains(&name.chars().count()) && name.chars().all(plain) && !name.starts_with(['.', ' ']);
    if well && !name.ends_with(' ') {
        return Ok(());
    }
    Err(format!(
        "{name:?} is no name of a list; use 1 to {NAME_MAX} letters, digits, spaces, -, _ and ., a letter or digit first"
    ))
}

impl Gathered {
    /// Reads a document that travelled. No TOML document begins with a brace, so bare TOML is told apart from JSON.
    pub fn read(document: &str) -> Result<Cow<'_, Gathered>, Vec<Problem>> {
        if !document.trim_start().starts_with('{') {
            return Ok(Cow::Owned(Gathered { text: document.to_owned(), ..Gathered::default() }));
        }
        let why = |error| format!("is neither TOML nor a document of `sealwire settings apply`: {error}");
        let mut gathered: Gathered =
            serde_json::from_str(document).map_err(|error| vec![Problem::of_file("", why(error))])?;
        for name in gathered.lists.keys() {
            list_name(name).map_err(|why| vec![Problem::of_file(&gathered.file, format!("lists: {why}"))])?;
        }
        // Where there is a text it alone counts: digests beside it could name another, which would be in force after a restart.
        gathered.lists.values_mut().filter(|list| !list.text.is_empty()).for_each(|list| list.pieces.clear());
        Ok(Cow::Owned(gathered))
    }
}

impl Gathered {
    /// As it travels and is kept: what came as bare TOML stays so.
    pub(crate) fn document(&self) -> Result<String, Vec<Problem>> {
        if self.file.is_empty() && self.lists.is_empty() && !self.text.trim_start().starts_with('{') {
            return Ok(self.text.clone());
        }
        let unwritable = |error| vec![Problem::of_file(&self.file, format!("cannot be gathered: {error}"))];
        serde_json::to_string(self).map_err(unwritable)
    }

    /// The text of a list, of its file or of its entries in the settings file; None: there is none.
    pub(crate) fn text_of(&self, list: &str) -> Option<String> {
        if let Some(file) = self.lists.get(list) {
            return Some(file.text.clone());
        }
        let ignored = Faults::of(&self.file, &self.text);
        read(&self.text, &ignored, |table| {
            let lists = table.table("lists")?;
            let _ = lists.names();
            let entries = lists.table(list)?.list("entries", |text| Ok(text.to_owned()))?;
            Some(entries.into_iter().map(|at| at.value + "\n").collect())
        })
    }
}

/// Reads a settings file and the list files it names; their paths are relative to its folder.
pub fn gather(file: &Path) -> Result<String, Vec<Problem>> {
    let name = file.display().to_string();
    let text = read_text(file).map_err(|why| vec![Problem::of_file(&name, why)])?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let faults = Faults::of(&name, &text);
    // Only what keeps files from being found is told here; the relay judges the rest, which it must do anyway.
    let lists = files_named(&text, &name).into_iter().filter_map(|(list, (line, path))| {
        let path = folder.join(path);
        match read_text(&path) {
            Ok(text) => Some((list, ListFile { file: path.display().to_string(), text, ..ListFile::default() })),
            Err(why) => {
                faults.note(line, &format!("lists.{list}.file"), format!("{}: {why}", path.display()));
                None
            }
        }
    });
    let lists = lists.collect();
    let problems = faults.into_problems();
    if !problems.is_empty() {
        return Err(problems);
    }
    Gathered { file: name, text, lists }.document()
}

fn files_named(text: &str, name: &str) -> BTreeMap<String, (usize, String)> {
    let ignored = Faults::of(name, text);
    let named = |lists: &Table<'_>, list: String| {
        let at = lists.table(&list)?.text("file")?;
        Some((list, (at.line, at.value)))
    };
    read(text, &ignored, |table| {
        let Some(lists) = table.table("lists") else { return BTreeMap::new() };
        lists.names().into_iter().filter_map(|list| named(&lists, list)).collect()
    })
}

fn read_text(path: &Path) -> Result<String, String> {
    let cannot = |why: std::io::Error| format!("cannot be read: {why}");
    let size = fs::metadata(path).map_err(cannot)?.len();
    if size > FILE_MAX {
        return Err(format!("has {size} octets, more than {FILE_MAX}; split the list"));
    }
    let octets = fs::read(path).map_err(cannot)?;
    String::from_utf8(octets).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|octet| **octet == b'\n').count();
        format!("is not UTF-8 on line {}; save it as UTF-8", line + 1)
    })
}
