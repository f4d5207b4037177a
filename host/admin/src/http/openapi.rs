//! The OpenAPI 3.1 document, made from the table of endpoints and the types they read and answer.

use axum::http::{Method, StatusCode};
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::BASE;
use super::endpoint::{Access, Endpoint, Shape};
use super::problem::{PROBLEM_JSON, ProblemDetails};
use crate::v1;

/// Entity tags as a pattern.
const TAGS: &str = r#"^(\*|(W/)?"[!#-~]*"(, (W/)?"[!#-~]*"){0,9})$"#;

/// The document.
pub fn document() -> Value {
    // Of what is read: what is answered fits it too, for every answer can be read back.
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<ProblemDetails>();
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in v1::endpoints() {
        let operation = operation(&endpoint, &mut generator, &problem);
        let path = paths.entry(format!("{BASE}{}", endpoint.path)).or_insert_with(|| json!({}));
        path[endpoint.method.as_str().to_ascii_lowercase()] = operation;
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "sealwire",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The HTTP API of a sealwire relay. Everything that is refused is told as problem details (RFC 9457).",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "Made with `sealwire token create`." },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": "__Host-sealwire-session",
                    "description": "Begun with POST /api/v1/session; changes need X-CSRF-Token besides.",
                },
            },
        },
    });
    bound(&mut document);
    document
}

/// A number that is read into so many bits has a greatest, which its format alone does not say.
fn bound(value: &mut Value) {
    let greatest = match value.get("format").and_then(Value::as_str) {
        Some("uint8") => Some(u64::from(u8::MAX)),
        Some("uint16") => Some(u64::from(u16::MAX)),
        Some("uint32") => Some(u64::from(u32::MAX)),
        Some("uint64" | "uint") => Some(u64::MAX),
        _ => None,
    };
    match value {
        Value::Object(members) => {
            if let Some(greatest) = greatest {
                members.entry("maximum").or_insert(json!(greatest));
            }
            members.values_mut().for_each(bound);
        }
        Value::Array(items) => items.iter_mut().for_each(bound),
        _ => {}
    }
}

fn operation(endpoint: &Endpoint, generator: &mut SchemaGenerator, problem: &Schema) -> Value {
    let shape = (endpoint.shape)(generator);
    let mut operation = json!({
        "operationId": endpoint.id,
        "summary": endpoint.summary,
        "parameters": parameters(endpoint, &shape),
        "responses": responses(endpoint, &shape, problem),
    });
    if let (Some(media), Some(schema)) = (endpoint.media, shape.body) {
        operation["requestBody"] = json!({ "required": true, "content": { media: { "schema": schema } } });
    }
    let (roles, unit) = match endpoint.access {
        Access::Open => return operation,
        Access::Known => (None, None),
        Access::Root(roles) => (Some(roles), Some("root")),
        Access::Units(roles) => (Some(roles), Some("any")),
    };
    operation["security"] = json!([{ "token": [] }, { "session": [] }]);
    if let (Some(roles), Some(unit)) = (roles, unit) {
        // An owner may everything, so that each list begins with him.
        let mut names = vec!["owner"];
        names.extend(roles.iter().map(|role| role.as_str()).filter(|name| *name != "owner"));
        operation["x-roles"] = json!(names);
        operation["x-unit"] = json!(unit);
    }
    operation
}

fn parameters(endpoint: &Endpoint, shape: &Shape) -> Vec<Value> {
    let of_path = shape.path.iter().flat_map(|schema| members(schema, "path"));
    let of_query = shape.query.iter().flat_map(|schema| members(schema, "query"));
    let mut parameters: Vec<Value> = of_path.chain(of_query).collect();
    let header = |name: &str, required: bool, pattern: &str, description: &str| {
        json!({
            "name": name, "in": "header", "required": required, "description": description,
            "schema": { "type": "string", "pattern": pattern },
        })
    };
    if endpoint.conditional {
        parameters.push(header("If-Match", true, TAGS, "The ETag of what the change was made from, or `*`."));
    }
    if endpoint.method == Method::POST && !matches!(endpoint.access, Access::Open) {
        let text =
            "1 to 255 visible characters of ASCII: the same request with the same key is done once within a day.";
        parameters.push(header("Idempotency-Key", false, "^[!-~]{1,255}$", text));
    }
    parameters
}

