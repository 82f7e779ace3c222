//! DNS messages: queries out, answers in.
//!
//! Owns, lends to C: nothing. Runs no user code.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, RCODE, TYPE};

use super::error::DnsError;
use crate::flags::AddressFamily;
use crate::native::random::random;

/// How many addresses of one answer are taken.
const ADDRESSES_MAX: usize = 32;

/// How many aliases of a name are followed.
const ALIASES_MAX: usize = 16;

/// The length of a message's head: number, flags, four counts.
const HEAD: usize = 12;

/// The shortest record: a name of one byte, type, class, time to live, length.
const RECORD_MIN: usize = 11;

/// Which addresses one query asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    pub(crate) const BOTH: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    pub(super) fn belongs_to(self, family: AddressFamily) -> bool {
        match self {
            Self::Ipv4 => family != AddressFamily::INET6,
            Self::Ipv6 => family != AddressFamily::INET,
        }
    }

    fn record(self) -> TYPE {
        match self {
            Self::Ipv4 => TYPE::A,
            Self::Ipv6 => TYPE::AAAA,
        }
    }
}

/// A query, as it is sent.
pub(crate) struct Message {
    name: String,
    family: Family,
    bytes: Vec<u8>,
}

/// Whether letters of the answer's question must have the case of the query's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Exact,
    Any,
}

/// What a packet is to a query.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// No answer to it: an attempt to forge one, or a late answer to another query.
    Foreign,
    /// An answer that must be asked for again over TCP: it is cut, or its question does not
    /// have the letters' case of the query.
    Unsure,
    /// The addresses, at least one, with port 0; or why there are none.
    Answer(Result<Vec<SocketAddr>, DnsError>),
}

impl Message {
    /// Makes a query with a random number and, if `randomize` is set, in random case: who forges
    /// an answer must guess both.
    pub(crate) fn new(name: &str, family: Family, randomize: bool) -> io::Result<Self> {
        let (number, letters) = (random::<2>()?, random::<32>()?);
        let mut name = name.to_owned();
        if randomize {
            name = in_case_of(&name, &letters);
        }
        let mut packet = Packet::new_query(u16::from_be_bytes(number));
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        let refused = |error| io::Error::new(io::ErrorKind::InvalidInput, format!("{error:?}"));
        let text = Name::new(&name).map_err(refused)?;
        let (kind, class) = (family.record().into(), CLASS::IN.into());
        packet
            .questions
            .push(Question::new(text, kind, class, false));
        let bytes = packet.build_bytes_vec().map_err(refused)?;
        Ok(Self {
            name,
            family,
            bytes,
        })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads a packet that may be the answer.
    pub(crate) fn read(&self, packet: &[u8], case: Case) -> Reading {
        let Some(head) = packet.first_chunk::<HEAD>() else {
            return Reading::Foreign;
        };
        let is_answer = head[2] & 0x80 != 0;
        if !is_answer || head[..2] != self.bytes[..2] {
            return Reading::Foreign;
        }
        let (cut, code) = (head[2] & 0x02 != 0, head[3] & 0x0f);
        match self.echo(packet) {
            // A server that cannot answer may leave the question out.
            _ if head[4..6] == [0, 0] && code != 0 => return Reading::Answer(Err(failure(code))),
            Echo::Missing => return Reading::Foreign,
            Echo::OtherCase if case == Case::Exact => return Reading::Unsure,
            Echo::OtherCase | Echo::Exact => {}
        }
        if cut {
            return Reading::Unsure;
        }
        Reading::Answer(match code {
            0 => self.addresses(packet, counts(head)),
            code => Err(failure(code)),
        })
    }

    /// How the question of `packet` compares with ours.
    fn echo(&self, packet: &[u8]) -> Echo {
        let ours = &self.bytes[HEAD..]; // has the question alone
        match packet.get(HEAD..self.bytes.len()) {
            Some(theirs) if theirs == ours => Echo::Exact,
            // Numbers in it are no letters: lengths are below 64.
            Some(theirs) if theirs.eq_ignore_ascii_case(ours) => Echo::OtherCase,
            _ => Echo::Missing,
        }
    }

    fn addresses(&self, packet: &[u8], records: usize) -> Result<Vec<SocketAddr>, DnsError> {
        if records * RECORD_MIN > packet.len() {
            return Err(DnsError::Malformed); // the parser would allocate room for all of them
        }
        let packet = Packet::parse(packet).map_err(|_| DnsError::Malformed)?;
        let mut owner = Name::new(&self.name).map_err(|_| DnsError::Malformed)?;
        for _alias in 0..ALIASES_MAX {
            let found = packet.answers.iter().filter(|record| record.name == owner);
            let addresses = found.clone().filter_map(|record| match &record.rdata {
                RData::A(a) => Some((Ipv4Addr::from(a.address), 0).into()),
                RData::AAAA(aaaa) => Some((Ipv6Addr::from(aaaa.address), 0).into()),
                _ => None,
            });
            let wanted = |address: &SocketAddr| address.is_ipv4() == (self.family == Family::Ipv4);
            let ours = addresses.filter(wanted);
            let addresses = ours.take(ADDRESSES_MAX).collect::<Vec<_>>();
            if !addresses.is_empty() {
                return Ok(addresses);
            }
            let alias = found.clone().find_map(|record| match &record.rdata {
                RData::CNAME(alias) => Some(alias.0.clone()),
                _ => None,
            });
            match alias {
                Some(alias) => owner = alias,
                None => return Err(DnsError::NoAddress),
            }
        }
        Err(DnsError::Malformed) // aliases in a circle
    }
}

enum Echo {
    Exact,
    OtherCase,
    Missing,
}

/// How many questions and records a head promises.
fn counts(head: &[u8; HEAD]) -> usize {
    let (counts, _rest) = head[4..].as_chunks::<2>();
    let records = counts[1..].iter().map(|count| u16::from_be_bytes(*count));
    records.map(usize::from).sum()
}

/// What a server's error number means.
fn failure(code: u8) -> DnsError {
    match RCODE::from(u16::from(code)) {
        RCODE::FormatError => DnsError::Format,
        RCODE::ServerFailure => DnsError::ServerFailed,
        RCODE::NameError => DnsError::NotFound,
        RCODE::NotImplemented => DnsError::NotImplemented,
        RCODE::Refused => DnsError::Refused,
        _ => DnsError::Malformed,
    }
}

/// The name with a bit of `letters` deciding on the case of each letter.
fn in_case_of(name: &str, letters: &[u8; 32]) -> String {
    let bit = |n: usize| letters[n / 8 % letters.len()] >> (n % 8) & 1 == 1;
    let chars = name.chars().enumerate().map(|(n, char)| match bit(n) {
        true => char.to_ascii_uppercase(),
        false => char.to_ascii_lowercase(),
    });
    chars.collect()
}

#[cfg(test)]
mod tests;
