//! URI templates (RFC 6570): whether a string is an expansion of one.

use std::fmt::Write;
use std::sync::Arc;

use regex_automata::meta::Regex;

use super::{Compiler, MatcherError};

/// Bytes of the regular expression for one template. It grows with the square of the number of
/// variables between two braces: 16 of them fit.
const EXPRESSION_MAX: usize = 32 * 1024;

/// A template with at least one expression.
#[derive(Debug)]
pub(super) struct UriTemplate {
    /// For what is between the affixes.
    middle: Arc<Regex>,
    /// Bytes of the plain text before the first expression and after the last one.
    prefix: usize,
    suffix: usize,
}

impl UriTemplate {
    /// Compiles `text`; none when it has no expression, so that it only matches itself.
    pub(super) fn new(
        text: &str,
        compiler: &mut Compiler<'_>,
    ) -> Result<Option<Self>, MatcherError> {
        let mut middle = "^(?:".to_owned();
        let mut rest = text;
        let mut prefix = None;
        while let Some((literal, tail)) = rest.split_once('{') {
            let (body, after) = tail
                .split_once('}')
                .ok_or(MatcherError::UriTemplate("an expression has no end"))?;
            let plain = match prefix {
                None => *prefix.insert(affix_length(literal.chars())),
                Some(_) => 0,
            };
            push_literal(&mut middle, literal.get(plain..).unwrap_or_default())?;
            push_expression(&mut middle, body)?;
            rest = after;
        }
        let suffix = affix_length(rest.chars().rev());
        let (literal, _) = rest.split_at(rest.len() - suffix);
        push_literal(&mut middle, literal)?;
        let Some(prefix) = prefix else {
            return Ok(None);
        };
        middle.push_str(")$");
        Ok(Some(Self {
            middle: compiler.get(&middle)?,
            prefix,
            suffix,
        }))
    }

    /// Whether `topic` is an expansion of the template, whose text is `text`.
    pub(super) fn matches(&self, text: &str, topic: &str) -> bool {
        let (prefix, suffix) = self.affixes(text);
        topic
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_suffix(suffix))
            .is_some_and(|middle| self.middle.is_match(middle.as_bytes()))
    }

    /// What every matching topic begins and ends with.
    pub(super) fn affixes<'a>(&self, text: &'a str) -> (&'a str, &'a str) {
        let suffix = text.len().saturating_sub(self.suffix);
        (
            text.get(..self.prefix).unwrap_or_default(),
            text.get(suffix..).unwrap_or_default(),
        )
    }
}

/// Bytes of literal text that are in every expansion as they are: up to the first character
/// that may be escaped there.
fn affix_length(characters: impl Iterator<Item = char>) -> usize {
    characters.take_while(|&c| is_plain(c)).count()
}

/// Whether a literal is in the expansion as it is (RFC 6570 §3.1).
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c)
}

fn push_literal(expression: &mut String, literal: &str) -> Result<(), MatcherError> {
    for c in literal.chars() {
        let mut bytes = [0; 4];
        let text = c.encode_utf8(&mut bytes);
        match c {
            '}' => return Err(MatcherError::UriTemplate("a } has no {")),
            _ if is_plain(c) => expression.push_str(&regex::escape(text)),
            _ => {
                // Publishers write such characters as they are, or escaped as the RFC has it.
                let _ = write!(expression, "(?:{}|", regex::escape(text));
                for byte in text.bytes() {
                    let _ = write!(expression, "%(?i:{byte:02X})");
                }
                expression.push(')');
            }
        }
    }
    Ok(())
}

/// How the variables of an expression expand (RFC 6570 appendix A).
struct Operator {
    first: &'static str,
    separator: &'static str,
    named: bool,
    /// Whether values keep reserved characters.
    reserved: bool,
}

impl Operator {
    /// The operator at the start of `body`, and what follows it.
    fn split(body: &str) -> Result<(Self, &str), MatcherError> {
        let operator = |first, separator, named, reserved| Self {
            first,
            separator,
            named,
            reserved,
        };
        let known = match body.chars().next() {
            Some('+') => operator("", ",", false, true),
            Some('#') => operator("#", ",", false, true),
            Some('.') => operator(".", ".", false, false),
            Some('/') => operator("/", "/", false, false),
            Some(';') => operator(";", ";", true, false),
            Some('?') => operator("?", "&", true, false),
            Some('&') => operator("&", "&", true, false),
            Some('=' | ',' | '!' | '@' | '|') => {
                return Err(MatcherError::UriTemplate("an operator is reserved"));
            }
            _ => return Ok((operator("", ",", false, false), body)),
        };
        Ok((known, body.get(1..).unwrap_or_default()))
    }

