//! The gate in front of evhttp: what goes on is what came, however it is cut.

use std::cell::RefCell;
use std::rc::Rc;

use http_framing::{BodyLength, Head, Limits, Method};

use crate::REFUSED;
use crate::cuts::same_however_cut;
use crate::gate::{Gate, Sink};
use crate::requests::{Got, decode, with_end};

const LIMITS: Limits = Limits {
    header_size: 16 * 1024,
    body_size: 4096,
};

/// What goes on.
#[derive(Debug, Default)]
struct Out {
    evhttp: Vec<u8>,
    body: Vec<u8>,
    bodies: usize,
    streams: bool,
    /// How many heads have a body that may stream.
    may_stream: usize,
}

impl Sink for Out {
    fn evhttp(&mut self, bytes: &[u8]) {
        self.evhttp.extend_from_slice(bytes);
    }

    fn streams(&mut self, head: &Head<'_>) -> Option<u64> {
        let may_stream = head.target.len().is_multiple_of(2);
        self.may_stream += usize::from(may_stream);
        (self.streams && may_stream).then_some(64)
    }

    fn body(&mut self, part: &[u8]) {
        assert!(!part.is_empty());
        self.body.extend_from_slice(part);
    }

    fn body_end(&mut self) {
        self.bodies += 1;
    }
}

fn gated(streams: bool, parts: &mut dyn Iterator<Item = &[u8]>) -> (Out, Option<u16>) {
    let mut gate = Gate::new(LIMITS);
    let mut out = Out {
        streams,
        ..Out::default()
    };
    for part in parts {
        gate.pass(part, &mut out);
        // evhttp shows each head at once.
        while gate.is_holding() {
            gate.release(&mut out);
        }
        assert!(gate.kept() < LIMITS.header_size);
    }
    let code = gate.refusal().map(|(code, _)| code);
    assert!(matches!(code, None | Some(400 | 413 | 417)));
    (out, code)
}

/// The requests in the bytes that went on, without what stands for a refused one, if one was.
fn requests(out: &[u8], was_refused: bool) -> Vec<Got> {
    if !was_refused {
        return decoded(out); // a peer may send the same bytes
    }
    let mut got = decoded(&with_host(out));
    if got.last().is_some_and(|got| got.body.ends_with(REFUSED)) {
        got.pop();
    }
    got
}

fn decoded(bytes: &[u8]) -> Vec<Got> {
    let (got, refusal) = decode(LIMITS, &mut [bytes].into_iter());
    assert!(refusal.is_none(), "{refusal:?}: {}", bytes.escape_ascii());
    got
}

/// What of a request has to be the same behind the gate.
fn essence(got: &Got) -> (Method, String, Vec<u8>, bool) {
    let target = match got.head.target.strip_prefix("//") {
        Some(rest) => format!("/%2F{rest}"),
        None => got.head.target.clone(),
    };
    (got.head.method, target, got.body.clone(), got.complete)
}

/// Reads what went on, if it differs from what went on last.
#[derive(Default)]
struct LastRead {
    out: Vec<u8>,
    was_refused: bool,
    requests: Rc<Vec<Got>>,
}

impl LastRead {
    fn requests(&mut self, out: Vec<u8>, was_refused: bool) -> Rc<Vec<Got>> {
        if (&out, was_refused) != (&self.out, self.was_refused) {
            self.requests = Rc::new(requests(&out, was_refused));
            (self.out, self.was_refused) = (out, was_refused);
        }
        Rc::clone(&self.requests)
    }
}

pub(crate) fn run(input: &[u8]) {
    let stream = with_end(input);
    let last = RefCell::new(LastRead::default());
    let read = |out, was_refused| last.borrow_mut().requests(out, was_refused);
    let (went_on, code, may_stream) = same_however_cut(&stream, |parts| {
        let (out, code) = gated(false, parts);
        let went_on = read(out.evhttp, code.is_some());
        (went_on, code.is_some(), out.may_stream)
    });
    // Where no body may stream, the gate has heard the same answers.
    if may_stream > 0 {
        same_however_cut(&stream, |parts| {
            let (out, code) = gated(true, parts);
            let went_on = read(out.evhttp, code.is_some());
            (went_on, out.body, out.bodies, code.is_some())
        });
    }
    let (came, refusal) = decode(LIMITS, &mut [stream.as_slice()].into_iter());
    // What evhttp does not read of a body is dropped, also if it is not complete.
    let mut wanted = came.iter().filter(|got| got.complete || !reads_body(got));
    for got in went_on.iter().filter(|got| got.complete) {
        let wanted = wanted.next().expect("the gate lets on no other request");
        if got.head.method != Method::Other && reads_body(wanted) {
            assert_eq!(essence(got), essence(wanted));
        }
    }
    // evhttp gets no body that it does not read, and nothing after the last request.
    assert!(went_on.iter().all(reads_body), "{went_on:?}");
    let mut but_last = went_on.iter().rev().skip(1);
    assert!(but_last.all(|got| got.head.keep_alive), "{went_on:?}");
    // evhttp decodes a path, and compares it as a C string.
    let paths = went_on.iter().map(|got| got.head.target.split('?').next());
    assert!(paths.flatten().all(|path| !path.contains("%00")));
    // What is missing was refused, or comes after the last request.
    if wanted.next().is_some() && !code {
        let last = went_on.last().expect("something went on");
        assert!(!last.head.keep_alive, "{last:?}");
    }
    assert!(
        refusal.is_none()
            || code
            || came
                .iter()
                .any(|got| !got.head.keep_alive || !reads_body(got))
    );
}

fn reads_body(got: &Got) -> bool {
    matches!(got.head.body, BodyLength::None | BodyLength::Length(0))
        || !matches!(
            got.head.method,
            Method::Head | Method::Trace | Method::Other | Method::Connect
        )
}

/// What stands for a refused request has no `Host`, which the decoder wants.
fn with_host(out: &[u8]) -> Vec<u8> {
    const REFUSED_HEAD: &[u8] = b"POST / HTTP/1.1\r\nContent-Length:19\r\n\r\n";
    let refused = [REFUSED_HEAD, REFUSED].concat();
    match out.strip_suffix(refused.as_slice()) {
        Some(start) => [
            start,
            b"POST / HTTP/1.1\r\nHost:x\r\nContent-Length:19\r\n\r\n",
            REFUSED,
        ]
        .concat(),
        None => out.to_vec(),
    }
}
