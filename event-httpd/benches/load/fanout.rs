//! The clients of a broadcast: senders, and receivers that count.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use super::Result;
use super::client::{Bounds, Done, Waiter, connect, count_marks};
use super::process::{LIMIT, Server, until};
use super::servers::Peer;

/// Begins each message, and stands nowhere else in what is received.
const MARK: u8 = b'@';

/// Bytes of a message.
const SIZE: usize = 64;

/// Receivers and senders on one server.
#[derive(Debug)]
pub(crate) struct Hall {
    peer: Peer,
    receivers: Vec<TcpStream>,
    senders: Vec<TcpStream>,
    waiter: Waiter,
    buffer: Vec<u8>,
    message: Vec<u8>,
}

impl Hall {
    /// Connects `receivers`, and `senders` that also receive what others send. Redis's senders
    /// receive nothing, so it gets as many receivers more.
    pub(crate) fn open(
        peer: Peer,
        server: &Server,
        receivers: usize,
        senders: usize,
    ) -> Result<Self> {
        let (address, before) = (server.address(), server.descriptors()?);
        let text = format!("{}{:m<width$}", char::from(MARK), "", width = SIZE - 1);
        let (more, message) = match peer {
            Peer::Redis => (
                senders - 1,
                format!("*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n${SIZE}\r\n{text}\r\n"),
            ),
            _ => (0, text),
        };
        let mut hall = Self {
            peer,
            receivers: Vec::new(),
            senders: Vec::new(),
            waiter: Waiter::new(64)?,
            buffer: vec![0; 1 << 18],
            message: message.into_bytes(),
        };
        for number in 0..receivers + more {
            let stream = connect(address, number)?;
            if peer == Peer::Redis {
                subscribe(&stream)?;
            }
            hall.waiter.add(&stream, number)?;
            hall.receivers.push(stream);
        }
        for number in 0..senders {
            let stream = connect(address, number)?;
            hall.waiter.add(&stream, receivers + more + number)?;
            hall.senders.push(stream);
        }
        let all = before + hall.receivers.len() + hall.senders.len();
        until("all are connected", || Ok(server.descriptors()? >= all))?;
        Ok(hall)
    }

    /// Deliveries of a round.
    fn deliveries(&self) -> usize {
        match self.peer {
            Peer::Redis => self.senders.len() * self.receivers.len(),
            _ => self.senders.len() * (self.receivers.len() + self.senders.len() - 1),
        }
    }

    /// Each sender sends a message, and everyone receives it. With `paused`, the server stands still
    /// while they send, so that it finds all messages in one turn of its loop.
    pub(crate) fn round(&mut self, paused: Option<&Server>) -> Result<usize> {
        paused.map(Server::pause).transpose()?;
        for mut sender in &self.senders {
            sender.write_all(&self.message)?;
        }
        paused.map(Server::resume).transpose()?;
        let deliveries = self.deliveries();
        let mut answers = match self.peer {
            Peer::Redis => self.senders.len(),
            _ => 0,
        };
        let mut left = deliveries;
        while left > 0 || answers > 0 {
            let ready = self.waiter.wait(LIMIT)?;
            if ready == 0 {
                return Err(format!("{left} of {deliveries} deliveries are missing").into());
            }
            for index in 0..ready {
                let number = self.waiter.number(index);
                if let Some(receiver) = self.receivers.get(number) {
                    left -= count_marks(receiver, &mut self.buffer, MARK)?;
                    continue;
                }
                let sender = &self.senders[number - self.receivers.len()];
                match self.peer {
                    Peer::Redis => answers -= count_marks(sender, &mut self.buffer, b':')?,
                    _ => left -= count_marks(sender, &mut self.buffer, MARK)?,
                }
            }
        }
        Ok(deliveries)
    }

    /// One round after the other.
    pub(crate) fn rounds(&mut self, bounds: Bounds, paused: Option<&Server>) -> Result<Done> {
        let begun = Instant::now();
        let mut units = 0;
        while begun.elapsed() < bounds.time && units < bounds.count {
            units += self.round(paused)?;
        }
        Ok(Done {
            units,
            time: begun.elapsed(),
        })
    }
}

pub(crate) fn subscribe(mut stream: &TcpStream) -> Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(b"*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nnews\r\n")?;
    let mut answer = [0; b"*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n".len()];
    stream.read_exact(&mut answer)?;
    Ok(stream.set_nonblocking(true)?)
}
