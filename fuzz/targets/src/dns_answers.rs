//! Answers of name servers: the addresses are those that the answer has for the name, through its
//! aliases, and no packet that is no answer to the query gives any.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use arbitrary::{Result, Unstructured};
use php_event::DnsError;

use crate::dns::message::{Case, Family, Message, Reading};

pub(crate) const WORDS: &[&[u8]] = &[
    b"\x81\x80\0\x01\0\0\0\0",
    b"\x81\x80\0\x02\0\0\0\0",
    b"\x83\x80\0\x01\0\0\0\0",
    b"\x81\x83\0\0\0\0\0\0",
    b"\xc0\x0c\0\x01\0\x01\0\0\0<\0\x04\xc0\0\x02\x01",
    b"\xc0\x0c\0\x1c\0\x01\0\0\0<\0\x10 \x01\r\xb8\0\0\0\0\0\0\0\0\0\0\0\x01",
    b"\xc0\x0c\0\x05\0\x01\0\0\0<\0\x02\xc0\x0c",
    b"\xc0\x0c\0\x05\0\x01\0\0\0<\0\x04\x01a\xc0\x11",
    b"\x01a\xc0\x11\0\x01\0\x01\0\0\0<\0\x04\xc0\0\x02\x02",
    b"\xc0",
    b"\xff\xff",
    b"\0\x10",
    b"\x3f",
];

/// The name that is asked for, and those that may follow it.
const NAMES: [&str; 4] = ["host.example", "a.example", "b.other", "c"];

/// The most records in a written answer.
const RECORDS_MAX: usize = 40;

/// What `dns::message` takes of one answer.
const ADDRESSES_MAX: usize = 32;
const ALIASES_MAX: usize = 16;

/// A record: its owner, as a number in [`NAMES`], and what it says.
struct Record {
    owner: usize,
    data: Data,
}

enum Data {
    Address(SocketAddr),
    Alias(usize),
    Other,
}

/// What every reading of `packet` fulfils.
fn check(packet: &[u8], family: Family, reading: &Reading) {
    let Reading::Answer(Ok(addresses)) = reading else {
        return;
    };
    assert!((1..=ADDRESSES_MAX).contains(&addresses.len()));
    let (flags, code) = (packet[2], packet[3] & 0x0f);
    assert!(flags & 0x82 == 0x80 && code == 0, "an answer that is whole");
    for address in addresses {
        assert_eq!(address.port(), 0);
        let bytes = match (address, family) {
            (SocketAddr::V4(v4), Family::Ipv4) => v4.ip().octets().to_vec(),
            (SocketAddr::V6(v6), Family::Ipv6) => v6.ip().octets().to_vec(),
            _ => panic!("{address} is of the other family"),
        };
        assert!(packet.windows(bytes.len()).any(|part| part == bytes));
    }
}

fn name(text: &str, to: &mut Vec<u8>) {
    for label in text.split('.') {
        to.push(u8::try_from(label.len()).expect("short"));
        to.extend_from_slice(label.as_bytes());
    }
    to.push(0);
}

fn records(u: &mut Unstructured<'_>) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    while !u.is_empty() && records.len() < RECORDS_MAX {
        let owner = u.choose_index(NAMES.len())?;
        let number: u8 = u.arbitrary()?;
        let data = match u.int_in_range(0..=4)? {
            0 => Data::Other,
            1 => Data::Alias(u.choose_index(NAMES.len())?),
            2 | 3 => Data::Address((Ipv4Addr::new(192, 0, 2, number), 0).into()),
            _ => {
                let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into());
                Data::Address((address, 0).into())
            }
        };
        records.push(Record { owner, data });
    }
    Ok(records)
}

