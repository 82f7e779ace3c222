use proptest::prelude::*;

use super::*;
use crate::MAX_FIELDS;

/// A [`ResponseItem`] that owns its bytes; neighbouring parts of a body are merged.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Got {
    Interim(u16, Vec<(String, String)>),
    Head(u16, ResponseBody, bool, Vec<(String, String)>),
    Body(String),
    End,
    Refused(ResponseError),
}

/// A client's side of the protocol: keeps what is unused, passes it again with what comes.
struct Client {
    decoder: ResponseDecoder,
    kept: Vec<u8>,
    got: Vec<Got>,
}

impl Client {
    fn new(limits: Limits, method: Method) -> Self {
        let decoder = ResponseDecoder::new(limits, method);
        Self {
            decoder,
            kept: Vec::new(),
            got: Vec::new(),
        }
    }

    fn receives(&mut self, bytes: &[u8]) -> &mut Self {
        self.kept.extend_from_slice(bytes);
        while !matches!(self.got.last(), Some(Got::End | Got::Refused(_))) {
            let decoded = match self.decoder.decode(&self.kept) {
                Ok(decoded) => decoded,
                Err(error) => {
                    assert_eq!(self.decoder.decode(b"HTTP/1.1 200"), Err(error));
                    assert_eq!(self.decoder.end_of_input(), Err(error));
                    self.got.push(Got::Refused(error));
                    break;
                }
            };
            let fields = |head: &ResponseHead<'_>| {
                let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
                head.fields
                    .map(|(name, value)| (name.to_owned(), text(value)))
                    .collect()
            };
            match (decoded.item, self.got.last_mut()) {
                (ResponseItem::NeedMore, _) => {
                    self.kept.drain(..decoded.used);
                    break;
                }
                (ResponseItem::Interim(head), _) => {
                    self.got.push(Got::Interim(head.status, fields(&head)));
                }
                (ResponseItem::Head(head), _) => {
                    let (status, body) = (head.status, head.body);
                    let head = Got::Head(status, body, head.keep_alive, fields(&head));
                    self.got.push(head);
                }
                (ResponseItem::Body(part), last) => {
                    assert!(!part.is_empty(), "an empty part of a body");
                    let part = String::from_utf8_lossy(part);
                    match last {
                        Some(Got::Body(body)) => body.push_str(&part),
                        _ => self.got.push(Got::Body(part.into_owned())),
                    }
                }
                (ResponseItem::End, _) => self.got.push(Got::End),
            }
            self.kept.drain(..decoded.used);
        }
        self
    }

    fn ends(&mut self) -> Vec<Got> {
        if !matches!(self.got.last(), Some(Got::End | Got::Refused(_))) {
            self.got.push(match self.decoder.end_of_input() {
                Ok(()) => Got::End,
                Err(error) => Got::Refused(error),
            });
        }
        self.got.clone()
    }
}

fn in_parts(limits: Limits, method: Method, bytes: &[u8], sizes: &[usize]) -> Vec<Got> {
    let mut client = Client::new(limits, method);
    let mut rest = bytes;
    for size in sizes {
        let (part, tail) = rest.split_at((*size).min(rest.len()));
        client.receives(part);
        rest = tail;
    }
    client.receives(rest).ends()
}

/// Decodes a response that ends with its connection; whole and in small parts alike.
fn decode_as(method: Method, bytes: impl AsRef<[u8]>) -> Vec<Got> {
    let (limits, bytes) = (Limits::default(), bytes.as_ref());
    let whole = in_parts(limits, method, bytes, &[]);
    for size in [1, 2, 3, 7] {
        let cut = in_parts(limits, method, bytes, &vec![size; bytes.len() / size]);
        assert_eq!(cut, whole, "{} in parts of {size}", bytes.escape_ascii());
    }
    whole
}

fn decode(bytes: impl AsRef<[u8]>) -> Vec<Got> {
    decode_as(Method::Get, bytes)
}

