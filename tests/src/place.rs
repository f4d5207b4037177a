//! Where things run: private folders, loopback ports, programs of this machine.

use std::collections::BTreeMap;
use std::fs::File;
use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

/// Below the kernel's own range for outgoing connections (32768 and up), so that none of those takes a port between
/// our choosing it and a peer's listening on it.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 10_000;

/// A loopback address nobody listens on, by TCP or UDP. Never given out twice while a test process that has it runs.
pub fn free_address() -> SocketAddr {
    static TAKEN: Mutex<BTreeMap<u16, File>> = Mutex::new(BTreeMap::new());
    let mut taken = TAKEN.lock().expect("nothing panics while holding the ports");
    // Start by process, so that two test processes at once rarely ask for the same.
    let start = u16::try_from(std::process::id() * 61 % u32::from(PORTS)).expect("a remainder below PORTS");
    for step in 0..PORTS {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST_PORT + (start + step) % PORTS));
        if taken.contains_key(&address.port()) {
            continue;
        }
        let Some(claim) = claim(address.port()) else { continue };
        if !in_use(address.port()) {
            taken.insert(address.port(), claim);
            return address;
        }
    }
    panic!("no free port between {FIRST_PORT} and {}", FIRST_PORT + PORTS);
}

/// Whether anybody listens on this port, as the kernel tells it. A socket of ours tried on it would be the port's owner for as
/// long as a program started at that moment by another thread has not closed its copy.
fn in_use(port: u16) -> bool {
    const LISTENS: &str = "0A";
    ["tcp", "tcp6", "udp", "udp6"].iter().any(|table| {
        // One socket a line: number, local address, remote address, state (proc_net_tcp of the kernel's documents).
        let text = std::fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
        text.lines().skip(1).any(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let local = fields.next().and_then(|local| u16::from_str_radix(local.rsplit(':').next()?, 16).ok());
            local == Some(port) && (table.starts_with("udp") || fields.nth(1) == Some(LISTENS))
        })
    })
}

/// The port's file, locked, unless another test process has it: a port that is chosen is not listened on yet.
fn claim(port: u16) -> Option<File> {
    let folder = std::env::temp_dir().join("sealwire-ports");
    std::fs::create_dir_all(&folder).ok()?;
    let file = File::options().create(true).truncate(false).write(true).open(folder.join(port.to_string())).ok()?;
    file.try_lock().ok()?;
    Some(file)
}

/// A private folder that other users (Postfix's daemons) may enter. Removed on drop.
pub fn folder() -> TempDir {
    let folder =
        tempfile::Builder::new().prefix("sealwire-").tempdir().expect("the folder for temporary files is writable");
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("a folder of our own");
    folder
}

/// Makes a folder with this owner (user, group) and these rights.
pub fn make_folder(path: &Path, (user, group): (u32, u32), rights: u32) {
    let made = std::fs::create_dir(path)
        .and_then(|()| std::os::unix::fs::chown(path, Some(user), Some(group)))
        .and_then(|()| std::fs::set_permissions(path, Permissions::from_mode(rights)));
    if let Err(why) = made {
        panic!("{} cannot be made: {why}", path.display());
    }
}

/// Writes a file of a private folder; the parent must exist.
pub fn write(path: &Path, text: impl AsRef<[u8]>) {
    if let Err(why) = std::fs::write(path, text) {
        panic!("{} cannot be written: {why}", path.display());
    }
}

/// Dates a file back. Every program of Postfix reads a main.cf of the last two seconds again and again until it is
/// older, lest it be half written.
pub fn make_old(path: &Path) {
    let file = std::fs::File::options().append(true).open(path).expect("a file of our own");
    file.set_modified(SystemTime::now() - Duration::from_secs(60)).expect("a file of our own");
}

/// The full path of a program, also from sbin, which is not on everybody's PATH.
///
/// # Panics
/// When it is not installed, saying how to install it.
pub fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let mut candidates = std::env::split_paths(&path).chain(sbin).map(|folder| folder.join(name));
    let found = candidates.find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("`{name}` is not installed, and no test is skipped: run `cargo xtask peers`"))
}

/// The folder that cargo builds to; `cargo xtask peers` keeps there what it does not install.
pub fn target() -> &'static Path {
    // target/PROFILE/build/PACKAGE-HASH/out
    Path::new(env!("OUT_DIR")).ancestors().nth(4).expect("cargo's folder is four above a build script's")
}

/// A command for `program`, run by another one that ends in it, if one is named (`sh -c '...; exec "$@"' sh`).
pub fn command_under(under: &[String], program: &Path) -> Command {
    match under {
        [] => Command::new(program),
        [outer, arguments @ ..] => {
            let mut command = Command::new(outer);
            command.args(arguments).arg(program);
            command
        }
    }
}

/// # Panics
/// When the tests do not run as root: Postfix and its queue need several users.
pub fn require_root() {
    let uid = std::fs::metadata("/proc/self").map(|me| me.uid());
    assert!(
        matches!(uid, Ok(0)),
        "these tests start a real Postfix, which needs root: run them as root or under `sudo -E`"
    );
}

/// The user and group id of an account of this machine.
pub fn account(name: &str) -> (u32, u32) {
    let fields = row("/etc/passwd", name);
    (number(&fields[2]), number(&fields[3]))
}

/// The id of a group of this machine.
pub fn group(name: &str) -> u32 {
    number(&row("/etc/group", name)[2])
}

fn row(file: &str, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("accounts and groups are readable by everyone");
    let mut rows = text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
    let found = rows.find(|fields| fields[0] == name && fields.len() > 3);
    found.unwrap_or_else(|| panic!("{file} has no `{name}`: run `cargo xtask peers`"))
}

fn number(field: &str) -> u32 {
    field.parse().expect("ids are numbers, passwd(5) and group(5)")
}

/// The SMTP greeting at `address`, if somebody listens and greets.
pub fn greeting(address: SocketAddr) -> Option<String> {
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    line.starts_with("220").then_some(line)
}
