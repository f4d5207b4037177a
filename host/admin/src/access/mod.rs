//! Who may do what: roles, and the units they hold for; tokens, administrators and their sessions.
//!
//! A grant is a role and a unit; it holds for the unit and everything below it. Nobody has a right without one. What may be
//! done with a role stands in the table of endpoints, nowhere else.

pub(crate) mod admins;
mod caller;
pub(crate) mod first;
pub(crate) mod passwords;
mod role;
pub(crate) mod sessions;
pub(crate) mod throttle;
pub(crate) mod tokens;

pub(crate) use caller::{Caller, STRANGER, Who};
pub use role::{Grant, Role};
