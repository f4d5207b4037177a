//! Every limit a policy lives under, in one table, each with its reason.
//!
//! None of them can be raised by a policy. Going over one is a failed decision (H3) or, while a generation is built, a
//! refusal; it is never an acceptance.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of guest a policy is; it decides how much time and memory it gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Compiled ahead of time: Rust, C.
    #[default]
    Native,
    /// Brings an interpreter along: JavaScript, Python.
    Scripted,
}

/// How often a running guest is asked to look at the time. Finer costs wake-ups, coarser costs precision: 5 ms kills an
/// endless loop within a twentieth of the shortest limit.
pub const TICK: Duration = Duration::from_millis(5);

impl Profile {
    /// Wall time of one decision. A compiled policy needs microseconds: 100 ms is only ever reached by a loop or by a
    /// machine in trouble. Interpreters start slower and page in megabytes.
    pub const fn decision_time(self) -> Duration {
        Duration::from_millis(match self {
            Profile::Native => 100,
            Profile::Scripted => 500,
        })
    }

    /// Wall time of `configure`. It runs once, off the mail path, and may parse a settings document of a megabyte.
    pub const fn configure_time(self) -> Duration {
        Duration::from_millis(match self {
            Profile::Native => 1_000,
            Profile::Scripted => 10_000,
        })
    }

    /// Linear memory of one instance, all memories together. A compiled policy holds one header of 256 KiB a few times
    /// over; CPython alone takes tens of megabytes.
    pub const fn memory(self) -> usize {
        match self {
            Profile::Native => 32 << 20,
            Profile::Scripted => MEMORY_MAX,
        }
    }
}

/// The largest memory of any profile: what the pool reserves per slot and up to where an image is always kept dense, so
/// that it is shared copy-on-write and never copied.
pub const MEMORY_MAX: usize = 128 << 20;

/// How many times as long as a decision a replay of it may take, try by try: at low priority mail goes before it, and on a busy
/// machine it may not run for seconds.
pub const REPLAY_PATIENCE: [u32; 2] = [5, 100];

/// How many times as long as a decision an explanation may take: it runs at low priority, and tells more.
pub const EXPLANATION_PATIENCE: u32 = 20;
/// How long all explanations that are asked for together may take; the rest is said not to have been asked.
pub const EXPLANATIONS_TIME: Duration = Duration::from_secs(10);
/// Octets of one explanation as it is handed over: a few hundred rules.
pub const EXPLANATION_OCTETS: usize = 512 << 10;
/// Rules that are told of one decision. The built-in policy tells 250 and what holds.
pub const TRIED: usize = 300;

/// Stack of WebAssembly. Parsers recurse over what a stranger sent; 512 KiB holds thousands of frames and is a quarter
/// of the thread's own.
pub const STACK: usize = 512 << 10;
/// Stack of a decision thread: the guest's, and the host's methods above it.
pub const THREAD_STACK: usize = 2 << 20;
/// Stack of a build thread: the compiler recurses over the guest's code.
pub const BUILD_STACK: usize = 16 << 20;

/// Octets a guest may hand over in one call. A reply has 400, a reason about 2,500, a set of 64 pins 2,048.
pub const HOSTCALL_OCTETS: usize = 64 << 10;
/// Handles alive at one time. A policy that looks up every recipient and keeps every entry stays below.
pub const HANDLES: usize = 4_096;
/// Table elements of one instance. CPython's largest table has fewer than 20,000.
pub const TABLE_ELEMENTS: usize = 30_000;
/// Core instances in one component. CPython has 40.
pub const CORE_INSTANCES: u32 = 64;
/// Memories in one component. QuickJS has 3.
pub const MEMORIES: u32 = 4;
/// Memory kept resident in an unused slot: what a compiled policy touches in a decision, so that the next one faults
/// no pages in.
pub const KEEP_RESIDENT: usize = 64 << 10;

/// Distinct facts one decision may read with arguments: a thousand recipients looked up in a few lists.
pub const READS: usize = 4_096;
/// Octets of the arguments of those, for every one goes to the ledger (H8).
pub const READ_OCTETS: usize = 1 << 20;
/// Mailboxes of one kind (recipients, From) that a record keeps though they were not read: more would double the ledger for
/// mail to a thousand recipients.
pub const MAILBOXES_AT_HAND: usize = 32;
/// Length of an argument: a header's name, a list's or a route's name, a part of a mailbox (RFC 5322 §2.1.1: 998).
pub const ARGUMENT_OCTETS: usize = 998;

