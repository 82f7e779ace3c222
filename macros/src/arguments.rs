//! What is in the parentheses of `#[php(…)]`.

use proc_macro::{Delimiter, Group, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// The parsed parts; see the macro's docs.
#[derive(Default)]
pub(crate) struct Arguments {
    php: Option<String>,
    php_note: String,
    c: Vec<String>,
    c_note: String,
    call: Option<String>,
}

impl Arguments {
    /// The sentence of the docs.
    pub(crate) fn prose(&self) -> String {
        let mut prose = match &self.php {
            Some(name) => format!("PHP: `{name}`{}.", self.php_note),
            None => format!("PHP has no counterpart{}.", self.php_note),
        };
        if !self.c.is_empty() {
            let names: Vec<_> = self.c.iter().map(|name| format!("`{name}`")).collect();
            prose += &format!(" libevent: {}{}.", names.join(", "), self.c_note);
        }
        prose
    }

    /// The names that rustdoc's search finds the item by.
    pub(crate) fn aliases(&self) -> impl Iterator<Item = &str> {
        self.php.iter().chain(&self.c).map(String::as_str)
    }

    /// The name of the call in errors.
    pub(crate) fn call(&self) -> Option<&str> {
        self.call.as_deref().or(self.php.as_deref())
    }
}

/// A mistake in the arguments, and where it is.
pub(crate) struct Mistake {
    message: String,
    span: Span,
}

impl Mistake {
    fn new(message: impl Into<String>, span: Span) -> Self {
        let message = message.into();
        Self { message, span }
    }

    /// `compile_error!("…")` at the place of the mistake.
    pub(crate) fn into_compile_error(self) -> TokenStream {
        let message = TokenTree::Literal(Literal::string(&self.message));
        let tokens = [
            TokenTree::Ident(proc_macro::Ident::new("compile_error", self.span)),
            TokenTree::Punct(Punct::new('!', Spacing::Alone)),
            TokenTree::Group(Group::new(Delimiter::Brace, message.into())),
        ];
        let spanned = tokens.into_iter().map(|mut token| {
            token.set_span(self.span);
            token
        });
        spanned.collect()
    }
}

/// Reads `"Event::add", c = "event_add", …`.
pub(crate) fn parse(arguments: TokenStream) -> Result<Arguments, Mistake> {
    let mut parsed = Arguments::default();
    for argument in split(arguments) {
        match argument.as_slice() {
            [TokenTree::Literal(name)] => parsed.php = Some(text(name)?),
            [TokenTree::Ident(key), TokenTree::Punct(sign), value] if sign.as_char() == '=' => {
                set(&mut parsed, key, value)?;
            }
            [first, ..] => {
                let message = "expected a PHP name in quotes, or `key = \"…\"`";
                return Err(Mistake::new(message, first.span()));
            }
            [] => {}
        }
    }
    if parsed.aliases().next().is_none() && parsed.call.is_none() {
        let message = "give a PHP name, `c = \"…\"` or `call = \"…\"`";
        return Err(Mistake::new(message, Span::call_site()));
    }
    Ok(parsed)
}

fn set(parsed: &mut Arguments, key: &proc_macro::Ident, value: &TokenTree) -> Result<(), Mistake> {
    match key.to_string().as_str() {
        "c" => parsed.c = texts(value)?,
        "c_note" => parsed.c_note = one(value)?,
        "php_note" => parsed.php_note = one(value)?,
        "call" => parsed.call = Some(one(value)?),
        other => {
            let message = format!("unknown key `{other}`: use `c`, `c_note`, `php_note` or `call`");
            return Err(Mistake::new(message, key.span()));
        }
    }
    Ok(())
}

/// The parts between commas.
fn split(arguments: TokenStream) -> Vec<Vec<TokenTree>> {
    let mut parts = vec![Vec::new()];
    for token in arguments {
        match &token {
            TokenTree::Punct(comma) if comma.as_char() == ',' => parts.push(Vec::new()),
            _ => parts
                .last_mut()
                .into_iter()
                .for_each(|part| part.push(token.clone())),
        }
    }
    parts
}

fn texts(value: &TokenTree) -> Result<Vec<String>, Mistake> {
    match value {
        TokenTree::Group(list) if list.delimiter() == Delimiter::Bracket => {
            let items = split(list.stream()).into_iter().flatten();
            items.map(|item| one(&item)).collect()
        }
        _ => one(value).map(|text| vec![text]),
    }
}

fn one(value: &TokenTree) -> Result<String, Mistake> {
    match value {
        TokenTree::Literal(literal) => text(literal),
        other => Err(Mistake::new("expected a text in quotes", other.span())),
    }
}

/// The text of a plain string literal. Names and notes need no escapes.
fn text(literal: &Literal) -> Result<String, Mistake> {
    let written = literal.to_string();
    let inner = written
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) if !inner.contains('\\') => Ok(inner.to_owned()),
        _ => {
            let message = "expected a text in plain quotes, without escapes";
            Err(Mistake::new(message, literal.span()))
        }
    }
}
