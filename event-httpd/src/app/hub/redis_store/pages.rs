//! Reads the history: parts of the stream, for subscribers that begin in the past.

use super::entries::{self, Entry, text_of};
use super::{Command, Inner, Presence, reconnect};
use crate::app::hub::framed;
use crate::app::hub::history::PageSize;
use crate::app::hub::message::{From, PAGES_UNDER_WAY, Page, PageEnd, Position, Tell, Ticket};
use crate::redis::Value;

/// Entries in one reply.
const PAGE_MAX: usize = 64;

/// A page that was requested from Redis.
pub(super) struct PageAsked {
    ticket: Ticket,
    begin: Begin,
    most: usize,    // entries that it may have
    told: Position, // the last reported position when it was requested
}

/// A look for an update among the entries that this worker has not reported yet.
pub(super) struct Sought {
    ticket: Ticket,
    id: String,
}

/// A subscriber that has an update which this worker has not reported yet: it was connected to
/// another worker before, which is faster. Its page waits until this one has reported it.
pub(super) struct Ahead {
    ticket: Ticket,
    id: String,
    position: Position,
}

/// Where a page begins.
enum Begin {
    /// With the first entry.
    Earliest,
    /// After the entry at this position, which has the update with this id.
    After(Position, String),
    /// After the entry at this position.
    Position(Position),
}

impl Begin {
    fn position(&self) -> Option<Position> {
        match self {
            Self::Earliest => None,
            Self::After(position, _) | Self::Position(position) => Some(*position),
        }
    }
}

impl PageAsked {
    /// The request to repeat.
    fn again(self) -> (Ticket, From) {
        let from = match self.begin {
            Begin::Earliest => From::Earliest,
            Begin::After(_, id) => From::After(id),
            Begin::Position(position) => From::Position(position),
        };
        (self.ticket, from)
    }
}

impl Inner {
    pub(super) fn ask_for_page(&self, ticket: Ticket, from: From) {
        if from == From::Latest && self.presence.get() == Presence::Present {
            return self.tell_latest(ticket);
        }
        self.paging.borrow_mut().insert(ticket, from);
        self.ask_for_pages();
    }

    /// There is nothing to read.
    fn tell_latest(&self, ticket: Ticket) {
        self.tell_page(ticket, &[], PageEnd::Complete, self.told(), "");
    }

    /// Requests pages that wait, if the store is present. Few are under way at a time: subscribers
    /// who want nothing of a long history ask for its pages quickly, and publishers must not wait
    /// for all of them.
    pub(super) fn ask_for_pages(&self) {
        while self.presence.get() == Presence::Present && self.pages_sent.get() < PAGES_UNDER_WAY {
            let next = self.paging.borrow_mut().pop_first();
            let Some((ticket, from)) = next else { return };
            let is_sent = match from {
                From::Latest => {
                    self.tell_latest(ticket);
                    continue;
                }
                From::Earliest | From::Position(0) => self.send_page(ticket, Begin::Earliest),
                From::Position(position) => self.send_page(ticket, Begin::Position(position)),
                From::After(id) => {
                    let position = self.index.borrow().find(&id);
                    match position {
                        Some(position) => self.send_page(ticket, Begin::After(position, id)),
                        None => self.seek(Sought { ticket, id }, self.told()),
                    }
                }
            };
            if !is_sent {
                return; // the connection is lost, and it waits for the next one
            }
        }
    }

    /// The reply to a request has arrived: there is room for the next.
    pub(super) fn one_fewer_under_way(&self) {
        self.pages_sent.update(|sent| sent.saturating_sub(1));
    }

    /// Looks for an update among the entries after a position. False if it has to wait.
    fn seek(&self, sought: Sought, behind: Position) -> bool {
        let next = text_of(behind.saturating_add(1));
        let command = self.range(&next, "+", PAGE_MAX);
        let sent = match self.commands.get() {
            Some(commands) => commands.send(Command::Seek(sought), &command),
            None => Err(Command::Seek(sought)),
        };
        if let Err(Command::Seek(sought)) = sent {
            self.seek_again(sought);
            return false;
        }
        self.pages_sent.update(|sent| sent + 1);
        true
    }

    /// Looks again when the store is present.
    pub(super) fn seek_again(&self, Sought { ticket, id }: Sought) {
        self.paging.borrow_mut().insert(ticket, From::After(id));
    }

