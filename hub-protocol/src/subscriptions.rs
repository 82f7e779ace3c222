//! Who receives an update: an index from topics to subscribers.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::matcher::{Place, index_key};
use crate::{Matcher, MatcherKind, Topic};

/// The most bytes of a pattern's literal beginning and end that the index uses. They bound the
/// number of shapes, and so the number of look-ups for one topic.
const PREFIX_MAX: usize = 96;
const SUFFIX_MAX: usize = 16;

/// The matchers of all subscribers, from which the receivers of an update are found.
///
/// `K` identifies a subscriber. A topic that subscribers name exactly costs one look-up by
/// hash. Patterns are grouped: equal ones are evaluated once, and only those whose literal
/// beginning and end fit the topic.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use hub_protocol::{HubUrl, Matcher, MatcherKind, Subscriptions};
///
/// let hub = HubUrl::default();
/// let book = Arc::new(Matcher::new(MatcherKind::Exact, "https://example.com/books/1", &hub)?);
/// let books = Arc::new(Matcher::new(MatcherKind::UrlPattern, "https://example.com/books/:id", &hub)?);
///
/// let mut subscriptions = Subscriptions::new();
/// subscriptions.insert(7, &book);
/// subscriptions.insert(7, &books);
/// subscriptions.insert(8, &books);
///
/// let mut receivers = Vec::new();
/// subscriptions.matching(&[hub.topic("https://example.com/books/1")], &mut receivers);
/// assert_eq!(receivers, [7, 8]);
/// # Ok::<(), hub_protocol::matcher::MatcherError>(())
/// ```
#[derive(Debug)]
pub struct Subscriptions<K> {
    /// `*`, by kind.
    everything: HashMap<MatcherKind, BTreeSet<K>>,
    /// Texts that match only themselves, of the kinds `Exact` and `UriTemplate`.
    exact: HashMap<Box<str>, BTreeSet<K>>,
    plain_templates: HashMap<Box<str>, BTreeSet<K>>,
    /// By the topic's text.
    uri_templates: Patterns<K>,
    /// By [`index_key`].
    url_patterns: Patterns<K>,
    len: usize,
}

impl<K> Default for Subscriptions<K> {
    fn default() -> Self {
        Self {
            everything: HashMap::new(),
            exact: HashMap::new(),
            plain_templates: HashMap::new(),
            uri_templates: Patterns::default(),
            url_patterns: Patterns::default(),
            len: 0,
        }
    }
}

impl<K: Copy + Ord> Subscriptions<K> {
    /// An empty index.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many subscriptions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a matcher of the subscriber `key`; false when it has an equal one already.
    pub fn insert(&mut self, key: K, matcher: &Arc<Matcher>) -> bool {
        let keys = match matcher.place() {
            Place::Everything => self.everything.entry(matcher.kind()).or_default(),
            Place::Equal => self
                .equal(matcher.kind())
                .entry(matcher.text().into())
                .or_default(),
            Place::UriTemplate(affixes) => self.uri_templates.keys(affixes, matcher),
            Place::UrlPattern(affixes) => self.url_patterns.keys(affixes, matcher),
        };
        let new = keys.insert(key);
        self.len += usize::from(new);
        new
    }

    /// Removes a matcher of the subscriber `key`; false when it has no equal one.
    pub fn remove(&mut self, key: K, matcher: &Matcher) -> bool {
        let removed = match matcher.place() {
            Place::Everything => remove(&mut self.everything, &matcher.kind(), key),
            Place::Equal => remove(self.equal(matcher.kind()), matcher.text(), key),
            Place::UriTemplate(affixes) => self.uri_templates.remove(affixes, matcher.text(), key),
            Place::UrlPattern(affixes) => self.url_patterns.remove(affixes, matcher.text(), key),
        };
        self.len -= usize::from(removed);
        removed
    }

    fn equal(&mut self, kind: MatcherKind) -> &mut HashMap<Box<str>, BTreeSet<K>> {
        match kind {
            MatcherKind::UriTemplate => &mut self.plain_templates,
            _ => &mut self.exact,
        }
    }

