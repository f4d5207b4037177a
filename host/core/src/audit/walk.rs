//! Walking along the chain, entry by entry, with nothing kept but where it stands.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AuditLine, Head, PRUNE, chain};

/// Faults that are told; of more their count alone.
const FAULTS_TOLD: usize = 100;

/// What is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "fault")]
pub enum Fault {
    /// Its hash does not follow from the one before and its record: one of them was changed, put in, or moved.
    Changed {
        /// Of the entry.
        number: u64,
    },
    /// These are not there.
    Missing {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// It stands behind one of its own or a greater number.
    Disorder {
        /// Of the entry.
        number: u64,
    },
    /// The log begins behind this entry, and no entry in it tells of what was removed.
    Beginning {
        /// The last that is not there.
        number: u64,
    },
    /// The head that was told is another entry's: the log was written anew.
    OtherHead {
        /// Of the head.
        number: u64,
    },
    /// The head that was told lies before what was kept, so nothing can be said of it.
    HeadRemoved {
        /// Of the head.
        number: u64,
    },
}

/// What a walk came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Verified {
    /// Number of the first entry that is there; None: there is none.
    pub first: Option<u64>,
    /// Of the last.
    pub last: Option<u64>,
    /// Entries there are.
    pub entries: u64,
    /// The chain's end; of an empty log its anchor.
    pub head: Head,
    /// The first hundred, in the order of the entries.
    pub faults: Vec<Fault>,
    /// How many there are in all.
    pub faults_in_all: u64,
}

/// A walk along a log, from its anchor.
#[derive(Clone, Debug)]
pub struct Walk {
    anchor: Head,
    /// An entry tells that everything up to the anchor was removed.
    anchor_told: bool,
    verified: Verified,
    /// Held against the log.
    told: Option<Head>,
    told_met: bool,
}

impl Walk {
    /// Begins behind the last entry that was removed, or from [`Head::default`]. `told` is a head that was kept elsewhere.
    pub fn from(anchor: Head, told: Option<Head>) -> Walk {
        let verified = Verified { head: anchor, ..Verified::default() };
        let mut walk = Walk { anchor, anchor_told: anchor.number == 0, verified, told, told_met: false };
        walk.meet(anchor);
        if let Some(told) = told.filter(|told| told.number < anchor.number) {
            walk.fault(Fault::HeadRemoved { number: told.number });
            walk.told_met = true;
        }
        walk
    }

    /// The same along a part of a log, such as an export: that it has a beginning is no fault.
    pub fn of_part(before: Head, told: Option<Head>) -> Walk {
        Walk { anchor_told: true, ..Walk::from(before, told) }
    }

    /// Where it stands.
    pub fn at(&self) -> u64 {
        self.verified.head.number
    }

    /// Takes the next entry.
    pub fn step(&mut self, line: &AuditLine) {
        let at = self.verified.head.number;
        if line.number <= at {
            self.fault(Fault::Disorder { number: line.number });
        } else if line.number > at + 1 {
            self.fault(Fault::Missing { from: at + 1, to: line.number - 1 });
        }
        // Behind a gap nothing is known of the hash before.
        else if chain(&self.verified.head.hash, &line.text) != line.hash {
            self.fault(Fault::Changed { number: line.number });
        }
        if !self.anchor_told && self.tells_of_anchor(line) {
            self.anchor_told = true;
        }
        self.verified.first.get_or_insert(line.number);
        self.verified.entries += 1;
        self.verified.last = self.verified.last.max(Some(line.number));
        // From here on as it says: one fault is told once.
        self.verified.head = line.head();
        self.meet(line.head());
    }

    /// What it came to.
    pub fn end(mut self) -> Verified {
        if !self.anchor_told {
            self.fault(Fault::Beginning { number: self.anchor.number });
        }
        if let Some(told) = self.told.filter(|_| !self.told_met) {
            let last = self.verified.head.number;
            self.fault(if told.number > last {
                Fault::Missing { from: last + 1, to: told.number }
            } else {
                // A gap lies there, which is told, or another entry.
                Fault::OtherHead { number: told.number }
            });
        }
        self.verified
    }

    fn meet(&mut self, head: Head) {
        self.told_met |= self.told == Some(head);
    }

    fn tells_of_anchor(&self, line: &AuditLine) -> bool {
        line.record().is_ok_and(|record| record.action == PRUNE && record.object == self.anchor.to_string())
    }

