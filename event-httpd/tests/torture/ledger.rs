//! What was sent: each message of each client of a round, so that what arrives can be held
//! against it byte for byte.

use fastrand::Rng;

use super::server::{Step, step};

/// Bytes that the long part of every message is cut from.
const STOCK: usize = 1 << 20;

/// A message that a client has begun to send, or is about to.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) step: Step, // before its first byte was written
    offset: usize,
    length: usize,
}

/// The messages of one round.
pub(crate) struct Ledger {
    stock: Box<[u8]>,
    first: u32, // the number of the round's first client
    sent: Vec<Vec<Sent>>,
}

impl Ledger {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let mut stock = vec![0; STOCK];
        rng.fill(&mut stock);
        Self {
            stock: stock.into(),
            first: 0,
            sent: Vec::new(),
        }
    }

    /// Forgets the clients there were; the next ones have other numbers.
    pub(crate) fn begin_round(&mut self) {
        self.first += u32::try_from(self.sent.len()).unwrap();
        self.sent.clear();
    }

    pub(crate) fn join(&mut self) -> u32 {
        self.sent.push(Vec::new());
        self.first + u32::try_from(self.sent.len()).unwrap() - 1
    }

    pub(crate) fn first(&self) -> u32 {
        self.first
    }

    pub(crate) fn sent(&self, client: u32) -> &[Sent] {
        let index = client.checked_sub(self.first).map(|index| index as usize);
        index
            .and_then(|index| self.sent.get(index))
            .map_or(&[], Vec::as_slice)
    }

    /// Makes a client's next message: its number, the message's, and bytes from the stock.
    pub(crate) fn compose(&mut self, client: u32, rng: &mut Rng, length: usize) -> Vec<u8> {
        let length = length.min(STOCK);
        let offset = rng.usize(0..=STOCK - length);
        let sent = &mut self.sent[(client - self.first) as usize];
        let mut body = format!("{client} {} ", sent.len()).into_bytes();
        body.extend_from_slice(&self.stock[offset..offset + length]);
        sent.push(Sent {
            step: step(),
            offset,
            length,
        });
        body
    }

    /// Whose message this is, and which of his, if it was sent as it arrived.
    pub(crate) fn recognize(&self, body: &[u8]) -> Option<(u32, u32)> {
        let mut parts = body.splitn(3, |byte| *byte == b' ');
        let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse().ok();
        let (client, seq): (u32, u32) = (number()?, number()?);
        let sent = self.sent(client).get(seq as usize)?;
        let stock = &self.stock[sent.offset..sent.offset + sent.length];
        (parts.next()? == stock).then_some((client, seq))
    }

    /// The first message of a client that was sent after a step.
    pub(crate) fn first_after(&self, client: u32, step: Step) -> u32 {
        let first = self
            .sent(client)
            .partition_point(|message| message.step <= step);
        u32::try_from(first).unwrap()
    }
}
