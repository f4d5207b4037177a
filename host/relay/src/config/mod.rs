//! The configuration file: TOML, read at start and on reload. `docs/configuration.md` describes every key.
//!
//! 1. [`load`] reads the file; [`Config::without_file`] stands for an empty one.
//! 2. `reader` parses it strictly: unknown keys are faults, and every fault is told at once with file, line and key.
//! 3. `written` is what the operator wrote; `meaning` turns it into [`Config`], what the operator meant.
//! 4. [`check`] opens what the configuration names: certificates, keys, roots, components.
//!
//! Settings and lists are not here: they live in the store as revisions (`crate::settings`).

use std::path::Path;

mod api;
pub mod check;
mod login;
mod meaning;
mod meant;
mod problem;
pub(crate) mod reader;
pub(crate) mod routes;
mod surroundings;
mod tls_reports;
pub mod values;
pub(crate) mod written;

pub use api::ApiListener;
pub use login::Login;
pub use meaning::BUILTIN_POLICY;
pub use meant::{
    CertificateFiles, Component, Config, Keep, Limits, Listener, LogLevel, Policy, Profile, ReportsByMail,
    RouteChannel, TlsReports,
};
pub use problem::Problem;
pub use routes::IMPLICIT_ROUTE;
pub use surroundings::Surroundings;

pub use crate::tls::Roots;

/// No configuration is longer; the limit keeps a wrong path (a device, a disk image) from filling memory.
const FILE_MAX: u64 = 4 << 20;

/// Reads the file. Relative paths in it are relative to its folder.
pub fn load(file: &Path, surroundings: &Surroundings) -> Result<Config, Vec<Problem>> {
    let (config, problems) = examine(file, surroundings);
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

/// What could be read of the file, and everything wrong with it. With a problem the configuration is good for finding
/// further ones, and for nothing else.
pub fn examine(file: &Path, surroundings: &Surroundings) -> (Config, Vec<Problem>) {
    let name = file.display().to_string();
    match text_of(file) {
        Ok(text) => read(&text, &name, file.parent().unwrap_or(Path::new("")), surroundings),
        Err(why) => {
            (Config::without_file(surroundings), vec![Problem::of_file(name, format!("cannot be read: {why}"))])
        }
    }
}

/// Reads a configuration's text; `name` stands in problems, `folder` before relative paths.
pub fn parse(text: &str, name: &str, folder: &Path, surroundings: &Surroundings) -> Result<Config, Vec<Problem>> {
    let (config, problems) = read(text, name, folder, surroundings);
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

fn text_of(file: &Path) -> Result<String, String> {
    let size = std::fs::metadata(file).map_err(|why| why.to_string())?.len();
    if size > FILE_MAX {
        return Err(format!("it has {size} octets, more than {FILE_MAX}"));
    }
    std::fs::read_to_string(file).map_err(|why| why.to_string())
}

fn read(text: &str, name: &str, folder: &Path, surroundings: &Surroundings) -> (Config, Vec<Problem>) {
    let faults = reader::Faults::of(name, text);
    let written = reader::read(text, &faults, |table| written::read(table, folder));
    let config = meaning::of(written, surroundings, &faults);
    (config, faults.into_problems())
}

impl Config {
    /// The safe defaults: loopback only, trusting loopback only, hosting nothing.
    pub fn without_file(surroundings: &Surroundings) -> Config {
        parse("", "", Path::new(""), surroundings).expect("the defaults are free of faults")
    }

    /// The roots that certificates of this route's hosts must lead to.
    pub fn roots_of(&self, route: &str) -> &Roots {
        self.route_channels.get(route).and_then(|channel| channel.roots.as_ref()).unwrap_or(&self.roots)
    }
}

#[cfg(test)]
mod tests;