fn ok(body: ResponseBody, keep_alive: bool, fields: &[(&str, &str)]) -> Got {
    let fields = fields.iter().map(|(n, v)| ((*n).into(), (*v).into()));
    Got::Head(200, body, keep_alive, fields.collect())
}

fn body(text: &str) -> Got {
    Got::Body(text.to_owned())
}

#[track_caller]
fn refused(bytes: impl AsRef<[u8]>, reason: &str) {
    let bytes = bytes.as_ref();
    let got = decode(bytes);
    let Some(Got::Refused(error)) = got.last() else {
        panic!("{} gave {got:?}", bytes.escape_ascii());
    };
    let text = error.to_string();
    assert!(text.contains(reason), "{}: {text}", bytes.escape_ascii());
}

#[test]
fn the_body_ends_by_its_length_its_chunks_or_the_connection() {
    let length = ResponseBody::Length(3);
    assert_eq!(
        decode("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"),
        [
            ok(length, true, &[("Content-Length", "3")]),
            body("abc"),
            Got::End
        ]
    );
    assert_eq!(
        decode(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n1\r\na\r\n2;x\r\nbc\r\n0\r\n\r\n"
        ),
        [
            ok(
                ResponseBody::Chunked,
                true,
                &[("transfer-encoding", "Chunked")]
            ),
            body("abc"),
            Got::End
        ]
    );
    assert_eq!(
        decode("HTTP/1.1 200 OK\r\n\r\nabc"),
        [
            ok(ResponseBody::UntilClose, false, &[]),
            body("abc"),
            Got::End
        ]
    );
    let empty = ok(ResponseBody::Length(0), true, &[("Content-Length", "0")]);
    assert_eq!(
        decode("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        [empty, Got::End]
    );
}

#[test]
fn bytes_behind_the_end_are_left() {
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 204 None\r\nContent-Length: 3\r\n\r\n",
    ] {
        let mut client = Client::new(Limits::default(), Method::Get);
        client.receives(format!("{response}HTTP/1.1 500").as_bytes());
        assert_eq!(client.got.last(), Some(&Got::End));
        assert_eq!(client.kept, b"HTTP/1.1 500");
    }
}

/// RFC 9112 §6.3: whatever the fields say.
#[test]
fn responses_that_can_have_no_body_have_none() {
    for fields in [
        "",
        "Content-Length: 9\r\n",
        "Transfer-Encoding: chunked\r\n",
    ] {
        let none = |method, status: u16| {
            let got = decode_as(method, format!("HTTP/1.1 {status} X\r\n{fields}\r\n"));
            let [Got::Head(code, ResponseBody::None, true, _), Got::End] = got.as_slice() else {
                panic!("{method:?} {status} {fields:?} gave {got:?}");
            };
            assert_eq!(*code, status);
        };
        none(Method::Get, 204);
        none(Method::Get, 304);
        for status in [200, 204, 304, 404, 999] {
            none(Method::Head, status);
        }
        none(Method::Connect, 200);
        none(Method::Connect, 299);
    }
    let refusal = "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno";
    assert_eq!(decode_as(Method::Connect, refusal)[1], body("no"));
}

#[test]
fn fields_of_interim_responses_do_not_reach_the_final_one() {
    let interim = |status, name: &str, value: &str| {
        Got::Interim(status, vec![(name.to_owned(), value.to_owned())])
    };
    assert_eq!(
        decode(
            "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n\
             HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
             HTTP/1.1 200 OK\r\n\r\nhello and more"
        ),
        [
            interim(100, "Content-Length", "5"),
            interim(103, "Link", "</a>"),
            ok(ResponseBody::UntilClose, false, &[]),
            body("hello and more"),
            Got::End
        ]
    );
}

#[test]
fn interim_responses_at_the_limit_pass_and_one_more_is_refused() {
    let last = "HTTP/1.1 204 None\r\n\r\n";
    let interim = |n: u8| "HTTP/1.1 102 Wait\r\n\r\n".repeat(n.into()) + last;
    assert_eq!(
        decode(interim(INTERIM_RESPONSES_MAX)).last(),
        Some(&Got::End)
    );
    refused(interim(INTERIM_RESPONSES_MAX + 1), "interim responses only");
}

