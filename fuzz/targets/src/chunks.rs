//! The chunk decoder, compared with a reader of whole bodies that follows RFC 9112 §7.1 line by
//! line.

use http_framing::{Decoder, Item, Limits};

use crate::cuts::same_however_cut;
use crate::rfc::{self, Body, ChunkRules, End};

pub(crate) const WORDS: &[&[u8]] = &[
    b"5\r\nhello\r\n",
    b"0000000000000005\r\nhello\r\n",
    b"00000000000000005\r\nhello\r\n",
    b"5",
    b"00a\r\n0123456789\r\n",
    b"A;b\r\n0123456789\r\n",
    b"1 ;a = \"\\\"\" ; c=d\r\nx\r\n",
    b"0",
    b"0\r\n\r\n",
    b"0;x\r\n",
    b"A: b\r\n",
    b"A : b\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b";",
    b"=",
    b"\"",
    b"\\",
    b" ",
    b"\t",
    b"\0",
    b"\x7f",
    b"\xe9",
    b"0000000000000000",
    b"ffffffffffffffff",
    b"10000000000000000",
    b"g",
];

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Inputs reach them. The head fits.
const LIMITS: Limits = Limits {
    header_size: 64,
    body_size: 24,
};

/// By the decoder.
fn decoded(parts: &mut dyn Iterator<Item = &[u8]>) -> Body {
    let mut decoder = Decoder::new(LIMITS);
    let head = decoder.decode(HEAD).map(|decoded| decoded.used);
    assert_eq!(head, Ok(HEAD.len()));
    let (mut kept, mut content, mut all) = (Vec::new(), Vec::new(), 0);
    let mut end = End::Open;
    'parts: for part in parts {
        kept.extend_from_slice(part);
        loop {
            let Ok(decoded) = decoder.decode(&kept) else {
                end = End::Refused;
                break 'parts;
            };
            let used = decoded.used;
            all += used;
            match decoded.item {
                Item::Body(part) => content.extend_from_slice(part),
                Item::End => {
                    end = End::Complete;
                    break 'parts;
                }
                Item::NeedMore => {
                    kept.drain(..used);
                    break;
                }
                Item::Head(_) => panic!("a head inside a body"),
            }
            kept.drain(..used);
        }
    }
    let used = if end == End::Complete { all } else { 0 };
    Body { content, used, end }
}

pub(crate) fn run(input: &[u8]) {
    let body = same_however_cut(input, decoded);
    let wanted = rfc::chunked(
        input,
        ChunkRules {
            limits: LIMITS,
            takes_late_fields: false,
        },
    );
    // A line may be refused before its end has come.
    let is_early = (body.end, wanted.end) == (End::Refused, End::Open);
    let agree = body == wanted || is_early && body.content == wanted.content;
    assert!(agree, "{body:?}, not {wanted:?}: {}", input.escape_ascii());
}
