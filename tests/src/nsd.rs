//! NSD, a real authoritative name server, on a loopback port with the zones of the test.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::place;
use crate::process::{Process, Signal};
use crate::signed::{self, Zone};

/// A running NSD; stops on drop.
#[derive(Debug)]
pub struct Nsd {
    address: SocketAddr,
    trust_anchor: PathBuf,
    /// Of the zones that can be set.
    serials: BTreeMap<String, u32>,
    // The order matters: the process ends before its folder goes.
    process: Process,
    folder: TempDir,
}

impl Nsd {
    /// Serves these zones: name, and records in zone file form relative to it. `$ORIGIN`, `$TTL`, SOA, NS and the name
    /// server's own address (`ns`) are added: `Nsd::start(&[("example.test", "@ MX 10 mx\nmx A 127.0.0.2")])`.
    pub fn start(zones: &[(&str, &str)]) -> Self {
        Self::start_with_broken(zones, &[])
    }

    /// The same, and for every name in the `broken` zones it answers SERVFAIL: it should have had them from another server,
    /// which is not there. At least one zone must be whole; by it the server is known to answer.
    pub fn start_with_broken(zones: &[(&str, &str)], broken: &[&str]) -> Self {
        let folder = place::folder();
        for (name, records) in zones {
            place::write(&folder.path().join(format!("{name}.zone")), zone_file(name, FIRST, records));
        }
        let served: Vec<&str> = zones.iter().map(|(name, _)| *name).collect();
        let serials = served.iter().map(|name| ((*name).to_owned(), FIRST)).collect();
        Self { serials, ..Self::serve(folder, &served, broken) }
    }

    /// Serves a signed root with these zones below it, each signed as it says ([`signed`](crate::signed)).
    pub fn start_signed(zones: &[Zone<'_>]) -> Self {
        let folder = place::folder();
        let trust_anchor = signed::make(folder.path(), zones);
        let served: Vec<&str> = ["."].into_iter().chain(zones.iter().map(|zone| zone.name)).collect();
        Self { trust_anchor, ..Self::serve(folder, &served, &[]) }
    }

    /// Zone files lie in the folder.
    fn serve(folder: TempDir, zones: &[&str], broken: &[&str]) -> Self {
        assert!(!zones.is_empty(), "by what should the name server be known to answer?");
        let address = place::free_address();
        let config = folder.path().join("nsd.conf");
        let mut text = server_section(folder.path(), address);
        for name in zones {
            text.push_str(&format!("zone:\n  name: \"{name}\"\n  zonefile: \"{name}.zone\"\n"));
        }
        for name in broken {
            text.push_str(&format!("zone:\n  name: \"{name}\"\n  request-xfr: 127.0.0.1@1 NOKEY\n"));
        }
        place::write(&config, text);

        let mut nsd = Command::new(place::program("nsd"));
        nsd.arg("-d").arg("-c").arg(&config);
        let mut process = Process::start("NSD", &mut nsd, &folder.path().join("nsd.log"));
        for name in zones {
            process.ready_when(&format!("an answer for {name}"), || answers(address, name).then_some(()));
        }
        Self { address, trust_anchor: PathBuf::new(), serials: BTreeMap::new(), process, folder }
    }

    /// Serves other records in this zone, which must not be signed. Comes back when nothing answers any more as before.
    #[track_caller]
    pub fn set(&mut self, zone: &str, records: &str) {
        let serial = self.serials.get_mut(zone).unwrap_or_else(|| panic!("{zone} is no unsigned zone of this server"));
        *serial += 1;
        let new = *serial;
        place::write(&self.folder.path().join(format!("{zone}.zone")), zone_file(zone, new, records));
        let before = answering(self.process.id());
        let address = self.address;
        self.process.signal(Signal::Hup);
        let what = format!("serial {new} of {zone}");
        self.process.ready_when(&what, || (serial_of(address, zone) == Some(new)).then_some(()));
        // They answer beside the new ones until they are told to end.
        let gone = || before.iter().all(|process| !Path::new(&format!("/proc/{process}")).exists());
        self.process.ready_when("the end of what answered before", || gone().then_some(()));
    }

    /// A file with the key that the signed root is proven by.
    pub fn trust_anchor(&self) -> &Path {
        &self.trust_anchor
    }

    /// Where it answers, by UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn server_section(folder: &Path, address: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "server:\n  ip-address: {}@{}\n  do-ip6: no\n  server-count: 1\n  username: \"\"\n  chroot: \"\"\n  database: \"\"\n  \
         zonesdir: \"{folder}\"\n  pidfile: \"{folder}/nsd.pid\"\n  xfrdfile: \"{folder}/xfrd.state\"\n  \
         xfrdir: \"{folder}\"\n  zonelistfile: \"{folder}/zone.list\"\n  verbosity: 1\n\
         remote-control:\n  control-enable: no\n",
        address.ip(),
        address.port(),
    )
}

/// The serial that a zone begins with.
pub(crate) const FIRST: u32 = 1;

pub(crate) fn zone_file(name: &str, serial: u32, records: &str) -> String {
    format!(
        "$ORIGIN {name}.\n$TTL 60\n@ SOA ns hostmaster {serial} 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n{records}\n"
    )
}

/// The processes of this NSD that answer: those without children. A reload puts others in their place.
fn answering(nsd: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{nsd}/task/{nsd}/children")).unwrap_or_default();
    let children: Vec<u32> = children.split_whitespace().filter_map(|id| id.parse().ok()).collect();
    if children.is_empty() {
        return vec![nsd];
    }
    children.into_iter().flat_map(answering).collect()
}

/// Whether the zone's SOA is answered without an error.
pub(crate) fn answers(server: SocketAddr, zone: &str) -> bool {
    serial_of(server, zone).is_some()
}

/// The serial in the zone's SOA, if that is answered without an error.
fn serial_of(server: SocketAddr, zone: &str) -> Option<u32> {
    let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
    socket.connect(server).ok()?;
    socket.set_read_timeout(Some(Duration::from_millis(200))).ok()?;
    let query = soa_query(zone);
    socket.send(&query).ok()?;
    let mut reply = [0; 512];
    let length = socket.recv(&mut reply).ok()?;
    let reply = &reply[..length];
    // RFC 1035 §4.1.1: RCODE is the low half of octet 3, ANCOUNT octets 6 and 7.
    if length < query.len() || reply[3] & 0x0f != 0 || reply[7] == 0 {
        return None;
    }
    // The question is repeated; its name is the answer's, as a pointer or as the root's one octet. Then type, class, TTL,
    // length and what it has.
    let (_, answer) = reply.split_at_checked(query.len())?;
    let (_, answer) = answer.split_at_checked(if answer.first()? == &0 { 1 } else { 2 })?;
    let (head, data) = answer.split_at_checked(10)?;
    let length = usize::from(u16::from_be_bytes([head[8], head[9]]));
    // Serial and four more numbers end it.
    let serial = data.get(length.checked_sub(20)?..length)?.first_chunk()?;
    head.starts_with(&[0, 6]).then(|| u32::from_be_bytes(*serial))
}

fn soa_query(zone: &str) -> Vec<u8> {
    let mut query = vec![0x5e, 0xa1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in zone.split('.').filter(|label| !label.is_empty()) {
        query.push(u8::try_from(label.len()).expect("a label has at most 63 octets"));
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 6, 0, 1]); // root, type SOA, class IN
    query
}
