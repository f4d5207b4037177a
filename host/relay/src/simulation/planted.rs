//! Bugs on purpose, for the test of the tests: each must be found. None is in a program that is shipped.

use std::cell::{Cell, RefCell};

use sealwire_core::decision::{PlanCall, Standing, join_plans};
use sealwire_core::floor::TlsFloor;
use sealwire_core::report::Recipient;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A message is sent though its floor is not met: the permit is asked of no floor.
    PermitSkipped,
    /// What failed is written as told, and nobody is told.
    OutcomeLost,
    /// What a client says behind STARTTLS is kept and obeyed under TLS.
    BufferKept,
    /// TLSA records are looked up and demand nothing.
    DaneIgnored,
    /// TLSA records that could not be looked up are none.
    TlsaFailureIsAbsence,
    /// MTA-STS policies are looked up and demand nothing.
    StsIgnored,
    /// What came with REQUIRETLS is queued without it.
    RequireTlsDropped,
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    static KEPT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Plants a bug in what this thread runs; None: takes it out.
pub(super) fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

fn is(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// The floor that a permit is asked of.
pub(crate) fn floor(floor: TlsFloor) -> TlsFloor {
    if !is(Bug::PermitSkipped) {
        return floor;
    }
    let nothing = PlanCall {
        policy: String::new(),
        demands: Vec::new(),
        take_route: None,
        fallback: Vec::new(),
        reasons: Vec::new(),
    };
    join_plans(&Standing::default(), vec![Ok(nothing)]).map_or(floor, |plan| plan.floor)
}

/// What a report is made of.
pub(crate) fn told(recipients: &mut Vec<Recipient>) {
    if is(Bug::OutcomeLost) {
        recipients.clear();
    }
}

/// What was found of a host's TLSA records.
pub(crate) fn dane<T, E>(found: Result<Option<T>, E>) -> Result<Option<T>, E> {
    match found {
        Ok(_) if is(Bug::DaneIgnored) => Ok(None),
        Err(_) if is(Bug::TlsaFailureIsAbsence) => Ok(None),
        found => found,
    }
}

/// What was found of a domain's policy.
pub(crate) fn sts<T>(found: Option<T>) -> Option<T> {
    found.filter(|_| !is(Bug::StsIgnored))
}

/// Whether an entry carries REQUIRETLS.
pub(crate) fn require_tls(required: bool) -> bool {
    required && !is(Bug::RequireTlsDropped)
}

/// What of a client's octets the server is given now.
pub(crate) fn heard(octets: &[u8]) -> &[u8] {
    const COMMAND: &[u8] = b"STARTTLS\r\n";
    if !is(Bug::BufferKept) {
        return octets;
    }
    let Some(at) = octets.windows(COMMAND.len()).position(|window| window == COMMAND) else { return octets };
    let (now, later) = octets.split_at(at + COMMAND.len());
    KEPT.set(later.to_vec());
    now
}

/// What it is given behind the handshake.
pub(crate) fn kept() -> Vec<u8> {
    KEPT.take()
}