    pub(super) fn sought(&self, sought: Sought, value: Value) {
        let entries = match entries::of_range(value) {
            Ok(entries) => entries,
            Err(error) => {
                self.seek_again(sought);
                return reconnect(self.commands.get(), &error.to_string());
            }
        };
        let is_sought = |entry: &&Entry| is_at(entry, entry.position, &sought.id);
        match (entries.iter().find(is_sought), entries.get(PAGE_MAX - 1)) {
            (Some(entry), _) => {
                let position = entry.position;
                let Sought { ticket, id } = sought;
                self.ahead.borrow_mut().push(Ahead {
                    ticket,
                    id,
                    position,
                });
                self.resume_ahead(); // it may have been reported meanwhile
            }
            (None, Some(last)) => {
                self.seek(sought, last.position);
            }
            (None, None) => {
                self.send_page(sought.ticket, Begin::Earliest);
            }
        }
    }

    /// Requests the pages of those who were ahead and are not any more.
    pub(super) fn resume_ahead(&self) {
        let told = self.told();
        let mut ahead = self.ahead.borrow_mut();
        let resumed: Vec<_> = ahead.extract_if(.., |one| one.position <= told).collect();
        drop(ahead);
        for Ahead { ticket, id, .. } in resumed {
            self.ask_for_page(ticket, From::After(id));
        }
    }

    /// Nobody waits for that page any more.
    pub(super) fn forget_ahead(&self, ticket: Ticket) {
        self.ahead.borrow_mut().retain(|one| one.ticket != ticket);
    }

    /// The store may lack what it had: looks for all of them again when it is present.
    pub(super) fn all_ahead_again(&self) {
        for Ahead { ticket, id, .. } in self.ahead.take() {
            self.seek_again(Sought { ticket, id });
        }
    }

    /// Requests the page again when the store is present.
    pub(super) fn page_again(&self, asked: PageAsked) {
        let (ticket, from) = asked.again();
        self.paging.borrow_mut().insert(ticket, from);
    }

    /// Requests a page. False if it has to wait.
    fn send_page(&self, ticket: Ticket, begin: Begin) -> bool {
        // What does not fit into the page is not read: updates may be long.
        let behind = begin.position().unwrap_or_default();
        let most = self.page.count(self.index.borrow().sizes(behind));
        let most = most.map_or(PAGE_MAX, |most| most.min(PAGE_MAX));
        let command = match begin.position() {
            None => self.range("-", "+", most),
            // Reads the entry before the page too: while that exists, no later entry was dropped.
            Some(position) => self.range(&text_of(position), "+", most + 1),
        };
        let told = self.told();
        let asked = PageAsked {
            ticket,
            begin,
            most,
            told,
        };
        let sent = match self.commands.get() {
            Some(commands) => commands.send(Command::Page(asked), &command),
            None => Err(Command::Page(asked)),
        };
        if let Err(Command::Page(asked)) = sent {
            self.page_again(asked);
            return false;
        }
        self.pages_sent.update(|sent| sent + 1);
        true
    }

    pub(super) fn page_arrived(&self, asked: PageAsked, value: Value) {
        let entries = match entries::of_range(value) {
            Ok(entries) => entries,
            Err(error) => {
                self.page_again(asked);
                return reconnect(self.commands.get(), &error.to_string());
            }
        };
        let ticket = asked.ticket;
        let (entries, after, anchor) = match (asked.begin, entries.split_first()) {
            (Begin::Earliest, _) => (&*entries, 0, String::new()),
            (Begin::After(at, id), Some((first, rest))) if is_at(first, at, &id) => (rest, at, id),
            (Begin::After(..), _) => {
                self.send_page(ticket, Begin::Earliest);
                return;
            }
            (Begin::Position(at), Some((first, rest))) if first.position == at => {
                (rest, at, String::new())
            }
            (Begin::Position(at), _) => {
                return self.tell_page(ticket, &[], PageEnd::Gap, at, "");
            }
        };
        let told = self.told();
        let told = (asked.told, told);
        let (count, end, position) = cut(self.page, entries, after, asked.most, told);
        let entries = entries.get(..count).unwrap_or_default();
        self.tell_page(ticket, entries, end, position, &anchor);
    }

    fn tell_page(
        &self,
        ticket: Ticket,
        entries: &[Entry],
        end: PageEnd,
        position: Position,
        anchor: &str,
    ) {
        let updates = entries.iter().filter_map(|entry| entry.content.as_ref());
        let page = Page {
            count: updates.clone().count(),
            end,
            position,
            anchor,
        };
        self.tell(&Tell::Page(ticket, page));
        for content in updates {
            self.tell(&Tell::Update(&content.update));
        }
    }
}

/// Whether it is the entry at that position, with the update with that id.
fn is_at(entry: &Entry, position: Position, id: &str) -> bool {
    let content = entry.content.as_ref();
    entry.position == position && content.is_some_and(|content| content.id == id)
}

