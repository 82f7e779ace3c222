//! Every call of a class, for tests that want each of them refused.

use std::time::Duration;

use php_event::{Event, EventBase, EventFlags, LoopFlags, Result};

use crate::Readable;

/// Every method of an event that returns a `Result`, called on it.
pub fn event_calls(event: &Event, base: &EventBase) -> Vec<(&'static str, Result<()>)> {
    let time = Some(Duration::ZERO);
    vec![
        ("add", event.add(time)),
        ("add_timer", event.add_timer(time)),
        ("add_signal", event.add_signal(time)),
        ("del", event.del()),
        ("del_timer", event.del_timer()),
        ("del_signal", event.del_signal()),
        ("remove_timer", event.remove_timer()),
        ("active", event.active(Event::TIMEOUT)),
        ("set_priority", event.set_priority(0)),
        (
            "set",
            event.set(base, Readable::new(), Event::READ, |_, _, _| {}),
        ),
        ("set_timer", event.set_timer(base, |_| {})),
        ("EventBase::set", base.set(event)),
    ]
}

/// Every method of a base that returns a `Result`, called on it, but for `free` and `re_init`.
pub fn base_calls(base: &EventBase) -> Vec<(&'static str, Result<()>)> {
    let no_flags = EventFlags::empty();
    vec![
        ("loop", base.r#loop(LoopFlags::empty()).map(drop)),
        ("dispatch", base.dispatch().map(drop)),
        ("exit", base.exit(None)),
        ("stop", base.stop()),
        ("resume", base.resume()),
        ("priority_init", base.priority_init(2)),
        (
            "get_time_of_day_cached",
            base.get_time_of_day_cached().map(drop),
        ),
        ("update_cache_time", base.update_cache_time()),
        (
            "Event::new",
            Event::new(base, Readable::new(), no_flags, |_, _, _| {}).map(drop),
        ),
        ("Event::timer", Event::timer(base, |_| {}).map(drop)),
        (
            "Event::signal",
            Event::signal(base, libc::SIGUSR1, |_, _| {}).map(drop),
        ),
    ]
}
