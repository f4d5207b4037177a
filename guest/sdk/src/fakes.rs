//! Facts to fill in and decisions that remember, so that rules are tested in `cargo test` without a host.
//!
//! ```
//! use sealwire_sdk::{Decision, Mailbox, Verdict, fakes};
//!
//! let message = fakes::Message { header_from: vec![Mailbox::new("ann@partner.example")], ..Default::default() };
//! let verdict = fakes::Calls::default();
//! // MyPolicy::configure(...)?.receive(&message, &fakes::Host::default(), &verdict)?;
//! verdict.require_secure_transport();
//! verdict.conclude();
//! assert_eq!(verdict.lines(), ["require-secure-transport", "conclude"]);
//! ```
//!
//! What would trap in the host panics here. The fakes never judge what a policy decided.

mod decisions;
mod facts;

pub use decisions::Calls;
pub use facts::{Certificate, Channel, Client, Destination, Entry, Handshake, Hop, Host, List, Message, Route};