/// Replies (reject, defer, object) in one decision; the first of a kind counts.
pub const REPLIES: usize = 8;
/// Demands on a floor. Six kinds exist.
pub const DEMANDS: usize = 64;
/// Digests in one pin, names in one cipher call.
pub const ALTERNATIVES: usize = 64;
/// Length of a cipher suite's name; the longest of IANA has 45.
pub const CIPHER_NAME_OCTETS: usize = 64;
/// Steps of a fallback cascade. Route, hold, bounce; a few routes.
pub const FALLBACK_STEPS: usize = 8;
/// Reasons in one decision. A person reads them.
pub const REASONS: usize = 32;
/// Octets of a rule's id.
pub const RULE_OCTETS: usize = 64;
/// Octets of a reason's public text; that of a reply has the same.
pub const REASON_OCTETS: usize = 400;
/// Octets of what matched and of the detail, which only the ledger and the console see.
pub const PRIVATE_OCTETS: usize = 1_000;
/// Octets of the words in which a failed decision is told, a guest's `err` included.
pub const DETAIL_OCTETS: usize = 500;

/// Lines of standard error that reach the log, per decision. What is beyond is dropped, not refused: a policy that talks
/// too much still decides.
pub const LOG_LINES: usize = 16;
/// Octets of such a line.
pub const LOG_LINE_OCTETS: usize = 512;
/// Octets of randomness in one call.
pub const RANDOM_OCTETS: u64 = 64 << 10;

/// Size of a component. CPython with its library has 18 MiB.
pub const COMPONENT_OCTETS: usize = 32 << 20;
/// Size of a settings document for one policy.
pub const SETTINGS_OCTETS: usize = 1 << 20;
/// Octets of one problem found while building. Compilers quote names of the component, which may be as long as it is.
pub const PROBLEM_OCTETS: usize = 2_000;
/// Problems reported by `configure` that are passed on.
pub const PROBLEMS: usize = 100;
/// Lists and routes `configure` may look up.
pub const LOOKUPS: usize = 1_000;
/// Policies in one chain.
pub const CHAIN: usize = 16;
/// Chains of a generation, one for each difference between units' settings: each costs a call of `configure` and the probe's
/// decisions at every change, half a millisecond together.
pub const CHAINS: usize = 10_000;
/// Images alive at one time: each is about a mebibyte. Chains beyond them are
/// configured in each instance.
pub const IMAGES: usize = 100;
/// How long `configure` may take, of the processor and not by the clock, to be called in every decision until there is an image:
/// a twentieth of the shortest time limit. What takes longer waits for its image.
pub const CONFIGURED_AGAIN: Duration = Duration::from_millis(5);
/// Octets of a policy's name; it is written into entries, floors and reports.
pub const NAME_OCTETS: usize = 64;
/// Time one policy may take to be built: compiling cannot be interrupted, so nobody waits longer than this. CPython
/// takes 25 seconds on a small machine.
pub const BUILD_TIME: Duration = Duration::from_secs(120);
/// Octets of start data that an instance without a snapshot may copy; more costs every decision.
pub const COPIED_OCTETS: usize = 64 << 10;

/// Cuts a text at a character's end, and takes out what could forge a line or move a cursor.
pub(crate) fn bounded(text: &str, octets: usize) -> String {
    let mut out = String::with_capacity(text.len().min(octets));
    for c in text.chars() {
        let c = if c.is_control() { ' ' } else { c };
        if out.len() + c.len_utf8() > octets {
            break;
        }
        out.push(c);
    }
    out
}

/// Cuts a text at a character's end, and says so. Kept as it came otherwise: it is made harmless where it comes out.
pub(crate) fn cut(text: &str, octets: usize) -> String {
    match text.len() <= octets {
        true => text.to_owned(),
        false => format!("{}...", &text[..text.floor_char_boundary(octets)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_text_has_one_line_and_whole_characters() {
        let rows = [
            ("plain", 10, "plain"),
            ("two\r\nlines", 20, "two  lines"),
            ("\u{fc}\u{fc}", 3, "\u{fc}"),
            ("x\u{1b}[2J", 9, "x [2J"),
        ];
        for (text, octets, expected) in rows {
            assert_eq!(bounded(text, octets), expected);
        }
    }
}
