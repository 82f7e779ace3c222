//! How fast a token may publish.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

/// How much of its rate a token may use at once.
const BURST: Duration = Duration::from_secs(1);

/// Idle tokens are dropped only once there are at least this many.
const SWEEP_MIN: usize = 64;

/// The hash of a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct TokenKey(u64);

/// The rate of each token in this worker.
///
/// Each update takes a slot of `1 / rate` seconds. A token is ahead by the slots that it has
/// taken and that have not passed yet, at most by [`BURST`].
#[derive(Debug)]
pub(super) struct PublishRate {
    slot: Option<Duration>,
    state: RefCell<State>,
    hash: RandomState,
}

#[derive(Debug)]
struct State {
    /// When the last slot of each token ends.
    free_at: HashMap<TokenKey, Instant>,
    sweep_at: usize,
}

impl PublishRate {
    /// `per_second` updates for each token; `None` for no limit.
    pub(super) fn new(per_second: Option<u32>) -> Self {
        Self {
            slot: per_second.map(|rate| BURST / rate.max(1)),
            state: RefCell::new(State {
                free_at: HashMap::new(),
                sweep_at: SWEEP_MIN,
            }),
            hash: RandomState::new(),
        }
    }

    /// Without a rate nobody looks at the key.
    pub(super) fn key(&self, token: &[u8]) -> TokenKey {
        TokenKey(self.slot.map_or(0, |_| self.hash.hash_one(token)))
    }

    /// Lets a token publish one update, or says when it may do so again.
    pub(super) fn take(&self, token: &[u8]) -> Result<(), Duration> {
        self.take_key(self.key(token))
    }

    pub(super) fn take_key(&self, token: TokenKey) -> Result<(), Duration> {
        self.take_at(token, Instant::now())
    }

    fn take_at(&self, token: TokenKey, now: Instant) -> Result<(), Duration> {
        let Some(slot) = self.slot else {
            return Ok(());
        };
        let State { free_at, sweep_at } = &mut *self.state.borrow_mut();
        let taken = free_at.get(&token).map_or(now, |at| now.max(*at)) + slot;
        let ahead = taken.saturating_duration_since(now);
        if ahead > BURST {
            return Err(ahead - BURST);
        }
        free_at.insert(token, taken);
        if free_at.len() >= *sweep_at {
            free_at.retain(|_, at| *at > now);
            *sweep_at = (free_at.len() * 2).max(SWEEP_MIN);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_publishes_its_rate_at_once_and_then_one_update_per_slot() {
        let rate = PublishRate::new(Some(10));
        let (one, other) = (rate.key(b"one"), rate.key(b"other"));
        let now = Instant::now();
        for _ in 0..10 {
            assert_eq!(rate.take_at(one, now), Ok(()));
        }
        assert_eq!(rate.take_at(one, now), Err(Duration::from_millis(100)));
        assert_eq!(rate.take_at(other, now), Ok(()));
        let later = now + Duration::from_millis(100);
        assert_eq!(rate.take_at(one, later), Ok(()));
        assert_eq!(rate.take_at(one, later), Err(Duration::from_millis(100)));
    }

    #[test]
    fn without_a_rate_everything_may_be_published() {
        let rate = PublishRate::new(None);
        assert!((0..1000).all(|_| rate.take(b"one").is_ok()));
        assert!(rate.state.borrow().free_at.is_empty());
    }

    #[test]
    fn tokens_that_are_idle_are_forgotten() {
        let rate = PublishRate::new(Some(1));
        let begin = Instant::now();
        for number in 0..10_000_u64 {
            let now = begin + Duration::from_secs(number);
            assert_eq!(rate.take_at(TokenKey(number), now), Ok(()));
        }
        assert!(rate.state.borrow().free_at.len() <= SWEEP_MIN);
    }
}
