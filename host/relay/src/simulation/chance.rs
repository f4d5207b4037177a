//! Chance that a seed decides: the same seed, the same course.

use std::sync::{Mutex, PoisonError};

/// A stream of random numbers (SplitMix64).
pub(super) struct Chance(Mutex<u64>);

impl Chance {
    /// The stream of this seed that is meant for `what`; streams of one seed do not disturb each other.
    pub(super) fn new(seed: u64, what: u64) -> Chance {
        let chance = Chance(Mutex::new(seed ^ what.wrapping_mul(0xd6e8_feb8_6659_fd93)));
        chance.roll();
        chance
    }

    /// 64 bits.
    pub(super) fn roll(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `bound`.
    pub(super) fn below(&self, bound: u64) -> u64 {
        self.roll() % bound.max(1)
    }

    /// True so often in a hundred.
    pub(super) fn percent(&self, of_hundred: u64) -> bool {
        self.below(100) < of_hundred
    }

    /// One of these.
    pub(super) fn among<T: Copy>(&self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap_or(0)]
    }
}
