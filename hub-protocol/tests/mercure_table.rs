//! Every test that `docs/mercure.md` names is there.

use std::fs;
use std::path::{Path, PathBuf};

/// The Rust files in `folder` and below it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                vec![path]
            }
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// Whether a test of that name is in a file under `folder` whose path has `modules`.
fn has_test(folder: &Path, modules: &[&str], name: &str) -> bool {
    let declaration = format!("fn {name}(");
    sources(folder).iter().any(|path| {
        let relative = path.strip_prefix(folder).unwrap().to_str().unwrap();
        modules.iter().all(|module| relative.contains(module))
            && fs::read_to_string(path).unwrap().contains(&declaration)
    })
}

/// The names in backticks that have a path.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| name.contains("::"))
}

#[test]
fn every_test_that_the_table_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("../docs/mercure.md")).unwrap();
    let mut count = 0;
    for name in names(&table) {
        count += 1;
        let path: Vec<_> = name.split("::").collect();
        let (test, modules) = path.split_last().unwrap();
        // `hub::` and `publish::ids_…` say where names are found.
        if test.is_empty() || test.ends_with('…') {
            continue;
        }
        let found = match modules {
            ["hub"] => has_test(&root.join("../event-httpd"), &["hub"], test),
            modules => has_test(&root.join("src"), modules, test),
        };
        assert!(found, "docs/mercure.md: there is no test {name}");
    }
    assert!(count > 60, "{count} names");
}
