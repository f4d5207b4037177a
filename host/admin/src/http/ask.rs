//! What a handler is asked: who asks, for which units, and path, query and body as values.
//!
//! Reading is strict: a parameter or a member of an object that is not known is refused by name, and what will not do is
//! answered with its place.

use axum::http::{HeaderMap, header};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use sealwire_core::units::Within;
use serde::de::DeserializeOwned;

use super::Api;
use super::conditions::IfMatch;
use super::problem::Problem;
use super::shape::misplaced_array;
use crate::access::Caller;

/// One request that may be done.
pub(crate) struct Ask<P = (), Q = (), B = ()> {
    pub(crate) api: Api,
    pub(crate) caller: Caller,
    /// The units in which the caller has what the endpoint asks for; nothing outside may be shown or moved.
    pub(crate) scope: Within,
    pub(crate) path: P,
    pub(crate) query: Q,
    pub(crate) body: B,
    pub(crate) if_match: Option<IfMatch>,
}

/// Parameters of a path or a query: an object whose values are texts on the wire. `()`: there are none.
pub(crate) trait Parameters: Sized + Send + 'static {
    fn read(pairs: &[(String, String)]) -> Result<Self, Problem>;
    fn schema(generator: &mut SchemaGenerator) -> Option<Schema>;
}

/// Marks what may be read from text pairs.
pub(crate) trait Pairs: DeserializeOwned + JsonSchema + Send + 'static {}

impl Parameters for () {
    fn read(pairs: &[(String, String)]) -> Result<(), Problem> {
        match pairs.first() {
            None => Ok(()),
            Some((name, _)) => Err(Problem::at_parameter(name, "there is no such parameter; there are none")),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        None
    }
}

impl<T: Pairs> Parameters for T {
    fn read(pairs: &[(String, String)]) -> Result<T, Problem> {
        let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let read = serde_urlencoded::Deserializer::new(form_urlencoded::parse(text.as_bytes()));
        serde_path_to_error::deserialize(read).map_err(|error| {
            let name = error.path().to_string();
            let detail = error.into_inner().to_string();
            // The path is the parameter; of one that is missing or not known only the sentence names it.
            match pairs.iter().any(|(known, _)| *known == name) {
                true => Problem::at_parameter(name, detail),
                false => Problem::at_parameter(named(&detail).unwrap_or_default().to_owned(), detail),
            }
        })
    }

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(T::json_schema(generator))
    }
}

/// What stands between the first grave accents: serde's `unknown field `x`, expected ...`.
fn named(sentence: &str) -> Option<&str> {
    sentence.split('`').nth(1)
}

/// A body. `()`: there is none.
pub(crate) trait Body: Sized + Send + 'static {
    /// None: no body is read.
    const MEDIA: Option<&'static str>;
    fn read(octets: &[u8]) -> Result<Self, Problem>;
    fn schema(generator: &mut SchemaGenerator) -> Option<Schema>;
}

impl Body for () {
    const MEDIA: Option<&'static str> = None;

    fn read(_: &[u8]) -> Result<(), Problem> {
        Ok(())
    }

    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        None
    }
}

/// A JSON value.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned + JsonSchema + Send + 'static> Body for Json<T> {
    const MEDIA: Option<&'static str> = Some("application/json");

    fn read(octets: &[u8]) -> Result<Json<T>, Problem> {
        let mut reader = serde_json::Deserializer::from_slice(octets);
        let read: Result<T, _> = serde_path_to_error::deserialize(&mut reader);
        let value = read.map_err(|error| {
            let (pointer, inner) = (pointer(error.path()), error.into_inner());
            if inner.is_syntax() || inner.is_eof() || inner.is_io() {
                Problem::bad_request(format!("the body is no JSON: {inner}"))
            } else {
                Problem::at_pointer(pointer, inner.to_string())
            }
        })?;
        reader.end().map_err(|error| Problem::bad_request(format!("the body is more than one JSON value: {error}")))?;
        let shape = serde_json::from_slice(octets).ok().and_then(|shape| misplaced_array::<T>(&shape));
        match shape {
            Some(pointer) => Err(Problem::at_pointer(pointer, "must be an object, its members named")),
            None => Ok(Json(value)),
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<T>())
    }
}

