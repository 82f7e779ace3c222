//! Finds updates by their ids.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use super::message::Position;

/// The ids of the updates that are kept. Publishers choose ids, so several updates may have the
/// same one: the first that is kept counts.
#[derive(Debug, Default)]
pub(super) struct Ids {
    first: HashMap<Rc<str>, Position>,
    /// The later updates with the same id, in their order.
    later: HashMap<Rc<str>, VecDeque<Position>>,
}

impl Ids {
    /// Adds an update after all others.
    pub(super) fn add(&mut self, id: Rc<str>, position: Position) {
        match self.first.entry(id) {
            Entry::Vacant(first) => {
                first.insert(position);
            }
            Entry::Occupied(first) => {
                let later = self.later.entry(Rc::clone(first.key()));
                later.or_default().push_back(position);
            }
        }
    }

    /// Removes the first update, which has that id.
    pub(super) fn remove_first(&mut self, id: &str) {
        let later = self.later.get_mut(id);
        let Some(next) = later.and_then(VecDeque::pop_front) else {
            self.first.remove(id); // the first update is the first with its id
            return;
        };
        if let Some(first) = self.first.get_mut(id) {
            *first = next;
        }
        if self.later.get(id).is_some_and(VecDeque::is_empty) {
            self.later.remove(id);
        }
    }

    /// The first update with that id.
    pub(super) fn find(&self, id: &str) -> Option<(&str, Position)> {
        let (id, position) = self.first.get_key_value(id)?;
        Some((id, *position))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.first.len()
    }

    #[cfg(test)]
    pub(super) fn repeated(&self) -> usize {
        self.later.values().map(VecDeque::len).sum()
    }
}
