//! Random calls, on buffers and on plain lists of bytes.

use std::io;

use php_event::{EolStyle, EventBuffer};
use proptest::prelude::*;

use super::{content, empty};

/// One call on the first of two buffers, some with the second.
#[derive(Clone, Debug)]
enum Op {
    Add(Vec<u8>),
    AddReference(Vec<u8>),
    Prepend(Vec<u8>),
    Drain(usize),
    Read(usize),
    Copyout(usize),
    ReadLine(EolStyle),
    Search(Vec<u8>, usize, Option<usize>),
    SearchEol(usize, EolStyle),
    Substr(usize, Option<usize>),
    Pullup(Option<usize>),
    Expand(usize),
    AddBuffer,
    PrependBuffer,
    AppendFrom(usize),
    /// Out of one end of a pipe and into the other.
    Through(usize),
    /// What is first is second from now on.
    Swap,
}

/// Letters in which everything recurs, and the ends of lines do.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let letter = prop::sample::select(b"ab\r\n\0".to_vec());
    let lengths = prop_oneof![8 => 0..8_usize, 2 => 8..64_usize, 1 => 900..2200_usize];
    lengths.prop_flat_map(move |length| prop::collection::vec(letter.clone(), length))
}

/// Positions and lengths, more of them small.
fn count() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..10_usize, 3 => 0..200_usize, 2 => 0..5000_usize, 1 => Just(usize::MAX)]
}

fn style() -> impl Strategy<Value = EolStyle> {
    use EolStyle::{Any, Crlf, CrlfStrict, Lf, Nul};
    prop::sample::select(vec![Any, Crlf, CrlfStrict, Lf, Nul])
}

fn op() -> impl Strategy<Value = Op> {
    let needle = prop::collection::vec(prop::sample::select(b"ab\r\n\0".to_vec()), 0..5);
    let maybe = || prop::option::of(count());
    prop_oneof![
        4 => bytes().prop_map(Op::Add),
        4 => bytes().prop_map(Op::AddReference),
        4 => bytes().prop_map(Op::Prepend),
        2 => count().prop_map(Op::Drain),
        2 => count().prop_map(Op::Read),
        1 => count().prop_map(Op::Copyout),
        3 => style().prop_map(Op::ReadLine),
        3 => (needle, count(), maybe()).prop_map(|(what, start, end)| Op::Search(what, start, end)),
        3 => (count(), style()).prop_map(|(start, style)| Op::SearchEol(start, style)),
        2 => (count(), maybe()).prop_map(|(start, length)| Op::Substr(start, length)),
        2 => maybe().prop_map(Op::Pullup),
        1 => (0..5000_usize).prop_map(Op::Expand),
        2 => Just(Op::AddBuffer),
        2 => Just(Op::PrependBuffer),
        2 => count().prop_map(Op::AppendFrom),
        1 => (0..5000_usize).prop_map(Op::Through),
        2 => Just(Op::Swap),
    ]
}

/// Where the line's end after `start` is, and how long, in plain bytes.
fn line_end(bytes: &[u8], start: usize, style: EolStyle) -> Option<(usize, usize)> {
    let after = |wanted: &[u8]| {
        let found = bytes[start..].iter().position(|byte| wanted.contains(byte));
        found.map(|at| start + at)
    };
    match style {
        EolStyle::Any => {
            let at = after(b"\r\n")?;
            let run = bytes[at..].iter().take_while(|byte| b"\r\n".contains(byte));
            Some((at, run.count()))
        }
        EolStyle::Crlf => {
            let at = after(b"\n")?;
            let cr = at > start && bytes[at - 1] == b'\r';
            Some(if cr { (at - 1, 2) } else { (at, 1) })
        }
        EolStyle::CrlfStrict => {
            let at = bytes[start..].windows(2).position(|pair| pair == b"\r\n")?;
            Some((start + at, 2))
        }
        EolStyle::Lf => Some((after(b"\n")?, 1)),
        EolStyle::Nul => Some((after(b"\0")?, 1)),
    }
}

fn find(bytes: &[u8], what: &[u8], start: usize, end: Option<usize>) -> Option<usize> {
    let end = end.unwrap_or(usize::MAX).min(bytes.len());
    (start..=end.checked_sub(what.len())?).find(|&at| bytes[at..].starts_with(what))
}

