//! What is answered where a request cannot be done: problem details (RFC 9457), with the path of each fault.
//!
//! Every problem is of the type `about:blank`: its status says what sort it is (RFC 9457 §4.2.1).

use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use sealwire_core::visible::visible_json;
use sealwire_relay::settings::EditError;
use sealwire_relay::{ChangeError, ChangedSince, config};
use sealwire_store::{Revision, StoreError};
use serde::{Deserialize, Serialize};

/// Media type of problem details.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// The body of every answer that is not 2xx or 304.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProblemDetails {
    /// `about:blank`: the status says it.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// As in the status line.
    pub status: u16,
    /// What is wrong with this request, and how to mend it.
    pub detail: String,
    /// Each fault with its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault>,
    /// With 412: what is there now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Current>,
    /// With 412: what has changed since the revision that If-Match names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<ChangedSince>,
}

/// One thing that is wrong, and where: in the body, a parameter, a header, or a line of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// A JSON Pointer (RFC 6901) into the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Name of a parameter of path or query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// Name of a header field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Of a document's parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Of a document, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Of a document, dotted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What is wrong, and how to mend it.
    pub detail: String,
}

/// What stands where something else was expected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Current {
    /// Number of the newest revision; 0: there is none.
    pub revision: u64,
    /// Who made it.
    pub by: String,
    /// When, seconds since the Unix epoch.
    pub at: u64,
}

impl Current {
    pub(crate) fn of(newest: Revision) -> Current {
        Current { revision: newest.revision, by: newest.by, at: newest.at }
    }
}

/// A problem on its way out.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    details: Box<ProblemDetails>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        let details = ProblemDetails {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("Problem").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            current: None,
            changed: None,
        };
        Problem { status, details: Box::new(details), headers: Vec::new() }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    /// What is asked for is not there, or is none of the caller's: both read the same.
    pub(crate) fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, detail)
    }

    /// Nobody has said who he is, or it does not hold (RFC 6750 §3).
    pub(crate) fn unauthorized(detail: impl Into<String>) -> Problem {
        let problem = Problem::new(StatusCode::UNAUTHORIZED, detail);
        problem.with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"sealwire\""))
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, detail)
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::CONFLICT, detail)
    }

    pub(crate) fn internal(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    /// Another's change came first (RFC 9110 §15.5.13).
    pub(crate) fn precondition_failed(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::PRECONDITION_FAILED, detail)
    }

    pub(crate) fn unprocessable(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// A path has other methods (RFC 9110 §15.5.6).
    pub(crate) fn method_not_allowed(allow: &str) -> Problem {
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("this path takes {allow}"));
        problem.with(header::ALLOW, allow)
    }

    /// Something is wrong at one place of the body.
    pub(crate) fn at_pointer(pointer: impl Into<String>, detail: impl Into<String>) -> Problem {
        let fault = Fault { pointer: Some(pointer.into()), detail: detail.into(), ..Fault::default() };
        Problem::unprocessable("the body will not do").with_fault(fault)
    }

    /// A parameter of path or query will not do.
    pub(crate) fn at_parameter(name: impl Into<String>, detail: impl Into<String>) -> Problem {
        let fault = Fault { parameter: Some(name.into()), detail: detail.into(), ..Fault::default() };
        Problem::bad_request("a parameter will not do").with_fault(fault)
    }

    /// A header field will not do.
    pub(crate) fn at_header(name: &HeaderName, detail: impl Into<String>) -> Problem {
        let fault = Fault { header: Some(name.to_string()), detail: detail.into(), ..Fault::default() };
        Problem::bad_request("a header field will not do").with_fault(fault)
    }

    pub(crate) fn with_fault(mut self, fault: Fault) -> Problem {
        self.details.errors.push(fault);
        self
    }

    /// A header field whose value is text of our own.
    pub(crate) fn with(self, name: HeaderName, value: &str) -> Problem {
        match HeaderValue::from_str(value) {
            Ok(value) => self.with_header(name, value),
            Err(_) => self,
        }
    }

    fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Problem {
        self.headers.push((name, value));
        self
    }

    /// All that is wrong, for the audit log.
    pub(crate) fn reason(&self) -> String {
        self.details.errors.iter().fold(self.details.detail.clone(), |reason, fault| {
            let place = [&fault.pointer, &fault.parameter, &fault.header, &fault.key].into_iter().flatten().next();
            reason + "\n" + &place.map_or_else(String::new, |place| format!("{place}: ")) + &fault.detail
        })
    }

    #[cfg(test)]
    pub(crate) fn details(&self) -> &ProblemDetails {
        &self.details
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }
}

/// There are paths with this method alone, by the table.
pub(crate) fn allowed<'a>(methods: impl IntoIterator<Item = &'a Method>) -> String {
    let mut names: Vec<&str> = methods.into_iter().map(Method::as_str).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

/// A document that will not do: what was live still is.
impl From<Vec<config::Problem>> for Problem {
    fn from(problems: Vec<config::Problem>) -> Problem {
        let said = |text: String| Some(text).filter(|text| !text.is_empty());
        let fault = |problem: config::Problem| Fault {
            file: said(problem.file),
            line: Some(problem.line).filter(|line| *line > 0),
            key: said(problem.key),
            detail: problem.text,
            ..Fault::default()
        };
        let refused = Problem::unprocessable("refused; what was in force stays in force");
        problems.into_iter().map(fault).fold(refused, Problem::with_fault)
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Problem {
        let text = error.to_string();
        match error {
            ChangeError::Refused(problems) => problems.into(),
            ChangeError::Edit(EditError::NotFound(_)) | ChangeError::NoRevision(_) => Problem::not_found(text),
            ChangeError::NotTheirs { .. } => Problem::forbidden(text),
            ChangeError::Edit(EditError::Wrong(_)) => Problem::unprocessable(text),
            ChangeError::Conflict { newest, changed, .. } => {
                let mut problem = Problem::precondition_failed(text);
                problem.details.current = Some(newest.map(|newest| Current::of(*newest)).unwrap_or_default());
                problem.details.changed = changed.map(|changed| *changed);
                problem
            }
            ChangeError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        let status = match error {
            StoreError::InDelivery { .. } | StoreError::Conflict { .. } => StatusCode::CONFLICT,
            StoreError::Full(_) | StoreError::Low(_) | StoreError::ReadOnly(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Problem::new(status, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = visible_json(&serde_json::to_string(&self.details).unwrap_or_default());
        let mut response = (self.status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        response.headers_mut().extend(self.headers);
        response
    }
}