/// Each member of an object as a parameter. What may be left out has no null on the wire.
fn members(schema: &Schema, place: &str) -> Vec<Value> {
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let required = schema.get("required").and_then(Value::as_array);
    let parameter = |(name, schema): (&String, &Value)| {
        let is_required = place == "path" || required.is_some_and(|names| names.contains(&json!(name)));
        let mut schema = without_null(schema.clone());
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let mut parameter = json!({ "name": name, "in": place, "required": is_required, "schema": schema });
        if let Some(description) = description {
            parameter["description"] = description;
        }
        parameter
    };
    properties.iter().map(parameter).collect()
}

fn without_null(mut schema: Value) -> Value {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|word| word != "null");
        if let [only] = types.as_slice() {
            schema["type"] = only.clone();
        }
    }
    if let Some(Value::Array(forms)) = schema.get_mut("anyOf") {
        forms.retain(|form| form.get("type") != Some(&json!("null")));
    }
    if let Some(members) = schema.as_object_mut()
        && members.get("default") == Some(&Value::Null)
    {
        members.remove("default");
    }
    schema
}

fn responses(endpoint: &Endpoint, shape: &Shape, problem: &Schema) -> Value {
    let mut success = json!({ "description": endpoint.status.canonical_reason().unwrap_or_default() });
    if let Some(schema) = &shape.answer {
        success["content"] = json!({ endpoint.answers: { "schema": schema } });
    }
    let mut headers = Map::new();
    let text = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    if endpoint.method == Method::GET || endpoint.conditional {
        headers.insert("ETag".to_owned(), text("Changes with what is answered."));
    }
    if endpoint.paged {
        headers.insert("Link".to_owned(), text("`rel=\"next\"`: what comes behind this page (RFC 8288)."));
    }
    if matches!(endpoint.status, StatusCode::CREATED | StatusCode::ACCEPTED) {
        headers.insert("Location".to_owned(), text("Where it is."));
    }
    if !headers.is_empty() {
        success["headers"] = Value::Object(headers);
    }
    let mut responses = Map::from_iter([(endpoint.status.as_str().to_owned(), success)]);
    if endpoint.method == Method::GET {
        responses.insert(
            "304".to_owned(),
            json!({ "description": "It is what If-None-Match names (RFC 9110 section 13.1.2)." }),
        );
    }
    for status in refusals(endpoint) {
        let told = json!({
            "description": StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()),
            "content": { PROBLEM_JSON: { "schema": problem } },
        });
        responses.insert(status.to_string(), told);
    }
    Value::Object(responses)
}

/// Statuses of what may be refused.
fn refusals(endpoint: &Endpoint) -> Vec<u16> {
    let mut statuses = vec![400, 406, 429, 500, 503];
    match endpoint.access {
        // Of who says something secret instead of who he is.
        Access::Open if endpoint.method != Method::GET => statuses.push(401),
        Access::Open => {}
        Access::Known | Access::Root(_) | Access::Units(_) => statuses.extend([401, 403]),
    }
    if endpoint.path.contains('{') || endpoint.method != Method::GET {
        statuses.extend([404, 409, 422]);
    }
    if endpoint.media.is_some() {
        statuses.extend([408, 413, 415]);
    }
    if endpoint.conditional {
        statuses.extend([412, 428]);
    }
    statuses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_in_docs_is_current() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        let found = std::fs::read_to_string(file).unwrap_or_default();
        let expected = format!("{:#}\n", document());
        let differs = expected.lines().zip(found.lines()).position(|(expected, found)| expected != found);
        let line = differs.unwrap_or_else(|| expected.lines().count().min(found.lines().count()));
        let at = |text: &str| text.lines().skip(line.saturating_sub(3)).take(8).collect::<Vec<_>>().join("\n");
        assert!(
            expected == found,
            "docs/openapi.json differs from line {} on; write it anew: cargo run -- openapi > docs/openapi.json\n\
             --- is\n{}\n--- should be\n{}",
            line + 1,
            at(&found),
            at(&expected)
        );
    }

    #[test]
    fn every_endpoint_and_every_reference_is_there() {
        let document = document();
        for endpoint in v1::endpoints() {
            let method = endpoint.method.as_str().to_ascii_lowercase();
            let operation = &document["paths"][format!("{BASE}{}", endpoint.path)][&method];
            assert_eq!(operation["operationId"], endpoint.id, "{} {}", endpoint.method, endpoint.path);
            for (name, _) in endpoint.path.split('/').filter_map(|part| part.strip_prefix('{')?.split_once('}')) {
                let parameters = operation["parameters"].as_array().expect("a list");
                assert!(parameters.iter().any(|one| one["name"] == name && one["in"] == "path"), "{}", endpoint.path);
            }
        }
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap_or_default();
            assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
        }
    }
}