    /// Puts the subscribers with a matcher for at least one of `topics` into `receivers`, each
    /// once, in ascending order.
    pub fn matching(&self, topics: &[Topic<'_>], receivers: &mut Vec<K>) {
        receivers.clear();
        let mut groups = 0;
        let mut add = |keys: &BTreeSet<K>| {
            receivers.extend(keys);
            groups += 1;
        };
        self.everything.values().for_each(&mut add);
        for topic in topics {
            let text = topic.as_str();
            self.exact.get(text).into_iter().for_each(&mut add);
            self.plain_templates
                .get(text)
                .into_iter()
                .for_each(&mut add);
            self.uri_templates.matching(topic, text, &mut add);
            if !self.url_patterns.shapes.is_empty()
                && let Some(url) = topic.url()
            {
                self.url_patterns.matching(topic, &index_key(url), &mut add);
            }
        }
        if groups > 1 {
            receivers.sort_unstable();
            receivers.dedup();
        }
    }
}

/// Removes `key` from the set under `name`, and the set when it is empty.
fn remove<Q, N, K>(sets: &mut HashMap<N, BTreeSet<K>>, name: &Q, key: K) -> bool
where
    N: std::borrow::Borrow<Q> + Eq + std::hash::Hash,
    Q: Eq + std::hash::Hash + ?Sized,
    K: Ord,
{
    let Some(keys) = sets.get_mut(name) else {
        return false;
    };
    let removed = keys.remove(&key);
    if keys.is_empty() {
        sets.remove(name);
    }
    removed
}

/// Patterns, by the literal beginning and end that all their topics share.
#[derive(Debug)]
struct Patterns<K> {
    shapes: HashMap<Shape, HashMap<Box<str>, Bucket<K>>>,
}

/// The patterns with the same beginning and end, by their text.
type Bucket<K> = HashMap<Box<str>, Group<K>>;

/// How many bytes of a topic's beginning and end select a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Shape {
    prefix: usize,
    suffix: usize,
}

/// The subscribers with one pattern.
#[derive(Debug)]
struct Group<K> {
    matcher: Arc<Matcher>,
    keys: BTreeSet<K>,
}

impl<K> Default for Patterns<K> {
    fn default() -> Self {
        Self {
            shapes: HashMap::new(),
        }
    }
}

impl<K: Copy + Ord> Patterns<K> {
    fn keys(&mut self, affixes: (&str, &str), matcher: &Arc<Matcher>) -> &mut BTreeSet<K> {
        let (shape, affixes) = Shape::of(affixes);
        let bucket = self.shapes.entry(shape).or_default();
        let group = bucket.entry(affixes).or_default();
        &mut group
            .entry(matcher.text().into())
            .or_insert_with(|| Group {
                matcher: Arc::clone(matcher),
                keys: BTreeSet::new(),
            })
            .keys
    }

    fn remove(&mut self, affixes: (&str, &str), text: &str, key: K) -> bool {
        let (shape, affixes) = Shape::of(affixes);
        let Entry::Occupied(mut buckets) = self.shapes.entry(shape) else {
            return false;
        };
        let Some(bucket) = buckets.get_mut().get_mut(&affixes) else {
            return false;
        };
        let Some(group) = bucket.get_mut(text) else {
            return false;
        };
        let removed = group.keys.remove(&key);
        if group.keys.is_empty() {
            bucket.remove(text);
        }
        if bucket.is_empty() {
            buckets.get_mut().remove(&affixes);
        }
        if buckets.get().is_empty() {
            buckets.remove();
        }
        removed
    }

    /// Calls `add` with the subscribers of each pattern that matches.
    fn matching(&self, topic: &Topic<'_>, name: &str, add: &mut impl FnMut(&BTreeSet<K>)) {
        let mut affixes = String::new();
        for (shape, buckets) in &self.shapes {
            if !shape.cut(name, &mut affixes) {
                continue;
            }
            let groups = buckets
                .get(affixes.as_str())
                .into_iter()
                .flat_map(HashMap::values);
            for group in groups {
                if group.matcher.matches(topic) {
                    add(&group.keys);
                }
            }
        }
    }
}

impl Shape {
    /// The shape for a pattern with these affixes, and the key of its bucket.
    fn of((prefix, suffix): (&str, &str)) -> (Self, Box<str>) {
        let mut shape = Self {
            prefix: prefix.len().min(PREFIX_MAX),
            suffix: suffix.len().min(SUFFIX_MAX),
        };
        // `urlpattern` escapes other characters than ASCII; nothing here relies on it.
        while !prefix.is_char_boundary(shape.prefix) {
            shape.prefix -= 1;
        }
        while !suffix.is_char_boundary(suffix.len() - shape.suffix) {
            shape.suffix -= 1;
        }
        let (prefix, _) = prefix.split_at(shape.prefix);
        let (_, suffix) = suffix.split_at(suffix.len() - shape.suffix);
        (shape, [prefix, suffix].concat().into())
    }

    /// Puts the beginning and end of `name` into `affixes`; false when it is too short.
    fn cut(self, name: &str, affixes: &mut String) -> bool {
        let start = name
            .len()
            .checked_sub(self.suffix)
            .filter(|&at| at >= self.prefix);
        let prefix = name.get(..self.prefix);
        let suffix = start.and_then(|at| name.get(at..));
        let (Some(prefix), Some(suffix)) = (prefix, suffix) else {
            return false;
        };
        affixes.clear();
        affixes.push_str(prefix);
        affixes.push_str(suffix);
        true
    }
}

#[cfg(test)]
mod tests;
