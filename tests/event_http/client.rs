//! A client of raw bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::transport::Transport;
use test_support::LIMIT;

/// What a server answered.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) version: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// The first header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|header| header.0.eq_ignore_ascii_case(name))?;
        Some(&found.1)
    }
}

/// A connection to a server, as bytes.
pub(crate) struct Client(pub(crate) TcpStream, SocketAddr);

impl Client {
    pub(crate) fn new(over: Transport, address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        let from = stream.local_addr().unwrap();
        let stream = over.client(stream);
        stream.set_read_timeout(Some(LIMIT / 2)).unwrap();
        stream.set_write_timeout(Some(LIMIT / 2)).unwrap();
        Self(stream, from)
    }

    /// Its address, as the server has it.
    pub(crate) fn address(&self) -> SocketAddr {
        self.1
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap();
    }

    /// As [`send`](Self::send), and tells whether the server has not closed.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).is_ok()
    }

    /// Says that no more will come.
    pub(crate) fn end(&self) {
        self.0.shutdown(Shutdown::Write).unwrap();
    }

    /// The next answer: by its length, its chunks, or up to the end.
    pub(crate) fn answer(&mut self) -> Answer {
        self.answer_to("GET")
    }

    /// As [`answer`](Self::answer), to a request of that method.
    pub(crate) fn answer_to(&mut self, method: &str) -> Answer {
        let mut answer = self.head();
        let bodiless = method == "HEAD" || matches!(answer.status, 100..=199 | 204 | 304);
        let body = if bodiless {
            Vec::new()
        } else if answer.header("Transfer-Encoding").is_some() {
            self.chunks()
        } else if let Some(length) = answer.header("Content-Length") {
            let mut body = vec![0; length.parse().unwrap()];
            self.0.read_exact(&mut body).unwrap();
            body
        } else {
            self.rest().into_bytes()
        };
        answer.body = String::from_utf8(body).unwrap();
        answer
    }

    /// The next answer's head.
    pub(crate) fn head(&mut self) -> Answer {
        let line = self.line();
        let mut words = line.splitn(3, ' ');
        let mut answer = Answer {
            version: words.next().unwrap().to_owned(),
            status: words.next().unwrap().parse().unwrap(),
            reason: words.next().unwrap().to_owned(),
            ..Answer::default()
        };
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else {
                assert_eq!(line, "");
                return answer;
            };
            answer.headers.push((name.to_owned(), value.to_owned()));
        }
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(&self.line(), 16).unwrap();
            let start = body.len();
            body.resize(start + size, 0);
            self.0.read_exact(&mut body[start..]).unwrap();
            assert_eq!(self.line(), "");
            if size == 0 {
                return body;
            }
        }
    }

    /// The next line, without its CR LF.
    pub(crate) fn line(&mut self) -> String {
        let (mut line, mut byte) = (Vec::new(), [0]);
        while !line.ends_with(b"\r\n") {
            self.0.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        line.truncate(line.len() - 2);
        String::from_utf8(line).unwrap()
    }

    /// All that comes up to the end, or the reset.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        if let Err(error) = self.0.read_to_end(&mut rest) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
        String::from_utf8(rest).unwrap()
    }

    /// Whether the server has closed, and sent nothing before.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.rest().is_empty()
    }
}
