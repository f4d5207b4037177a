//! Units, settings, address lists and routes, edited one by one: each command is one revision of the settings.

pub(crate) mod list;
pub(crate) mod route;
pub(crate) mod setting;
pub(crate) mod unit;

use clap::Args;
use sealwire_admin::{Client, query};
use sealwire_relay::Replaced;
use sealwire_relay::settings::{Edit, Model};
use serde_json::{Map, Value};

use super::reload;
use crate::failure::Failure;
use crate::output::Output;

/// What goes with every change.
#[derive(Args)]
pub(crate) struct Change {
    /// Why, for whoever reads the revisions and the audit log
    #[arg(long, default_value = "", value_name = "TEXT")]
    why: String,
    /// Only if this is the newest revision: nobody was faster
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
}

impl Change {
    async fn make(&self, edits: Vec<Edit>, client: &Client, output: &Output) -> Result<(), Failure> {
        let expected = self.if_revision.map(|revision| ("expected", revision.to_string()));
        let pairs = [("note", self.why.clone())].into_iter().chain(expected);
        let body = serde_json::to_vec(&edits).map_err(|error| error.to_string())?;
        let replaced: Replaced = client.post(&query("/v1/settings/edits", pairs), body).await?;
        output.either(&replaced, |replaced| reload::tell(replaced, output));
        Ok(())
    }
}

async fn model(client: &Client) -> Result<Model, Failure> {
    Ok(client.get("/v1/model").await?)
}

/// Words on one line, `-` where there are none.
fn words<T: AsRef<str>>(words: &[T]) -> String {
    let all: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    if all.is_empty() { "-".to_owned() } else { all.join(" ") }
}

/// Keys of an edit; what was not said is left out.
#[derive(Default)]
struct Keys(Map<String, Value>);

impl Keys {
    fn put(&mut self, key: &str, value: Option<impl Into<Value>>) {
        self.0.extend(value.map(|value| (key.to_owned(), value.into())));
    }

    fn put_all(&mut self, key: &str, values: Vec<String>) {
        self.put(key, (!values.is_empty()).then_some(values));
    }

    /// An empty text takes the key out.
    fn put_or_take(&mut self, key: &str, value: Option<String>) {
        self.put(key, value.map(|text| if text.is_empty() { Value::Null } else { Value::String(text) }));
    }
}

/// An array of texts with these in it and those not.
fn with(current: Option<&Value>, add: &[String], remove: &[String]) -> Option<Vec<Value>> {
    if add.is_empty() && remove.is_empty() {
        return None;
    }
    let mut texts: Vec<Value> = current.and_then(Value::as_array).cloned().unwrap_or_default();
    texts.retain(|text| !remove.iter().any(|gone| text == gone));
    for new in add {
        if !texts.iter().any(|text| text == new) {
            texts.push(Value::String(new.clone()));
        }
    }
    Some(texts)
}
