//! Reads replies (RESP 2) from the bytes of a connection, which may be cut anywhere.
//!
//! The parser of the redis crate reads a line. It does not read whole replies, because it skips
//! bytes that are not a reply where they arrive one by one.

use redis::{Value, parse_redis_value};

/// The longest line with its end. Redis sends only errors, numbers and lengths as lines.
const LINE_MAX: usize = 8 << 10;

/// The longest bulk string that Redis sends unless it is configured otherwise.
const BULK_MAX: usize = 512 << 20;

/// The deepest nesting. The replies that the hub asks for have four levels.
const DEPTH_MAX: usize = 16;

/// The replies of one connection.
#[derive(Default)]
pub(crate) struct Replies {
    bytes: Vec<u8>,
    /// Where the bytes begin that were not read yet.
    start: usize,
    /// The arrays that lack values, each within the one before it.
    open: Vec<Open>,
}

/// An array that lacks values.
struct Open {
    missing: usize,
    values: Vec<Value>,
}

/// The bytes are not a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAReply {
    #[error("an unknown kind of reply")]
    Kind,
    #[error("a length or a number that is none")]
    Number,
    #[error("a line that is too long or not text")]
    Line,
    #[error("a bulk string that is too long, or longer than its length")]
    Bulk,
    #[error("arrays that are nested too deep")]
    Depth,
}

/// A part of a reply.
enum Part {
    Value(Value),
    Array(usize),
}

impl Replies {
    /// Adds bytes that were received.
    pub(crate) fn extend(&mut self, bytes: Vec<u8>) {
        if self.start == self.bytes.len() {
            self.bytes = bytes;
        } else {
            self.bytes.drain(..self.start);
            self.bytes.extend_from_slice(&bytes);
        }
        self.start = 0;
    }

    /// The next reply, if all of it is there.
    ///
    /// # Errors
    /// When the bytes are not a reply: nothing more can be read.
    pub(crate) fn next(&mut self) -> Result<Option<Value>, NotAReply> {
        while let Some((part, size)) = part(self.bytes.get(self.start..).unwrap_or_default())? {
            let whole = match part {
                Part::Value(value) => self.add(value),
                Part::Array(0) => self.add(Value::Array(Vec::new())),
                Part::Array(_) if self.open.len() == DEPTH_MAX => return Err(NotAReply::Depth),
                Part::Array(missing) => {
                    let values = Vec::new(); // the length may be a lie
                    self.open.push(Open { missing, values });
                    None
                }
            };
            self.start += size;
            if whole.is_some() {
                return Ok(whole);
            }
        }
        Ok(None)
    }

    /// Adds a value to the array that lacks it. Returns the reply if that completes it.
    fn add(&mut self, mut value: Value) -> Option<Value> {
        while let Some(mut array) = self.open.pop() {
            array.values.push(value);
            array.missing -= 1;
            if array.missing > 0 {
                self.open.push(array);
                return None;
            }
            value = Value::Array(array.values);
        }
        Some(value)
    }
}

/// The first part of the bytes and its size, if all of it is there.
fn part(bytes: &[u8]) -> Result<Option<(Part, usize)>, NotAReply> {
    let Some(kind) = bytes.first() else {
        return Ok(None);
    };
    if !b"+-:$*".contains(kind) {
        return Err(NotAReply::Kind);
    }
    let most = bytes.get(..LINE_MAX).unwrap_or(bytes);
    let Some(end) = most.windows(2).position(|two| two == b"\r\n") else {
        let is_too_long = bytes.len() >= LINE_MAX;
        return if is_too_long {
            Err(NotAReply::Line)
        } else {
            Ok(None)
        };
    };
    let (line, rest) = bytes.split_at(end + 2);
    let text = line.get(1..end).unwrap_or_default();
    let text = str::from_utf8(text).map_err(|_| NotAReply::Line)?;
    let part = match kind {
        b'*' => length(text)?.map_or(Part::Value(Value::Nil), Part::Array),
        b'$' => match length(text)? {
            None => Part::Value(Value::Nil),
            Some(BULK_MAX..) => return Err(NotAReply::Bulk),
            Some(size) => {
                return Ok(bulk(rest, size)?.map(|bytes| {
                    let value = Value::BulkString(bytes.to_vec());
                    (Part::Value(value), line.len() + size + 2)
                }));
            }
        },
        b':' => Part::Value(Value::Int(number(text)?)),
        _ => Part::Value(parse_redis_value(line).map_err(|_| NotAReply::Line)?),
    };
    Ok(Some((part, line.len())))
}

/// The bulk string of that size at the front of the bytes, if it and its end are there.
fn bulk(bytes: &[u8], size: usize) -> Result<Option<&[u8]>, NotAReply> {
    match bytes.split_at_checked(size) {
        Some((bulk, [b'\r', b'\n', ..])) => Ok(Some(bulk)),
        None | Some((_, [] | [b'\r'])) => Ok(None),
        Some(_) => Err(NotAReply::Bulk),
    }
}

