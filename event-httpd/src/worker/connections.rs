//! The open connections by their numbers, oldest first.
//!
//! Streams are numbered in the order in which they are accepted, so a new connection comes after
//! all others. The place of one that has left stays empty until it is the first or the last one, or
//! until most places are empty.

use std::collections::VecDeque;
use std::rc::Rc;

/// This many places may be empty, besides as many as are taken.
const EMPTY_MAX: usize = 64;

/// What is open, each under its number.
#[derive(Debug)]
pub(super) struct Numbered<T> {
    places: VecDeque<(u64, Option<Rc<T>>)>, // in ascending order, the first and the last not empty
    open: usize,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self {
            places: VecDeque::new(),
            open: 0,
        }
    }
}

impl<T> Numbered<T> {
    pub(super) fn len(&self) -> usize {
        self.open
    }

    pub(super) fn get(&self, number: u64) -> Option<&Rc<T>> {
        self.places.get(self.find(number)?)?.1.as_ref()
    }

    /// All of them with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Rc<T>)> {
        self.iter_from(0)
    }

    /// Those from that number on.
    pub(super) fn iter_from(&self, number: u64) -> impl Iterator<Item = (u64, &Rc<T>)> {
        let at = self.places.partition_point(|(other, _)| *other < number);
        let places = self.places.range(at..);
        places.filter_map(|(number, one)| Some((*number, one.as_ref()?)))
    }

    /// Adds one under a number that was not used before.
    pub(super) fn insert(&mut self, number: u64, one: Rc<T>) {
        self.open += 1;
        let is_last = self.places.back().is_none_or(|(last, _)| *last < number);
        if is_last {
            return self.places.push_back((number, Some(one)));
        }
        let at = self.places.partition_point(|(other, _)| *other < number);
        self.places.insert(at, (number, Some(one)));
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Rc<T>> {
        let at = self.find(number)?;
        let one = self.places.get_mut(at)?.1.take()?;
        self.open -= 1;
        while let Some((_, None)) = self.places.front() {
            self.places.pop_front();
        }
        while let Some((_, None)) = self.places.back() {
            self.places.pop_back();
        }
        if self.places.len() > 2 * self.open + EMPTY_MAX {
            self.places.retain(|(_, one)| one.is_some());
            self.places.shrink_to(2 * self.open);
        }
        Some(one)
    }

    pub(super) fn into_all(self) -> Vec<Rc<T>> {
        let places = self.places.into_iter();
        places.filter_map(|(_, one)| one).collect()
    }

    fn find(&self, number: u64) -> Option<usize> {
        let found = self
            .places
            .binary_search_by_key(&number, |(other, _)| *other);
        found.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn whatever_comes_and_goes_it_holds_what_a_map_holds() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut numbered = Numbered::default();
        let mut map = BTreeMap::new();
        let mut next = 0;
        for step in 0..20_000 {
            // Grows, shrinks to little, and changes in between.
            let grows = step % 5000 < 2500;
            if grows == (random.u8(0..8) > 0) {
                next += random.u64(1..4);
                numbered.insert(next, Rc::new(next));
                map.insert(next, next);
            } else {
                let number = random.u64(0..=next);
                let removed = numbered.remove(number).map(|one| *one);
                assert_eq!(removed, map.remove(&number));
                let oldest = map.first_key_value().map(|(number, _)| *number);
                if let Some(oldest) = oldest.filter(|_| random.bool()) {
                    assert_eq!(numbered.remove(oldest).map(|one| *one), map.remove(&oldest));
                }
            }
            let number = random.u64(0..=next);
            assert_eq!(
                numbered.get(number).map(|one| **one),
                map.get(&number).copied()
            );
            assert!(numbered.places.len() <= 2 * map.len() + EMPTY_MAX);
            if step % 100 == 0 {
                let all = numbered.iter().map(|(number, one)| (number, **one));
                assert!(all.eq(map.iter().map(|(number, one)| (*number, *one))));
                let rest = numbered.iter_from(number).map(|(number, _)| number);
                assert!(rest.eq(map.range(number..).map(|(number, _)| *number)));
            }
            assert_eq!(numbered.len(), map.len());
        }
    }

    #[test]
    fn the_places_of_those_that_left_are_given_up() {
        let mut numbered = Numbered::default();
        for number in 0..1000 {
            numbered.insert(number, Rc::new(number));
        }
        for number in 1..999 {
            numbered.remove(number);
        }
        assert!(numbered.places.len() <= 2 * 2 + EMPTY_MAX);
        assert!(numbered.get(0).is_some() && numbered.get(999).is_some());
    }

    #[test]
    fn a_number_that_comes_late_stands_in_its_place() {
        let mut numbered = Numbered::default();
        for number in [5, 9, 7, 1] {
            numbered.insert(number, Rc::new(number));
        }
        let numbers = numbered.iter().map(|(number, _)| number);
        assert_eq!(numbers.collect::<Vec<_>>(), [1, 5, 7, 9]);
        assert_eq!(numbered.get(7).map(|one| **one), Some(7));
    }
}
