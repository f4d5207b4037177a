//! Bodies of requests, on the socket and over HTTP: read whole, each up to what its endpoint takes, all together up to what the
//! memory is to bear.
//!
//! Every octet that has arrived has a place until its request is done: whoever announces much and sends nothing keeps nobody out.
//! Documents have places of their own, so that one that is being sent does not keep an operator from the queue. Where no place is
//! left the request is refused at once (503), for two that wait for each other's would wait for ever.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Octets of a request: the header of a message, and what is said about it.
pub(crate) const REQUEST_MAX: usize = 1 << 20;
/// Octets of a settings document: two lists of a million entries with notes, each of them 100 MiB.
pub(crate) const DOCUMENT_MAX: usize = 256 << 20;
/// Octets of all requests at a time.
const REQUESTS_AT_ONCE: usize = 64 << 20;
/// Octets of all documents at a time: the largest, or several of the usual size.
const DOCUMENTS_AT_ONCE: usize = DOCUMENT_MAX;
/// How long a body may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);
/// How long the rest of one that is refused is thrown away, so that its sender comes to read why.
const THROWN_AWAY_WITHIN: Duration = Duration::from_secs(10);
/// Seconds, for Retry-After: a document is built in about as many.
pub(crate) const TRY_AGAIN_SECS: &str = "10";

/// Places for octets.
pub(crate) struct Bodies {
    requests: Arc<Semaphore>,
    documents: Arc<Semaphore>,
}

/// A body, and its places until it is dropped.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) octets: Bytes,
    pub(crate) places: Option<OwnedSemaphorePermit>,
}

/// Why there is no body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It has more octets than these.
    TooLarge(usize),
    /// Others have the places.
    NoRoom,
    /// It did not arrive in time.
    Late,
    /// It broke off.
    Broken(String),
}

impl Default for Bodies {
    fn default() -> Bodies {
        Bodies::of(REQUESTS_AT_ONCE, DOCUMENTS_AT_ONCE)
    }
}

impl Bodies {
    fn of(requests: usize, documents: usize) -> Bodies {
        Bodies { requests: Arc::new(Semaphore::new(requests)), documents: Arc::new(Semaphore::new(documents)) }
    }

    /// Reads a body of at most so many octets.
    pub(crate) async fn read(&self, headers: &HeaderMap, mut body: Body, octets_max: usize) -> Result<Kept, Unread> {
        let places = if octets_max > REQUEST_MAX { &self.documents } else { &self.requests };
        let announced = body.size_hint().lower();
        let read = match announced > octets_max as u64 {
            true => Err(Unread::TooLarge(octets_max)),
            false => {
                let arriving = arrive(places, &mut body, octets_max);
                tokio::time::timeout(ARRIVES_WITHIN, arriving).await.unwrap_or(Err(Unread::Late))
            }
        };
        // Who waits to be asked for his body (RFC 9110 §10.1.1) is not asked for it; others are heard out.
        let waits = announced > octets_max as u64 && headers.contains_key(header::EXPECT);
        if matches!(read, Err(Unread::TooLarge(_) | Unread::NoRoom)) && !waits {
            let _ = tokio::time::timeout(THROWN_AWAY_WITHIN, throw_away(body)).await;
        }
        read
    }

    /// As if others had sent so much.
    #[cfg(test)]
    pub(crate) fn take_documents(&self, octets: usize) -> OwnedSemaphorePermit {
        let octets = u32::try_from(octets).expect("fewer");
        Arc::clone(&self.documents).try_acquire_many_owned(octets).expect("there is room")
    }

    #[cfg(test)]
    pub(crate) fn documents_left(&self) -> usize {
        self.documents.available_permits()
    }
}

async fn arrive(places: &Arc<Semaphore>, body: &mut Body, octets_max: usize) -> Result<Kept, Unread> {
    let (mut octets, mut kept): (Vec<u8>, Option<OwnedSemaphorePermit>) = (Vec::new(), None);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Unread::Broken(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        if octets.len() + data.len() > octets_max {
            return Err(Unread::TooLarge(octets_max));
        }
        let count = u32::try_from(data.len()).map_err(|_| Unread::NoRoom)?;
        let more = Arc::clone(places).try_acquire_many_owned(count).map_err(|_| Unread::NoRoom)?;
        match &mut kept {
            Some(kept) => kept.merge(more),
            None => kept = Some(more),
        }
        octets.extend_from_slice(&data);
    }
    Ok(Kept { octets: Bytes::from(octets), places: kept })
}

async fn throw_away(mut body: Body) {
    while let Some(Ok(_)) = body.frame().await {}
}

impl Unread {
    /// What is answered.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Unread::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Unread::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
            Unread::Late => StatusCode::REQUEST_TIMEOUT,
            Unread::Broken(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// In a sentence.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Unread::TooLarge(octets_max) => format!("the body has more than {octets_max} octets"),
            Unread::NoRoom => {
                format!("others are sending as much as the relay takes at a time; ask again in {TRY_AGAIN_SECS} s")
            }
            Unread::Late => "the body took too long to arrive".to_owned(),
            Unread::Broken(why) => format!("the body broke off: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::Frame;

    use super::*;

    const REQUEST: usize = REQUEST_MAX;

    fn sent(octets: usize) -> Body {
        Body::from(vec![b'x'; octets])
    }

    /// So many octets, one at a time; its length is not known beforehand.
    struct Unannounced(usize);

    impl hyper::body::Body for Unannounced {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            let left = self.0.checked_sub(1);
            self.0 = left.unwrap_or(0);
            Poll::Ready(left.map(|_| Ok(Frame::data(Bytes::from_static(b"x")))))
        }
    }

    fn unannounced(octets: usize) -> Body {
        Body::new(Unannounced(octets))
    }

    #[tokio::test]
    async fn each_body_and_all_together_are_bounded() {
        let bodies = Bodies::of(100, 200);
        let headers = HeaderMap::new();
        let read = async |body: Body, octets_max: usize| bodies.read(&headers, body, octets_max).await;
        // A body, what it may have, what is said.
        for body in [sent(11), unannounced(11)] {
            assert_eq!(read(body, 10).await.err(), Some(Unread::TooLarge(10)));
        }
        assert_eq!(bodies.requests.available_permits(), 100, "what was refused keeps nothing");
        let first = read(unannounced(60), REQUEST).await.expect("there is room");
        assert_eq!((first.octets.len(), bodies.requests.available_permits()), (60, 40));
        for body in [sent(41), unannounced(41)] {
            assert_eq!(read(body, REQUEST).await.err(), Some(Unread::NoRoom));
        }
        assert_eq!(bodies.requests.available_permits(), 40);
        let second = read(sent(40), REQUEST).await.expect("it fits");
        let document = read(sent(200), DOCUMENT_MAX).await.expect("documents have places of their own");
        assert_eq!(read(sent(1), DOCUMENT_MAX).await.err(), Some(Unread::NoRoom));
        drop((first, second, document));
        assert_eq!((bodies.requests.available_permits(), bodies.documents.available_permits()), (100, 200));
    }
}
