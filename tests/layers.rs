//! The modules of `src/` depend on each other downwards only: classes on `native`, `native` on
//! `runtime`, `runtime` on `ffi`. No two of them depend on each other, directly or not.
//!
//! A module is a node of the graph; in `runtime` and `native`, each file is one. An arrow is a
//! path in the source that begins with `crate`, `super` or `self`, followed through re-exports
//! to the module that defines the item. Unit tests are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// What a module may depend on, besides its own files.
fn may_use(from: &str) -> fn(&str) -> bool {
    match layer(from) {
        "ffi" => |_| false,
        "runtime" | "flags" => |to| matches!(layer(to), "ffi"),
        "native" => |to| matches!(layer(to), "ffi" | "runtime" | "flags"),
        _ => |_| true,
    }
}

fn layer(node: &str) -> &str {
    node.split("::").next().unwrap_or(node)
}

#[test]
fn modules_depend_on_lower_layers_only() {
    let graph = Graph::of(&Source::read(Path::new(env!("CARGO_MANIFEST_DIR"))));
    let upward = graph.upward();
    assert!(upward.is_empty(), "arrows that point up:\n{upward}");
}

#[test]
fn no_modules_depend_on_each_other() {
    let graph = Graph::of(&Source::read(Path::new(env!("CARGO_MANIFEST_DIR"))));
    let cycles = graph.cycles();
    assert!(cycles.is_empty(), "{}", graph.draw(&cycles));
}

#[test]
fn a_cycle_through_a_re_export_is_found() {
    let source = Source::of(&[
        ("lib.rs", "mod base; mod event; pub use event::Event;"),
        ("base.rs", "mod inner; pub(crate) use inner::Inner;"),
        (
            "base/inner.rs",
            "pub(crate) struct Inner; fn f() { crate::Event::new(); }",
        ),
        (
            "event.rs",
            "use crate::base::{self, Inner}; pub struct Event;",
        ),
    ]);
    let graph = Graph::of(&source);
    assert!(graph.has("base", "event") && graph.has("event", "base"));
    assert_eq!(graph.cycles(), [["base", "event"]]);
}

#[test]
fn an_arrow_from_the_native_layer_to_a_class_is_found() {
    let source = Source::of(&[
        ("lib.rs", "mod event; mod native; pub use event::Event;"),
        ("native/mod.rs", "mod base;"),
        ("native/base.rs", "fn f() -> Option<crate::Event> { None }"),
        ("event.rs", "pub struct Event;"),
    ]);
    let upward = Graph::of(&source).upward();
    assert_eq!(
        upward,
        "native::base -> event: `crate::Event` in src/native/base.rs\n"
    );
}

#[test]
fn files_of_the_runtime_count_one_by_one() {
    let source = Source::of(&[
        ("lib.rs", "mod runtime; mod event; pub use event::Event;"),
        (
            "runtime/mod.rs",
            "mod guard; mod log; pub(crate) use guard::guard;",
        ),
        (
            "runtime/guard.rs",
            "use super::log; pub(crate) fn guard() {}",
        ),
        (
            "runtime/log.rs",
            "use super::guard; #[cfg(test)] mod tests { use crate::Event; }",
        ),
        ("event.rs", "use crate::runtime::guard;"),
    ]);
    let graph = Graph::of(&source);
    assert!(graph.has("event", "runtime::guard"));
    assert!(!graph.has("runtime::log", "event"));
    assert_eq!(graph.cycles(), [["runtime::guard", "runtime::log"]]);
}

/// A module's path, without `crate`.
type Module = Vec<String>;

/// The modules, each with what its `use` items bind and what it names.
#[derive(Default)]
struct Source {
    modules: BTreeMap<Module, Contents>,
}

#[derive(Default)]
struct Contents {
    file: String,
    /// What a name stands for, as written: `Inner` for `inner::Inner`.
    bound: BTreeMap<String, Vec<String>>,
    /// Every path, as written.
    named: Vec<Vec<String>>,
}