    fn fault(&mut self, fault: Fault) {
        self.verified.faults_in_all += 1;
        if self.verified.faults.len() < FAULTS_TOLD {
            self.verified.faults.push(fault);
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Changed { number } => {
                write!(f, "entry {number} does not follow from the one before: it was changed, put in or moved")
            }
            Fault::Missing { from, to } if from == to => write!(f, "entry {from} is missing"),
            Fault::Missing { from, to } => write!(f, "entries {from} to {to} are missing"),
            Fault::Disorder { number } => write!(f, "entry {number} stands behind one of its own or a greater number"),
            Fault::Beginning { number } => {
                write!(f, "entries up to {number} are missing, and no entry tells that they were removed")
            }
            Fault::OtherHead { number } => write!(f, "entry {number} is not the one whose hash was told"),
            Fault::HeadRemoved { number } => {
                write!(f, "entry {number} was removed with its time, so the hash that was told cannot be compared")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::audit::{AuditResult, NewAudit};

    fn act(object: &str) -> NewAudit {
        NewAudit {
            at_ms: 1,
            by: "ann (uid 1000)".into(),
            from: "socket".into(),
            action: "reload".into(),
            object: object.into(),
            before: Value::Null,
            after: json!({"b": 1, "a": 2}),
            note: String::new(),
            revision: None,
            generation: Some(3),
            result: AuditResult::Refused { reason: "no\nsuch".into() },
        }
    }

    fn log(anchor: Head, acts: Vec<NewAudit>) -> Vec<AuditLine> {
        let mut head = anchor;
        let line = |act: NewAudit| {
            let text = act.text().expect("JSON");
            head = Head { number: head.number + 1, hash: chain(&head.hash, &text) };
            AuditLine { number: head.number, hash: head.hash, text }
        };
        acts.into_iter().map(line).collect()
    }

    fn whole() -> Vec<AuditLine> {
        log(Head::default(), ["one", "two", "three", "four", "five"].map(act).to_vec())
    }

    fn walk(anchor: Head, told: Option<Head>, lines: &[AuditLine]) -> Verified {
        let mut walk = Walk::from(anchor, told);
        lines.iter().for_each(|line| walk.step(line));
        walk.end()
    }

    #[test]
    fn a_record_has_one_text() {
        let expected = concat!(
            r#"{"action":"reload","after":{"a":2,"b":1},"at-ms":1,"before":null,"by":"ann (uid 1000)","#,
            r#""from":"socket","generation":3,"note":"","object":"one","reason":"no\nsuch","result":"refused","#,
            r#""revision":null}"#
        );
        let line = &whole()[0];
        assert_eq!(line.text, expected);
        assert_eq!(line.record(), Ok(act("one")));
        let written = serde_json::to_string_pretty(line).expect("JSON");
        assert_eq!(serde_json::from_str::<AuditLine>(&written).expect("JSON"), *line);
    }

    #[test]
    fn tampering_is_found() {
        use Fault::{Beginning, Changed, Disorder, HeadRemoved, Missing, OtherHead};
        type Tamper = fn(&mut Vec<AuditLine>);
        let head = |lines: &[AuditLine]| lines.last().map(AuditLine::head);
        let rows: [(&str, Tamper, Vec<Fault>); 9] = [
            ("nothing", |_| (), vec![]),
            ("a record", |log| log[2].text = act("other").text().expect("JSON"), vec![Changed { number: 3 }]),
            ("a hash", |log| log[2].hash[0] ^= 1, vec![Changed { number: 3 }, Changed { number: 4 }]),
            ("one removed", |log| drop(log.remove(1)), vec![Missing { from: 2, to: 2 }]),
            (
                "one removed, the rest renumbered",
                |log| {
                    log.remove(1);
                    log[1..].iter_mut().for_each(|line| line.number -= 1);
                },
                vec![Changed { number: 2 }, Missing { from: 5, to: 5 }],
            ),
            (
                "two swapped",
                |log| {
                    log.swap(1, 2);
                    (log[1].number, log[2].number) = (2, 3);
                },
                vec![Changed { number: 2 }, Changed { number: 3 }, Changed { number: 4 }],
            ),
            (
                "one put in",
                |log| {
                    let put = super::tests::log(log[1].head(), vec![act("put in")]).remove(0);
                    log[2..].iter_mut().for_each(|line| line.number += 1);
                    log.insert(2, put);
                },
                vec![Changed { number: 4 }, OtherHead { number: 5 }],
            ),
            ("the last two removed", |log| log.truncate(3), vec![Missing { from: 4, to: 5 }]),
            ("lines out of order", |log| log.swap(3, 4), vec![Missing { from: 4, to: 4 }, Disorder { number: 4 }]),
        ];
        for (what, tamper, expected) in rows {
            let mut lines = whole();
            let told = head(&lines);
            tamper(&mut lines);
            let verified = walk(Head::default(), told, &lines);
            assert_eq!(verified.faults, expected, "{what}");
            assert_eq!(verified.faults_in_all, expected.len() as u64, "{what}");
        }
        let lines = whole();
        let middle = lines[2].head();
        assert_eq!(walk(Head::default(), Some(middle), &lines).faults, [], "it has grown since");
        let anew = Head { hash: [7; 32], ..middle };
        assert_eq!(walk(Head::default(), Some(anew), &lines).faults, [OtherHead { number: 3 }]);
        let cut = walk(middle, Some(lines[0].head()), &lines[3..]);
        assert_eq!(cut.faults, [HeadRemoved { number: 1 }, Beginning { number: 3 }]);
        assert_eq!((cut.first, cut.last, cut.entries), (Some(4), Some(5), 2));
    }

    #[test]
    fn a_beginning_is_removed_where_an_entry_says_so() {
        let anchor = whole()[2].head();
        let prune = NewAudit { action: PRUNE.into(), object: anchor.to_string(), ..act("") };
        let mut lines = whole();
        lines.extend(log(lines[4].head(), vec![prune]));
        let verified = walk(anchor, Some(anchor), &lines[3..]);
        assert_eq!(verified.faults, []);
        assert_eq!((verified.first, verified.head), (Some(4), lines[5].head()));
        let elsewhere = Head { hash: [7; 32], ..anchor };
        let forged = walk(elsewhere, None, &lines[3..]);
        assert_eq!(forged.faults, [Fault::Changed { number: 4 }, Fault::Beginning { number: 3 }]);
        assert_eq!(walk(Head::default(), None, &[]), Verified::default());
    }

    #[test]
    fn heads_are_read_as_written() {
        let head = Head { number: 12, hash: [0xab; 32] };
        assert_eq!(head.to_string().parse(), Ok(head));
        for wrong in ["", "12", "12:", "x:00", &format!("1:{}", "g".repeat(64)), &format!("-1:{}", "0".repeat(64))] {
            assert!(wrong.parse::<Head>().is_err(), "{wrong}");
        }
    }
}
