//! Questions to name servers over TCP: the query goes out behind its length, and the answer is as
//! many bytes as its own length says, however the server cuts them and whatever follows.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;

use arbitrary::{Result, Unstructured};
use php_event::Event;
use socket2::{Domain, Socket, Type};

use crate::dns::tcp::{Conversation, Progress};

/// Lengths of queries: more than the send buffer is sent in parts.
const QUERIES: [usize; 5] = [0, 1, 40, 9_000, 65_535];

/// Lengths of answers.
const ANSWERS: [usize; 6] = [0, 1, 12, 255, 256, 65_535];

/// Turns within which a query goes out to a server that reads all of it.
const TURNS: usize = 200;

/// A server, and what it has done so far.
struct Server {
    socket: Option<Socket>,
    /// What it has not sent yet.
    stream: Vec<u8>,
    sent: Vec<u8>,
    received: Vec<u8>,
    has_ended: bool,
}

impl Server {
    /// Sends that many bytes, or as many as there is room for: each write takes a piece of the
    /// socket's memory, however short it is.
    fn send(&mut self, length: usize) {
        let Some(mut socket) = self.socket.as_ref().filter(|_| !self.has_ended) else {
            return;
        };
        let part = &self.stream[..length.min(self.stream.len())];
        match socket.write(part) {
            Ok(n) => self.sent.extend(self.stream.drain(..n)),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }

    /// Reads what has come, or a part of it.
    fn receive(&mut self, length: usize) {
        let Some(mut socket) = self.socket.as_ref() else {
            return;
        };
        let mut part = vec![0; length];
        match socket.read(&mut part) {
            Ok(n) => self.received.extend_from_slice(&part[..n]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }

    fn is_sending(&self) -> bool {
        self.socket.is_some() && !self.has_ended && !self.stream.is_empty()
    }

    /// The message that it has sent.
    fn message(&self) -> Option<&[u8]> {
        let (length, rest) = self.sent.split_first_chunk()?;
        rest.get(..u16::from_be_bytes(*length).into())
    }
}

/// What the server sends: an answer after a length, which may be wrong, and more.
fn stream(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let length = *u.choose(&ANSWERS)?;
    let announced = match u.int_in_range(0..=7)? {
        0 => length.wrapping_sub(1),
        1 => length + 1,
        2 => usize::from(u.arbitrary::<u16>()?),
        _ => length,
    };
    let mut stream = (announced as u16).to_be_bytes().to_vec();
    stream.extend((0..length).map(|n| (n * 31 / 7) as u8));
    if u.ratio(1, 3)? {
        stream.extend(b"\0\x03more");
    }
    Ok(stream)
}

/// Goes on until the conversation is blocked or at its end; whether that is so.
fn advance(conversation: &mut Conversation, client: &Socket, server: &Server) -> bool {
    match conversation.advance(client) {
        Ok(Progress::Blocked) => {
            let is_sent = conversation.wants() == Event::READ;
            assert!(is_sent || conversation.wants() == Event::WRITE);
            if is_sent {
                assert_eq!(server.message(), None);
                assert!(!server.has_ended);
            }
            false
        }
        Ok(Progress::Message(message)) => {
            assert_eq!(Some(&message[..]), server.message());
            let mut rest = Vec::new();
            let end = { client }.read_to_end(&mut rest);
            assert!(end.is_ok() || end.is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
            assert_eq!(rest, server.sent[2 + message.len()..], "it is left unread");
            true
        }
        Err(error) => {
            assert!(server.has_ended, "{error}");
            assert!(server.socket.is_none() || server.message().is_none());
            true
        }
    }
}

fn converse(u: &mut Unstructured<'_>) -> Result<()> {
    let (client, socket) = Socket::pair(Domain::UNIX, Type::STREAM, None).expect("a pair");
    client.set_send_buffer_size(1).expect("the smallest");
    client.set_nonblocking(true).expect("an option");
    socket.set_nonblocking(true).expect("an option");
    let query: Vec<u8> = (0..*u.choose(&QUERIES)?).map(|n| (n * 7) as u8).collect();
    let mut conversation = Conversation::new(&query);
    let expected = [&(query.len() as u16).to_be_bytes()[..], &query].concat();
    let mut server = Server {
        socket: Some(socket),
        stream: stream(u)?,
        sent: Vec::new(),
        received: Vec::new(),
        has_ended: false,
    };
    let mut is_over = advance(&mut conversation, &client, &server);
    while !u.is_empty() && !is_over {
        match u.int_in_range(0..=9)? {
            0 | 1 => server.receive(*u.choose(&[1, 100, 70_000])?),
            2 | 3 => server.send(1),
            4 | 5 => server.send(*u.choose(&[2, 3, 100, 1_000])?),
            6..=8 => server.send(usize::MAX),
            _ => {
                server.has_ended = true;
                match server.socket.take_if(|_| u.ratio(1, 2).unwrap_or(false)) {
                    Some(socket) => drop(socket),
                    None => drop(
                        server
                            .socket
                            .as_ref()
                            .map(|it| it.shutdown(Shutdown::Write)),
                    ),
                }
            }
        }
        is_over = advance(&mut conversation, &client, &server);
        assert!(expected.starts_with(&server.received));
    }
    // In the end, the server reads the query, sends the rest, and goes.
    for _ in 0..TURNS {
        server.receive(usize::from(u16::MAX));
        if is_over || conversation.wants() == Event::READ {
            break;
        }
        is_over = advance(&mut conversation, &client, &server);
    }
    server.receive(usize::from(u16::MAX));
    if server.socket.is_some() {
        assert_eq!(server.received, expected);
    }
    while !is_over && server.is_sending() {
        server.send(usize::MAX);
        is_over = advance(&mut conversation, &client, &server);
    }
    if !is_over {
        if let Some(socket) = &server.socket {
            socket.shutdown(Shutdown::Write).expect("it is connected");
        }
        server.has_ended = true;
        assert!(advance(&mut conversation, &client, &server), "it is over");
    }
    Ok(())
}

/// The input says how long the query is, what the server sends, and in which parts.
pub(crate) fn run(input: &[u8]) {
    converse(&mut Unstructured::new(input)).unwrap_or_default();
}
