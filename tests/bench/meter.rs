//! CPU time and memory of a relay: of all its processes, those that have come and gone included.
//!
//! CPU comes from a control group (version 2, or the `cpuacct` of version 1) that the relay starts in and its children
//! are born in. Where none can be made, it is the sum over the tree of processes of what each has used and what its
//! children had used when it waited for them: children that nobody has waited for yet are seen while they live.
//! Memory is the proportional share (PSS): what processes share counts once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The kernel's clock ticks in /proc, sysconf(_SC_CLK_TCK): 100 on every Linux that Debian builds.
const TICKS_PER_SECOND: f64 = 100.0;

/// Counts one relay's CPU.
pub(crate) struct Meter {
    group: Option<PathBuf>,
}

impl Meter {
    pub(crate) fn new(name: &str) -> Meter {
        let group = parent().map(|parent| parent.join(format!("sealwire-bench-{}-{name}", std::process::id())));
        Meter { group: group.filter(|group| fs::create_dir_all(group).is_ok()) }
    }

    /// What a program is run by, so that it and its children are counted.
    pub(crate) fn under(&self) -> Vec<String> {
        let Some(group) = &self.group else { return Vec::new() };
        let script = format!("echo $$ > {}/cgroup.procs; exec \"$@\"", group.display());
        ["sh", "-c", &script, "sh"].map(str::to_owned).into()
    }

    /// CPU seconds so far of the process and all below it.
    pub(crate) fn cpu_seconds(&self, process: u32) -> f64 {
        let Some(group) = &self.group else { return tree(process).values().sum() };
        let number = |file: &str, key: &str| -> Option<f64> {
            let text = fs::read_to_string(group.join(file)).ok()?;
            text.lines().find_map(|line| line.strip_prefix(key))?.trim().parse().ok()
        };
        let micros = number("cpu.stat", "usage_usec").map(|micros| micros / 1e6);
        micros.or_else(|| number("cpuacct.usage", "").map(|nanos| nanos / 1e9)).expect("a control group counts its CPU")
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(group) = &self.group {
            // Fails while a process still ends in it; an empty group left over costs nothing.
            let _ = fs::remove_dir(group);
        }
    }
}

/// Which way CPU is counted here.
pub(crate) fn by_what() -> &'static str {
    match parent() {
        Some(parent) if parent.ends_with("cpuacct") => "control group (v1)",
        Some(_) => "control group (v2)",
        None => "/proc of the tree of processes",
    }
}

/// Memory of the process and all below it, in octets.
pub(crate) fn memory(process: u32) -> f64 {
    let pss = |process: u32| -> Option<f64> {
        let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    };
    tree(process).keys().filter_map(|process| pss(*process)).sum::<f64>() * 1024.0
}

/// The most memory this process has had in its own pages, in octets.
pub(crate) fn peak_memory(process: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kib.expect("the kernel tells it") * 1024.0
}

/// The load average of the last minute.
pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn parent() -> Option<PathBuf> {
    let base = Path::new("/sys/fs/cgroup");
    let candidates = [base.to_owned(), base.join("unified"), base.join("cpuacct")];
    // Version 2 counts CPU in every group; it is of use only where the file system is really that.
    candidates.into_iter().find(|folder| folder.join("cpu.stat").exists() || folder.join("cpuacct.usage").exists())
}

/// The processes of the tree below (and with) this one, each with its CPU seconds and those of children it waited for.
fn tree(root: u32) -> BTreeMap<u32, f64> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(process) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // proc_pid_stat(5): behind the name, which may hold anything, come state, parent and, eleven on, the times.
        let Some((_, fields)) = stat.rsplit_once(") ") else { continue };
        let fields: Vec<&str> = fields.split(' ').collect();
        let number = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        all.insert(process, (number(1) as u32, (11..15).map(number).sum::<f64>() / TICKS_PER_SECOND));
    }
    let mut tree = BTreeMap::new();
    let mut next = vec![root];
    while let Some(process) = next.pop() {
        if let Some((_, seconds)) = all.get(&process) {
            tree.insert(process, *seconds);
        }
        next.extend(all.iter().filter(|(_, (parent, _))| *parent == process).map(|(child, _)| *child));
    }
    tree
}
