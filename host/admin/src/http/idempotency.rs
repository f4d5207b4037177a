//! `Idempotency-Key`: a POST that is sent again, since its answer was lost, is answered again and not done twice.
//!
//! Kept in memory for a day, by caller, path and key; a restart forgets them.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::http::header::IF_MATCH;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use sha2::{Digest, Sha256};

use super::endpoint::Done;
use super::problem::Problem;

/// The field (draft-ietf-httpapi-idempotency-key-header).
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(86_400);
/// Keys of one caller: a change every two minutes, all day.
const KEYS_OF_CALLER_MAX: usize = 1000;
/// Keys of all.
const KEYS_MAX: usize = 20_000;
/// Octets of an answer that is kept; changes answer in a few hundred.
const ANSWER_MAX: usize = 64 << 10;
/// Octets of a key.
const KEY_MAX: usize = 255;

/// What was asked under which key.
#[derive(Default)]
pub(crate) struct Keys(Mutex<HashMap<Asked, Known>>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    caller: String,
    path: String,
    key: String,
}

struct Known {
    request: [u8; 32],
    at: Instant,
    answer: Answer,
}

enum Answer {
    /// It is being done.
    Awaited,
    /// It was done.
    Done(Box<Done>),
    /// It was done, and its answer is too long to be kept.
    TooLong,
    /// It broke off, and may have been done.
    Uncertain,
}

/// What to do with a request.
pub(crate) enum Turn {
    /// Do it, and tell [`Keys::ended`].
    First(Asked),
    /// Answer this again.
    Again(Box<Done>),
}

impl Keys {
    /// None: the request has no key.
    pub(crate) fn begin(
        &self,
        headers: &HeaderMap,
        caller: &str,
        path: &str,
        body: &[u8],
        now: Instant,
    ) -> Result<Option<Turn>, Problem> {
        let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
        let key = value.to_str().unwrap_or_default();
        if key.is_empty() || key.len() > KEY_MAX || !key.bytes().all(|octet| octet.is_ascii_graphic()) {
            let text = format!("must be 1 to {KEY_MAX} visible characters of ASCII, such as a UUID");
            return Err(Problem::at_header(&IDEMPOTENCY_KEY, text));
        }
        let asked = Asked { caller: caller.to_owned(), path: path.to_owned(), key: key.to_owned() };
        // On another condition it is another request.
        let condition = headers.get(IF_MATCH).map_or(&b""[..], |condition| condition.as_bytes());
        let request = Sha256::new().chain_update(condition).chain_update([0]).chain_update(body).finalize().into();
        let Ok(mut keys) = self.0.lock() else { return Err(Problem::internal("keys cannot be looked up")) };
        if let Some(known) = keys.get(&asked).filter(|known| now.saturating_duration_since(known.at) < KEPT) {
            return known.again(request).map(Some);
        }
        let full = |keys: &HashMap<Asked, Known>| {
            keys.len() >= KEYS_MAX || keys.keys().filter(|key| key.caller == caller).count() >= KEYS_OF_CALLER_MAX
        };
        if full(&keys) {
            keys.retain(|_, known| now.saturating_duration_since(known.at) < KEPT);
        }
        if full(&keys) {
            let text = "too many idempotency keys within a day; leave the field out, or wait";
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, text).with(axum::http::header::RETRY_AFTER, "3600"));
        }
        keys.insert(asked.clone(), Known { request, at: now, answer: Answer::Awaited });
        Ok(Some(Turn::First(asked)))
    }

    /// What became of it. What was refused has changed nothing, and its key may be used again.
    pub(crate) fn ended(&self, asked: &Asked, done: &Result<Done, Problem>) {
        let answer = match done {
            Ok(done) if done.body.len() <= ANSWER_MAX => Answer::Done(Box::new(done.clone())),
            Ok(_) => Answer::TooLong,
            Err(problem) if problem.status().is_server_error() => Answer::Uncertain,
            Err(_) => {
                self.0.lock().map(|mut keys| keys.remove(asked)).ok();
                return;
            }
        };
        if let Ok(mut keys) = self.0.lock()
            && let Some(known) = keys.get_mut(asked)
        {
            known.answer = answer;
        }
    }
}

