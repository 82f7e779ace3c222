//! A raw peer of the server, and a strict reader of its answers.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, SystemTime};

use socket2::{Domain, SockAddr, Socket, Type};

use super::{Address, LIMIT, Server};

/// What one `read` asks for.
const READ_SIZE: usize = 64 * 1024;

/// The body of an answer: the table with the listener (5) and connections of these numbers.
pub(crate) fn table(numbers: impl IntoIterator<Item = u64>) -> String {
    write_table([5].into_iter().chain(numbers).map(|number| (number, true)))
}

fn write_table(entries: impl IntoIterator<Item = (u64, bool)>) -> String {
    let entries: Vec<String> = entries
        .into_iter()
        .map(|(number, pending)| {
            let data = if number == 5 { "{}" } else { "null" };
            format!(r#""{number}":{{"pending":{pending},"data":{data}}}"#)
        })
        .collect();
    format!("{{{}}}", entries.join(","))
}

/// One connection.
pub(crate) struct Client {
    socket: Socket,
    /// What was read and not yet taken: `buffer[taken..]`.
    buffer: Vec<u8>,
    taken: usize,
}

impl Client {
    pub(crate) fn connect(address: &Address) -> io::Result<Self> {
        Self::connect_with(address, |_socket| Ok(()))
    }

    /// Connects a socket that `prepare` has seen first.
    pub(crate) fn connect_with(
        address: &Address,
        prepare: impl FnOnce(&Socket) -> io::Result<()>,
    ) -> io::Result<Self> {
        let (domain, address) = match address {
            Address::Tcp(address) => (Domain::for_address(*address), SockAddr::from(*address)),
            Address::Unix(path) => (Domain::UNIX, SockAddr::unix(path)?),
        };
        let socket = Socket::new(domain, Type::STREAM, None)?;
        prepare(&socket)?;
        socket.set_write_timeout(Some(LIMIT))?; // of connecting, too
        socket.connect(&address)?;
        if domain != Domain::UNIX {
            socket.set_tcp_nodelay(true)?;
        }
        socket.set_read_timeout(Some(LIMIT))?;
        Ok(Self {
            socket,
            buffer: Vec::new(),
            taken: 0,
        })
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        if let Err(error) = self.socket.write_all(bytes.as_ref()) {
            panic!("sending fails: {error}; {}", self.unread());
        }
    }

    /// Sends until nothing more goes out for a while, or the server has ended the connection;
    /// how much was sent.
    ///
    /// Repeats `part` up to `most` bytes in all, and may stop within it.
    #[track_caller]
    pub(crate) fn send_until_stuck(&mut self, part: &[u8], most: usize) -> usize {
        self.socket
            .set_write_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        let mut sent = 0;
        while sent < most {
            match self.socket.write(&part[sent % part.len()..]) {
                Ok(written) => sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if is_end(&error) => break,
                Err(error) => panic!("sending fails: {error}; {}", self.unread()),
            }
        }
        self.socket.set_write_timeout(Some(LIMIT)).unwrap();
        sent
    }

    /// The end of what this side sends; it still reads.
    #[track_caller]
    pub(crate) fn half_close(&mut self) {
        self.socket.shutdown(Shutdown::Write).unwrap();
    }

    /// Ends by RST, where dropping ends by FIN.
    pub(crate) fn reset(self) {
        self.socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Sends a good request and takes its answer.
    #[track_caller]
    pub(crate) fn ask(&mut self) -> Response {
        self.send(super::GET);
        let answer = self.answer();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    /// Takes one answer, with its body.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Response {
        self.response(true)
    }

    /// Takes the answer to HEAD, which has no body whatever its length says.
    #[track_caller]
    pub(crate) fn answer_to_head(&mut self) -> Response {
        self.response(false)
    }

    #[track_caller]
    fn response(&mut self, with_body: bool) -> Response {
        let end = loop {
            let unread = &self.buffer[self.taken..];
            if let Some(end) = unread.windows(4).position(|part| part == b"\r\n\r\n") {
                break end + 4;
            }
            if self.fill("the head of an answer") == 0 {
                panic!(
                    "the connection ends where an answer should be; {}",
                    self.unread()
                );
            }
        };
        let head = self.take(end);
        let mut response = Response::parse(&head).unwrap_or_else(|fault| {
            panic!("{fault} in {}", head.escape_ascii());
        });
        let length = response.length();
        if with_body && response.status != 100 {
            response.body = self.take_exactly(length.expect("the answer has a length"));
        }
        response
    }

    /// Takes the next `count` bytes as they are.
    #[track_caller]
    pub(crate) fn take_exactly(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() - self.taken < count {
            if self.fill("the rest of an answer") == 0 {
                panic!(
                    "the connection ends before {count} bytes; {}",
                    self.unread()
                );
            }
        }
        self.take(count)
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let taken = self.buffer[self.taken..self.taken + count].to_vec();
        self.taken += count;
        if self.taken == self.buffer.len() {
            self.buffer.clear();
            self.taken = 0;
        }
        taken
    }

    /// Reads once; 0 is the end of the connection.
    #[track_caller]
    fn fill(&mut self, what: &str) -> usize {
        match self.read() {
            Ok(count) => count,
            Err(error) => panic!("no {what}: {error}; {}", self.unread()),
        }
    }

    fn read(&mut self) -> io::Result<usize> {
        let filled = self.buffer.len();
        self.buffer.resize(filled + READ_SIZE, 0);
        let result = self.socket.read(&mut self.buffer[filled..]);
        self.buffer
            .truncate(filled + result.as_ref().map_or(0, |count| *count));
        result
    }

    /// The server ends the connection in good order, and sends nothing before.
    #[track_caller]
    pub(crate) fn expect_close(&mut self) {
        let count = self.fill("end of the connection");
        assert!(
            count == 0 && self.taken == self.buffer.len(),
            "{}",
            self.unread()
        );
    }

    /// Everything up to the end of the connection, which may be a reset.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        loop {
            match self.read() {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if is_end(&error) => break,
                Err(error) => panic!("no end of the connection: {error}; {}", self.unread()),
            }
        }
        self.take(self.buffer.len() - self.taken)
    }

    /// Nothing comes for so long, and the connection stays.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self, time: Duration) {
        assert_eq!(self.taken, self.buffer.len(), "{}", self.unread());
        assert!(!self.readable_within(time), "{}", self.unread());
    }

    /// Whether bytes, or the end of the connection, come within so long.
    #[track_caller]
    pub(crate) fn readable_within(&mut self, time: Duration) -> bool {
        self.socket.set_read_timeout(Some(time)).unwrap();
        let result = self.read();
        self.socket.set_read_timeout(Some(LIMIT)).unwrap();
        match result {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) if is_end(&error) => true,
            Err(error) => panic!("reading fails: {error}"),
        }
    }

    fn unread(&self) -> String {
        let unread = &self.buffer[self.taken..];
        let shown = &unread[..unread.len().min(500)];
        format!("{} bytes unread: {}", unread.len(), shown.escape_ascii())
    }
}

