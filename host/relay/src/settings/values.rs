//! Values of an edit, JSON, as they are written in the settings file.

use serde_json::{Map, Value};
use toml_edit::{Array, ArrayOfTables, InlineTable, Item, Table, TableLike, value};

use super::edit::EditError;

/// A table of these keys; null leaves one out.
pub(super) fn table_of(values: &Map<String, Value>) -> Result<Table, EditError> {
    let mut table = Table::new();
    merge(Some(&mut table), values)?;
    Ok(table)
}

/// Puts these keys into a table; null takes one out.
pub(super) fn merge(
    table: Option<&mut (impl TableLike + ?Sized)>,
    values: &Map<String, Value>,
) -> Result<(), EditError> {
    let Some(table) = table else { return Err(EditError::Wrong("what is edited is no table".to_owned())) };
    for (key, value) in values {
        match value {
            Value::Null => drop(table.remove(key)),
            value => drop(table.insert(key, item_of(value)?)),
        }
    }
    Ok(())
}

/// One value. Arrays of tables are written one below the other.
pub(super) fn item_of(value: &Value) -> Result<Item, EditError> {
    match value {
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_object) => {
            let mut tables = ArrayOfTables::new();
            for item in items.iter().filter_map(Value::as_object) {
                tables.push(table_of(item)?);
            }
            Ok(Item::ArrayOfTables(tables))
        }
        Value::Object(values) => Ok(Item::Table(table_of(values)?)),
        other => Ok(value_item(inline(other)?)),
    }
}

fn value_item(inner: toml_edit::Value) -> Item {
    value(inner)
}

fn inline(value: &Value) -> Result<toml_edit::Value, EditError> {
    let unwritable = |what: &str| EditError::Wrong(format!("{what} cannot be written in the settings file"));
    Ok(match value {
        Value::Null => return Err(unwritable("a null within a list")),
        Value::Bool(value) => (*value).into(),
        Value::String(text) => text.as_str().into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.into(),
            (None, Some(float)) if !number.is_u64() => float.into(),
            _ => return Err(unwritable("a number so large")),
        },
        Value::Array(items) => {
            let mut array = Array::new();
            for item in items {
                array.push(inline(item)?);
            }
            array.into()
        }
        Value::Object(values) => {
            let mut table = InlineTable::new();
            for (key, value) in values {
                table.insert(key, inline(value)?);
            }
            table.into()
        }
    })
}
