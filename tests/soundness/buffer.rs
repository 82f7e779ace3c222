//! Buffers. They have no callback, so they are no [`Class`](crate::Class); here is what the
//! original gets wrong about their bytes, and code of the user's that changes a buffer while
//! a method of it is at work. A buffer that was never made, as of a PHP class that skips its
//! parent's constructor, cannot be written down.

use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use php_event::{EolStyle, Error, Event, EventBase, EventBuffer};
use proptest::prelude::*;

use test_support::{Drops, Readable, pair, panic_of, run};

fn with(bytes: impl AsRef<[u8]>) -> EventBuffer {
    let buffer = EventBuffer::new().unwrap();
    buffer.add(bytes).unwrap();
    buffer
}

/// Two chunks and more.
fn in_pieces() -> EventBuffer {
    let buffer = with("two");
    buffer.prepend("one ").unwrap();
    buffer.add_reference(*b" three").unwrap();
    buffer
}

/// Text that does something to the buffer when it is looked at.
struct Meddler<'a>(&'a EventBuffer, fn(&EventBuffer));

impl AsRef<[u8]> for Meddler<'_> {
    fn as_ref(&self) -> &[u8] {
        (self.1)(self.0);
        b"o"
    }
}

impl From<Meddler<'_>> for Arc<[u8]> {
    fn from(meddler: Meddler<'_>) -> Self {
        Self::from(meddler.as_ref())
    }
}

/// A socket that does.
struct MeddlingSocket<'a>(&'a EventBuffer, fn(&EventBuffer), UnixStream);

impl AsFd for MeddlingSocket<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        (self.1)(self.0);
        self.2.as_fd()
    }
}

#[test]
fn buffer_changed_by_its_own_arguments_is_read_as_it_is_then() {
    let meddle: [fn(&EventBuffer); 5] = [
        |buffer| buffer.drain(usize::MAX).unwrap(),
        |buffer| buffer.drain(5).unwrap(),
        |buffer| drop(buffer.pullup(None).unwrap()),
        |buffer| EventBuffer::new().unwrap().add_buffer(buffer).unwrap(),
        |buffer| buffer.prepend("long enough for a chunk").unwrap(),
    ];
    for meddle in meddle {
        let buffer = in_pieces();
        let arg = || Meddler(&buffer, meddle);
        buffer.add(arg()).unwrap();
        buffer.add_reference(*b" three").unwrap();
        buffer.prepend(arg()).unwrap();
        let found = buffer.search(arg(), 0, None).unwrap();
        let all = buffer.substr(0, None).unwrap();
        assert_eq!(found, all.iter().position(|&byte| byte == b'o'));
        buffer.add_reference(arg()).unwrap();
        let (ours, _theirs) = pair();
        let socket = MeddlingSocket(&buffer, meddle, ours);
        buffer.write(&socket, Some(2)).unwrap();
        buffer.read_from(&socket, None).unwrap_err(); // nothing has come
        buffer.add("end").unwrap();
        assert!(buffer.substr(0, None).unwrap().ends_with(b"end"));
    }
}

#[test]
fn buffer_whose_argument_panics_is_as_before() {
    let buffer = in_pieces();
    let bad = || Meddler(&buffer, |_| panic!("no text"));
    assert_eq!(panic_of(|| buffer.add(bad())), "no text");
    assert_eq!(panic_of(|| buffer.prepend(bad())), "no text");
    assert_eq!(panic_of(|| buffer.search(bad(), 0, None)), "no text");
    assert_eq!(panic_of(|| buffer.add_reference(bad())), "no text");
    let socket = MeddlingSocket(&buffer, |_| panic!("no socket"), pair().0);
    assert_eq!(panic_of(|| buffer.write(&socket, None)), "no socket");
    assert_eq!(panic_of(|| buffer.read_from(&socket, None)), "no socket");
    assert_eq!(buffer.read(99).unwrap().unwrap(), b"one two three");
}

#[test]
fn buffer_drained_while_its_lines_are_read_gives_what_is_left() {
    let buffer = with("a\nb\nc\nd\ne\nf\n");
    let clone = buffer.clone();
    let mut lines = Vec::new();
    while let Some(line) = buffer.read_line(EolStyle::Lf).unwrap() {
        lines.extend(line);
        clone.drain(2).unwrap();
    }
    assert_eq!(lines, b"ace");
}

#[test]
fn position_of_one_buffer_used_on_another_is_an_error_or_a_place_in_it() {
    let (long, short) = (in_pieces(), with("o"));
    let at = long.search("three", 0, None).unwrap().unwrap();
    for error in [
        short.substr(at, None).unwrap_err(),
        short.search("o", at, None).unwrap_err(),
        short.search_eol(at, EolStyle::Any).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Argument { .. }), "{error:?}");
    }
    let at = long.search("ne", 0, None).unwrap().unwrap();
    assert_eq!(short.substr(at, Some(99)).unwrap(), b"");
    assert_eq!(short.search("o", 0, Some(at)).unwrap(), Some(0));
    // One from before a change is no better.
    let at = long.search("three", 0, None).unwrap().unwrap();
    long.drain(10).unwrap();
    assert!(long.substr(at, None).is_err());
}

