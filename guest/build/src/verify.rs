//! Shows that a component's octets depend on its sources alone: two clean builds, the second from a copy of the sources
//! at another path, must have one SHA-256.

use std::fs;
use std::path::Path;

use crate::{Error, component, digest, workspace_of};

/// Neither sources nor small.
const LEFT_OUT: [&str; 2] = ["target", ".git"];

/// Builds twice and returns the one digest.
pub fn verify(crate_dir: &Path, package: &str) -> Result<String, Error> {
    let scratch = tempfile::tempdir().map_err(|error| Error::Folder("the temporary folder".into(), error))?;
    let workspace = workspace_of(crate_dir)?;
    let copy = scratch.path().join("a-copy-of-the-sources/somewhere-else");
    copy_folder(&workspace, &copy)?;
    let one = digest(&component(&workspace, package, &scratch.path().join("one"))?)?;
    let other = digest(&component(&copy, package, &scratch.path().join("the/other/one"))?)?;
    if one == other { Ok(one) } else { Err(Error::Differ(package.to_owned(), [one, other])) }
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), Error> {
    let told = |path: &Path| {
        let path = path.to_owned();
        move |error| Error::Folder(path, error)
    };
    fs::create_dir_all(to).map_err(told(to))?;
    for entry in fs::read_dir(from).map_err(told(from))? {
        let entry = entry.map_err(told(from))?;
        let (source, copy) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(told(&source))?;
        if kind.is_dir() && !LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
            copy_folder(&source, &copy)?;
        } else if kind.is_file() {
            fs::copy(&source, &copy).map_err(told(&source))?;
        }
    }
    Ok(())
}
