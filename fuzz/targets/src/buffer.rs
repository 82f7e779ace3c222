//! Random calls, on buffers and on plain lists of bytes.

use std::io;

use arbitrary::{Arbitrary, Result, Unstructured};
use php_event::{EolStyle, EventBuffer};

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

impl<'a> Arbitrary<'a> for Op {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.int_in_range(0..=24)? {
            0..3 => Self::Add(bytes(u)?),
            3..6 => Self::AddReference(bytes(u)?),
            6..9 => Self::Prepend(bytes(u)?),
            9 => Self::Drain(count(u)?),
            10 => Self::Read(count(u)?),
            11 => Self::Copyout(count(u)?),
            12 => Self::ReadLine(style(u)?),
            13 => Self::Search(needle(u)?, count(u)?, maybe(u)?),
            14 => Self::SearchEol(count(u)?, style(u)?),
            15 => Self::Substr(count(u)?, maybe(u)?),
            16 => Self::Pullup(maybe(u)?),
            17 => Self::Expand(u.int_in_range(0..=5000)?),
            18 => Self::AddBuffer,
            19 => Self::PrependBuffer,
            20 | 21 => Self::AppendFrom(count(u)?),
            22 => Self::Through(u.int_in_range(0..=5000)?),
            _ => Self::Swap,
        })
    }
}

/// Letters in which everything recurs, and the ends of lines do.
const LETTERS: &[u8] = b"ab\r\n\0";

fn bytes(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let length = match u.int_in_range(0..=10)? {
        0..8 => u.int_in_range(0..=7)?,
        8 | 9 => u.int_in_range(8..=63)?,
        _ => u.int_in_range(900..=2200)?,
    };
    // Long ones repeat what short ones would be.
    let letters = (0..length.min(16)).map(|_| u.choose(LETTERS).copied());
    let letters = letters.collect::<Result<Vec<u8>>>()?;
    Ok(letters.into_iter().cycle().take(length).collect())
}

fn needle(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let length = u.int_in_range(0..=4)?;
    (0..length).map(|_| u.choose(LETTERS).copied()).collect()
}

/// Positions and lengths, more of them small.
fn count(u: &mut Unstructured<'_>) -> Result<usize> {
    match u.int_in_range(0..=9)? {
        0..4 => u.int_in_range(0..=9),
        4..7 => u.int_in_range(0..=199),
        7 | 8 => u.int_in_range(0..=4999),
        _ => Ok(usize::MAX),
    }
}

fn maybe(u: &mut Unstructured<'_>) -> Result<Option<usize>> {
    let is_some = u.arbitrary()?;
    if is_some {
        count(u).map(Some)
    } else {
        Ok(None)
    }
}

fn style(u: &mut Unstructured<'_>) -> Result<EolStyle> {
    use EolStyle::{Any, Crlf, CrlfStrict, Lf, Nul};
    u.choose(&[Any, Crlf, CrlfStrict, Lf, Nul]).copied()
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

/// Calls in one run.
const CALLS_MAX: usize = 64;

pub(crate) fn run(input: &[u8]) {
    let mut rest = Unstructured::new(input);
    let new = || EventBuffer::new().expect("memory");
    let (mut buffers, mut models) = ([new(), new()], [vec![], vec![]]);
    for _ in 0..CALLS_MAX {
        if rest.is_empty() {
            break;
        }
        let Ok(op) = rest.arbitrary() else { break };
        if matches!(op, Op::Swap) {
            buffers.reverse();
            models.reverse();
        } else {
            apply(&op, &buffers, &mut models);
        }
        for (buffer, model) in buffers.iter().zip(&models) {
            assert_eq!(buffer.length(), model.len(), "after {op:?}");
            assert!(buffer.substr(0, None).unwrap() == *model, "after {op:?}");
            assert!(buffer.contiguous_space() <= model.len());
        }
    }
}
