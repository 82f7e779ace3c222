//! WebSocket (RFC 6455), the server's side, without I/O.
//!
//! The crate `tungstenite` frames, masks, joins and checks; it reads from and writes to memory
//! here.

use std::borrow::Cow;
use std::io::{self, Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use tungstenite::Message;
use tungstenite::error::{Error, ProtocolError};
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

use crate::{Refusal, Status};

/// Appended to the key before it is hashed for `Sec-WebSocket-Accept` (RFC 6455 §1.3).
const ACCEPT_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The supported version. An answer 426 names it in `Sec-WebSocket-Version`.
pub const VERSION: &str = "13";

/// The initial size of a connection's read buffer.
const BUFFER: usize = 512;

/// The bytes of a peer's ping or pong before its payload.
const CONTROL_HEAD: usize = 6;

/// The fields of an opening request that matter; the method and HTTP version are the server's to
/// check: `GET`, 1.1 or newer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opening<'a> {
    /// `Upgrade`.
    pub upgrade: Option<&'a [u8]>,
    /// `Connection`.
    pub connection: Option<&'a [u8]>,
    /// `Sec-WebSocket-Version`.
    pub version: Option<&'a [u8]>,
    /// `Sec-WebSocket-Key`.
    pub key: Option<&'a [u8]>,
}

impl Opening<'_> {
    /// Whether the request asks for WebSocket, well-formed or not.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        has_token(self.upgrade, b"websocket")
    }

    /// The value of `Sec-WebSocket-Accept` for the answer 101.
    ///
    /// # Errors
    /// 400 for a malformed request, 426 for another version than 13; that answer names
    /// [`VERSION`] in `Sec-WebSocket-Version`.
    ///
    /// # Examples
    /// ```
    /// use hub_protocol::websocket::Opening;
    ///
    /// let opening = Opening {
    ///     upgrade: Some(b"websocket"),
    ///     connection: Some(b"keep-alive, Upgrade"),
    ///     version: Some(b"13"),
    ///     key: Some(b"dGhlIHNhbXBsZSBub25jZQ=="),
    /// };
    /// assert_eq!(opening.accept()?, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    /// # Ok::<(), hub_protocol::Refusal>(())
    /// ```
    pub fn accept(&self) -> Result<String, Refusal> {
        if !self.is_requested() {
            return Err(Refusal::bad("the field Upgrade must be websocket"));
        }
        if !has_token(self.connection, b"upgrade") {
            return Err(Refusal::bad("the field Connection must have Upgrade"));
        }
        if self.version.map(<[u8]>::trim_ascii) != Some(VERSION.as_bytes()) {
            return Err(Refusal::new(
                Status::UpgradeRequired,
                "the field Sec-WebSocket-Version must be 13",
            ));
        }
        let key = self.key.unwrap_or_default().trim_ascii();
        let decoded = STANDARD.decode(key);
        if decoded.is_ok_and(|nonce| nonce.len() == 16) {
            let digest = Sha1::new().chain_update(key).chain_update(ACCEPT_GUID);
            Ok(STANDARD.encode(digest.finalize()))
        } else {
            Err(Refusal::bad(
                "the field Sec-WebSocket-Key must be 16 bytes in base64",
            ))
        }
    }
}

fn has_token(field: Option<&[u8]>, token: &[u8]) -> bool {
    field.is_some_and(|field| {
        field
            .split(|&byte| byte == b',')
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(token))
    })
}

/// What a peer has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A ping; its answer is among the bytes to send.
    Ping,
    /// A pong.
    Pong,
    /// The closing handshake is done: send what there is to send and close the connection.
    Closed {
        /// The code that the peer gave.
        code: Option<u16>,
    },
}

/// Why the connection failed. The bytes to send end with a close frame with its code; send them
/// and close the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {reason}")]
pub struct Failure {
    code: u16,
    reason: Cow<'static, str>,
}

impl Failure {
    /// 1002 for a broken protocol, 1007 for a text that is not UTF-8, 1009 for a message that is
    /// too large.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// What was wrong.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// The server's side of one connection after the handshake.
///
/// # Examples
/// ```
/// use hub_protocol::websocket::{Connection, Event};
///
/// let mut connection = Connection::new(1024);
/// let mut output = Vec::new();
/// // A masked text message with "hi".
/// let mut input: &[u8] = &[0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];
/// let event = connection.receive(&mut input, &mut output)?;
/// assert_eq!(event, Some(Event::Text("hi".to_owned())));
/// assert_eq!(connection.receive(&mut input, &mut output)?, None);
/// # Ok::<(), hub_protocol::websocket::Failure>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    context: WebSocketContext,
    state: State,
    unfinished: usize, // bytes read that may belong to a message that is not complete
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// We have sent a close frame; the peer has not.
    Closing,
    Closed,
}

