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

/// What a policy may export besides.
pub mod explained {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "explained-policy",
        imports: { default: trappable },
        require_store_data_send: true,
        with: {
            "sealwire:policy/facts": super::sealwire::policy::facts,
            "sealwire:policy/decisions": super::sealwire::policy::decisions,
        },
    });

    pub use exports::sealwire::policy::explanation::Tried;
}

pub use exports::sealwire::policy::hooks::Problem;
pub use sealwire::policy::{decisions, facts};
