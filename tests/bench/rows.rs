//! The groups of rows: what each measures. A group may be run alone by its name.

use crate::flow::{self, Flow};
use crate::table::Row;
use crate::{Extent, burst, deferred, edit, heavy, idle, ledger, million, overload, policy, syncs, units};

/// Rows that come from the same runs.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) says: &'static str,
    pub(crate) measure: fn(&Extent) -> Vec<Row>,
}

const CLEAR: Flow =
    Flow { what: "clear in and out, 4 KiB, 20 a connection", secured: false, size: 4096, per_connection: 20 };
const STARTTLS: Flow =
    Flow { what: "STARTTLS in and out, 4 KiB, 20 a connection", secured: true, size: 4096, per_connection: 20 };
const ONE_EACH: Flow = Flow { what: "STARTTLS, 4 KiB, 1 a connection", secured: true, size: 4096, per_connection: 1 };
const LARGE: Flow =
    Flow { what: "STARTTLS, 100 KiB, 20 a connection", secured: true, size: 100 * 1024, per_connection: 20 };

/// In the order of the table.
pub(crate) const GROUPS: &[Group] = &[
    Group { name: "clear", says: "CPU in clear", measure: |extent| flow::cpu(&CLEAR, 8.0, extent) },
    Group {
        name: "starttls",
        says: "CPU under TLS, messages per second, peak memory",
        measure: |extent| flow::cpu_rate_and_memory(&STARTTLS, 8.0, extent),
    },
    Group {
        name: "one-each",
        says: "CPU under TLS, a connection for each message",
        measure: |extent| flow::cpu(&ONE_EACH, 6.0, extent),
    },
    Group { name: "large", says: "CPU under TLS, 100 KiB", measure: |extent| flow::cpu(&LARGE, 6.0, extent) },
    Group { name: "idle", says: "memory of an idle TLS session", measure: idle::measure },
    Group { name: "burst", says: "1,000 TLS connects at once", measure: burst::measure },
    Group { name: "policy", says: "CPU that a policy adds to a message", measure: policy::measure },
    Group { name: "syncs", says: "syncs per message, counted by strace", measure: syncs::measure },
    Group { name: "edit", says: "edits beside a list of 1,000,000, to effect, mail flowing", measure: edit::measure },
    Group {
        name: "million",
        says: "a list of 1,000,000: import, export, search, edits by command",
        measure: million::measure,
    },
    Group { name: "units", says: "changes beside 1,000 units with settings of their own", measure: units::measure },
    Group { name: "ledger", says: "1,000,000 decisions in the ledger: search and replay", measure: ledger::measure },
    Group { name: "overload", says: "queue growth under overload", measure: overload::measure },
    Group {
        name: "heavy",
        says: "20 sessions of 50 MiB messages, and small mail beside them",
        measure: heavy::measure,
    },
    Group {
        name: "deferred",
        says: "100,000 deferred messages, dead and slow destinations",
        measure: deferred::measure,
    },
];
