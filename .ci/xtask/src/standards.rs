//! docs/standards.md says of each point of each standard where it is kept and which test shows it. That it names files and tests
//! which exist is a test, so that it cannot rot.

use std::path::Path;

/// The table of one standard, as far as it is checked.
const HEAD: &str = "| point | kept in | test |";

/// Every problem of this text, one a line; files are looked for below `root`, from `folder`.
fn problems(text: &str, root: &Path, folder: &str) -> Vec<String> {
    let (mut problems, mut in_table) = (Vec::new(), false);
    for (line, number) in text.lines().zip(1..) {
        in_table = line.starts_with('|') && (in_table || line == HEAD);
        if !in_table || line == HEAD || line.starts_with("|---") {
            continue;
        }
        let columns: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [point, kept_in, tests] = columns[..] else {
            problems.push(format!("line {number}: three columns, none empty"));
            continue;
        };
        let (kept, shown) = (links(kept_in), links(tests));
        if point.is_empty() || kept_in.is_empty() || shown.is_empty() {
            problems.push(format!("line {number}: a point has a place and at least one test"));
        }
        for (_, target) in &kept {
            if !root.join(folder).join(target).exists() {
                problems.push(format!("line {number}: there is no file {target}"));
            }
        }
        for (before, target) in &shown {
            let Ok(source) = std::fs::read_to_string(root.join(folder).join(target)) else {
                problems.push(format!("line {number}: there is no file {target}"));
                continue;
            };
            let names: Vec<&str> = before.split('`').skip(1).step_by(2).collect();
            if names.is_empty() {
                problems.push(format!("line {number}: no test is named before {target}"));
            }
            for name in names.iter().filter(|name| !source.contains(&format!("fn {name}("))) {
                problems.push(format!("line {number}: {target} has no test {name}"));
            }
        }
    }
    problems
}

/// The links of a cell, each with what stands before it.
fn links(cell: &str) -> Vec<(&str, &str)> {
    let (mut links, mut rest) = (Vec::new(), cell);
    while let Some((before, behind)) = rest.split_once("](") {
        let (target, behind) = behind.split_once(')').unwrap_or((behind, ""));
        links.push((before, target));
        rest = behind;
    }
    links
}

#[test]
fn what_standards_md_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("docs/standards.md")).expect("the document");
    assert!(text.matches(HEAD).count() > 10, "a table for each standard");
    let problems = problems(&text, &root, "docs");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn what_is_missing_is_told() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rows = [
        ("It holds. | [a](src/standards.rs) | `what_is_missing_is_told` in [b](src/standards.rs)", ""),
        ("It holds. | nowhere | `what_is_missing_is_told`, `links` in [b](src/standards.rs)", ""),
        ("It holds. | [a](src/other.rs) | `links` in [b](src/standards.rs)", "line 2: there is no file src/other.rs"),
        ("It holds. | here | `links` in [b](src/other.rs)", "line 2: there is no file src/other.rs"),
        ("It holds. | here | `other` in [b](src/standards.rs)", "line 2: src/standards.rs has no test other"),
        (
            "It holds. | here | `links` in [b](src/standards.rs), `other` in [b](src/standards.rs)",
            "line 2: src/standards.rs has no test other",
        ),
        ("It holds. | here | [b](src/standards.rs)", "line 2: no test is named before src/standards.rs"),
        ("It holds. | here | none", "line 2: a point has a place and at least one test"),
        ("It holds. | here", "line 2: three columns, none empty"),
    ];
    for (row, expected) in rows {
        let told = problems(&format!("{HEAD}\n| {row} |\n\n| not | a table |"), root, "").join("\n");
        assert_eq!(told, expected, "{row}");
    }
}