#[test]
fn interim_heads_share_the_limit_of_one_head_and_leave_the_final_one_all_of_it() {
    let head = |status: u16, len: usize| {
        let start = format!("HTTP/1.1 {status} X\r\nA: ");
        let value = "a".repeat(len - start.len() - 4);
        format!("{start}{value}\r\n\r\n")
    };
    let limits = Limits {
        header_size: 100,
        ..Limits::default()
    };
    for (first, second, last, fits) in [
        (60, 40, 100, true),
        (60, 41, 100, false),
        (60, 40, 101, false),
    ] {
        let bytes = head(100, first) + &head(103, second) + &head(204, last);
        for sizes in [vec![], vec![1; bytes.len()]] {
            let got = in_parts(limits, Method::Get, bytes.as_bytes(), &sizes);
            let too_long = got.last() == Some(&Got::Refused(ResponseError::HeadTooLong));
            assert_eq!(too_long, !fits, "{first} {second} {last}: {got:?}");
        }
    }
}

#[test]
fn switching_protocols_is_refused_unless_the_request_asked_for_it() {
    let switch = "HTTP/1.1 101 Switch\r\nUpgrade: x\r\nContent-Length: 9\r\n\r\n\x01\x02";
    refused(switch, "did not ask for");
    let mut client = Client::new(Limits::default(), Method::Get);
    client.decoder = ResponseDecoder::new(Limits::default(), Method::Get).with_upgrade();
    let got = client
        .receives(b"HTTP/1.1 100 Go\r\n\r\n")
        .receives(switch.as_bytes());
    assert!(
        matches!(
            got.got.as_slice(),
            [
                Got::Interim(100, _),
                Got::Head(101, ResponseBody::None, false, _),
                Got::End
            ]
        ),
        "{:?}",
        got.got
    );
    assert_eq!(got.kept, b"\x01\x02");
}

