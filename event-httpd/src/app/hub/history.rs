//! The last updates, in the order of all.

use std::collections::VecDeque;
use std::rc::Rc;

use super::framed;
use super::ids::Ids;
use super::message::{From, Page, PageEnd, Position};
use crate::buffer::Buffer;
use crate::config::HistoryLimits;

/// A page ends with the update that makes it this long.
const PAGE_BYTES: usize = 256 << 10;

/// How long pages are: a reader that has not read its page must not be cut off for that.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageSize {
    most: usize,
}

impl PageSize {
    /// Pages of which each fits into an empty queue, and leaves room for what comes besides it.
    pub(super) fn for_queue(max_queue: usize) -> Self {
        Self {
            most: max_queue / 2,
        }
    }

    /// How many updates the next page has: at least one. `None` for all. The sizes are what they
    /// take of a queue.
    pub(super) fn count(self, sizes: impl IntoIterator<Item = usize>) -> Option<usize> {
        let mut bytes = 0;
        for (count, size) in sizes.into_iter().enumerate() {
            let is_complete = bytes >= PAGE_BYTES || bytes + size > self.most;
            if count > 0 && is_complete {
                return Some(count);
            }
            bytes += size;
        }
        None
    }
}

/// What an update takes besides its message and its id.
const OVERHEAD: usize = 160;

/// The updates that are kept. When there are too many, the first go.
#[derive(Debug)]
pub(super) struct History {
    limits: HistoryLimits,
    page: PageSize,
    entries: VecDeque<Entry>,
    first: Position, // of the first entry, or of the next update when there is none
    bytes: usize,
    ids: Ids,
}

#[derive(Debug)]
struct Entry {
    id: Rc<str>,
    message: Rc<Buffer>,
    framed: usize, // what it takes of a subscriber's queue
}

impl Entry {
    fn size(&self) -> usize {
        self.message.len() + self.id.len() + OVERHEAD
    }
}

impl History {
    pub(super) fn new(limits: HistoryLimits, page: PageSize) -> Self {
        Self {
            limits,
            page,
            entries: VecDeque::new(),
            first: 1,
            bytes: 0,
            ids: Ids::default(),
        }
    }

    /// The position of the last update.
    fn last(&self) -> Position {
        self.first + position(self.entries.len()) - 1
    }

    /// The id of the last update that is kept; empty without one.
    pub(super) fn last_id(&self) -> &str {
        self.entries.back().map_or("", |entry| &entry.id)
    }

