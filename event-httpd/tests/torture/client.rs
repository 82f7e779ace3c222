//! A client that is up to no good: it sends in pieces, stalls, leaves and breaks off, and
//! checks each byte that it gets.

use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::poll::PollFlags;
use socket2::{Domain, Socket, Type};

use super::ledger::Ledger;
use super::server::{Owner, Step, step};

const ACCEPTED: &[u8] =
    b"HTTP/1.1 202 Accepted\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n";
const ACCEPTED_LAST: &[u8] =
    b"HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const MESSAGE: &[u8] = b"HTTP/1.1 200 OK\r\nAccept: application/json, text/plain, */*\r\n\
    Connection: keep-alive\r\nContent-Length:";
const END: &[u8] = b"\r\n\r\n";

/// Requests that a client sends ahead of their answers.
const PIPELINE: u32 = 8;

/// What a client has written, and not sent, before it writes more.
const UNSENT: usize = 256 << 10;

/// What one turn of the test reads from one client.
const READS: usize = 8;

/// What was done and seen last, for the report of a violation.
const HISTORY: usize = 60;

/// How rough a round is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(crate) clients: usize,
    pub(crate) think: Duration, // on average, between two actions of a client
    pub(crate) longest: usize,  // message
    pub(crate) tempo: Option<Duration>, // on average, between two misdeeds to the server
    pub(crate) reloads: bool,
}

/// Where a client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Connecting,
    Open,
    /// It left, and got what was still on its way as far as it wanted.
    Left,
    /// The server's end closed, or was reset.
    Dropped,
}

/// The messages of one sender that arrived: all from one to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) first: u32,
    pub(crate) next: u32,
}

pub(crate) struct Client {
    pub(crate) id: u32,
    pub(crate) port: u16,
    pub(crate) stage: Stage,
    pub(crate) born: Step,               // before it asked for the connection
    pub(crate) proof: Option<Step>,      // its first answer had come: its worker has it
    pub(crate) dropped: Option<Step>,    // after the log was read to the end behind it
    pub(crate) unaccepted: Option<Step>, // the last time that it was seen waiting in the queue
    pub(crate) outlived_one: bool,       // a worker was killed while it waited there
    pub(crate) worker: Option<usize>,
    pub(crate) cut_off: bool,
    pub(crate) half_closed: bool,
    pub(crate) has_written: bool,
    pub(crate) torn: bool,    // the server closed in the middle of something
    pub(crate) answered: u32, // of its messages
    pub(crate) seen: BTreeMap<u32, Seen>,
    pub(crate) deliveries: u64,
    socket: Option<Socket>,
    out: Vec<u8>,
    written: usize,
    pause_at: Option<usize>, // of `out`: what comes then waits for a while
    pause_until: Instant,
    mute: bool, // writing failed; the end will show when all has been read
    input: Vec<u8>,
    taken: usize, // of `input`
    stalled_until: Option<Instant>,
    next_action: Instant,
    rng: Rng,
    history: VecDeque<String>,
    began: Instant,
}

impl Client {
    /// # Errors
    /// What is wrong, when the connection was refused.
    pub(crate) fn join(
        id: u32,
        seed: u64,
        server: SocketAddr,
        began: Instant,
    ) -> Result<Self, String> {
        let mut rng = Rng::with_seed(seed ^ (u64::from(id) << 32));
        let born = step();
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None).unwrap();
        if rng.u8(0..4) == 0 {
            socket.set_recv_buffer_size(4 << 10).unwrap(); // its stalls are felt
        }
        match socket.connect(&server.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            Err(error) => return Err(format!("client {id} could not connect: {error}")),
        }
        let port = socket.local_addr().unwrap().as_socket().unwrap().port();
        let now = Instant::now();
        let mut client = Self {
            id,
            port,
            stage: Stage::Connecting,
            born,
            proof: None,
            dropped: None,
            unaccepted: None,
            outlived_one: false,
            worker: None,
            cut_off: false,
            half_closed: false,
            has_written: false,
            torn: false,
            answered: 0,
            seen: BTreeMap::new(),
            deliveries: 0,
            socket: Some(socket),
            out: Vec::new(),
            written: 0,
            pause_at: None,
            pause_until: now,
            mute: false,
            input: Vec::new(),
            taken: 0,
            stalled_until: None,
            next_action: now,
            rng,
            history: VecDeque::new(),
            began,
        };
        if client.rng.u8(0..8) == 0 {
            client.next_action += Duration::from_millis(client.rng.u64(0..3000)); // silent at first
        }
        client.note(|| format!("joins from port {port}"));
        Ok(client)
    }

    pub(crate) fn note(&mut self, what: impl FnOnce() -> String) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        let at = self.began.elapsed().as_secs_f64();
        self.history.push_back(format!("{at:9.3} {}", what()));
    }

    pub(crate) fn history(&self) -> impl Iterator<Item = &String> {
        self.history.iter()
    }

    pub(crate) fn is_there(&self) -> bool {
        matches!(self.stage, Stage::Connecting | Stage::Open)
    }

    /// Whether all that it sent was answered, and its connection is known to stand.
    pub(crate) fn is_settled(&self, ledger: &Ledger) -> bool {
        let sent = ledger.sent(self.id).len();
        self.stage == Stage::Open && sent > 0 && self.answered as usize == sent
    }

    pub(crate) fn owner(&mut self, owner: Option<Owner>, step: Step) {
        match owner {
            Some(Owner::Queue) => self.unaccepted = Some(step),
            Some(Owner::Worker(index)) => self.worker = Some(index),
            None => {}
        }
    }

    /// What it waits for.
    pub(crate) fn wants(&self, now: Instant) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let socket = self.socket.as_ref()?;
        let mut wants = PollFlags::empty();
        wants.set(PollFlags::POLLIN, self.stalled_until.is_none());
        let writes = self.stage == Stage::Connecting || self.may_write(now);
        wants.set(PollFlags::POLLOUT, writes);
        Some((socket.as_fd(), wants))
    }

    fn may_write(&self, now: Instant) -> bool {
        self.written < self.out.len() && now >= self.pause_until
    }

    /// Does what is due. In `storm` that is anything; without one it only ends what it began.
    pub(crate) fn act(&mut self, now: Instant, ledger: &mut Ledger, storm: Option<&Weather>) {
        if self.stalled_until.is_some_and(|until| now >= until) || storm.is_none() {
            self.stalled_until = None;
        }
        if storm.is_none() {
            self.pause_until = now;
            self.pause_at = None;
        }
        if self.stage != Stage::Open || self.half_closed {
            return;
        }
        let Some(weather) = storm else {
            if ledger.sent(self.id).is_empty() {
                self.send(ledger, 16);
            }
            return;
        };
        if now < self.next_action {
            return;
        }
        let think = weather.think.as_secs_f64() * -self.rng.f64().max(1e-6).ln();
        self.next_action = now + Duration::from_secs_f64(think.min(10.0));
        if ledger.sent(self.id).is_empty() {
            return self.send(ledger, 16); // says hello
        }
        match self.rng.u8(0..100) {
            0..70 => {
                for _ in 0..self.rng.u8(1..=3) {
                    let length = match self.rng.u8(0..20) {
                        0 => weather.longest,
                        1..4 => weather.longest / 16,
                        _ => weather.longest / 128,
                    };
                    let length = self.rng.usize(0..=length);
                    self.send(ledger, length);
                }
            }
            70..82 => {
                let time = Duration::from_millis(self.rng.u64(20..4000));
                self.note(|| format!("stalls for {time:?}"));
                self.stalled_until = Some(now + time);
            }
            82..88 => {
                self.note(|| "leaves".to_owned());
                self.leave();
            }
            88..91 => {
                self.note(|| "breaks off".to_owned());
                self.reset();
            }
            91..93 => {
                self.note(|| "says that it sends no more".to_owned());
                self.half_closed = true;
                if let Some(socket) = &self.socket {
                    socket.shutdown(Shutdown::Write).ok(); // the peer may be gone
                }
                self.out.clear();
                self.written = 0;
            }
            _ => {}
        }
    }

    fn send(&mut self, ledger: &mut Ledger, length: usize) {
        let sent = u32::try_from(ledger.sent(self.id).len()).unwrap();
        let ahead = sent - self.answered;
        if ahead >= PIPELINE || self.out.len() - self.written > UNSENT || self.mute {
            return;
        }
        let body = ledger.compose(self.id, &mut self.rng, length);
        let begin = self.out.len();
        let head: &[u8] = b"POST / HTTP/1.1\r\nHost: torture\r\n";
        self.out.extend_from_slice(head);
        if self.rng.u8(0..5) == 0 {
            self.out
                .extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            let (first, second) = body.split_at(self.rng.usize(0..body.len()));
            for chunk in [first, second] {
                if !chunk.is_empty() {
                    write!(self.out, "{:x}\r\n", chunk.len()).unwrap();
                    self.out.extend_from_slice(chunk);
                    self.out.extend_from_slice(b"\r\n");
                }
            }
            self.out.extend_from_slice(b"0\r\n\r\n");
        } else {
            write!(self.out, "Content-Length: {}\r\n\r\n", body.len()).unwrap();
            self.out.extend_from_slice(&body);
        }
        if self.pause_at.is_none() && self.rng.u8(0..6) == 0 {
            self.pause_at = Some(self.rng.usize(begin..self.out.len()));
        }
        self.note(|| format!("sends message {sent} of {} bytes", body.len()));
    }

    /// Closes its end.
    pub(crate) fn leave(&mut self) {
        self.stage = Stage::Left;
        self.socket = None;
    }

    fn reset(&mut self) {
        if let Some(socket) = &self.socket {
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        }
        self.leave();
    }

    /// Reads and writes what can be.
    ///
    /// # Errors
    /// What is wrong with what it got.
    pub(crate) fn ready(
        &mut self,
        events: PollFlags,
        now: Instant,
        ledger: &Ledger,
    ) -> Result<(), String> {
        let broken = events.intersects(PollFlags::POLLERR | PollFlags::POLLHUP);
        if self.stage == Stage::Connecting {
            if !broken && !events.contains(PollFlags::POLLOUT) {
                return Ok(());
            }
            let Some(socket) = &self.socket else {
                return Ok(());
            };
            if let Some(error) = socket.take_error().unwrap() {
                return Err(format!("could not connect: {error}"));
            }
            self.stage = Stage::Open;
            self.note(|| "is connected".to_owned());
        }
        if broken {
            self.stalled_until = None; // so that it is seen why
        }
        if events.contains(PollFlags::POLLOUT) && self.may_write(now) {
            self.write(now);
        }
        if self.stalled_until.is_none() && (broken || events.contains(PollFlags::POLLIN)) {
            self.read(ledger)?;
        }
        Ok(())
    }

    fn write(&mut self, now: Instant) {
        let Some(mut socket) = self.socket.as_ref() else {
            return;
        };
        let until = self.pause_at.unwrap_or(self.out.len());
        match socket.write(&self.out[self.written..until.max(self.written)]) {
            Ok(n) => {
                self.written += n;
                self.has_written = true;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => {
                self.note(|| format!("cannot write: {error}"));
                self.mute = true;
                self.written = self.out.len();
            }
        }
        if self.pause_at.is_some_and(|at| self.written >= at) {
            self.pause_at = None;
            let time = Duration::from_millis(self.rng.u64(1..800));
            self.pause_until = now + time;
            self.note(|| format!("pauses within a request for {time:?}"));
        }
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
            self.pause_at = None;
        }
    }

    fn read(&mut self, ledger: &Ledger) -> Result<(), String> {
        let mut buffer = [0; 64 << 10];
        for _ in 0..READS {
            let Some(mut socket) = self.socket.as_ref() else {
                break;
            };
            match socket.read(&mut buffer) {
                Ok(0) => {
                    self.torn = !self.input.is_empty() && !self.mute;
                    self.end("the server closed");
                }
                Ok(n) => {
                    self.input.extend_from_slice(&buffer[..n]);
                    self.take(ledger)?;
                    if n < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    self.end("the server broke off");
                }
                Err(error) => return Err(format!("reading failed: {error}")),
            }
        }
        Ok(())
    }

    fn end(&mut self, how: &str) {
        self.note(|| how.to_owned());
        if self.half_closed {
            self.stage = Stage::Left;
        } else {
            self.stage = Stage::Dropped;
        }
        self.socket = None;
    }

    /// Takes all answers and messages that have come whole.
    fn take(&mut self, ledger: &Ledger) -> Result<(), String> {
        let input = std::mem::take(&mut self.input);
        loop {
            let rest = &input[self.taken..];
            if rest.is_empty() {
                break;
            }
            if let Some(answer) = [ACCEPTED, ACCEPTED_LAST]
                .into_iter()
                .find(|answer| rest.starts_with(answer))
            {
                self.taken += answer.len();
                self.answer(ledger)?;
            } else if rest.starts_with(MESSAGE) {
                let Some(body) = body(rest)? else { break };
                let Some(bytes) = rest.get(body.clone()) else {
                    break;
                };
                self.taken += body.end;
                self.message(bytes, ledger)?;
            } else if [ACCEPTED, ACCEPTED_LAST, MESSAGE]
                .iter()
                .any(|head| head.starts_with(rest))
            {
                break;
            } else {
                let shown = &rest[..rest.len().min(200)];
                return Err(format!(
                    "got what is no answer: {:?}",
                    String::from_utf8_lossy(shown)
                ));
            }
        }
        self.input = input;
        self.input.drain(..std::mem::take(&mut self.taken));
        Ok(())
    }

    fn answer(&mut self, ledger: &Ledger) -> Result<(), String> {
        self.proof.get_or_insert_with(step);
        self.answered += 1;
        let answered = self.answered;
        self.note(|| format!("gets answer {}", answered - 1));
        if self.answered as usize > ledger.sent(self.id).len() {
            return Err("got more answers than it sent messages".to_owned());
        }
        Ok(())
    }

    fn message(&mut self, body: &[u8], ledger: &Ledger) -> Result<(), String> {
        let Some((from, seq)) = ledger.recognize(body) else {
            let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            return Err(format!(
                "got a message of {} bytes that nobody sent like this: {shown:?}",
                body.len()
            ));
        };
        self.deliveries += 1;
        if from == self.id {
            return Err(format!("got its own message {seq}"));
        }
        let Some(seen) = self.seen.get_mut(&from) else {
            // What was sent before it was known to be connected may have passed it by.
            let due = self.proof.map_or(u32::MAX, |p| ledger.first_after(from, p));
            if seq > due {
                return Err(format!(
                    "lost messages {due} to {} of client {from}: {seq} came first",
                    seq - 1
                ));
            }
            let next = seq + 1;
            self.seen.insert(from, Seen { first: seq, next });
            return Ok(());
        };
        if seq != seen.next {
            let what = if seq < seen.next {
                "again, or late"
            } else {
                "too soon"
            };
            return Err(format!(
                "got message {seq} of client {from} {what}: {} was next",
                seen.next
            ));
        }
        seen.next += 1;
        Ok(())
    }
}

/// Where a message's body is; `None` if its head has not come whole.
fn body(message: &[u8]) -> Result<Option<Range<usize>>, String> {
    let rest = &message[MESSAGE.len()..];
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (length, end) = rest.split_at(digits);
    if end.len() < END.len() {
        return Ok(None);
    }
    let length = std::str::from_utf8(length)
        .ok()
        .and_then(|length| length.parse::<usize>().ok());
    let start = MESSAGE.len() + digits + END.len();
    match length {
        Some(length) if end.starts_with(END) => Ok(Some(start..start + length)),
        _ => Err("got a message without a proper length".to_owned()),
    }
}
