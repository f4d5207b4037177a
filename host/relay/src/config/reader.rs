//! Reads a TOML document strictly: every fault with file, line and key, all of them at once, unknown keys included.
//!
//! serde would stop at the first fault. A key that is misspelt and silently ignored would be mail without the
//! protection someone asked for, so a key that no reader asked for is a problem too.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};

use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct At<T> {
    /// The value.
    pub(crate) value: T,
    /// From 1.
    pub(crate) line: usize,
    /// Dotted path of its key.
    pub(crate) key: String,
}

/// A document's name and lines, and what was found wrong with it so far.
#[derive(Debug)]
pub(crate) struct Faults {
    file: String,
    line_starts: Vec<usize>,
    found: RefCell<Vec<Problem>>,
}

impl Faults {
    /// None so far.
    pub(crate) fn of(file: &str, text: &str) -> Faults {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Faults { file: file.to_owned(), line_starts, found: RefCell::default() }
    }

    /// Line of an octet offset, from 1.
    pub(crate) fn line(&self, span: &Range<usize>) -> usize {
        self.line_starts.partition_point(|start| *start <= span.start)
    }

    /// Notes a fault.
    pub(crate) fn note(&self, line: usize, key: &str, text: impl Into<String>) {
        self.found.borrow_mut().push(self.problem(line, key, text));
    }

    /// A problem of this document, noted nowhere.
    pub(crate) fn problem(&self, line: usize, key: &str, text: impl Into<String>) -> Problem {
        Problem { file: self.file.clone(), line, key: key.to_owned(), text: text.into() }
    }

    /// Notes a fault of one value.
    pub(crate) fn note_at<T>(&self, at: &At<T>, text: impl Into<String>) {
        self.note(at.line, &at.key, text);
    }

    /// Notes a fault that may follow from others: only where there is none yet.
    pub(crate) fn note_unless_any(&self, key: &str, text: String) {
        if self.found.borrow().is_empty() {
            self.note(0, key, text);
        }
    }

    /// Adds problems found elsewhere, of another file perhaps.
    pub(crate) fn extend(&self, problems: impl IntoIterator<Item = Problem>) {
        self.found.borrow_mut().extend(problems);
    }

    /// All, in the order of the lines.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.found.into_inner();
        problems.sort();
        problems.dedup();
        problems
    }
}

/// Dots in one line, before any value. The parser's time grows with the square of a key's parts: 64 KiB of dots take it
/// seconds, and no setting has more than a handful. It is a typing error that is caught here, not an enemy: the file is its
/// operator's.
const KEY_DOTS: usize = 500;

/// The text, or nothing where a key has more parts than anybody means.
fn without_endless_keys<'a>(text: &'a str, faults: &Faults) -> &'a str {
    let dots = |line: &str| line.split(['=', '"', '\'', '#']).next().map_or(0, |key| key.matches('.').count());
    let Some(line) = text.lines().position(|line| dots(line) > KEY_DOTS) else { return text };
    faults.note(line + 1, "", format!("a key with more than {KEY_DOTS} dots: no setting has one; take the line out"));
    ""
}

/// Parses a document as far as it can be and hands its top-level table on. Faults of syntax are noted.
pub(crate) fn read<T>(text: &str, faults: &Faults, read: impl FnOnce(&Table<'_>) -> T) -> T {
    let text = without_endless_keys(text, faults);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let line = error.span().map_or(0, |span| faults.line(&span));
        faults.note(line, "", format!("this is not TOML: {}", error.message()));
    }
    read(&Table::new(table.get_ref(), String::new(), 1, faults))
}

/// One table of a document. Each getter notes a wrong type as a fault and answers as if the key were absent.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    table: &'a DeTable<'a>,
    path: String,
    line: usize,
    faults: &'a Faults,
    asked: RefCell<Vec<String>>,
}

