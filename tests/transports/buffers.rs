//! Reading, writing, and the two buffers.

use php_event::{Error, Event, EventBuffer};
use test_support::Seen;

use super::{ALL, BOTH, Link, notes, refused, text};

#[test]
fn bytes_written_in_every_way_arrive_in_order() {
    for transport in ALL {
        let link = Link::new(transport);
        let more = EventBuffer::new().unwrap();
        more.add("3").unwrap();
        link.near.write("1").unwrap();
        link.near.output().add("2").unwrap();
        link.near.write_buffer(&more).unwrap();
        link.near.write("").unwrap();
        link.near.output().add_buffer(&more).unwrap();
        assert_eq!(more.length(), 0, "{transport:?}");
        link.until(|| link.received() == 3);
        assert_eq!(link.got(), "123", "{transport:?}");
    }
}

#[test]
fn output_waits_while_writing_is_disabled() {
    for transport in ALL {
        let (link, seen) = (Link::new(transport), Seen::new());
        link.near.set_callbacks(notes(&seen)).unwrap();
        link.near.disable(Event::WRITE).unwrap();
        link.near.write("hello").unwrap();
        link.settle();
        assert_eq!(link.near.output().length(), 5, "{transport:?}");
        assert!(seen.take().is_empty(), "{transport:?}");
        link.near.enable(Event::WRITE).unwrap();
        link.until(|| link.received() == 5);
        link.settle();
        assert_eq!(link.got(), "hello", "{transport:?}");
        assert_eq!(seen.take(), ["write"], "{transport:?}");
    }
}

/// A link whose tested side has this in its input.
fn holding(transport: super::Transport, data: &str) -> Link {
    let link = Link::new(transport);
    link.near.enable(Event::READ).unwrap();
    link.send(data);
    link.until(|| link.near.input().length() == data.len());
    link
}

#[test]
fn reading_takes_up_to_the_given_number_of_bytes() {
    for transport in ALL {
        let bev = holding(transport, "hello").near;
        assert_eq!(bev.read(0).unwrap(), None, "{transport:?}");
        assert_eq!(text(bev.read(2).unwrap()), "he", "{transport:?}");
        assert_eq!(text(bev.read(usize::MAX).unwrap()), "llo", "{transport:?}");
        assert_eq!(bev.read(9).unwrap(), None, "{transport:?}");
    }
}

#[test]
fn reading_into_a_buffer_moves_all_of_the_input_to_its_end() {
    for transport in ALL {
        let bev = holding(transport, "world").near;
        let buffer = EventBuffer::new().unwrap();
        buffer.add("hello ").unwrap();
        bev.read_buffer(&buffer).unwrap();
        assert_eq!(buffer.substr(0, None).unwrap(), b"hello world");
        assert_eq!(bev.input().length(), 0, "{transport:?}");
    }
}

#[test]
fn far_ends_of_both_buffers_belong_to_the_loop() {
    for transport in ALL {
        let link = holding(transport, "line\nrest");
        let input = link.near.get_input().unwrap();
        refused(input.add("x"), "take from its front", transport);
        let line = input.read_line(EventBuffer::EOL_LF).unwrap();
        assert_eq!(line.as_deref(), Some(&b"line"[..]), "{transport:?}");
        input.prepend("the ").unwrap();
        input.drain(4).unwrap();
        assert_eq!(text(input.read(9).unwrap()), "rest", "{transport:?}");
        link.near.disable(Event::WRITE).unwrap();
        let output = link.near.get_output().unwrap();
        output.add("out").unwrap();
        for refusal in [
            output.read(1).map(drop),
            output.drain(1),
            output.prepend("x"),
        ] {
            refused(refusal, "add to its end", transport);
        }
        assert_eq!(output.substr(0, None).unwrap(), b"out", "{transport:?}");
    }
}

#[test]
fn buffers_that_outlive_the_object_answer_an_error() {
    for transport in ALL {
        let link = holding(transport, "hello");
        let (input, output) = (link.near.input(), link.near.output());
        link.near.free();
        for _ in 0..2 {
            assert_eq!((input.length(), output.length()), (0, 0));
            for result in [
                input.read(9).map(drop),
                output.add("x"),
                input.add_buffer(&output),
            ] {
                assert!(matches!(result, Err(Error::Freed { .. })), "{transport:?}");
            }
            link.settle();
        }
    }
}

#[test]
fn buffer_keeps_its_object_alive() {
    for transport in ALL {
        let mut link = Link::new(transport);
        let output = link.near.output();
        link.give_up_near();
        output.add("hello").unwrap();
        link.until(|| link.received() == 5);
        assert_eq!(link.got(), "hello", "{transport:?}");
        drop(output);
        if transport != super::Transport::Pair {
            link.until(|| link.end_at_peer().is_some());
        }
    }
}

#[test]
fn file_in_the_output_is_sent() {
    for transport in ALL {
        let link = Link::new(transport);
        let path = "Cargo.toml";
        let whole = format!("the file: {}!", std::fs::read_to_string(path).unwrap());
        let file = std::fs::File::open(path).unwrap();
        link.near.write("the file: ").unwrap();
        link.near.output().add_file(file, 0, None).unwrap();
        link.near.write("!").unwrap();
        link.until(|| link.received() >= whole.len());
        assert_eq!(link.got(), whole, "{transport:?}");
    }
}

#[test]
fn frozen_buffer_of_the_caller_is_refused_and_nothing_is_lost() {
    for transport in ALL {
        let link = Link::new(transport);
        link.near.enable(BOTH).unwrap();
        let buffer = EventBuffer::new().unwrap();
        buffer.add("kept").unwrap();
        buffer.freeze(true).unwrap();
        refused(link.near.write_buffer(&buffer), "writeBuffer", transport);
        buffer.unfreeze(true).unwrap();
        link.near.write_buffer(&buffer).unwrap();
        link.until(|| link.received() == 4);
        assert_eq!(link.got(), "kept", "{transport:?}");
    }
}