    /// The characters that values have as they are.
    fn plain(&self) -> &'static str {
        if self.reserved {
            r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]"
        } else {
            r"[A-Za-z0-9\-._~]"
        }
    }

    /// What a variable expands to when it has a value.
    fn variable(&self, variable: &Variable<'_>) -> String {
        let character = format!("(?:{}|%[0-9A-Fa-f]{{2}})", self.plain());
        let separator = regex::escape(self.separator);
        let name = regex::escape(variable.name);
        match variable.modifier {
            // A list repeats the name, an associative array has its own.
            Modifier::Explode => {
                let item = format!("{character}*(?:={character}*)?");
                format!("{item}(?:{separator}{item})*")
            }
            // A character is a plain one, or up to four escaped bytes.
            Modifier::Prefix(length) => {
                let plain = self.plain();
                let value = format!("(?:{plain}|(?:%[0-9A-Fa-f]{{2}}){{1,4}}){{0,{length}}}");
                if self.named {
                    format!("{name}(?:={value})?")
                } else {
                    value
                }
            }
            Modifier::None => {
                // Lists and associative arrays are joined with commas.
                let value = format!("(?:{character}|,)*");
                if self.named {
                    format!("{name}(?:={value})?")
                } else {
                    value
                }
            }
        }
    }
}

struct Variable<'a> {
    name: &'a str,
    modifier: Modifier,
}

enum Modifier {
    None,
    Prefix(u16),
    Explode,
}

impl<'a> Variable<'a> {
    fn parse(text: &'a str) -> Result<Self, MatcherError> {
        let (name, modifier) = if let Some(name) = text.strip_suffix('*') {
            (name, Modifier::Explode)
        } else if let Some((name, length)) = text.split_once(':') {
            (name, Modifier::Prefix(prefix_length(length)?))
        } else {
            (text, Modifier::None)
        };
        if !is_name(name) {
            return Err(MatcherError::UriTemplate("a variable's name is not valid"));
        }
        Ok(Self { name, modifier })
    }
}

/// RFC 6570 §2.4.1: 1 to 9999.
fn prefix_length(text: &str) -> Result<u16, MatcherError> {
    let digits = text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(length) if digits && !text.starts_with('0') => Ok(length),
        _ => Err(MatcherError::UriTemplate("a prefix length is not valid")),
    }
}

/// RFC 6570 §2.3: letters, digits, `_` and escapes, with single dots between them.
fn is_name(name: &str) -> bool {
    name.split('.').all(|part| {
        let mut rest = part.as_bytes();
        while let Some((&byte, tail)) = rest.split_first() {
            rest = match (byte, tail) {
                (b'%', [high, low, tail @ ..])
                    if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
                {
                    tail
                }
                (b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z', tail) => tail,
                _ => return false,
            };
        }
        !part.is_empty()
    })
}

fn push_expression(expression: &mut String, body: &str) -> Result<(), MatcherError> {
    let (operator, list) = Operator::split(body)?;
    let variables = list
        .split(',')
        .map(|text| Ok(operator.variable(&Variable::parse(text)?)))
        .collect::<Result<Vec<_>, MatcherError>>()?;
    // Each variable may be undefined; what is left keeps its order and is joined.
    let first = regex::escape(operator.first);
    let separator = regex::escape(operator.separator);
    let mut tail = String::new();
    expression.push_str("(?:");
    for (index, variable) in variables.iter().rev().enumerate() {
        let bar = if index == 0 { "" } else { "|" };
        let _ = write!(expression, "{bar}{first}(?:{variable}){tail}");
        tail = format!("(?:{separator}(?:{variable}))?{tail}");
        if expression.len() > EXPRESSION_MAX {
            return Err(MatcherError::Expression);
        }
    }
    expression.push_str(")?");
    Ok(())
}
