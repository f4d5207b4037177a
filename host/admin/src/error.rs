//! What the API answers where it cannot do what was asked: one JSON shape, read by the client and by people.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sealwire_relay::config::Problem;
use sealwire_relay::settings::EditError;
use sealwire_relay::{ChangeError, ChangedSince};
use sealwire_store::StoreError;
use serde::{Deserialize, Serialize};

use crate::http::bodies::{TRY_AGAIN_SECS, Unread};
use crate::http::problem::{Current, Fault, ProblemDetails};

/// The body of every answer that is not 2xx.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// In a sentence.
    pub error: String,
    /// Each thing wrong with what was sent, where there is more to say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// Somebody was faster: the revision that is the newest, and what it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Box<Current>>,
    /// Of the revision that was expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Box<ChangedSince>>,
}

impl Refusal {
    /// Reads the body of an answer: a refusal, problem details, or whatever it says.
    pub(crate) fn read(body: &[u8]) -> Refusal {
        let of_details = |details: ProblemDetails| {
            let problem = |fault: Fault| Problem {
                file: fault.file.unwrap_or_default(),
                line: fault.line.unwrap_or(0),
                key: [fault.key, fault.pointer, fault.parameter, fault.header]
                    .into_iter()
                    .flatten()
                    .next()
                    .unwrap_or_default(),
                text: fault.detail,
            };
            let problems = details.errors.into_iter().map(problem).collect();
            Refusal {
                error: details.detail,
                problems,
                current: details.current.map(Box::new),
                changed: details.changed.map(Box::new),
            }
        };
        let text = || Refusal { error: String::from_utf8_lossy(body).into_owned(), ..Refusal::default() };
        serde_json::from_slice(body)
            .or_else(|_| serde_json::from_slice(body).map(of_details))
            .unwrap_or_else(|_| text())
    }
}

/// A refusal on its way out.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    refusal: Refusal,
    /// Seconds.
    retry_after: Option<&'static str>,
}

impl ApiError {
    pub(crate) fn not_found(error: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, error)
    }

    pub(crate) fn bad_request(error: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, error)
    }

    pub(crate) fn conflict(error: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::CONFLICT, error)
    }

    pub(crate) fn internal(error: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error)
    }

    /// All that is wrong, for the audit log.
    pub(crate) fn reason(&self) -> String {
        let problems = self.refusal.problems.iter().map(|problem| format!("\n{problem}"));
        problems.fold(self.refusal.error.clone(), |reason, problem| reason + &problem)
    }

    fn telling(status: StatusCode, refusal: Refusal) -> ApiError {
        ApiError { status, refusal, retry_after: None }
    }

    fn new(status: StatusCode, error: impl Into<String>) -> ApiError {
        ApiError::telling(status, Refusal { error: error.into(), ..Refusal::default() })
    }
}

/// A configuration or a settings document that will not do: what was live still is.
impl From<Vec<Problem>> for ApiError {
    fn from(problems: Vec<Problem>) -> ApiError {
        let error = "refused; what was in force stays in force".to_owned();
        ApiError::telling(StatusCode::UNPROCESSABLE_ENTITY, Refusal { error, problems, ..Refusal::default() })
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> ApiError {
        let text = error.to_string();
        match error {
            ChangeError::Refused(problems) => problems.into(),
            ChangeError::Edit(EditError::NotFound(_)) | ChangeError::NoRevision(_) => ApiError::not_found(text),
            // The socket's own user may everything.
            ChangeError::NotTheirs { .. } => ApiError::new(StatusCode::FORBIDDEN, text),
            ChangeError::Edit(EditError::Wrong(_)) => ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, text),
            ChangeError::Conflict { newest, changed, .. } => {
                let current = newest.map(|newest| Box::new(Current::of(*newest)));
                let refusal = Refusal { error: text, current, changed, ..Refusal::default() };
                ApiError::telling(StatusCode::CONFLICT, refusal)
            }
            ChangeError::Store(error) => error.into(),
        }
    }
}

impl From<Unread> for ApiError {
    fn from(unread: Unread) -> ApiError {
        let refused = ApiError::new(unread.status(), unread.sentence());
        match unread {
            Unread::NoRoom => ApiError { retry_after: Some(TRY_AGAIN_SECS), ..refused },
            _ => refused,
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> ApiError {
        let status = match error {
            StoreError::InDelivery { .. } | StoreError::Conflict { .. } => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        ApiError::new(status, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.refusal)).into_response();
        response
            .headers_mut()
            .extend(self.retry_after.map(|secs| (header::RETRY_AFTER, HeaderValue::from_static(secs))));
        response
    }
}
