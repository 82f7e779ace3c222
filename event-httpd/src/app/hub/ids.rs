//! Finds updates by their ids.

use std::collections::HashMap;
use std::rc::Rc;

use super::message::Position;

/// The ids of the updates that are kept. Publishers choose ids, so several updates may have the
/// same one: the first that is kept counts.
#[derive(Debug, Default)]
pub(super) struct Ids {
    first: HashMap<Rc<str>, Position>,
    repeated: usize, // updates whose id an earlier one has
}

impl Ids {
    /// Adds an update behind all others.
    pub(super) fn add(&mut self, id: Rc<str>, position: Position) {
        if *self.first.entry(id).or_insert(position) != position {
            self.repeated += 1;
        }
    }

    /// Removes the first update, which has that id. `next` finds the next one with the same id.
    pub(super) fn remove_first(
        &mut self,
        id: Rc<str>,
        next: impl FnOnce(&Rc<str>) -> Option<Position>,
    ) {
        self.first.remove(&id); // the first update is the first with its id
        if self.repeated > 0
            && let Some(position) = next(&id)
        {
            self.repeated -= 1;
            self.first.insert(id, position);
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
        self.repeated
    }
}