impl Known {
    fn again(&self, request: [u8; 32]) -> Result<Turn, Problem> {
        if self.request != request {
            return Err(Problem::unprocessable("this Idempotency-Key came before with another body; use a new one"));
        }
        match &self.answer {
            Answer::Done(done) => Ok(Turn::Again(done.clone())),
            Answer::Awaited => Err(Problem::conflict("the request of this Idempotency-Key is being done; ask again")),
            Answer::Uncertain => Err(Problem::conflict("it broke off; look whether it was done, then use a new key")),
            Answer::TooLong => Err(Problem::conflict("this was done; its answer was too long to be kept")),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn done(body: &[u8]) -> Done {
        Done { status: StatusCode::OK, headers: Vec::new(), etag: None, act: None, is_told: false, body: body.to_vec() }
    }

    #[test]
    fn the_same_request_is_done_once() {
        let (keys, now) = (Keys::default(), Instant::now());
        let begin = |caller: &str, path: &str, body: &str, at: Instant| {
            let headers = HeaderMap::from_iter([(IDEMPOTENCY_KEY, HeaderValue::from_static("k"))]);
            match keys.begin(&headers, caller, path, body.as_bytes(), at) {
                Ok(Some(Turn::First(asked))) => {
                    keys.ended(&asked, &Ok(done(body.as_bytes())));
                    "done".to_owned()
                }
                Ok(Some(Turn::Again(done))) => format!("again {}", String::from_utf8_lossy(&done.body)),
                Ok(None) => "no key".to_owned(),
                Err(problem) => problem.status().as_u16().to_string(),
            }
        };
        let late = now + KEPT;
        let rows = [
            ("ann", "/a", "one", now, "done"),
            ("ann", "/a", "one", now, "again one"),
            ("ann", "/a", "two", now, "422"),
            ("bob", "/a", "two", now, "done"),
            ("ann", "/b", "two", now, "done"),
            ("ann", "/a", "two", late, "done"),
        ];
        for (caller, path, body, at, expected) in rows {
            assert_eq!(begin(caller, path, body, at), expected, "{caller} {path} {body}");
        }
        let on = [(IDEMPOTENCY_KEY, HeaderValue::from_static("k")), (IF_MATCH, HeaderValue::from_static("\"1\""))];
        let other = keys.begin(&HeaderMap::from_iter(on), "bob", "/a", b"two", now);
        assert_eq!(
            other.err().map(|problem| problem.status().as_u16()),
            Some(422),
            "on another condition it is another"
        );
    }

    #[test]
    fn what_goes_on_what_failed_and_what_is_too_much() {
        let (keys, now) = (Keys::default(), Instant::now());
        let begin = |key: &str| {
            let headers = HeaderMap::from_iter([(IDEMPOTENCY_KEY, HeaderValue::from_str(key).expect("ASCII"))]);
            keys.begin(&headers, "ann", "/a", b"", now).map_err(|problem| problem.status().as_u16())
        };
        let Ok(Some(Turn::First(first))) = begin("1") else { panic!("it is the first") };
        assert_eq!(begin("1").err(), Some(409), "it goes on");
        keys.ended(&first, &Err(Problem::bad_request("")));
        assert!(matches!(begin("1"), Ok(Some(Turn::First(_)))), "it may be tried again");
        keys.ended(&first, &Ok(done(&vec![0; ANSWER_MAX + 1])));
        assert_eq!(begin("1").err(), Some(409), "it was done, though nobody remembers the answer");
        keys.ended(&first, &Err(Problem::internal("")));
        assert_eq!(begin("1").err(), Some(409), "it may have been done");
        assert_eq!(begin("").err(), Some(400));
        assert_eq!(begin(&"k".repeat(KEY_MAX + 1)).err(), Some(400));
        for number in 1..KEYS_OF_CALLER_MAX {
            assert!(begin(&format!("more-{number}")).is_ok());
        }
        assert_eq!(begin("one-too-many").err(), Some(429));
    }
}
