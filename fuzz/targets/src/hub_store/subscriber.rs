//! A subscriber: where its stream begins, what it has, and what it may get next.

use fuzz_server::Peer;
use memchr::memmem;

use super::redis::Redis;
use super::truth::{Serial, Topics};
use crate::client::Client as EventSource;

/// Where a stream begins, as its answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Begin {
    /// With what comes, at the latest with this one.
    Now(Serial),
    /// Behind the one with this id. The hub may have had no chance to look for it: then the stream
    /// ends if it is gone.
    Behind(String),
    /// With the first that is kept.
    Earliest,
}

/// A stream, whose answer has come or not.
#[derive(Debug)]
struct Stream {
    peer: Peer,
    got: Vec<u8>,
    begin: Option<Begin>,
    last: Option<Serial>,
}

/// A subscriber, which connects again as a browser does.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) hub: usize,
    pub(super) topics: Topics,
    /// Whether it does not read.
    pub(super) holds: bool,
    /// The id of its last event, or the one with which it began.
    last_id: Option<String>,
    stream: Option<Stream>,
}

impl Subscriber {
    pub(super) fn new(hub: usize, topics: Topics, last_id: Option<String>) -> Self {
        Self {
            hub,
            topics,
            holds: false,
            last_id,
            stream: None,
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.stream.is_some()
    }

    /// Connects, and asks for what it lacks.
    pub(super) fn connect(&mut self, peer: Peer, token: &str) {
        let last = self.last_id.as_ref();
        let last = last.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
        let request = format!(
            "GET /.well-known/mercure?topic={} HTTP/1.1\r\nHost: x\r\n\
             Authorization: Bearer {token}\r\n{last}\r\n",
            self.topics.matcher()
        );
        peer.send(request.as_bytes());
        self.stream = Some(Stream {
            peer,
            got: Vec::new(),
            begin: None,
            last: None,
        });
    }

    pub(super) fn leave(&mut self) {
        self.stream = None;
    }

    /// Reads what has come, and checks it. False if there was nothing.
    pub(super) fn read(&mut self, redis: &Redis) -> bool {
        let Some(stream) = self.stream.as_mut().filter(|_| !self.holds) else {
            return false;
        };
        let before = stream.got.len();
        let has_end = stream.peer.receive(&mut stream.got);
        let is_news = has_end || stream.got.len() > before;
        if stream.begin.is_none() {
            match head(&mut stream.got) {
                None => {}
                Some(head) if head.starts_with("HTTP/1.1 200 ") => {
                    stream.begin = Some(begin(&head, self.last_id.as_deref(), redis));
                }
                Some(head) => {
                    let again = head.starts_with("HTTP/1.1 503 ");
                    assert!(again, "a stream, or no room: {head}");
                    self.stream = None;
                    return true;
                }
            }
        }
        if stream.begin.is_some() {
            while let Some(end) = memmem::find(&stream.got, b"\n\n") {
                let event: Vec<u8> = stream.got.drain(..end + 2).collect();
                self.last_id = Some(stream.take(&event, self.topics, redis));
            }
        }
        if has_end {
            self.stream = None;
        }
        is_news
    }

    /// Checks that there is nothing more that it should have.
    pub(super) fn check_complete(&self, redis: &Redis) {
        let stream = self.stream.as_ref().expect("it is connected");
        let (truth, topics) = (&redis.truth, self.topics);
        let first = stream.first(redis);
        let first = first.expect("a stream behind nothing has ended");
        let missing = truth.next(first, topics);
        let missing = missing.map(|serial| (serial, truth.update(serial)));
        assert!(missing.is_none(), "{missing:?} is missing: {self:?}");
    }
}

/// Takes the head of an answer off the front.
fn head(got: &mut Vec<u8>) -> Option<String> {
    let end = memmem::find(got, b"\r\n\r\n")?;
    let head: Vec<u8> = got.drain(..end + 4).collect();
    Some(String::from_utf8(head).expect("text"))
}

/// Where a stream begins that was asked to begin after `last`.
fn begin(head: &str, last: Option<&str>, redis: &Redis) -> Begin {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    let named = fields.find_map(|(name, value)| (name == "Last-Event-ID").then_some(value));
    let truth = &redis.truth;
    let (Some(last), Some(named)) = (last, named) else {
        assert_eq!(last, named, "the field comes when it was asked for");
        return Begin::Now(truth.len());
    };
    if named == last && last != "earliest" {
        return Begin::Behind(last.to_owned());
    }
    assert_eq!(named, "earliest");
    let is_kept = truth
        .with_id(last)
        .any(|(serial, _)| redis.data().has(serial));
    assert!(
        !is_kept,
        "{last} is kept, and the stream does not resume behind it"
    );
    Begin::Earliest
}

impl Stream {
    /// The first update that it should have next, as far as it should be there.
    fn first(&self, redis: &Redis) -> Option<Serial> {
        let truth = &redis.truth;
        match (self.last, self.begin.as_ref().expect("an answer")) {
            (Some(last), _) => Some(last + 1),
            (None, Begin::Now(serial)) => Some(*serial),
            // It may have been lost, and kept again.
            (None, Begin::Behind(id)) => Some(truth.with_id(id).last()?.0 + 1),
            (None, Begin::Earliest) => Some(redis.data().first().unwrap_or(truth.len())),
        }
    }

    /// Checks an event, and returns its id.
    fn take(&mut self, bytes: &[u8], topics: Topics, redis: &Redis) -> String {
        let source = EventSource::read(bytes);
        let [event] = &source.dispatched[..] else {
            panic!("one event: {}", bytes.escape_ascii());
        };
        let truth = &redis.truth;
        let id = &event.last_event_id;
        let least = match (self.last, self.begin.as_ref().expect("an answer")) {
            (Some(last), _) => last + 1,
            (None, Begin::Behind(id)) => {
                truth.with_id(id).next().expect("events behind nothing").0 + 1
            }
            (None, Begin::Now(_) | Begin::Earliest) => 0,
        };
        let first = self.first(redis).expect("events behind nothing");
        let next = truth.next(first, topics).unwrap_or(truth.len());
        // One that was lost and kept again may come twice.
        let copies: Vec<_> = truth.with_id(id).collect();
        let possible = copies
            .iter()
            .filter(|(serial, _)| (least..=next).contains(serial));
        let Some((serial, kept)) = possible.min_by_key(|(_, kept)| kept.is_lost) else {
            let is_copy = copies.iter().any(|(_, kept)| kept.is_lost);
            assert!(is_copy, "{id} instead of {next}: {self:?}");
            return id.clone();
        };
        assert_eq!(event.data, kept.update.data);
        assert!(truth.may_get(*serial, topics), "{id} was not asked for");
        self.last = Some(*serial);
        id.clone()
    }
}
