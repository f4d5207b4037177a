//! How a fuzzer's octets become what a peer sends.
//!
//! The first octet is a seed: it chooses where octets are cut, and whatever else a target leaves to chance. In the rest
//! two octets that no UTF-8 text has are marks: [`REPEAT`] makes long lines out of short inputs, and [`FLIGHT_END`]
//! separates what a peer sends at once from what it sends after it was answered.

/// `REPEAT n x` stands for n times 256 of x.
const REPEAT: u8 = 0xf8;
/// Ends a flight.
const FLIGHT_END: u8 = 0xf9;
/// Nothing is repeated beyond it: a case should take a millisecond.
const OCTETS_MAX: usize = 100 * 1_024;

/// Steele, Lea and Flood's splitmix64.
#[derive(Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.draw() % end.max(1) as u64).unwrap_or(0)
    }
}

/// The seed, and the flights behind it.
pub(crate) fn flights(octets: &[u8]) -> (u8, Vec<Vec<u8>>) {
    let (seed, rest) = octets.split_first().map_or((0, octets), |(seed, rest)| (*seed, rest));
    (seed, rest.split(|&octet| octet == FLIGHT_END).map(unfolded).collect())
}

/// The seed, and everything behind it as one flight.
pub(crate) fn one_flight(octets: &[u8]) -> (u8, Vec<u8>) {
    let (seed, flights) = flights(octets);
    (seed, flights.concat())
}

fn unfolded(mut folded: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    while let [first, rest @ ..] = folded {
        folded = match (*first, rest) {
            (REPEAT, [times, octet, rest @ ..]) if *times > 0 => {
                let room = OCTETS_MAX.saturating_sub(octets.len());
                octets.extend(std::iter::repeat_n(*octet, room.min(usize::from(*times) * 256)));
                rest
            }
            _ => {
                octets.push(*first);
                rest
            }
        };
    }
    octets
}

/// Cuts octets into pieces: the seed 0 cuts off each octet, other seeds leave short pieces and long ones.
pub(crate) fn pieces(seed: u8, octets: &[u8]) -> Vec<&[u8]> {
    let mut random = Random(u64::from(seed));
    let mut rest = octets;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let most = match random.below(4) {
            _ if seed == 0 && octets.len() < 4_096 => 1,
            0 => 1,
            1 => 8,
            2 => 300,
            _ => 5_000,
        };
        let (piece, behind) = rest.split_at(rest.len().min(1 + random.below(most)));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

/// The first place where `part` stands.
pub(crate) fn find(octets: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memmem::find(octets, part)
}

/// There is a CR or LF that is not part of CR LF.
pub(crate) fn has_bare_line_end(octets: &[u8]) -> bool {
    octets.iter().enumerate().any(|(at, octet)| match octet {
        b'\r' => octets.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || octets[at - 1] != b'\r',
        _ => false,
    })
}
