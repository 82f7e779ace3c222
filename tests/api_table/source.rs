//! What the crate makes public, read from its source with `syn`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, Expr, ImplItem, Item as Code, Lit, Meta, Type, UseTree, Visibility};

/// A public item: `Event::add`, `Event::READ`, `Event::Serialize` for a trait, `LoopEnd::Stop`
/// for a variant, or `Event` itself.
#[derive(Clone)]
pub(crate) struct Item {
    /// Its file, as `src/event.rs`.
    pub(crate) file: String,
    /// Its documentation, line by line.
    pub(crate) docs: String,
    /// The foreign names that rustdoc's search finds it by.
    pub(crate) aliases: Vec<String>,
    /// Whether it is not an item of its own but a trait that a type implements.
    is_trait: bool,
}

/// The items by their path; types by the names under which `lib.rs` exports them.
pub(crate) struct Source(BTreeMap<String, Vec<Item>>);

type Found = BTreeMap<String, Vec<Item>>;

impl Source {
    pub(crate) fn read(root: &Path) -> Self {
        let mut found = Found::new();
        for path in files(&root.join("src")) {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let mut file = File {
                name,
                found: &mut found,
            };
            parse(&path).items.iter().for_each(|item| file.item(item));
        }
        Self(exported(&parse(&root.join("src/lib.rs")), found))
    }

    pub(crate) fn get(&self, path: &str) -> &[Item] {
        self.0.get(path).map_or(&[], Vec::as_slice)
    }

    /// Whether this path names a trait that a type implements.
    pub(crate) fn is_trait(&self, path: &str) -> bool {
        self.get(path).iter().any(|item| item.is_trait)
    }

    /// The paths of what a class has of its own: methods, constants, variants.
    pub(crate) fn members(&self, class: &str) -> impl Iterator<Item = &str> {
        let prefix = format!("{class}::");
        let paths = self.0.keys().map(String::as_str);
        paths.filter(move |path| path.starts_with(&prefix) && !self.is_trait(path))
    }
}

/// The Rust files under a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

pub(crate) fn parse(path: &Path) -> syn::File {
    let text = fs::read_to_string(path).unwrap();
    syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text of doc comments, a line for each.
pub(crate) fn docs(attributes: &[Attribute]) -> String {
    let lines = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
                Expr::Lit(text) => match &text.lit {
                    Lit::Str(text) => Some(text.value() + "\n"),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        });
    lines.collect()
}

/// The names in `#[doc(alias = "…")]` and in `#[php("…", c = "…")]`.
fn aliases(attributes: &[Attribute]) -> Vec<String> {
    let lists = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::List(list) if list.path.is_ident("doc") || list.path.is_ident("php") => {
                Some(list.tokens.clone())
            }
            _ => None,
        });
    lists.flat_map(texts).collect()
}

/// The string literals among some tokens.
fn texts(tokens: TokenStream) -> Vec<String> {
    let texts = tokens.into_iter().flat_map(|token| match token {
        TokenTree::Group(group) => texts(group.stream()),
        TokenTree::Literal(literal) => match Lit::new(literal) {
            Lit::Str(text) => vec![text.value()],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    });
    texts.collect()
}

/// A file whose items are being collected.
struct File<'a> {
    name: String,
    found: &'a mut Found,
}

