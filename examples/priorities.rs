//! Priorities: of the events that are ready, the most urgent run first.
//!
//! `cargo run --example priorities`

use std::time::Duration;

use php_event::{Event, EventBase, Result};

const URGENT: i32 = 0;
const LAST: i32 = 2;

fn main() -> Result<()> {
    let base = EventBase::new()?;
    base.priority_init(3)?; // 0, 1 and 2; an event without one has 1

    let report = Event::timer(&base, |_event| println!("2: the report, when all else is done"))?;
    report.set_priority(LAST)?;

    let request = Event::timer(&base, |_event| println!("1: a request"))?;

    // Two alarms in a row still come before anything else: after an urgent one the loop
    // looks again for urgent ones.
    let mut alarms = 2;
    let alarm = Event::timer(&base, move |event| {
        println!("0: alarm");
        alarms -= 1;
        if alarms > 0 {
            event.add(Some(Duration::ZERO)).ok();
        }
    })?;
    alarm.set_priority(URGENT)?;

    for event in [&report, &request, &alarm] {
        event.add(Some(Duration::ZERO))?; // all three are due in the first turn
    }
    base.dispatch()?;
    Ok(())
}
