//! Opens what a configuration names, before anything depends on it: certificates and keys, roots, revocation lists, components.
//!
//! Everything wrong is told at once. Nothing is kept: who uses a file reads it again.

use std::fs;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use sealwire_core::address::Domain;

use super::{CertificateFiles, Component, Config, Listener, Login, Policy, Problem, Roots};
use crate::tls::{
    Connector, Identity, RevocationLists, TlsSetupError, acceptor, load_certificates, read_certificate, web_acceptor,
};
use crate::tls_reports::DkimKey;

/// A certificate this close to its end is worth a word: renewal should have happened by now.
const EXPIRES_SOON_SECS: u64 = 7 * 86_400;
/// The first octets of a component: the WebAssembly magic, then the layer that is not a core module's.
const COMPONENT_MAGIC: &[u8] = b"\0asm\x0d\0\x01\0";

/// What opening the named files told.
#[derive(Debug, Default)]
pub struct Checked {
    /// With these the relay does not start.
    pub problems: Vec<Problem>,
    /// With these it does, and perhaps should not.
    pub warnings: Vec<Problem>,
}

/// Opens everything the configuration names. `builtins` are the names of the components in the program, `now` is in
/// seconds since the Unix epoch.
pub fn check(config: &Config, builtins: &[&str], now: u64) -> Checked {
    let mut checked = Checked { problems: Vec::new(), warnings: Vec::new() };
    for listener in &config.listeners {
        check_listener(config, listener, now, &mut checked);
    }
    check_roots(config, "tls.roots", &config.roots, &mut checked);
    if let Some(file) = &config.crl {
        check_lists(config, "tls.crl", file, now, &mut checked);
    }
    for (route, channel) in &config.route_channels {
        if let Some(roots) = &channel.roots {
            check_roots(config, &format!("route {route}: roots"), roots, &mut checked);
        }
        if let Some(file) = &channel.crl {
            check_lists(config, &format!("route {route}: crl"), file, now, &mut checked);
        }
        if let Some(files) = &channel.client_certificate {
            let key = format!("route {route}: client-certificate");
            check_client_certificate(config, &key, files, now, &mut checked);
        }
        if let Some(login) = &channel.login {
            check_login(config, &format!("route {route}: auth-password-file"), login, &mut checked);
        }
    }
    if let Some(files) = config.api.as_ref().and_then(|api| api.certificate.as_ref()) {
        check_web_certificate(config, files, now, &mut checked);
    }
    if let Some(why) = config.dns.problem() {
        checked.problems.push(config.problem("dns.dnssec", why));
    }
    if let Some(mail) = config.tls_reports.as_ref().and_then(|reports| reports.mail.as_ref())
        && let Err(why) = DkimKey::load(mail)
    {
        checked.problems.push(config.problem("tls-reports.dkim-key", why));
    }
    for policy in &config.policies {
        if let Err(why) = check_component(policy, builtins) {
            checked.problems.push(config.problem(&format!("policy {}: component", policy.name), why));
        }
    }
    checked
}

fn check_listener(config: &Config, listener: &Listener, now: u64, checked: &mut Checked) {
    let key = format!("listener {}: certificate", listener.name);
    let Some(files) = &listener.certificate else {
        if !listener.address.ip().is_loopback() {
            let text = "there is none, so STARTTLS is not offered and mail arrives in clear";
            checked.warnings.push(config.problem(&key, text));
        }
        return;
    };
    // The acceptor is what the relay itself makes of them; it refuses a key that is another certificate's.
    if let Err(error) = acceptor(&files.certificate, &files.key) {
        checked.problems.push(config.problem(&key, error.to_string()));
        return;
    }
    match dates_and_name(files, Some(&config.hostname), now) {
        Ok(warnings) => checked.warnings.extend(warnings.into_iter().map(|text| config.problem(&key, text))),
        Err(why) => checked.problems.push(config.problem(&key, why)),
    }
}

fn check_client_certificate(config: &Config, key: &str, files: &CertificateFiles, now: u64, checked: &mut Checked) {
    let loaded = Identity::load(&files.certificate, &files.key).map_err(|error| error.to_string());
    match loaded.and_then(|_| dates_and_name(files, None, now)) {
        Ok(warnings) => checked.warnings.extend(warnings.into_iter().map(|text| config.problem(key, text))),
        Err(why) => checked.problems.push(config.problem(key, why)),
    }
}

fn check_web_certificate(config: &Config, files: &CertificateFiles, now: u64, checked: &mut Checked) {
    let usable = web_acceptor(&files.certificate, &files.key).map_err(|error| error.to_string());
    match usable.and_then(|_| dates_and_name(files, None, now)) {
        Ok(warnings) => {
            checked.warnings.extend(warnings.into_iter().map(|text| config.problem("api.certificate", text)));
        }
        Err(why) => checked.problems.push(config.problem("api.certificate", why)),
    }
}

