//! `API.md` against PHP's list, the crate's source and its tests: nothing that PHP has may be
//! without a row, and no row may name what is not there.

mod constants;
mod facts;
mod paper;
mod php;
mod proofs;
mod source;

#[cfg(feature = "openssl")]
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use facts::{EXCEPTIONS, Facts};
use paper::Row;
use php::Kind;

/// The classes that have no rows yet. It must become empty.
const NOT_YET: &[&str] = &[];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn facts() -> &'static Facts {
    static FACTS: LazyLock<Facts> = LazyLock::new(|| Facts::read(root(), NOT_YET));
    &FACTS
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(root().join("API.md")).unwrap();
    paper::rows(&text).unwrap()
}

#[cfg(feature = "openssl")]
fn numbers() -> BTreeMap<&'static str, i64> {
    constants::numbers().into_iter().collect()
}

#[track_caller]
fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// Fails unless `about` complains in these words of the row after a change.
#[track_caller]
fn assert_found(
    about: impl Fn(&[Row]) -> Vec<String>,
    expected: &str,
    row: &Row,
    change: impl FnOnce(&mut Row),
) {
    let mut row = row.clone();
    change(&mut row);
    let complaints = about(std::slice::from_ref(&row));
    let found = complaints.iter().any(|text| text.contains(expected));
    assert!(found, "{row:?}: {complaints:?}");
}

#[test]
fn every_item_of_phps_has_its_row() {
    let facts = facts();
    assert_none(&facts.about_phps_items(&rows()));
    let count = |kind: fn(&Kind) -> bool| facts.due().filter(|item| kind(&item.kind)).count();
    let (due, beyond): (Vec<_>, Vec<_>) = rows().into_iter().partition(|row| row.php.is_some());
    println!(
        "API.md: {} methods, {} constants, {} properties of PHP's in {} rows, {} rows beyond PECL",
        count(|kind| *kind == Kind::Method),
        count(|kind| matches!(kind, Kind::Constant(_))),
        count(|kind| matches!(kind, Kind::Property(_))),
        due.len(),
        beyond.len()
    );
}

#[test]
fn every_row_names_items_of_the_crate_by_the_rule() {
    assert_none(&facts().about_rust_items(&rows()));
}

#[test]
fn everything_that_a_class_has_is_in_a_row() {
    assert_none(&facts().about_members(&rows()));
}

#[test]
fn every_row_is_shown_by_a_test_that_is_there() {
    assert_none(&facts().about_proofs(&rows()));
}

#[cfg(feature = "openssl")]
#[test]
fn every_constant_has_phps_number() {
    assert_none(&facts().about_numbers(&numbers()));
}

#[test]
fn no_class_that_is_there_is_listed_as_missing() {
    assert_none(&facts().about_not_yet());
}

#[test]
fn every_exception_from_the_rule_is_one_of_phps_items_and_explained() {
    let facts = Facts::read(root(), &[]);
    for (path, _name, why) in EXCEPTIONS {
        assert!(facts.due().any(|item| item.path() == *path), "{path}");
        assert!(!why.is_empty(), "{path}");
    }
}

#[test]
fn the_list_of_phps_items_is_whole() {
    let facts = Facts::read(root(), &[]);
    let count = |kind: fn(&Kind) -> bool| {
        let items = facts.due().filter(|item| !item.class.is_empty());
        items.filter(|item| kind(&item.kind)).count()
    };
    assert_eq!(count(|kind| *kind == Kind::Method), 160);
    assert_eq!(count(|kind| matches!(kind, Kind::Constant(_))), 121);
    assert_eq!(count(|kind| matches!(kind, Kind::Property(_))), 13);
}

#[test]
fn a_row_that_is_missing_or_twice_there_is_found() {
    let (facts, rows) = (facts(), rows());
    for at in (0..rows.len()).filter(|&at| rows[at].php.is_some()) {
        let mut fewer = rows.clone();
        let row = fewer.remove(at);
        let [complaint] = &facts.about_phps_items(&fewer)[..] else {
            panic!("{row:?}");
        };
        assert!(complaint.contains("no row for"), "{complaint}");

        fewer.extend([row.clone(), row]);
        let [complaint] = &facts.about_phps_items(&fewer)[..] else {
            panic!("{:?}", fewer.last());
        };
        assert!(complaint.contains("2 rows for"), "{complaint}");
    }
}

