//! Arrays in the place of objects: serde reads a struct from either, the schema promises objects alone.

use schemars::{JsonSchema, schema_for};
use serde_json::Value;

/// The pointer of the first array that stands where the schema of `T` has an object.
pub(super) fn misplaced_array<T: JsonSchema>(value: &Value) -> Option<String> {
    let schema = schema_for!(T).to_value();
    find(&schema, &schema, value)
}

fn find(root: &Value, schema: &Value, value: &Value) -> Option<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return find(root, root.pointer(reference.trim_start_matches('#'))?, value);
    }
    if let Some(forms) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        // Of the forms that the value may be of, one without a fault will do.
        let mut faults = forms.iter().filter(|form| may_be(root, form, value)).map(|form| find(root, form, value));
        let first = faults.next()?;
        return if faults.any(|fault| fault.is_none()) { None } else { first };
    }
    match value {
        Value::Array(_) if is_object(schema) => Some(String::new()),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| find(root, &schema["items"], item).map(|below| format!("/{index}{below}"))),
        Value::Object(members) => members.iter().find_map(|(name, member)| {
            find(root, &schema["properties"][name], member).map(|below| format!("/{name}{below}"))
        }),
        _ => None,
    }
}

fn is_object(schema: &Value) -> bool {
    match &schema["type"] {
        Value::String(word) => word == "object",
        Value::Array(words) => words.contains(&"object".into()) && !words.contains(&"array".into()),
        _ => false,
    }
}

/// An object may be of a form whose members it has; anything else of any form that is no object, an array of both.
fn may_be(root: &Value, schema: &Value, value: &Value) -> bool {
    if let Some(reference) = schema["$ref"].as_str() {
        return root.pointer(reference.trim_start_matches('#')).is_some_and(|schema| may_be(root, schema, value));
    }
    match value {
        Value::Object(members) => {
            let required = schema["required"].as_array();
            is_object(schema)
                && required
                    .is_none_or(|names| names.iter().all(|name| name.as_str().is_some_and(|n| members.contains_key(n))))
        }
        Value::Array(_) => true,
        _ => !is_object(schema),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::HoldRequest;
    use crate::v1::NewToken;

    #[test]
    fn an_array_is_no_object() {
        let rows = [
            (json!({ "which": "all", "reason": "why" }), None),
            (json!({ "which": { "entry": "id" }, "reason": "why" }), None),
            (json!({ "which": { "matching": {} }, "reason": "why" }), None),
            (json!({ "which": { "matching": [null, null] }, "reason": "why" }), Some("/which/matching")),
            (json!(["all", "why", null]), Some("")),
        ];
        for (value, expected) in rows {
            assert_eq!(misplaced_array::<HoldRequest>(&value).as_deref(), expected, "{value}");
        }
        let token = json!({ "name": "ci", "grants": [{ "role": "queue" }, ["queue", "root"]], "expires-at": 1 });
        assert_eq!(misplaced_array::<NewToken>(&token).as_deref(), Some("/grants/1"));
    }
}