impl<'a> Table<'a> {
    fn new(table: &'a DeTable<'a>, path: String, line: usize, faults: &'a Faults) -> Table<'a> {
        Table { table, path, line, faults, asked: RefCell::default() }
    }

    /// The table itself as a place, for faults of what is missing in it.
    pub(crate) fn here(&self) -> At<()> {
        At { value: (), line: self.line, key: self.path.clone() }
    }

    /// The value of a key, as written.
    pub(crate) fn value(&self, key: &str) -> Option<At<&'a DeValue<'a>>> {
        self.asked.borrow_mut().push(key.to_owned());
        let (name, value) = self.table.iter().find(|(name, _)| name.get_ref() == key)?;
        // A table's own span may begin anywhere; its key says where a person looks for it. A value that the parser made
        // up behind a fault of syntax stands nowhere.
        let line = if value.get_ref().is_table() || value.span().is_empty() { name.span() } else { value.span() };
        Some(At { value: value.get_ref(), line: self.faults.line(&line), key: self.path_of(key) })
    }

    /// Names of all keys, for tables whose keys are the operator's own. They count as asked for.
    pub(crate) fn names(&self) -> Vec<String> {
        let names: Vec<String> = self.table.keys().map(|name| name.get_ref().to_string()).collect();
        self.asked.borrow_mut().extend(names.iter().cloned());
        names
    }

    /// A string.
    pub(crate) fn text(&self, key: &str) -> Option<At<String>> {
        self.parsed(key, |text| Ok(text.to_owned()))
    }

    /// A string that means something more.
    pub(crate) fn parsed<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<At<T>> {
        let at = self.value(key)?;
        self.faults.parse(&at, parse)
    }

    /// A string that must be there; `missing` says what to add.
    pub(crate) fn required<T>(
        &self,
        key: &str,
        missing: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<At<T>> {
        if self.value(key).is_none() {
            self.faults.note(self.line, &self.path, missing);
        }
        self.parsed(key, parse)
    }

    /// A list of strings that mean something more; None where the key is absent.
    pub(crate) fn list<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Vec<At<T>>> {
        let at = self.value(key)?;
        let Some(array) = at.value.as_array() else {
            return self.faults.wrong_type(&at, "a list, such as [\"one\", \"two\"]");
        };
        let items = array.iter().map(|item| self.faults.item(item, &at.key));
        Some(items.filter_map(|item| self.faults.parse(&item, &parse)).collect())
    }

    /// The same, of which there must be one at least: what demands one of nothing is never met.
    pub(crate) fn some_of<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Vec<At<T>>> {
        let list = self.list(key, parse)?;
        if let Some(at) = self.value(key).filter(|at| at.value.as_array().is_some_and(|array| array.is_empty())) {
            self.faults.note_at(&at, "names none, and none could never be met; name one, or remove it");
        }
        Some(list)
    }

    /// true or false.
    pub(crate) fn flag(&self, key: &str) -> Option<At<bool>> {
        let at = self.value(key)?;
        let found = at.value.as_bool().map(|value| at.with(value));
        found.or_else(|| self.faults.wrong_type(&at, "true or false"))
    }

    /// A whole number within bounds.
    pub(crate) fn number(&self, key: &str, bounds: RangeInclusive<u64>) -> Option<At<u64>> {
        let at = self.value(key)?;
        self.faults.number(&at, bounds)
    }

    /// A whole number of octets, or a string such as `50MiB`.
    pub(crate) fn octets(&self, key: &str, bounds: RangeInclusive<u64>) -> Option<At<u64>> {
        let at = self.value(key)?;
        if at.value.is_integer() {
            return self.faults.number(&at, bounds);
        }
        let octets = self.faults.parse(&at, super::values::octets)?;
        if bounds.contains(&octets.value) {
            return Some(octets);
        }
        self.faults.note_at(&at, format!("must be from {} to {} octets", bounds.start(), bounds.end()));
        None
    }

    /// A table.
    pub(crate) fn table(&self, key: &str) -> Option<Table<'a>> {
        let at = self.value(key)?;
        match at.value.as_table() {
            Some(table) => Some(Table::new(table, at.key, at.line, self.faults)),
            None => self.faults.wrong_type(&at, &format!("a table, written [{}]", self.path_of(key))),
        }
    }

    /// Tables written `[[key]]`; none where the key is absent.
    pub(crate) fn tables(&self, key: &str) -> Vec<Table<'a>> {
        let Some(at) = self.value(key) else { return Vec::new() };
        let wanted = format!("written [[{}]], one for each", self.path_of(key));
        let Some(array) = at.value.as_array() else {
            let _: Option<()> = self.faults.wrong_type(&at, &wanted);
            return Vec::new();
        };
        let tables = array.iter().enumerate().filter_map(|(index, item)| {
            let item = self.faults.item(item, &format!("{}[{}]", at.key, index + 1));
            match item.value.as_table() {
                Some(table) => Some(Table::new(table, item.key, item.line, self.faults)),
                None => self.faults.wrong_type(&item, &wanted),
            }
        });
        tables.collect()
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// A key nobody asked for is a fault; noted here so that no reader can forget it.
impl Drop for Table<'_> {
    fn drop(&mut self) {
        let mut known = std::mem::take(&mut *self.asked.borrow_mut());
        known.sort();
        known.dedup();
        for name in self.table.keys().filter(|name| !known.iter().any(|key| key == name.get_ref())) {
            let text = format!("there is no such key here; known are: {}", known.join(", "));
            self.faults.note(self.faults.line(&name.span()), &self.path_of(name.get_ref()), text);
        }
    }
}

impl<T> At<T> {
    /// Another value in the same place.
    pub(crate) fn with<U>(&self, value: U) -> At<U> {
        At { value, line: self.line, key: self.key.clone() }
    }
}

impl Faults {
    fn item<'a>(&self, item: &'a Spanned<DeValue<'a>>, key: &str) -> At<&'a DeValue<'a>> {
        At { value: item.get_ref(), line: self.line(&item.span()), key: key.to_owned() }
    }

    fn parse<T>(&self, at: &At<&DeValue<'_>>, parse: impl Fn(&str) -> Result<T, String>) -> Option<At<T>> {
        let Some(text) = at.value.as_str() else { return self.wrong_type(at, "a text in quotes") };
        match parse(text) {
            Ok(value) => Some(at.with(value)),
            Err(why) => {
                self.note_at(at, format!("{text:?}: {why}"));
                None
            }
        }
    }

    fn number(&self, at: &At<&DeValue<'_>>, bounds: RangeInclusive<u64>) -> Option<At<u64>> {
        let number = at.value.as_integer().and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok());
        match number.filter(|number| bounds.contains(number)) {
            Some(number) => Some(at.with(number)),
            None => self.wrong_type(at, &format!("a whole number from {} to {}", bounds.start(), bounds.end())),
        }
    }

    fn wrong_type<T>(&self, at: &At<&DeValue<'_>>, wanted: &str) -> Option<T> {
        self.note_at(at, format!("must be {wanted}, not {}", kind(at.value)));
        None
    }
}

fn kind(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(_) => "a text".to_owned(),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
