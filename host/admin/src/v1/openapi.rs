//! The document that describes all this.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::http::ask::Ask;
use crate::http::endpoint::{self, Answer, Reply};
use crate::http::openapi;

/// An OpenAPI document.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct OpenApi(Map<String, Value>);

impl endpoint::Value for OpenApi {}

pub(super) async fn show(_: Ask) -> Answer<OpenApi> {
    let document = openapi::document();
    Ok(Reply::new(OpenApi(document.as_object().cloned().unwrap_or_default())))
}
