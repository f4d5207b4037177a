//! Pieces of settings documents in SQL: kept once, by digest, for all revisions that need them.
//!
//! They are written ahead of the revision that brings them, a bounded number of octets in each transaction, and named in
//! `pieces_ahead` until a revision needs them. What is still named there when the store is opened belongs to a change that was
//! refused or cut off, and is removed. Pieces and revisions are never removed otherwise.

use rusqlite::{Connection, OptionalExtension, Transaction};
use sealwire_core::audit::{Hash, hexadecimal};

use crate::error::StoreError;
use crate::reader::ReadError;
use crate::writer::Turn;

/// Largest piece in octets: one is written in one transaction, and mail that waits for its 250 waits for it.
pub const PIECE_MAX: usize = 1024 * 1024;

/// Octets of pieces in one transaction, likewise.
const AHEAD_AT_ONCE: usize = PIECE_MAX;

/// Part of a settings document, kept once for all revisions that need it, and never removed while one does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// By which it is found. The store does not compute it.
    pub digest: Hash,
    /// At most [`PIECE_MAX`] octets.
    pub text: String,
}

/// Parts what is to be written into transactions.
pub(crate) fn batches(pieces: Vec<Piece>) -> Result<Vec<Vec<Piece>>, StoreError> {
    if pieces.iter().any(|piece| piece.text.len() > PIECE_MAX) {
        return Err(StoreError::Refused("a piece of settings has more than 1 MiB"));
    }
    let (mut batches, mut octets) = (Vec::<Vec<Piece>>::new(), 0);
    for piece in pieces {
        octets += piece.text.len();
        match batches.last_mut().filter(|_| octets <= AHEAD_AT_ONCE) {
            Some(batch) => batch.push(piece),
            None => {
                octets = piece.text.len();
                batches.push(vec![piece]);
            }
        }
    }
    Ok(batches)
}

/// Writes those that are not there yet.
pub(crate) fn write_ahead(turn: &Turn<'_>, pieces: &[Piece]) -> Result<(), StoreError> {
    let write = || {
        let mut piece =
            turn.connection.prepare_cached("INSERT OR IGNORE INTO pieces (digest, text) VALUES (?1, ?2)")?;
        let mut ahead = turn.connection.prepare_cached("INSERT INTO pieces_ahead VALUES (?1)")?;
        for Piece { digest, text } in pieces {
            if piece.execute((&digest[..], text))? > 0 {
                ahead.execute([&digest[..]])?;
            }
        }
        Ok(())
    };
    write().map_err(|error: rusqlite::Error| turn.failed(&error))
}

/// Says that a revision needs these.
pub(crate) fn need(turn: &Turn<'_>, digests: &[Hash]) -> Result<(), StoreError> {
    let mut missing = None;
    let mut need = || {
        let mut there = turn.connection.prepare_cached("SELECT 1 FROM pieces WHERE digest = ?1")?;
        let mut needed = turn.connection.prepare_cached("DELETE FROM pieces_ahead WHERE digest = ?1")?;
        for digest in digests {
            if !there.exists([&digest[..]])? {
                missing = Some(hexadecimal(digest));
                return Ok(());
            }
            needed.execute([&digest[..]])?;
        }
        Ok(())
    };
    need().map_err(|error: rusqlite::Error| turn.failed(&error))?;
    missing.map_or(Ok(()), |digest| Err(StoreError::NoPiece { digest }))
}

/// Those that are asked for, in this order.
pub(crate) fn get(connection: &Connection, digests: &[Hash]) -> Result<Vec<Piece>, ReadError> {
    let mut statement = connection.prepare_cached("SELECT text FROM pieces WHERE digest = ?1")?;
    let mut pieces = Vec::with_capacity(digests.len());
    for digest in digests {
        let text = statement.query_row([&digest[..]], |row| row.get(0)).optional()?;
        let text = text.ok_or_else(|| StoreError::NoPiece { digest: hexadecimal(digest) })?;
        pieces.push(Piece { digest: *digest, text });
    }
    Ok(pieces)
}

/// Removes what no revision came to need; returns how many.
pub(crate) fn sweep(transaction: &Transaction<'_>) -> rusqlite::Result<u64> {
    let swept = transaction.execute("DELETE FROM pieces WHERE digest IN (SELECT digest FROM pieces_ahead)", [])?;
    transaction.execute("DELETE FROM pieces_ahead", [])?;
    Ok(swept as u64)
}
