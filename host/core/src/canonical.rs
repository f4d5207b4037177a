//! JSON in one form: what is signed or hashed must be found again, octet by octet, by whoever reads it.
//!
//! RFC 8785's form for what this program writes: no spaces, members sorted by name, the shortest escapes, whole numbers. RFC
//! 8785 §3.2.3 sorts by UTF-16 units and this by octets, which differ only in names outside the basic plane; none is ours.

use serde_json::Value;

/// The text of a value in this form.
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by(|one, other| one.0.cmp(other.0));
            text.push('{');
            for (at, (name, value)) in members.into_iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => text.push_str(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_has_one_text() {
        let rows = [
            (r#"{"b":1,"a":[true,null,{}],"aa":""}"#, r#"{"a":[true,null,{}],"aa":"","b":1}"#),
            (r#" { "z" : { "y" : 2 , "x" : [ ] } } "#, r#"{"z":{"x":[],"y":2}}"#),
            ("\"\\u0041\\u001b\\n\\u00e9\\/\"", "\"A\\u001b\\né/\""),
            ("-7", "-7"),
        ];
        for (written, expected) in rows {
            let value: Value = serde_json::from_str(written).expect("JSON");
            assert_eq!(canonical(&value), expected, "{written}");
            let again: Value = serde_json::from_str(expected).expect("JSON");
            assert_eq!(canonical(&again), expected, "{expected}");
        }
    }
}
