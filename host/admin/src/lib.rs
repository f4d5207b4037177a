//! The API: HTTP and JSON over a Unix socket, and the client the command line speaks with.
//!
//! 1. [`Server::bind`] makes the socket in a folder that only the relay's own user may enter; who connects is asked of the
//!    system, never of the client.
//! 2. [`api`] maps paths to what the relay and its store can do; it decides nothing.
//! 3. [`decide`] puts facts of one's own before the live policies, for the command line and the API alike.
//! 4. [`Client`] is the other end.
//!
//! It never opens a mail socket, and never the store other than through the relay.

pub mod api;
mod client;
pub mod decide;
mod error;
mod metrics;
mod peer;
mod server;

pub use client::{Client, ClientError, encoded, query};
pub use decide::{DecideAnswer, DecideRequest, Stage};
pub use error::Refusal;
pub use metrics::Metrics;
pub use server::{Server, ServerError};
