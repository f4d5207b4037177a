//! Long lists are kept as pieces that revisions share: the edit of one entry among a million writes one of them.
//!
//! A text is cut behind lines that its own octets choose, so that the same lines make the same pieces wherever they stand, and
//! an edit moves no cut but those beside it.

use std::collections::BTreeSet;

use sealwire_core::audit::{Hash, hexadecimal};
use sealwire_store::{PIECE_MAX, Piece, Store, StoreError};
use sha2::{Digest, Sha256};

use super::SettingsDocument;
use super::gather::{Gathered, ListFile};
use crate::config::Problem;

/// Octets of a list that is kept in the document itself.
const WHOLE_MAX: usize = 64 * 1024;
/// One line in so many ends a piece: about 100 KiB of ordinary addresses.
const LINES_IN_A_PIECE: u64 = 4096;

/// A document and the pieces it needs.
pub(crate) struct Apart {
    /// With digests in the place of long lists' texts.
    pub(crate) document: String,
    /// Those whose text is at hand.
    pub(crate) pieces: Vec<Piece>,
    /// All of them.
    pub(crate) needs: Vec<Hash>,
}

/// Names long lists' pieces, beside their text.
pub(crate) fn name_pieces(gathered: &mut Gathered) {
    for list in gathered.lists.values_mut().filter(|list| list.pieces.is_empty() && list.text.len() > WHOLE_MAX) {
        list.pieces = cut(&list.text).into_iter().map(|piece| hexadecimal(&digest(piece))).collect();
    }
}

/// What is stored of a document whose pieces are named.
pub(crate) fn apart(gathered: &Gathered) -> Result<Apart, Vec<Problem>> {
    let mut stored = gathered.clone();
    let (mut pieces, mut needs, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for list in stored.lists.values_mut().filter(|list| !list.pieces.is_empty()) {
        for piece in cut(&list.text) {
            let digest = digest(piece);
            if seen.insert(digest) {
                pieces.push(Piece { digest, text: piece.to_owned() });
            }
        }
        needs.extend(digests(list)?);
        list.text = String::new();
    }
    Ok(Apart { document: stored.document()?, pieces, needs })
}

/// Puts texts in the place of digests, but where the list is one that `known` has read already.
pub(crate) async fn fetch(
    store: &dyn Store,
    gathered: &mut Gathered,
    known: Option<&SettingsDocument>,
) -> Result<(), Vec<Problem>> {
    for (name, list) in &mut gathered.lists {
        if list.pieces.is_empty() || !list.text.is_empty() || known.is_some_and(|known| known.has_read(name, list)) {
            continue;
        }
        let broken = |error: StoreError| vec![Problem::of_file(&list.file, format!("cannot be read back: {error}"))];
        let pieces = store.pieces(digests(list)?).await.map_err(broken)?;
        // What a disk gives back must be what was saved: another list would do quietly.
        if let Some(damaged) = pieces.iter().find(|piece| digest(&piece.text) != piece.digest) {
            let text = format!("piece {} is damaged; apply the settings anew", hexadecimal(&damaged.digest));
            return Err(vec![Problem::of_file(&list.file, text)]);
        }
        list.text = pieces.into_iter().map(|piece| piece.text).collect();
    }
    Ok(())
}

/// By which a list file is known again, whole or by its pieces.
pub(crate) fn source(list: &ListFile) -> Hash {
    if list.pieces.is_empty() {
        return source_of("text", [list.text.as_str()]);
    }
    source_of("pieces", list.pieces.iter().map(String::as_str))
}

/// The digest of what a list is read from: of no two kinds, and of no two rows of texts, the same.
pub(super) fn source_of<'a>(kind: &'a str, texts: impl IntoIterator<Item = &'a str>) -> Hash {
    let mut sha = Sha256::new();
    for text in std::iter::once(kind).chain(texts) {
        sha.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
        sha.update(text);
    }
    sha.finalize().into()
}

/// Of the pieces it is kept in, in their order.
pub(crate) fn digests(list: &ListFile) -> Result<Vec<Hash>, Vec<Problem>> {
    let octet = |at: usize, hex: &str| u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok();
    let digest = |hex: &String| {
        let mut digest = [0; 32];
        for (at, place) in digest.iter_mut().enumerate() {
            *place = octet(at, hex)?;
        }
        (hex.len() == 64).then_some(digest)
    };
    let digests: Option<Vec<Hash>> = list.pieces.iter().map(digest).collect();
    digests.ok_or_else(|| vec![Problem::of_file(&list.file, "a piece is named by no digest; apply the settings anew")])
}

fn digest(piece: &str) -> Hash {
    Sha256::digest(piece).into()
}

