mod hostile;

use std::net::Ipv4Addr;
use std::sync::LazyLock;

use proptest::prelude::*;
use simple_dns::ResourceRecord;
use simple_dns::rdata::{A, AAAA, CNAME, RData};

use super::*;

fn query(randomize: bool) -> Message {
    Message::new("host.example", Family::Ipv4, randomize).unwrap()
}

/// The answer to `query`, before records are added.
fn answer(query: &Message) -> Packet<'static> {
    let parsed = Packet::parse(&query.bytes).unwrap();
    let mut answer = Packet::new_reply(parsed.id());
    let questions = parsed.questions.into_iter();
    answer.questions = questions.map(Question::into_owned).collect();
    answer
}

fn record(name: &'static str, data: RData<'static>) -> ResourceRecord<'static> {
    ResourceRecord::new(Name::new(name).unwrap(), CLASS::IN, 60, data)
}

fn a(n: u8) -> RData<'static> {
    let address = u32::from(Ipv4Addr::new(192, 0, 2, n));
    RData::A(A { address })
}

fn alias(name: &'static str) -> RData<'static> {
    RData::CNAME(CNAME(Name::new(name).unwrap()))
}

#[track_caller]
fn reads(query: &Message, answer: &Packet<'_>, expected: Result<&[u8], DnsError>) {
    let expected = expected.map(|numbers| {
        let address = |n: &u8| SocketAddr::from(([192, 0, 2, *n], 0));
        numbers.iter().map(address).collect()
    });
    for bytes in [
        answer.build_bytes_vec().unwrap(),
        answer.build_bytes_vec_compressed().unwrap(),
    ] {
        assert_eq!(
            query.read(&bytes, Case::Exact),
            Reading::Answer(expected.clone())
        );
    }
}

#[test]
fn a_query_asks_for_one_family_recursively() {
    for (family, kind) in [(Family::Ipv4, TYPE::A), (Family::Ipv6, TYPE::AAAA)] {
        let message = Message::new("host.example", family, false).unwrap();
        let packet = Packet::parse(message.bytes()).unwrap();
        assert!(packet.has_flags(PacketFlag::RECURSION_DESIRED));
        assert!(!packet.has_flags(PacketFlag::RESPONSE));
        let [question] = &packet.questions[..] else {
            panic!("{packet:?}")
        };
        assert_eq!(question.qname.to_string(), "host.example");
        assert_eq!(question.qtype, kind.into());
        assert_eq!(packet.answers.len() + packet.additional_records.len(), 0);
    }
}

#[test]
fn queries_differ_by_number_and_case() {
    let many = (0..50).map(|_| query(true)).collect::<Vec<_>>();
    let differ = |part: fn(&Message) -> Vec<u8>| {
        let mut parts = many.iter().map(part).collect::<Vec<_>>();
        parts.sort();
        parts.dedup();
        parts.len()
    };
    assert!(differ(|query| query.bytes[..2].to_vec()) > 40);
    assert!(differ(|query| query.bytes[HEAD..].to_vec()) > 40);
    let name = b"\x04host\x07example\0";
    let written = many
        .iter()
        .all(|query| query.bytes[HEAD..][..name.len()].eq_ignore_ascii_case(name));
    assert!(written);
}

#[test]
fn addresses_of_the_name_and_its_aliases_are_taken_and_others_are_not() {
    let query = query(false);
    let mut packet = answer(&query);
    reads(&query, &packet, Err(DnsError::NoAddress));
    packet.answers.push(record("other.example", a(9)));
    reads(&query, &packet, Err(DnsError::NoAddress));
    packet.answers.push(record("HOST.example", a(1)));
    packet.answers.push(record("host.example", a(2)));
    let v6 = RData::AAAA(AAAA { address: 1 });
    packet.answers.push(record("host.example", v6));
    reads(&query, &packet, Ok(&[1, 2]));
    packet.answers.truncate(1);
    packet.answers.push(record("alias.example", a(3)));
    packet
        .answers
        .push(record("host.example", alias("middle.example")));
    packet
        .answers
        .push(record("middle.example", alias("ALIAS.example")));
    reads(&query, &packet, Ok(&[3]));
    packet
        .answers
        .push(record("alias.example", alias("host.example")));
    packet.answers.remove(1);
    reads(&query, &packet, Err(DnsError::Malformed)); // a circle
}

#[test]
fn sixteen_aliases_are_followed_and_not_one_more() {
    static NAMES: LazyLock<Vec<String>> =
        LazyLock::new(|| (0..=ALIASES_MAX).map(|n| format!("n{n}.example")).collect());
    let names: Vec<&str> = NAMES.iter().map(String::as_str).collect();
    let query = Message::new(names[0], Family::Ipv4, false).unwrap();
    let mut packet = answer(&query);
    for pair in names[..ALIASES_MAX].windows(2) {
        packet.answers.push(record(pair[0], alias(pair[1])));
    }
    packet.answers.push(record(names[ALIASES_MAX - 1], a(1)));
    reads(&query, &packet, Ok(&[1]));
    packet.answers.pop();
    packet
        .answers
        .push(record(names[ALIASES_MAX - 1], alias(names[ALIASES_MAX])));
    packet.answers.push(record(names[ALIASES_MAX], a(1)));
    reads(&query, &packet, Err(DnsError::Malformed));
}

#[test]
fn thirty_two_addresses_are_taken_and_not_one_more() {
    let query = query(false);
    let mut packet = answer(&query);
    let numbers = (1..=40).collect::<Vec<u8>>();
    packet
        .answers
        .extend(numbers.iter().map(|n| record("host.example", a(*n))));
    reads(&query, &packet, Ok(&numbers[..ADDRESSES_MAX]));
}

#[test]
fn an_error_of_the_server_may_leave_the_question_out() {
    let query = query(false);
    for (code, error) in [(1, DnsError::Format), (5, DnsError::Refused)] {
        let [first, second] = [query.bytes[0], query.bytes[1]];
        let head = [first, second, 0x80, code, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(query.read(&head, Case::Exact), Reading::Answer(Err(error)));
    }
    for code in [0, 3] {
        let [first, second] = [query.bytes[0], query.bytes[1]];
        let head = [first, second, 0x80, code, 0, 0, 0, 0, 0, 0, 0, 0];
        for case in [Case::Exact, Case::Any] {
            assert_eq!(query.read(&head, case), Reading::Foreign, "{code}");
        }
    }
}

#[test]
fn what_does_not_repeat_number_and_question_is_foreign() {
    let query = query(true);
    let mut packet = answer(&query);
    packet.answers.push(record("host.example", a(1)));
    let right = packet.build_bytes_vec().unwrap();
    assert!(matches!(
        query.read(&right, Case::Exact),
        Reading::Answer(Ok(_))
    ));
    for at in (0..3).chain(HEAD..query.bytes.len()) {
        let mut wrong = right.clone();
        wrong[at] ^= 0x81; // no letter becomes the same one in another case
        assert_eq!(query.read(&wrong, Case::Any), Reading::Foreign, "byte {at}");
    }
    for length in 0..HEAD {
        assert_eq!(query.read(&right[..length], Case::Any), Reading::Foreign);
    }
    for questions in [0, 2, 255] {
        let mut wrong = right.clone();
        wrong[5] = questions;
        assert_eq!(query.read(&wrong, Case::Any), Reading::Foreign);
    }
}

#[test]
fn other_letters_or_a_cut_make_an_answer_unsure() {
    let query = query(false);
    let mut packet = answer(&query);
    packet.answers.push(record("host.example", a(1)));
    let mut bytes = packet.build_bytes_vec().unwrap();
    bytes[HEAD + 1] = b'H';
    assert_eq!(query.read(&bytes, Case::Exact), Reading::Unsure);
    assert!(matches!(
        query.read(&bytes, Case::Any),
        Reading::Answer(Ok(_))
    ));
    bytes[2] |= 0x02;
    assert_eq!(query.read(&bytes, Case::Any), Reading::Unsure);
}

#[test]
fn counts_that_the_packet_has_no_room_for_are_malformed() {
    let query = query(false);
    let mut bytes = answer(&query).build_bytes_vec().unwrap();
    bytes[6..8].copy_from_slice(&u16::MAX.to_be_bytes());
    let malformed = Reading::Answer(Err(DnsError::Malformed));
    assert_eq!(query.read(&bytes, Case::Exact), malformed);
}

proptest! {
    #[test]
    fn no_packet_makes_it_panic_or_take_more_than_its_bound(
        tail in proptest::collection::vec(any::<u8>(), 0..600),
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..6),
        records in 0_u8..40,
    ) {
        let query = query(true);
        let mut packet = answer(&query);
        packet.answers.extend((0..records).map(|n| record("host.example", a(n))));
        let mut bytes = packet.build_bytes_vec_compressed().unwrap();
        bytes.extend(tail);
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        for case in [Case::Exact, Case::Any] {
            if let Reading::Answer(Ok(addresses)) = query.read(&bytes, case) {
                prop_assert!((1..=ADDRESSES_MAX).contains(&addresses.len()));
            }
        }
    }
}
