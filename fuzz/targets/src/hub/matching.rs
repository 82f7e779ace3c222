//! Which topics a matcher selects, for the matchers that clients choose from.

/// How the text of a matcher is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Exact,
    Template,
    UrlPattern,
}

impl Kind {
    /// Its name in the standard form.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Template => "uritemplate",
            Self::UrlPattern => "urlpattern",
        }
    }

    pub(super) fn is_standard(self) -> bool {
        self != Self::Template
    }

    /// The parameter of a query.
    pub(super) fn parameter(self) -> &'static str {
        match self {
            Self::Exact => "match",
            Self::Template => "topic",
            Self::UrlPattern => "match_urlpattern",
        }
    }
}

/// A matcher. Subscriptions of a subscriber stand in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pattern {
    pub(super) kind: Kind,
    pub(super) text: &'static str,
}

impl Pattern {
    pub(super) const fn new(kind: Kind, text: &'static str) -> Self {
        Self { kind, text }
    }

    pub(super) fn matches(&self, topic: &str) -> bool {
        match self.kind {
            _ if self.text == "*" => true,
            Kind::Exact => topic == self.text,
            Kind::Template => topic == self.text || expands(self.text, topic),
            Kind::UrlPattern => match self.text.split_once(":id") {
                Some((start, _)) => {
                    let id = topic.strip_prefix(start);
                    id.is_some_and(|id| !id.is_empty() && !id.contains(['/', '?', '#']))
                }
                None => topic.starts_with(self.text.trim_end_matches('*')),
            },
        }
    }
}

/// Whether a topic is an expansion of a template whose variables have no operators.
fn expands(template: &str, topic: &str) -> bool {
    let Some((literal, rest)) = template.split_once('{') else {
        return topic == template;
    };
    let (_, template) = rest.split_once('}').expect("an end of the variable");
    let Some(rest) = topic.strip_prefix(literal) else {
        return false;
    };
    let is_value = |c: char| c.is_ascii_alphanumeric() || "-._~%".contains(c);
    let value = rest.find(|c| !is_value(c)).unwrap_or(rest.len());
    (0..=value).any(|end| expands(template, &rest[end..]))
}

/// What stands for a text in the topic of a subscription.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => escaped += &format!("%{byte:02X}"),
        }
    }
    escaped
}
