//! Topic matchers: which topics a subscriber asks for, and which a token allows.

mod uri_template;
mod url_pattern;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

use regex_automata::meta::{self, BuildError, Regex};
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::util::syntax;

use crate::text::is_clean;
use crate::{HubUrl, Refusal, Topic};
use uri_template::UriTemplate;
use url_pattern::UrlPattern;

/// The text that matches every topic, whatever the kind of the matcher.
pub const EVERYTHING: &str = "*";

/// The most bytes that one compiled expression may take. Long patterns stay below it; nested
/// counted repetitions, `((a{100}){100}){100}`, do not.
const COMPILED_MAX: usize = 128 * 1024;

/// The limits under which an expression is compiled, one after the other, until it fits: most
/// take one or two kilobytes, and none costs much more than it takes.
const COMPILED_STEPS: [usize; 3] = [4 * 1024, 32 * 1024, COMPILED_MAX];

/// The most bytes of [`COMPILED_STEPS`] that the expressions of one request may use: 384
/// ordinary ones, or nine of the largest.
const COMPILED_REQUEST_MAX: usize = 1536 * 1024;

/// The most bytes that one expression's lazily built automaton may take.
const SEARCH_CACHE_MAX: usize = 64 * 1024;

/// How a matcher's text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MatcherKind {
    /// The topic equals the text byte by byte (`match`, `match_exact`).
    Exact,
    /// The topic is an expansion of the text as a URI template (RFC 6570), or equals it
    /// (`topic`, the deployed form).
    UriTemplate,
    /// The text is a URL pattern of the WHATWG standard (`match_urlpattern`).
    UrlPattern,
}

impl MatcherKind {
    /// The name of the matcher type in the standard form; the deployed form has no names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::UriTemplate => "uritemplate",
            Self::UrlPattern => "urlpattern",
        }
    }

    /// The matcher type that the standard form calls `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "exact" => Some(Self::Exact),
            "urlpattern" => Some(Self::UrlPattern),
            _ => None,
        }
    }
}

/// Why a text is not a matcher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MatcherError {
    /// It is empty.
    #[error("the matcher is empty")]
    Empty,
    /// It is longer than the hub allows.
    #[error("the matcher is longer than {0} bytes")]
    TooLong(usize),
    /// It has control or format characters, which topics must not have.
    #[error("the matcher has a control or format character")]
    Character,
    /// It is not a URI template.
    #[error("the matcher is not a valid URI template: {0}")]
    UriTemplate(&'static str),
    /// It is not a URL pattern.
    #[error("the matcher is not a valid URL pattern: {0}")]
    UrlPattern(String),
    /// The matchers of the request together compile to more than the hub allows.
    #[error("the matchers together have too many or too large expressions")]
    Budget,
    /// It compiles to more than the hub allows, or needs an engine that is not linear.
    #[error("the matcher has an expression that is too large or not supported")]
    Expression,
}

impl From<MatcherError> for Refusal {
    fn from(error: MatcherError) -> Self {
        Self::bad(error.to_string())
    }
}

/// A compiled matcher.
///
/// Matching takes time linear in the length of the topic.
///
/// # Examples
/// ```
/// use hub_protocol::{HubUrl, Matcher, MatcherKind};
///
/// let hub = HubUrl::default();
/// let books = Matcher::new(MatcherKind::UriTemplate, "https://example.com/books/{id}", &hub)?;
/// assert!(books.matches(&hub.topic("https://example.com/books/1")));
/// assert!(!books.matches(&hub.topic("https://example.com/books/1/pages")));
/// # Ok::<(), hub_protocol::matcher::MatcherError>(())
/// ```
#[derive(Debug)]
pub struct Matcher {
    kind: MatcherKind,
    text: Box<str>,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Everything,
    Equal,
    UriTemplate(UriTemplate),
    UrlPattern(Box<UrlPattern>),
}

impl Matcher {
    /// Compiles `text`. Relative URL patterns are resolved against `hub`.
    ///
    /// # Errors
    /// When the text is not valid for its kind, or costs too much.
    pub fn new(kind: MatcherKind, text: &str, hub: &HubUrl) -> Result<Self, MatcherError> {
        let mut compiler = Compiler {
            expressions: &mut Expressions::default(),
            budget: &mut CompileBudget::default(),
        };
        Self::with(kind, text, hub, &mut compiler)
    }