impl Connection {
    /// A connection that takes messages of at most `message_max` bytes.
    #[must_use]
    pub fn new(message_max: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(message_max))
            .max_frame_size(Some(message_max));
        Self {
            context: WebSocketContext::new(Role::Server, Some(config)),
            state: State::Open,
            unfinished: 0,
        }
    }

    /// About how much memory it takes for a message that is not complete.
    #[must_use]
    pub fn memory(&self) -> usize {
        // What was read waits in a buffer that doubles, and fragments are copied out of it.
        self.unfinished.saturating_mul(2)
    }

    /// Whether messages may still be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Reads the next event from `input`; none when more bytes are needed.
    ///
    /// The bytes it consumes are removed from the front of `input`. Answers to pings and to a close frame are
    /// appended to `output`. Call it until it returns none.
    ///
    /// # Errors
    /// When the peer breaks the protocol, see [`Failure`]; all calls after that return none.
    pub fn receive(
        &mut self,
        input: &mut &[u8],
        output: &mut Vec<u8>,
    ) -> Result<Option<Event>, Failure> {
        if self.state == State::Closed {
            *input = &[];
            return Ok(None);
        }
        let before = input.len();
        let mut memory = Memory { input, output };
        let read = self.context.read(&mut memory);
        self.count(before - memory.input.len(), &read);
        match read {
            Ok(message) => Ok(self.event(message, &mut memory)),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => {
                let failure = failure(error);
                let was_open = self.state == State::Open;
                self.state = State::Closed;
                if was_open {
                    close_frame(failure.code, &failure.reason, output);
                }
                Err(failure)
            }
        }
    }

    /// Counts bytes that were read, and what became of them.
    fn count(&mut self, bytes: usize, read: &Result<Message, Error>) {
        let unfinished = self.unfinished + bytes;
        self.unfinished = match read {
            // Only bytes of this read can follow the message.
            Ok(Message::Text(_) | Message::Binary(_)) => bytes,
            Ok(Message::Ping(payload) | Message::Pong(payload)) => {
                unfinished.saturating_sub(CONTROL_HEAD + payload.len())
            }
            Err(Error::Io(_)) => unfinished,
            Ok(Message::Close(_) | Message::Frame(_)) | Err(_) => 0,
        };
    }

    fn event(&mut self, message: Message, memory: &mut Memory<'_, '_>) -> Option<Event> {
        // Pongs and the answer to a close frame leave now and not with the next event. An error
        // says that the connection is closed, which the message says too.
        let _ = self.context.flush(memory);
        match message {
            Message::Text(text) => Some(Event::Text(text.as_str().to_owned())),
            Message::Binary(bytes) => Some(Event::Binary(bytes.into())),
            Message::Ping(_) => Some(Event::Ping),
            Message::Pong(_) => Some(Event::Pong),
            Message::Close(frame) => {
                self.state = State::Closed;
                Some(Event::Closed {
                    code: frame.map(|frame| frame.code.into()),
                })
            }
            Message::Frame(_) => None, // never read
        }
    }

    /// Begins the closing handshake: appends a close frame to `output`, unless one was sent.
    ///
    /// [`Event::Closed`] ends it; a server that does not want to wait closes the connection.
    pub fn close(&mut self, code: u16, reason: &str, output: &mut Vec<u8>) {
        if self.state != State::Open {
            return;
        }
        self.state = State::Closing;
        let mut input: &[u8] = &[];
        let mut memory = Memory {
            input: &mut input,
            output,
        };
        // Writing to memory does not fail.
        let _ = self.context.close(&mut memory, Some(frame(code, reason)));
    }
}

/// The bytes at hand, as a stream that would block when they are used up.
struct Memory<'m, 'i> {
    input: &'m mut &'i [u8],
    output: &'m mut Vec<u8>,
}

impl Read for Memory<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.input.read(buffer)
    }
}

impl Write for Memory<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failure(error: Error) -> Failure {
    let (code, reason) = match error {
        Error::Utf8(_) => (CloseCode::Invalid, Cow::from("a text is not valid UTF-8")),
        Error::Capacity(_) => (CloseCode::Size, Cow::from("the message is too large")),
        Error::Protocol(ProtocolError::UnmaskedFrameFromClient) => {
            (CloseCode::Protocol, Cow::from("a frame is not masked"))
        }
        Error::Protocol(error) => (CloseCode::Protocol, Cow::from(error.to_string())),
        _ => (CloseCode::Protocol, Cow::from("the connection is closed")),
    };
    Failure {
        code: code.into(),
        reason,
    }
}

fn frame(code: u16, reason: &str) -> CloseFrame {
    // A control frame has 125 bytes at most, two of them for the code.
    let mut length = reason.len().min(123);
    while !reason.is_char_boundary(length) {
        length -= 1;
    }
    let (reason, _) = reason.split_at(length);
    CloseFrame {
        code: CloseCode::from(code),
        reason: reason.into(),
    }
}

/// Appends a text message in one frame. Its bytes are the same for every receiver.
///
/// # Examples
/// ```
/// let mut output = Vec::new();
/// hub_protocol::websocket::text_frame("hi", &mut output);
/// assert_eq!(output, [0x81, 2, b'h', b'i']);
/// ```
pub fn text_frame(text: &str, output: &mut Vec<u8>) {
    put(
        Frame::message(text.to_owned(), OpCode::Data(Data::Text), true),
        output,
    );
}

/// Appends a ping.
pub fn ping_frame(output: &mut Vec<u8>) {
    put(Frame::ping(Vec::new()), output);
}

/// Appends a close frame; a reason that is too long for one is cut.
pub fn close_frame(code: u16, reason: &str, output: &mut Vec<u8>) {
    put(Frame::close(Some(frame(code, reason))), output);
}

fn put(frame: Frame, output: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = frame.format(output);
}

#[cfg(test)]
mod tests;
