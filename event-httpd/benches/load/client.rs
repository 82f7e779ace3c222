//! The client of HTTP servers: many connections in one thread.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use socket2::{Domain, Socket, Type};

use super::Result;
use super::process::{LIMIT, Server, until};

pub(crate) const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:9999\r\n\r\n";
pub(crate) const HEAD: &[u8] = b"HEAD / HTTP/1.1\r\nHost: 127.0.0.1:9999\r\n\r\n";

/// When a run ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) time: Duration,
    pub(crate) count: usize,
}

/// What a run has done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) units: usize,
    pub(crate) time: Duration,
}

/// Connects. Every connection comes from another address than the last, so that there are ports
/// enough for all that the kernel remembers.
pub(crate) fn connect(address: SocketAddr, number: usize) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let last = u8::try_from(2 + number % 250)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)).into())?;
    socket.connect(&address.into())?;
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Waits for what can be read.
#[derive(Debug)]
pub(crate) struct Waiter {
    epoll: Epoll,
    events: Vec<EpollEvent>,
}

impl Waiter {
    /// Reports up to `most` at once.
    pub(crate) fn new(most: usize) -> Result<Self> {
        Ok(Self {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            events: vec![EpollEvent::empty(); most],
        })
    }

    pub(crate) fn add(&self, stream: &TcpStream, number: usize) -> Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, number as u64);
        Ok(self.epoll.add(stream, event)?)
    }

    /// The number of connections that can be read; their own numbers are taken with
    /// [`number`](Self::number).
    pub(crate) fn wait(&mut self, time: Duration) -> Result<usize> {
        let time = EpollTimeout::try_from(time)?;
        Ok(self.epoll.wait(&mut self.events, time)?)
    }

    pub(crate) fn number(&self, index: usize) -> usize {
        self.events[index].data() as usize
    }
}

/// A connection, and the answers that it waits for.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    unread: Vec<u8>, // a part of a head
    body: usize,     // bytes of a body that are still to come
    awaited: usize,
    bodiless: bool,
}

impl From<TcpStream> for Connection {
    fn from(stream: TcpStream) -> Self {
        Self {
            stream,
            unread: Vec::new(),
            body: 0,
            awaited: 0,
            bodiless: false,
        }
    }
}

impl Connection {
    pub(crate) fn open(address: SocketAddr, number: usize) -> Result<Self> {
        Ok(connect(address, number)?.into())
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends `bytes`, which contain that many requests.
    pub(crate) fn send(&mut self, bytes: &[u8], requests: usize) -> Result<()> {
        self.bodiless = bytes.starts_with(b"HEAD");
        self.awaited = requests;
        Ok((&self.stream).write_all(bytes)?)
    }

    /// Reads once, and tells whether all answers have arrived.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<bool> {
        let count = match self.stream.read(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            count => count?,
        };
        if count == 0 {
            return Err("the server has closed a connection".into());
        }
        self.take(&buffer[..count])?;
        Ok(self.awaited == 0 && self.body == 0)
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            if self.body > 0 {
                let part = self.body.min(bytes.len());
                self.body -= part;
                bytes = &bytes[part..];
                continue;
            }
            let before = self.unread.len();
            self.unread
                .extend_from_slice(&bytes[..bytes.len().min(1024)]);
            let Some(end) = end_of_head(&self.unread) else {
                if self.unread.len() > 4096 {
                    return Err("an answer's head has no end".into());
                }
                bytes = &bytes[self.unread.len() - before..];
                continue;
            };
            let length = content_length(&self.unread[..end])?;
            self.body = if self.bodiless { 0 } else { length };
            self.awaited = self.awaited.checked_sub(1).ok_or("an unexpected answer")?;
            bytes = &bytes[end - before..];
            self.unread.clear();
        }
        Ok(())
    }

    /// Waits for the answers, without other connections.
    pub(crate) fn finish(&mut self, buffer: &mut [u8]) -> Result<()> {
        self.stream.set_nonblocking(false)?;
        self.stream.set_read_timeout(Some(LIMIT))?;
        while !self.read(buffer)? {}
        Ok(self.stream.set_nonblocking(true)?)
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    end.map(|end| end + 4)
}

fn content_length(head: &[u8]) -> Result<usize> {
    const NAME: &str = "content-length:";
    let head = std::str::from_utf8(head)?;
    if !head.starts_with("HTTP/1.1 2") {
        return Err(format!("the server answers {head:?}").into());
    }
    let value = head.lines().find_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        name.eq_ignore_ascii_case(NAME).then_some(value)
    });
    Ok(value.ok_or("an answer has no length")?.trim().parse()?)
}