    fn with(
        kind: MatcherKind,
        text: &str,
        hub: &HubUrl,
        compiler: &mut Compiler<'_>,
    ) -> Result<Self, MatcherError> {
        if text.is_empty() {
            return Err(MatcherError::Empty);
        }
        if !is_clean(text) {
            return Err(MatcherError::Character);
        }
        let test = match kind {
            _ if text == EVERYTHING => Test::Everything,
            MatcherKind::Exact => Test::Equal,
            MatcherKind::UriTemplate => match UriTemplate::new(text, compiler)? {
                Some(template) => Test::UriTemplate(template),
                None => Test::Equal,
            },
            MatcherKind::UrlPattern => {
                Test::UrlPattern(Box::new(UrlPattern::new(text, hub, compiler)?))
            }
        };
        Ok(Self {
            kind,
            text: text.into(),
            test,
        })
    }

    /// How the text is read.
    #[must_use]
    pub fn kind(&self) -> MatcherKind {
        self.kind
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the matcher is `*`.
    #[must_use]
    pub fn matches_everything(&self) -> bool {
        matches!(self.test, Test::Everything)
    }

    /// Whether the matcher selects `topic`.
    #[must_use]
    pub fn matches(&self, topic: &Topic<'_>) -> bool {
        #[cfg(test)]
        EVALUATIONS.set(EVALUATIONS.get() + 1);
        match &self.test {
            Test::Everything => true,
            Test::Equal => topic.as_str() == &*self.text,
            Test::UriTemplate(template) => {
                topic.as_str() == &*self.text || template.matches(&self.text, topic.as_str())
            }
            Test::UrlPattern(pattern) => topic.url().is_some_and(|url| pattern.matches(url)),
        }
    }

    /// Where an index keeps the matcher.
    pub(crate) fn place(&self) -> Place<'_> {
        match &self.test {
            Test::Everything => Place::Everything,
            Test::Equal => Place::Equal,
            Test::UriTemplate(template) => Place::UriTemplate(template.affixes(&self.text)),
            Test::UrlPattern(pattern) => Place::UrlPattern(pattern.affixes()),
        }
    }
}

/// Where an index keeps a matcher.
pub(crate) enum Place<'a> {
    Everything,
    Equal,
    UriTemplate((&'a str, &'a str)),
    UrlPattern((&'a str, &'a str)),
}

/// The key under which an index of URL patterns looks for a topic: every affix of a pattern is
/// an affix of it.
pub(crate) use url_pattern::index_key;

/// Compiles an expression for an engine that is linear, within bounds.
///
/// Classes such as `\w` are ASCII, as in URL patterns, so that the result is small. Expressions
/// that need Unicode, such as `\p{L}`, get it.
///
/// Nobody asks what a group has matched. With groups, the crate `regex` would also build an automaton
/// of up to 1 MiB, which no limit of its own bounds.
fn compile(expression: &str, size: usize) -> Result<Regex, Box<BuildError>> {
    let build = |unicode| {
        let config = meta::Config::new()
            .which_captures(WhichCaptures::Implicit)
            .onepass(false)
            .nfa_size_limit(Some(size))
            .hybrid_cache_capacity(SEARCH_CACHE_MAX)
            .utf8_empty(false);
        let syntax = syntax::Config::new()
            .unicode(unicode)
            .utf8(false)
            .nest_limit(64);
        meta::Builder::new()
            .configure(config)
            .syntax(syntax)
            .build(expression)
            .map_err(Box::new)
    };
    match build(false) {
        Err(error) if error.syntax_error().is_some() => build(true),
        built => built,
    }
}

/// How much the matchers of one request may still compile.
///
/// One matcher is bounded by itself; a request has many of them.
#[derive(Debug)]
pub struct CompileBudget {
    left: usize,
}

impl Default for CompileBudget {
    /// Enough for the matchers of any ordinary request.
    fn default() -> Self {
        Self {
            left: COMPILED_REQUEST_MAX,
        }
    }
}