/// What is wrong with a certificate, and what may become so. `hostname`: what it ought to name.
fn dates_and_name(files: &CertificateFiles, hostname: Option<&Domain>, now: u64) -> Result<Vec<String>, String> {
    let file = files.certificate.display();
    let chain = load_certificates(&files.certificate).map_err(|error: TlsSetupError| error.to_string())?;
    let end_entity = chain.first().ok_or_else(|| format!("{file}: holds no certificate"))?;
    let facts = read_certificate(end_entity);
    if facts.not_after < now {
        return Err(format!("{file}: expired {} ago; renew it", days(now - facts.not_after)));
    }
    if facts.not_before > now {
        return Err(format!("{file}: is valid only in {}; check this machine's clock", days(facts.not_before - now)));
    }
    let mut warnings = Vec::new();
    if facts.not_after - now < EXPIRES_SOON_SECS {
        warnings.push(format!("{file}: expires in {}; renew it", days(facts.not_after - now)));
    }
    if let Some(hostname) = hostname.filter(|hostname| !names(end_entity, hostname.as_str())) {
        let named = facts.dns_names.join(", ");
        warnings
            .push(format!("{file}: names {named:?}, not this relay's hostname {hostname}; peers that validate refuse"));
    }
    Ok(warnings)
}

fn names(certificate: &CertificateDer<'_>, hostname: &str) -> bool {
    let Ok(name) = rustls::pki_types::ServerName::try_from(hostname) else { return false };
    ParsedCertificate::try_from(certificate)
        .is_ok_and(|parsed| rustls::client::verify_server_name(&parsed, &name).is_ok())
}

fn check_roots(config: &Config, key: &str, roots: &Roots, checked: &mut Checked) {
    if let Err(error) = Connector::new(roots) {
        checked.problems.push(config.problem(key, error.to_string()));
    }
}

fn check_lists(config: &Config, key: &str, file: &Path, now: u64, checked: &mut Checked) {
    match RevocationLists::load(file) {
        Ok(lists) => {
            let told = lists.iter().filter_map(|list| list.trouble(now));
            checked.warnings.extend(told.map(|text| config.problem(key, text)));
        }
        Err(error) => checked.problems.push(config.problem(key, error.to_string())),
    }
}

fn check_login(config: &Config, key: &str, login: &Login, checked: &mut Checked) {
    if let Err(why) = login.read() {
        checked.problems.push(config.problem(key, why));
    } else if login.is_open_to_all() {
        let file = login.password_file.display();
        let text = format!("{file}: every user of this machine may read it; take that right away (chmod o-r)");
        checked.warnings.push(config.problem(key, text));
    }
}

fn check_component(policy: &Policy, builtins: &[&str]) -> Result<(), String> {
    match &policy.component {
        Component::Builtin(name) if builtins.contains(&name.as_str()) => Ok(()),
        Component::Builtin(name) => {
            Err(format!("there is no built-in component {name:?}; there are: {}", builtins.join(", ")))
        }
        Component::File(path) => starts_like_a_component(path),
    }
}

/// A module in a component's place is the usual slip, and deserves better than a parser's words.
fn starts_like_a_component(path: &Path) -> Result<(), String> {
    let octets = fs::read(path).map_err(|why| format!("{}: cannot be read: {why}", path.display()))?;
    if octets.starts_with(COMPONENT_MAGIC) {
        return Ok(());
    }
    let what = if octets.starts_with(b"\0asm") { "a WebAssembly module" } else { "no WebAssembly" };
    Err(format!("{}: is {what}, not a component; wrap it with `wasm-tools component new`", path.display()))
}

fn days(secs: u64) -> String {
    match secs / 86_400 {
        0 => format!("{} hours", secs / 3600),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Surroundings, parse};
    use super::*;

    const MODULE: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn every_file_that_will_not_do_is_told() {
        let folder = std::env::temp_dir().join(format!("sealwire-check-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("module.wasm"), MODULE).expect("written");
        fs::write(folder.join("empty.pem"), "").expect("written");
        let text = r#"
            [tls]
            roots = "empty.pem"
            [[listener]]
            name = "in"
            address = "192.0.2.1:25"
            certificate = "absent.pem"
            key = "absent.pem"
            [[listener]]
            name = "clear"
            address = "192.0.2.2:25"
            [[policy]]
            name = "one"
            component = "builtin:other"
            [[policy]]
            name = "two"
            component = "module.wasm"
            [[route]]
            name = "gateway"
            hosts = [{ host = "gw.example" }]
            require-ca-signed-certificate = true
            validate-hostname = true
            auth-user = "relay"
            auth-password-file = "empty.pem"
            client-certificate = "absent.pem"
            client-key = "empty.pem"
        "#;
        let config = parse(text, "sealwire.toml", &folder, &Surroundings::of_this_process()).expect("well written");
        let checked = check(&config, &["secure-transport"], 0);
        let told: Vec<_> = checked.problems.iter().map(ToString::to_string).collect();
        let expected = [
            ("sealwire.toml:7: listener[1].certificate", "absent.pem: cannot be read"),
            ("sealwire.toml:3: tls.roots", "empty.pem"),
            ("sealwire.toml:14: policy[1].component", "there are: secure-transport"),
            ("sealwire.toml:24: route[1].auth-password-file", "empty.pem: the password must have"),
            ("sealwire.toml:25: route[1].client-certificate", "absent.pem: cannot be read"),
            ("sealwire.toml:17: policy[2].component", "a WebAssembly module"),
        ];
        for (key, part) in expected {
            assert!(told.iter().any(|line| line.starts_with(key) && line.contains(part)), "{key}: {told:#?}");
        }
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        assert_eq!(checked.warnings[0].key, "listener clear: certificate");
        fs::remove_dir_all(&folder).expect("removed");
    }
}