/// Connections that stay, some of which have a request under way.
#[derive(Debug)]
pub(crate) struct Crowd {
    pub(crate) connections: Vec<Connection>,
    pub(crate) waiter: Waiter,
    pub(crate) buffer: Vec<u8>,
}

impl Crowd {
    /// Opens connections that the server has accepted: each has been answered.
    pub(crate) fn open(address: SocketAddr, count: usize) -> Result<Self> {
        let mut crowd = Self {
            connections: Vec::with_capacity(count),
            waiter: Waiter::new(64)?,
            buffer: vec![0; 1 << 18],
        };
        for number in 0..count {
            let mut connection = Connection::open(address, number)?;
            connection.send(HEAD, 1)?;
            connection.finish(&mut crowd.buffer)?;
            crowd.waiter.add(connection.stream(), number)?;
            crowd.connections.push(connection);
        }
        Ok(crowd)
    }

    /// Sends requests so that `at_once` connections always wait for answers, each connection in its
    /// turn. `bytes` contain `requests` of them.
    pub(crate) fn ask(
        &mut self,
        bytes: &[u8],
        requests: usize,
        at_once: usize,
        bounds: Bounds,
    ) -> Result<Done> {
        let mut idle = (0..self.connections.len()).collect::<VecDeque<_>>();
        let begun = Instant::now();
        let (mut units, mut under_way) = (0, 0);
        while under_way < at_once
            && let Some(next) = idle.pop_front()
        {
            self.connections[next].send(bytes, requests)?;
            under_way += 1;
        }
        while under_way > 0 {
            let ready = self.waiter.wait(LIMIT)?;
            if ready == 0 {
                return Err("an answer is missing".into());
            }
            let over = begun.elapsed() >= bounds.time || units >= bounds.count;
            for index in 0..ready {
                let number = self.waiter.number(index);
                if !self.connections[number].read(&mut self.buffer)? {
                    continue;
                }
                units += requests;
                idle.push_back(number);
                match idle.pop_front() {
                    Some(next) if !over => self.connections[next].send(bytes, requests)?,
                    _ => under_way -= 1,
                }
            }
        }
        Ok(Done {
            units,
            time: begun.elapsed(),
        })
    }
}

/// Opens a connection for each request, so that `at_once` are open. The client closes them.
pub(crate) fn come_and_go(
    address: SocketAddr,
    request: &[u8],
    at_once: usize,
    bounds: Bounds,
) -> Result<Done> {
    let mut waiter = Waiter::new(64)?;
    let mut buffer = vec![0; 1 << 18];
    let mut opened = 0;
    let mut open = |waiter: &Waiter, place: usize| -> Result<Connection> {
        let mut connection = Connection::open(address, opened)?;
        opened += 1;
        waiter.add(connection.stream(), place)?;
        connection.send(request, 1)?;
        Ok(connection)
    };
    let begun = Instant::now();
    let mut connections = Vec::new();
    for place in 0..at_once {
        connections.push(Some(open(&waiter, place)?));
    }
    let (mut units, mut left) = (0, at_once);
    while left > 0 {
        let ready = waiter.wait(LIMIT)?;
        if ready == 0 {
            return Err("an answer is missing".into());
        }
        let over = begun.elapsed() >= bounds.time || units >= bounds.count;
        for index in 0..ready {
            let place = waiter.number(index);
            let Some(connection) = &mut connections[place] else {
                continue;
            };
            if !connection.read(&mut buffer)? {
                continue;
            }
            units += 1;
            connections[place] = None; // closes it
            if over {
                left -= 1;
            } else {
                connections[place] = Some(open(&waiter, place)?);
            }
        }
    }
    Ok(Done {
        units,
        time: begun.elapsed(),
    })
}

/// Opens connections that send nothing, and waits until the server has accepted them.
pub(crate) fn silent(server: &Server, count: usize) -> Result<Vec<TcpStream>> {
    const BACKLOG: usize = 256; // what every server lets wait
    let before = server.descriptors()?;
    let mut streams = Vec::with_capacity(count);
    while streams.len() < count {
        for _ in 0..BACKLOG.min(count - streams.len()) {
            streams.push(connect(server.address(), streams.len())?);
        }
        until("all are accepted", || {
            Ok(server.descriptors()? >= before + streams.len())
        })?;
    }
    Ok(streams)
}

/// Reads all that has arrived, and returns how often `mark` is in it.
pub(crate) fn count_marks(mut stream: &TcpStream, buffer: &mut [u8], mark: u8) -> Result<usize> {
    match stream.read(buffer) {
        Ok(0) => Err(io::Error::from(ErrorKind::UnexpectedEof).into()),
        Ok(count) => Ok(buffer[..count].iter().filter(|byte| **byte == mark).count()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error.into()),
    }
}
