//! A permit comes from `TlsFloor::permit` alone.

use sealwire_core::floor::{ConnectionId, Permit};

fn permit() -> Permit {
    Permit { connection: ConnectionId(1) }
}

fn main() {}
