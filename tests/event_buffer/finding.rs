//! Lines and searches.

use std::time::Instant;

use php_event::{EolStyle, Error, EventBuffer, Result};

use super::{content, cut, empty, in_crumbs, noise, text, with};

/// The example of PECL-EVENT §8 and its table.
#[test]
fn lines_end_as_each_style_says() {
    let bytes = b"a\nb\r\nc\n\rd\r\n\r\ne\rf\0g";
    let cases: [(EolStyle, &[&str], &str); 5] = [
        (EventBuffer::EOL_ANY, &["a", "b", "c", "d", "e"], "f\0g"),
        (
            EventBuffer::EOL_CRLF,
            &["a", "b", "c", "\rd", ""],
            "e\rf\0g",
        ),
        (
            EventBuffer::EOL_CRLF_STRICT,
            &["a\nb", "c\n\rd", ""],
            "e\rf\0g",
        ),
        (
            EventBuffer::EOL_LF,
            &["a", "b\r", "c", "\rd\r", "\r"],
            "e\rf\0g",
        ),
        (EventBuffer::EOL_NUL, &["a\nb\r\nc\n\rd\r\n\r\ne\rf"], "g"),
    ];
    for (style, lines, rest) in cases {
        let whole = (0..bytes.len()).map(|at| cut(bytes, &[at])); // one cut at each place
        for buffer in whole.chain([with(bytes), in_crumbs(bytes)]) {
            let mut got = Vec::new();
            while let Some(line) = buffer.read_line(style).unwrap() {
                got.push(text(line));
            }
            assert_eq!(got, lines, "{style:?}");
            assert_eq!(text(content(&buffer)), rest, "{style:?}");
        }
    }
}

#[test]
fn line_ends_at_the_edges_are_what_each_style_makes_of_them() {
    use EolStyle::{Any, Crlf, CrlfStrict, Lf, Nul};
    for (bytes, style, line, rest) in [
        ("", Any, None, ""),
        ("no end", Any, None, "no end"),
        ("\r\n\r\nabc", Any, Some(""), "abc"),
        ("abc\r", Any, Some("abc"), ""),
        ("abc\r", Crlf, None, "abc\r"),
        ("abc\r", CrlfStrict, None, "abc\r"),
        ("abc\r", Lf, None, "abc\r"),
        ("abc\r", Nul, None, "abc\r"),
        ("\n", Crlf, Some(""), ""),
        ("\r\n", Crlf, Some(""), ""),
        ("\r\r\n", Crlf, Some("\r"), ""),
        ("\r\r\n", CrlfStrict, Some("\r"), ""),
        ("\0\0", Nul, Some(""), "\0"),
        ("a\0b\nc", Lf, Some("a\0b"), "c"),
    ] {
        for buffer in [with(bytes), in_crumbs(bytes)] {
            let got = buffer.read_line(style).unwrap();
            assert_eq!(got.map(text).as_deref(), line, "{bytes:?} {style:?}");
            assert_eq!(text(content(&buffer)), rest, "{bytes:?} {style:?}");
        }
    }
}

#[test]
fn a_match_lies_wholly_between_start_and_end() {
    let all = None;
    for (what, start, end, expected) in [
        ("lo", 0, all, Some(3)),
        ("lo", 3, all, Some(3)),
        ("lo", 4, all, Some(6)),
        ("lo", 7, all, None),
        ("lo", 11, all, None), // start is the length
        ("x", 0, all, None),
        ("hello lo ld", 0, all, Some(0)),
        ("hello lo ld!", 0, all, None),
        ("lo", 0, Some(5), Some(3)),
        ("lo", 0, Some(4), None), // half of it
        ("lo", 0, Some(0), None),
        ("lo", 5, Some(3), None), // nothing is between
        ("lo", 4, Some(8), Some(6)),
        ("lo", 4, Some(99), Some(6)), // past the end is the end
        ("l", 9, Some(10), Some(9)),
        ("", 0, all, Some(0)),
        ("", 4, all, Some(4)),
        ("", 11, all, Some(11)),
        ("", 4, Some(3), None),
    ] {
        for buffer in [with("hello lo ld"), in_crumbs("hello lo ld")] {
            let found = buffer.search(what, start, end).unwrap();
            assert_eq!(found, expected, "{what:?} {start} {end:?}");
        }
    }
    assert_eq!(empty().search("x", 0, None).unwrap(), None);
    assert_eq!(empty().search("", 0, None).unwrap(), Some(0));
}

#[test]
fn a_match_is_found_across_any_cut() {
    let bytes = noise(300);
    for at in 0..bytes.len() {
        let buffer = cut(&bytes, &[at]);
        assert_eq!(
            buffer.search(&bytes[100..200], 0, None).unwrap(),
            Some(100),
            "{at}"
        );
    }
}

#[test]
fn the_end_of_a_line_is_found_from_any_start() {
    use EolStyle::{Any, Crlf, CrlfStrict, Lf, Nul};
    let bytes = b"ab\r\ncd\n\re\0";
    for (start, style, expected) in [
        (0, Any, Some(2)),
        (2, Any, Some(2)),
        (3, Any, Some(3)),
        (4, Any, Some(6)),
        (8, Any, None),
        (0, Crlf, Some(2)),
        (3, Crlf, Some(3)), // its CR is before start
        (4, Crlf, Some(6)),
        (7, Crlf, None),
        (0, CrlfStrict, Some(2)),
        (3, CrlfStrict, None),
        (0, Lf, Some(3)),
        (4, Lf, Some(6)),
        (0, Nul, Some(9)),
        (10, Any, None), // start is the length
        (10, Nul, None),
    ] {
        for buffer in [with(bytes), in_crumbs(bytes)] {
            let found = buffer.search_eol(start, style).unwrap();
            assert_eq!(found, expected, "{start} {style:?}");
        }
    }
    assert_eq!(empty().search_eol(0, Any).unwrap(), None);
}

#[test]
fn a_start_past_the_end_is_an_error_that_names_both() {
    type Call = fn(&EventBuffer, usize) -> Result<()>;
    let calls: [(&str, Call); 3] = [
        ("substr", |buffer, start| {
            buffer.substr(start, None).map(drop)
        }),
        ("search", |buffer, start| {
            buffer.search("x", start, None).map(drop)
        }),
        ("searchEol", |buffer, start| {
            buffer.search_eol(start, EolStyle::Any).map(drop)
        }),
    ];
    for (name, call) in calls {
        for start in [6, usize::MAX, isize::MAX as usize + 1] {
            let error = call(&with("hello"), start).unwrap_err();
            assert!(matches!(error, Error::Argument { .. }), "{error:?}");
            let expected =
                format!("EventBuffer::{name}: start is {start}, but the buffer has only 5 bytes");
            assert_eq!(error.to_string(), expected);
        }
        call(&with("hello"), 5).unwrap();
    }
}

/// libevent compares anew at each place where the first byte is: 25 thousand million bytes here.
#[test]
fn searching_takes_time_in_proportion_to_the_bytes_searched() {
    let text = vec![b'a'; 1 << 20];
    let mut what = vec![b'a'; 50_000];
    what.push(b'b');
    let buffer = cut(&text, &(1..100).map(|n| n * 10_007).collect::<Vec<_>>());
    let begun = Instant::now();
    assert_eq!(buffer.search(&what, 0, None).unwrap(), None);
    what.pop();
    assert_eq!(buffer.search(&what, 7, None).unwrap(), Some(7));
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}
