//! What goes in, what comes out, and what is only looked at.

use std::mem::MaybeUninit;

use php_event::{EolStyle, Error, Event, EventBuffer, PtrHow};

use super::{content, cut, empty, in_crumbs, noise, text, with};
use test_support::new_base;

#[test]
fn the_constants_have_the_numbers_of_php() {
    let styles = [
        EventBuffer::EOL_ANY,
        EventBuffer::EOL_CRLF,
        EventBuffer::EOL_CRLF_STRICT,
        EventBuffer::EOL_LF,
        EventBuffer::EOL_NUL,
    ];
    assert_eq!(styles.map(|style| style as u32), [0, 1, 2, 3, 4]);
    let hows = [EventBuffer::PTR_SET, EventBuffer::PTR_ADD];
    assert_eq!(hows.map(|how| how as u32), [0, 1]);
    assert_eq!(hows, [PtrHow::Set, PtrHow::Add]);
    assert_eq!(EolStyle::default(), EventBuffer::EOL_ANY); // PHP's default argument
}

#[test]
fn a_new_buffer_is_empty() {
    let buffer = empty();
    assert_eq!((buffer.length(), buffer.contiguous_space()), (0, 0));
    assert_eq!(content(&buffer), b"");
}

#[test]
fn a_buffer_is_made_from_text_a_vector_or_an_array() {
    assert_eq!(content(&EventBuffer::from("")), b"");
    assert_eq!(content(&EventBuffer::from("text")), b"text");
    assert_eq!(content(&EventBuffer::from(vec![0, 255])), [0, 255]);
    assert_eq!(content(&EventBuffer::from([b'x'; 10_000])), [b'x'; 10_000]);
}

#[test]
fn bytes_come_out_as_they_went_in() {
    let all = (0..=255).collect::<Vec<u8>>();
    let buffer = with(&all);
    buffer.add("").unwrap();
    buffer.add("text").unwrap();
    buffer.prepend(b"\0\xff").unwrap();
    buffer.prepend("").unwrap();
    assert_eq!(buffer.length(), 262);
    assert_eq!(
        content(&buffer),
        [b"\0\xff", all.as_slice(), b"text"].concat()
    );
}

#[test]
fn the_space_in_the_first_chunk_is_its_bytes_alone() {
    let buffer = empty();
    buffer.expand(10_000).unwrap();
    assert_eq!(buffer.contiguous_space(), 0);
    buffer.add_reference(*b"abc").unwrap();
    buffer.add_reference(*b"de").unwrap();
    assert_eq!((buffer.contiguous_space(), buffer.length()), (3, 5));
    buffer.drain(3).unwrap();
    assert_eq!(buffer.contiguous_space(), 2);
}

#[test]
fn a_clone_is_the_same_buffer_and_equal_bytes_are_not() {
    let (buffer, other) = (with("x"), with("x"));
    let clone = buffer.clone();
    clone.add("y").unwrap();
    assert_eq!(content(&buffer), b"xy");
    assert_eq!(buffer, clone);
    assert_ne!(buffer, other);
    drop(buffer);
    assert_eq!(content(&clone), b"xy");
}

#[test]
fn read_takes_at_most_the_given_bytes_and_none_from_an_empty_buffer() {
    for (bytes, max, expected, rest) in [
        ("", 5, None, ""),
        ("", usize::MAX, None, ""),
        ("abc", 0, None, "abc"),
        ("abc", 2, Some("ab"), "c"),
        ("abc", 3, Some("abc"), ""),
        ("abc", 4, Some("abc"), ""),
        ("abc", usize::MAX, Some("abc"), ""), // PHP's -1, which overruns its memory
        ("abc", usize::MAX - 1, Some("abc"), ""), // PHP's -2, which aborts
    ] {
        for buffer in [with(bytes), in_crumbs(bytes)] {
            let read = buffer.read(max).unwrap();
            assert_eq!(read.map(text).as_deref(), expected, "{bytes} {max}");
            assert_eq!(text(content(&buffer)), rest, "{bytes} {max}");
        }
    }
}

