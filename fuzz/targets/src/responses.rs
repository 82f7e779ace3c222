//! The response decoder: the same items however a response is cut.

use http_framing::{Limits, Method, ResponseBody, ResponseDecoder, ResponseError, ResponseItem};

use crate::cuts::same_however_cut;

pub(crate) const WORDS: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\nabc",
    b"HTTP/1.0 200\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 \r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    b"Content-Length: 3\r\n\r\nabc",
    b"Content-Length: ",
    b"Transfer-Encoding: chunked\r\n\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"0\r\nA: b\r\n\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"\r\n\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b"\0",
    b"\xff",
    b"999",
];

/// An item that owns its bytes; the parts of a body are merged.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Got {
    Interim(u16, Vec<(String, Vec<u8>)>),
    Head(u16, ResponseBody, bool, Vec<(String, Vec<u8>)>),
    Body(Vec<u8>),
    End,
    Refused,
}

fn decode(
    limits: Limits,
    method: Method,
    upgrade: bool,
    parts: &mut dyn Iterator<Item = &[u8]>,
) -> Vec<Got> {
    let mut decoder = ResponseDecoder::new(limits, method);
    if upgrade {
        decoder = decoder.with_upgrade();
    }
    let (mut kept, mut got) = (Vec::new(), Vec::new());
    for part in parts {
        kept.extend_from_slice(part);
        loop {
            let decoded = match decoder.decode(&kept) {
                Ok(decoded) => decoded,
                Err(error) => {
                    assert_eq!(decoder.decode(b"HTTP/1.1 200 OK\r\n\r\n"), Err(error));
                    assert_eq!(decoder.end_of_input(), Err(error));
                    got.push(Got::Refused);
                    return got;
                }
            };
            let used = decoded.used;
            assert!(used <= kept.len());
            match (decoded.item, got.last_mut()) {
                (ResponseItem::NeedMore, _) => {
                    kept.drain(..used);
                    break;
                }
                (ResponseItem::Interim(head), _) => {
                    got.push(Got::Interim(head.status, owned(head.fields)));
                }
                (ResponseItem::Head(head), _) => {
                    let fields = owned(head.fields);
                    got.push(Got::Head(head.status, head.body, head.keep_alive, fields));
                }
                (ResponseItem::Body(part), last) => match last {
                    Some(Got::Body(body)) => body.extend_from_slice(part),
                    _ => got.push(Got::Body(part.to_vec())),
                },
                (ResponseItem::End, _) => {
                    got.push(Got::End);
                    return got;
                }
            }
            kept.drain(..used);
        }
    }
    got.push(match decoder.end_of_input() {
        Ok(()) => Got::End,
        Err(ResponseError::Incomplete) => return got,
        Err(_) => Got::Refused,
    });
    got
}

fn owned<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<(String, Vec<u8>)> {
    let owned = fields.map(|(name, value)| (name.to_owned(), value.to_vec()));
    owned.collect()
}

pub(crate) fn run(input: &[u8]) {
    let Some((choice, stream)) = input.split_first() else {
        return;
    };
    let method = [Method::Get, Method::Head, Method::Connect][usize::from(choice % 3)];
    let limits = if choice & 64 == 0 {
        Limits::default()
    } else {
        Limits {
            header_size: 64,
            body_size: 8,
        }
    };
    let upgrade = choice & 128 != 0;
    let stream = crate::requests::with_end(stream);
    let got = same_however_cut(&stream, |parts| decode(limits, method, upgrade, parts));
    for (index, item) in got.iter().enumerate() {
        let last = index + 1 == got.len();
        match item {
            Got::Body(body) => assert!(body.len() as u64 <= limits.body_size),
            Got::End | Got::Refused => assert!(last),
            Got::Head(_, ResponseBody::None, ..) => {
                assert!(!matches!(got.get(index + 1), Some(Got::Body(_))))
            }
            Got::Head(..) | Got::Interim(..) => {}
        }
    }
}
