//! The decoder as a connection uses it: cuts, limits, phases, and properties of whole streams.

mod cases;
mod oracle;

use proptest::prelude::*;
use test_support::requests::{self, Framing, nearly_a_request};

use super::*;

/// An [`Item`] that owns its bytes; neighbouring parts of a body are merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Head {
        line: String,
        version: Version,
        body: BodyLength,
        keep_alive: bool,
        waits: bool,
    },
    Body(Vec<u8>),
    End,
    Refused(Refusal),
}

/// A connection's side of the protocol: keeps what is unused, passes it again with what comes.
struct Peer {
    decoder: Decoder,
    kept: Vec<u8>,
    got: Vec<Got>,
}

impl Peer {
    fn new(limits: Limits) -> Self {
        Self {
            decoder: Decoder::new(limits),
            kept: Vec::new(),
            got: Vec::new(),
        }
    }

    fn sends(&mut self, bytes: &[u8]) -> &mut Self {
        self.kept.extend_from_slice(bytes);
        loop {
            let before = self.decoder.phase();
            let decoded = match self.decoder.decode(&self.kept) {
                Ok(decoded) => decoded,
                Err(refusal) => {
                    assert_eq!(self.decoder.decode(b"GET / HTTP/1.1\r\n"), Err(refusal));
                    if !matches!(self.got.last(), Some(Got::Refused(_))) {
                        self.got.push(Got::Refused(refusal));
                    }
                    return self;
                }
            };
            assert!(
                decoded.used <= self.kept.len(),
                "{decoded:?} of {}",
                self.kept.len()
            );
            let progress = decoded.used > 0 || self.decoder.phase() != before;
            match (decoded.item, self.got.last_mut()) {
                (Item::NeedMore, _) => {
                    self.kept.drain(..decoded.used);
                    return self;
                }
                (Item::Head(head), _) => self.got.push(Got::Head {
                    line: format!("{:?} {}", head.method, head.target_str()),
                    version: head.version,
                    body: head.body,
                    keep_alive: head.keep_alive,
                    waits: head.expects_continue,
                }),
                (Item::Body(part), last) => {
                    assert!(!part.is_empty(), "an empty part of a body");
                    match last {
                        Some(Got::Body(body)) => body.extend_from_slice(part),
                        _ => self.got.push(Got::Body(part.to_vec())),
                    }
                }
                (Item::End, _) => self.got.push(Got::End),
            }
            assert!(progress, "no progress at {:?}", self.got.last());
            self.kept.drain(..decoded.used);
        }
    }

    fn refusal(&self) -> Option<Refusal> {
        match self.got.last() {
            Some(Got::Refused(refusal)) => Some(*refusal),
            _ => None,
        }
    }
}

pub(crate) fn decode(bytes: &[u8]) -> Vec<Got> {
    Peer::new(Limits::default()).sends(bytes).got.clone()
}