#[test]
fn everything_is_read_from_a_large_buffer_of_many_chunks() {
    let bytes = noise(1 << 20);
    let buffer = cut(&bytes, &(1..1024).map(|n| n * 1000).collect::<Vec<_>>());
    let mut data = Vec::new();
    assert_eq!(buffer.copyout(&mut data, usize::MAX).unwrap(), bytes.len());
    assert!(data == bytes);
    let read = buffer.read(usize::MAX).unwrap().unwrap();
    assert!(read == bytes);
    assert_eq!(read.capacity(), bytes.len()); // what is asked for is not what is allocated
}

#[test]
fn copying_out_leaves_the_bytes_and_replaces_the_data_only_if_there_are_any() {
    for (bytes, max, expected) in [
        ("", 5, "before"),
        ("abc", 0, "before"),
        ("abc", 2, "ab"),
        ("abc", 3, "abc"),
        ("abc", usize::MAX, "abc"),
    ] {
        for buffer in [with(bytes), in_crumbs(bytes)] {
            let mut data = b"before".to_vec();
            let n = buffer.copyout(&mut data, max).unwrap();
            assert_eq!(n, max.min(bytes.len()));
            assert_eq!(text(data), expected, "{bytes} {max}");
            assert_eq!(text(content(&buffer)), bytes);
        }
    }
}

#[test]
fn drain_removes_the_given_bytes_and_at_most_all() {
    for (bytes, length, rest) in [
        ("", 3, ""),
        ("abcd", 0, "abcd"),
        ("abcd", 1, "bcd"),
        ("abcd", 4, ""),
        ("abcd", 5, ""),
        ("abcd", usize::MAX, ""),
    ] {
        for buffer in [
            with(bytes),
            in_crumbs(bytes),
            cut(bytes.as_bytes(), &[bytes.len() / 2]),
        ] {
            buffer.drain(length).unwrap();
            assert_eq!(text(content(&buffer)), rest, "{bytes} {length}");
            buffer.add("!").unwrap();
            assert_eq!(text(content(&buffer)), format!("{rest}!"));
        }
    }
}

#[test]
fn a_part_is_copied_from_anywhere() {
    for (start, length, expected) in [
        (0, None, "hello"),
        (0, Some(0), ""),
        (1, Some(3), "ell"),
        (3, Some(9), "lo"),
        (3, Some(usize::MAX), "lo"),
        (4, None, "o"),
        (5, None, ""),
        (5, Some(1), ""),
    ] {
        for buffer in [with("hello"), in_crumbs("hello"), cut(b"hello", &[2])] {
            let part = buffer.substr(start, length).unwrap();
            assert_eq!(text(part), expected, "{start} {length:?}");
            assert_eq!(buffer.length(), 5);
        }
    }
    assert_eq!(empty().substr(0, None).unwrap(), b"");
}

#[test]
fn given_memory_is_filled_from_anywhere_or_taken_into_and_the_rest_stays_unset() {
    for (start, room, expected) in [
        (0, 0, ""),
        (0, 3, "hel"),
        (1, 3, "ell"),
        (2, 9, "llo"),
        (5, 2, ""),
    ] {
        for buffer in [with("hello"), in_crumbs("hello"), cut(b"hello", &[2])] {
            let mut memory = vec![MaybeUninit::uninit(); room];
            let copied = buffer.copy_into(start, &mut memory).unwrap();
            assert_eq!(text(copied), expected, "{start} {room}");
            assert_eq!(buffer.length(), 5);
            buffer.drain(start).unwrap();
            let taken = buffer.read_into(&mut memory).unwrap();
            assert_eq!(text(taken), expected, "{start} {room}");
            assert_eq!(buffer.length(), 5 - start - expected.len());
        }
    }
    let mut memory = [MaybeUninit::uninit(); 4];
    assert!(with("hello").copy_into(6, &mut memory).is_err());
    assert_eq!(empty().read_into(&mut memory).unwrap(), b"");
    let frozen = with("hello");
    frozen.freeze(true).unwrap();
    assert!(frozen.read_into(&mut memory).is_err());
    assert_eq!(frozen.length(), 5);
}

