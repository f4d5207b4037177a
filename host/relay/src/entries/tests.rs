//! Pages of lists that are kept whole and in pieces.

use sealwire_store::{NewRevision, PIECE_MAX, SqliteStore};

use super::*;
use crate::settings::ListFile;

const START: Position = Position { revision: 1, piece: 0, octet: 0 };

/// All pages of this text, of so many entries each; what the first says of all, and how many pages there were.
async fn pages(
    text: &str,
    search: Option<&str>,
    limit: usize,
) -> Result<(Option<usize>, Vec<String>, usize), ChangeError> {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open_keeping(folder.path(), 0).expect("a store");
    let file = ListFile { file: "x.txt".into(), text: text.to_owned(), ..ListFile::default() };
    let mut gathered = Gathered { lists: [("x".to_owned(), file)].into(), ..Gathered::default() };
    pieces::name_pieces(&mut gathered);
    let apart = pieces::apart(&gathered)?;
    let new = NewRevision { pieces: apart.pieces, needs: apart.needs, ..NewRevision::default() };
    store.put_settings(new).await.expect("put");
    let gathered = Gathered::read(&apart.document)?.into_owned();
    assert!(Lines::of(&store, &gathered, "y", START).await?.is_none(), "there is no such list");
    let (mut total, mut entries, mut count, mut after) = (None, Vec::new(), 0, None);
    loop {
        let wanted = EntriesWanted { search: search.map(str::to_owned), after, limit };
        let mut lines = Lines::of(&store, &gathered, "x", after.unwrap_or(START)).await?.expect("the list");
        let mut page = Page::of(&wanted);
        while let Some((at, text)) = lines.next().await? {
            if !page.read(at, &text) {
                break;
            }
        }
        // A page reads its own pieces and the beginning of the next page: not the list.
        let first = after.map_or(0, |after| after.piece);
        assert!(after.is_none() || search.is_some() || lines.read <= first + 4, "{} from {first}", lines.read);
        let page = page.into_entries();
        total = total.or(page.total);
        assert_eq!(page.total.is_some(), after.is_none(), "the first page alone counts");
        assert!(page.entries.len() == limit || page.next.is_none(), "a page before the last is full");
        entries.extend(page.entries.into_iter().map(|entry| format!("{} {}", entry.text, entry.note)));
        count += 1;
        let Some(next) = page.next else { return Ok((total, entries, count)) };
        after = Some(next.to_string().parse().expect("as it travels"));
    }
}

#[tokio::test]
async fn all_pages_together_are_the_list() {
    let many: String = (0..60_000).map(|n| format!("user{n}@domain{}.example # note {}\n", n % 977, n % 3)).collect();
    let one_line =
        format!("{} # all\n", (0..20_000).map(|n| format!("{n}.{}.example ", "x".repeat(50))).collect::<String>());
    assert!(one_line.len() > PIECE_MAX, "{}", one_line.len());
    let behind = format!("{one_line}last.example # alone");
    let rows = [
        ("", 1, 1),
        ("# nobody\n\n", 1, 1),
        ("a.example # Ours\nb.example until=2026-12-31, c.test\rd.test", 1, 4),
        ("a.example # Ours\nb.example until=2026-12-31, c.test\rd.test", 2, 2),
        ("a.example # Ours\nb.example until=2026-12-31, c.test\rd.test", 4, 1),
        (&many, 10_000, 6),
        (&many, 7_001, 9),
        (&behind, 9_000, 3),
    ];
    for (text, limit, expected_pages) in rows {
        let expected: Vec<String> = written(text).map(|entry| format!("{} {}", entry.text, entry.note)).collect();
        let (total, entries, count) = pages(text, None, limit).await.expect("pages");
        assert!(entries == expected, "{limit} of {} octets: {} entries", text.len(), entries.len());
        assert_eq!((total, count), (Some(expected.len()), expected_pages), "{limit} of {} octets", text.len());
    }
}

#[tokio::test]
async fn a_search_has_its_own_pages() {
    let text = "a.example # Ours\nB.example until=2026-12-31 sender=authenticated\nc.test";
    let rows = [
        ("EXAMPLE", 9, vec!["a.example Ours", "B.example "]),
        ("EXAMPLE", 1, vec!["a.example Ours", "B.example "]),
        ("ours", 9, vec!["a.example Ours"]),
        ("nobody", 9, vec![]),
    ];
    for (search, limit, expected) in rows {
        let (total, entries, _) = pages(text, Some(search), limit).await.expect("pages");
        assert_eq!((total, entries), (Some(expected.len()), expected.iter().map(|e| (*e).to_owned()).collect()));
    }
}

#[test]
fn what_stands_behind_an_entry_is_told() {
    let mut page = Page::of(&EntriesWanted::default());
    page.read(START, "a.example # Ours\nB.example until=2026-12-31 sender=authenticated");
    let all = page.into_entries().entries;
    assert_eq!((all[0].note.as_str(), all[1].authenticated_sender_only), ("Ours", true));
    assert_eq!(all[1].until.as_deref(), Some("2027-01-01T00:00:00Z"));
}

#[tokio::test]
async fn a_place_that_is_none_is_refused() {
    for text in ["", "1", "1.2", "1.2.3.4", "1.2.x", "-1.0.0"] {
        assert!(text.parse::<Position>().is_err(), "{text:?}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open_keeping(folder.path(), 0).expect("a store");
    let file = ListFile { file: "x.txt".into(), text: "\u{fc}ber.example".into(), ..ListFile::default() };
    let gathered = Gathered { lists: [("x".to_owned(), file)].into(), ..Gathered::default() };
    for (piece, octet, is_place) in [(0, 0, true), (0, 13, true), (0, 1, false), (0, 14, false), (1, 0, false)] {
        let lines = Lines::of(&store, &gathered, "x", Position { piece, octet, ..START }).await;
        assert_eq!(lines.is_ok(), is_place, "{piece}.{octet}");
    }
}
