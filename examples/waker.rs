//! Threads compute, and the loop gets their results: a channel carries them, a waker wakes the loop.
//!
//! `cargo run --example waker`

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use php_event::{Event, EventBase, Result};

const WORKERS: u64 = 3;

fn main() -> Result<()> {
    let base = EventBase::new()?;

    // The loop is not held up: it ticks while the threads compute.
    let tick = Event::timer(&base, |event| drop(event.add(Some(Duration::from_millis(10)))))?;
    tick.add(Some(Duration::ZERO))?;

    let (sender, results) = mpsc::channel();
    let (stop, mut left) = (base.clone(), WORKERS);
    let (event, waker) = Event::waker(&base, move |_event| {
        // Several wakes may be one call: take all results that there are.
        for (n, sum) in results.try_iter() {
            println!("worker {n}: {sum}");
            left -= 1;
        }
        if left == 0 {
            println!("all are done");
            stop.exit(None).ok();
        }
    })?;
    event.add(None)?;

    // Only the sender and the waker go to the threads; events stay in theirs.
    for n in 1..=WORKERS {
        let (sender, waker) = (sender.clone(), waker.clone());
        thread::spawn(move || {
            let sum: u64 = (1..=n * 100_000).sum();
            sender.send((n, sum)).ok(); // first the result,
            waker.wake().ok(); // then the wake
        });
    }
    base.dispatch()?;
    Ok(())
}
