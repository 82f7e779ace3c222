//! The tests and examples that rows name.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use syn::Item;

use crate::paper::{Proof, Row};
use crate::source::{Source, files};

pub(crate) struct Proofs {
    /// The texts under `tests`, and of the unit tests, by their paths from the root.
    texts: BTreeMap<String, String>,
    /// The names of the functions in these files, and whether each is a test that is run.
    functions: BTreeMap<String, BTreeMap<String, Function>>,
    /// What the test files share.
    support: String,
}

/// What the attributes of a function say.
#[derive(Clone, Copy)]
struct Function {
    is_test: bool,
    is_ignored: bool,
}

impl Proofs {
    pub(crate) fn read(root: &Path) -> Self {
        let in_src = files(&root.join("src"));
        let in_src = in_src.into_iter().filter(|path| is_of_tests(path));
        let shared = files(&root.join("test-support"));
        let texts = files(&root.join("tests"))
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
        let functions = texts
            .iter()
            .map(|(path, text)| (path.clone(), functions(text)));
        let functions = functions.collect();
        Self {
            texts,
            functions,
            support,
        }
    }

    /// What is wrong with a row's proof, if anything is.
    pub(crate) fn complaint(&self, row: &Row, proof: &Proof, source: &Source) -> Option<String> {
        let Some((file, name)) = proof.path.split_once("::") else {
            return Some(format!("`{}` is no test or example", proof.path));
        };
        let text = if file.starts_with("src/") && !is_of_tests(Path::new(file)) {
            let mut items = source.get(name).iter().filter(|item| item.file == file);
            let Some(item) = items.find(|item| has_example(&item.docs, proof.compile_fail)) else {
                return Some(format!("the docs of {name} in {file} have no such example"));
            };
            &item.docs
        } else {
            match self.texts.get(file) {
                None => return Some(format!("there is no file {file}")),
                Some(_) if !self.is_test(file, name) => {
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

    /// Whether a file of tests has one of this name that is run: it has the attribute, or is in
    /// the list of cases.
    fn is_test(&self, file: &str, name: &str) -> bool {
        let Some(function) = self.functions.get(file).and_then(|file| file.get(name)) else {
            return false;
        };
        let is_case = || {
            let mut cases = self.list(file).lines();
            cases.any(|line| line.trim().trim_end_matches(',') == name)
        };
        !function.is_ignored && (function.is_test || is_case())
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

fn has_example(docs: &str, compile_fail: bool) -> bool {
    fences(docs).any(|kind| match compile_fail {
        true => kind.starts_with("compile_fail"),
        false => kind.is_empty(),
    })
}

/// The functions of a file, those in its modules and in its macros included.
fn functions(text: &str) -> BTreeMap<String, Function> {
    fn collect(items: Vec<Item>, found: &mut BTreeMap<String, Function>) {
        for item in items {
            match item {
                Item::Fn(function) => {
                    let has = |name| function.attrs.iter().any(|a| a.path().is_ident(name));
                    let (is_test, is_ignored) = (has("test"), has("ignore"));
                    let name = function.sig.ident.to_string();
                    found.insert(
                        name,
                        Function {
                            is_test,
                            is_ignored,
                        },
                    );
                }
                Item::Mod(module) => {
                    let items = module.content.map_or_else(Vec::new, |(_, items)| items);
                    collect(items, found);
                }
                Item::Macro(invocation) => {
                    if let Ok(file) = syn::parse2::<syn::File>(invocation.mac.tokens) {
                        collect(file.items, found);
                    }
                }
                _ => {}
            }
        }
    }
    let mut found = BTreeMap::new();
    let items = syn::parse_file(text).map_or_else(|_| Vec::new(), |file| file.items);
    collect(items, &mut found);
    found
}

/// What follows the three marks that open each code block of a doc comment.
fn fences(docs: &str) -> impl Iterator<Item = &str> {
    docs.lines()
        .filter_map(|line| line.strip_prefix(" ```"))
        .step_by(2)
}

/// Whether a text has this word.
fn mentions(text: &str, word: &str) -> bool {
    let part = |sign: char| sign.is_alphanumeric() || sign == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part))
}
