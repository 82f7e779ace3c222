//! What the two sides send: sequences of bytes that both know, so that it is enough to count.

use std::sync::LazyLock;

use super::{LENGTHS, STEPS_MAX};

/// The most that one side sends.
const SENT_MAX: usize = STEPS_MAX * LENGTHS[LENGTHS.len() - 1];

/// Our side's, and the peer's.
pub(super) static OURS: LazyLock<Vec<u8>> = LazyLock::new(|| sequence(31, 7));
pub(super) static PEERS: LazyLock<Vec<u8>> = LazyLock::new(|| sequence(13, 5));

fn sequence(times: usize, per: usize) -> Vec<u8> {
    (0..SENT_MAX).map(|n| (n * times / per) as u8).collect()
}

/// Counts what has arrived of a sequence: the bytes that come next in it.
pub(super) fn count(arrived: &mut usize, bytes: &[u8], sequence: &[u8]) {
    let end = *arrived + bytes.len();
    let next = sequence.get(*arrived..end);
    assert!(next == Some(bytes), "other bytes than were sent");
    *arrived = end;
}
