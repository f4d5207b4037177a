//! The API: HTTP and JSON over a Unix socket and, where it is configured, a TCP socket; and the client the command line speaks
//! with.
//!
//! 1. [`Server::bind`] makes the socket in a folder that only the relay's own user may enter; who connects is asked of the
//!    system, never of the client.
//! 2. [`api`] maps paths to what the relay and its store can do; it decides nothing.
//! 3. [`decide`] puts facts of one's own before the live policies, for the command line and the API alike.
//! 4. [`v1`] is the table of endpoints below `/api/v1`, for whoever has a token and, on the Unix socket, the relay's own user;
//!    [`http`] is the frame around them, [`access`] who may what. [`Listener`] is the TCP socket.
//! 5. [`Client`] is the other end.
//!
//! It never opens a mail socket, and never the store other than through the relay.

mod access;
pub mod api;
mod client;
pub mod decide;
mod error;
mod explain;
mod http;
mod metrics;
mod peer;
mod server;
pub mod v1;

pub use access::admins::Administrator;
pub use access::passwords::made as random_password;
pub use access::tokens::Token;
pub use access::{Grant, Role};
pub use client::{Client, ClientError, encoded, query};
pub use decide::{DecideAnswer, DecideRequest, Stage};
pub use error::Refusal;
pub use explain::{ExplainedMessage, ExplainedRecord};
pub use http::jobs::{Job, JobState};
pub use http::openapi::document as openapi;
pub use http::problem::{Current, Fault, ProblemDetails};
pub use http::{Api, Listener, NotBound};
pub use metrics::Metrics;
pub use server::{Server, ServerError};
