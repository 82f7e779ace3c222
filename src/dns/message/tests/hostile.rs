//! Answers of up to 64 KiB that are made to be slow to read. What is counted is labels and pointers.

use super::*;
use crate::dns::message::records::STEPS_MAX;

const LENGTH_MAX: usize = 0xffff;
const NULL: u16 = 10; // any data
const NAME: u16 = 5; // the type of an alias
const OPT: u16 = 41;
const CHAOS: u16 = 3;

/// An answer to `query`, which grows by raw records.
struct Raw {
    query: Message,
    bytes: Vec<u8>,
    count: u16,
}

impl Raw {
    fn new(query: Message) -> Self {
        let bytes = answer(&query).build_bytes_vec().unwrap();
        Self {
            query,
            bytes,
            count: 0,
        }
    }

    /// Adds a record; where its data begin.
    fn push(&mut self, owner: &[u8], kind: u16, class: u16, data: &[u8]) -> usize {
        self.bytes.extend_from_slice(owner);
        for number in [kind, class, 0, 60, u16::try_from(data.len()).unwrap()] {
            self.bytes.extend(number.to_be_bytes());
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(data);
        self.count += 1;
        start
    }

    /// Adds the same record as long as there is room.
    fn fill(&mut self, owner: &[u8], kind: u16, class: u16, data: &[u8]) {
        while self.bytes.len() + owner.len() + 10 + data.len() <= LENGTH_MAX {
            self.push(owner, kind, class, data);
        }
    }

    fn fill_with_addresses(&mut self, owner: &[u8]) {
        self.fill(owner, 1, 1, &[192, 0, 2, 1]);
    }

    /// What is read, and in how many steps.
    fn read(mut self) -> (Result<Vec<SocketAddr>, DnsError>, usize) {
        assert!(self.bytes.len() <= LENGTH_MAX);
        self.bytes[6..8].copy_from_slice(&self.count.to_be_bytes());
        let mut reader = Reader::new(&self.bytes);
        let outcome = self.query.addresses(&mut reader, self.count);
        let reading = self.query.read(&self.bytes, Case::Exact);
        assert_eq!(reading, Reading::Answer(outcome.clone()));
        (outcome, reader.steps())
    }

    #[track_caller]
    fn assert_refused(self) {
        let (outcome, steps) = self.read();
        assert_eq!(outcome, Err(DnsError::Malformed));
        assert_eq!(steps, STEPS_MAX + 1);
    }

    #[track_caller]
    fn assert_read(self, expected: Result<usize, DnsError>) {
        let (outcome, steps) = self.read();
        assert_eq!(outcome.map(|addresses| addresses.len()), expected);
        assert!(steps <= STEPS_MAX * 2 / 3, "{steps} steps");
    }
}

fn pointer(to: usize) -> [u8; 2] {
    (0xc000 | u16::try_from(to).unwrap()).to_be_bytes()
}

/// Labels of one letter, and the root.
fn letters(count: usize, letter: u8) -> Vec<u8> {
    let mut name = [1, letter].repeat(count);
    name.push(0);
    name
}

/// A question of as many labels as a name may have.
fn longest() -> Raw {
    let name = ["x"; 127].join(".");
    Raw::new(Message::new(&name, Family::Ipv4, false).unwrap())
}

#[test]
fn thousands_of_records_at_the_end_of_a_chain_of_8000_pointers_are_refused() {
    for ends_in_the_question in [false, true] {
        let mut raw = Raw::new(query(false));
        let mut last = raw.bytes.len() + 11;
        let mut chain = match ends_in_the_question {
            true => pointer(HEAD).to_vec(),
            false => vec![0, 0],
        };
        while last + 2 < 0x3fff {
            chain.extend(pointer(last));
            last += 2;
        }
        assert!(chain.len() > 16_000);
        raw.push(&[0], NULL, 1, &chain);
        raw.fill(&pointer(last), NAME, 1, &[0]);
        assert!(raw.count > 3_000);
        raw.assert_refused();
    }
}

#[test]
fn thousands_of_records_of_a_name_that_differs_in_its_last_label_are_refused() {
    let mut raw = longest();
    let mut name = letters(127, b'x');
    name[253] = b'y';
    let at = raw.push(&[0], NULL, 1, &name);
    raw.fill_with_addresses(&pointer(at));
    assert!(raw.count > 4_000);
    raw.assert_refused();
}

#[test]
fn sixteen_aliases_before_thousands_of_records_are_refused() {
    let mut raw = longest();
    let mut owner = HEAD;
    for letter in b'a'..b'a' + 15 {
        let mut name = letters(127, b'x');
        name[253] = letter;
        owner = raw.push(&pointer(owner), NAME, 1, &name);
    }
    raw.fill_with_addresses(&pointer(owner));
    raw.assert_refused();
}

#[test]
fn of_thousands_of_aliases_of_one_name_the_first_is_followed() {
    let mut raw = Raw::new(query(false));
    let other = raw.push(&pointer(HEAD), NAME, 1, &letters(1, b'o'));
    raw.push(&pointer(other), 1, 1, &[192, 0, 2, 1]);
    raw.fill(&pointer(HEAD), NAME, 1, &letters(1, b'p'));
    assert!(raw.count > 4_000);
    raw.assert_read(Ok(1));
}

#[test]
fn a_chain_of_thousands_of_aliases_is_followed_for_sixteen_of_them() {
    let mut raw = Raw::new(query(false));
    let mut owner = HEAD;
    while raw.bytes.len() < 0x3f00 {
        let name = letters(1, b'a' + u8::try_from(raw.count % 26).unwrap());
        owner = raw.push(&pointer(owner), NAME, 1, &name);
    }
    raw.fill_with_addresses(&pointer(owner));
    let (outcome, steps) = raw.read();
    assert_eq!(outcome, Err(DnsError::Malformed));
    assert!(steps <= STEPS_MAX + 1);
}

#[test]
fn records_of_other_types_and_classes_cost_one_step_each() {
    for (kind, class) in [
        (OPT, 4096),
        (NULL, 1),
        (0xff00, 1),
        (1, CHAOS),
        (NAME, CHAOS),
    ] {
        let mut raw = Raw::new(query(false));
        raw.push(&pointer(HEAD), 1, 1, &[192, 0, 2, 1]);
        raw.fill(&pointer(HEAD), kind, class, &[]);
        assert!(raw.count > 5_000);
        let count = usize::from(raw.count);
        let (outcome, steps) = raw.read();
        assert_eq!(outcome.unwrap().len(), 1);
        assert!(steps <= count + 4, "{steps} steps for {count} records");
    }
}

#[test]
fn a_name_of_32000_labels_is_read_once() {
    let mut raw = Raw::new(query(false));
    let room = LENGTH_MAX - raw.bytes.len() - 14 - 28;
    raw.push(&letters(room / 2, b'x'), 1, 1, &[192, 0, 2, 1]);
    raw.push(&pointer(HEAD), 1, 1, &[192, 0, 2, 2]);
    let (outcome, steps) = raw.read();
    assert_eq!(outcome.unwrap().len(), 1);
    assert!((32_000..33_000).contains(&steps), "{steps} steps");
}

#[test]
fn four_thousand_addresses_behind_an_alias_are_read() {
    let mut raw = Raw::new(query(false));
    let other = raw.push(&pointer(HEAD), NAME, 1, b"\x03www\x05other\x07example\0");
    raw.fill_with_addresses(&pointer(other));
    assert!(raw.count > 4_000);
    raw.assert_read(Ok(ADDRESSES_MAX));
}

#[test]
fn pointers_that_do_not_lead_to_the_front_are_malformed() {
    let start = Raw::new(query(false)).bytes.len();
    let names: [&[u8]; 4] = [
        &pointer(start), // to itself
        &[b"\x04host\x07example", &pointer(start)[..]].concat(),
        &pointer(start + 28), // forward
        &pointer(0x3fff),
    ];
    for name in names {
        let mut raw = Raw::new(query(false));
        raw.push(name, 1, 1, &[192, 0, 2, 1]);
        raw.fill_with_addresses(&pointer(HEAD));
        raw.assert_read(Err(DnsError::Malformed));
    }
}

#[test]
fn labels_of_other_kinds_are_malformed() {
    for first in [0x40, 0x7f, 0x80, 0xbf] {
        let mut raw = Raw::new(query(false));
        let mut name = vec![first];
        name.resize(1 + usize::from(first), b'x');
        name.push(0);
        raw.push(&name, NULL, 1, &[]);
        raw.fill_with_addresses(&pointer(HEAD));
        raw.assert_read(Err(DnsError::Malformed));
    }
}

#[test]
fn records_that_are_cut_or_whose_data_have_another_length_are_malformed() {
    let mut raw = Raw::new(query(false));
    raw.push(&pointer(HEAD), 1, 1, &[192, 0, 2, 1]);
    let (whole, end) = (raw.bytes.clone(), raw.bytes.len());
    for length in raw.query.bytes.len()..end {
        let mut reader = Reader::new(&whole[..length]);
        let outcome = raw.query.addresses(&mut reader, 1);
        assert_eq!(outcome, Err(DnsError::Malformed), "{length} bytes");
    }
    let mut last = Raw::new(query(false));
    last.push(&pointer(HEAD), NULL, 1, &[1, 2, 3]);
    last.bytes.pop();
    last.assert_read(Err(DnsError::Malformed));
    let v6 = 28;
    for (kind, data) in [
        (1, &[192, 0, 2][..]),
        (1, &[192, 0, 2, 1, 0]),
        (v6, &[0; 4]),
        (v6, &[0; 17]),
        (NAME, &[1, b'x', 0, 0]),
        (NAME, &[0x40, 0]),
        (NAME, &[]),
    ] {
        let mut raw = Raw::new(query(false));
        raw.push(&pointer(HEAD), kind, 1, data);
        raw.fill_with_addresses(&pointer(HEAD));
        raw.assert_read(Err(DnsError::Malformed));
    }
}

#[test]
fn as_many_steps_as_allowed_are_taken_and_not_one_more() {
    let two_names = b"\x01a\0\x01b\0";
    let mut reader = Reader::new(two_names);
    for _ in 0..STEPS_MAX / 2 {
        assert_eq!(reader.are_equal(0, 3), Ok(false)); // which takes two
    }
    assert_eq!(reader.steps(), STEPS_MAX);
    assert_eq!(reader.are_equal(0, 3), Err(DnsError::Malformed));
}
