//! Signals, delivered in the loop: a server's usual three.
//!
//! `cargo run --example signals`, then `kill -HUP`, `-USR1`, `-TERM` to its number.

use std::cell::Cell;
use std::rc::Rc;

use php_event::process::{getpid, signal_name};
use php_event::{Event, EventBase, Result};

fn main() -> Result<()> {
    let base = EventBase::new()?;
    let count = Rc::new(Cell::new(0));

    let seen = count.clone();
    let hup = Event::signal(&base, libc::SIGHUP, move |signum, _event| {
        seen.set(seen.get() + 1);
        println!("{}: would read the configuration again", signal_name(signum));
    })?;

    let seen = count.clone();
    let usr1 = Event::signal(&base, libc::SIGUSR1, move |signum, _event| {
        println!("{}: SIGHUP came {} times", signal_name(signum), seen.get());
    })?;

    let stop = base.clone();
    let term = Event::signal(&base, libc::SIGTERM, move |signum, _event| {
        println!("{}: bye", signal_name(signum));
        stop.exit(None).ok();
    })?;

    for event in [&hup, &usr1, &term] {
        event.add(None)?; // an added signal event keeps the loop alive
    }
    println!("process {} waits for signals", getpid());
    base.dispatch()?;
    Ok(())
}