fn get(target: &str) -> Got {
    Got::Head {
        line: format!("Get {target}"),
        version: Version::Http11,
        body: BodyLength::None,
        keep_alive: true,
        waits: false,
    }
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn a_request_without_a_body_is_a_head_and_an_end() {
    let mut decoder = Decoder::new(Limits::default());
    let head = decoder.decode(GET).unwrap();
    assert_eq!(head.used, GET.len());
    assert!(matches!(head.item, Item::Head(_)));
    assert_eq!(decoder.phase(), Phase::Body);
    assert_eq!(
        decoder.decode(b""),
        Ok(Decoded {
            used: 0,
            item: Item::End
        })
    );
    assert_eq!(decoder.phase(), Phase::Idle);
    assert_eq!(
        decoder.decode(b""),
        Ok(Decoded {
            used: 0,
            item: Item::NeedMore
        })
    );
    assert_eq!(decoder.phase(), Phase::Idle);
}

#[test]
fn pipelined_requests_come_out_in_order_with_their_own_bodies() {
    let stream = b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n\
        POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\
        POST /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n\
        POST /4 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n\
        GET /5 HTTP/1.1\r\nHost: x\r\n\r\nGET /6";
    let post = |n, body| Got::Head {
        line: format!("Post /{n}"),
        version: Version::Http11,
        body,
        keep_alive: true,
        waits: false,
    };
    assert_eq!(
        decode(stream),
        [
            get("/1"),
            Got::End,
            post(2, BodyLength::Length(3)),
            Got::Body(b"abc".to_vec()),
            Got::End,
            post(3, BodyLength::Chunked),
            Got::Body(b"def".to_vec()),
            Got::End,
            post(4, BodyLength::Length(0)),
            Got::End,
            get("/5"),
            Got::End,
        ]
    );
}

#[test]
fn a_body_is_lent_from_the_input() {
    let input = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde";
    let mut decoder = Decoder::new(Limits::default());
    let head = decoder.decode(input).unwrap().used;
    let Item::Body(part) = decoder.decode(&input[head..]).unwrap().item else {
        panic!("the body follows the head");
    };
    assert!(std::ptr::eq(part, &input[head..]));
}

#[test]
fn the_phase_follows_what_the_connection_waits_for() {
    let mut peer = Peer::new(Limits::default());
    let mut phase_after = |bytes: &[u8]| peer.sends(bytes).decoder.phase();
    assert_eq!(phase_after(b""), Phase::Idle);
    assert_eq!(phase_after(b"\r\n"), Phase::Idle);
    assert_eq!(phase_after(b"P"), Phase::Head);
    assert_eq!(
        phase_after(b"OST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r"),
        Phase::Head
    );
    assert_eq!(phase_after(b"\n"), Phase::Body);
    assert_eq!(phase_after(b"a"), Phase::Body);
    assert_eq!(phase_after(b"b"), Phase::Idle);
    assert_eq!(phase_after(b"\0"), Phase::Idle);
    assert_eq!(
        peer.refusal().map(|refusal| refusal.status()),
        Some(Status::BadRequest)
    );
}

#[test]
fn a_few_empty_lines_before_a_request_are_skipped_and_one_more_is_refused() {
    let lines = |n| [b"\r\n".repeat(n), GET.to_vec()].concat();
    let most = usize::from(LEADING_EMPTY_LINES_MAX);
    assert_eq!(decode(&lines(1)), [get("/"), Got::End]);
    assert_eq!(decode(&lines(most)), [get("/"), Got::End]);
    let many = Refusal::bad("too many empty lines stand before the request");
    assert_eq!(decode(&lines(most + 1)), [Got::Refused(many)]);
    // The limit is per request.
    assert_eq!(decode(&lines(most).repeat(2)).len(), 4);
    for cut in 1..=2 * most {
        let bytes = lines(most + 1);
        let (first, second) = bytes.split_at(cut);
        let mut peer = Peer::new(Limits::default());
        assert_eq!(
            peer.sends(first).sends(second).refusal(),
            Some(many),
            "cut at {cut}"
        );
    }
}

#[test]
fn an_empty_line_that_is_not_cr_lf_is_refused() {
    for start in ["\n", "\r\n\n", "\r\r", "\rG", "\r\n\rG"] {
        let got = decode(format!("{start}GET / HTTP/1.1\r\n").as_bytes());
        assert!(
            got == [Got::Refused(syntax::BARE_LF)] || got == [Got::Refused(syntax::BARE_CR)],
            "{start:?} gave {got:?}"
        );
    }
}

/// What a head is answered that comes whole, byte by byte, and without its last byte.
fn outcomes(limits: Limits, head: &[u8]) -> [Option<u16>; 3] {
    let code = |peer: &Peer| peer.refusal().map(|refusal| refusal.status().code());
    let whole = code(Peer::new(limits).sends(head));
    let mut slow = Peer::new(limits);
    for byte in head {
        slow.sends(&[*byte]);
    }
    let open = code(Peer::new(limits).sends(&head[..head.len() - 1]));
    [whole, code(&slow), open]
}

#[test]
fn a_request_line_at_the_limit_passes_and_one_byte_more_is_414() {
    let request = |len: usize| {
        let target = "a".repeat(len - "GET / HTTP/1.1\r\n".len());
        format!("GET /{target} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
    };
    let limits = Limits::default();
    assert_eq!(outcomes(limits, &request(REQUEST_LINE_MAX)), [None; 3]);
    assert_eq!(
        outcomes(limits, &request(REQUEST_LINE_MAX + 1)),
        [Some(414); 3]
    );
    assert_eq!(
        outcomes(limits, &request(3 * REQUEST_LINE_MAX)),
        [Some(414); 3]
    );
    let small = Limits {
        header_size: 100,
        ..limits
    };
    assert_eq!(outcomes(small, &request(101)), [Some(414); 3]);
    assert_eq!(outcomes(small, &request(100)), [Some(431); 3]);
    // Refused before its end has come.
    let early = vec![b'a'; REQUEST_LINE_MAX];
    assert_eq!(outcomes(limits, &early), [Some(414), Some(414), None]);
}

#[test]
fn a_head_at_the_limit_passes_and_one_byte_more_is_431() {
    let request = |len: usize| {
        let start = "GET / HTTP/1.1\r\nHost: x\r\nA: ";
        let value = "a".repeat(len - start.len() - "\r\n\r\n".len());
        format!("{start}{value}\r\n\r\n").into_bytes()
    };
    for header_size in [64, 1000, 16 * 1024, 64 * 1024] {
        let limits = Limits {
            header_size,
            ..Limits::default()
        };
        assert_eq!(outcomes(limits, &request(header_size)), [None; 3]);
        assert_eq!(outcomes(limits, &request(header_size + 1)), [Some(431); 3]);
        assert_eq!(outcomes(limits, &request(2 * header_size)), [Some(431); 3]);
    }
}

#[test]
fn limits_of_nothing_refuse_and_do_not_panic() {
    for header_size in 0..20 {
        let limits = Limits {
            header_size,
            body_size: 0,
        };
        let [whole, slow, _] = outcomes(limits, GET);
        assert!(whole.is_some() && slow.is_some(), "{header_size}");
    }
}

#[test]
fn a_hundred_fields_pass_and_one_more_is_431() {
    let request = |fields: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: x\r\n{}\r\n",
            "A: b\r\n".repeat(fields - 1)
        )
        .into_bytes()
    };
    assert_eq!(outcomes(Limits::default(), &request(MAX_FIELDS)), [None; 3]);
    assert_eq!(
        outcomes(Limits::default(), &request(MAX_FIELDS + 1)),
        [Some(431); 3]
    );
    let reason = Got::Refused(syntax::TOO_MANY_FIELDS);
    assert_eq!(decode(&request(MAX_FIELDS + 1)), [reason]);
}

