//! One judgement clears one message: neither clearance nor permit is used twice or copied.

use sealwire_core::floor::{Cleared, Permit, TlsFloor, TlsProof};
use sealwire_core::smtp::client::{Client, Outgoing};

fn twice(client: &mut Client, permit: Permit, message: &Outgoing) {
    let _ = client.send(permit, message);
    let _ = client.send(permit, message);
}

fn copied(permit: &Permit) -> Permit {
    permit.clone()
}

fn two_permits(floor: &TlsFloor, proof: &TlsProof, cleared: Cleared) {
    let _ = floor.permit(proof, cleared);
    let _ = floor.permit(proof, cleared);
}

fn main() {}
