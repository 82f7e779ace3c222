//! URL patterns: the crate `urlpattern` parses them and makes expressions of them, which run on
//! the crate `regex`, so in linear time.

use std::panic::catch_unwind;
use std::sync::{Arc, OnceLock};

use regex_automata::meta::Regex;
use url::Url;
use urlpattern::matcher::{InnerMatcher, Matcher as Part};
use urlpattern::regexp::RegExp;
use urlpattern::{RegexSyntax, UrlPatternInit, UrlPatternOptions};

use super::{COMPILED_MAX, Compiler, MatcherError, compile};
use crate::HubUrl;

/// A URL pattern, compiled.
#[derive(Debug)]
pub(super) struct UrlPattern {
    /// In the order of [`components`].
    parts: [Part<Expression>; 8],
    prefix: Box<str>,
    suffix: Box<str>,
}

impl UrlPattern {
    pub(super) fn new(
        text: &str,
        hub: &HubUrl,
        compiler: &mut Compiler<'_>,
    ) -> Result<Self, MatcherError> {
        // A panic of the parser on hostile text is an error like any other: version 0.6.0 has one
        // with overflow checks, for `https://]`.
        let pattern = catch_unwind(|| parse(text, hub))
            .map_err(|_| MatcherError::UrlPattern("it is malformed".to_owned()))?
            .map_err(|error| MatcherError::UrlPattern(error.to_string()))?;
        let parts = [
            pattern.protocol,
            pattern.hostname,
            pattern.port,
            pattern.pathname,
            pattern.search,
            pattern.hash,
            pattern.username,
            pattern.password,
        ]
        .map(|component| component.matcher);
        for part in &parts {
            if let InnerMatcher::RegExp { regexp } = &part.inner {
                let regexp = regexp.as_ref().map_err(|_| MatcherError::Expression)?;
                regexp.share(compiler)?;
            }
        }
        let (prefix, suffix) = affixes(&parts);
        Ok(Self {
            parts,
            prefix: prefix.into(),
            suffix: suffix.into(),
        })
    }

    pub(super) fn matches(&self, url: &Url) -> bool {
        let components = components(url);
        self.parts
            .iter()
            .zip(components)
            .all(|(part, component)| part.matches(component).is_some())
    }

    /// What the [`index_key`] of every matching topic begins and ends with.
    pub(super) fn affixes(&self) -> (&str, &str) {
        (&self.prefix, &self.suffix)
    }
}

fn parse(
    text: &str,
    hub: &HubUrl,
) -> Result<urlpattern::UrlPattern<Expression>, urlpattern::Error> {
    let read = UrlPatternInit::parse_constructor_string::<Expression>;
    // Only relative patterns have the hub as their base: the path of an absolute one with another
    // scheme, `urn\:a`, would be joined with the hub's.
    let init = match read(text, None) {
        Err(urlpattern::Error::BaseUrlRequired) => read(text, Some(hub.url().clone())),
        other => other,
    }?;
    urlpattern::UrlPattern::parse(init, UrlPatternOptions::default())
}

/// The components of a URL as patterns see them, those that differ most often first.
fn components(url: &Url) -> [&str; 8] {
    [
        url.scheme(),
        url.host_str().unwrap_or_default(),
        url::quirks::port(url),
        url.path(),
        url.query().unwrap_or_default(),
        url.fragment().unwrap_or_default(),
        url.username(),
        url.password().unwrap_or_default(),
    ]
}

/// Scheme, host, port and path of a topic in one text.
pub(crate) fn index_key(url: &Url) -> String {
    let [scheme, host, port, path, ..] = components(url);
    [scheme, "://", host, ":", port, "|", path].concat()
}

/// The literal beginning and end of the [`index_key`] of matching topics.
fn affixes(parts: &[Part<Expression>; 8]) -> (String, String) {
    let [scheme, host, port, path, ..] = parts;
    let mut prefix = String::new();
    for (part, separator) in [(scheme, "://"), (host, ":"), (port, "|")] {
        let InnerMatcher::Literal { literal } = &part.inner else {
            prefix.push_str(&part.prefix);
            return (prefix, path_suffix(path));
        };
        prefix.push_str(literal);
        prefix.push_str(separator);
    }
    match &path.inner {
        InnerMatcher::Literal { literal } => prefix.push_str(literal),
        _ => prefix.push_str(&path.prefix),
    }
    (prefix, path_suffix(path))
}

fn path_suffix(path: &Part<Expression>) -> String {
    match path.inner {
        InnerMatcher::Literal { .. } => String::new(),
        _ => path.suffix.clone(),
    }
}

/// An expression that is compiled when it is needed.
///
/// A pattern has two for each component, of which most are wildcards or plain text, for which
/// `urlpattern` needs none.
#[derive(Debug)]
pub(super) struct Expression {
    text: String,
    compiled: OnceLock<Option<Arc<Regex>>>,
}

impl Expression {
    /// Takes the compiled expression that other matchers with the same text use.
    fn share(&self, compiler: &mut Compiler<'_>) -> Result<(), MatcherError> {
        let shared = compiler.get(&self.text)?;
        // The parser may have compiled that of the scheme, to compare it with known schemes.
        let _ = self.compiled.set(Some(shared));
        Ok(())
    }

    fn compiled(&self) -> Option<&Regex> {
        self.compiled
            .get_or_init(|| compile(&self.text, COMPILED_MAX).ok().map(Arc::new))
            .as_deref()
    }
}

impl RegExp for Expression {
    fn syntax() -> RegexSyntax {
        RegexSyntax::Rust
    }

    fn parse(pattern: &str, _flags: &str, _force_eval: bool) -> Result<Self, ()> {
        Ok(Self {
            text: pattern.to_owned(),
            compiled: OnceLock::new(),
        })
    }

    /// Without the groups, which nobody asks for.
    fn matches<'a>(&self, text: &'a str) -> Option<Vec<Option<&'a str>>> {
        self.compiled()?.is_match(text.as_bytes()).then(Vec::new)
    }

    fn pattern_string(&self) -> &str {
        &self.text
    }
}
