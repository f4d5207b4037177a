//! Reads a policy's settings strictly: every fault with its JSON Pointer (RFC 6901), all of them at once, unknown keys
//! included. A setting that is misspelt and silently ignored would be mail without the protection someone asked for.

use std::cell::RefCell;

use serde_json::{Map, Value};

use crate::Problem;
use crate::moment::{self, OfDay};

/// No settings document is nested deeper; the parser's recursion stays within a component's small stack.
const DEPTH_MAX: usize = 16;

/// Everything found wrong so far.
#[derive(Default, Debug)]
pub struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    /// Notes one.
    pub fn add(&self, path: impl Into<String>, text: impl Into<String>) {
        self.0.borrow_mut().push(Problem::new(path, text));
    }

    /// The value, if nothing was wrong.
    pub fn or<T>(self, value: T) -> Result<T, Vec<Problem>> {
        let problems = self.0.into_inner();
        if problems.is_empty() { Ok(value) } else { Err(problems) }
    }
}

/// Parses the document and reads its top-level object.
pub fn read<T>(document: &str, read: impl FnOnce(&mut Object, &Problems) -> T) -> Result<T, Vec<Problem>> {
    if too_deep(document) {
        return Err(vec![Problem::new("", format!("settings are nested deeper than {DEPTH_MAX} levels"))]);
    }
    let value: Value = serde_json::from_str(document)
        .map_err(|error| vec![Problem::new("", format!("settings are not a JSON document: {error}"))])?;
    let problems = Problems::default();
    let value = object(&value, "", &problems, |object| read(object, &problems));
    match value {
        Some(value) => problems.or(value),
        None => Err(problems.0.into_inner()),
    }
}

/// An object of the document. Each getter notes a wrong type as a problem and returns None; keys that no getter asked
/// for are problems too.
#[derive(Debug)]
pub struct Object<'a> {
    map: &'a Map<String, Value>,
    path: &'a str,
    problems: &'a Problems,
    asked: Vec<&'static str>,
}

impl<'a> Object<'a> {
    /// Pointer to one key.
    pub fn path(&self, key: &str) -> String {
        pointer(self.path, key)
    }

    /// A text that must be there and not be blank.
    pub fn required_text(&mut self, key: &'static str) -> Option<String> {
        let text = self.text(key);
        let missing = match &text {
            None => !self.map.contains_key(key),
            Some(text) => text.trim().is_empty(),
        };
        if missing {
            self.problems.add(self.path(key), format!("`{key}` must be given and not be empty"));
        }
        text
    }

    /// A text that may be absent.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        self.typed(key, "a text", |value| value.as_str().map(str::to_owned))
    }

    /// true or false; absent is `default`.
    pub fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.typed(key, "true or false", Value::as_bool).unwrap_or(default)
    }

    /// A day such as `2026-12-31`, or a date and time with its offset (RFC 3339), in seconds since the Unix epoch.
    pub fn moment(&mut self, key: &'static str, of_day: OfDay) -> Option<u64> {
        let text = self.text(key)?;
        let moment = moment::read(&text, of_day);
        if moment.is_none() {
            let like = "a day such as 2026-12-31, or a date and time with its offset such as 2026-12-31T18:00:00Z";
            self.problems.add(self.path(key), format!("`{text}` is no moment; write {like}"));
        }
        moment
    }

    /// A list of texts, each with its pointer; absent is empty.
    pub fn texts(&mut self, key: &'static str) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        for (index, value) in self.items(key).iter().enumerate() {
            let path = pointer(&self.path(key), &index.to_string());
            match value.as_str() {
                Some(text) => texts.push((path, text.to_owned())),
                None => self.problems.add(path, "must be a text"),
            }
        }
        texts
    }

    /// A list of objects; absent is empty, faulty ones are left out.
    pub fn objects<T>(&mut self, key: &'static str, mut read: impl FnMut(&mut Object) -> Option<T>) -> Vec<T> {
        let path = self.path(key);
        let problems = self.problems;
        let items = self.items(key).iter().enumerate();
        items
            .filter_map(|(index, value)| {
                object(value, &pointer(&path, &index.to_string()), problems, &mut read).flatten()
            })
            .collect()
    }

    fn items(&mut self, key: &'static str) -> &'a [Value] {
        self.asked.push(key);
        match self.map.get(key) {
            None => &[],
            Some(Value::Array(items)) => items,
            Some(_) => {
                self.problems.add(self.path(key), format!("`{key}` must be a list"));
                &[]
            }
        }
    }

    fn typed<T>(&mut self, key: &'static str, what: &str, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        self.asked.push(key);
        let value = self.map.get(key)?;
        let read = read(value);
        if read.is_none() {
            self.problems.add(self.path(key), format!("`{key}` must be {what}"));
        }
        read
    }

    fn refuse_unknown_keys(&self) {
        for key in self.map.keys().filter(|key| !self.asked.contains(&key.as_str())) {
            let known = self.asked.join("`, `");
            self.problems.add(self.path(key), format!("unknown key; known here are `{known}`"));
        }
    }
}

