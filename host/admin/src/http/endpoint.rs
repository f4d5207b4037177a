//! One row of the table of endpoints: method, path, who may, what is read and answered, and the function that does it.
//!
//! Router, checks of role and unit, OpenAPI document and the test that walks every endpoint with every role are all made from
//! these rows. A new endpoint is a new row.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use sealwire_core::units::Within;
use sealwire_core::visible::visible_json;
use sealwire_relay::Act;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use super::Api;
use super::ask::{Ask, Body, Parameters};
use super::bodies::{Kept, REQUEST_MAX};
use super::conditions::IfMatch;
use super::problem::Problem;
use crate::access::{Caller, Role};

/// Media type of nearly every answer.
pub(crate) const JSON: &str = "application/json";

/// Who may.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Access {
    /// Everybody, without saying who he is.
    Open,
    /// Everybody who has said who he is.
    Known,
    /// Who has one of the roles for the root: it is about the relay as a whole.
    Root(&'static [Role]),
    /// Who has one of the roles for any unit; what is shown and moved is of his units alone.
    Units(&'static [Role]),
}

/// One row.
pub(crate) struct Endpoint {
    pub(crate) method: Method,
    /// Below `/api/v1`, parameters in braces.
    pub(crate) path: &'static str,
    /// Name of the operation in the OpenAPI document.
    pub(crate) id: &'static str,
    /// In a sentence.
    pub(crate) summary: &'static str,
    pub(crate) access: Access,
    /// Of a success.
    pub(crate) status: StatusCode,
    /// Octets of a body.
    pub(crate) body_max: usize,
    /// None: no body is read.
    pub(crate) media: Option<&'static str>,
    /// Media type of a success.
    pub(crate) answers: &'static str,
    /// A change that `If-Match` must accompany.
    pub(crate) conditional: bool,
    /// There may be more: `Link` leads to the next page (RFC 8288).
    pub(crate) paged: bool,
    /// Who tells the audit log.
    pub(crate) told_by: ToldBy,
    pub(crate) shape: fn(&mut SchemaGenerator) -> Shape,
    run: Run,
}

/// Who tells the audit log of a change, done or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToldBy {
    /// The frame.
    Frame,
    /// The handler, or what it calls.
    Handler,
    /// Nobody: nothing is changed.
    Nobody,
}

/// Schemas of what is read and answered.
pub(crate) struct Shape {
    pub(crate) path: Option<Schema>,
    pub(crate) query: Option<Schema>,
    pub(crate) body: Option<Schema>,
    pub(crate) answer: Option<Schema>,
}

type Run = Arc<dyn Fn(Raw) -> Pin<Box<dyn Future<Output = Result<Done, Problem>> + Send>> + Send + Sync>;

/// A request that was let in, as text and octets.
pub(crate) struct Raw {
    pub(crate) api: Api,
    pub(crate) caller: Caller,
    pub(crate) scope: Within,
    pub(crate) parts: Parts,
    pub(crate) path: Vec<(String, String)>,
    pub(crate) body: Kept,
}

/// What was done, as octets.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) etag: Option<String>,
    pub(crate) body: Vec<u8>,
    /// For the audit log, where path and answer do not say it all, or the answer says too much.
    pub(crate) act: Option<Act>,
    /// The log has been told already, in the transaction of the change itself.
    pub(crate) is_told: bool,
}

/// What a handler gives.
pub(crate) type Answer<T> = Result<Reply<T>, Problem>;

/// A value on its way out, with what goes beside it.
pub(crate) struct Reply<T> {
    value: T,
    headers: Vec<(HeaderName, HeaderValue)>,
    etag: Option<String>,
    act: Option<Act>,
    is_told: bool,
}

impl<T> Reply<T> {
    pub(crate) fn new(value: T) -> Reply<T> {
        Reply { value, headers: Vec::new(), etag: None, act: None, is_told: false }
    }

    /// The tag of a resource that has a revision; other bodies are tagged by their octets.
    pub(crate) fn tagged(self, etag: String) -> Reply<T> {
        Reply { etag: Some(etag), ..self }
    }

    /// A header field; what is no value of one is left out.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Reply<T> {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }

    /// What the audit log is told; its action is the endpoint's.
    pub(crate) fn told(self, act: Act) -> Reply<T> {
        Reply { act: Some(act), ..self }
    }

    /// Whether the store has written the audit entry with the change; the frame writes it else.
    pub(crate) fn told_with_it(self, is_told: bool) -> Reply<T> {
        Reply { is_told, ..self }
    }

    /// Where the resource is that was made.
    pub(crate) fn at(self, location: &str) -> Reply<T> {
        self.with(header::LOCATION, location)
    }
}

/// What an endpoint answers. `()`: nothing.
pub(crate) trait Answered: Send + 'static {
    /// Of what is answered.
    const MEDIA: &'static str;
    fn octets(&self) -> Result<Vec<u8>, Problem>;
    fn schema(generator: &mut SchemaGenerator) -> Option<Schema>;
}

