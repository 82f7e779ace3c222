//! How long to wait before the next try.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Delays that double with each failure in a row. Half of each is random, so that clients that
/// lost the same server do not all come back at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Counts a failure, and returns how long to wait after it. `random` is from 0 to 1.
    pub(super) fn next(&mut self, random: f64) -> Duration {
        let delay = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        (delay / 2).saturating_add((delay / 2).mul_f64(random.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_half_of_each_is_random() {
        let mut least = Backoff::default();
        let mut most = Backoff::default();
        let delays = [(); 8].map(|()| (least.next(0.0).as_millis(), most.next(1.0).as_millis()));
        assert_eq!(
            delays,
            [
                (50, 100),
                (100, 200),
                (200, 400),
                (400, 800),
                (800, 1600),
                (1600, 3200),
                (2500, 5000),
                (2500, 5000)
            ]
        );
        for _ in 0..100 {
            most.next(1.0);
        }
        assert_eq!(most.next(1.0), LONGEST);
    }
}
