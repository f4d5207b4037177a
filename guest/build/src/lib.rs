//! Builds a guest crate of this workspace into a component, so that two clean builds give the same octets.
//!
//! 1. [`from_build_script`] tells cargo what the component depends on and calls [`component`].
//! 2. [`component`] runs an inner cargo for `wasm32-unknown-unknown` ([`cargo`]), with a target folder of its own, for the
//!    outer cargo holds the lock of the usual one, and with nothing inherited that could change the result.
//! 3. The core module is wrapped as a component, without an adapter, validated, and refused if it imports anything but
//!    the contract: the built-in policies have no WASI to reach out with.
//!
//! It never runs what it built.

mod cargo;
mod error;
mod verify;

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wit_component::{ComponentEncoder, DecodedWasm};

pub use error::Error;
pub use verify::verify;

/// What every import of a component must begin with.
const CONTRACT: &str = "sealwire:policy/";

/// For build scripts: builds `package` into cargo's OUT_DIR and says when to do so again. The result is the path of the
/// component, for `include_bytes!(concat!(env!("OUT_DIR"), "/PACKAGE.wasm"))`.
#[expect(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]
pub fn from_build_script(package: &str) -> Result<PathBuf, Error> {
    let folder = |name| env::var_os(name).map(PathBuf::from).ok_or(Error::NoBuildScript(name));
    let (crate_dir, out_dir) = (folder("CARGO_MANIFEST_DIR")?, folder("OUT_DIR")?);
    let workspace = workspace_of(&crate_dir)?;
    for source in ["guest", "wit", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml"] {
        println!("cargo::rerun-if-changed={}", workspace.join(source).display());
    }
    component(&crate_dir, package, &out_dir)
}

/// Builds `package` of the workspace that `crate_dir` is in. Writes `PACKAGE.wasm` into `out_dir`, where the inner
/// target folder lives too, and returns its path.
pub fn component(crate_dir: &Path, package: &str, out_dir: &Path) -> Result<PathBuf, Error> {
    let workspace = workspace_of(crate_dir)?;
    fs::create_dir_all(out_dir).map_err(|error| Error::Folder(out_dir.to_owned(), error))?;
    let out_dir = out_dir.canonicalize().map_err(|error| Error::Folder(out_dir.to_owned(), error))?;
    let module = cargo::build(&workspace, package, &out_dir.join("guest-target"))?;
    let module = fs::read(&module).map_err(|error| Error::Folder(module, error))?;
    let component = wrap(&module).map_err(|error| Error::NoComponent(package.to_owned(), error))?;
    refuse_foreign_imports(package, &component)?;
    let path = out_dir.join(format!("{package}.wasm"));
    replace(&path, &component).map_err(|error| Error::Folder(path.clone(), error))?;
    Ok(path)
}

/// Whole or not at all: tests beside each other build the same component, and one reads it while another writes it.
fn replace(path: &Path, octets: &[u8]) -> io::Result<()> {
    let written = path.with_extension(format!("{}-{:?}", std::process::id(), std::thread::current().id()));
    fs::write(&written, octets)?;
    fs::rename(&written, path)
}

/// SHA-256 of a file, in hexadecimal.
pub fn digest(path: &Path) -> Result<String, Error> {
    let octets = fs::read(path).map_err(|error| Error::Folder(path.to_owned(), error))?;
    Ok(Sha256::digest(octets).iter().map(|octet| format!("{octet:02x}")).collect())
}

/// What a component imports, such as `sealwire:policy/facts@1.0.0-rc.2`.
pub fn imports(component: &[u8]) -> Result<Vec<String>, String> {
    match wit_component::decode(component).map_err(|error| format!("{error:#}"))? {
        DecodedWasm::Component(resolve, world) => {
            Ok(resolve.worlds[world].imports.keys().map(|key| resolve.name_world_key(key)).collect())
        }
        DecodedWasm::WitPackage(..) => Err("this is a WIT package, not a component".to_owned()),
    }
}

fn wrap(module: &[u8]) -> Result<Vec<u8>, String> {
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(module).and_then(ComponentEncoder::encode).map_err(|error| format!("{error:#}"))
}

fn refuse_foreign_imports(package: &str, component: &[u8]) -> Result<(), Error> {
    let imports = imports(component).map_err(|error| Error::NoComponent(package.to_owned(), error))?;
    match imports.into_iter().find(|import| !import.starts_with(CONTRACT)) {
        Some(import) => Err(Error::ForeignImport(package.to_owned(), import)),
        None => Ok(()),
    }
}

/// The nearest folder upwards whose manifest has a `[workspace]`.
fn workspace_of(crate_dir: &Path) -> Result<PathBuf, Error> {
    let crate_dir = crate_dir.canonicalize().map_err(|error| Error::Folder(crate_dir.to_owned(), error))?;
    let is_workspace = |folder: &&Path| {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        manifest.lines().any(|line| line.trim() == "[workspace]")
    };
    crate_dir.ancestors().find(is_workspace).map(Path::to_owned).ok_or_else(|| Error::NoWorkspace(crate_dir.clone()))
}