impl Answered for () {
    const MEDIA: &'static str = JSON;

    fn octets(&self) -> Result<Vec<u8>, Problem> {
        Ok(Vec::new())
    }

    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        None
    }
}

/// Marks what is answered as JSON.
pub(crate) trait Value: Serialize + JsonSchema + Send + 'static {}

impl<T: Value> Answered for T {
    const MEDIA: &'static str = JSON;

    fn octets(&self) -> Result<Vec<u8>, Problem> {
        let failed = |error| Problem::internal(format!("the answer cannot be written: {error}"));
        serde_json::to_string(self).map(|json| visible_json(&json).into_bytes()).map_err(failed)
    }

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<T>())
    }
}

impl<T: Value> Value for Vec<T> {}

/// A row whose handler reads path, query and body as its type says.
pub(crate) fn endpoint<P, Q, B, T, F>(
    (method, path): (Method, &'static str),
    id: &'static str,
    summary: &'static str,
    access: Access,
    handler: impl Fn(Ask<P, Q, B>) -> F + Send + Sync + 'static,
) -> Endpoint
where
    P: Parameters,
    Q: Parameters,
    B: Body,
    T: Answered,
    F: Future<Output = Answer<T>> + Send + 'static,
{
    let status =
        if T::schema(&mut SchemaGenerator::default()).is_some() { StatusCode::OK } else { StatusCode::NO_CONTENT };
    let handler = Arc::new(handler);
    let run = move |raw: Raw| -> Pin<Box<dyn Future<Output = Result<Done, Problem>> + Send>> {
        let handler = Arc::clone(&handler);
        Box::pin(async move {
            let (ask, _places) = read(raw)?;
            let Reply { value, headers, etag, act, is_told } = handler(ask).await?;
            Ok(Done { status, headers, etag, act, is_told, body: value.octets()? })
        })
    };
    let shape = |generator: &mut SchemaGenerator| Shape {
        path: P::schema(generator),
        query: Q::schema(generator),
        body: B::schema(generator),
        answer: T::schema(generator),
    };
    let told_by = if method == Method::GET { ToldBy::Nobody } else { ToldBy::Frame };
    Endpoint {
        method,
        path,
        id,
        summary,
        access,
        status,
        body_max: REQUEST_MAX,
        media: B::MEDIA,
        answers: T::MEDIA,
        conditional: false,
        paged: false,
        told_by,
        shape,
        run: Arc::new(run),
    }
}

impl Endpoint {
    /// Its success makes a resource.
    pub(crate) fn creates(self) -> Endpoint {
        Endpoint { status: StatusCode::CREATED, ..self }
    }

    /// Its success begins something that goes on.
    pub(crate) fn begins(self) -> Endpoint {
        Endpoint { status: StatusCode::ACCEPTED, ..self }
    }

    /// Takes bodies up to so many octets.
    pub(crate) fn takes(self, body_max: usize) -> Endpoint {
        Endpoint { body_max, ..self }
    }

    /// Must come with `If-Match`.
    pub(crate) fn conditional(self) -> Endpoint {
        Endpoint { conditional: true, ..self }
    }

    /// Its handler, or what that calls, tells the audit log itself.
    pub(crate) fn tells_itself(self) -> Endpoint {
        Endpoint { told_by: ToldBy::Handler, ..self }
    }

    /// It changes nothing, whatever its method.
    pub(crate) fn looks(self) -> Endpoint {
        Endpoint { told_by: ToldBy::Nobody, ..self }
    }

    /// What the audit log calls it: `queueHold` is `queue-hold`.
    pub(crate) fn action(&self) -> String {
        self.id.chars().fold(String::new(), |mut action, letter| {
            if letter.is_ascii_uppercase() {
                action.push('-');
            }
            action.push(letter.to_ascii_lowercase());
            action
        })
    }

    /// Answers a page.
    pub(crate) fn paged(self) -> Endpoint {
        Endpoint { paged: true, ..self }
    }

    /// Whether it changes anything, so that it must not be cut off by a client that goes away.
    pub(crate) fn is_unsafe(&self) -> bool {
        self.method != Method::GET
    }

    /// Does it.
    pub(crate) async fn run(&self, raw: Raw) -> Result<Done, Problem> {
        let done = (self.run)(raw).await?;
        Ok(Done { status: self.status, ..done })
    }
}

/// What a body takes of the memory that all may take.
type Places = Option<OwnedSemaphorePermit>;

/// With the places of its body, which is there until all is done.
fn read<P: Parameters, Q: Parameters, B: Body>(raw: Raw) -> Result<(Ask<P, Q, B>, Places), Problem> {
    let query = raw.parts.uri.query().unwrap_or_default();
    let query: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let ask = Ask {
        path: P::read(&raw.path)?,
        query: Q::read(&query)?,
        if_match: IfMatch::of(&raw.parts.headers)?,
        body: B::read(&raw.body.octets)?,
        api: raw.api,
        caller: raw.caller,
        scope: raw.scope,
    };
    Ok((ask, raw.body.places))
}
