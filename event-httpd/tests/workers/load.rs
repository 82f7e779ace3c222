//! New connections, one after the other, from several threads, each with one request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use super::support_broadcast::Peer;
use super::support_http::{Address, LAST, Server};

const THREADS: usize = 3;

/// A connection that was not answered: when it began, and how it failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) began: Instant,
    pub(crate) how: String,
}

/// What came of the connections that were made meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answered: usize,
    pub(crate) failed: Vec<Failed>,
}

impl Tally {
    #[track_caller]
    pub(crate) fn assert_all_answered(&self) {
        let hows: Vec<&str> = self.failed.iter().map(|failed| &*failed.how).collect();
        assert!(hows.is_empty(), "beside {}: {hows:#?}", self.answered);
    }
}

/// Runs `work` while connections are made.
pub(crate) fn under_load<T>(server: &Server, work: impl FnOnce() -> T) -> (T, Tally) {
    let done = AtomicBool::new(false);
    let address = server.address();
    let mut all = Tally::default();
    let result = thread::scope(|scope| {
        let stop = Done(&done); // also when `work` panics
        let threads: Vec<_> = (0..THREADS)
            .map(|_| scope.spawn(|| connect_until(address, &done)))
            .collect();
        let result = work();
        drop(stop);
        for thread in threads {
            let tally = thread.join().unwrap();
            all.answered += tally.answered;
            all.failed.extend(tally.failed);
        }
        result
    });
    assert!(all.answered > 0, "no load: {all:?}");
    (result, all)
}

struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn connect_until(address: &Address, done: &AtomicBool) -> Tally {
    let mut tally = Tally::default();
    while !done.load(Ordering::Relaxed) {
        let began = Instant::now();
        match ask_once(address) {
            Ok(()) => tally.answered += 1,
            Err(how) => tally.failed.push(Failed { began, how }),
        }
    }
    tally
}

fn ask_once(address: &Address) -> Result<(), String> {
    let mut peer = Peer::try_connect(address, |_socket| Ok(()))
        .map_err(|error| format!("connecting: {error}"))?;
    peer.try_send(LAST)
        .map_err(|error| format!("sending: {error}"))?;
    let answer = peer
        .try_rest()
        .map_err(|error| format!("reading: {error}"))?;
    if answer.starts_with(b"HTTP/1.1 200 OK\r\n") {
        Ok(())
    } else {
        Err(format!(
            "answered with {:?}",
            answer.escape_ascii().to_string()
        ))
    }
}