#[test]
fn a_body_at_the_limit_passes_and_one_byte_more_is_413() {
    let limits = Limits {
        body_size: 5,
        ..Limits::default()
    };
    let fixed =
        |length: &str| format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\nab");
    let chunks = |chunks: &str| {
        format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")
    };
    for (request, code) in [
        (fixed("5"), None),
        (fixed("6"), Some(413)),
        (fixed("18446744073709551615"), Some(413)),
        (fixed("18446744073709551616"), Some(413)),
        (chunks("5\r\nabcde\r\n0\r\n\r\n"), None),
        (chunks("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), None),
        (chunks("6\r\n"), Some(413)),
        (chunks("3\r\nabc\r\n3\r\n"), Some(413)),
        (chunks("ffffffffffffffff\r\n"), Some(413)),
    ] {
        let refusal = Peer::new(limits).sends(request.as_bytes()).refusal();
        assert_eq!(
            refusal.map(|refusal| refusal.status().code()),
            code,
            "{request}"
        );
    }
}

#[test]
fn garbage_is_refused_before_a_line_has_ended() {
    for (garbage, reason) in [
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
            "TLS handshake",
        ),
        (b"\0\0\0\0", "NUL byte"),
        (b"GET / HTTP/2", "HTTP/1.1 and HTTP/1.0"),
        (b"GET / HTTP/1.1 ", "does not end in one space"),
        (b"GET / FTP", "does not end in one space"),
        (b"GET  ", "two spaces in a row"),
        (b"G\xc3\xa9T", "the method has a byte"),
        (b"GET /\xff ", "not ASCII"),
        (
            b"GET / HTTP/1.1\r\nHost : x",
            "white space before its colon",
        ),
        (b"GET / HTTP/1.1\r\n ", "folded"),
        (b"GET / HTTP/1.1\r\nHost: x\0", "NUL byte"),
        (b"GET / HTTP/1.1\n", "LF alone"),
    ] {
        let got = decode(garbage);
        let [Got::Refused(refusal)] = got.as_slice() else {
            panic!("{:?} gave {got:?}", garbage.escape_ascii().to_string());
        };
        assert!(refusal.reason().contains(reason), "{refusal} for {reason}");
    }
}

#[test]
fn a_part_is_looked_at_again_when_it_has_doubled() {
    let mut peer = Peer::new(Limits::default());
    assert_eq!(peer.sends(b"GET /abc").refusal(), None);
    let nul = Refusal::bad("the head has a NUL byte");
    assert_eq!(peer.sends(b"\0bcdefg").refusal(), None);
    assert_eq!(peer.sends(b"h").refusal(), Some(nul));
}

#[test]
fn the_http_2_preface_is_505_however_it_is_cut() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for cut in 0..preface.len() {
        let (first, second) = preface.split_at(cut);
        let mut peer = Peer::new(Limits::default());
        let refusal = peer.sends(first).sends(second).refusal().unwrap();
        assert_eq!(
            refusal.status(),
            Status::HttpVersionNotSupported,
            "cut at {cut}"
        );
    }
}

