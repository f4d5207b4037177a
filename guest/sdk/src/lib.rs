//! For authors of sealwire policies: the contract as traits, the [`Policy`] to implement, and fakes to test it with.
//!
//! 1. Implement [`Policy`]. Its hooks read facts ([`Message`], [`Destination`], [`Hop`]) and decide by calling methods
//!    ([`Verdict`], [`Floor`], [`Objections`]). The traits say what `wit/facts.wit` and `wit/policy.wit` say.
//! 2. Name it once: `sealwire_sdk::export_policy!(MyPolicy);`
//! 3. Test it natively with [`fakes`]; build it for `wasm32-unknown-unknown` and wrap it as a component.
//!
//! The same code runs in both places, for rules are generic over the traits. A policy has no clock, no randomness, no
//! files and no sockets: a decision is a pure function of its facts. Every decision starts from the image that
//! `configure` left, runs once and is thrown away, so do the costly work in `configure` and ask for few facts.

#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated from wit/")]
#[doc(hidden)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "explained-policy",
        additional_derives: [PartialEq, Eq, Default],
        pub_export_macro: true,
        default_bindings_module: "sealwire_sdk::bindings",
    });
}

mod decisions;
mod facts;
mod moment;
mod policy;
mod records;
mod said;

pub mod fakes;
pub mod settings;

#[cfg(target_arch = "wasm32")]
mod allocator;
#[doc(hidden)]
pub mod component;

pub use decisions::{Decision, Floor, Objections, Verdict};
pub use facts::{AddressList, Certificate, Channel, Client, Destination, Entry, Handshake, Hop, Host, Message, Route};
pub use moment::OfDay;
pub use policy::Policy;
pub use records::{Header, Mailbox, Problem, Reason, Reply, Tried};
pub use said::Said;
