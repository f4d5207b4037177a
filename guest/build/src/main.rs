//! `guest-build PACKAGE OUT_DIR` builds a policy by hand and prints its SHA-256 and path.
//! `guest-build --verify PACKAGE` builds it twice from scratch, in two places, and fails if the octets differ.

use std::path::Path;
use std::process::ExitCode;

use guest_build::{Error, component, digest, verify};

const USAGE: &str = "usage: guest-build PACKAGE OUT_DIR\n       guest-build --verify PACKAGE";

#[expect(clippy::print_stdout, reason = "a command that speaks to a person")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let line = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--verify", package] => verify(here, package).map(|sha256| format!("{sha256}  {package}, built twice")),
        [package, out_dir] if !package.starts_with('-') => by_hand(here, package, Path::new(out_dir)),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match line {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn by_hand(here: &Path, package: &str, out_dir: &Path) -> Result<String, Error> {
    let path = component(here, package, out_dir)?;
    Ok(format!("{}  {}", digest(&path)?, path.display()))
}