#[test]
fn a_row_for_what_php_has_not_is_found() {
    let (facts, rows) = (facts(), rows());
    for row in rows.iter().filter(|row| row.php.is_some()) {
        let about = |rows: &[Row]| facts.about_phps_items(rows);
        assert_found(about, " has no `", row, |row| {
            row.php.as_mut().unwrap().push('s')
        });
        assert_found(about, " has no `", row, |row| row.class.push('s'));
    }
}

#[test]
fn a_misspelt_item_of_the_crate_is_found() {
    let facts = facts();
    for row in &rows() {
        for at in 0..row.rust.len() {
            let about = |rows: &[Row]| facts.about_rust_items(rows);
            assert_found(about, "the crate has no public", row, |row| {
                row.rust[at].push('s')
            });
            assert_found(about, "the crate has no public", row, |row| {
                row.rust[at].insert(0, 'E')
            });
        }
    }
}

#[test]
fn another_name_than_the_rules_is_found() {
    let (facts, rows) = (facts(), rows());
    for row in rows.iter().filter(|row| row.php.is_some()) {
        let about = |rows: &[Row]| facts.about_rust_items(rows);
        if !row.rust.is_empty() {
            assert_found(about, "the rule makes it", row, |row| row.rust.clear());
        }
        assert_found(about, "the rule makes it", row, |row| {
            row.rust.insert(0, "Event::detach".to_owned());
        });
    }
}

#[test]
fn an_item_of_the_crate_without_a_row_is_found() {
    let (facts, rows) = (facts(), rows());
    for path in rows.iter().flat_map(|row| &row.rust) {
        let others = rows.iter().filter(|row| !row.rust.contains(path)).cloned();
        let complaints = facts.about_members(&others.collect::<Vec<_>>());
        let expected = format!("no row names `{path}`");
        assert_eq!(
            complaints.contains(&expected),
            facts.is_member(path),
            "{path}"
        );
    }
}

#[test]
fn a_test_that_is_not_there_is_found() {
    let facts = facts();
    let about = |rows: &[Row]| facts.about_proofs(rows);
    for row in &rows() {
        for at in 0..row.shown.len() {
            let change = |to: &'static str| move |row: &mut Row| row.shown[at].path = to.to_owned();
            let (helper, file) = ("tests/event.rs::signals", "tests/event.php::signals");
            assert_found(about, "has no test signals", row, change(helper));
            assert_found(about, "there is no file", row, change(file));
            assert_found(about, " no ", row, |row| row.shown[at].path.push('s'));
        }
        if !row.rust.is_empty() {
            assert_found(about, "nothing shows it", row, |row| row.shown.clear());
        }
    }
}

#[test]
fn a_test_that_has_nothing_to_do_with_its_row_is_found() {
    let (facts, rows) = (facts(), rows());
    let row = rows
        .iter()
        .find(|row| row.rust == ["Event::timer"])
        .unwrap();
    let about = |rows: &[Row]| facts.about_proofs(rows);
    for other in [
        "tests/event_buffer/finding.rs::lines_end_as_each_style_says",
        "src/runtime/error.rs::EventException",
    ] {
        assert_found(about, "does not mention Event::timer", row, |row| {
            row.shown[0].path = other.to_owned();
        });
    }
}

#[cfg(feature = "openssl")]
#[test]
fn a_number_that_is_not_phps_is_found() {
    let facts = facts();
    for name in numbers().into_keys() {
        let mut numbers = numbers();
        *numbers.get_mut(name).unwrap() ^= 1 << 20;
        assert!(facts.about_numbers(&numbers)[0].starts_with(name));
        numbers.remove(name);
        assert!(facts.about_numbers(&numbers)[0].contains("is not in the table"));
    }
}

#[test]
fn a_class_that_is_there_and_listed_as_missing_is_found() {
    let listed = Facts::read(root(), &["Event", "EventConfig", "EventSomething"]);
    let complaints = listed.about_not_yet();
    assert_eq!(complaints.len(), 3, "{complaints:?}");
}
