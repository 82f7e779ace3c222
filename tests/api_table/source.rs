//! What the crate makes public, read from its source as rustfmt lays it out: an item of an
//! `impl` is indented by four spaces, and a blank line stands before its docs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A public item: `Event::add`, `Event::READ`, `Event::Serialize` for a trait, `LoopEnd::Stop`
/// for a variant, or `Event` itself.
pub(crate) struct Item {
    /// Where it stands, as `src/event.rs`.
    pub(crate) file: String,
    /// Its doc comment and attributes, line by line.
    pub(crate) head: String,
}

/// The items by their path; types by the names under which `lib.rs` exports them.
pub(crate) struct Source(BTreeMap<String, Vec<Item>>);

/// What a line of source is inside of.
enum Inside {
    Nothing,
    Impl(String),
    Enum(String),
    Consts(String),
    /// `constants!`, with the type that its block is for.
    Numbered(String),
}

/// The class whose constants `constants!` makes.
const NUMBERED: &str = "EventSslContext";

impl Source {
    /// Reads `src`, but for the server, which has no class.
    pub(crate) fn read(root: &Path) -> Self {
        let mut items = BTreeMap::<String, Vec<Item>>::new();
        for path in files(&root.join("src"), &[]) {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let text = fs::read_to_string(&path).unwrap();
            read_file(&text, |path, head| {
                let (file, head) = (name.clone(), head.to_owned());
                items.entry(path).or_default().push(Item { file, head });
            });
        }
        let lib = fs::read_to_string(root.join("src/lib.rs")).unwrap();
        Self(exported(&lib, items))
    }

    pub(crate) fn get(&self, path: &str) -> &[Item] {
        self.0.get(path).map_or(&[], Vec::as_slice)
    }

    /// Whether what this path names is a trait that a type implements.
    pub(crate) fn is_trait(&self, path: &str) -> bool {
        self.get(path).iter().any(|item| item.head == TRAIT)
    }

    /// The paths of what a class has of its own: methods, constants, variants.
    pub(crate) fn members(&self, class: &str) -> impl Iterator<Item = &str> {
        let prefix = format!("{class}::");
        let paths = self.0.keys().map(String::as_str);
        paths.filter(move |path| path.starts_with(&prefix) && !self.is_trait(path))
    }
}

/// The head of what is no item of its own: an implemented trait.
const TRAIT: &str = "(a trait)";

