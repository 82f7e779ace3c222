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

/// The redis crate's parser skips bytes that are no reply where they arrive one by one.
#[test]
fn bytes_that_are_no_reply_end_the_connection_to_redis_however_they_are_cut() {
    run("redis", b"\0*1\r\n82\r\n$1\r\nk\r\n:1\r\n");
}