fn object<T>(value: &Value, path: &str, problems: &Problems, read: impl FnOnce(&mut Object) -> T) -> Option<T> {
    let Value::Object(map) = value else {
        problems.add(path, "must be an object");
        return None;
    };
    let mut object = Object { map, path, problems, asked: Vec::new() };
    let value = read(&mut object);
    object.refuse_unknown_keys();
    Some(value)
}

/// RFC 6901 §3: `~` and `/` in a key are written `~0` and `~1`.
fn pointer(path: &str, key: &str) -> String {
    format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn too_deep(document: &str) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for octet in document.bytes() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    #[allow(dead_code, reason = "read by Debug alone")]
    struct Shop {
        name: Option<String>,
        open: bool,
        tags: Vec<(String, String)>,
        shelves: Vec<Option<String>>,
    }

    fn shop(document: &str) -> Vec<String> {
        let shop = read(document, |object, _| Shop {
            name: object.required_text("name"),
            open: object.flag("open", true),
            tags: object.texts("tags"),
            shelves: object.objects("shelves", |shelf| Some(shelf.text("label"))),
        });
        shop.err()
            .unwrap_or_default()
            .into_iter()
            .map(|problem| format!("{}: {}", problem.path, problem.text))
            .collect()
    }

    #[test]
    fn every_fault_is_told_with_its_pointer() {
        let rows: &[(&str, &[&str])] = &[
            (r#"{"name": "x"}"#, &[]),
            (r#"{"name": "x", "open": false, "tags": ["a"], "shelves": [{"label": "l"}, {}]}"#, &[]),
            (r#"{"name": " "}"#, &["/name: `name` must be given and not be empty"]),
            (
                r#"{"open": 1, "tags": ["a", 2], "shelves": [{"label": []}, 7]}"#,
                &[
                    "/name: `name` must be given and not be empty",
                    "/open: `open` must be true or false",
                    "/tags/1: must be a text",
                    "/shelves/0/label: `label` must be a text",
                    "/shelves/1: must be an object",
                ],
            ),
            (r#"{"name": "x", "tags": {}}"#, &["/tags: `tags` must be a list"]),
            (
                r#"{"name": "x", "a/b~": 1}"#,
                &["/a~1b~0: unknown key; known here are `name`, `open`, `tags`, `shelves`"],
            ),
            (
                r#"{"name": "x", "shelves": [{"lable": "l"}]}"#,
                &["/shelves/0/lable: unknown key; known here are `label`"],
            ),
            ("[]", &[": must be an object"]),
        ];
        for (document, expected) in rows {
            assert_eq!(shop(document), *expected, "{document}");
        }
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for document in ["", "{", "{}{}", &"[".repeat(100_000), "{\"name\": \"\u{0}\"}"] {
            let problems = shop(document);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].starts_with(": settings are"), "{problems:?}");
        }
        assert!(shop(&format!(r#"{{"name": "\"{}"}}"#, "[".repeat(50))).is_empty(), "brackets in a text do not nest");
    }
}