impl CompileBudget {
    fn compile(&mut self, expression: &str) -> Result<Regex, MatcherError> {
        for size in COMPILED_STEPS {
            self.left = self.left.checked_sub(size).ok_or(MatcherError::Budget)?;
            match compile(expression, size) {
                Err(error) if error.size_limit().is_some() => {}
                compiled => return compiled.map_err(|_| MatcherError::Expression),
            }
        }
        Err(MatcherError::Expression)
    }
}

/// Makes the expressions of a matcher.
struct Compiler<'a> {
    expressions: &'a mut Expressions,
    budget: &'a mut CompileBudget,
}

impl Compiler<'_> {
    fn get(&mut self, expression: &str) -> Result<Arc<Regex>, MatcherError> {
        let compiled = || self.budget.compile(expression);
        self.expressions.0.get(expression.into(), compiled)
    }
}

/// Compiled expressions, shared while a matcher uses them.
///
/// An expression takes kilobytes, and matchers that differ only in plain text have the same:
/// `/users/1/{id}` and `/users/2/{id}`.
#[derive(Debug, Default)]
struct Expressions(Shared<Box<str>, Regex>);

/// Values that are shared while somebody uses them.
#[derive(Debug)]
struct Shared<K, V> {
    values: HashMap<K, Weak<V>>,
    /// When there are this many entries, unused ones are removed.
    sweep_at: usize,
}

impl<K, V> Default for Shared<K, V> {
    fn default() -> Self {
        Self {
            values: HashMap::new(),
            sweep_at: SWEEP_MIN,
        }
    }
}

/// The least number of entries at which unused ones are removed.
const SWEEP_MIN: usize = 64;

impl<K: Eq + std::hash::Hash, V> Shared<K, V> {
    /// The value under `key`, made if it is not in use yet.
    fn get<E>(&mut self, key: K, make: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, E> {
        if let Some(value) = self.values.get(&key).and_then(Weak::upgrade) {
            return Ok(value);
        }
        let value = Arc::new(make()?);
        if self.values.len() >= self.sweep_at {
            self.values.retain(|_, value| value.strong_count() > 0);
            self.sweep_at = (self.values.len() * 2).max(SWEEP_MIN);
        }
        self.values.insert(key, Arc::downgrade(&value));
        Ok(value)
    }
}

/// Compiled matchers, shared while somebody uses them.
///
/// Subscribers ask for the same few patterns over and over, and their tokens repeat them.
#[derive(Debug)]
pub struct MatcherCache {
    hub: HubUrl,
    text_max: usize,
    matchers: RefCell<Shared<(MatcherKind, Box<str>), Matcher>>,
    expressions: RefCell<Expressions>,
}

impl MatcherCache {
    /// An empty cache for matchers of at most `text_max` bytes.
    #[must_use]
    pub fn new(hub: HubUrl, text_max: usize) -> Self {
        Self {
            hub,
            text_max,
            matchers: RefCell::default(),
            expressions: RefCell::default(),
        }
    }

    /// The hub that relative patterns and topics refer to.
    #[must_use]
    pub fn hub(&self) -> &HubUrl {
        &self.hub
    }

    /// The matcher of that kind and text, compiled if it is not in use yet.
    ///
    /// # Errors
    /// As [`Matcher::new`], and for a text that is too long.
    pub fn get(&self, kind: MatcherKind, text: &str) -> Result<Arc<Matcher>, MatcherError> {
        self.get_within(kind, text, &mut CompileBudget::default())
    }

    /// As [`get`](Self::get), for one of several matchers that share a budget.
    ///
    /// # Errors
    /// As [`get`](Self::get), and when the budget is used up.
    pub fn get_within(
        &self,
        kind: MatcherKind,
        text: &str,
        budget: &mut CompileBudget,
    ) -> Result<Arc<Matcher>, MatcherError> {
        if text.len() > self.text_max {
            return Err(MatcherError::TooLong(self.text_max));
        }
        self.matchers.borrow_mut().get((kind, text.into()), || {
            let mut compiler = Compiler {
                expressions: &mut self.expressions.borrow_mut(),
                budget,
            };
            Matcher::with(kind, text, &self.hub, &mut compiler)
        })
    }
}

#[cfg(test)]
thread_local! {
    static EVALUATIONS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// How many matchers this thread has compared with a topic.
#[cfg(test)]
pub(crate) fn evaluations() -> usize {
    EVALUATIONS.get()
}

#[cfg(test)]
mod tests;