/// The Rust files under a folder, without those in the folders named.
pub(crate) fn files(folder: &Path, without: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !without.iter().any(|name| path.ends_with(name)) {
                found.extend(files(&path, &[]));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Tells `found` each item's path, with the type's own name, and its head.
fn read_file(text: &str, mut found: impl FnMut(String, &str)) {
    let (mut inside, mut head) = (Inside::Nothing, String::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            head.clear();
            continue;
        }
        match &inside {
            Inside::Nothing => {
                if line.starts_with("impl") {
                    let mut header = line.to_owned();
                    while !header.ends_with(['{', '}']) {
                        header += lines.next().unwrap_or("{}").trim_start();
                    }
                    inside = read_impl(&header, &mut found);
                } else if let Some(rest) = line.strip_prefix("class_consts!(") {
                    inside = Inside::Consts(word(rest).to_owned());
                } else if line == "constants! {" {
                    inside = Inside::Numbered(String::new());
                } else if let Some(rest) = line.trim_start().strip_prefix("pub ") {
                    inside = read_type(line, rest, &head, &mut found);
                }
            }
            _ if line.starts_with('}') => inside = Inside::Nothing,
            Inside::Impl(class) => {
                if let Some(name) = line.strip_prefix("    pub ").and_then(member) {
                    found(format!("{class}::{name}"), &head);
                }
            }
            Inside::Enum(name) => {
                let variant = line.strip_prefix("    ").map_or("", word);
                if variant.starts_with(char::is_uppercase) {
                    found(format!("{name}::{variant}"), &head);
                }
            }
            Inside::Consts(class) => {
                let name = word(line.trim_start());
                if !name.is_empty() {
                    found(format!("{class}::{name}"), &head);
                }
            }
            Inside::Numbered(kind) => {
                let line = line.trim_start();
                if let (name, Some("{")) =
                    (word(line), line.strip_prefix(word(line)).map(str::trim))
                    && !name.is_empty()
                {
                    found(name.to_owned(), &head);
                    inside = Inside::Numbered(name.to_owned());
                } else if let Some((member, number)) = line.split_once(" = ") {
                    let php = number.split(' ').nth(1).unwrap_or("");
                    found(format!("{kind}::{member}"), &head);
                    found(format!("{NUMBERED}::{}", word(php)), &head);
                }
            }
        }
        head += line;
        head.push('\n');
    }
}

/// `impl<'a> Trait for Type<'a> {`, or without a trait.
fn read_impl(header: &str, found: &mut impl FnMut(String, &str)) -> Inside {
    let header = header.trim_start_matches("impl");
    let header = past_generics(header).trim_start();
    let Some((implemented, class)) = header.split_once(" for ") else {
        return Inside::Impl(word(header).to_owned());
    };
    let name = implemented.split('<').next().unwrap_or("");
    let name = name.rsplit("::").next().unwrap_or("");
    found(format!("{}::{name}", word(class)), TRAIT);
    Inside::Nothing // what a trait has is not listed
}

/// A struct, an enum, a function or a constant on its own, with the traits that it derives.
fn read_type(line: &str, rest: &str, head: &str, found: &mut impl FnMut(String, &str)) -> Inside {
    let Some((kind, after)) = rest.split_once(' ') else {
        return Inside::Nothing;
    };
    let name = word(after).to_owned();
    if !["struct", "enum", "const", "fn"].contains(&kind) || name.is_empty() {
        return Inside::Nothing;
    }
    found(name.clone(), head);
    for derived in head.lines().filter_map(derives) {
        for implemented in derived.split(", ") {
            let implemented = implemented.rsplit("::").next().unwrap_or("");
            found(format!("{name}::{implemented}"), TRAIT);
        }
    }
    if kind == "enum" && line.starts_with("pub") && line.ends_with('{') {
        Inside::Enum(name)
    } else {
        Inside::Nothing
    }
}

fn derives(line: &str) -> Option<&str> {
    line.trim_start()
        .strip_prefix("#[derive(")?
        .strip_suffix(")]")
}

/// The name of a function or constant, from what follows its `pub`.
fn member(rest: &str) -> Option<&str> {
    let rest =
        ["const ", "unsafe "]
            .iter()
            .fold(rest, |rest, kind| match rest.strip_prefix(kind) {
                Some(more) if more.starts_with("fn ") => more,
                _ => rest,
            });
    let name = rest
        .strip_prefix("fn ")
        .or_else(|| rest.strip_prefix("const "))?;
    Some(word(name))
}

/// Without the `<…>` in front, if there is one.
fn past_generics(text: &str) -> &str {
    let mut depth = 0;
    for (at, sign) in text.char_indices() {
        match sign {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return if at == 0 { text } else { &text[at + 1..] };
        }
    }
    text
}

/// The identifier that a text begins with, a raw one too.
fn word(text: &str) -> &str {
    let end = text
        .char_indices()
        .find(|&(at, sign)| {
            !(sign.is_alphanumeric() || sign == '_' || sign == '#' && text[..at] == *"r")
        })
        .map_or(text.len(), |(at, _)| at);
    &text[..end]
}

/// Keeps what `lib.rs` exports, under its public names, and its own constants.
fn exported(lib: &str, items: BTreeMap<String, Vec<Item>>) -> BTreeMap<String, Vec<Item>> {
    let mut public = BTreeMap::<&str, Vec<&str>>::new();
    for (at, _) in lib.match_indices("\npub use ") {
        let statement = lib[at..].split(';').next().unwrap_or("");
        let (path, list) = statement.rsplit_once("::").expect("a path");
        assert!(
            !path.contains('{'),
            "one list for each `pub use`: {statement}"
        );
        for name in list.trim_matches(['{', '}', '\n', ' ']).split(',') {
            let (own, exported) = name.split_once(" as ").unwrap_or((name, name));
            public.entry(own.trim()).or_default().push(exported.trim());
        }
    }
    let mut found = BTreeMap::<String, Vec<Item>>::new();
    for (path, items) in items {
        let (own, rest) = path.split_once("::").unwrap_or((&path, ""));
        let in_lib = items.iter().any(|item| item.file == "src/lib.rs");
        let names = match public.get(own) {
            Some(names) => names.clone(),
            None if in_lib => vec![own],
            None => continue,
        };
        for name in names {
            let path = if rest.is_empty() {
                name.to_owned()
            } else {
                format!("{name}::{rest}")
            };
            let copies = items.iter().map(|Item { file, head }| Item {
                file: file.clone(),
                head: head.clone(),
            });
            found.entry(path).or_default().extend(copies);
        }
    }
    found
}
