//! Logins that fail slow down those that follow: for an account, and for an address. Nobody is locked out for good.
//!
//! An account waits longer after each failure, by whomever; a stranger who guesses all day makes its owner wait for half a
//! minute at most, unless the owner comes from an address that has logged in before: that one is counted by itself.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use super::caller::place_of;

/// Failures without a wait: people mistype.
const FREE: u32 = 3;
/// The longest wait of an account.
const ACCOUNT_WAIT_MAX_SECS: u64 = 30;
/// The longest wait of an address.
const ADDRESS_WAIT_MAX_SECS: u64 = 900;
/// Without a failure for so long, all is forgotten.
const FORGOTTEN_SECS: u64 = 3600;
/// Accounts and addresses remembered; beyond, the oldest are forgotten.
const REMEMBERED_MAX: usize = 20_000;

/// What failed.
#[derive(Default)]
pub(crate) struct Throttle(Mutex<HashMap<Tried, Failures>>, Mutex<HashMap<IpAddr, u64>>);

/// How often it is told that an address tries on while it should wait.
const TOLD_EVERY_SECS: u64 = 60;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Tried {
    /// Anybody, for an account; existing or not, so that it tells nothing.
    Account(String),
    /// Anything, from an address.
    Address(IpAddr),
    /// An account, from an address where it has logged in.
    Known(String, IpAddr),
}

#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    count: u32,
    last: u64,
}

impl Failures {
    fn wait(&self, longest: u64) -> u64 {
        match self.count.checked_sub(FREE) {
            None | Some(0) => 0,
            Some(more) => 1u64.checked_shl(more).unwrap_or(longest).min(longest),
        }
    }
}

impl Throttle {
    /// Seconds until a login may be tried; 0: now. What is tried counts as failed until [`Throttle::succeeded`].
    pub(crate) fn attempt(&self, account: &str, address: IpAddr, now: u64) -> u64 {
        let Ok(mut tried) = self.0.lock() else { return 1 };
        let address = place_of(address);
        let known = Tried::Known(account.to_owned(), address);
        let keys: Vec<(Tried, u64)> = match tried.contains_key(&known) {
            true => vec![(known, ACCOUNT_WAIT_MAX_SECS)],
            false => vec![
                (Tried::Account(account.to_owned()), ACCOUNT_WAIT_MAX_SECS),
                (Tried::Address(address), ADDRESS_WAIT_MAX_SECS),
            ],
        };
        let left = |(key, longest): &(Tried, u64)| {
            let failures = tried.get(key).copied().unwrap_or_default();
            (failures.last + failures.wait(*longest)).saturating_sub(now)
        };
        let wait = keys.iter().map(left).max().unwrap_or(0);
        if wait > 0 {
            return wait;
        }
        if tried.len() >= REMEMBERED_MAX {
            tried.retain(|_, failures| failures.last + FORGOTTEN_SECS > now);
            if tried.len() >= REMEMBERED_MAX {
                let oldest = tried.iter().min_by_key(|(_, failures)| failures.last).map(|(key, _)| key.clone());
                oldest.and_then(|key| tried.remove(&key));
            }
        }
        for (key, _) in keys {
            let failures = tried.entry(key).or_default();
            let is_old = failures.last + FORGOTTEN_SECS <= now;
            *failures = Failures { count: if is_old { 1 } else { failures.count.saturating_add(1) }, last: now };
        }
        0
    }

    /// Whether it is time to tell again that this address tries on while it should wait.
    pub(crate) fn tells(&self, address: IpAddr, now: u64) -> bool {
        let Ok(mut told) = self.1.lock() else { return false };
        let address = place_of(address);
        if told.len() >= REMEMBERED_MAX {
            told.retain(|_, at| *at + TOLD_EVERY_SECS > now);
        }
        let is_due = told.get(&address).is_none_or(|at| *at + TOLD_EVERY_SECS <= now) && told.len() < REMEMBERED_MAX;
        if is_due {
            told.insert(address, now);
        }
        is_due
    }

    /// The password was right: what failed before is forgotten, and the address is known.
    pub(crate) fn succeeded(&self, account: &str, address: IpAddr, now: u64) {
        let Ok(mut tried) = self.0.lock() else { return };
        let address = place_of(address);
        tried.remove(&Tried::Account(account.to_owned()));
        tried.remove(&Tried::Address(address));
        tried.insert(Tried::Known(account.to_owned(), address), Failures { count: 0, last: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_is_slow_and_nobody_is_locked_out() {
        let throttle = Throttle::default();
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        throttle.attempt("ann", address(1), 0);
        throttle.succeeded("ann", address(1), 0);
        // A stranger guesses for a day, each time as soon as he may.
        let (mut now, mut guesses) = (0, 0);
        while now < 86_400 {
            match throttle.attempt("ann", address(9), now) {
                0 => guesses += 1,
                wait => now += wait,
            }
        }
        assert!(guesses < 120, "{guesses} guesses in a day");
        assert_eq!(throttle.attempt("ann", address(1), now), 0, "she comes from where she came before");
        assert!(throttle.attempt("ann", address(2), now) <= ACCOUNT_WAIT_MAX_SECS, "from elsewhere she waits a moment");
        // Many strangers share an account's wait.
        let (mut now, mut guesses) = (100_000, 0);
        let end = now + 3600;
        for stranger in (10..250).cycle() {
            if now >= end {
                break;
            }
            match throttle.attempt("bob", address(stranger), now) {
                0 => guesses += 1,
                _ => now += 1,
            }
        }
        assert!(guesses < 200, "{guesses} guesses in an hour");
    }

    #[test]
    fn who_tries_on_is_told_of_once_a_minute() {
        let (throttle, stranger) = (Throttle::default(), |last: u8| IpAddr::from([192, 0, 2, last]));
        let told = (0..3600).filter(|now| (0..20).any(|_| throttle.tells(stranger(1), *now))).count();
        assert_eq!(told, 60);
        assert!(throttle.tells(stranger(2), 3600));
    }

    #[test]
    fn a_subscriber_is_one_however_many_addresses_he_has() {
        let throttle = Throttle::default();
        let address = |text: &str| -> IpAddr { text.parse().expect("an address") };
        for last in 0..4 {
            throttle.attempt(&format!("account{last}"), address(&format!("2001:db8::{last}")), 10);
        }
        assert!(throttle.attempt("ann", address("2001:db8::ffff"), 10) > 0);
        assert_eq!(throttle.attempt("ann", address("2001:db8:0:1::1"), 10), 0);
    }

    #[test]
    fn a_slip_costs_nothing() {
        let throttle = Throttle::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        let waits: Vec<_> = (0..5).map(|_| throttle.attempt("ann", address, 10)).collect();
        assert_eq!(waits, [0, 0, 0, 0, 2]);
        assert_eq!(throttle.attempt("ann", address, 10 + FORGOTTEN_SECS), 0);
    }
}
