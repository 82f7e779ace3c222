//! Reads replies from the bytes of a connection, which may be cut anywhere.

use std::io::{self, Read};

use redis::{Parser, RedisError, Value};

/// The replies of one connection.
#[derive(Default)]
pub(super) struct Replies {
    parser: Parser,
    bytes: Unread,
}

/// Bytes that the parser has not taken yet. When they are used up, reading would block.
#[derive(Default)]
struct Unread {
    bytes: Vec<u8>,
    start: usize,
    blocked: bool, // reading would have blocked since this was last looked at
}

impl Read for &mut Unread {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut rest = self.bytes.get(self.start..).unwrap_or_default();
        if rest.is_empty() {
            self.blocked = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = rest.read(buffer)?;
        self.start += count;
        Ok(count)
    }
}

impl Replies {
    /// Adds bytes that were received.
    pub(super) fn extend(&mut self, bytes: Vec<u8>) {
        let unread = &mut self.bytes;
        if unread.start == unread.bytes.len() {
            unread.bytes = bytes;
            unread.start = 0;
        } else {
            unread.bytes.extend_from_slice(&bytes);
        }
    }

    /// The next reply, if all of it is there.
    ///
    /// # Errors
    /// When the bytes are no reply: nothing more can be read.
    pub(super) fn next(&mut self) -> Result<Option<Value>, RedisError> {
        match self.parser.parse_value(&mut self.bytes) {
            Ok(value) => Ok(Some(value)),
            Err(_) if std::mem::take(&mut self.bytes.blocked) => Ok(None),
            Err(error) => Err(error),
        }
    }
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
}
