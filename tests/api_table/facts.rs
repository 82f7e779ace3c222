//! What `API.md` is held against, and the complaints about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::paper::Row;
use crate::php::{self, Item, Kind};
use crate::proofs::Proofs;
use crate::source::Source;

/// Where a name is not PHP's in snake_case: what it is, and why. An empty one is none.
pub(crate) const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "Event::$pending",
        "is_pending",
        "the method `pending` has the name",
    ),
    (
        "EventException::$errorInfo",
        "error_info",
        "what it reads; an error is not written to",
    ),
    (
        "EventUtil::__construct",
        "",
        "private in PHP: nobody can call it",
    ),
];

/// The section of what is in no class.
const GLOBAL: &str = "Global";

/// What the crate calls an item of PHP's, by the rule or by exception.
fn expected(item: &Item) -> Option<String> {
    let name = match (exception(item), &item.kind, item.name.as_str()) {
        (Some(""), ..) => return None,
        (Some(name), ..) => name.to_owned(),
        (None, Kind::Constant(_), name) => name.to_owned(),
        (None, _, "__construct") => "new".to_owned(), // Rust's own name for it
        (None, _, "loop") => "r#loop".to_owned(),     // a keyword
        (None, _, name) => snake_case(name),
    };
    Some(match item.class.as_str() {
        "" => name,
        class => format!("{class}::{name}"),
    })
}

fn exception(item: &Item) -> Option<&'static str> {
    let path = item.path();
    let found = EXCEPTIONS.iter().find(|(php, ..)| *php == path);
    found.map(|(_, name, _why)| *name)
}

fn snake_case(camel: &str) -> String {
    let mut snake = String::new();
    for sign in camel.chars() {
        if sign.is_uppercase() {
            snake.push('_');
        }
        snake.extend(sign.to_lowercase());
    }
    snake
}

/// All that a paper is held against.
pub(crate) struct Facts {
    classes: Vec<String>,
    items: Vec<Item>,
    /// The place in `items` by section and signature.
    index: BTreeMap<(String, String), usize>,
    source: Source,
    proofs: Proofs,
    not_yet: Vec<&'static str>,
}

impl Facts {
    pub(crate) fn read(root: &Path, not_yet: &[&'static str]) -> Self {
        let list = fs::read_to_string(root.join("tests/pecl-event-api.json")).unwrap();
        let list = serde_json::from_str(&list).unwrap();
        let items = php::items(&list);
        let key = |item: &Item| (section(item).to_owned(), item.signature.clone());
        Self {
            classes: php::classes(&list),
            index: (0..items.len()).map(|at| (key(&items[at]), at)).collect(),
            items,
            source: Source::read(root),
            proofs: Proofs::read(root),
            not_yet: not_yet.to_owned(),
        }
    }

    fn is_due(&self, class: &str) -> bool {
        !self.not_yet.contains(&class)
    }

    /// What must have a row.
    pub(crate) fn due(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| self.is_due(&item.class))
    }

    /// Whether a class has this of its own, so that a row must name it.
    pub(crate) fn is_member(&self, path: &str) -> bool {
        let mut classes = self.classes.iter().filter(|class| self.is_due(class));
        classes.any(|class| self.source.members(class).any(|member| member == path))
    }

    fn of_row(&self, row: &Row) -> Option<&Item> {
        let key = (row.class.clone(), row.php.clone()?);
        let item = &self.items[*self.index.get(&key)?];
        self.is_due(&item.class).then_some(item)
    }

    /// Each item of PHP's has one row, and each row of a class's table is one of PHP's.
    pub(crate) fn about_phps_items(&self, rows: &[Row]) -> Vec<String> {
        let (mut complaints, mut counts) = (Vec::new(), BTreeMap::<String, usize>::new());
        for row in rows {
            match (&row.php, self.of_row(row)) {
                (_, Some(item)) => *counts.entry(item.path()).or_default() += 1,
                (Some(php), None) => {
                    complaints.push(format!("{row}: PHP's {} has no `{php}`", row.class));
                }
                (None, None) => {}
            }
        }
        for item in self.due() {
            let signature = item.signature.replace('|', "\\|");
            match counts.get(&item.path()) {
                Some(1) => {}
                None => complaints.push(format!("{}: no row for | `{signature}` |", section(item))),
                Some(n) => complaints.push(format!("{n} rows for {}", item.path())),
            }
        }
        complaints
    }

