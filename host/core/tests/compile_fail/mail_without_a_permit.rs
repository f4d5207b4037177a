//! MAIL FROM is said by `Client::send` alone, and it takes a permit.

use sealwire_core::smtp::client::{Client, Outgoing};

fn send(client: &mut Client, message: &Outgoing) {
    let _ = client.send(message);
    let _ = client.send((), message);
}

fn main() {}
