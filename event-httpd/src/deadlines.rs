//! Deadlines of many connections under one timer event.
//!
//! A connection has at most one live entry, in the bucket of the tick at which it is due. Moving a
//! deadline later costs nothing: the entry stays, and the caller of [`Deadlines::expired`] enters
//! it again when it comes up. Only an earlier deadline makes a new entry.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The resolution of deadlines, which are rounded up.
const TICK: Duration = Duration::from_millis(50);

const TICKS_PER_SECOND: u64 = 20;

const _: () = assert!(TICK.as_millis() as u64 * TICKS_PER_SECOND == 1000);

/// Stale entries are looked for when there are this many more entries than twice those that may be
/// live.
const STALE_MAX: usize = 1024;

/// A time, in [`TICK`]s since the worker started.
pub(crate) type Tick = u64;

/// Connection numbers by the tick they are due at.
#[derive(Debug)]
pub(crate) struct Deadlines {
    began: Instant,
    buckets: RefCell<VecDeque<Bucket>>, // in ascending order; most entries go to the last
    entries: Cell<usize>,
    kept: Cell<usize>, // of them, those that were looked through last and stayed
    armed: Cell<Option<Tick>>,
}

/// The connections that are due at one tick.
#[derive(Debug)]
struct Bucket {
    tick: Tick,
    ids: Vec<u64>,
}

impl Deadlines {
    pub(crate) fn new(began: Instant) -> Self {
        Self {
            began,
            buckets: RefCell::default(),
            entries: Cell::new(0),
            kept: Cell::new(0),
            armed: Cell::new(None),
        }
    }

    /// The first tick at which `due` has passed.
    pub(crate) fn tick(&self, due: Instant) -> Tick {
        let since = due.saturating_duration_since(self.began);
        let part = since.subsec_nanos().div_ceil(TICK.subsec_nanos());
        since
            .as_secs()
            .saturating_mul(TICKS_PER_SECOND)
            .saturating_add(part.into())
    }

    /// Enters `id` for `tick`. Returns the new time of the timer, if it has to fire earlier.
    pub(crate) fn enter(&self, id: u64, tick: Tick, now: Instant) -> Option<Duration> {
        self.entries.set(self.entries.get() + 1);
        self.enter_bucket(id, tick);
        match self.armed.get() {
            Some(armed) if armed <= tick => None,
            _ => {
                self.armed.set(Some(tick));
                Some(self.until(tick, now))
            }
        }
    }

    fn enter_bucket(&self, id: u64, tick: Tick) {
        let buckets = &mut *self.buckets.borrow_mut();
        let at = match buckets.back() {
            Some(last) if last.tick < tick => buckets.len(),
            Some(last) if last.tick == tick => buckets.len() - 1,
            _ => buckets.partition_point(|bucket| bucket.tick < tick),
        };
        match buckets.get_mut(at) {
            Some(bucket) if bucket.tick == tick => bucket.ids.push(id),
            _ => {
                let ids = vec![id];
                buckets.insert(at, Bucket { tick, ids });
            }
        }
    }

    /// Removes the entries that are due at `now`, and returns them with their ticks.
    pub(crate) fn expired(&self, now: Instant) -> Vec<(Tick, u64)> {
        let elapsed = now.saturating_duration_since(self.began).as_nanos() / TICK.as_nanos();
        let last = Tick::try_from(elapsed).unwrap_or(Tick::MAX);
        let mut buckets = self.buckets.borrow_mut();
        let count = buckets.partition_point(|bucket| bucket.tick <= last);
        self.armed.set(None);
        let due = buckets
            .drain(..count)
            .flat_map(|Bucket { tick, ids }| ids.into_iter().map(move |id| (tick, id)))
            .collect::<Vec<_>>();
        self.entries
            .set(self.entries.get().saturating_sub(due.len()));
        self.kept.set(self.kept.get().min(self.entries.get()));
        due
    }

    /// Removes the entries of connections that have closed, when there are many for `open`
    /// connections. Stale entries of open ones stay, so it counts what stayed the last time, too:
    /// otherwise each call would look through all of them.
    pub(crate) fn prune(&self, open: usize, is_open: impl Fn(u64) -> bool) {
        if self.entries.get() > 2 * self.kept.get().max(open) + STALE_MAX {
            self.retain(is_open);
            self.kept.set(self.entries.get());
        }
    }

    fn retain(&self, keep: impl Fn(u64) -> bool) {
        let mut buckets = self.buckets.borrow_mut();
        buckets.retain_mut(|bucket| {
            bucket.ids.retain(|id| keep(*id));
            !bucket.ids.is_empty()
        });
        self.entries
            .set(buckets.iter().map(|bucket| bucket.ids.len()).sum());
    }

    /// The timer could not be set: the next entry sets it.
    pub(crate) fn disarm(&self) {
        self.armed.set(None);
    }

