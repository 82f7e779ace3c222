//! The behaviour of `EventBufferEvent` that does not depend on what carries its bytes: each
//! test runs over every transport, plain and with TLS.
#![cfg(feature = "openssl")]

mod buffers;
mod callbacks;
mod ending;
mod events;
mod filters;
mod full;
mod limits;
mod link;
mod stacks;

pub(crate) use link::{ALL, Link, Transport};

use php_event::{
    BufferEventFlags, BufferEventOptions, Callbacks, Error, Event, EventBufferEvent, EventFlags,
};
use test_support::Seen;

const PLAIN: BufferEventOptions = BufferEventOptions::empty();
const BOTH: EventFlags = Event::READ.union(Event::WRITE);
const EOF: BufferEventFlags = EventBufferEvent::READING.union(EventBufferEvent::EOF);

/// More than the buffers of any transport hold.
const LARGE: usize = 8 << 20;

/// Callbacks that record what happens: `read` with all of the input, `write`, and the event.
fn notes(seen: &Seen<String>) -> Callbacks {
    let (reads, writes, events) = (seen.clone(), seen.clone(), seen.clone());
    Callbacks::new()
        .on_read(move |bev| reads.note(format!("read {}", text(bev.read(1 << 20).unwrap()))))
        .on_write(move |_bev| writes.note("write".to_owned()))
        .on_event(move |_bev, what| events.note(event(what)))
}

/// The note of an event.
fn event(what: BufferEventFlags) -> String {
    format!("event {}", what.bits())
}

fn text(bytes: Option<Vec<u8>>) -> String {
    String::from_utf8(bytes.unwrap_or_default()).unwrap()
}

/// Asserts that the call was refused because of the object's state, for this reason.
#[track_caller]
fn refused<T>(result: Result<T, Error>, reason: &str, transport: Transport) {
    let error = result
        .err()
        .unwrap_or_else(|| panic!("{transport:?}: not refused"));
    assert!(
        matches!(error, Error::State { .. }),
        "{transport:?}: {error}"
    );
    assert!(error.to_string().contains(reason), "{transport:?}: {error}");
}