fn some(bytes: Vec<u8>) -> Option<Vec<u8>> {
    Some(bytes).filter(|bytes| !bytes.is_empty())
}

/// The same on the buffers and on plain bytes; where both answer, the answers are equal.
fn apply(op: &Op, buffers: &[EventBuffer; 2], models: &mut [Vec<u8>; 2]) {
    let ([buffer, other], [model, others]) = (buffers, models);
    let up_to = |n: usize, bytes: &[u8]| n.min(bytes.len());
    match op {
        Op::Add(bytes) => {
            buffer.add(bytes).unwrap();
            model.extend(bytes);
        }
        Op::AddReference(bytes) => {
            buffer.add_reference(bytes.as_slice()).unwrap();
            model.extend(bytes);
        }
        Op::Prepend(bytes) => {
            buffer.prepend(bytes).unwrap();
            model.splice(0..0, bytes.iter().copied());
        }
        Op::Drain(n) => {
            buffer.drain(*n).unwrap();
            model.drain(..up_to(*n, model));
        }
        Op::Read(n) => {
            let expected = model.drain(..up_to(*n, model)).collect();
            assert_eq!(buffer.read(*n).unwrap(), some(expected));
        }
        Op::Copyout(n) => {
            let mut data = vec![];
            assert_eq!(buffer.copyout(&mut data, *n).unwrap(), up_to(*n, model));
            assert_eq!(data, model[..up_to(*n, model)]);
        }
        Op::ReadLine(style) => {
            let expected = line_end(model, 0, *style).map(|(at, length)| {
                let line = model[..at].to_vec();
                model.drain(..at + length);
                line
            });
            assert_eq!(buffer.read_line(*style).unwrap(), expected);
        }
        Op::Search(what, start, end) => match buffer.search(what, *start, *end) {
            Ok(found) => assert_eq!(found, find(model, what, *start, *end)),
            Err(_) => assert!(*start > model.len()),
        },
        Op::SearchEol(start, style) => match buffer.search_eol(*start, *style) {
            Ok(found) => assert_eq!(found, line_end(model, *start, *style).map(|(at, _)| at)),
            Err(_) => assert!(*start > model.len()),
        },
        Op::Substr(start, length) => match buffer.substr(*start, *length) {
            Ok(part) => {
                let rest = &model[*start..];
                assert_eq!(part, rest[..up_to(length.unwrap_or(usize::MAX), rest)]);
            }
            Err(_) => assert!(*start > model.len()),
        },
        Op::Pullup(size) => {
            let size = size.unwrap_or(model.len());
            let expected = model.get(..size).map(<[u8]>::to_vec).and_then(some);
            let got = buffer.pullup(Some(size)).unwrap();
            assert!(got.is_none() || buffer.contiguous_space() >= size);
            assert_eq!(got, expected);
        }
        Op::Expand(n) => buffer.expand(*n).unwrap(),
        Op::AddBuffer => {
            buffer.add_buffer(other).unwrap();
            model.append(others);
        }
        Op::PrependBuffer => {
            buffer.prepend_buffer(other).unwrap();
            model.splice(0..0, others.drain(..));
        }
        Op::AppendFrom(n) => {
            let n = up_to(*n, others);
            assert_eq!(buffer.append_from(other, n).unwrap(), n);
            model.extend(others.drain(..n));
        }
        Op::Through(n) => {
            let (reader, writer) = io::pipe().unwrap();
            let written = buffer.write(&writer, Some(*n)).unwrap();
            drop(writer);
            while other.read_from(&reader, None).unwrap() > 0 {}
            others.extend(model.drain(..written));
        }
        Op::Swap => unreachable!("done by the caller"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn two_buffers_do_as_two_lists_of_bytes_do(ops in prop::collection::vec(op(), 1..60)) {
        let (mut buffers, mut models) = ([empty(), empty()], [vec![], vec![]]);
        for op in ops {
            if matches!(op, Op::Swap) {
                buffers.reverse();
                models.reverse();
            } else {
                apply(&op, &buffers, &mut models);
            }
            for (buffer, model) in buffers.iter().zip(&models) {
                assert_eq!(buffer.length(), model.len(), "after {op:?}");
                assert!(content(buffer) == *model, "after {op:?}");
                assert!(buffer.contiguous_space() <= model.len());
            }
        }
    }
}
