//! What a build leaves behind goes back to the system: free pieces of the heap, and the compiler's code, which nothing runs
//! until the next build. What does run is mapped again from the page cache at its next call.

use std::fs;
use std::ops::Range;

/// Off the mail path, behind a build. Where the system has no such thing, nothing happens.
pub(crate) fn give_back() {
    trim();
    let program = fs::read_link("/proc/self/exe").unwrap_or_default();
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    code(&maps, &program.to_string_lossy()).into_iter().for_each(unmap);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the C library's heap is nobody else's")]
fn trim() {
    // SAFETY: it is given no pointer, and takes the heap's own locks.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn trim() {}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "pages are dropped by address")]
fn unmap(code: Range<usize>) {
    use rustix::mm::{Advice, madvise};
    let start = std::ptr::with_exposed_provenance_mut(code.start);
    // SAFETY: it is a private mapping of a file that nobody can write, so that what is read next is what was there.
    let advised = unsafe { madvise(start, code.len(), Advice::LinuxDontNeed) };
    if let Err(error) = advised {
        tracing::debug!(%error, "code stays mapped");
    }
}

#[cfg(not(target_os = "linux"))]
fn unmap(_: Range<usize>) {}

/// Where this program's code lies, by `/proc/self/maps` (proc_pid_maps(5)): private, readable, executable, not writable.
fn code(maps: &str, program: &str) -> Vec<Range<usize>> {
    let of_line = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (access, rest) = rest.split_once(' ')?;
        let path = rest.splitn(4, ' ').nth(3)?.trim_start();
        let (start, end) = range.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        (access == "r-xp" && path == program).then_some(address(start)?..address(end)?)
    };
    maps.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_own_code_is_found_and_nothing_else() {
        let maps = "\
55d0c0000000-55d0c0100000 r--p 00000000 fe:00 1234                       /usr/bin/seal wire
55d0c0100000-55d0c0180000 r-xp 00100000 fe:00 1234                       /usr/bin/seal wire
55d0c0180000-55d0c0190000 rwxp 00180000 fe:00 1234                       /usr/bin/seal wire
55d0c0190000-55d0c01a0000 rw-p 00190000 fe:00 1234                       /usr/bin/seal wire
7f0000000000-7f0000001000 r-xp 00000000 00:00 0 
7f0000100000-7f0000200000 r-xp 00000000 fe:00 99                         /usr/lib/libc.so.6
7ffc00000000-7ffc00001000 r-xp 00000000 00:00 0                          [vdso]
";
        let found: Vec<(usize, usize)> =
            code(maps, "/usr/bin/seal wire").into_iter().map(|range| (range.start, range.end)).collect();
        assert_eq!(found, [(0x55d0_c010_0000, 0x55d0_c018_0000)]);
        assert!(code("", "").is_empty() && code("nonsense", "nonsense").is_empty());
    }

    /// KiB of the program's code that are mapped now, by proc_pid_smaps(5).
    #[cfg(target_os = "linux")]
    fn resident(program: &str) -> u64 {
        let smaps = fs::read_to_string("/proc/self/smaps").expect("smaps");
        let mut of_code = false;
        let mut sum = 0;
        for line in smaps.lines() {
            if line.contains(" r-xp ") || line.ends_with(program) {
                of_code = line.contains(" r-xp ") && line.ends_with(program);
            } else if let Some(size) = line.strip_prefix("Rss:").filter(|_| of_code) {
                sum += size.trim().trim_end_matches(" kB").parse::<u64>().expect("a number");
            }
        }
        sum
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn code_that_nobody_runs_is_unmapped() {
        use std::os::unix::fs::FileExt;
        let program = fs::read_link("/proc/self/exe").expect("a program").to_string_lossy().into_owned();
        let code = code(&fs::read_to_string("/proc/self/maps").expect("maps"), &program);
        let memory = fs::File::open("/proc/self/mem").expect("its memory");
        for range in &code {
            memory.read_exact_at(&mut vec![0; range.len()], range.start as u64).expect("its code");
        }
        let all = resident(&program);
        let size = code.iter().map(|range| range.len() as u64 >> 10).sum::<u64>();
        assert!(all > size / 2, "{all} of {size} KiB are mapped once all are read");
        // Other tests run beside.
        let least = (0..100).map(|_| {
            give_back();
            resident(&program)
        });
        let least = least.min().unwrap_or_default();
        assert!(least < all / 2, "{least} of {all} KiB are mapped");
    }
}
