//! What the machine contributes where the configuration says nothing: its name, and where state belongs.

use std::path::PathBuf;

use sealwire_core::address::Domain;

/// Asked once at the edge, so that reading a configuration is a pure function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// The machine's name; `localhost` where it has no usable one.
    pub hostname: Domain,
    /// `$XDG_STATE_HOME/sealwire`, else `~/.local/state/sealwire`, else `./sealwire-data`.
    pub state_directory: PathBuf,
}

impl Surroundings {
    /// As this process finds them.
    pub fn of_this_process() -> Surroundings {
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let hostname = Domain::parse(hostname.trim()).or_else(|_| Domain::parse("localhost"));
        Surroundings { hostname: hostname.expect("localhost is a domain"), state_directory: state_directory() }
    }
}

/// XDG Base Directory Specification: a relative path in the variable is to be ignored.
fn state_directory() -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || absolute("HOME").map(|home| home.join(".local/state"));
    match absolute("XDG_STATE_HOME").or_else(home) {
        Some(state) => state.join("sealwire"),
        None => PathBuf::from("sealwire-data"),
    }
}
