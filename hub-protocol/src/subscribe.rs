//! What a subscriber asks for.

use std::sync::Arc;

use crate::matcher::CompileBudget;
use crate::text::is_clean;
use crate::update::EARLIEST;
use crate::{Form, Forms, Matcher, MatcherCache, MatcherKind, Refusal, form};

/// Where a subscriber wants to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LastEventId {
    /// With the first update that the hub still has.
    Earliest,
    /// After the update with this id.
    After(String),
}

/// A request to subscribe.
#[derive(Debug)]
pub struct Request {
    /// What the subscriber wants to receive; at least one matcher, each once.
    pub matchers: Vec<Arc<Matcher>>,
    /// Where it wants to begin, when not with the next update.
    pub last_event_id: Option<LastEventId>,
    /// The forms that the request uses. An answer has the response field of each:
    /// `Last-Event-ID` (deployed) and `Mercure-Last-Event-ID` (standard).
    pub forms: Forms,
}

/// Reads the query of a subscriber's `GET` and its `Last-Event-ID` field.
///
/// `query` is what follows the question mark. At most `matchers_max` matchers are taken.
/// The field takes precedence over the query.
///
/// # Errors
/// 400 for a missing, malformed or unknown matcher, for too many of them, and for a last event id
/// with a control or format character, whether it counts or not.
///
/// # Examples
/// ```
/// use hub_protocol::{Forms, HubUrl, MatcherCache, subscribe};
///
/// let matchers = MatcherCache::new(HubUrl::default(), 2048);
/// let request = subscribe::parse(
///     b"topic=https%3A%2F%2Fexample.com%2Fbooks%2F%7Bid%7D&lastEventID=earliest",
///     None,
///     Forms::default(),
///     100,
///     &matchers,
/// )?;
/// assert_eq!(request.matchers[0].text(), "https://example.com/books/{id}");
/// assert_eq!(request.last_event_id, Some(subscribe::LastEventId::Earliest));
/// # Ok::<(), hub_protocol::Refusal>(())
/// ```
pub fn parse(
    query: &[u8],
    last_event_id: Option<&[u8]>,
    forms: Forms,
    matchers_max: usize,
    matchers: &MatcherCache,
) -> Result<Request, Refusal> {
    let mut request = Request {
        matchers: Vec::new(),
        last_event_id: last_event_id.map(from_field).transpose()?.flatten(),
        forms: Forms {
            deployed: false,
            standard: false,
        },
    };
    let in_field = request.last_event_id.is_some();
    let mut in_query = None;
    let mut count = 0;
    let mut budget = CompileBudget::default();
    for pair in form::pairs(query) {
        let (name, value) = pair?;
        match parameter(&name, forms)? {
            Parameter::Matcher(form, kind) => {
                // Equal ones count: each costs a look-up.
                count += 1;
                if count > matchers_max {
                    return Err(Refusal::bad(format!("more than {matchers_max} matchers")));
                }
                let matcher = matchers.get_within(kind, &value, &mut budget)?;
                if !request
                    .matchers
                    .iter()
                    .any(|known| Arc::ptr_eq(known, &matcher))
                {
                    request.matchers.push(matcher);
                }
                request.forms.add(form);
            }
            Parameter::LastEventId(form) => {
                let id = from_text(&value)?;
                // The standard form's parameter counts where both are there.
                if in_query.is_none() || form == Form::Standard {
                    in_query = id.or(in_query);
                }
            }
            Parameter::Authorization | Parameter::Other => {}
        }
    }
    if request.matchers.is_empty() {
        return Err(Refusal::bad(match forms {
            Forms {
                standard: false, ..
            } => "the parameter \"topic\" is missing",
            Forms {
                deployed: false, ..
            } => "the parameter \"match\" is missing",
            _ => "the parameters \"match\" and \"topic\" are missing",
        }));
    }
    if !in_field {
        request.last_event_id = in_query;
    }
    Ok(request)
}

/// The token in the query of a subscriber's `GET`, which only the deployed form has. Nothing else of
/// it is looked at: whoever may not subscribe costs no more.
///
/// # Examples
/// ```
/// use hub_protocol::{Forms, subscribe};
///
/// let query = b"topic=*&authorization=e30.e30.e30";
/// assert_eq!(subscribe::token(query, Forms::default()).as_deref(), Some("e30.e30.e30"));
/// ```
#[must_use]
pub fn token(query: &[u8], forms: Forms) -> Option<String> {
    let is_token = |name: &str| matches!(parameter(name, forms), Ok(Parameter::Authorization));
    form::pairs(query)
        .filter_map(Result::ok)
        .find_map(|(name, value)| is_token(&name).then_some(value))
}

impl Forms {
    fn add(&mut self, form: Form) {
        match form {
            Form::Deployed => self.deployed = true,
            Form::Standard => self.standard = true,
        }
    }
}

enum Parameter {
    Matcher(Form, MatcherKind),
    LastEventId(Form),
    Authorization,
    Other,
}

fn parameter(name: &str, forms: Forms) -> Result<Parameter, Refusal> {
    let reserved = name
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case("match"));
    if reserved && forms.standard {
        let kind = match name.strip_prefix("match") {
            Some("") => Some(MatcherKind::Exact),
            Some(suffix) => suffix.strip_prefix('_').and_then(MatcherKind::from_name),
            None => None,
        };
        return match kind {
            Some(kind) => Ok(Parameter::Matcher(Form::Standard, kind)),
            None => Err(Refusal::bad(format!(
                "{name:?} is not a matcher type of this hub: it has match, match_exact and match_urlpattern"
            ))),
        };
    }
    Ok(match name {
        "topic" if forms.deployed => Parameter::Matcher(Form::Deployed, MatcherKind::UriTemplate),
        "lastEventID" if forms.deployed => Parameter::LastEventId(Form::Deployed),
        "last_event_id" if forms.standard => Parameter::LastEventId(Form::Standard),
        "authorization" if forms.deployed => Parameter::Authorization,
        _ => Parameter::Other,
    })
}

/// The value of the field; an empty one is the same as none.
fn from_field(value: &[u8]) -> Result<Option<LastEventId>, Refusal> {
    let value = str::from_utf8(value.trim_ascii())
        .map_err(|_| Refusal::bad("the field Last-Event-ID is not valid UTF-8"))?;
    from_text(value)
}

fn from_text(value: &str) -> Result<Option<LastEventId>, Refusal> {
    if !is_clean(value) {
        return Err(Refusal::bad(
            "the last event id has a control or format character",
        ));
    }
    Ok(match value {
        "" => None,
        EARLIEST => Some(LastEventId::Earliest),
        _ => Some(LastEventId::After(value.to_owned())),
    })
}

#[cfg(test)]
mod tests;
