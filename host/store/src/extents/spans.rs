//! Parts of a file that are free, found by place and by length.

use std::collections::{BTreeMap, BTreeSet};

/// A part of the file, in whole grains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) at: u64,
    pub(super) octets: u64,
}

impl Span {
    pub(super) fn end(self) -> u64 {
        self.at + self.octets
    }
}

/// Spans that do not touch each other: lengths by beginnings, and both by length.
#[derive(Default)]
pub(super) struct Spans {
    pub(super) by_place: BTreeMap<u64, u64>,
    by_length: BTreeSet<(u64, u64)>,
}

impl Spans {
    pub(super) fn is_empty(&self) -> bool {
        self.by_place.is_empty()
    }

    fn insert(&mut self, span: Span) {
        self.by_place.insert(span.at, span.octets);
        self.by_length.insert((span.octets, span.at));
    }

    pub(super) fn remove(&mut self, span: Span) {
        self.by_place.remove(&span.at);
        self.by_length.remove(&(span.octets, span.at));
    }

    pub(super) fn last(&self) -> Option<Span> {
        self.by_place.last_key_value().map(|(&at, &octets)| Span { at, octets })
    }

    pub(super) fn add(&mut self, mut span: Span) {
        let before = self.by_place.range(..span.at).next_back().map(|(&at, &octets)| Span { at, octets });
        if let Some(before) = before.filter(|before| before.end() == span.at) {
            self.remove(before);
            span = Span { at: before.at, octets: before.octets + span.octets };
        }
        if let Some(&octets) = self.by_place.get(&span.end()) {
            self.remove(Span { at: span.end(), octets });
            span.octets += octets;
        }
        self.insert(span);
    }

    /// So much of the smallest that is large enough: what is cut off the large ones instead would be slivers one day.
    pub(super) fn take(&mut self, octets: u64) -> Option<Span> {
        let (found, at) = *self.by_length.range((octets, 0)..).next()?;
        Some(self.cut(Span { at, octets: found }, octets))
    }

    /// The beginning of one of them; the rest stays.
    fn cut(&mut self, span: Span, octets: u64) -> Span {
        self.remove(span);
        if span.octets > octets {
            self.insert(Span { at: span.at + octets, octets: span.octets - octets });
        }
        Span { at: span.at, octets }
    }

    /// Some of it, at most so much.
    pub(super) fn take_any(&mut self, most: u64) -> Option<Span> {
        let (&at, &found) = self.by_place.first_key_value()?;
        Some(self.cut(Span { at, octets: found }, found.min(most)))
    }
}