/// How many of the entries after `after` form a page of that size, how it ends, and its last
/// position. At `most` so many were requested. The reader had reported everything up to `before`
/// then, and has reported everything up to `told` now. Later entries arrive as new updates.
fn cut(
    page: PageSize,
    entries: &[Entry],
    after: Position,
    most: usize,
    (before, told): (Position, Position),
) -> (usize, PageEnd, Position) {
    let reported = entries.partition_point(|entry| entry.position <= told);
    let sizes = entries.iter().take(reported).map(|entry| {
        let content = entry.content.as_ref();
        content.map_or(0, |content| framed::length(&content.update))
    });
    let count = page.count(sizes).unwrap_or(reported);
    let last = entries.get(..count).and_then(<[Entry]>::last);
    let position = last.map_or(after, |entry| entry.position);
    if count < reported {
        return (count, PageEnd::More, position);
    }
    let is_whole = entries.len() < most; // it reaches the end of the stream
    if count < entries.len() || position >= told || is_whole && before == told {
        (count, PageEnd::Complete, told)
    } else {
        (count, PageEnd::More, position)
    }
}

#[cfg(test)]
mod tests {
    use super::entries::Content;
    use super::*;

    /// The size at which a page of an ordinary queue ends.
    const LONG: usize = 256 << 10;

    fn entries(positions: impl IntoIterator<Item = Position>, size: usize) -> Vec<Entry> {
        let entry = |position| Entry {
            position,
            content: Some(Content {
                id: String::new(),
                update: vec![b'x'; size],
            }),
        };
        positions.into_iter().map(entry).collect()
    }

    fn page() -> PageSize {
        PageSize::for_queue(4 << 20)
    }

    #[test]
    fn a_page_ends_where_the_reader_goes_on() {
        let complete = |count, position| (count, PageEnd::Complete, position);
        let more = |count, position| (count, PageEnd::More, position);
        let few = entries([11, 12, 13], 1);
        assert_eq!(
            cut(page(), &few, 10, PAGE_MAX, (13, 13)),
            complete(3, 13),
            "all is told"
        );
        assert_eq!(
            cut(page(), &few, 10, PAGE_MAX, (11, 12)),
            complete(2, 12),
            "13 follows by itself"
        );
        assert_eq!(
            cut(page(), &few, 10, PAGE_MAX, (10, 10)),
            complete(0, 10),
            "all follow by themselves"
        );
        assert_eq!(
            cut(page(), &few, 10, PAGE_MAX, (13, 15)),
            more(3, 13),
            "14 came behind the page"
        );
        assert_eq!(
            cut(page(), &few, 10, PAGE_MAX, (15, 15)),
            complete(3, 15),
            "14 and 15 are gone"
        );
        assert_eq!(cut(page(), &[], 10, PAGE_MAX, (10, 10)), complete(0, 10));
        assert_eq!(cut(page(), &[], 10, PAGE_MAX, (10, 11)), more(0, 10));
        let max = Position::try_from(PAGE_MAX).unwrap();
        let full = entries(1..=max, 1);
        assert_eq!(
            cut(page(), &full, 0, PAGE_MAX, (max, max)),
            complete(PAGE_MAX, max)
        );
        assert_eq!(
            cut(page(), &full, 0, PAGE_MAX, (900, 900)),
            more(PAGE_MAX, max)
        );
    }

    #[test]
    fn a_short_page_that_is_full_is_not_the_end() {
        let two = entries([11, 12], 1);
        assert_eq!(cut(page(), &two, 10, 2, (13, 13)), (2, PageEnd::More, 12));
        assert_eq!(
            cut(page(), &two, 10, 3, (13, 13)),
            (2, PageEnd::Complete, 13)
        );
        assert_eq!(
            cut(page(), &two, 10, 2, (12, 12)),
            (2, PageEnd::Complete, 12)
        );
    }

    #[test]
    fn long_updates_make_short_pages() {
        let long = entries(1..=10, LONG / 2);
        assert_eq!(
            cut(page(), &long, 0, PAGE_MAX, (10, 10)),
            (2, PageEnd::More, 2)
        );
        assert_eq!(
            cut(page(), &long[8..], 8, PAGE_MAX, (10, 10)),
            (2, PageEnd::Complete, 10)
        );
        let huge = entries([1], LONG * 2);
        assert_eq!(
            cut(page(), &huge, 0, PAGE_MAX, (1, 1)),
            (1, PageEnd::Complete, 1)
        );
    }
}
