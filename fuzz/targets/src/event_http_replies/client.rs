//! A client that knows what it has to get.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use http_framing::{Limits, ResponseDecoder, ResponseItem};
use socket2::SockRef;

use super::plan::{Exchange, Method, Plan};

/// How much it reads at once.
const READ_MAX: usize = 64 * 1024;

/// Bytes in both directions.
trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

pub(super) struct Client {
    stream: Box<dyn Stream>,
    plan: Rc<Plan>,
    /// What it has to send.
    output: Vec<u8>,
    /// How many requests it has begun to send.
    asked: usize,
    sent_behind: bool,
    reads: bool,
    /// What came and was not decoded.
    input: Vec<u8>,
    answers: usize,
    decoder: ResponseDecoder,
    body: usize,
    is_done: bool,
}

impl Client {
    pub(super) fn connect(address: SocketAddr, over_tls: bool, plan: &Rc<Plan>) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        stream.set_nonblocking(true).expect("an option");
        // Reset at its end, so that no port waits.
        let linger = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        linger.expect("an option");
        let stream: Box<dyn Stream> = match over_tls {
            #[cfg(feature = "openssl")]
            true => Box::new(tls::client(stream)),
            _ => Box::new(stream),
        };
        let mut this = Self {
            stream,
            plan: Rc::clone(plan),
            output: Vec::new(),
            asked: 0,
            sent_behind: false,
            reads: !plan.reads_late,
            input: Vec::new(),
            answers: 0,
            decoder: decoder(&plan.exchanges[0]),
            body: 0,
            is_done: false,
        };
        this.ask();
        this
    }

    /// Whether it has got everything, and the connection has ended.
    pub(super) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Sends and reads what it can. Whether something has moved.
    pub(super) fn turn(&mut self) -> bool {
        let sent = self.send();
        let read = self.reads && self.read();
        sent || read
    }

    /// Nothing moves: does what it has put off. Whether there was something.
    pub(super) fn goes_on(&mut self) -> bool {
        if self.asked == self.plan.exchanges.len() && !self.sent_behind {
            self.send_behind();
            return true;
        }
        !std::mem::replace(&mut self.reads, true)
    }

    /// Makes the next requests.
    fn ask(&mut self) {
        let count = self.plan.exchanges.len();
        while self.asked == self.answers || (self.plan.pipelines && self.asked + 1 < count) {
            if self.asked == count {
                return;
            }
            let request = self.plan.exchanges[self.asked].request();
            self.output.extend(request);
            self.asked += 1;
        }
        if self.asked == count && !self.plan.sends_late && !self.sent_behind {
            self.send_behind();
        }
    }

    fn send_behind(&mut self) {
        self.output.extend(self.plan.behind);
        self.sent_behind = true;
    }

    fn send(&mut self) -> bool {
        if self.output.is_empty() {
            return false;
        }
        let most = self.output.len().min(self.plan.cut);
        match self.stream.write(&self.output[..most]) {
            Ok(sent) => {
                self.output.drain(..sent);
                sent > 0
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("{error}: {self:?}, {:?}", self.plan),
        }
    }

    fn read(&mut self) -> bool {
        let mut room = vec![0; READ_MAX];
        match self.stream.read(&mut room) {
            Ok(0) => self.end(),
            Ok(length) => {
                self.input.extend_from_slice(&room[..length]);
                self.decode();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) => panic!("{error}: {self:?}, {:?}", self.plan),
        }
        true
    }

    fn decode(&mut self) {
        while let Some(exchange) = self.plan.exchanges.get(self.answers) {
            let decoded = self.decoder.decode(&self.input);
            let decoded = decoded.unwrap_or_else(|error| panic!("{error}: {:?}", self.plan));
            let used = decoded.used;
            match decoded.item {
                ResponseItem::NeedMore => return drop(self.input.drain(..used)),
                ResponseItem::Interim(_) => panic!("an interim answer: {:?}", self.plan),
                ResponseItem::Head(head) => {
                    let status = if exchange.is_error() { 500 } else { 200 };
                    assert_eq!(head.status, status, "{:?}", self.plan);
                }
                ResponseItem::Body(part) => {
                    let letter = exchange.letter();
                    assert!(exchange.is_error() || part.iter().all(|byte| *byte == letter));
                    self.body += part.len();
                }
                ResponseItem::End => {
                    self.input.drain(..used);
                    self.answered();
                    continue;
                }
            }
            self.input.drain(..used);
        }
    }

    /// An answer is complete.
    fn answered(&mut self) {
        let plan = Rc::clone(&self.plan);
        let body = std::mem::take(&mut self.body);
        if let Some(length) = plan.exchanges[self.answers].length() {
            assert_eq!(body, length, "answer {}: {plan:?}", self.answers);
        }
        self.answers += 1;
        if let Some(next) = plan.exchanges.get(self.answers) {
            self.decoder = decoder(next);
            self.ask();
        }
    }

    /// The server has ended the connection.
    fn end(&mut self) {
        let plan = Rc::clone(&self.plan);
        if self.answers < plan.exchanges.len() {
            let whole = self.decoder.end_of_input();
            whole.unwrap_or_else(|error| panic!("{error}: {self:?}, {plan:?}"));
            self.answered();
        }
        assert_eq!(self.answers, plan.exchanges.len(), "{plan:?}");
        assert_eq!(self.input, b"", "{plan:?}");
        self.is_done = true;
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("asked", &self.asked)
            .field("answers", &self.answers)
            .field("body", &self.body)
            .field("unsent", &self.output.len())
            .field("reads", &self.reads)
            .finish_non_exhaustive()
    }
}

fn decoder(exchange: &Exchange) -> ResponseDecoder {
    let method = match exchange.method {
        Method::Get => http_framing::Method::Get,
        Method::Head => http_framing::Method::Head,
        Method::Post => http_framing::Method::Post,
    };
    ResponseDecoder::new(Limits::default(), method)
}

#[cfg(feature = "openssl")]
pub(super) use tls::serving;

#[cfg(feature = "openssl")]
mod tls {
    use std::net::TcpStream;

    use openssl::ssl::SslStream;
    use php_event::EventSslContext;
    use test_support::tls::{server_file, trusting};

    pub(in super::super) fn serving() -> EventSslContext {
        let options = [(EventSslContext::OPT_LOCAL_CERT, server_file().into())];
        EventSslContext::new(EventSslContext::TLS_SERVER_METHOD, &options).expect("a context")
    }

    pub(super) fn client(stream: TcpStream) -> SslStream<TcpStream> {
        let mut ssl = trusting().into_ssl("localhost").expect("a session");
        ssl.set_connect_state();
        SslStream::new(ssl, stream).expect("a session")
    }
}
