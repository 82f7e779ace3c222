//! Timers: one that fires once, one that repeats, one that nobody keeps, and one that is put off.
//!
//! `cargo run --example timers`

use std::time::Duration;

use php_event::{Event, EventBase, Result};

fn main() -> Result<()> {
    let base = EventBase::new()?;

    let once = Event::timer(&base, |_event| println!("once, after 20 ms"))?;
    once.add(Some(Duration::from_millis(20)))?;

    // A timer fires once. To repeat, it adds itself again.
    let mut left = 3;
    let tick = Event::timer(&base, move |event| {
        println!("tick {left}");
        left -= 1;
        if left > 0 {
            event.add(Some(Duration::from_millis(50))).ok();
        }
    })?;
    tick.add(Some(Duration::from_millis(50)))?;

    // No variable keeps this one: the base does, until it has fired.
    let forgotten = Event::timer(&base, |_event| println!("fired and forgotten"))?;
    forgotten.add(Some(Duration::from_millis(75)))?;
    forgotten.detach();

    // Adding a pending timer again replaces its time: this one comes last.
    let last = Event::timer(&base, |_event| println!("put off to the end"))?;
    last.add(Some(Duration::from_millis(1)))?;
    last.add(Some(Duration::from_millis(300)))?;

    base.dispatch()?; // until nothing is pending
    Ok(())
}