#[test]
fn buffer_of_two_chunks_is_pulled_up_and_read_whole_without_looking_past_them() {
    for size in 0..=14 {
        let buffer = in_pieces();
        let bytes = buffer.pullup(Some(size)).unwrap();
        let expected = b"one two three"
            .get(..size)
            .filter(|bytes| !bytes.is_empty());
        assert_eq!(bytes.as_deref(), expected);
    }
    let buffer = in_pieces();
    let mut data = Vec::new();
    assert_eq!(buffer.copyout(&mut data, usize::MAX).unwrap(), 13);
    assert_eq!(buffer.read(usize::MAX - 1).unwrap().unwrap(), data);
}

#[test]
fn buffer_dropped_frozen_or_moved_onto_itself_frees_its_bytes_once() {
    let bytes: Arc<[u8]> = Arc::from(*b"shared");
    for frozen in [&[][..], &[true], &[false], &[true, false]] {
        let buffer = EventBuffer::new().unwrap();
        buffer.add_reference(bytes.clone()).unwrap();
        for &at_front in frozen {
            buffer.freeze(at_front).unwrap();
        }
        buffer.add_buffer(&buffer).unwrap();
        buffer.prepend_buffer(&buffer.clone()).unwrap();
        assert_eq!(buffer.append_from(&buffer, 3).unwrap(), 0);
        assert_eq!(buffer.length(), 6);
        assert_eq!(Arc::strong_count(&bytes), 2);
        drop(buffer);
        assert_eq!(Arc::strong_count(&bytes), 1);
    }
}

#[test]
fn buffer_in_a_callback_that_drops_every_other_handle_lives_as_long_as_the_closure() {
    let base = EventBase::new().unwrap();
    let bytes: Arc<[u8]> = Arc::from(*b"shared");
    let (drops, outside) = (Drops::default(), Rc::new(RefCell::new(None)));
    let buffer = EventBuffer::new().unwrap();
    buffer.add_reference(bytes.clone()).unwrap();
    let (inside, others, token) = (buffer.clone(), outside.clone(), drops.token());
    let event = Event::new(
        &base,
        Readable::new(),
        Event::READ,
        move |_: &Readable, _, event| {
            token.hold();
            drop(others.take()); // the event and the buffer
            event.free();
            assert_eq!(inside.read(6).unwrap().unwrap(), b"shared");
        },
    );
    let event = event.unwrap();
    event.set_data(buffer.clone());
    event.add(None).unwrap();
    outside.replace(Some((event, buffer)));
    run(&base);
    assert_eq!((drops.count(), Arc::strong_count(&bytes)), (1, 1));
}

#[test]
fn buffer_in_a_variable_of_its_thread_ends_with_the_thread() {
    thread_local! {
        static KEPT: Cell<Option<EventBuffer>> = const { Cell::new(None) };
    }
    struct AtTheEnd(EventBuffer);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            self.0.add("still").unwrap();
            assert_eq!(self.0.read(99).unwrap().unwrap(), b"sharedstill");
        }
    }
    thread_local! {
        static LAST: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
    }
    let bytes: Arc<[u8]> = Arc::from(*b"shared");
    let theirs = bytes.clone();
    let thread = thread::spawn(move || {
        let buffer = EventBuffer::new().unwrap();
        buffer.add_reference(theirs).unwrap();
        LAST.set(Some(AtTheEnd(buffer.clone())));
        KEPT.set(Some(buffer));
    });
    thread.join().unwrap();
    assert_eq!(Arc::strong_count(&bytes), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    /// Five buffers hold the same shared bytes and give them to each other.
    #[test]
    fn buffers_that_exchange_shared_bytes_are_dropped_in_any_order(
        moves in prop::collection::vec((0..5_usize, 0..5_usize, 0..40_usize), 0..20),
        order in Just((0..5_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let bytes: Arc<[u8]> = Arc::from(*b"0123456789");
        let mut buffers = [(); 5].map(|()| {
            let buffer = EventBuffer::new().unwrap();
            buffer.add_reference(bytes.clone()).unwrap();
            Some(buffer)
        });
        for (to, from, length) in moves {
            let (to, from) = (buffers[to].as_ref().unwrap(), buffers[from].as_ref().unwrap());
            match length {
                30.. => to.add_buffer(from).unwrap(),
                20..30 => to.prepend_buffer(from).unwrap(),
                _ => drop(to.append_from(from, length).unwrap()),
            }
        }
        let sum = buffers.iter().flatten().map(EventBuffer::length).sum::<usize>();
        prop_assert_eq!(sum, 50);
        for number in order {
            buffers[number].take();
        }
        prop_assert_eq!(Arc::strong_count(&bytes), 1);
    }
}
