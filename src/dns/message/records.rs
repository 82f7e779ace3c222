//! The records of an answer, as far as addresses need them, and the names in them.
//!
//! A hostile server sends up to 64 KiB, and a name in them may be a chain of thousands of pointers
//! that thousands of records share. Each record is read once; what comparing names costs beyond
//! that has a bound.
//!
//! Owns, lends to C: nothing. Runs no user code.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::error::DnsError;

/// How many labels and pointers of one answer are looked at. 4,000 addresses of a name of five
/// labels, after an alias and without compression, are two thirds of it.
pub(super) const STEPS_MAX: usize = 1 << 16;

/// Numbers of types and classes (RFC 1035 §3.2, RFC 3596 §2.1).
const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
const IN: u16 = 1;

/// An address or an alias of a name.
pub(super) struct Record {
    /// Where the name is.
    pub(super) owner: usize,
    pub(super) data: Data,
}

pub(super) enum Data {
    Address(IpAddr),
    /// Where the name is of which this one is an alias.
    Alias(usize),
}

/// One step through a name.
enum Step<'a> {
    Label(&'a [u8]),
    Pointer(usize),
    End,
}

/// Reads a message.
pub(super) struct Reader<'a> {
    message: &'a [u8],
    steps: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { message, steps: 0 }
    }

    /// How many labels and pointers have been looked at.
    #[cfg(test)]
    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    /// Reads `count` records from `at` on, and keeps the addresses and aliases.
    pub(super) fn records(&mut self, mut at: usize, count: u16) -> Result<Vec<Record>, DnsError> {
        let mut records = Vec::new(); // a count that lies allocates nothing
        for _ in 0..count {
            let owner = at;
            at = self.end_of_name(at)?;
            let kind = u16::from_be_bytes(self.array(at)?);
            let class = u16::from_be_bytes(self.array(at + 2)?);
            let length = u16::from_be_bytes(self.array(at + 8)?);
            let start = at + 10;
            at = start + usize::from(length);
            if self.message.len() < at {
                return Err(DnsError::Malformed);
            }
            if class == IN
                && let Some(data) = self.data(kind, start, at)?
            {
                records.push(Record { owner, data });
            }
        }
        Ok(records)
    }

    fn data(&mut self, kind: u16, start: usize, end: usize) -> Result<Option<Data>, DnsError> {
        let (data, data_end) = match kind {
            A => {
                let address = Ipv4Addr::from(self.array(start)?);
                (Data::Address(address.into()), start + 4)
            }
            AAAA => {
                let address = Ipv6Addr::from(self.array::<16>(start)?);
                (Data::Address(address.into()), start + 16)
            }
            CNAME => (Data::Alias(start), self.end_of_name(start)?),
            _ => return Ok(None),
        };
        if data_end == end {
            Ok(Some(data))
        } else {
            Err(DnsError::Malformed)
        }
    }

    /// Whether the names at two places are the same, whatever the case of their letters.
    pub(super) fn are_equal(&mut self, one: usize, other: usize) -> Result<bool, DnsError> {
        let (mut one, mut other) = (Position::new(one), Position::new(other));
        loop {
            let (label, theirs) = (self.label(&mut one)?, self.label(&mut other)?);
            match (label, theirs) {
                (Some(label), Some(theirs)) if label.eq_ignore_ascii_case(theirs) => {}
                (None, None) => return Ok(true),
                _ => return Ok(false),
            }
            if one.at == other.at {
                return Ok(true); // the rest is the same bytes
            }
        }
    }

    /// The next label of a name, through pointers.
    fn label(&mut self, position: &mut Position) -> Result<Option<&'a [u8]>, DnsError> {
        loop {
            match self.step(position.at)? {
                Step::Label(label) => {
                    position.at += 1 + label.len();
                    return Ok(Some(label));
                }
                // Pointers lead to names further in front (RFC 1035 §4.1.4), hence to an end.
                Step::Pointer(to) if to < position.start => *position = Position::new(to),
                Step::Pointer(_) => return Err(DnsError::Malformed),
                Step::End => return Ok(None),
            }
        }
    }

    /// Where a name ends that begins at `at`.
    fn end_of_name(&mut self, mut at: usize) -> Result<usize, DnsError> {
        loop {
            match self.step(at)? {
                Step::Label(label) => at += 1 + label.len(),
                Step::Pointer(_) => return Ok(at + 2),
                Step::End => return Ok(at + 1),
            }
        }
    }

    fn step(&mut self, at: usize) -> Result<Step<'a>, DnsError> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(DnsError::Malformed);
        }
        let [first] = self.array(at)?;
        match first {
            0 => Ok(Step::End),
            1..0x40 => {
                let label = self.message.get(at + 1..=at + usize::from(first));
                label.map(Step::Label).ok_or(DnsError::Malformed)
            }
            0xc0.. => {
                let to = u16::from_be_bytes(self.array(at)?) & 0x3fff;
                Ok(Step::Pointer(to.into()))
            }
            _ => Err(DnsError::Malformed), // labels of other kinds were given up (RFC 6891 §5)
        }
    }

    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], DnsError> {
        let bytes = self.message.get(at..).and_then(<[u8]>::first_chunk);
        bytes.copied().ok_or(DnsError::Malformed)
    }
}

/// Where the reading of a name has come to.
struct Position {
    at: usize,
    /// Where these labels begin: a pointer after them leads further to the front.
    start: usize,
}

impl Position {
    fn new(start: usize) -> Self {
        Self { at: start, start }
    }
}