impl Source {
    fn read(root: &Path) -> Self {
        let (mut source, src) = (Self::default(), root.join("src"));
        for path in files(&src) {
            let name = path.strip_prefix(&src).unwrap().display().to_string();
            source.add(&name, &fs::read_to_string(&path).unwrap());
        }
        source
    }

    fn of(files: &[(&str, &str)]) -> Self {
        let mut source = Self::default();
        for (name, text) in files {
            source.add(name, text);
        }
        source
    }

    fn add(&mut self, name: &str, text: &str) {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let module = module(name);
        let contents = Contents {
            file: format!("src/{name}"),
            ..Contents::default()
        };
        self.modules.insert(module.clone(), contents);
        let mut reader = Reader {
            source: self,
            module,
        };
        reader.visit_file(&file);
    }

    /// The module that defines what `path` names, seen from `from`; `None` for another crate.
    fn resolve(&self, from: &Module, path: &[String]) -> Option<Module> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Module::new(),
            "self" => from.clone(),
            "super" => parent(from),
            _ => {
                rest = path;
                from.clone()
            }
        };
        let relative = !matches!(first.as_str(), "crate" | "self" | "super");
        if relative && !self.knows(&at, first) {
            return None;
        }
        while let Some((name, after)) = rest.split_first() {
            if name == "super" {
                at = parent(&at);
            } else if self.modules.contains_key(&child(&at, name)) {
                at.push(name.clone());
            } else if let Some(bound) = self.modules.get(&at).and_then(|m| m.bound.get(name)) {
                return match self.resolve(&at, bound) {
                    Some(target) => self.resolve_in(&target, bound, after),
                    None => None, // of another crate
                };
            } else {
                break;
            }
            rest = after;
        }
        Some(at)
    }

    /// What follows a re-export: the module it names may have children that are named on.
    fn resolve_in(&self, target: &Module, bound: &[String], after: &[String]) -> Option<Module> {
        if target.last() == bound.last() && !after.is_empty() {
            let path = [vec!["self".to_owned()], after.to_vec()].concat();
            return self.resolve(target, &path);
        }
        Some(target.clone())
    }

    /// Whether `name` is a child of `module` or bound in it, but not by itself.
    fn knows(&self, module: &Module, name: &String) -> bool {
        let contents = &self.modules[module];
        self.modules.contains_key(&child(module, name))
            || contents
                .bound
                .get(name)
                .is_some_and(|path| path.first() != Some(name))
    }
}

/// Collects what a file binds and names.
struct Reader<'a> {
    source: &'a mut Source,
    module: Module,
}

impl Reader<'_> {
    fn contents(&mut self) -> &mut Contents {
        self.source.modules.get_mut(&self.module).unwrap()
    }

    fn import(&mut self, tree: &syn::UseTree, mut path: Vec<String>) {
        match tree {
            syn::UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                self.import(&tree.tree, path);
            }
            syn::UseTree::Name(tree) => self.bind(path, &tree.ident.to_string(), None),
            syn::UseTree::Rename(tree) => {
                let name = tree.rename.to_string();
                self.bind(path, &tree.ident.to_string(), Some(name));
            }
            syn::UseTree::Group(tree) => {
                for tree in &tree.items {
                    self.import(tree, path.clone());
                }
            }
            _ => self.contents().named.push(path), // a glob
        }
    }

    fn bind(&mut self, mut path: Vec<String>, ident: &str, rename: Option<String>) {
        if ident != "self" {
            path.push(ident.to_owned());
        }
        let name = rename.or_else(|| path.last().cloned()).unwrap();
        self.contents().named.push(path.clone());
        self.contents().bound.insert(name, path);
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            _ => &Vec::new(),
        };
        if !attributes.iter().any(is_of_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.content.is_some() {
            let inline = child(&self.module, &item.ident.to_string());
            let file = self.contents().file.clone();
            let contents = Contents {
                file,
                ..Contents::default()
            };
            self.source.modules.insert(inline.clone(), contents);
            let outer = std::mem::replace(&mut self.module, inline);
            visit::visit_item_mod(self, item);
            self.module = outer;
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.import(&item.tree, Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        let named = segments.map(|segment| segment.ident.to_string()).collect();
        self.contents().named.push(named);
        visit::visit_path(self, path);
    }
}

/// `#[cfg(test)]`.
fn is_of_tests(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute
            .parse_args::<syn::Path>()
            .is_ok_and(|path| path.is_ident("test"))
}

/// `base/inner.rs` is `base::inner`; `lib.rs` and `mod.rs` are the folder's own.
fn module(file: &str) -> Module {
    let path = file.trim_end_matches(".rs").split('/');
    path.filter(|name| !matches!(*name, "lib" | "mod"))
        .map(str::to_owned)
        .collect()
}

fn child(module: &Module, name: &str) -> Module {
    let mut child = module.clone();
    child.push(name.trim_start_matches("r#").to_owned());
    child
}

fn parent(module: &Module) -> Module {
    module[..module.len().saturating_sub(1)].to_vec()
}

/// The Rust files under a folder, without those of unit tests.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
    found
}

