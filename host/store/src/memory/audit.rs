//! The audit log of the engine in memory: the same answers as [`crate::audit`] gives in SQL.

use sealwire_core::audit::{AuditLine, Head, NewAudit, Verified, Walk, chain};

use crate::audit::{self, AuditQuery};
use crate::error::StoreError;

#[derive(Default)]
pub(super) struct AuditLog {
    pub(super) anchor: Head,
    lines: Vec<AuditLine>,
}

impl AuditLog {
    pub(super) fn head(&self) -> Head {
        self.lines.last().map_or(self.anchor, AuditLine::head)
    }

    pub(super) fn append(&mut self, act: &NewAudit) -> Result<u64, StoreError> {
        let (head, text) = (self.head(), audit::text(act)?);
        let (number, hash) = (head.number + 1, chain(&head.hash, &text));
        self.lines.push(AuditLine { number, hash, text });
        Ok(number)
    }

    pub(super) fn lines(&self, query: &AuditQuery) -> Vec<AuditLine> {
        let has = |text: &str, part: &Option<String>| {
            part.as_ref().is_none_or(|part| text.to_ascii_lowercase().contains(&part.to_ascii_lowercase()))
        };
        let asked = |line: &&AuditLine| {
            line.record().is_ok_and(|record| {
                query.since_ms.is_none_or(|since| record.at_ms >= since)
                    && query.until_ms.is_none_or(|until| record.at_ms < until)
                    && query.after.is_none_or(|after| line.number > after)
                    && query.action.as_ref().is_none_or(|action| *action == record.action)
                    && has(&record.by, &query.by)
                    && has(&record.object, &query.object)
                    && has(&line.text, &query.text)
            })
        };
        let found = self.lines.iter().filter(asked).cloned();
        if !query.last {
            return found.take(query.limit).collect();
        }
        let found: Vec<_> = found.collect();
        found[found.len().saturating_sub(query.limit)..].to_vec()
    }

    pub(super) fn verify(&self, told: Option<Head>) -> Verified {
        let mut walk = Walk::from(self.anchor, told);
        self.lines.iter().for_each(|line| walk.step(line));
        walk.end()
    }

    pub(super) fn prune(&mut self, before_ms: u64, act: NewAudit) -> Result<u64, StoreError> {
        let is_old = |line: &AuditLine| line.record().is_ok_and(|record| record.at_ms < before_ms);
        let old = self.lines.iter().take_while(|line| is_old(line)).count();
        let Some(last) = old.checked_sub(1).and_then(|at| self.lines.get(at)) else { return Ok(0) };
        let (anchor, removed) = (last.head(), old as u64);
        self.append(&audit::pruning(anchor, removed, act))?;
        self.lines.drain(..old);
        self.anchor = anchor;
        Ok(removed)
    }
}