    /// The next time of the timer, after the entries of [`expired`](Self::expired) were handled.
    pub(crate) fn next(&self, now: Instant) -> Option<Duration> {
        let first = self.buckets.borrow().front()?.tick;
        self.armed.set(Some(first));
        Some(self.until(first, now))
    }

    fn until(&self, tick: Tick, now: Instant) -> Duration {
        let at = TICK.saturating_mul(u32::try_from(tick).unwrap_or(u32::MAX));
        at.saturating_sub(now.saturating_duration_since(self.began))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(expired: Vec<(Tick, u64)>) -> Vec<u64> {
        expired.into_iter().map(|(_, id)| id).collect()
    }

    #[test]
    fn entries_expire_at_their_tick_and_not_before() {
        let began = Instant::now();
        let deadlines = Deadlines::new(began);
        let at = |ms| began + Duration::from_millis(ms);
        for (id, due) in [(1, 120), (2, 20), (3, 100)] {
            deadlines.enter(id, deadlines.tick(at(due)), began);
        }
        assert_eq!(ids(deadlines.expired(at(49))), Vec::<u64>::new());
        assert_eq!(ids(deadlines.expired(at(50))), [2]);
        assert_eq!(ids(deadlines.expired(at(149))), [3]);
        assert_eq!(ids(deadlines.expired(at(150))), [1]);
    }

    #[test]
    fn entries_in_any_order_come_up_in_that_of_their_ticks() {
        let deadlines = Deadlines::new(Instant::now());
        for (id, tick) in [(1, 9), (2, 3), (3, 9), (4, 5), (5, 3), (6, 12), (7, 5)] {
            deadlines.enter(id, tick, deadlines.began);
        }
        let all = deadlines.expired(deadlines.began + TICK * 11);
        let expected = [(3, 2), (3, 5), (5, 4), (5, 7), (9, 1), (9, 3)];
        assert_eq!(all, expected);
        assert_eq!(deadlines.next(deadlines.began), Some(TICK * 12));
    }

    #[test]
    fn only_an_earlier_entry_sets_the_timer() {
        let began = Instant::now();
        let deadlines = Deadlines::new(began);
        assert_eq!(deadlines.enter(1, 10, began), Some(TICK * 10));
        assert_eq!(deadlines.enter(2, 10, began), None);
        assert_eq!(deadlines.enter(3, 11, began), None);
        assert_eq!(deadlines.enter(4, 2, began), Some(TICK * 2));
        assert_eq!(ids(deadlines.expired(began + TICK * 2)), [4]);
        assert_eq!(deadlines.next(began + TICK * 2), Some(TICK * 8));
    }

    #[test]
    fn a_timer_that_could_not_be_set_is_set_by_the_next_entry() {
        let began = Instant::now();
        let deadlines = Deadlines::new(began);
        assert_eq!(deadlines.enter(1, 10, began), Some(TICK * 10));
        deadlines.disarm();
        assert_eq!(deadlines.enter(2, 20, began), Some(TICK * 20));
        deadlines.disarm();
        assert_eq!(deadlines.next(began), Some(TICK * 10));
    }

    #[test]
    fn entries_that_are_not_kept_are_removed() {
        let began = Instant::now();
        let deadlines = Deadlines::new(began);
        for id in 0..10 {
            deadlines.enter(id, id / 3, began);
        }
        assert_eq!(deadlines.entries.get(), 10);
        deadlines.retain(|id| id == 4 || id == 9);
        assert_eq!(deadlines.entries.get(), 2);
        assert_eq!(ids(deadlines.expired(began + TICK * 9)), [4, 9]);
        assert_eq!(deadlines.entries.get(), 0);
    }

    #[test]
    fn entries_that_stay_are_not_looked_through_for_each_new_one() {
        let began = Instant::now();
        let deadlines = Deadlines::new(began);
        let looks = Cell::new(0);
        let entries = 20_000;
        for n in 0..entries {
            deadlines.prune(10, |_| {
                looks.set(looks.get() + 1);
                true
            });
            deadlines.enter(n % 10, n / 10, began);
        }
        assert_eq!(deadlines.entries.get() as u64, entries);
        assert!(looks.get() < 2 * entries, "{looks:?}");
        // Those that have expired since do not count.
        deadlines.expired(began + TICK * 1990);
        assert_eq!(deadlines.entries.get(), 90);
        for _ in 0..1300 {
            deadlines.enter(1, 3000, began);
        }
        deadlines.prune(0, |_| false);
        assert_eq!(deadlines.entries.get(), 0);
    }

    #[test]
    fn an_empty_queue_sets_no_timer() {
        let deadlines = Deadlines::new(Instant::now());
        assert_eq!(deadlines.next(Instant::now()), None);
    }
}
