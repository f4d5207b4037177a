//! The only crate that speaks to a database: queue, settings, audit log and ledger of one relay, and
//! what it has learned about the world outside.
//!
//! [`Store`] is what the relay knows; [`SqliteStore`] is the engine behind it. The journey of an entry:
//!
//! 1. [`Store::begin_content`] takes the body while the client sends it; no transaction is open meanwhile.
//! 2. [`Store::commit`] hands the entry to the one thread that writes; whatever waits there shares one transaction and
//!    one sync. When it answers, the entry is ours (H1).
//! 3. [`Store::claim`] leases a due entry to whoever delivers it; [`Store::body`] gives its content.
//! 4. [`Store::settle`] writes what became of the round together with reports and ledger records (H5, H6). After the last
//!    recipient nothing of the message is left but its records.
//!
//! A crash at any point leaves either the state before or the state behind a step. Opening the store again ends all
//! leases and sweeps content that no entry names.

mod api;
mod error;

// The engine: its threads, then what they run, then what lies beside the database.
mod audit;
mod content;
mod engine;
mod extents;
mod folder;
mod holds;
mod knowledge;
mod ledger;
mod numbers;
mod operate;
mod pieces;
mod queue;
mod reader;
mod retries;
mod rows;
mod schema;
mod settings;
mod sqlite;
mod status;
mod units;
mod writer;

#[cfg(any(test, feature = "memory"))]
mod memory;

pub use api::{
    Answer, Claim, ClaimToken, ContentWriter, LedgerLine, LedgerQuery, NewEntry, QueueCounts, QueueFilter, QueueItem,
    Retried, Retry, Revision, Settled, Store, StoreStatus,
};
pub use audit::{AuditQuery, By};
pub use content::{BodyReader, CONTENT_INLINE_MAX, Content};
pub use error::StoreError;
pub use holds::{Held, NewHold, Selection, Sender};
pub use knowledge::Known;
#[cfg(any(test, feature = "memory"))]
pub use memory::{MemoryPlace, MemoryStore};
pub use pieces::{PIECE_MAX, Piece};
pub use settings::NewRevision;
pub use sqlite::SqliteStore;

#[cfg(test)]
mod conformance;
#[cfg(all(test, target_os = "linux", target_pointer_width = "64"))]
mod cuts;
#[cfg(test)]
mod tests;
