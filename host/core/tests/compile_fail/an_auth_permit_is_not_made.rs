//! A permit to send credentials comes from `AuthPermit::of` alone.

use sealwire_core::auth::AuthPermit;
use sealwire_core::floor::ConnectionId;

fn permit() -> AuthPermit {
    AuthPermit { connection: ConnectionId(1) }
}

fn main() {}