/// Whether the server has ended the connection by a reset.
fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}

/// One answer.
#[derive(Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) fields: Vec<(String, String)>,
    /// The head as it came, with its empty line.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}{}",
            self.head.escape_debug(),
            self.body.escape_ascii()
        )
    }
}

impl Response {
    /// Reads a head as RFC 9112 §4 and §5 write it, and not one byte more leniently.
    fn parse(head: &[u8]) -> Result<Self, String> {
        let head = str::from_utf8(head).map_err(|error| error.to_string())?;
        let mut lines = head.strip_suffix("\r\n\r\n").ok_or("no end")?.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let (status, reason) = status_line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.split_once(' '))
            .filter(|(status, _)| status.len() == 3)
            .ok_or("no status line")?;
        let mut fields = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or("a line without a colon")?;
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            if name.is_empty() || !name.bytes().all(is_name) {
                return Err(format!("a field named {name:?}"));
            }
            if value.bytes().any(|byte| byte.is_ascii_control()) {
                return Err(format!("a control byte in {name}"));
            }
            fields.push((name.to_owned(), value.trim_matches(' ').to_owned()));
        }
        Ok(Self {
            status: status.parse().map_err(|_| "no status")?,
            reason: reason.to_owned(),
            fields,
            head: head.to_owned(),
            body: Vec::new(),
        })
    }

    /// The one value of a field; `None` if it is missing.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self
            .fields
            .iter()
            .filter(|field| field.0.eq_ignore_ascii_case(name));
        let value = values.next()?;
        assert_eq!(values.next(), None, "{name} stands twice in {self:?}");
        Some(&value.1)
    }

    /// What frames the body: nothing but one length.
    #[track_caller]
    pub(crate) fn length(&self) -> Option<usize> {
        assert_eq!(self.field("Transfer-Encoding"), None, "{self:?}");
        let digits = self.field("Content-Length")?;
        assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{self:?}");
        Some(digits.parse().unwrap())
    }

    /// The numbers in the table that is the body, which has nothing else and the right order.
    ///
    /// An event may be resting: the listener's where there is no room, that of a peer that
    /// does not read.
    #[track_caller]
    pub(crate) fn numbers(&self) -> Vec<u64> {
        assert_eq!((self.status, self.reason.as_str()), (200, "OK"), "{self:?}");
        let entries = self.entries();
        let expected = write_table(entries.iter().copied());
        assert_eq!(str::from_utf8(&self.body), Ok(expected.as_str()));
        entries.into_iter().map(|(number, _)| number).collect()
    }

    /// The numbers of those in the table whose events rest.
    #[track_caller]
    pub(crate) fn resting(&self) -> Vec<u64> {
        let entries = self.entries().into_iter();
        let resting = entries.filter(|(_, pending)| !pending);
        resting.map(|(number, _)| number).collect()
    }

    #[track_caller]
    fn entries(&self) -> Vec<(u64, bool)> {
        let table: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("the body is no JSON object: {error}; {self:?}"));
        let mut entries: Vec<(u64, bool)> = table
            .iter()
            .map(|(number, event)| (number.parse().unwrap(), event["pending"] == true))
            .collect();
        entries.sort_unstable();
        entries
    }

    /// The date it has is a date, and now.
    #[track_caller]
    pub(crate) fn assert_dated(&self) {
        let date = self
            .field("Date")
            .unwrap_or_else(|| panic!("no Date in {self:?}"));
        let time = httpdate::parse_http_date(date).expect("a date");
        assert_eq!(httpdate::fmt_http_date(time), date, "not an IMF-fixdate");
        let now = SystemTime::now();
        let apart = now
            .duration_since(time)
            .or(time.duration_since(now))
            .unwrap();
        assert!(apart < LIMIT, "{date} is not now");
    }
}

/// Connects a client that has little room for what it does not read.
#[track_caller]
pub(crate) fn narrow(server: &Server) -> Client {
    Client::connect_with(server.address(), |socket| socket.set_recv_buffer_size(4096))
        .expect("the server accepts")
}

/// Takes the answer to a request that is refused: its whole form, and the end that follows it.
#[track_caller]
pub(crate) fn refused(client: &mut Client, status: u16) -> Response {
    let answer = client.answer();
    let reason = match status {
        400 => "Bad Request",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        505 => "HTTP Version Not Supported",
        _ => panic!("{status} is no refusal"),
    };
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (status, reason),
        "{answer:?}"
    );
    assert_eq!(answer.field("Connection"), Some("close"), "{answer:?}");
    let kind = answer.field("Content-Type").unwrap_or_default();
    assert!(kind.starts_with("text/plain"), "{answer:?}");
    answer.assert_dated();
    let why = str::from_utf8(&answer.body)
        .expect("the body is text")
        .trim();
    assert!(
        why.len() > 10 && why.contains(' '),
        "the body does not say why: {answer:?}"
    );
    client.expect_close();
    answer
}
