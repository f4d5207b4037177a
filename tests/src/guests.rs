//! Policies as components, built by this package's build script, for tests that run them in a chain or swap one in.

use std::path::Path;

/// Flags mail whose Subject holds the `marker` of its settings.
pub fn flag_subject() -> &'static Path {
    Path::new(concat!(env!("OUT_DIR"), "/flag-subject.wasm"))
}

/// Refuses everything at the door and objects to every host.
pub fn refuse_everything() -> &'static Path {
    Path::new(concat!(env!("OUT_DIR"), "/refuse-everything.wasm"))
}

/// Fails in the way and at the stage that the Subject names: `trap in receive`, `err in plan`.
pub fn fail_by_subject() -> &'static Path {
    Path::new(concat!(env!("OUT_DIR"), "/fail-by-subject.wasm"))
}

/// Plans what the Subject says, word by word: `tls hold`, `take:vault bounce`.
pub fn steer_by_subject() -> &'static Path {
    Path::new(concat!(env!("OUT_DIR"), "/steer-by-subject.wasm"))
}
