//! The contract of `wit/`, as wasmtime's generator reads it. Nothing is written by hand here.
//!
//! Every import may trap: a call that breaks the contract ends the decision, it does not return.

#![allow(missing_docs, unreachable_pub, reason = "generated")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "policy",
    imports: { default: trappable },
    require_store_data_send: true,
});

pub use exports::sealwire::policy::hooks::Problem;
pub use sealwire::policy::{decisions, facts};