#[test]
fn a_found_line_and_its_end_have_lengths_and_nothing_is_taken() {
    for (bytes, style, expected) in [
        ("one\r\ntwo", EventBuffer::EOL_CRLF, Some((3, 2))),
        ("one\ntwo", EventBuffer::EOL_CRLF, Some((3, 1))),
        ("one\n\r\n\ntwo", EventBuffer::EOL_ANY, Some((3, 4))),
        ("\n", EventBuffer::EOL_LF, Some((0, 1))),
        ("one", EventBuffer::EOL_LF, None),
        ("", EventBuffer::EOL_NUL, None),
    ] {
        for buffer in [with(bytes), in_crumbs(bytes)] {
            assert_eq!(buffer.find_line(style).unwrap(), expected, "{bytes:?}");
            assert_eq!(buffer.length(), bytes.len());
        }
    }
}

/// PHP answers the whole content for any size, and reads after the first chunk for it.
#[test]
fn pulling_up_gives_exactly_the_bytes_that_were_asked_for() {
    for (size, expected) in [
        (Some(0), None),
        (Some(1), Some("h")),
        (Some(2), Some("he")),
        (Some(5), Some("hello")),
        (None, Some("hello")),
        (Some(6), None),
        (Some(usize::MAX), None),
    ] {
        for buffer in [with("hello"), in_crumbs("hello"), cut(b"hello", &[1])] {
            let got = buffer.pullup(size).unwrap();
            assert_eq!(got.map(text).as_deref(), expected, "{size:?}");
            assert_eq!(text(content(&buffer)), "hello");
            if let Some(expected) = expected {
                assert!(buffer.contiguous_space() >= expected.len());
            }
        }
    }
    assert_eq!(empty().pullup(None).unwrap(), None);
    assert_eq!(empty().pullup(Some(0)).unwrap(), None);
}

/// Where PHP writes its terminating zero byte after the chunk.
#[test]
fn a_chunk_that_is_exactly_full_is_pulled_up_as_it_is() {
    let bytes = noise(4096);
    for length in 900..1100 {
        let buffer = with(&bytes[..length]);
        assert!(buffer.pullup(None).unwrap().unwrap() == bytes[..length]);
        buffer.prepend(&bytes[..length]).unwrap();
        let whole = [&bytes[..length], &bytes[..length]].concat();
        assert!(buffer.pullup(None).unwrap().unwrap() == whole);
    }
}

#[test]
fn room_is_made_without_bytes_and_refused_where_there_is_no_such_memory() {
    let buffer = with("abc");
    buffer.expand(0).unwrap();
    buffer.expand(1 << 20).unwrap();
    assert_eq!(text(content(&buffer)), "abc");
    for length in [usize::MAX, isize::MAX as usize] {
        let error = buffer.expand(length).unwrap_err();
        assert!(matches!(error, Error::Call { .. }), "{error:?}");
        assert_eq!(error.to_string(), "EventBuffer::expand failed");
    }
    assert_eq!(text(content(&buffer)), "abc");
}

#[test]
fn locks_in_any_order_block_no_one() {
    let buffer = empty();
    buffer.unlock();
    buffer.enable_locking();
    buffer.lock();
    buffer.lock();
    buffer.add("x").unwrap();
    buffer.enable_locking();
    for _ in 0..4 {
        buffer.unlock();
    }
    assert_eq!(buffer.read(5).unwrap().unwrap(), b"x");
}

#[test]
fn json_is_as_php_encodes_it() {
    let buffer = with("abc");
    let json = r#"{"length":3,"contiguous_space":3}"#;
    assert_eq!(serde_json::to_string(&buffer).unwrap(), json);
    let event = Event::timer(&new_base(), |_event| {}).unwrap();
    event.set_data(buffer.clone());
    let json = format!(r#"{{"pending":false,"data":{json}}}"#);
    assert_eq!(serde_json::to_string(&event).unwrap(), json);
    buffer.drain(3).unwrap();
    let json = r#"{"length":0,"contiguous_space":0}"#;
    assert_eq!(serde_json::to_string(&buffer).unwrap(), json);
}

#[test]
fn a_buffer_has_a_debug_form() {
    assert_eq!(
        format!("{:?}", with("abc")),
        "EventBuffer { length: 3, front: \"abc\", .. }"
    );
}