#[test]
fn a_head_a_byte_at_a_time_costs_no_more_than_a_few_passes() {
    // A megabyte a byte at a time: hours, were each byte to start from the front.
    let limits = Limits {
        header_size: 1 << 20,
        ..Limits::default()
    };
    let mut head = b"GET / HTTP/1.1\r\nHost: x\r\nA: ".to_vec();
    head.resize((1 << 20) - 4, b'a');
    head.extend_from_slice(b"\r\n\r\n");
    let mut decoder = Decoder::new(limits);
    for len in 1..head.len() {
        assert_eq!(decoder.decode(&head[..len]).unwrap().item, Item::NeedMore);
    }
    assert!(matches!(decoder.decode(&head).unwrap().item, Item::Head(_)));
}

#[test]
fn a_decoder_stays_small_since_every_connection_keeps_one() {
    assert!(size_of::<Decoder>() <= 48, "{}", size_of::<Decoder>());
}

/// One well-formed request: its bytes and what they decode to.
fn request() -> impl Strategy<Value = (Vec<u8>, Vec<Got>)> {
    requests::request().prop_map(|sample| {
        let body = match sample.framing {
            Framing::None => BodyLength::None,
            Framing::Length => BodyLength::Length(sample.content.len() as u64),
            Framing::Chunked => BodyLength::Chunked,
        };
        let mut got = vec![Got::Head {
            line: format!("Post {}", sample.target),
            version: Version::Http11,
            body,
            keep_alive: !sample.close,
            waits: sample.expects_continue && !body.is_empty(),
        }];
        if !sample.content.is_empty() {
            got.push(Got::Body(sample.content));
        }
        got.push(Got::End);
        (sample.bytes, got)
    })
}

/// Parts of requests in any order.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop::sample::select(vec![
        &b"GET"[..],
        b" ",
        b" /",
        b"\xc3\xa9",
        b"#",
        b" HTTP/",
        b"1",
        b".1",
        b"0",
        b"2",
        b"x",
        b" HTTP/1.1",
        b"\r\n",
        b"\r\nHost",
        b":",
        b" x",
        b"\r\nTransfer-Encoding: chunked",
        b"\r\nContent-Length: 1",
        b"\r\n\r\n",
        b"\r",
        b"\n",
        b"\t",
        b"\0",
        b"\x16",
        b"\x03",
        b"\x7f",
        b";a",
        b"=\"",
        b"ffffffff",
        b"0\r\n",
    ]);
    let start = prop::sample::select(vec![
        &b""[..],
        b"GET",
        b"GET /",
        b"GET / HTTP/",
        b"GET / HTTP/1.1",
        b"GET / HTTP/1.1\r\nHost: x",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    ]);
    (start, prop::collection::vec(fragment, 0..12))
        .prop_map(|(start, fragments)| [start, &fragments.concat()].concat())
}

fn in_parts(limits: Limits, bytes: &[u8], sizes: &[usize]) -> Vec<Got> {
    let mut peer = Peer::new(limits);
    let mut rest = bytes;
    for size in sizes {
        let (part, tail) = rest.split_at((*size).min(rest.len()));
        peer.sends(part);
        rest = tail;
    }
    peer.sends(rest).got.clone()
}

