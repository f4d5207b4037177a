//! `bench-load` and `bench-sink`: mail by the thousand into a relay, and the far end that says what came out of it.
//!
//! The load numbers its messages from 0 and writes a checksum of the body into each header ([`letter`]); the sink counts
//! them by number and says how many are lost, doubled, damaged or came in clear ([`tally`]). Both are made to cost much
//! less than what they measure, and neither knows anything of the relay between them: it may be any mail server.

pub(crate) mod load;
pub(crate) mod sink;

mod letter;
mod tally;

mod conversation;
mod sender;
