//! Where the updates of the stream are, by their ids.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::app::hub::ids::Ids;
use crate::app::hub::message::Position;

/// The last entries of the stream, as far as they may still be in it.
#[derive(Debug)]
pub(super) struct Index {
    limit: usize,
    entries: VecDeque<Entry>,
    ids: Ids,
}

/// An entry that has an update.
#[derive(Debug)]
struct Entry {
    at: (u64, u64), // its position, in words: aligned like a `Position`, it would take more memory
    size: u32,      // what its update takes of a subscriber's queue
    id: Rc<str>,
}

impl Entry {
    fn position(&self) -> Position {
        let (upper, lower) = self.at;
        Position::from(upper) << 64 | Position::from(lower)
    }
}

impl Index {
    /// An empty index of at most `limit` entries.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            entries: VecDeque::new(),
            ids: Ids::default(),
        }
    }

    /// Adds an entry after all others, whose update takes so much of a subscriber's queue. Returns the
    /// update's id.
    pub(super) fn push(&mut self, position: Position, id: String, size: usize) -> Rc<str> {
        let id: Rc<str> = id.into();
        self.ids.add(Rc::clone(&id), position);
        let added = Rc::clone(&id);
        self.entries.push_back(Entry {
            at: ((position >> 64) as u64, position as u64),
            size: u32::try_from(size).unwrap_or(u32::MAX),
            id,
        });
        if self.entries.len() > self.limit
            && let Some(first) = self.entries.pop_front()
        {
            self.ids.remove_first(&first.id);
        }
        added
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.limit);
    }

    /// The position of the update with that id.
    pub(super) fn find(&self, id: &str) -> Option<Position> {
        self.ids.find(id).map(|(_, position)| position)
    }

    /// Whether there was an update at that position.
    pub(super) fn has(&self, position: Position) -> bool {
        let found = self
            .entries
            .binary_search_by_key(&position, Entry::position);
        found.is_ok()
    }

    /// The sizes of the updates after a position.
    pub(super) fn sizes(&self, behind: Position) -> impl Iterator<Item = usize> {
        let first = self
            .entries
            .partition_point(|entry| entry.position() <= behind);
        self.entries.range(first..).map(|entry| entry.size as usize)
    }

    /// The id of the last update; empty without one.
    pub(super) fn last_id(&self) -> &str {
        self.entries.back().map_or("", |last| &last.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_entries_are_found_by_id_and_position() {
        let mut index = Index::new(3);
        assert_eq!(
            (index.last_id(), index.find("a"), index.has(0)),
            ("", None, false)
        );
        for (position, id) in [(10, "a"), (20, "b"), (30, "a"), (40, "c")] {
            index.push(position, id.to_owned(), 10);
        }
        assert_eq!(index.find("a"), Some(30), "the first one is too old");
        assert_eq!(index.find("b"), Some(20));
        assert_eq!((index.find("c"), index.last_id()), (Some(40), "c"));
        assert_eq!(
            [10, 20, 25, 40].map(|at| index.has(at)),
            [false, true, false, true]
        );
        assert_eq!(
            [0, 20, 30, 40].map(|behind| index.sizes(behind).sum::<usize>()),
            [30, 20, 10, 0]
        );
        index.clear();
        assert_eq!(
            (index.last_id(), index.find("b"), index.has(40)),
            ("", None, false)
        );
    }
}
