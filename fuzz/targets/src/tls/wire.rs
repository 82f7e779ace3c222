//! What a hostile network does to the records that a peer sends.

use arbitrary::{Result, Unstructured};

/// The head of a record: type, version, length (RFC 8446 §5.1).
const HEAD: usize = 5;

/// Records and bytes of a stranger.
const FOREIGN: [&[u8]; 8] = [
    b"\x15\x03\x03\0\x02\x01\0",   // close_notify
    b"\x15\x03\x03\0\x02\x01\x5a", // a warning: user_canceled
    b"\x15\x03\x03\0\x02\x02\x28", // handshake_failure
    b"\x14\x03\x03\0\x01\x01",     // change_cipher_spec
    b"\x17\x03\x03\0\0",           // no data
    b"\x16\x03\x03\0\x04\0\0\0\0", // HelloRequest
    b"\x17\x03\x03\x48\x00",       // longer than a record may be
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
];

/// What happens to one record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Twice,
    Omitted,
    /// It comes after the next one.
    Late,
    /// A bit of this byte is the other one.
    Flipped(usize, u8),
    After(&'static [u8]),
    /// The stream ends in it.
    Cut(usize),
}

impl Fault {
    pub(super) fn any(u: &mut Unstructured<'_>) -> Result<Self> {
        Ok(match u.int_in_range(0..=7)? {
            0 => Self::Twice,
            1 => Self::Omitted,
            2 => Self::Late,
            3 | 4 => Self::Flipped(u.arbitrary::<u16>()?.into(), u.int_in_range(0..=7)?),
            5 | 6 => Self::After(u.choose(&FOREIGN)?),
            _ => Self::Cut(u.arbitrary::<u16>()?.into()),
        })
    }
}

/// The way from a peer to the side that is fuzzed.
pub(super) struct Wire {
    /// Records of the peer that are not complete.
    rest: Vec<u8>,
    late: Vec<u8>,
    /// What is on its way.
    pub(super) bytes: Vec<u8>,
    /// The number of the next record, and what happens to which.
    next: usize,
    faults: Vec<(usize, Fault)>,
    /// Something has happened to a record.
    pub(super) is_broken: bool,
    /// Nothing more comes.
    pub(super) has_ended: bool,
}

impl Wire {
    pub(super) fn new(faults: Vec<(usize, Fault)>) -> Self {
        Self {
            rest: Vec::new(),
            late: Vec::new(),
            bytes: Vec::new(),
            next: 0,
            faults,
            is_broken: false,
            has_ended: false,
        }
    }

    /// Lets something happen to a record that comes soon.
    pub(super) fn disturb(&mut self, in_records: usize, fault: Fault) {
        self.faults.push((self.next + in_records, fault));
    }

    /// Takes what the peer writes.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        while let Some(head) = self.rest.first_chunk::<HEAD>() {
            let length = HEAD + usize::from(u16::from_be_bytes([head[3], head[4]]));
            if self.rest.len() < length {
                break;
            }
            let record: Vec<u8> = self.rest.drain(..length).collect();
            match self.has_ended {
                true => self.is_broken = true,
                false => self.send_record(record),
            }
        }
    }

    fn send_record(&mut self, mut record: Vec<u8>) {
        let number = self.next;
        self.next += 1;
        let late = std::mem::take(&mut self.late);
        let found = self.faults.iter().find(|(at, _)| *at == number);
        let fault = found.map(|(_, fault)| *fault);
        self.is_broken |= fault.is_some();
        match fault {
            None => {}
            Some(Fault::Twice) => record.extend_from_within(..),
            Some(Fault::Omitted) => record.clear(),
            Some(Fault::Late) => self.late = std::mem::take(&mut record),
            Some(Fault::Flipped(at, bit)) => {
                let at = at % record.len();
                record[at] ^= 1 << bit;
            }
            Some(Fault::After(bytes)) => record = [bytes, &record[..]].concat(),
            Some(Fault::Cut(at)) => {
                record.truncate(at % record.len());
                self.has_ended = true;
            }
        }
        self.bytes.extend(record);
        self.bytes.extend(late);
    }
}
