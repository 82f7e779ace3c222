//! Replies of Redis: the same values however the bytes are cut, written values come out again, and
//! the entries of a stream keep their ids and fields.

use ::redis::parse_redis_value;
use arbitrary::{Result, Unstructured};

use crate::app::hub::redis_store::entries::{self, Entry, ID, UPDATE, text_of};
use crate::app::hub::redis_store::values::{milliseconds_of, number_in, texts, values};
use crate::cuts::same_however_cut;
use crate::redis::Value;
use crate::redis::replies::Replies;

pub(crate) const WORDS: &[&[u8]] = &[
    b"*1\r\n*2\r\n$1\r\nk\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*4\r\n$2\r\nid\r\n$1\r\na\r\n$6\r\nupdate\r\n$1\r\nu\r\n",
    b"*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nx\r\n$0\r\n\r\n",
    b"*2\r\n$10\r\n1700000000\r\n$6\r\n123456\r\n",
    b"*2\r\n",
    b"*1\r\n",
    b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
    b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
    b"*0\r\n",
    b"*-1\r\n",
    b"*9223372036854775807\r\n",
    b"$-1\r\n",
    b"$0\r\n\r\n",
    b"$3\r\nabc\r\n",
    b"$1\r\na\rb",
    b"$3\r\n1-0\r\n",
    b"$2\r\nid\r\n",
    b"$6\r\nupdate\r\n",
    b"$9223372036854775807\r\n",
    b"$19\r\n9223372036854775807\r\n",
    b"$41\r\n18446744073709551615-18446744073709551615\r\n",
    b"+OK\r\n",
    b"+PONG\r\n",
    b"-READONLY no\r\n",
    b"-\r\n",
    b":7\r\n",
    b":-9223372036854775808\r\n",
    b"%1\r\n",
    b"~2\r\n",
    b"|1\r\n",
    b">2\r\n",
    b"_\r\n",
    b",1.5\r\n",
    b"#t\r\n",
    b"!3\r\nERR\r\n",
    b"!-1\r\n",
    b"=7\r\ntxt:abc\r\n",
    b"=-1\r\n",
    b"(12345678901234567890\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b"-1",
    b"\xff",
];

/// The deepest array that is written, and the most values in one.
const DEPTH_MAX: usize = 4;
const VALUES_MAX: usize = 5;

/// The values, and whether the connection is lost.
fn read(parts: &mut dyn Iterator<Item = &[u8]>) -> (Vec<Value>, bool) {
    let (mut replies, mut got) = (Replies::default(), Vec::new());
    for part in parts {
        replies.extend(part.to_vec());
        loop {
            match replies.next() {
                Ok(Some(value)) => got.push(value),
                Ok(None) => break,
                Err(_) => return (got, true),
            }
        }
    }
    (got, false)
}

fn write(value: &Value, to: &mut Vec<u8>) {
    match value {
        Value::Nil => to.extend_from_slice(b"$-1\r\n"),
        Value::Int(number) => to.extend_from_slice(format!(":{number}\r\n").as_bytes()),
        Value::Okay => to.extend_from_slice(b"+OK\r\n"),
        Value::SimpleString(text) => to.extend_from_slice(format!("+{text}\r\n").as_bytes()),
        Value::BulkString(bytes) => {
            to.extend_from_slice(format!("${}\r\n", bytes.len()).as_bytes());
            to.extend_from_slice(bytes);
            to.extend_from_slice(b"\r\n");
        }
        Value::Array(values) => {
            to.extend_from_slice(format!("*{}\r\n", values.len()).as_bytes());
            values.iter().for_each(|value| write(value, to));
        }
        other => unreachable!("{other:?} is never written"),
    }
}

fn bulk(u: &mut Unstructured<'_>) -> Result<Value> {
    let length = u.int_in_range(0..=24)?;
    let length = length.min(u.len());
    Ok(Value::BulkString(u.bytes(length)?.to_vec()))
}

fn value(u: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    Ok(match u.int_in_range(0..=5)? {
        0 => Value::Nil,
        1 => Value::Int(u.arbitrary()?),
        2 => Value::Okay,
        3 => Value::SimpleString("a simple string".to_owned()),
        4 if depth < DEPTH_MAX => {
            let count = u.int_in_range(0..=VALUES_MAX)?;
            let values = (0..count).map(|_| value(u, depth + 1));
            Value::Array(values.collect::<Result<_>>()?)
        }
        _ => bulk(u)?,
    })
}

/// Values that were written come out again.
fn written(u: &mut Unstructured<'_>) -> Result<()> {
    let (mut bytes, mut all) = (Vec::new(), Vec::new());
    while !u.is_empty() {
        let value = value(u, 0)?;
        write(&value, &mut bytes);
        all.push(value);
    }
    assert_eq!(same_however_cut(&bytes, read), (all, false));
    Ok(())
}