/// A length; `None` for -1, which stands for a value that is missing.
fn length(text: &str) -> Result<Option<usize>, NotAReply> {
    match number(text)? {
        -1 => Ok(None),
        length => usize::try_from(length)
            .map(Some)
            .map_err(|_| NotAReply::Number),
    }
}

fn number(text: &str) -> Result<i64, NotAReply> {
    text.parse().map_err(|_| NotAReply::Number)
}

/// The first reply in these bytes.
#[cfg(test)]
pub(crate) fn parse(bytes: &[u8]) -> Value {
    let mut replies = Replies::default();
    replies.extend(bytes.to_vec());
    replies.next().unwrap().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"+OK\r\n-READONLY no\r\n:7\r\n$-1\r\n*-1\r\n$4\r\na\r\nb\r\n\
        *2\r\n$1\r\nx\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nu\r\n$0\r\n\r\n+PONG\r\n";

    fn all(replies: &mut Replies) -> Vec<Value> {
        std::iter::from_fn(|| replies.next().unwrap()).collect()
    }

    #[test]
    fn replies_are_the_same_however_the_bytes_are_cut() {
        let mut whole = Replies::default();
        whole.extend(STREAM.to_vec());
        let expected = all(&mut whole);
        assert_eq!(expected.len(), 8, "{expected:?}");
        assert_eq!(expected[0], Value::Okay);
        assert!(matches!(&expected[1], Value::ServerError(error) if error.code() == "READONLY"));
        assert_eq!(expected[5], Value::BulkString(b"a\r\nb".to_vec()));
        for step in 1..=STREAM.len() {
            let mut replies = Replies::default();
            let mut got = Vec::new();
            for cut in STREAM.chunks(step) {
                replies.extend(cut.to_vec());
                got.extend(all(&mut replies));
            }
            assert_eq!(got, expected, "cut into {step} bytes");
        }
    }

    #[test]
    fn a_long_reply_arrives_whole_in_small_pieces() {
        let text = vec![b'x'; 1 << 20];
        let mut stream = format!("${}\r\n", text.len()).into_bytes();
        stream.extend_from_slice(&text);
        stream.extend_from_slice(b"\r\n:1\r\n");
        let mut replies = Replies::default();
        let mut got = Vec::new();
        for cut in stream.chunks(4096) {
            replies.extend(cut.to_vec());
            got.extend(all(&mut replies));
        }
        assert_eq!(got, [Value::BulkString(text), Value::Int(1)]);
    }

    #[test]
    fn bytes_that_are_no_reply_are_an_error() {
        let mut replies = Replies::default();
        replies.extend(b"HTTP/1.1 400 Bad Request\r\n".to_vec());
        assert!(replies.next().is_err());
    }

    /// What is left when bytes arrive one by one.
    fn one_by_one(bytes: &[u8]) -> Result<Vec<Value>, NotAReply> {
        let (mut replies, mut got) = (Replies::default(), Vec::new());
        for byte in bytes {
            replies.extend(vec![*byte]);
            got.extend(replies.next()?);
        }
        Ok(got)
    }

    #[test]
    fn bytes_that_are_no_reply_are_an_error_though_they_arrive_one_by_one() {
        for (bytes, error) in [
            (&b"*1\r\n82\r\n$1\r\nk\r\n"[..], NotAReply::Kind),
            (b"%1\r\n+a\r\n+b\r\n", NotAReply::Kind),
            (b"$x\r\n", NotAReply::Number),
            (b"$-2\r\n", NotAReply::Number),
            (b":1.5\r\n", NotAReply::Number),
            (b"*9223372036854775808\r\n", NotAReply::Number),
            (b"+\xff\r\n", NotAReply::Line),
            (b"$1\r\nab\r\n", NotAReply::Bulk),
            (b"$1\r\na\rb", NotAReply::Bulk),
        ] {
            assert_eq!(one_by_one(bytes), Err(error), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn lengths_that_are_lies_take_no_memory() {
        let mut replies = Replies::default();
        replies.extend(b"*9223372036854775807\r\n:1\r\n".to_vec());
        assert_eq!(replies.next(), Ok(None));
        replies.extend(format!("${BULK_MAX}\r\n").into_bytes());
        assert_eq!(replies.next(), Err(NotAReply::Bulk));
    }

    #[test]
    fn lines_and_depths_have_limits() {
        let read = |bytes: Vec<u8>| {
            let mut replies = Replies::default();
            replies.extend(bytes);
            replies.next()
        };
        let line = |length: usize| format!("+{}\r\n", "a".repeat(length - 3)).into_bytes();
        assert!(matches!(read(line(LINE_MAX)), Ok(Some(_))));
        assert_eq!(read(line(LINE_MAX + 1)), Err(NotAReply::Line));
        let nested = |depth: usize| format!("{}:1\r\n", "*1\r\n".repeat(depth)).into_bytes();
        assert!(matches!(read(nested(DEPTH_MAX)), Ok(Some(_))));
        assert_eq!(read(nested(DEPTH_MAX + 1)), Err(NotAReply::Depth));
    }
}