    /// Keeps an update with the message that brings it to workers.
    pub(super) fn push(&mut self, id: &str, message: Rc<Buffer>) {
        let id: Rc<str> = id.into();
        let entry = Entry {
            id: Rc::clone(&id),
            framed: framed::length(&message),
            message,
        };
        self.bytes += entry.size();
        self.entries.push_back(entry);
        self.ids.add(id, self.last());
        while self.entries.len() > self.limits.updates || self.bytes > self.limits.bytes {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        let Some(entry) = self.entries.pop_front() else {
            return;
        };
        self.bytes -= entry.size();
        self.first += 1;
        self.ids.remove_first(&entry.id);
    }

    /// The next page, and the messages of its updates.
    pub(super) fn page(&self, from: &From) -> (Page<'_>, impl Iterator<Item = &Rc<Buffer>>) {
        let (after, anchor) = match from {
            From::Latest => (self.last(), ""),
            From::Earliest => (self.first - 1, ""),
            From::Position(position) => (*position, ""),
            From::After(id) => match self.ids.find(id) {
                Some((id, position)) => (position, id),
                None => (self.first - 1, ""),
            },
        };
        let gap = after + 1 < self.first;
        let start = (after + 1).saturating_sub(self.first);
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let count = if gap {
            0
        } else {
            let sizes = self.entries.iter().skip(start).map(|entry| entry.framed);
            let rest = self.entries.len().saturating_sub(start);
            self.page.count(sizes).unwrap_or(rest)
        };
        let position = after + position(count);
        let page = Page {
            count,
            end: match position {
                _ if gap => PageEnd::Gap,
                position if position < self.last() => PageEnd::More,
                _ => PageEnd::Complete,
            },
            position,
            anchor,
        };
        let messages = self.entries.iter().skip(start).take(count);
        (page, messages.map(|entry| &entry.message))
    }
}

/// A number of updates, as a distance of positions.
fn position(count: usize) -> Position {
    Position::try_from(count).unwrap_or(Position::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn history(updates: usize, bytes: usize) -> History {
        let page = PageSize::for_queue(4 << 20);
        History::new(HistoryLimits { updates, bytes }, page)
    }

    fn push(history: &mut History, id: &str, length: usize) {
        let mut text = id.as_bytes().to_vec();
        text.resize(length.max(id.len()), b'.');
        history.push(id, Buffer::uncounted(text));
    }

    /// The ids of all pages, the anchor, and how the last page ended.
    fn all(history: &History, from: From) -> (Vec<String>, String, PageEnd) {
        let (page, messages) = history.page(&from);
        let anchor = page.anchor.to_owned();
        let name = |message: &Rc<Buffer>| {
            let text = str::from_utf8(message).unwrap();
            text.trim_end_matches('.').to_owned()
        };
        let mut ids: Vec<_> = messages.map(name).collect();
        let mut end = (page.end, page.position);
        while end.0 == PageEnd::More {
            let from = From::Position(end.1);
            let (page, messages) = history.page(&from);
            ids.extend(messages.map(name));
            end = (page.end, page.position);
        }
        (ids, anchor, end.0)
    }

    fn after(id: &str) -> From {
        From::After(id.to_owned())
    }

    #[test]
    fn a_page_begins_behind_the_known_id_and_else_with_the_first() {
        let mut history = history(3, 1 << 20);
        assert_eq!(
            all(&history, From::Earliest),
            (vec![], String::new(), PageEnd::Complete)
        );
        for id in ["a", "b", "c", "d"] {
            push(&mut history, id, 1);
        }
        let ids = |from| {
            let (ids, anchor, end) = all(&history, from);
            assert_eq!(end, PageEnd::Complete);
            (ids.concat(), anchor)
        };
        let anchored = |ids: &str, anchor: &str| (ids.to_owned(), anchor.to_owned());
        assert_eq!(ids(From::Earliest), anchored("bcd", ""));
        assert_eq!(ids(after("b")), anchored("cd", "b"));
        assert_eq!(ids(after("d")), anchored("", "d"));
        assert_eq!(ids(after("a")), anchored("bcd", ""), "no longer kept");
        assert_eq!(ids(after("x")), anchored("bcd", ""), "never published");
    }

    #[test]
    fn of_updates_with_the_same_id_the_first_that_is_kept_counts() {
        let mut history = history(4, 1 << 20);
        for id in ["a", "b", "a", "c", "a"] {
            push(&mut history, id, 1);
        }
        assert_eq!(all(&history, after("a")).0.concat(), "ca");
        push(&mut history, "d", 1);
        push(&mut history, "e", 1);
        assert_eq!(all(&history, after("a")).0.concat(), "de");
        push(&mut history, "f", 1);
        assert_eq!(all(&history, after("a")).0.concat(), "def");
        push(&mut history, "g", 1);
        assert_eq!(all(&history, after("a")).0.concat(), "defg", "none is kept");
        assert_eq!(history.ids.repeated(), 0);
    }

    #[test]
    fn a_repeated_id_does_not_make_the_others_costly() {
        const KEPT: usize = 50_000;
        let mut history = history(KEPT, 1 << 30);
        let begin = Instant::now();
        for n in 0..2 * KEPT {
            push(&mut history, &n.to_string(), 1);
            if n == KEPT {
                push(&mut history, "again", 1);
                push(&mut history, "again", 1);
            }
        }
        // A look at all the others for each takes a minute.
        assert!(begin.elapsed() < Duration::from_secs(10));
        assert_eq!((history.ids.len(), history.ids.repeated()), (KEPT, 0));
    }

    #[test]
    fn long_updates_make_the_first_go_and_pages_end_early() {
        let mut history = history(100, 1 << 20);
        for n in 0..10 {
            push(&mut history, &n.to_string(), 200 << 10);
        }
        let (ids, _, end) = all(&history, From::Earliest);
        assert_eq!((ids.concat(), end), ("56789".to_owned(), PageEnd::Complete));
        let (page, _) = history.page(&From::Earliest);
        assert_eq!((page.count, page.end), (2, PageEnd::More));
        push(&mut history, "huge", 2 << 20);
        assert_eq!(all(&history, From::Earliest).0, Vec::<String>::new());
        assert_eq!((history.bytes, history.ids.len()), (0, 0));
    }

    #[test]
    fn a_page_has_fewer_updates_where_they_are_longer_in_the_queue() {
        let limits = HistoryLimits {
            updates: 100,
            bytes: 1 << 20,
        };
        let mut history = History::new(limits, PageSize::for_queue(42_000));
        for text in ["x", "\n", "\u{1}"] {
            for _ in 0..10 {
                history.push("1", Buffer::uncounted(text.repeat(1000).into()));
            }
        }
        let counts = [0, 10, 20].map(|after| history.page(&From::Position(after)).0.count);
        assert_eq!(counts, [11, 2, 3]);
    }

    #[test]
    fn a_page_is_no_longer_than_half_of_a_short_queue_but_has_an_update() {
        let page = PageSize::for_queue(2000);
        assert_eq!(page.count([500, 500, 1]), Some(2));
        assert_eq!(page.count([500, 501]), Some(1));
        assert_eq!(page.count([1500, 1]), Some(1));
        assert_eq!(page.count([500, 500]), None);
        assert_eq!(page.count([]), None);
    }

    #[test]
    fn a_reader_whose_next_update_is_gone_learns_of_the_gap() {
        let mut history = history(2, 1 << 20);
        push(&mut history, "a", 1);
        let (page, _) = history.page(&From::Earliest);
        let position = page.position;
        for id in ["b", "c"] {
            push(&mut history, id, 1);
        }
        let ids = |history: &History| all(history, From::Position(position)).0.concat();
        assert_eq!(ids(&history), "bc", "nothing is missing yet");
        push(&mut history, "d", 1);
        let from = From::Position(position);
        let (page, messages) = history.page(&from);
        assert_eq!((page.end, messages.count()), (PageEnd::Gap, 0));
    }

    #[test]
    fn a_history_of_nothing_still_counts_positions() {
        let mut history = history(0, 1 << 20);
        push(&mut history, "a", 1);
        push(&mut history, "b", 1);
        let from = after("a");
        let (page, _) = history.page(&from);
        assert_eq!(
            (page.count, page.end, page.position),
            (0, PageEnd::Complete, 2)
        );
    }
}
