//! Inputs that fuzzing found.

use fuzz_targets::run;

/// evhttp gets its head alone, so it is complete behind the gate.
#[test]
fn a_body_that_evhttp_does_not_read_may_be_incomplete() {
    run(
        "gate",
        b"#OST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n400\r\na",
    );
}
