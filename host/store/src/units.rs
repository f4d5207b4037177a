//! Organizational units in SQL: whether a path, kept as a JSON array, is one of some units or below one.

use sealwire_core::units::Within;

/// A condition on a column, or an expression, that gives the path as JSON; `parameter` is bound to [`parameter`], and NULL
/// asks for nothing.
pub(crate) fn condition(path: &str, parameter: &str) -> String {
    format!(
        "({parameter} IS NULL OR EXISTS (SELECT 1 FROM json_each({parameter})
           WHERE {path} = value || ']' OR substr({path}, 1, length(value) + 1) = value || ','))"
    )
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