/// The text in pieces.
fn cut(text: &str) -> Vec<&str> {
    let (mut pieces, mut start, mut end) = (Vec::new(), 0, 0);
    for line in text.split_inclusive('\n') {
        if end > start && end + line.len() - start > PIECE_MAX {
            pieces.push(&text[start..end]);
            start = end;
        }
        end += line.len();
        // A million entries may stand on one line.
        while end - start > PIECE_MAX {
            let at = text.floor_char_boundary(start + PIECE_MAX);
            pieces.push(&text[start..at]);
            start = at;
        }
        if fingerprint(line).is_multiple_of(LINES_IN_A_PIECE) {
            pieces.push(&text[start..end]);
            start = end;
        }
    }
    if end > start {
        pieces.push(&text[start..end]);
    }
    pieces
}

/// FNV-1a: any spread will do, and who writes a list gains nothing by choosing its cuts.
fn fingerprint(line: &str) -> u64 {
    let step = |hash: u64, octet: u8| (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = line.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many(lines: usize) -> String {
        (0..lines).map(|n| format!("user{n}@domain{}.example\n", n % 977)).collect()
    }

    #[test]
    fn an_edit_changes_the_pieces_beside_it_alone() {
        let text = many(100_000);
        let pieces = cut(&text);
        assert_eq!(pieces.concat(), text);
        assert!(pieces.len() > 8 && pieces.iter().all(|piece| piece.len() <= PIECE_MAX), "{}", pieces.len());
        for at in [0, text.len() / 2, text.len()] {
            let at = text[at..].find('\n').map_or(text.len(), |line| at + line + 1);
            let edited = format!("{}new.example\n{}", &text[..at], &text[at..]);
            let known: BTreeSet<&str> = pieces.iter().copied().collect();
            let new = cut(&edited).into_iter().filter(|piece| !known.contains(piece)).count();
            assert!(new <= 2, "an edit at {at} makes {new} pieces");
        }
        let one_line = "\u{e9}".repeat(2 * PIECE_MAX);
        assert!(cut(&one_line).concat() == one_line && cut(&one_line).iter().all(|piece| piece.len() <= PIECE_MAX));
        assert!(cut("").is_empty());
    }

    #[test]
    fn digests_beside_a_text_count_for_nothing() {
        let other = hexadecimal(&digest("other.example"));
        let document =
            format!(r#"{{"text": "", "lists": {{"x": {{"file": "f", "text": "a.example", "pieces": ["{other}"]}}}}}}"#);
        let read = Gathered::read(&document).expect("a document").into_owned();
        assert_eq!((read.lists["x"].text.as_str(), read.lists["x"].pieces.len()), ("a.example", 0));
    }

    #[test]
    fn what_is_taken_apart_is_put_together_again() {
        let short = ListFile { file: "short.txt".into(), text: "a.example".into(), ..ListFile::default() };
        let long = ListFile { file: "long.txt".into(), text: many(50_000), ..ListFile::default() };
        let lists = [("short".to_owned(), short), ("long".to_owned(), long)];
        let mut gathered = Gathered { file: "s.toml".into(), text: "x".into(), lists: lists.into() };
        let whole = gathered.clone();
        name_pieces(&mut gathered);
        let apart = apart(&gathered).expect("taken apart");
        assert!(apart.document.len() < 10_000 && apart.document.contains("a.example"));
        assert_eq!(apart.needs.len(), apart.pieces.len());
        let folder = tempfile::tempdir().expect("a folder");
        let store = sealwire_store::SqliteStore::open_keeping(folder.path(), 0).expect("a store");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let new = sealwire_store::NewRevision {
                document: apart.document.clone(),
                pieces: apart.pieces,
                needs: apart.needs,
                ..Default::default()
            };
            store.put_settings(new).await.expect("put");
            let stored = store.settings(None).await.expect("stored").expect("one").document;
            let mut again = Gathered::read(&stored).expect("a document").into_owned();
            fetch(&store, &mut again, None).await.expect("fetched");
            assert_eq!(again, gathered, "with its pieces named");
            again.lists.values_mut().for_each(|list| list.pieces.clear());
            assert_eq!(again, whole);
        });
    }

    /// A damaged piece may still read as a list, of others.
    #[test]
    fn what_is_not_as_it_was_saved_is_no_list() {
        let piece = Piece { digest: digest("a.example"), text: "b.example".into() };
        let list = ListFile { file: "l.txt".into(), pieces: vec![hexadecimal(&piece.digest)], ..ListFile::default() };
        let mut gathered = Gathered { lists: [("l".to_owned(), list)].into(), ..Gathered::default() };
        let store = sealwire_store::MemoryPlace::default().open();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let needs = vec![piece.digest];
            let new = sealwire_store::NewRevision { pieces: vec![piece], needs, ..Default::default() };
            store.put_settings(new).await.expect("put");
            let refused = fetch(&store, &mut gathered, None).await.expect_err("it is another text");
            assert!(refused[0].text.contains("is damaged"), "{}", refused[0]);
        });
    }
}
