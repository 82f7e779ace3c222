//! Frozen ends.

use std::io::{self, Read, Write};

use php_event::{EolStyle, Error, EventBuffer, Result};

use super::{content, empty, file, sockets, text, with};

#[track_caller]
fn assert_state<T: std::fmt::Debug>(what: &str, call: &str, remedy: &str, result: Result<T>) {
    let error = result.expect_err(what);
    assert!(matches!(error, Error::State { .. }), "{what}: {error:?}");
    assert_eq!(error.call(), format!("EventBuffer::{call}"), "{what}");
    assert!(error.to_string().contains(remedy), "{what}: {error}");
}

type Calls = Vec<(&'static str, Result<()>)>;

/// What is taken from the front of a buffer with bytes, or put before them.
fn calls_at_the_front(buffer: &EventBuffer) -> Calls {
    let (socket, _peer) = sockets();
    let mut bytes = [0; 2];
    let mut reader = buffer;
    vec![
        ("read", buffer.read(1).map(drop)),
        (
            "read",
            Read::read(&mut reader, &mut bytes).map(drop).map_err(inner),
        ),
        ("drain", buffer.drain(1)),
        ("readLine", buffer.read_line(EolStyle::Lf).map(drop)),
        ("copyout", buffer.copyout(&mut Vec::new(), 1).map(drop)),
        ("prepend", buffer.prepend("<")),
        ("prependBuffer", buffer.prepend_buffer(&with("<"))),
        ("write", buffer.write(&socket, None).map(drop)),
        ("addBuffer", empty().add_buffer(buffer)),
        ("prependBuffer", empty().prepend_buffer(buffer)),
        ("appendFrom", empty().append_from(buffer, 1).map(drop)),
    ]
}

/// What is added at the end.
fn calls_at_the_end(buffer: &EventBuffer) -> Calls {
    let (socket, mut peer) = sockets();
    peer.write_all(b">").unwrap();
    let mut writer = buffer;
    vec![
        ("add", buffer.add(">")),
        ("add", writer.write_all(b">").map_err(inner)),
        ("addBuffer", buffer.add_buffer(&with(">"))),
        ("appendFrom", buffer.append_from(&with(">"), 1).map(drop)),
        ("readFrom", buffer.read_from(&socket, None).map(drop)),
        ("addReference", buffer.add_reference(*b">")),
        ("addFile", buffer.add_file(file(">"), 0, None)),
    ]
}

/// What neither changes the bytes nor takes any away.
fn calls_that_look(buffer: &EventBuffer) -> Calls {
    vec![
        ("substr", buffer.substr(0, None).map(drop)),
        ("search", buffer.search("x", 0, None).map(drop)),
        ("searchEol", buffer.search_eol(0, EolStyle::Lf).map(drop)),
        ("pullup", buffer.pullup(None).map(drop)),
        ("expand", buffer.expand(10)),
        ("freeze", buffer.freeze(true)),
        ("unfreeze", buffer.unfreeze(true)),
    ]
}

/// The library's error in an `io::Error`.
fn inner(error: io::Error) -> Error {
    *error.into_inner().unwrap().downcast().unwrap()
}

#[test]
fn nothing_passes_a_frozen_front_and_the_end_works_on() {
    let buffer = with("one\ntwo");
    buffer.freeze(true).unwrap();
    for (call, result) in calls_at_the_front(&buffer) {
        assert_state(call, call, "unfreeze(true)", result);
    }
    assert_eq!(text(content(&buffer)), "one\ntwo");
    for (call, result) in calls_at_the_end(&buffer) {
        result.expect(call);
    }
    assert_eq!(text(content(&buffer)), "one\ntwo>>>>>>>");
    buffer.unfreeze(true).unwrap();
    for (call, result) in calls_at_the_front(&buffer) {
        result.expect(call);
    }
}

#[test]
fn nothing_passes_a_frozen_end_and_the_front_works_on() {
    let buffer = with("one\ntwo\nthree\n");
    buffer.freeze(false).unwrap();
    for (call, result) in calls_at_the_end(&buffer) {
        assert_state(call, call, "unfreeze(false)", result);
    }
    assert_eq!(text(content(&buffer)), "one\ntwo\nthree\n");
    for (call, result) in calls_at_the_front(&buffer) {
        result.expect(call);
    }
    buffer.unfreeze(false).unwrap();
    buffer.drain(usize::MAX).unwrap();
    for (call, result) in calls_at_the_end(&buffer) {
        result.expect(call);
    }
    assert_eq!(text(content(&buffer)), ">>>>>>>");
}

#[test]
fn a_frozen_buffer_can_be_looked_at() {
    let buffer = with("one\ntwo");
    for at_front in [true, false] {
        buffer.freeze(at_front).unwrap();
        for (call, result) in calls_that_look(&buffer) {
            result.expect(call);
        }
    }
}

#[test]
fn freezing_twice_is_undone_once_and_unfreezing_needs_no_freeze() {
    let buffer = with("abc");
    for at_front in [true, false] {
        buffer.unfreeze(at_front).unwrap();
        buffer.freeze(at_front).unwrap();
        buffer.freeze(at_front).unwrap();
        buffer.unfreeze(at_front).unwrap();
    }
    buffer.add("d").unwrap();
    assert_eq!(text(buffer.read(2).unwrap().unwrap()), "ab");
}

#[test]
fn both_ends_frozen_and_nothing_to_take_or_add_is_no_error() {
    let (buffer, other) = (empty(), with("abc"));
    for at_front in [true, false] {
        buffer.freeze(at_front).unwrap();
        other.freeze(at_front).unwrap();
    }
    assert_eq!(buffer.read(5).unwrap(), None);
    assert_eq!(buffer.read_line(EolStyle::Lf).unwrap(), None);
    assert_eq!(other.read_line(EolStyle::Lf).unwrap(), None);
    assert_eq!(buffer.copyout(&mut Vec::new(), 5).unwrap(), 0);
    buffer.drain(5).unwrap();
    other.drain(0).unwrap();
    assert_eq!(other.read(0).unwrap(), None);
    other.add("").unwrap();
    other.prepend("").unwrap();
    other.add_reference(*b"").unwrap();
    other.add_buffer(&buffer).unwrap();
    other.prepend_buffer(&buffer).unwrap();
    assert_eq!(other.append_from(&buffer, 5).unwrap(), 0);
    assert_eq!(buffer.write(sockets().0, None).unwrap(), 0);
    assert_state(
        "an empty one",
        "prepend",
        "unfreeze(true)",
        buffer.prepend("x"),
    );
    assert_eq!(text(content(&other)), "abc");
}