impl File<'_> {
    fn add(&mut self, path: String, attributes: &[Attribute]) {
        self.push(path, attributes, false);
    }

    fn push(&mut self, path: String, attributes: &[Attribute], is_trait: bool) {
        let file = self.name.clone();
        let (docs, aliases) = (docs(attributes), aliases(attributes));
        let item = Item {
            file,
            docs,
            aliases,
            is_trait,
        };
        self.found.entry(path).or_default().push(item);
    }

    fn item(&mut self, item: &Code) {
        match item {
            Code::Struct(item) if is_public(&item.vis) => {
                self.derived(&item.ident.to_string(), &item.attrs);
                self.add(item.ident.to_string(), &item.attrs);
            }
            Code::Enum(item) if is_public(&item.vis) => {
                let name = item.ident.to_string();
                self.derived(&name, &item.attrs);
                for variant in &item.variants {
                    self.add(format!("{name}::{}", variant.ident), &variant.attrs);
                }
                self.add(name, &item.attrs);
            }
            Code::Fn(item) if is_public(&item.vis) => {
                self.add(item.sig.ident.to_string(), &item.attrs);
            }
            Code::Const(item) if is_public(&item.vis) => {
                self.add(item.ident.to_string(), &item.attrs);
            }
            Code::Impl(item) => self.implementation(item),
            Code::Macro(item) => self.invocation(&item.mac),
            _ => {}
        }
    }

    fn derived(&mut self, name: &str, attributes: &[Attribute]) {
        let lists = attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("derive"));
        for list in lists {
            list.parse_nested_meta(|meta| {
                let derived = meta.path.segments.last().unwrap().ident.to_string();
                self.push(format!("{name}::{derived}"), &[], true);
                Ok(())
            })
            .unwrap();
        }
    }

    fn implementation(&mut self, item: &syn::ItemImpl) {
        let Some(class) = type_name(&item.self_ty) else {
            return;
        };
        if let Some((_, implemented, _)) = &item.trait_ {
            let implemented = &implemented.segments.last().unwrap().ident;
            return self.push(format!("{class}::{implemented}"), &[], true);
        }
        for member in &item.items {
            match member {
                ImplItem::Fn(member) if is_public(&member.vis) => {
                    self.add(format!("{class}::{}", member.sig.ident), &member.attrs);
                }
                ImplItem::Const(member) if is_public(&member.vis) => {
                    self.add(format!("{class}::{}", member.ident), &member.attrs);
                }
                _ => {}
            }
        }
    }

    /// `class_consts!(Event: EventFlags { READ = READ, … })`, and the types that other macros
    /// of the crate define.
    fn invocation(&mut self, invocation: &syn::Macro) {
        let tokens: Vec<TokenTree> = invocation.tokens.clone().into_iter().collect();
        if invocation.path.is_ident("class_consts") {
            let (Some(class), Some(TokenTree::Group(list))) = (tokens.first(), tokens.last())
            else {
                panic!("class_consts! of another form in {}", self.name);
            };
            let class = class.to_string();
            for name in names_before_equals(list.stream()) {
                self.add(format!("{class}::{name}"), &[]);
            }
        } else {
            self.types_in(&tokens);
        }
    }

    /// Types, and the constants in their braces, in a macro's own syntax: attributes, then
    /// `pub struct Name … { const NAME = …; }`.
    fn types_in(&mut self, tokens: &[TokenTree]) {
        let mut attributes = TokenStream::new();
        let mut tokens = tokens.iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Punct(hash) if hash.as_char() == '#' => {
                    attributes.extend([token.clone()]);
                    attributes.extend(tokens.next().cloned());
                }
                TokenTree::Ident(word) if word == "struct" || word == "enum" => {
                    let Some(TokenTree::Ident(name)) = tokens.next() else {
                        continue;
                    };
                    let parsed = quoted(&attributes);
                    self.derived(&name.to_string(), &parsed);
                    self.add(name.to_string(), &parsed);
                    attributes = TokenStream::new();
                }
                TokenTree::Ident(word) if word == "pub" => {}
                _ => attributes = TokenStream::new(),
            }
        }
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn type_name(of: &Type) -> Option<String> {
    match of {
        Type::Path(path) => Some(path.path.segments.last()?.ident.to_string()),
        Type::Reference(reference) => type_name(&reference.elem),
        _ => None,
    }
}

/// The attributes that stand in front of an item.
fn quoted(attributes: &TokenStream) -> Vec<Attribute> {
    let item: TokenStream = "struct Stand;".parse().unwrap();
    let tokens = attributes.clone().into_iter().chain(item).collect();
    syn::parse2::<syn::ItemStruct>(tokens).map_or_else(|_| Vec::new(), |item| item.attrs)
}

/// The names in `NAME = …` of a list.
fn names_before_equals(list: TokenStream) -> Vec<String> {
    let tokens: Vec<TokenTree> = list.into_iter().collect();
    let pairs = tokens.windows(2).filter_map(|pair| match pair {
        [TokenTree::Ident(name), TokenTree::Punct(sign)] if sign.as_char() == '=' => {
            Some(name.to_string())
        }
        _ => None,
    });
    pairs.collect()
}

/// Keeps what `lib.rs` exports, under its public names, and its own constants.
fn exported(lib: &syn::File, items: Found) -> Found {
    let mut public = BTreeMap::<String, Vec<String>>::new();
    for item in &lib.items {
        if let Code::Use(item) = item
            && is_public(&item.vis)
        {
            exports(&item.tree, &mut public);
        }
    }
    let mut found = Found::new();
    for (path, items) in items {
        let (own, rest) = path.split_once("::").unwrap_or((&path, ""));
        let in_lib = items.iter().any(|item| item.file == "src/lib.rs");
        let names = match public.get(own) {
            Some(names) => names.clone(),
            None if in_lib => vec![own.to_owned()],
            None => continue,
        };
        for name in names {
            let path = if rest.is_empty() {
                name
            } else {
                format!("{name}::{rest}")
            };
            found.entry(path).or_default().extend(items.iter().cloned());
        }
    }
    found
}

/// The names that a `pub use` exports, by their own.
fn exports(tree: &UseTree, public: &mut BTreeMap<String, Vec<String>>) {
    match tree {
        UseTree::Path(path) => exports(&path.tree, public),
        UseTree::Group(group) => group.items.iter().for_each(|tree| exports(tree, public)),
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            public.entry(name.clone()).or_default().push(name);
        }
        UseTree::Rename(rename) => {
            let exported = rename.rename.to_string();
            public
                .entry(rename.ident.to_string())
                .or_default()
                .push(exported);
        }
        UseTree::Glob(_) => panic!("lib.rs names what it exports"),
    }
}
