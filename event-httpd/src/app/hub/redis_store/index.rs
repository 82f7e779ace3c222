//! Where the updates of the stream are, by their ids.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::app::hub::ids::Ids;
use crate::app::hub::message::Position;

/// The last entries of the stream, as far as they may still be in it.
#[derive(Debug)]
pub(super) struct Index {
    limit: usize,
    entries: VecDeque<(Position, Rc<str>)>,
    ids: Ids,
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

    /// Adds an entry behind all others.
    pub(super) fn push(&mut self, position: Position, id: String) {
        let id: Rc<str> = id.into();
        self.ids.add(Rc::clone(&id), position);
        self.entries.push_back((position, id));
        if self.entries.len() > self.limit
            && let Some((_, id)) = self.entries.pop_front()
        {
            self.ids.remove_first(&id);
        }
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
        let found = self.entries.binary_search_by_key(&position, |(at, _)| *at);
        found.is_ok()
    }

    /// The id of the last update; empty without one.
    pub(super) fn last_id(&self) -> &str {
        self.entries.back().map_or("", |(_, id)| id)
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
            index.push(position, id.to_owned());
        }
        assert_eq!(index.find("a"), Some(30), "the first one is too old");
        assert_eq!(index.find("b"), Some(20));
        assert_eq!((index.find("c"), index.last_id()), (Some(40), "c"));
        assert_eq!(
            [10, 20, 25, 40].map(|at| index.has(at)),
            [false, true, false, true]
        );
        index.clear();
        assert_eq!(
            (index.last_id(), index.find("b"), index.has(40)),
            ("", None, false)
        );
    }
}
