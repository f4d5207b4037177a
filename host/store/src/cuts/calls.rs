//! The file layer: the system calls by which this test binary changes a disk, with a [`Recorder`] beside them.
//!
//! The linker takes these definitions before the C library's, for Rust's standard library and for SQLite's C alike. So
//! the store that is tested is the store that ships, with no seam in it, and nothing it does to a disk is overlooked;
//! what these functions do not know would show when a recording is compared with the folder it was made in.
//! Calls about other paths go straight to the kernel. Below a watched folder nothing is really synced: the recording
//! says what would have been, and the real disk is spared.
#![allow(unsafe_code)] // Standing in for the C library cannot be done without; this file is all there is of it.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr};
use std::os::raw::{c_char, c_int, c_long, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::recorder::{Opened, Recorder};

/// Folders under watch; without a recorder, their files are merely not synced.
static WATCHED: Mutex<Vec<(PathBuf, Option<Arc<Recorder>>)>> = Mutex::new(Vec::new());
/// What the descriptors of watched files stand for.
static OPEN: Mutex<BTreeMap<c_int, Descriptor>> = Mutex::new(BTreeMap::new());
/// Length of `WATCHED`: while it is zero no call looks further.
static WATCHING: AtomicUsize = AtomicUsize::new(0);

#[derive(Clone)]
struct Descriptor {
    /// None: not recorded, and not synced.
    node: Option<(Arc<Recorder>, Opened)>,
}

/// Watches a folder until it is dropped.
pub(super) struct Watch {
    root: PathBuf,
}

impl Watch {
    /// `root` must be written as the kernel knows it: absolute, without links.
    pub(super) fn over(root: &Path, recorder: Option<Arc<Recorder>>) -> Watch {
        lock(&WATCHED).push((root.to_owned(), recorder));
        WATCHING.fetch_add(1, Ordering::SeqCst);
        Watch { root: root.to_owned() }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        lock(&WATCHED).retain(|(root, _)| *root != self.root);
        WATCHING.fetch_sub(1, Ordering::SeqCst);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The innermost watch over a path, and the path as seen from there.
fn watched(path: &CStr) -> Option<(Option<Arc<Recorder>>, String)> {
    if WATCHING.load(Ordering::SeqCst) == 0 {
        return None;
    }
    let path = Path::new(OsStr::from_bytes(path.to_bytes()));
    let watched = lock(&WATCHED);
    let below = |(root, recorder): &(PathBuf, Option<Arc<Recorder>>)| {
        path.strip_prefix(root).ok().map(|inner| (root.as_os_str().len(), recorder.clone(), inner.to_owned()))
    };
    let (_, recorder, inner) = watched.iter().filter_map(below).max_by_key(|(depth, _, _)| *depth)?;
    Some((recorder, inner.to_str()?.to_owned()))
}

fn recorded(path: &CStr) -> Option<(Arc<Recorder>, String)> {
    watched(path).and_then(|(recorder, inner)| Some((recorder?, inner)))
}

fn descriptor(fd: c_int) -> Option<Descriptor> {
    if WATCHING.load(Ordering::SeqCst) == 0 {
        return None;
    }
    lock(&OPEN).get(&fd).cloned()
}

fn recorded_file(fd: c_int) -> Option<(Arc<Recorder>, u32)> {
    match descriptor(fd)?.node? {
        (recorder, Opened::File(file)) => Some((recorder, file)),
        (_, Opened::Folder(_)) => None,
    }
}

/// What a call answers where the recorder lets it fail.
fn failed(errno: c_int) -> c_long {
    // SAFETY: the C library gives every thread a place for its error number.
    unsafe { *libc::__errno_location() = errno };
    -1
}

/// SAFETY: as for `open(2)`: `path` ends in a NUL.
unsafe fn open_any(path: *const c_char, flags: c_int, mode: libc::mode_t) -> c_int {
    // SAFETY: the caller's promise.
    let (real, name) =
        unsafe { (move || libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags, mode), CStr::from_ptr(path)) };
    let Some((recorder, inner)) = watched(name) else { return real() as c_int };
    let mut node = None;
    let fd = match &recorder {
        None => real(),
        Some(recorder) => match recorder.open(&inner, flags, real) {
            Ok((fd, found)) => {
                node = found.map(|found| (Arc::clone(recorder), found));
                fd
            }
            Err(errno) => failed(errno),
        },
    } as c_int;
    if fd >= 0 {
        lock(&OPEN).insert(fd, Descriptor { node });
    }
    fd
}

/// SAFETY: as for `pwrite(2)`: `octets` is good for `count`.
unsafe fn write_any(fd: c_int, octets: *const c_void, count: usize, at: Option<i64>) -> isize {
    let real = |count: usize| match at {
        // SAFETY: the caller's promise; `count` only ever shrinks.
        Some(at) => unsafe { libc::syscall(libc::SYS_pwrite64, fd, octets, count, at) },
        // SAFETY: likewise.
        None => unsafe { libc::syscall(libc::SYS_write, fd, octets, count) },
    };
    let Some((recorder, file)) = recorded_file(fd) else { return real(count) as isize };
    // SAFETY: asks for the position, no more.
    let at = at.unwrap_or_else(|| unsafe { libc::syscall(libc::SYS_lseek, fd, 0, libc::SEEK_CUR) });
    // SAFETY: the caller's promise.
    let octets = unsafe { std::slice::from_raw_parts(octets.cast::<u8>(), count) };
    recorder.write(file, at as u64, octets, real).unwrap_or_else(failed) as isize
}

fn truncate_any(fd: c_int, length: i64) -> c_int {
    // SAFETY: takes no memory.
    let real = || unsafe { libc::syscall(libc::SYS_ftruncate, fd, length) };
    let Some((recorder, file)) = recorded_file(fd) else { return real() as c_int };
    recorder.truncate(file, length as u64, real).unwrap_or_else(failed) as c_int
}

fn sync_any(fd: c_int, number: c_long) -> c_int {
    match descriptor(fd) {
        // SAFETY: takes no memory.
        None => (unsafe { libc::syscall(number, fd) }) as c_int,
        Some(Descriptor { node: None }) => 0,
        Some(Descriptor { node: Some((recorder, node)) }) => match recorder.sync(&node) {
            Ok(()) => 0,
            Err(errno) => failed(errno) as c_int,
        },
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: libc::mode_t) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { open_any(path, flags, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: libc::mode_t) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { open_any(path, flags, mode) }
}

#[unsafe(no_mangle)]
extern "C" fn close(fd: c_int) -> c_int {
    if WATCHING.load(Ordering::SeqCst) > 0 {
        lock(&OPEN).remove(&fd);
    }
    // SAFETY: takes no memory; the caller owns the descriptor.
    (unsafe { libc::syscall(libc::SYS_close, fd) }) as c_int
}

#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, octets: *const c_void, count: usize) -> isize {
    // SAFETY: the caller's promise.
    unsafe { write_any(fd, octets, count, None) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite(fd: c_int, octets: *const c_void, count: usize, at: i64) -> isize {
    // SAFETY: the caller's promise.
    unsafe { write_any(fd, octets, count, Some(at)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite64(fd: c_int, octets: *const c_void, count: usize, at: i64) -> isize {
    // SAFETY: the caller's promise.
    unsafe { write_any(fd, octets, count, Some(at)) }
}

#[unsafe(no_mangle)]
extern "C" fn ftruncate(fd: c_int, length: i64) -> c_int {
    truncate_any(fd, length)
}

#[unsafe(no_mangle)]
extern "C" fn ftruncate64(fd: c_int, length: i64) -> c_int {
    truncate_any(fd, length)
}

#[unsafe(no_mangle)]
extern "C" fn fsync(fd: c_int) -> c_int {
    sync_any(fd, libc::SYS_fsync)
}

#[unsafe(no_mangle)]
extern "C" fn fdatasync(fd: c_int) -> c_int {
    sync_any(fd, libc::SYS_fdatasync)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mkdir(path: *const c_char, mode: libc::mode_t) -> c_int {
    // SAFETY: the caller's promise: `path` ends in a NUL.
    let (real, name) =
        unsafe { (move || libc::syscall(libc::SYS_mkdirat, libc::AT_FDCWD, path, mode), CStr::from_ptr(path)) };
    let Some((recorder, inner)) = recorded(name) else { return real() as c_int };
    recorder.make_folder(&inner, real).unwrap_or_else(failed) as c_int
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: the caller's promise: `path` ends in a NUL.
    let (real, name) =
        unsafe { (move || libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, path, 0), CStr::from_ptr(path)) };
    let Some((recorder, inner)) = recorded(name) else { return real() as c_int };
    recorder.unlink(&inner, real) as c_int
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: the caller's promise: both end in a NUL.
    let (real, names) = unsafe {
        (
            move || libc::syscall(libc::SYS_renameat2, libc::AT_FDCWD, from, libc::AT_FDCWD, to, 0),
            (CStr::from_ptr(from), CStr::from_ptr(to)),
        )
    };
    match (recorded(names.0), recorded(names.1)) {
        (Some((recorder, from)), Some((_, to))) => recorder.rename(&from, &to, real) as c_int,
        _ => real() as c_int,
    }
}
