//! From one buffer to another.

use super::{content, empty, in_crumbs, text, with};

#[test]
fn moving_everything_leaves_the_source_empty_and_both_usable() {
    for target in ["", "target"] {
        for source in ["", "source"] {
            for make in [with, in_crumbs] {
                let (one, other) = (make(target), make(source));
                one.add_buffer(&other).unwrap();
                assert_eq!(text(content(&one)), format!("{target}{source}"));
                assert_eq!(other.length(), 0);
                other.add("new").unwrap();
                assert_eq!(text(content(&other)), "new");

                let (one, other) = (make(target), make(source));
                one.prepend_buffer(&other).unwrap();
                assert_eq!(text(content(&one)), format!("{source}{target}"));
                assert_eq!(other.length(), 0);
                one.add("new").unwrap();
                assert_eq!(text(content(&one)), format!("{source}{target}new"));
            }
        }
    }
}

#[test]
fn moving_a_part_returns_its_length() {
    for (source, length, moved) in [
        ("", 3, 0),
        ("source", 0, 0),
        ("source", 2, 2),
        ("source", 6, 6),
        ("source", 7, 6),
        ("source", usize::MAX, 6),
    ] {
        for make in [with, in_crumbs] {
            let (one, other) = (make("target "), make(source));
            assert_eq!(one.append_from(&other, length).unwrap(), moved);
            assert_eq!(text(content(&one)), format!("target {}", &source[..moved]));
            assert_eq!(text(content(&other)), &source[moved..], "{source} {length}");
        }
    }
}

#[test]
fn a_buffer_moved_onto_itself_stays_as_it_is() {
    for buffer in [empty(), with("text"), in_crumbs("text")] {
        let before = content(&buffer);
        let clone = buffer.clone();
        buffer.add_buffer(&buffer).unwrap();
        buffer.prepend_buffer(&clone).unwrap();
        assert_eq!(clone.append_from(&buffer, 2).unwrap(), 0);
        assert_eq!(buffer.append_from(&buffer, usize::MAX).unwrap(), 0);
        assert_eq!(content(&buffer), before);
        buffer.add("!").unwrap();
        assert_eq!(buffer.length(), before.len() + 1);
    }
}
