//! What `#[php]` makes of the item below it.

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

use crate::arguments::Arguments;

/// The item with the prose and the aliases among its attributes, and `CALL` in its body.
pub(crate) fn expand(arguments: &Arguments, item: TokenStream) -> TokenStream {
    let (attributes, rest) = split(item);
    let at = prose_place(&attributes);
    let mut expanded = Vec::new();
    for (n, attribute) in attributes.iter().enumerate() {
        if n == at {
            expanded.extend(prose(arguments, at < attributes.len()));
        }
        expanded.extend(attribute.iter().cloned());
    }
    if at == attributes.len() {
        expanded.extend(prose(arguments, false));
    }
    let name = function_name(&rest);
    // rustdoc refuses an alias that is the item's own name.
    for alias in arguments
        .aliases()
        .filter(|alias| name.as_deref() != Some(alias))
    {
        expanded.extend(attribute(alias_tokens(alias)));
    }
    expanded.extend(with_call(arguments, rest));
    expanded.into_iter().collect()
}

/// The name after `fn`.
fn function_name(item: &[TokenTree]) -> Option<String> {
    let at = item.iter().position(|token| token.to_string() == "fn")?;
    Some(item.get(at + 1)?.to_string())
}

/// The item's attributes, one by one, and what follows them.
fn split(item: TokenStream) -> (Vec<Vec<TokenTree>>, Vec<TokenTree>) {
    let mut attributes = Vec::new();
    let mut tokens = item.into_iter().peekable();
    while let Some(TokenTree::Punct(hash)) = tokens.peek() {
        if hash.as_char() != '#' {
            break;
        }
        attributes.push(tokens.by_ref().take(2).collect());
    }
    (attributes, tokens.collect())
}

/// The index of the first doc line that is a heading or begins a code block, or the end of the
/// docs.
fn prose_place(attributes: &[Vec<TokenTree>]) -> usize {
    let docs = attributes.iter().map(|attribute| doc_line(attribute));
    let mut end = 0;
    for (n, doc) in docs.enumerate() {
        match doc {
            Some(line) if line.starts_with(" # ") || line.starts_with(" ```") => return n,
            Some(_) => end = n + 1,
            None => {}
        }
    }
    end
}

/// The text of `#[doc = "…"]`, which is what `/// …` is.
fn doc_line(attribute: &[TokenTree]) -> Option<String> {
    let [_, TokenTree::Group(group)] = attribute else {
        return None;
    };
    let mut tokens = group.stream().into_iter();
    match (tokens.next()?, tokens.next()?, tokens.next()?) {
        (TokenTree::Ident(doc), TokenTree::Punct(_), TokenTree::Literal(text))
            if doc.to_string() == "doc" =>
        {
            let text = text.to_string();
            Some(text.trim_start_matches('r').trim_matches('"').to_owned())
        }
        _ => None,
    }
}

/// The sentence as a paragraph of its own.
fn prose(arguments: &Arguments, followed: bool) -> Vec<TokenTree> {
    let mut lines = vec![String::new(), format!(" {}", arguments.prose())];
    if followed {
        lines.push(String::new());
    }
    let lines = lines.iter().map(|line| {
        attribute(vec![
            ident("doc"),
            TokenTree::Punct(Punct::new('=', Spacing::Alone)),
            TokenTree::Literal(Literal::string(line)),
        ])
    });
    lines.flatten().collect()
}

/// `doc(alias = "…")`.
fn alias_tokens(alias: &str) -> Vec<TokenTree> {
    let inner = [
        ident("alias"),
        TokenTree::Punct(Punct::new('=', Spacing::Alone)),
        TokenTree::Literal(Literal::string(alias)),
    ];
    let group = Group::new(Delimiter::Parenthesis, inner.into_iter().collect());
    vec![ident("doc"), TokenTree::Group(group)]
}

fn attribute(inner: Vec<TokenTree>) -> Vec<TokenTree> {
    let group = Group::new(Delimiter::Bracket, inner.into_iter().collect());
    vec![
        TokenTree::Punct(Punct::new('#', Spacing::Alone)),
        TokenTree::Group(group),
    ]
}

/// Puts `const CALL` into the body, which is the last pair of braces, if it is used there.
fn with_call(arguments: &Arguments, mut item: Vec<TokenTree>) -> Vec<TokenTree> {
    let Some(call) = arguments.call() else {
        return item;
    };
    if let Some(TokenTree::Group(body)) = item.last_mut()
        && body.delimiter() == Delimiter::Brace
        && uses_call(body.stream())
    {
        let declaration = format!("const CALL: &str = {:?};", call);
        let declaration: TokenStream = declaration.parse().unwrap_or_default();
        let stream = declaration.into_iter().chain(body.stream()).collect();
        let mut with_call = Group::new(Delimiter::Brace, stream);
        with_call.set_span(body.span());
        *body = with_call;
    }
    item
}

fn uses_call(body: TokenStream) -> bool {
    body.into_iter().any(|token| match token {
        TokenTree::Ident(name) => name.to_string() == "CALL",
        TokenTree::Group(group) => uses_call(group.stream()),
        _ => false,
    })
}

fn ident(name: &str) -> TokenTree {
    TokenTree::Ident(Ident::new(name, Span::call_site()))
}
