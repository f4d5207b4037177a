//! What can go wrong, each with what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why there is no component.
#[derive(Debug)]
pub enum Error {
    /// An environment variable that cargo gives to build scripts is missing.
    NoBuildScript(&'static str),
    /// No workspace contains this folder.
    NoWorkspace(PathBuf),
    /// A file or folder could not be read or written.
    Folder(PathBuf, io::Error),
    /// A tool could not be started.
    Tool(String, io::Error),
    /// A tool ended with an error, told in its own words.
    Failed(String, String),
    /// The toolchain has no WebAssembly target.
    NoTarget,
    /// The module of this package is no component.
    NoComponent(String, String),
    /// The component of this package imports something that is not the contract.
    ForeignImport(String, String),
    /// Two builds of this package differ; their digests.
    Differ(String, [String; 2]),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoBuildScript(name) => write!(f, "{name} is not set: call this from a build script"),
            Error::NoWorkspace(path) => write!(f, "{} is in no cargo workspace", path.display()),
            Error::Folder(path, error) => write!(f, "{}: {error}", path.display()),
            Error::Tool(tool, error) => write!(f, "cannot start {tool}: {error}"),
            Error::Failed(what, words) => write!(f, "{what} failed:\n{words}"),
            Error::NoTarget => f.write_str(
                "the policies are WebAssembly and this toolchain cannot build it; run `rustup target add wasm32-unknown-unknown`",
            ),
            Error::NoComponent(package, why) => {
                write!(f, "{package} is no component: {why}\n(does it call sealwire_sdk::export_policy! ?)")
            }
            Error::ForeignImport(package, import) => {
                write!(f, "{package} imports {import}; a policy may import nothing but sealwire:policy")
            }
            Error::Differ(package, [one, other]) => {
                write!(f, "two clean builds of {package} differ: SHA-256 {one} and {other}")
            }
        }
    }
}

impl std::error::Error for Error {}
