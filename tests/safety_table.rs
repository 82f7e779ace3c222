//! SAFETY.md has a row for every C function that the library calls, and for no other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The functions that `text` calls through `ffi`, `ffi::openssl` and `libc`, and nix's `fork`.
fn called(text: &str, names: &mut BTreeSet<String>) {
    for prefix in ["ffi::", "openssl::", "libc::", "unistd::"] {
        for (at, _) in text.match_indices(prefix) {
            let rest = &text[at + prefix.len()..];
            let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
            // libc's macros for an exit status are safe, and begin with a W.
            let is_c = match prefix {
                "libc::" => !name.starts_with('W'),
                "unistd::" => name == "fork", // the only one that is unsafe
                _ => name.contains('_'),
            };
            if rest.starts_with('(') && is_c {
                names.insert(name.to_owned());
            }
        }
    }
}

/// The source files below a folder, without the tests in it.
fn read(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                read(&path, names);
            }
        } else if !path.ends_with("tests.rs") {
            called(&fs::read_to_string(&path).unwrap(), names);
        }
    }
}

/// What stands in backquotes in the rows of the tables.
fn listed(page: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut functions, mut tests) = (BTreeSet::new(), BTreeSet::new());
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        assert_eq!(cells.len(), 4, "{row}");
        let quoted = |cell: &str| {
            let parts = cell.split('`').skip(1).step_by(2);
            parts.map(str::to_owned).collect::<Vec<_>>()
        };
        functions.extend(quoted(cells[0]));
        assert!(
            cells[1..].iter().all(|cell| !cell.trim().is_empty()),
            "{row}"
        );
        assert!(!quoted(cells[3]).is_empty(), "no test: {row}");
        tests.extend(quoted(cells[3]));
    }
    (functions, tests)
}

#[test]
fn every_c_function_that_is_called_has_a_row_in_the_safety_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut called = BTreeSet::new();
    read(&root.join("src"), &mut called);
    assert!(called.len() > 150, "{called:?}");
    let page = fs::read_to_string(root.join("SAFETY.md")).unwrap();
    let (listed, tests) = listed(&page);
    let missing: Vec<_> = called.difference(&listed).collect();
    assert!(missing.is_empty(), "SAFETY.md has no row for {missing:?}");
    let unused: Vec<_> = listed.difference(&called).collect();
    assert!(unused.is_empty(), "nothing calls {unused:?} of SAFETY.md");
    for test in tests {
        assert!(root.join(&test).exists(), "SAFETY.md names {test}");
    }
}
