//! The configuration file (`relay::config`).
//!
//! Every problem stands on a line that the file has, and moves with it when a line is put before. What parses has
//! listeners, routes and a chain, each under a name of its own; a problem with a file that it names leads back to a line;
//! and an empty line and a comment change nothing in it. Nothing takes long.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use sealwire_core::address::Domain;
use sealwire_relay::config::{self, Config, Problem, Surroundings};

use crate::input::one_flight;
use crate::settings::line_count;

const NAME: &str = "sealwire.toml";
/// As in [`crate::settings()`].
const TIME_MAX: Duration = Duration::from_secs(60);

/// A file's text.
pub fn configuration(octets: &[u8]) {
    let (_, octets) = one_flight(octets);
    let Ok(text) = std::str::from_utf8(&octets) else { return };
    let started = Instant::now();
    let parsed = parse(text);
    assert!(started.elapsed() < TIME_MAX, "{} octets took {:?}", text.len(), started.elapsed());
    // A byte order mark is one at the very start alone.
    let moved = (!text.starts_with('\u{feff}')).then(|| parse(&format!("\n{text}")));
    match parsed {
        Ok(config) => {
            check_meaning(&config, line_count(text));
            let commented = parse(&format!("{text}\n# a comment"));
            for other in moved.into_iter().chain([commented]) {
                let other = other.unwrap_or_else(|problems| panic!("an empty line or a comment: {problems:?}"));
                assert_eq!(shown(&other), shown(&config), "an empty line or a comment changes the meaning");
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "refused, and nothing is wrong with it");
            for problem in &problems {
                let fine = problem.file == NAME && problem.line <= line_count(text) && !problem.text.is_empty();
                assert!(fine, "no such place: {problem:?}");
            }
            if let Some(moved) = moved {
                assert_eq!(places(&moved.err().unwrap_or_default(), 0), places(&problems, 1), "behind an empty line");
            }
        }
    }
}

fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    let hostname = Domain::parse("host.example").expect("a domain");
    let surroundings = Surroundings { hostname, state_directory: "/state/sealwire".into() };
    config::parse(text, NAME, Path::new("/etc/sealwire"), &surroundings)
}

/// Their texts may name lines, too.
fn places(problems: &[Problem], by: usize) -> Vec<(usize, String)> {
    let line = |problem: &Problem| if problem.line > 0 { problem.line + by } else { 0 };
    let mut places: Vec<_> = problems.iter().map(|problem| (line(problem), problem.key.clone())).collect();
    places.sort();
    places
}

fn check_meaning(config: &Config, lines: usize) {
    let listeners: BTreeSet<&str> = config.listeners.iter().map(|listener| listener.name.as_str()).collect();
    assert!(!listeners.is_empty() && listeners.len() == config.listeners.len(), "{:?}", config.listeners);
    let policies: BTreeSet<&str> = config.policies.iter().map(|policy| policy.name.as_str()).collect();
    assert!(!policies.is_empty() && policies.len() == config.policies.len(), "{:?}", config.policies);
    assert!(config.schedule.first_retry_secs <= config.schedule.max_interval_secs, "{:?}", config.schedule);
    assert!(!policies.contains("requiretls"), "the word is RFC 8689's");
    let named = listeners.iter().map(|name| format!("listener {name}: certificate"));
    let named = named.chain(policies.iter().map(|name| format!("policy {name}: component")));
    for key in named.chain(["tls.roots".to_owned()]) {
        let place = config.problem(&key, "x");
        let known = place.file == NAME && (1..=lines).contains(&place.line);
        // What the file does not name has its default, and no place.
        assert!(known || (place.file.is_empty() && place.key == key), "{place:?}");
    }
}

/// All but the places.
fn shown(config: &Config) -> String {
    let Config { hostname, data_directory, admin_socket, trusted_networks, hosted_domains, listeners, limits, .. } =
        config;
    let Config { routes, roots, route_channels, dns, policies, schedule, log_level, .. } = config;
    format!(
        "{hostname:?} {data_directory:?} {admin_socket:?} {trusted_networks:?} {hosted_domains:?} {listeners:?} \
         {limits:?} {routes:?} {roots:?} {route_channels:?} {dns:?} {policies:?} {schedule:?} {log_level:?}"
    )
}
