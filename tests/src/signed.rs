//! Zones signed by ldns-signzone, below a root of the test's own: sound ones, and ones that somebody has tampered with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::nsd::{FIRST, zone_file};
use crate::place;

/// A zone below the root.
#[derive(Clone, Copy, Debug)]
pub struct Zone<'a> {
    /// Such as `partner.test`.
    pub name: &'a str,
    /// In zone file form, relative to it; SOA, NS and the name server's address are added.
    pub records: &'a str,
    /// How it is signed.
    pub signing: Signing<'a>,
}

/// How a zone is signed.
#[derive(Clone, Copy, Debug)]
pub enum Signing<'a> {
    /// As it should be, names that do not exist denied by NSEC.
    Sound,
    /// The same with NSEC3.
    Nsec3,
    /// Not at all, and the root says so.
    None,
    /// Its signatures ended a week ago.
    Expired,
    /// What is left without each line of the signed zone that holds this.
    Without(&'a str),
    /// Signed, and then the first word is the second one.
    Changed(&'a str, &'a str),
}

/// Writes signed zone files for all of them and for the root into the folder; a file with the root's key.
pub(crate) fn make(folder: &Path, zones: &[Zone<'_>]) -> PathBuf {
    let mut root = "$ORIGIN .\n$TTL 60\n@ SOA ns.root. hostmaster.root. 1 3600 600 86400 60\n@ NS ns.root.\nns.root. A 127.0.0.1\n"
        .to_owned();
    for zone in zones {
        let plain = zone_file(zone.name, FIRST, zone.records);
        root.push_str(&format!("{0}. NS ns.{0}.\nns.{0}. A 127.0.0.1\n", zone.name));
        if matches!(zone.signing, Signing::None) {
            place::write(&folder.join(format!("{}.zone", zone.name)), plain);
            continue;
        }
        let key = key(folder, zone.name);
        root.push_str(&read(&folder.join(format!("{key}.ds"))));
        sign(folder, zone.name, &plain, &key, zone.signing);
    }
    let key = key(folder, ".");
    sign(folder, ".", &root, &key, Signing::Sound);
    folder.join(format!("{key}.key"))
}

/// Makes a key; the name of its files without their endings.
fn key(folder: &Path, zone: &str) -> String {
    let mut keygen = Command::new(place::program("ldns-keygen"));
    keygen.current_dir(folder).args(["-a", "ECDSAP256SHA256", "-k", zone]);
    run(&mut keygen).trim().to_owned()
}

fn sign(folder: &Path, zone: &str, plain: &str, key: &str, signing: Signing<'_>) {
    let (unsigned, signed) = (folder.join(format!("{zone}.unsigned")), folder.join(format!("{zone}.zone")));
    place::write(&unsigned, plain);
    let mut signer = Command::new(place::program("ldns-signzone"));
    signer.current_dir(folder).args(["-o", zone]).arg("-f").arg(&signed);
    match signing {
        Signing::Nsec3 => signer.args(["-n", "-t", "0"]),
        Signing::Expired => signer.args(["-i", "20200101", "-e", "20200201"]),
        _ => &mut signer,
    };
    signer.arg(&unsigned).arg(key);
    run(&mut signer);
    let text = read(&signed);
    let tampered = match signing {
        Signing::Without(word) => {
            text.lines().filter(|line| !line.contains(word)).map(|line| format!("{line}\n")).collect()
        }
        Signing::Changed(word, other) => text.replace(word, other),
        _ => return,
    };
    assert_ne!(text, tampered, "{zone}: nothing was tampered with in\n{text}");
    place::write(&signed, tampered);
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// What it says.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|why| panic!("{command:?}: {why}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
