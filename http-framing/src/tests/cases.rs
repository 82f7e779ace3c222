//! The table in `tests/http_cases`, over the decoder alone: whole, in two at every byte, and byte
//! by byte.

use test_support::http_cases::{self, Case, Verdict};

use super::*;

/// A request that must not be reached through another.
const HIDDEN: &[u8] = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";

/// Longer rows are cut at some places only, to keep the work in bounds.
const EVERY_CUT_MAX: usize = 1000;

/// What the decoder made of a stream, in the table's words.
fn verdicts(got: &[Got]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let mut open: Option<(bool, http_cases::Body)> = None;
    for item in got {
        match item {
            Got::Head {
                line, keep_alive, ..
            } => {
                let body = if line.starts_with("Head ") {
                    http_cases::Body::Head
                } else {
                    http_cases::Body::Content(Vec::new())
                };
                open = Some((*keep_alive, body));
            }
            Got::Body(part) => {
                let (_, body) = open.as_mut().expect("a head comes before its body");
                *body = http_cases::Body::Content(part.clone());
            }
            Got::End => {
                let (keep_alive, body) = open.take().expect("a head comes before its end");
                if !keep_alive {
                    // A server reads no further.
                    verdicts.push(Verdict::Close(body));
                    return verdicts;
                }
                verdicts.push(Verdict::Keep(body));
            }
            Got::Refused(refusal) => {
                verdicts.push(Verdict::Refused(refusal.status().code()));
                return verdicts;
            }
        }
    }
    verdicts
}

/// What is sent of a case, and what must come of it: a good request follows a complete one.
fn stream(case: &Case) -> (Vec<u8>, Vec<Verdict>) {
    let (mut bytes, mut wanted) = (case.bytes.clone(), case.verdicts.clone());
    match wanted.last() {
        Some(Verdict::More) => {
            wanted.pop();
        }
        Some(Verdict::Keep(_)) => {
            bytes.extend_from_slice(HIDDEN);
            let content = http_cases::Body::Content(Vec::new());
            wanted.push(Verdict::Keep(content));
        }
        _ => bytes.extend_from_slice(HIDDEN),
    }
    (bytes, wanted)
}

#[test]
fn every_case_has_its_verdict_in_one_piece() {
    for case in http_cases::all() {
        let (bytes, wanted) = stream(&case);
        let mut peer = Peer::new(Limits::default());
        let got = verdicts(&peer.sends(&bytes).got);
        assert_eq!(got, wanted, "{} (RFC {})", case.name, case.rfc);
        if let Some(says) = &case.says {
            let reason = peer.refusal().map(|refusal| refusal.reason());
            let reason = reason.unwrap_or_default();
            assert!(reason.contains(says), "{}: {reason}", case.name);
        }
        if case.is_open() {
            assert!(
                peer.decoder.phase() != Phase::Idle,
                "{}: something has come",
                case.name
            );
        }
    }
}

#[test]
fn every_case_has_its_verdict_however_it_is_cut() {
    for case in http_cases::all() {
        let (bytes, wanted) = stream(&case);
        let step = bytes.len().div_ceil(EVERY_CUT_MAX);
        for cut in (1..bytes.len()).step_by(step) {
            let (first, second) = bytes.split_at(cut);
            let mut peer = Peer::new(Limits::default());
            let got = verdicts(&peer.sends(first).sends(second).got);
            assert_eq!(got, wanted, "{} cut at {cut}", case.name);
        }
        let mut peer = Peer::new(Limits::default());
        for byte in &bytes {
            peer.sends(&[*byte]);
        }
        assert_eq!(verdicts(&peer.got), wanted, "{} byte by byte", case.name);
    }
}

/// A server may look at any part that has come, and what comes after it changes no refusal.
#[test]
fn every_refused_case_has_one_status_and_reason_however_it_is_cut() {
    for case in http_cases::all() {
        let (bytes, _) = stream(&case);
        let whole = Peer::new(Limits::default()).sends(&bytes).refusal();
        let step = bytes.len().div_ceil(EVERY_CUT_MAX);
        for cut in (1..bytes.len()).step_by(step) {
            let (first, second) = bytes.split_at(cut);
            let mut peer = Peer::new(Limits::default());
            let got = peer.sends(first).sends(second).refusal();
            assert_eq!(got, whole, "{} cut at {cut}", case.name);
        }
        let mut peer = Peer::new(Limits::default());
        for byte in &bytes {
            peer.sends(&[*byte]);
        }
        assert_eq!(peer.refusal(), whole, "{} byte by byte", case.name);
    }
}
