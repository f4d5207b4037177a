//! Organizational units in SQL: whether a path, kept as a JSON array, is one of some units or below one.

use sealwire_core::units::{UnitPath, Within};

/// The path of an entry's message, where `entries` is selected from.
pub(crate) const OF_ENTRY: &str =
    "(SELECT json_extract(meta, '$.unit') FROM messages WHERE messages.entry = entries.number)";

/// A path as JSON has it; what tells of none is the root's.
pub(crate) fn read(path: Option<String>) -> Vec<String> {
    let path = path.and_then(|path| serde_json::from_str(&path).ok());
    path.unwrap_or_else(|| UnitPath::root().names().to_vec())
}

/// A condition on a column, or an expression, that gives the path as JSON; `parameter` is bound to [`parameter`], and NULL
/// asks for nothing.
pub(crate) fn condition(path: &str, parameter: &str) -> String {
    format!(
        "({parameter} IS NULL OR EXISTS (SELECT 1 FROM json_each({parameter})
           WHERE {path} = value || ']' OR substr({path}, 1, length(value) + 1) = value || ','))"
    )
}

/// The same of a ledger record: its unit, or one of the others that a decision was made for.
pub(crate) fn of_record(parameter: &str) -> String {
    let own = condition("coalesce(json_extract(record, '$.unit'), '[\"root\"]')", parameter);
    let other = condition("json_extract(other.value, '$.unit')", parameter);
    format!("({own} OR EXISTS (SELECT 1 FROM json_each(record, '$.also_for') AS other WHERE {other}))")
}

/// The units as the condition reads them: a JSON array of their paths, each as JSON without its closing bracket.
pub(crate) fn parameter(within: &Within) -> String {
    let open = |unit: &Vec<String>| {
        let mut text = serde_json::Value::from(unit.clone()).to_string();
        text.pop();
        text
    };
    serde_json::Value::from(within.units().iter().map(open).collect::<Vec<_>>()).to_string()
}
