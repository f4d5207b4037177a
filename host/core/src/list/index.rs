//! The memory of a list: one arena of text and one open table of places in it.
//!
//! A million entries cost about their text and 28 octets each. The hash is the same in every run and on every machine:
//! an operator writes the entries, and a stranger's look-up adds none.

/// An empty slot of the table.
const EMPTY: Slot = Slot { tag: 0, place: u32::MAX };
const TOO_LARGE: &str = "the list is too large for one list; split it";

/// Where an entry stands in the arena: its one form, then, only where it differs, the form written.
#[derive(Clone, Copy)]
struct Place {
    start: u32,
    normal_len: u16,
    /// 0: as the one form.
    written_len: u16,
}

/// The hash beside the place: most misses are settled, and the table grows, without a look at the arena.
#[derive(Clone, Copy)]
struct Slot {
    tag: u32,
    place: u32,
}

#[derive(Default)]
pub(super) struct Index {
    arena: String,
    places: Vec<Place>,
    /// A power of two, at most half full, so that a miss ends soon.
    table: Vec<Slot>,
}

impl Index {
    /// The place of the entry, and whether it is new: an equal one may be there.
    pub(super) fn insert(&mut self, normal: &str, written: &str) -> Result<(u32, bool), &'static str> {
        if self.places.len() * 2 >= self.table.len() {
            self.grow();
        }
        let tag = hash(normal.as_bytes());
        let slot = match self.look_up(tag, normal) {
            Ok(place) => return Ok((place, false)),
            Err(empty) => empty,
        };
        let start = u32::try_from(self.arena.len()).map_err(|_| TOO_LARGE)?;
        let normal_len = u16::try_from(normal.len()).map_err(|_| TOO_LARGE)?;
        let written_len = if written == normal { 0 } else { u16::try_from(written.len()).map_err(|_| TOO_LARGE)? };
        let place = u32::try_from(self.places.len()).ok().filter(|&n| n != EMPTY.place).ok_or(TOO_LARGE)?;
        self.arena.push_str(normal);
        if written_len > 0 {
            self.arena.push_str(written);
        }
        self.places.push(Place { start, normal_len, written_len });
        self.table[slot] = Slot { tag, place };
        Ok((place, true))
    }

    /// The entry of this form: its place, and how it was written.
    pub(super) fn find(&self, normal: &str) -> Option<(u32, &str)> {
        if self.table.is_empty() {
            return None;
        }
        let number = self.look_up(hash(normal.as_bytes()), normal).ok()?;
        let place = *self.places.get(number as usize)?;
        let written_at = place.start as usize + place.normal_len as usize;
        let written = match place.written_len {
            0 => self.normal(place),
            len => &self.arena[written_at..written_at + len as usize],
        };
        Some((number, written))
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Every entry with its place, in its one form, in order of octets.
    pub(super) fn sorted(&self) -> impl Iterator<Item = (u32, &str)> {
        let with_leading = |(number, &place): (u32, &Place)| (leading(self.normal(place)), self.normal(place), number);
        let mut entries: Vec<(u128, &str, u32)> = (0..).zip(&self.places).map(with_leading).collect();
        entries.sort_unstable();
        entries.into_iter().map(|(_, entry, number)| (number, entry))
    }

    /// Gives back what growing took in advance.
    pub(super) fn shrink(&mut self) {
        self.arena.shrink_to_fit();
        self.places.shrink_to_fit();
    }

    fn normal(&self, place: Place) -> &str {
        &self.arena[place.start as usize..][..place.normal_len as usize]
    }

    /// The number of the place of this form, or the empty slot where it would be entered.
    fn look_up(&self, tag: u32, normal: &str) -> Result<u32, usize> {
        let mask = self.table.len() - 1;
        let mut at = tag as usize & mask;
        loop {
            let slot = self.table[at];
            let Some(&place) = self.places.get(slot.place as usize) else { return Err(at) };
            if slot.tag == tag && self.normal(place) == normal {
                return Ok(slot.place);
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let larger = vec![EMPTY; (self.table.len() * 2).max(16)];
        let mask = larger.len() - 1;
        for slot in std::mem::replace(&mut self.table, larger) {
            if slot.place == EMPTY.place {
                continue;
            }
            let mut at = slot.tag as usize & mask;
            while self.table[at].place != EMPTY.place {
                at = (at + 1) & mask;
            }
            self.table[at] = slot;
        }
    }
}

/// Eight octets at a time by a folded multiplication, which mixes every bit into every other.
fn hash(octets: &[u8]) -> u32 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |value: u64| {
        let product = u128::from(value ^ 0xd1b5_4a32_d192_ed03) * u128::from(ODD);
        (product as u64) ^ ((product >> 64) as u64)
    };
    let (words, rest) = octets.as_chunks::<8>();
    let mixed = words.iter().fold(octets.len() as u64, |hash, word| fold(hash ^ u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    fold(mixed ^ u64::from_le_bytes(last)) as u32
}

/// The first octets as a number that sorts as they do, so that most comparisons stay out of the arena.
fn leading(text: &str) -> u128 {
    let mut octets = [0; 16];
    let len = text.len().min(16);
    octets[..len].copy_from_slice(&text.as_bytes()[..len]);
    u128::from_be_bytes(octets)
}