/// Holds entry points until their classes have taken them over.
const LEAVING: &str = "trampoline";

/// Which module depends on which, each with a place that shows it.
struct Graph {
    arrows: BTreeMap<(String, String), String>,
}

impl Graph {
    fn of(source: &Source) -> Self {
        let mut arrows = BTreeMap::new();
        for (module, contents) in &source.modules {
            let Some(from) = node(source, module).filter(|from| from != LEAVING) else {
                continue; // the crate's root only lists and exports
            };
            for path in &contents.named {
                let target = source.resolve(module, path);
                let Some(to) = target.and_then(|target| node(source, &target)) else {
                    continue;
                };
                // What `runtime/mod.rs` exports of its files is no dependency of theirs.
                if from != to && !to.starts_with(&format!("{from}::")) {
                    let place = format!("`{}` in {}", path.join("::"), contents.file);
                    arrows.entry((from.clone(), to)).or_insert(place);
                }
            }
        }
        Self { arrows }
    }

    fn has(&self, from: &str, to: &str) -> bool {
        self.arrows.contains_key(&(from.to_owned(), to.to_owned()))
    }

    /// The arrows that point up.
    fn upward(&self) -> String {
        let mut text = String::new();
        for ((from, to), place) in &self.arrows {
            if layer(from) != layer(to) && !may_use(from)(to) {
                writeln!(text, "{from} -> {to}: {place}").unwrap();
            }
        }
        text
    }

    fn reaches(&self, from: &str) -> BTreeSet<&str> {
        let (mut reached, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(at) = open.pop() {
            for (_, to) in self.arrows.keys().filter(|(from, _)| *from == at) {
                if reached.insert(to.as_str()) {
                    open.push(to.clone());
                }
            }
        }
        reached
    }

    /// The groups of nodes that reach each other.
    fn cycles(&self) -> Vec<Vec<&str>> {
        let mut cycles = Vec::<Vec<&str>>::new();
        for (node, _) in self.arrows.keys() {
            let reached = self.reaches(node);
            if !reached.contains(node.as_str()) || cycles.iter().any(|c| c.contains(&node.as_str()))
            {
                continue;
            }
            let back = |other: &&&str| self.reaches(other).contains(node.as_str());
            cycles.push(reached.iter().filter(back).copied().collect());
        }
        cycles
    }

    /// The arrows inside of each cycle.
    fn draw(&self, cycles: &[Vec<&str>]) -> String {
        let mut text = String::new();
        for cycle in cycles {
            writeln!(text, "these depend on each other: {}", cycle.join(", ")).unwrap();
            for ((from, to), place) in &self.arrows {
                if cycle.contains(&from.as_str()) && cycle.contains(&to.as_str()) {
                    writeln!(text, "    {from} -> {to}: {place}").unwrap();
                }
            }
        }
        text
    }
}

/// The node that a module belongs to.
fn node(source: &Source, module: &Module) -> Option<String> {
    let top = module.first()?;
    match (top.as_str(), module.get(1)) {
        ("runtime" | "native", Some(file)) => {
            let is_file = source.modules.contains_key(&module[..2]);
            Some(if is_file {
                format!("{top}::{file}")
            } else {
                top.clone()
            })
        }
        _ => Some(top.clone()),
    }
}
