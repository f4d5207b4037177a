//! The host's side of the contract: every method a policy may call.
//!
//! A handle is a number the host can read without a table: whose channel, which certificate, which list. A guest cannot
//! forge one, for the component model keeps the guest's own table.

mod decisions;
mod facts;