#[test]
fn the_connection_is_kept_as_version_and_fields_say() {
    for (version, fields, kept) in [
        ("1.1", "", true),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: Upgrade\r\n", true),
        ("1.1", "Connection: x\r\nConnection: Close\r\n", false),
        ("1.1", "Connection: keep-alive, close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
    ] {
        let head = format!("HTTP/{version} 200 OK\r\n{fields}Content-Length: 0\r\n\r\n");
        let got = decode(&head);
        assert!(
            matches!(got[0], Got::Head(_, _, keep_alive, _) if keep_alive == kept),
            "{head}: {got:?}"
        );
    }
    refused(
        "HTTP/1.1 204 None\r\nConnection: a b\r\n\r\n",
        "not a list of tokens",
    );
}

#[test]
fn early_ends_are_incomplete() {
    let responses = [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nA: b\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 None\r\n\r\n",
    ];
    for response in responses {
        assert_eq!(decode(response).last(), Some(&Got::End));
        for len in 0..response.len() {
            let incomplete = Got::Refused(ResponseError::Incomplete);
            assert_eq!(decode(&response[..len]).last(), Some(&incomplete), "{len}");
        }
    }
}

#[test]
fn status_lines_are_strict_but_for_the_space_before_no_reason() {
    for line in [
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200 ",
        "HTTP/1.1 200",
        "HTTP/1.0 200 Not\tfound \u{e9}",
        "HTTP/1.1 200  two",
    ] {
        let got = decode(format!("{line}\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(got.len(), 2, "{line}: {got:?}");
    }
    let start = "does not begin with HTTP/1.1";
    let status = "not three digits";
    for (line, reason) in [
        ("", start),
        ("hello", start),
        ("http/1.1 200 OK", start),
        ("HTTP/1.2 200 OK", start),
        ("HTTP/2 200 OK", start),
        ("HTTP/1.1\t200 OK", start),
        ("HTTP/1.1", start),
        (" HTTP/1.1 200 OK", start),
        ("\r\nHTTP/1.1 200 OK", start),
        ("ICY 200 OK", start),
        ("HTTP/1.1 ", status),
        ("HTTP/1.1 20 OK", status),
        ("HTTP/1.1 99 OK", status),
        ("HTTP/1.1 099 OK", status),
        ("HTTP/1.1 1000 OK", status),
        ("HTTP/1.1 -20 OK", status),
        ("HTTP/1.1  200 OK", status),
        ("HTTP/1.1 20x OK", status),
        ("HTTP/1.1 200OK", status),
        ("HTTP/1.1 200\tOK", status),
        ("HTTP/1.1 200 O\0", "control byte"),
        ("HTTP/1.1 200 O\rK", "control byte"),
        ("HTTP/1.1 200 O\u{7f}", "control byte"),
        ("HTTP/1.1 200 OK\nA: b", "LF alone"),
    ] {
        refused(format!("{line}\r\nContent-Length: 0\r\n\r\n"), reason);
    }
}

#[test]
fn field_lines_are_as_strict_as_in_requests() {
    for (line, reason) in [
        ("A : b", "white space before its colon"),
        (" A: b", "folded"),
        ("A: b\r\n c", "folded"),
        (": b", "no name"),
        ("no colon", "no name may have"),
        ("nocolon", "no colon"),
        ("A: \0", "NUL"),
        ("A: b\rc", "CR is not followed"),
        ("A: b\nB: c", "LF alone"),
        ("A: b\n", "LF alone"),
        ("\u{e9}: b", "no name may have"),
    ] {
        refused(format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n"), reason);
    }
    refused("HTTP/1.1 100 Continue\r\nA : b\r\n\r\n", "before its colon");
    refused("HTTP/1.1 200 OK\r\n\nabc", "LF alone");
    let field = "HTTP/1.1 204 None\r\nA:\r\na: \t b\u{e9}\tc \t\r\n\r\n";
    let Got::Head(_, _, _, fields) = &decode(field)[0] else {
        panic!("a head was given");
    };
    assert_eq!(fields[0], ("A".to_owned(), String::new()));
    assert_eq!(fields[1], ("a".to_owned(), "b\u{e9}\tc".to_owned()));
}

#[test]
fn a_body_of_uncertain_length_is_refused() {
    for (fields, reason) in [
        (
            "Content-Length: 3\r\nContent-Length: 3",
            "two Content-Length",
        ),
        ("Content-Length: 3, 3", "plain decimal"),
        ("Content-Length: +3", "plain decimal"),
        ("Content-Length: 0x3", "plain decimal"),
        ("Content-Length:", "plain decimal"),
        ("Content-Length: 3 3", "plain decimal"),
        ("Content-Length: 3\r\nTransfer-Encoding: chunked", "both"),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "two Transfer",
        ),
        ("Transfer-Encoding: chunked, chunked", "chunked alone"),
        ("Transfer-Encoding: gzip, chunked", "chunked alone"),
        ("Transfer-Encoding: chunked, gzip", "chunked alone"),
        ("Transfer-Encoding: chunked;x=y", "chunked alone"),
        ("Transfer-Encoding: identity", "chunked alone"),
        ("Transfer-Encoding:", "chunked alone"),
    ] {
        refused(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nabc"), reason);
    }
    refused(
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.0 does not have",
    );
}

#[test]
fn malformed_chunks_are_refused() {
    for (chunks, reason) in [
        ("+2\r\nok\r\n", "plain hexadecimal"),
        ("0x2\r\nok\r\n", "plain hexadecimal"),
        ("2\0\r\nok\r\n", "plain hexadecimal"),
        ("2 garbage\r\nok\r\n", "not a chunk extension"),
        ("2\nok\r\n", "LF alone"),
        ("2\r\nokk\r\n", "where its size says"),
        (
            "2\r\nok\r\n0\r\nContent-Length : 2\r\n\r\n",
            "before its colon",
        ),
        ("2\r\nok\r\n0\r\nA : b\r\n\r\n", "before its colon"),
    ] {
        refused(
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"),
            reason,
        );
    }
    let many = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{}\r\n",
        "A: b\r\n".repeat(MAX_FIELDS + 1)
    );
    refused(many, "trailer fields are too long or too many");
}

#[test]
fn trailer_fields_do_not_reach_the_head() {
    for trailer in [
        "Set-Cookie: a",
        "Content-Length: 5",
        "Content-Length: 2\r\nContent-Length: x",
        "Transfer-Encoding: gzip",
        "Host: y",
        "Connection: close",
    ] {
        let got = decode(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n{trailer}\r\n\r\n"
        ));
        let chunked = ok(
            ResponseBody::Chunked,
            true,
            &[("Transfer-Encoding", "chunked")],
        );
        assert_eq!(got, [chunked, body("hi"), Got::End], "{trailer}");
    }
}

#[test]
fn a_head_at_the_limit_passes_and_one_byte_more_is_refused() {
    let response = |len: usize| {
        let start = "HTTP/1.1 204 None\r\nA: ";
        let value = "a".repeat(len - start.len() - 4);
        format!("{start}{value}\r\n\r\n").into_bytes()
    };
    for header_size in [32, 1000, 64 * 1024] {
        let limits = Limits {
            header_size,
            ..Limits::default()
        };
        let too_long = [Got::Refused(ResponseError::HeadTooLong)];
        for sizes in [vec![], vec![1; header_size], vec![header_size]] {
            let of = |len| in_parts(limits, Method::Get, &response(len), &sizes);
            assert_eq!(of(header_size).len(), 2);
            assert_eq!(of(header_size + 1), too_long);
            assert_eq!(of(2 * header_size), too_long);
        }
        // Refused before its end has come.
        let mut client = Client::new(limits, Method::Get);
        let longer = response(header_size + 1);
        assert_eq!(client.receives(&longer[..header_size]).got, too_long);
    }
}

#[test]
fn a_hundred_fields_pass_and_one_more_is_refused() {
    let response = |n| format!("HTTP/1.1 204 None\r\n{}\r\n", "A: b\r\n".repeat(n));
    assert_eq!(decode(response(MAX_FIELDS)).len(), 2);
    refused(response(MAX_FIELDS + 1), "more than 100 fields");
}

#[test]
fn a_body_at_the_limit_passes_and_one_byte_more_is_refused() {
    let limits = Limits {
        body_size: 5,
        ..Limits::default()
    };
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    for (rest, fits) in [
        ("Content-Length: 5\r\n\r\nabcde".to_owned(), true),
        ("Content-Length: 6\r\n\r\n".to_owned(), false),
        (
            "Content-Length: 18446744073709551615\r\n\r\n".to_owned(),
            false,
        ),
        (
            "Content-Length: 18446744073709551616\r\n\r\n".to_owned(),
            false,
        ),
        (format!("{chunked}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), true),
        (format!("{chunked}3\r\nabc\r\n3\r\n"), false),
        (format!("{chunked}ffffffffffffffff\r\n"), false),
        ("\r\nabcde".to_owned(), true),
        ("\r\nabcdef".to_owned(), false),
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{rest}").into_bytes();
        for sizes in [vec![], vec![1; bytes.len()]] {
            let got = in_parts(limits, Method::Get, &bytes, &sizes);
            let last = match fits {
                true => Got::End,
                false => Got::Refused(ResponseError::BodyTooLong),
            };
            assert_eq!(got.last(), Some(&last), "{rest}");
        }
    }
}

#[test]
fn garbage_is_refused_before_a_line_has_ended() {
    for garbage in ["SSH-2.0", "\x16\x03\x01", "\0", "HTTP/2", "HTTP/1.1\t"] {
        let mut client = Client::new(Limits::default(), Method::Get);
        client.receives(garbage.as_bytes());
        assert!(matches!(client.got[..], [Got::Refused(_)]), "{garbage:?}");
    }
}

#[test]
fn a_head_a_byte_at_a_time_costs_one_pass() {
    // A megabyte a byte at a time: hours, were each byte to start from the front.
    let limits = Limits {
        header_size: 1 << 20,
        ..Limits::default()
    };
    let mut head = b"HTTP/1.1 204 None\r\nA: ".to_vec();
    head.resize((1 << 20) - 4, b'a');
    head.extend_from_slice(b"\r\n\r\n");
    let mut decoder = ResponseDecoder::new(limits, Method::Get);
    for len in 1..head.len() {
        let item = decoder.decode(&head[..len]).unwrap().item;
        assert_eq!(item, ResponseItem::NeedMore);
    }
    let item = decoder.decode(&head).unwrap().item;
    assert!(matches!(item, ResponseItem::Head(_)));
}

#[test]
fn an_endless_chunk_size_is_refused_early() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    refused(format!("{head}{}", "0".repeat(17)), "more than 16 digits");
}

/// A response, sometimes with one byte corrupted.
fn response() -> impl Strategy<Value = Vec<u8>> {
    let interim = prop::collection::vec(
        "HTTP/1\\.1 10[0123] [A-Za-z ]{0,9}\r\n(X-[a-z]{1,5}: [ -~]{0,20}\r\n){0,3}\r\n",
        0..3,
    );
    let rest = prop_oneof![
        "(Connection: (close|keep-alive|x)\r\n)?Content-Length: [0-9]{1,2}\r\n\r\n[ -~]{0,99}",
        "Transfer-Encoding: chunked\r\n\r\n(3(;[a-z]{1,4}(=\"?[a-z ]{1,3}\"?)?)?\r\nabc\r\n){0,4}0\r\n(X-[a-z]{1,5}: [a-z]{0,9}\r\n){0,2}\r\n[ -~]{0,5}",
        "(Connection: [a-z, ]{0,9}\r\n)?\r\n[ -~\r\n]{0,200}",
    ];
    let status =
        "HTTP/1\\.[01] [2345]0[034]( [ -~]{0,9})?\r\n(X-[a-z]{1,5}: [ -~\u{e9}]{0,20}\r\n){0,4}";
    let spoilt = prop::option::of((any::<prop::sample::Index>(), any::<u8>()));
    (interim, status, rest, spoilt).prop_map(|(interim, status, rest, spoilt)| {
        let mut bytes = (interim.concat() + &status + &rest).into_bytes();
        if let Some((at, byte)) = spoilt {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![
        4 => Just(Method::Get),
        1 => Just(Method::Head),
        1 => Just(Method::Connect),
    ]
}

proptest! {
    #[test]
    fn a_response_gives_the_same_items_however_it_is_cut(
        bytes in prop_oneof![9 => response(), 1 => prop::collection::vec(any::<u8>(), 0..300)],
        method in method(),
        sizes in prop::collection::vec(1..40usize, 0..60),
        header_size in prop_oneof![3 => Just(16_384), 1 => 0..200usize],
        body_size in prop_oneof![3 => Just(1 << 20), 1 => 0..60u64],
    ) {
        let limits = Limits { header_size, body_size };
        let whole = in_parts(limits, method, &bytes, &[]);
        prop_assert_eq!(&in_parts(limits, method, &bytes, &sizes), &whole);
        prop_assert_eq!(&in_parts(limits, method, &bytes, &vec![1; bytes.len()]), &whole);
    }

    #[test]
    fn fields_come_out_as_they_were_written(
        fields in prop::collection::vec(("[A-Za-z0-9-]{1,12}", "[!-~]([ -~]{0,20}[!-~])?"), 0..9),
    ) {
        let lines: String = fields.iter().map(|(name, value)| format!("{name}:  {value} \r\n")).collect();
        let bytes = format!("HTTP/1.1 103 Hints\r\n{lines}\r\n");
        let mut decoder = ResponseDecoder::new(Limits::default(), Method::Get);
        let ResponseItem::Interim(head) = decoder.decode(bytes.as_bytes()).unwrap().item else {
            panic!("a whole head was given");
        };
        let read: Vec<_> = head.fields.map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into_owned())).collect();
        prop_assert_eq!(read, fields);
    }
}
