//! The only crate that opens mail sockets: listeners, TLS, DNS, scheduler and the spine.
//!
//! Read [`spine`](self) first: it holds the journey of a message from the socket to its settlement.

mod alerts;
mod apply;
pub mod audit;
pub mod config;
mod counters;
mod delivery;
mod destinations;
pub mod dns;
mod entries;
mod evaluate;
pub mod evidence;
mod fresh;
pub mod generation;
mod https;
mod lanes;
mod leases;
mod list_ends;
mod listener;
mod live;
pub mod preview;
mod probes;
mod relay;
mod retention;
mod round;
mod scheduler;
mod scopes;
mod session;
pub mod settings;
#[cfg(test)]
mod simulation;
mod socket;
mod spine;
mod start;
mod stream;
mod sts;
pub mod tls;
pub mod tls_reports;
pub mod tls_test;
mod tried;
mod world;

pub use alerts::Alert;
pub use apply::{Change, ChangeError, ChangedSince, Changing};
pub use audit::{Act, Actor};
pub use counters::{Domains, Inbound, Outbound, Totals};
pub use destinations::Downgrade;
pub use evaluate::judge_arrival;
pub use live::{Builtins, Live};
pub use probes::{ProbesStatus, Troubled};
pub use relay::{Relay, RelayStatus};
pub use scopes::{Scope, Scopes};
pub use start::{Replaced, Running, Start, start};
