//! `docs/user-code.md` lists where user code runs. Each row names the tests that show what
//! holds there.

use std::fs;
use std::path::Path;

#[test]
fn every_place_where_user_code_runs_is_shown_by_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = fs::read_to_string(root.join("docs/user-code.md")).unwrap();
    let rows = list.lines().filter(|line| line.starts_with("| "));
    let rows = rows.filter(|row| !row.starts_with("| Where "));
    let (mut places, mut missing) = (0, Vec::new());
    for row in rows {
        let proofs = proofs(row);
        assert!(!proofs.is_empty(), "no test: {row}");
        places += 1;
        for (file, name) in proofs {
            let text = fs::read_to_string(root.join(file)).unwrap_or_default();
            if !text.contains(&format!("fn {name}(")) && !text.contains(&format!("fn {name}<")) {
                missing.push(format!("{file}::{name}"));
            }
        }
    }
    assert!(missing.is_empty(), "not found: {missing:#?}");
    assert!(places > 9, "{places} places");
}

/// The tests that a row names, as `tests/event.rs::name` or `src/buffer/tests.rs::name`.
fn proofs(row: &str) -> Vec<(&str, &str)> {
    let quoted = row.split('`').skip(1).step_by(2);
    let tests = quoted.filter(|text| text.starts_with("tests/") || text.starts_with("src/"));
    tests.filter_map(|text| text.split_once("::")).collect()
}
