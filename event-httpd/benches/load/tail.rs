//! How long single requests wait: at half of what a server can do, and beside large broadcasts.

use std::collections::VecDeque;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::Result;
use super::client::{Bounds, Crowd, HEAD, Waiter, connect, count_marks};
use super::fanout::subscribe;
use super::process::{LIMIT, Server, until};
use super::servers::Peer;

/// Times in order.
#[derive(Debug)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The time within which that part of all requests was answered, in microseconds.
    pub(crate) fn within(&self, part: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let index = (part * self.0.len() as f64) as usize;
        let time = self.0.get(index.min(last)).copied().unwrap_or_default();
        time.as_secs_f64() * 1e6
    }
}

/// Moments at random intervals whose mean is 1 / `rate`.
struct Clock {
    next: Instant,
    mean: f64,
    random: fastrand::Rng,
}

impl Clock {
    fn new(rate: f64) -> Self {
        Self {
            next: Instant::now(),
            mean: 1.0 / rate,
            random: fastrand::Rng::with_seed(7),
        }
    }

    /// The next moment, if it has come.
    fn due(&mut self, now: Instant) -> Option<Instant> {
        if now < self.next {
            return None;
        }
        let due = self.next;
        let interval = -self.mean * (1.0 - self.random.f64()).ln();
        self.next += Duration::from_secs_f64(interval);
        Some(due)
    }

    /// Leaves out the moments that have passed.
    fn skip(&mut self, now: Instant) {
        while self.due(now).is_some() {}
    }
}

/// Sends requests when a clock says so, however fast the answers come, and takes the time from that
/// moment to the answer. A request that finds all connections busy waits for one.
pub(crate) fn by_the_clock(crowd: &mut Crowd, rate: f64, time: Duration) -> Result<Times> {
    let mut idle = (0..crowd.connections.len()).collect::<VecDeque<_>>();
    let mut since = vec![Instant::now(); crowd.connections.len()];
    let mut overdue = VecDeque::new();
    let mut times = Vec::new();
    let mut clock = Clock::new(rate);
    let begun = Instant::now();
    let mut under_way = 0;
    loop {
        let now = Instant::now();
        let over = now - begun > time;
        while !over && let Some(due) = clock.due(now) {
            overdue.push_back(due);
        }
        while !overdue.is_empty()
            && let Some(number) = idle.pop_front()
        {
            since[number] = overdue.pop_front().unwrap_or(now);
            crowd.connections[number].send(HEAD, 1)?;
            under_way += 1;
        }
        if over && under_way == 0 {
            return Ok(Times::new(times));
        }
        if now - begun > time + LIMIT {
            return Err("answers are missing".into());
        }
        let ready = crowd.waiter.wait(Duration::ZERO)?;
        for index in 0..ready {
            let number = crowd.waiter.number(index);
            if crowd.connections[number].read(&mut crowd.buffer)? {
                times.push(since[number].elapsed());
                idle.push_back(number);
                under_way -= 1;
            }
        }
    }
}

/// Messages to thousands of receivers, and small requests meanwhile.
pub(crate) fn beside_broadcasts(
    peer: Peer,
    server: &Server,
    receivers: usize,
    bounds: Bounds,
) -> Result<Times> {
    const MARK: u8 = b'@';
    let (address, before) = (server.address(), server.descriptors()?);
    let mut waiter = Waiter::new(8)?; // few at once: the answer to the small request is taken in time
    let mut buffer = vec![0; 1 << 16];
    let mut streams = Vec::new();
    for number in 0..receivers {
        let stream = connect(address, number)?;
        if peer == Peer::Redis {
            subscribe(&stream)?;
        }
        waiter.add(&stream, number)?;
        streams.push(stream);
    }
    let publisher = connect(address, receivers)?;
    let mut asker = Asker::new(peer, connect(address, receivers + 1)?);
    until("all are connected", || {
        Ok(server.descriptors()? >= before + receivers + 2)
    })?;
    let text = format!("@{:m<63}", "");
    let message = match peer {
        Peer::Redis => format!("*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n$64\r\n{text}\r\n"),
        _ => format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 64\r\n\r\n{text}"),
    };
    let begun = Instant::now();
    let mut clock = Clock::new(500.0);
    let mut times = Vec::new();
    let mut left = 0;
    let mut last = begun;
    while times.len() < bounds.count {
        let now = Instant::now();
        if left == 0 {
            if now - begun > bounds.time && asker.since.is_none() {
                break;
            }
            left = receivers;
            last = now;
            count_marks(&publisher, &mut buffer, MARK)?;
            (&publisher).write_all(message.as_bytes())?;
        }
        if now - last > LIMIT {
            return Err(format!("{left} deliveries are missing").into());
        }
        if asker.since.is_none() && clock.due(now).is_some() {
            asker.ask(now)?;
        }
        if let Some(time) = asker.answer(&mut buffer)? {
            times.push(time);
            clock.skip(Instant::now());
        }
        for index in 0..waiter.wait(Duration::ZERO)? {
            let number = waiter.number(index);
            left -= count_marks(&streams[number], &mut buffer, MARK)?;
        }
    }
    Ok(Times::new(times))
}

/// Asks for something small.
struct Asker {
    stream: TcpStream,
    request: &'static [u8],
    answer: &'static [u8],
    since: Option<Instant>,
    read: Vec<u8>,
}

impl Asker {
    fn new(peer: Peer, stream: TcpStream) -> Self {
        let (request, answer): (&[u8], &[u8]) = match peer {
            Peer::Redis => (b"PING\r\n", b"+PONG\r\n"),
            // A request without a body is answered, and nobody receives anything.
            _ => (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 202"),
        };
        Self {
            stream,
            request,
            answer,
            since: None,
            read: Vec::new(),
        }
    }

    fn ask(&mut self, now: Instant) -> Result<()> {
        self.read.clear();
        self.since = Some(now);
        Ok((&self.stream).write_all(self.request)?)
    }

    /// How long it has waited, once it is answered. Between messages that it receives, the answer
    /// is found by its status.
    fn answer(&mut self, buffer: &mut [u8]) -> Result<Option<Duration>> {
        use std::io::{ErrorKind, Read as _};
        match self.stream.read(buffer) {
            Ok(0) => return Err("the server has closed a connection".into()),
            Ok(count) => self.read.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let found = self
            .read
            .windows(self.answer.len())
            .any(|bytes| bytes == self.answer);
        if !found {
            let keep = self.read.len().saturating_sub(self.answer.len());
            self.read.drain(..keep);
            return Ok(None);
        }
        self.read.clear();
        Ok(self.since.take().map(|since| since.elapsed()))
    }
}
