//! The `Date` of answers, formatted once a second.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use php_event::EventBase;

/// The current date as HTTP writes it.
#[derive(Debug)]
pub(super) struct Clock {
    wanted: bool,
    date: RefCell<(SystemTime, String)>,
}

impl Clock {
    /// A clock for answers that have a `Date` if `wanted`.
    pub(super) fn new(wanted: bool) -> Self {
        Self {
            wanted,
            date: RefCell::new((SystemTime::UNIX_EPOCH, String::new())),
        }
    }

    /// Whether answers have a `Date`.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Calls `work` with the date, if answers have one.
    pub(super) fn with_date<T>(&self, base: &EventBase, work: impl FnOnce(Option<&str>) -> T) -> T {
        if !self.wanted {
            return work(None);
        }
        let now = base
            .get_time_of_day_cached()
            .unwrap_or_else(|_| SystemTime::now());
        let (made, text) = &mut *self.date.borrow_mut();
        if now
            .duration_since(*made)
            .map_or(true, |age| age >= Duration::from_secs(1))
        {
            *text = httpdate::fmt_http_date(now);
            *made = now - Duration::from_nanos(subsecond(now));
        }
        work(Some(text))
    }
}

/// The current date as HTTP writes it, for answers that always have one.
pub(crate) fn http_date() -> String {
    httpdate::fmt_http_date(SystemTime::now())
}

fn subsecond(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos().into())
}
