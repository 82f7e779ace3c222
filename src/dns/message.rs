//! DNS messages: queries out, answers in.
//!
//! Owns, lends to C: nothing. Runs no user code.

mod records;

use std::io;
use std::net::SocketAddr;

use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, RCODE, TYPE};

use self::records::{Data, Reader};
use super::error::DnsError;
use crate::flags::AddressFamily;
use crate::native::random::random;

/// How many addresses of one answer are taken.
const ADDRESSES_MAX: usize = 32;

/// How many aliases of a name are followed.
const ALIASES_MAX: usize = 16;

/// The length of a message's head: number, flags, four counts.
const HEAD: usize = 12;

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
        Ok(Self { family, bytes })
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
        let answers = u16::from_be_bytes([head[6], head[7]]);
        match self.echo(packet) {
            // A server that cannot answer may leave the question out. That there is no such name is
            // an answer.
            _ if head[4..6] == [0, 0] && code != 0 && failure(code) != DnsError::NotFound => {
                return Reading::Answer(Err(failure(code)));
            }
            Echo::Missing => return Reading::Foreign,
            Echo::OtherCase if case == Case::Exact => return Reading::Unsure,
            Echo::OtherCase | Echo::Exact => {}
        }
        if cut {
            return Reading::Unsure;
        }
        Reading::Answer(match code {
            0 => self.addresses(&mut Reader::new(packet), answers),
            code => Err(failure(code)),
        })
    }

    /// How the question of `packet` compares with ours.
    fn echo(&self, packet: &[u8]) -> Echo {
        if packet.get(4..6) != Some(&[0, 1]) {
            return Echo::Missing;
        }
        let ours = &self.bytes[HEAD..]; // has the question alone
        match packet.get(HEAD..self.bytes.len()) {
            Some(theirs) if theirs == ours => Echo::Exact,
            // Numbers in it are no letters: lengths are below 64.
            Some(theirs) if theirs.eq_ignore_ascii_case(ours) => Echo::OtherCase,
            _ => Echo::Missing,
        }
    }

    /// The addresses of the name, or of what it is an alias of.
    fn addresses(&self, reader: &mut Reader<'_>, count: u16) -> Result<Vec<SocketAddr>, DnsError> {
        let records = reader.records(self.bytes.len(), count)?;
        let mut owner = HEAD; // the question's name
        for _alias in 0..ALIASES_MAX {
            let (mut addresses, mut alias) = (Vec::new(), None);
            for record in &records {
                if !reader.are_equal(record.owner, owner)? {
                    continue;
                }
                match record.data {
                    Data::Address(ip) if ip.is_ipv4() == (self.family == Family::Ipv4) => {
                        addresses.push(SocketAddr::new(ip, 0));
                    }
                    Data::Address(_) => {}
                    Data::Alias(of) => alias = alias.or(Some(of)),
                }
                if addresses.len() == ADDRESSES_MAX {
                    break;
                }
            }
            if !addresses.is_empty() {
                return Ok(addresses);
            }
            owner = alias.ok_or(DnsError::NoAddress)?;
        }
        Err(DnsError::Malformed) // aliases in a circle
    }
}

enum Echo {
    Exact,
    OtherCase,
    Missing,
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
