//! Reading, writing, and the two buffers.

use std::mem::MaybeUninit;

use php_event::{Error, Event, EventBuffer, EventBufferEvent, LoopEnd};

use super::{BOTH, connected, got, notes, refused, send, state, text};
use test_support::{Seen, new_base, poll, run};

#[test]
fn what_is_written_goes_out_in_order_and_nothing_blocks() {
    let base = new_base();
    let (bev, peer) = connected(&base);
    let more = EventBuffer::new().unwrap();
    more.add("3").unwrap();
    bev.write("1").unwrap();
    bev.output().add("2").unwrap();
    bev.write_buffer(&more).unwrap();
    bev.write("").unwrap();
    bev.output().add_buffer(&more).unwrap();
    assert_eq!((more.length(), bev.output().length()), (0, 3));
    poll(&base);
    assert_eq!(got(&peer), "123");
    bev.write(vec![0; 10 << 20]).unwrap();
    assert_eq!(bev.output().length(), 10 << 20);
}

#[test]
fn while_writing_is_disabled_the_output_waits() {
    let base = new_base();
    let (bev, peer) = connected(&base);
    let seen = Seen::new();
    bev.set_callbacks(notes(&seen)).unwrap();
    bev.disable(Event::WRITE).unwrap();
    bev.write("hello").unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(bev.output().length(), 5);
    assert!(seen.take().is_empty());
    bev.enable(Event::WRITE).unwrap();
    run(&base);
    assert_eq!(got(&peer), "hello");
    assert_eq!(seen.take(), ["write"]);
}

#[test]
fn frozen_ends_refuse_and_nothing_is_lost() {
    let base = new_base();
    let (bev, _peer) = connected(&base);
    let buffer = EventBuffer::new().unwrap();
    buffer.add("kept").unwrap();
    buffer.freeze(true).unwrap();
    refused(
        bev.write_buffer(&buffer),
        state,
        "EventBufferEvent::writeBuffer",
    );
    assert_eq!(buffer.length(), 4);
    refused(bev.output().freeze(false), state, "lent");
    buffer.unfreeze(true).unwrap();
    bev.write_buffer(&buffer).unwrap();
    assert_eq!((buffer.length(), bev.output().length()), (0, 4));
}

/// A buffer event with this in its input.
fn holding(data: &str) -> (EventBufferEvent, std::os::unix::net::UnixStream) {
    let base = new_base();
    let (bev, peer) = connected(&base);
    bev.enable(Event::READ).unwrap();
    send(&peer, data);
    poll(&base);
    assert_eq!(bev.input().length(), data.len());
    (bev, peer)
}

#[test]
fn read_takes_at_most_the_given_bytes_and_zero_takes_none() {
    let (bev, _peer) = holding("hello");
    assert_eq!(bev.read(0).unwrap(), None);
    assert_eq!(text(bev.read(2).unwrap()), "he");
    assert_eq!(text(bev.read(usize::MAX).unwrap()), "llo");
    assert_eq!(bev.read(9).unwrap(), None);
    assert_eq!(bev.read(usize::MAX).unwrap(), None);
}

#[test]
fn read_into_takes_what_fits_and_leaves_the_rest() {
    let (bev, peer) = holding("hello");
    let mut room = [const { MaybeUninit::uninit() }; 4];
    assert_eq!(bev.read_into(&mut room[..0]).unwrap(), b"");
    assert_eq!(bev.read_into(&mut room).unwrap(), b"hell");
    assert_eq!(bev.read_into(&mut room).unwrap(), b"o");
    assert_eq!(bev.read_into(&mut room).unwrap(), b"");
    bev.free();
    refused(
        bev.read_into(&mut room),
        |error| matches!(error, Error::Freed { .. }),
        "EventBufferEvent::read_into",
    );
    drop(peer);
}

#[test]
fn reading_into_a_buffer_moves_everything_to_its_end() {
    let (bev, _peer) = holding("world");
    let buffer = EventBuffer::new().unwrap();
    buffer.add("hello ").unwrap();
    buffer.freeze(false).unwrap();
    refused(
        bev.read_buffer(&buffer),
        state,
        "EventBufferEvent::readBuffer",
    );
    buffer.unfreeze(false).unwrap();
    bev.read_buffer(&buffer).unwrap();
    assert_eq!(buffer.substr(0, None).unwrap(), b"hello world");
    assert_eq!(bev.input().length(), 0);
    bev.read_buffer(&buffer).unwrap();
    bev.read_buffer(&bev.input()).unwrap();
    bev.write_buffer(&bev.output()).unwrap();
}

#[test]
fn the_far_ends_of_both_buffers_belong_to_the_loop() {
    let (bev, _peer) = holding("line\nrest");
    let input = bev.get_input().unwrap();
    assert!(matches!(input.add("x"), Err(Error::State { .. })));
    assert_eq!(
        input.read_line(EventBuffer::EOL_LF).unwrap().unwrap(),
        b"line"
    );
    input.prepend("the ").unwrap();
    input.drain(4).unwrap();
    assert_eq!(text(input.read(9).unwrap()), "rest");
    bev.disable(Event::WRITE).unwrap();
    let output = bev.get_output().unwrap();
    output.add("out").unwrap();
    for refusal in [
        output.read(1).map(drop),
        output.drain(1),
        output.prepend("x"),
    ] {
        assert!(matches!(refusal, Err(Error::State { .. })), "{refusal:?}");
    }
    assert_eq!(output.substr(0, None).unwrap(), b"out");
}

/// PHP: a wrapper from `getInput` is left dangling.
#[test]
fn buffers_that_outlive_the_object_answer_an_error() {
    let base = new_base();
    let (bev, peer) = connected(&base);
    bev.enable(BOTH).unwrap();
    send(&peer, "hello");
    poll(&base);
    let (input, output) = (bev.get_input().unwrap(), bev.get_output().unwrap());
    assert_eq!(input.length(), 5);
    bev.free();
    for _ in 0..2 {
        assert_eq!((input.length(), output.length()), (0, 0));
        for result in [
            input.read(9).map(drop),
            output.add("x"),
            input.add_buffer(&output),
        ] {
            let object = "buffer event";
            assert!(matches!(result, Err(Error::Freed { object: o, .. }) if o == object));
        }
        run(&base);
    }
}

#[test]
fn a_buffer_keeps_the_object_whose_it_is() {
    let base = new_base();
    let (bev, peer) = connected(&base);
    let output = bev.output();
    drop(bev);
    output.add("hello").unwrap();
    poll(&base);
    assert_eq!(got(&peer), "hello");
    drop(output);
    assert_eq!(got(&peer), "", "the socket was closed");
}

#[test]
fn a_file_in_the_output_is_sent() {
    let base = new_base();
    let (bev, peer) = connected(&base);
    let path = "Cargo.toml";
    bev.write("the file: ").unwrap();
    bev.output()
        .add_file(std::fs::File::open(path).unwrap(), 0, None)
        .unwrap();
    bev.write("!").unwrap();
    assert!(
        bev.output().substr(0, None).is_err(),
        "it is not read into memory"
    );
    run(&base);
    let whole = format!("the file: {}!", std::fs::read_to_string(path).unwrap());
    assert_eq!(got(&peer), whole);
}