/// The entries of a stream come out of both kinds of replies, and so does a list of texts.
fn stream(u: &mut Unstructured<'_>) -> Result<()> {
    let (mut raw, mut expected) = (Vec::new(), Vec::new());
    let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
    while !u.is_empty() && raw.len() < VALUES_MAX {
        let position = u128::from(u.arbitrary::<u64>()?) << 64 | u128::from(u.arbitrary::<u64>()?);
        let (mut fields, mut content) = (Vec::new(), None);
        if u.arbitrary()? {
            let (id, update) = (u.arbitrary::<&str>()?, bulk(u)?);
            let mut pairs = vec![[text(ID), text(id)], [text(UPDATE), update.clone()]];
            if u.arbitrary()? {
                pairs.swap(0, 1);
            }
            if u.arbitrary()? {
                pairs.insert(u.int_in_range(0..=2)?, [text("later"), bulk(u)?]);
            }
            fields = pairs.concat();
            let Value::BulkString(update) = update else {
                unreachable!("a bulk string was made");
            };
            content = Some(entries::Content {
                id: id.to_owned(),
                update,
            });
        } else if u.arbitrary()? {
            fields = vec![text(ID), bulk(u)?]; // written by another program
        }
        raw.push(Value::Array(vec![
            text(&text_of(position)),
            Value::Array(fields),
        ]));
        expected.push(Entry { position, content });
    }
    let range = Value::Array(raw);
    let streams = Value::Array(vec![Value::Array(vec![text("key"), range.clone()])]);
    for (value, convert) in [
        (range, entries::of_range as fn(Value) -> _),
        (streams, entries::of_read),
    ] {
        let mut bytes = Vec::new();
        write(&value, &mut bytes);
        let (mut values, is_lost) = read(&mut bytes.chunks(7));
        assert!(!is_lost && values.len() == 1);
        assert_eq!(values.pop().map(convert), Some(Ok(expected.clone())));
    }
    Ok(())
}

/// What any reply may be taken for.
fn convert(value: &Value) {
    for entries in [
        entries::of_range(value.clone()),
        entries::of_read(value.clone()),
    ] {
        for entry in entries.into_iter().flatten() {
            let again = Value::Array(vec![
                Value::BulkString(text_of(entry.position).into_bytes()),
                Value::Nil,
            ]);
            let again = entries::of_range(Value::Array(vec![again]));
            let expected = Entry {
                position: entry.position,
                content: None,
            };
            assert_eq!(again, Ok(vec![expected]));
        }
    }
    assert!(texts(value.clone()).len() <= values(value.clone()).len());
    milliseconds_of(value);
    number_in(value, "length");
}

/// The values in bytes that are all there: RESP 2 by its description, read from the front again
/// and again. Errors and simple texts are the redis crate's to read.
fn expected(mut bytes: &[u8]) -> (Vec<Value>, bool) {
    let mut values = Vec::new();
    loop {
        match one(&mut bytes, 0) {
            Ok(value) => values.push(value),
            Err(Stop::Missing) => return (values, false),
            Err(Stop::Broken) => return (values, true),
        }
    }
}

/// Why there is no value.
enum Stop {
    Missing,
    Broken,
}

/// The deepest array, and the longest bulk string.
const NESTED_MAX: usize = 16;
const BULK_MAX: i64 = 512 << 20;

fn one(rest: &mut &[u8], depth: usize) -> std::result::Result<Value, Stop> {
    let kind = *rest.first().ok_or(Stop::Missing)?;
    if !b"+-:$*".contains(&kind) {
        return Err(Stop::Broken);
    }
    let end = rest.windows(2).position(|two| two == b"\r\n");
    let (line, tail) = rest.split_at(end.ok_or(Stop::Missing)? + 2);
    *rest = tail;
    let text = str::from_utf8(&line[1..line.len() - 2]).map_err(|_| Stop::Broken)?;
    let number = || text.parse::<i64>().map_err(|_| Stop::Broken);
    match kind {
        b':' => number().map(Value::Int),
        b'$' => match number()? {
            -1 => Ok(Value::Nil),
            length @ 0..BULK_MAX => bulk_string(rest, length),
            _ => Err(Stop::Broken),
        },
        b'*' => match number()? {
            -1 => Ok(Value::Nil),
            0 => Ok(Value::Array(Vec::new())),
            1.. if depth == NESTED_MAX => Err(Stop::Broken),
            length @ 1.. => {
                let values = (0..length).map(|_| one(rest, depth + 1));
                values
                    .collect::<std::result::Result<_, _>>()
                    .map(Value::Array)
            }
            _ => Err(Stop::Broken),
        },
        _ => parse_redis_value(line).map_err(|_| Stop::Broken),
    }
}

fn bulk_string(rest: &mut &[u8], length: i64) -> std::result::Result<Value, Stop> {
    let length = usize::try_from(length).expect("not negative");
    let (bytes, tail) = rest.split_at_checked(length).ok_or(Stop::Missing)?;
    *rest = match tail {
        [b'\r', b'\n', tail @ ..] => tail,
        [] | [b'\r'] => return Err(Stop::Missing),
        _ => return Err(Stop::Broken),
    };
    Ok(Value::BulkString(bytes.to_vec()))
}

/// What follows the first byte is read as it is, or becomes values, or a stream's entries.
pub(crate) fn run(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else {
        return;
    };
    let mut u = Unstructured::new(rest);
    // Bytes that are used up end the other two.
    match choice % 3 {
        0 => {
            let got = same_however_cut(rest, read);
            assert_eq!(got, expected(rest), "{}", rest.escape_ascii());
            got.0.iter().for_each(convert);
        }
        1 => written(&mut u).unwrap_or_default(),
        _ => stream(&mut u).unwrap_or_default(),
    }
}