proptest! {
    #[test]
    fn a_valid_stream_gives_the_same_items_however_it_is_cut(
        requests in prop::collection::vec(request(), 1..5),
        sizes in prop::collection::vec(1..60usize, 0..60),
    ) {
        let bytes: Vec<u8> = requests.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let wanted: Vec<Got> = requests.into_iter().flat_map(|(_, got)| got).collect();
        prop_assert_eq!(&decode(&bytes), &wanted);
        prop_assert_eq!(&in_parts(Limits::default(), &bytes, &sizes), &wanted);
        prop_assert_eq!(&in_parts(Limits::default(), &bytes, &vec![1; bytes.len()]), &wanted);
    }

    #[test]
    fn a_spoilt_stream_is_accepted_or_refused_alike_however_it_is_cut(
        mut bytes in nearly_a_request(),
        sizes in prop::collection::vec(1..60usize, 0..60),
    ) {
        // The end of a head, for a fault in a part may wait for it.
        bytes.extend(b"\r\n\r\n");
        let (whole, cut) = (decode(&bytes), in_parts(Limits::default(), &bytes, &sizes));
        prop_assert_eq!(whole, cut);
    }

    #[test]
    fn a_spoilt_start_of_a_request_gives_the_same_items_wherever_it_is_cut(
        bytes in prop_oneof![nearly_a_request(), fragments()],
        header_size in prop_oneof![Just(16 * 1024), 0..80usize],
    ) {
        let limits = Limits { header_size, ..Limits::default() };
        // A fault in a part may wait until there is twice as much, or the end of the head.
        let bytes = [bytes, b"\r\n\r\n".to_vec(), vec![b'a'; 80]].concat();
        let whole = in_parts(limits, &bytes, &[]);
        prop_assert_eq!(&in_parts(limits, &bytes, &vec![1; bytes.len()]), &whole);
        for cut in 1..bytes.len() {
            prop_assert_eq!(&in_parts(limits, &bytes, &[cut]), &whole, "cut at {}", cut);
        }
    }

    #[test]
    fn any_bytes_are_taken_without_a_panic_and_within_bounds(
        bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..300), nearly_a_request()],
        sizes in prop::collection::vec(1..40usize, 0..20),
        header_size in 0..400usize,
        body_size in 0..300u64,
    ) {
        in_parts(Limits { header_size, body_size }, &bytes, &sizes);
    }

    #[test]
    fn the_walk_over_lines_and_the_scan_agree_on_what_is_well_formed(bytes in nearly_a_request()) {
        let limits = Limits::default();
        let bytes = bytes.trim_ascii_start();
        let ends = memchr::memmem::find(bytes, b"\r\n\r\n");
        let head = &bytes[..ends.map_or(bytes.len(), |at| at + 4)];
        if request::parse(head, &limits).is_ok() {
            prop_assert_eq!(syntax::walk(head, &limits), Ok(ends.is_some()));
        } else if syntax::walk(head, &limits).is_ok() {
            // What the walk lets pass was refused for what it means, not for its form.
            let refusal = request::parse(head, &limits).unwrap_err();
            prop_assert_ne!(refusal.reason(), "the request head is malformed");
        }
    }

    #[test]
    fn an_accepted_head_written_anew_is_the_same_head((bytes, _) in request()) {
        let mut decoder = Decoder::new(Limits::default());
        let Item::Head(head) = decoder.decode(&bytes).unwrap().item else {
            panic!("a whole head was given");
        };
        let again = written(&head);
        let mut decoder = Decoder::new(Limits::default());
        prop_assert_eq!(decoder.decode(&again), Ok(Decoded { used: again.len(), item: Item::Head(head) }));
    }
}

/// A head with the fields that `head` was made of, and no others.
fn written(head: &Head<'_>) -> Vec<u8> {
    let method = format!("{:?}", head.method).to_uppercase();
    let version = match head.version {
        Version::Http10 => "1.0",
        Version::Http11 => "1.1",
    };
    let connection = if head.keep_alive {
        "keep-alive"
    } else {
        "close"
    };
    let body = match head.body {
        BodyLength::None => String::new(),
        BodyLength::Length(length) => format!("Content-Length: {length}\r\n"),
        BodyLength::Chunked => "Transfer-Encoding: chunked\r\n".to_owned(),
    };
    let expect = if head.expects_continue {
        "Expect: 100-continue\r\n"
    } else {
        ""
    };
    let target = head.target_str();
    format!("{method} {target} HTTP/{version}\r\nHost: x\r\nConnection: {connection}\r\n{body}{expect}\r\n").into_bytes()
}
