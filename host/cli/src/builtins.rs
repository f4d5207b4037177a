//! The components inside the program. `component = "builtin:NAME"` in the configuration means one of these.

use sealwire_relay::Builtins;

const SECURE_TRANSPORT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/secure-transport.wasm"));

/// All, by name.
pub(crate) fn builtins() -> Builtins {
    [("secure-transport".to_owned(), SECURE_TRANSPORT.into())].into()
}
