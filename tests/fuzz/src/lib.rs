//! What must hold for any octets at all. Each function here takes octets as a stranger could send them and panics if
//! a property is broken; `docs/reliability.md` says which properties these are.
//!
//! The same functions are called from two places: by libFuzzer, which looks for octets that break them (`libfuzzer/`, a
//! workspace of its own, see there), and by an ordinary test ([`replay`]), which calls them with everything the fuzzer
//! has kept in `corpus/` and with mutations of it that are the same in every run.
//!
//! Octets are read as [`input`] says, so that a few of them can stand for a line of 64 KiB or for how a peer's octets
//! were cut into pieces.

mod command;
#[cfg(feature = "sandbox")]
mod component;
#[cfg(feature = "sandbox")]
mod configuration;
mod header_from;
mod input;
mod line;
mod reply;
#[cfg(feature = "sandbox")]
mod settings;
mod sts;
mod tlsrpt;

pub use command::command;
#[cfg(feature = "sandbox")]
pub use component::component;
#[cfg(feature = "sandbox")]
pub use configuration::configuration;
pub use header_from::header_from;
pub use line::line;
pub use reply::reply;
#[cfg(feature = "sandbox")]
pub use settings::settings;
pub use sts::sts;
pub use tlsrpt::tlsrpt;

#[cfg(all(test, feature = "sandbox"))]
mod replay;
