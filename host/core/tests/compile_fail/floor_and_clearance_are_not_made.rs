//! Floor and clearance come from a finished chain alone, and without them there is no permit.

use sealwire_core::floor::{Cleared, TlsFloor};

fn cleared() -> Cleared {
    Cleared(())
}

fn cleared_by_name() -> Cleared {
    Cleared::by_the_whole_chain()
}

fn floor() -> TlsFloor {
    TlsFloor::default()
}

fn floor_by_name() -> TlsFloor {
    TlsFloor::of_finished_chain([])
}

fn lowered(mut floor: TlsFloor) -> TlsFloor {
    floor.0.clear();
    floor
}

fn main() {}
