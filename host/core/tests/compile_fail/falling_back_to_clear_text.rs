//! When the floor is unmet, nothing is left in hand that sends: the clearance is spent, and clear text needs a new one.

use sealwire_core::floor::{Cleared, ConnectionId, TlsFloor, TlsProof};
use sealwire_core::smtp::client::{Client, Outgoing};

fn deliver(client: &mut Client, floor: TlsFloor, proof: &TlsProof, cleared: Cleared, message: &Outgoing) {
    if let Ok(permit) = floor.permit(proof, cleared) {
        let _ = client.send(permit, message);
        return;
    }
    let clear = TlsProof::of_nothing(ConnectionId(1));
    if let Ok(permit) = floor.permit(&clear, cleared) {
        let _ = client.send(permit, message);
    }
}

fn main() {}
