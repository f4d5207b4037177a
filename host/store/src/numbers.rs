//! Numbers as SQLite has them: its integers are signed, ours are not.
//!
//! Times and counts beyond the signed range do not occur; they are cut rather than wrapped, so that a comparison in SQL
//! never turns around.

/// For a column or a parameter.
pub(crate) fn integer(natural: u64) -> i64 {
    i64::try_from(natural).unwrap_or(i64::MAX)
}

/// What [`integer`] stored.
pub(crate) fn natural(integer: i64) -> u64 {
    u64::try_from(integer).unwrap_or(0)
}