/// The records as they are sent (RFC 1035 §4.1.3). Of the name that is asked for, some are a pointer
/// to the question.
fn write(records: &[Record], to: &mut Vec<u8>) {
    for (index, record) in records.iter().enumerate() {
        match record.owner {
            0 if index % 2 == 0 => to.extend_from_slice(&[0xc0, 12]),
            owner => name(NAMES[owner], to),
        }
        let (kind, data): (u16, Vec<u8>) = match &record.data {
            Data::Address(SocketAddr::V4(v4)) => (1, v4.ip().octets().to_vec()),
            Data::Address(SocketAddr::V6(v6)) => (28, v6.ip().octets().to_vec()),
            Data::Alias(to) => {
                let mut data = Vec::new();
                name(NAMES[*to], &mut data);
                (5, data)
            }
            Data::Other => (16, b"\x01x".to_vec()),
        };
        to.extend_from_slice(&kind.to_be_bytes());
        to.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        to.extend_from_slice(&u16::try_from(data.len()).expect("short").to_be_bytes());
        to.extend_from_slice(&data);
    }
}

/// What the records say about the first name.
fn expected(records: &[Record], family: Family) -> std::result::Result<Vec<SocketAddr>, DnsError> {
    let is_wanted = |address: &SocketAddr| address.is_ipv4() == (family == Family::Ipv4);
    let mut owner = 0;
    for _ in 0..ALIASES_MAX {
        let (mut addresses, mut alias) = (Vec::new(), None);
        for record in records.iter().filter(|record| record.owner == owner) {
            match &record.data {
                Data::Address(address) if is_wanted(address) => addresses.push(*address),
                Data::Alias(to) if alias.is_none() => alias = Some(*to),
                _ => {}
            }
        }
        if !addresses.is_empty() {
            addresses.truncate(ADDRESSES_MAX);
            return Ok(addresses);
        }
        owner = alias.ok_or(DnsError::NoAddress)?;
    }
    Err(DnsError::Malformed)
}

/// The query's number and question, with these flags and counts of records.
fn head(query: &Message, flags: [u8; 2], counts: [u8; 6]) -> Vec<u8> {
    let bytes = query.bytes();
    [&bytes[..2], &flags, &bytes[4..6], &counts, &bytes[12..]].concat()
}

fn written(u: &mut Unstructured<'_>, query: &Message, family: Family) -> Result<()> {
    let records = records(u)?;
    let count = u8::try_from(records.len()).expect("few");
    let mut packet = head(query, [0x81, 0x80], [0, count, 0, 0, 0, 0]);
    write(&records, &mut packet);
    let wanted = Reading::Answer(expected(&records, family));
    assert_eq!(query.read(&packet, Case::Exact), wanted);
    // An answer to another query, and no answer.
    for (at, bits) in [(0, 1), (1, 0x80), (2, 0x80)] {
        let mut other = packet.clone();
        other[at] ^= bits;
        assert_eq!(query.read(&other, Case::Any), Reading::Foreign);
    }
    // Cut, and with an error.
    let mut other = packet.clone();
    other[2] |= 0x02;
    assert_eq!(query.read(&other, Case::Exact), Reading::Unsure);
    (other[2], other[3]) = (0x81, 0x83);
    let none = Reading::Answer(Err(DnsError::NotFound));
    assert_eq!(query.read(&other, Case::Exact), none);
    // In other letters, and to another question.
    let letter = 13;
    packet[letter] ^= 0x20;
    assert_eq!(query.read(&packet, Case::Exact), Reading::Unsure);
    packet[letter] ^= 0x01;
    assert_eq!(query.read(&packet, Case::Any), Reading::Foreign);
    Ok(())
}

/// What follows the first byte is a packet, or the part of one after the query's number and
/// question, or becomes records.
pub(crate) fn run(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else {
        return;
    };
    let family = Family::BOTH[usize::from(choice & 1)];
    let query = Message::new(NAMES[0], family, choice & 2 != 0).expect("a query");
    match (choice >> 2) % 3 {
        0 => {
            check(rest, family, &query.read(rest, Case::Any));
        }
        1 => {
            let Some(([first, second, counts @ ..], records)) = rest.split_first_chunk::<8>()
            else {
                return;
            };
            let mut packet = head(&query, [*first, *second], *counts);
            packet.extend_from_slice(records);
            for case in [Case::Exact, Case::Any] {
                check(&packet, family, &query.read(&packet, case));
            }
        }
        _ => written(&mut Unstructured::new(rest), &query, family).unwrap_or_default(),
    }
}
