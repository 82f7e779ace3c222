//! A blocking client that reads whole answers.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::Result;

/// Callgrind makes the server about 50 times slower.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A connection, and the bytes of answers that it has read too early.
pub(crate) struct Peer {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Peer {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self {
            stream,
            unread: Vec::new(),
        })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Reads that many answers with their bodies.
    pub(crate) fn read_answers(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            let (head, length) = self.head()?;
            while self.unread.len() < head + length {
                self.read_more()?;
            }
            self.unread.drain(..head + length);
        }
        Ok(())
    }

    /// Reads one answer to a `HEAD` request.
    pub(crate) fn read_head(&mut self) -> Result<()> {
        let (head, _) = self.head()?;
        self.unread.drain(..head);
        Ok(())
    }

    /// The lengths of the next answer's head and body.
    fn head(&mut self) -> Result<(usize, usize)> {
        loop {
            let end = self
                .unread
                .windows(4)
                .position(|bytes| bytes == b"\r\n\r\n");
            if let Some(end) = end {
                let head = std::str::from_utf8(&self.unread[..end])?;
                let status = head.split(' ').nth(1);
                if !status.is_some_and(|status| status.starts_with('2')) {
                    return Err(format!("the server answers {head:?}").into());
                }
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("Content-Length:"))
                    .ok_or("an answer has no Content-Length")?;
                return Ok((end + 4, length.trim().parse()?));
            }
            self.read_more()?;
        }
    }

    fn read_more(&mut self) -> Result<()> {
        let mut buffer = [0; 65536];
        let length = self.stream.read(&mut buffer)?;
        if length == 0 {
            return Err("the server has closed the connection".into());
        }
        self.unread.extend_from_slice(&buffer[..length]);
        Ok(())
    }
}
