//! `EventBufferEvent`: buffered connections over real sockets, pairs and filters.

mod buffers;
mod callbacks;
mod connecting;
mod ending;
mod events;
mod filter_ending;
mod filter_misuse;
mod filters;
mod limits;
mod making;
mod pairs;
mod pending;
mod sources;

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use php_event::{
    BufferEventOptions, Callbacks, Error, Event, EventBase, EventBufferEvent, EventFlags,
};
use test_support::Seen;

const PLAIN: BufferEventOptions = BufferEventOptions::empty();
const BOTH: EventFlags = Event::READ.union(Event::WRITE);

/// Two connected sockets; the second has a time limit, so that no test waits for ever.
fn sockets() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs
        .set_read_timeout(Some(std::time::Duration::from_secs(30)))
        .unwrap();
    (ours, theirs)
}

/// A buffer event, and its peer.
fn connected(base: &EventBase) -> (EventBufferEvent, UnixStream) {
    with_options(base, PLAIN)
}

fn with_options(base: &EventBase, options: BufferEventOptions) -> (EventBufferEvent, UnixStream) {
    let (ours, theirs) = sockets();
    (EventBufferEvent::new(base, ours, options).unwrap(), theirs)
}

/// Callbacks that note what happens: `read` with all of the input, `write`, and the event's
/// number.
fn notes(seen: &Seen<String>) -> Callbacks {
    let (reads, writes, events) = (seen.clone(), seen.clone(), seen.clone());
    Callbacks::new()
        .on_read(move |bev| reads.note(format!("read {}", text(bev.read(1 << 20).unwrap()))))
        .on_write(move |_bev| writes.note("write".to_owned()))
        .on_event(move |_bev, what| events.note(format!("event {}", what.bits())))
}

fn text(bytes: Option<Vec<u8>>) -> String {
    String::from_utf8(bytes.unwrap_or_default()).unwrap()
}

/// What the peer has got so far; at least one byte, or the end.
fn got(peer: &UnixStream) -> String {
    let mut bytes = [0; 1 << 16];
    let n = (&mut &*peer).read(&mut bytes).unwrap();
    String::from_utf8(bytes[..n].to_vec()).unwrap()
}

fn send(mut peer: &UnixStream, data: &str) {
    peer.write_all(data.as_bytes()).unwrap();
}

/// Holds that the call was refused, by an error of the kind and with the words.
#[track_caller]
fn refused<T>(result: Result<T, Error>, kind: fn(&Error) -> bool, words: &str) {
    let Err(error) = result else {
        panic!("it was not refused");
    };
    assert!(kind(&error), "{error:?}");
    assert!(error.to_string().contains(words), "{error}");
}

fn argument(error: &Error) -> bool {
    matches!(error, Error::Argument { .. })
}

fn state(error: &Error) -> bool {
    matches!(error, Error::State { .. })
}
