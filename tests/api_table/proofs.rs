//! The tests and examples that rows name.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::paper::{Proof, Row};
use crate::source::{Source, files};

pub(crate) struct Proofs {
    /// The texts under `tests`, and of the unit tests, by their paths from the root.
    texts: BTreeMap<String, String>,
    /// What the test files share.
    support: String,
}

impl Proofs {
    pub(crate) fn read(root: &Path) -> Self {
        let in_src = files(&root.join("src"), &[]);
        let in_src = in_src.into_iter().filter(|path| is_of_tests(path));
        let shared = files(&root.join("test-support"), &[]);
        let texts = files(&root.join("tests"), &[])
            .into_iter()
            .chain(in_src)
            .chain(shared);
        let texts = texts.map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path.strip_prefix(root).unwrap().display().to_string(), text)
        });
        let texts = texts.collect::<BTreeMap<_, _>>();
        let support = texts
            .iter()
            .filter(|(path, _)| path.starts_with("test-support/"));
        let support = support.map(|(_, text)| text.as_str()).collect();
        Self { texts, support }
    }

    /// What is wrong with a row's proof, if anything is.
    pub(crate) fn complaint(&self, row: &Row, proof: &Proof, source: &Source) -> Option<String> {
        let Some((file, name)) = proof.path.split_once("::") else {
            return Some(format!("`{}` is no test or example", proof.path));
        };
        let text = if file.starts_with("src/") && !is_of_tests(Path::new(file)) {
            let mut items = source.get(name).iter().filter(|item| item.file == file);
            let Some(item) = items.find(|item| has_example(&item.head, proof.compile_fail)) else {
                return Some(format!("the docs of {name} in {file} have no such example"));
            };
            &item.head
        } else {
            match self.texts.get(file) {
                None => return Some(format!("there is no file {file}")),
                Some(text) if !is_test(text, self.list(file), name) => {
                    return Some(format!("{file} has no test {name}"));
                }
                Some(text) => text,
            }
        };
        let names = |path: &str| {
            let called = path.rsplit("::").next().unwrap_or(path);
            let through_support = text.contains("support") && mentions(&self.support, called)
                || self.helpers(file).any(|helper| mentions(helper, called));
            // serde and operators call a trait's methods by no name
            source.is_trait(path) || mentions(text, called) || through_support
        };
        let concerned = row.rust.iter().any(|path| names(path));
        (!concerned).then(|| format!("{} does not mention {}", proof.path, row.rust.join(", ")))
    }

    /// The other files of a test program that is a folder, as far as they hold no tests.
    fn helpers(&self, file: &str) -> impl Iterator<Item = &str> {
        let folder = Path::new(file).parent();
        let main = folder.map(|folder| folder.join("main.rs"));
        let main = main.filter(|main| {
            main.to_str()
                .is_some_and(|path| self.texts.contains_key(path))
        });
        let texts = self.texts.iter().filter(move |(path, text)| {
            let path = Path::new(path);
            let beside = main.is_some() && path.parent() == folder;
            beside && (main.as_deref() == Some(path) || !text.contains("#[test]"))
        });
        texts.map(|(_, text)| text.as_str())
    }

    /// The file that lists a test program's cases: `tests/fork/main.rs` for
    /// `tests/fork/dns.rs`, otherwise the file itself.
    fn list(&self, file: &str) -> &str {
        let main = Path::new(file).with_file_name("main.rs");
        let main = main.to_str().and_then(|main| self.texts.get(main));
        main.or_else(|| self.texts.get(file))
            .map_or("", String::as_str)
    }
}

/// Whether a path is one of unit tests that have files of their own.
fn is_of_tests(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == "tests")
        || path
            .parent()
            .is_some_and(|folder| folder.ends_with("tests"))
}

fn has_example(head: &str, compile_fail: bool) -> bool {
    fences(head).any(|kind| match compile_fail {
        true => kind.starts_with("compile_fail"),
        false => kind.is_empty(),
    })
}

/// Whether a file of tests has one of this name that is run: it has the attribute, or is in
/// the list of cases in `list`.
fn is_test(text: &str, list: &str, name: &str) -> bool {
    let lines = text.lines().map(str::trim).collect::<Vec<_>>();
    let defines = |line: &&str| {
        let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
        let rest = line
            .strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(name));
        rest.is_some_and(|rest| rest.starts_with(['(', '<']))
    };
    let Some(at) = lines.iter().position(defines) else {
        return false;
    };
    let head = lines[..at].iter().rev();
    let head = head
        .take_while(|line| line.starts_with(['#', '/']))
        .collect::<Vec<_>>();
    let is_case = list
        .lines()
        .any(|line| line.trim().strip_suffix(',') == Some(name));
    (is_case || head.contains(&&"#[test]")) && !head.iter().any(|line| line.starts_with("#[ignore"))
}

/// What follows the three marks that open each code block of a doc comment.
fn fences(head: &str) -> impl Iterator<Item = &str> {
    head.lines()
        .filter_map(|line| line.trim_start().strip_prefix("/// ```"))
        .step_by(2)
}

/// Whether a text has this word.
fn mentions(text: &str, word: &str) -> bool {
    let part = |sign: char| sign.is_alphanumeric() || sign == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part))
}