/// A document in TOML, as the files of settings are.
pub(crate) struct Document(pub(crate) String);

impl Body for Document {
    const MEDIA: Option<&'static str> = Some("application/toml");

    fn read(octets: &[u8]) -> Result<Document, Problem> {
        let text = std::str::from_utf8(octets);
        text.map(|text| Document(text.to_owned()))
            .map_err(|error| Problem::bad_request(format!("the body is no UTF-8: {error}")))
    }

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<String>())
    }
}

/// A path of serde's as a JSON Pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } => format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
        // A word that picks a form is a member's name too, where the form has members.
        Segment::Enum { variant } => format!("{pointer}/{}", variant.replace('~', "~0").replace('/', "~1")),
        Segment::Unknown => pointer,
    })
}

/// The media type without its parameters, lower case; None where there is none or it is no text.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// Whether an answer of this type will do (RFC 9110 §12.5.1). A type with `q=0` is one that will not.
pub(crate) fn is_acceptable(headers: &HeaderMap, media: &str) -> bool {
    let mut asked = headers.get_all(header::ACCEPT).iter().peekable();
    if asked.peek().is_none() {
        return true;
    }
    let group = media.split('/').next().unwrap_or_default();
    let fits = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let refused =
            parts.any(|part| matches!(part.to_ascii_lowercase().as_str(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        !refused && (name == "*/*" || name == media || name == format!("{group}/*"))
    };
    asked.filter_map(|value| value.to_str().ok()).any(|value| value.split(',').any(fits))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde::Deserialize;

    use super::*;

    #[test]
    fn what_is_accepted() {
        let rows = [
            (None, true),
            (Some("*/*"), true),
            (Some("text/html, application/*;q=0.8"), true),
            (Some("Application/JSON"), true),
            (Some("text/html"), false),
            (Some("application/json;q=0, text/plain"), false),
            (Some(""), false),
        ];
        for (accept, expected) in rows {
            let mut headers = HeaderMap::new();
            headers.extend(accept.map(|text| (header::ACCEPT, HeaderValue::from_static(text))));
            assert_eq!(is_acceptable(&headers, "application/json"), expected, "{accept:?}");
        }
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    #[allow(dead_code)]
    struct Things {
        limit: Option<u64>,
        part_of: Option<Vec<u8>>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Numbers {
        limit: Option<u64>,
        flag: Option<bool>,
    }

    impl Pairs for Numbers {}

    #[test]
    fn faults_are_told_with_their_place() {
        let told = |problem: Problem| {
            let body = serde_json::to_value(problem.details()).expect("serialises");
            (problem.status().as_u16(), body["errors"][0].clone())
        };
        let bodies = [
            ("{", 400, None),
            ("{} {}", 400, None),
            ("\"\u{1}\"", 400, None),
            ("[]", 422, Some("")),
            ("{\"limit\": -1}", 422, Some("/limit")),
            ("{\"part-of\": [1, 2, 300]}", 422, Some("/part-of/2")),
            ("{\"a/b~c\": 1}", 422, Some("/a~1b~0c")),
        ];
        for (text, status, pointer) in bodies {
            let problem = Json::<Things>::read(text.as_bytes()).err().expect("it will not do");
            let (found, error) = told(problem);
            assert_eq!((found, error["pointer"].as_str()), (status, pointer), "{text}: {error}");
        }
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let queries = [
            (vec![pair("limit", "ten")], "limit"),
            (vec![pair("flag", "2")], "flag"),
            (vec![pair("limits", "1")], "limits"),
            (vec![pair("limit", "1"), pair("limit", "2")], "limit"),
        ];
        for (pairs, name) in queries {
            let (status, error) = told(<Numbers as Parameters>::read(&pairs).expect_err("it will not do"));
            assert_eq!((status, error["parameter"].as_str()), (400, Some(name)), "{pairs:?}: {error}");
        }
    }
}
