//! Each policy's table as the JSON document its `configure` is given, and where every value of it was written.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::places::{Places, step};
use crate::config::reader::{Faults, Table};

/// The tables below `[policy]`.
pub(super) fn policies(table: &Table<'_>, places: &mut Places, faults: &Faults) -> BTreeMap<String, Value> {
    let mut policies = BTreeMap::new();
    let Some(tables) = table.table("policy") else { return policies };
    for name in tables.names() {
        let Some(at) = tables.value(&name) else { continue };
        let Some(table) = at.value.as_table() else {
            faults.note_at(&at, format!("must be a table, written [policy.{name}]"));
            continue;
        };
        let mut reading = Reading { policy: &name, places, faults };
        reading.place("", at.line);
        let value = reading.object(table, "");
        policies.insert(name, value);
    }
    policies
}

struct Reading<'a> {
    policy: &'a str,
    places: &'a mut Places,
    faults: &'a Faults,
}

impl Reading<'_> {
    fn place(&mut self, pointer: &str, line: usize) {
        self.places.put(self.policy, pointer, line);
    }

    fn object(&mut self, table: &DeTable<'_>, pointer: &str) -> Value {
        let mut object = Map::new();
        for (key, value) in table {
            let pointer = step(pointer, key.get_ref());
            self.place(&pointer, self.faults.line(&key.span()));
            let value = self.value(value, &pointer);
            object.insert(key.get_ref().to_string(), value);
        }
        Value::Object(object)
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, pointer: &str) -> Value {
        let number = |text: Option<Number>| text.map(Value::Number);
        let read = match value.get_ref() {
            DeValue::String(text) => Some(Value::String(text.to_string())),
            DeValue::Boolean(value) => Some(Value::Bool(*value)),
            DeValue::Integer(n) => number(i64::from_str_radix(n.as_str(), n.radix()).ok().map(Number::from)),
            DeValue::Float(n) => number(n.as_str().parse().ok().and_then(Number::from_f64)),
            DeValue::Datetime(date) => Some(Value::String(date.to_string())),
            DeValue::Table(table) => Some(self.object(table, pointer)),
            DeValue::Array(items) => {
                let mut array = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    let pointer = step(pointer, &index.to_string());
                    self.place(&pointer, self.faults.line(&item.span()));
                    array.push(self.value(item, &pointer));
                }
                Some(Value::Array(array))
            }
        };
        read.unwrap_or_else(|| {
            // JSON knows no infinity, and a policy no integer beyond 64 bits.
            let key = self.places.key(self.policy, pointer);
            self.faults.note(self.faults.line(&value.span()), &key, "is no number that JSON can carry");
            Value::Null
        })
    }
}