    /// Each row names what the crate has, under the name that the rule gives it.
    pub(crate) fn about_rust_items(&self, rows: &[Row]) -> Vec<String> {
        let mut complaints = Vec::new();
        for row in rows {
            let wrong = match self.of_row(row) {
                Some(item) => self.wrong_name(row, item),
                None if row.rust.is_empty() => Some("no Rust item is named".to_owned()),
                None => None,
            };
            let missing = row
                .rust
                .iter()
                .filter(|path| self.source.get(path).is_empty());
            let missing = missing.map(|path| format!("the crate has no public `{path}`"));
            let wrong = wrong.into_iter().chain(missing);
            complaints.extend(wrong.map(|what| format!("{row}: {what}")));
        }
        complaints
    }

    /// Nothing that a class has goes without a row.
    pub(crate) fn about_members(&self, rows: &[Row]) -> Vec<String> {
        let mut complaints = Vec::new();
        let named = rows.iter().flat_map(|row| &row.rust);
        let named = named.map(String::as_str).collect::<BTreeSet<_>>();
        for class in self.classes.iter().filter(|class| self.is_due(class)) {
            let members = self.source.members(class);
            let without = members.filter(|path| !named.contains(path));
            complaints.extend(without.map(|path| format!("no row names `{path}`")));
        }
        complaints
    }

    fn wrong_name(&self, row: &Row, item: &Item) -> Option<String> {
        let (expected, first) = (expected(item), row.rust.first());
        if first != expected.as_ref() {
            let [rule, first] = [expected.as_ref(), first].map(|name| name.map_or("none", |n| n));
            return Some(format!("the rule makes it `{rule}`, not `{first}`"));
        }
        let expected = expected?;
        let setter = format!("{}::set_{}", item.class, snake_case(&item.name));
        let is_set = item.kind == Kind::Property(true) && exception(item).is_none();
        if is_set && !row.rust.contains(&setter) {
            return Some(format!("PHP may assign to it, and there is no `{setter}`"));
        }
        if matches!(item.kind, Kind::Constant(_)) {
            return None;
        }
        let found = self.source.get(&expected);
        let has_alias = found
            .iter()
            .any(|found| found.aliases.contains(&item.path()));
        let lacks = !found.is_empty() && !has_alias;
        lacks.then(|| format!("`{expected}` has no #[php(\"{}\")] or alias", item.path()))
    }

    /// Each row names tests or examples which are there and have to do with it.
    pub(crate) fn about_proofs(&self, rows: &[Row]) -> Vec<String> {
        let mut complaints = Vec::new();
        for row in rows {
            if row.shown.is_empty() && !row.rust.is_empty() {
                complaints.push(format!("{row}: nothing shows it"));
            }
            for proof in &row.shown {
                let complaint = self.proofs.complaint(row, proof, &self.source);
                complaints.extend(complaint.map(|what| format!("{row}: {what}")));
            }
        }
        complaints
    }

    /// The constants whose number is not PHP's.
    #[cfg(feature = "openssl")]
    pub(crate) fn about_numbers(&self, numbers: &BTreeMap<&str, i64>) -> Vec<String> {
        let mut complaints = Vec::new();
        for item in self.due() {
            let Kind::Constant(Some(wanted)) = item.kind else {
                continue;
            };
            let path = item.path();
            match numbers.get(path.as_str()) {
                None => complaints.push(format!("{path} is not in the table of numbers")),
                Some(found) if *found != wanted => {
                    complaints.push(format!("{path} is {found}, and PHP's is {wanted}"));
                }
                Some(_) => {}
            }
        }
        complaints
    }

    /// The classes listed as missing of which the crate has more than half.
    pub(crate) fn about_not_yet(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for &class in &self.not_yet {
            if !self.classes.iter().any(|name| name == class) {
                complaints.push(format!("NOT_YET: PHP has no class {class}"));
            }
            let items = self.items.iter().filter(|item| item.class == class);
            let (there, missing): (Vec<_>, Vec<_>) = items
                .filter_map(expected)
                .partition(|path| !self.source.get(path).is_empty());
            if there.len() > missing.len() {
                complaints.push(format!("NOT_YET: {class} has appeared; write its rows"));
            }
        }
        complaints
    }
}

fn section(item: &Item) -> &str {
    match item.class.as_str() {
        "" => GLOBAL,
        class => class,
    }
}
