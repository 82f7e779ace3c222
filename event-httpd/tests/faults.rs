//! `event-httpd` while one system call, or one allocation inside libevent, fails: it continues, or
//! gives up with a message. No client gets a wrong byte, hangs, or sees a crash. Where a call fails
//! until the end, nobody needs to be served, but the program ends when it is told to.

mod support_http;

#[path = "hub/redis.rs"]
#[allow(dead_code, reason = "the hub's tests need more of it")]
mod redis;

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use test_support::faults::{Outcome, Program, Run, explore, explore_last, explore_lasting};

use redis::Redis;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const POST: &[u8] =
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
const LAST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

fn event_httpd(run: &Run, command: &str, options: &[&str]) -> (Program, std::path::PathBuf) {
    let socket = run.path("socket");
    let mut command_line = Command::new(env!("CARGO_BIN_EXE_event-httpd"));
    command_line.arg(command);
    command_line.arg(format!("--listen=unix:{}", socket.display()));
    command_line.args(["--grace", "1s"]).args(options);
    // Nobody waits for its log, and nothing depends on it.
    command_line.env("FAULT_OUTPUT", "1");
    (run.start(command_line), socket)
}

/// Reads answers of `serve` from the front of `bytes`: how many are whole. The last may be cut.
fn whole_answers(mut bytes: &[u8]) -> Result<usize, String> {
    let mut count = 0;
    loop {
        let wrong = |what: &str| Err(format!("{what}: {}", bytes.escape_ascii()));
        const START: &[u8] = b"HTTP/1.1 200 OK\r\nAccept: application/json, text/plain, */*\r\n";
        let same = bytes.len().min(START.len());
        if bytes[..same] != START[..same] {
            return wrong("another status line");
        }
        let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") else {
            return Ok(count);
        };
        let head = String::from_utf8_lossy(&bytes[..end]);
        let length = head
            .rsplit_once("Content-Length:")
            .map(|(_, length)| length.parse::<usize>());
        let Some(Ok(length)) = length else {
            return wrong("no length");
        };
        let Some(body) = bytes.get(end + 4..end + 4 + length) else {
            return Ok(count);
        };
        // A worker's successor has higher numbers.
        if !body.starts_with(b"{\"") || !body.ends_with(b"}}") {
            return wrong("another body");
        }
        bytes = &bytes[end + 4 + length..];
        count += 1;
    }
}

/// One connection: sends everything, reads everything. How many answers are whole.
fn ask(
    run: &Run,
    program: &mut Program,
    socket: &Path,
    requests: &[u8],
) -> Result<Option<usize>, String> {
    let Some(mut stream) = program.connect(socket)? else {
        return Ok(None);
    };
    stream.write_all(requests).ok(); // a refused connection may be closed already
    whole_answers(&run.read_all(stream)?).map(Some)
}

/// Serves some clients, and then one that must be served.
fn serve(run: &Run, options: &[&str]) -> Result<Outcome, String> {
    let (mut program, socket) = event_httpd(run, "serve", options);
    let mut idle = program.connect(&socket)?;
    if let Some(idle) = &mut idle {
        idle.write_all(b"GET / HT").ok();
    }
    let requests = [GET, GET, POST, GET, LAST].concat();
    let answers = ask(run, &mut program, &socket, &requests)?;
    if !run.has_fault() && answers != Some(5) {
        return Err(format!("{answers:?} answers of 5"));
    }
    drop(idle);
    let mut served = false;
    for _ in run.tries() {
        match ask(run, &mut program, &socket, LAST)? {
            None => return program.end(),
            Some(1) => {
                served = true;
                break;
            }
            Some(_) => {}
        }
    }
    if !served && !run.is_endless() {
        return Err("nobody is served afterwards".to_owned());
    }
    program.rest_and_end()
}

/// What a receiver of `broadcast` has got.
#[derive(Default)]
struct Received {
    bytes: Vec<u8>,
    ended: bool,
}

impl Received {
    /// Reads what there is within a moment.
    fn read(&mut self, from: &mut UnixStream) {
        from.set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let mut part = [0; 4096];
        match from.read(&mut part) {
            Ok(0) => self.ended = true,
            Ok(count) => self.bytes.extend_from_slice(&part[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.ended = true,
        }
    }

    /// Reads until it has what is wanted, the connection ends, or nothing comes for a while.
    fn read_until(&mut self, from: &mut UnixStream, wanted: impl Fn(&str) -> bool) {
        let mut silent = 0; // reads that got nothing
        while silent < 20 && !self.ended && !wanted(&String::from_utf8_lossy(&self.bytes)) {
            let before = self.bytes.len();
            self.read(from);
            silent += usize::from(self.bytes.len() == before);
        }
    }

    /// The bodies of the whole messages, one after the other.
    fn bodies(&self) -> Result<Vec<u8>, String> {
        const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nAccept: application/json, text/plain, */*\r\n\
            Connection: keep-alive\r\nContent-Length:";
        let (mut bodies, mut rest) = (Vec::new(), self.bytes.as_slice());
        loop {
            let same = rest.len().min(HEAD.len());
            if rest[..same] != HEAD[..same] {
                return Err(format!("a wrong message: {}", rest.escape_ascii()));
            }
            let Some(end) = rest.windows(4).position(|part| part == b"\r\n\r\n") else {
                return Ok(bodies);
            };
            let length = String::from_utf8_lossy(&rest[HEAD.len()..end]).parse();
            let Ok(length) = length else {
                return Err(format!("no length: {}", rest.escape_ascii()));
            };
            let Some(body) = rest.get(end + 4..).and_then(|rest| rest.get(..length)) else {
                return Ok(bodies);
            };
            bodies.extend_from_slice(body);
            let length: usize = length;
            rest = &rest[end + 4 + length..];
        }
    }
}

/// Two receivers get what a third connection sends, in the order in which it was sent.
fn broadcast(run: &Run, options: &[&str]) -> Result<Outcome, String> {
    const SAID: &[u8] = b"hello";
    let (mut program, socket) = event_httpd(run, "broadcast", options);
    let mut got_all = false;
    for _ in run.tries() {
        let mut peers = Vec::new();
        for _ in 0..3 {
            let Some(peer) = program.connect(&socket)? else {
                return program.end();
            };
            peers.push(peer);
        }
        let (mut sender, mut receivers) = (peers.pop().unwrap(), peers);
        let mut received = [Received::default(), Received::default()];
        // A connection that was accepted late misses the first of them.
        for _ in 0..10 {
            sender.write_all(SAID).ok();
            for (received, receiver) in received.iter_mut().zip(&mut receivers) {
                received.read(receiver);
            }
            for received in &received {
                check_order(&received.bodies()?, SAID)?;
            }
            let done = |received: &Received| received.ended || received.bytes.len() > 100;
            if received.iter().all(done) {
                break;
            }
        }
        if received.iter().all(|received| !received.bytes.is_empty()) {
            got_all = true;
            break;
        }
        if !run.has_fault() {
            return Err("a receiver got nothing".to_owned());
        }
    }
    if !got_all && !run.is_endless() {
        return Err("nobody receives anything afterwards".to_owned());
    }
    program.rest_and_end()
}

/// Checks that the bytes are a part of `said`, said again and again.
fn check_order(bytes: &[u8], said: &[u8]) -> Result<(), String> {
    let fits = |start: usize| {
        let repeated = said.iter().cycle().skip(start);
        bytes.iter().zip(repeated).all(|(one, other)| one == other)
    };
    if (0..said.len()).any(fits) {
        return Ok(());
    }
    Err(format!("wrong bytes: {}", bytes.escape_ascii()))
}

/// A subscriber gets what a publisher was told the hub has, once and in order.
fn hub(run: &Run, options: &[&str]) -> Result<Outcome, String> {
    hub_within(run, options, run.tries())
}

/// The same with tries that wait until a hub has reached its store again.
fn hub_on_redis(run: &Run, redis: &Redis, options: &[&str]) -> Result<Outcome, String> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let prefix = NEXT.fetch_add(1, Ordering::Relaxed);
    let url = format!("{}?prefix={prefix}:", redis.url());
    let store = ["--store", &url, "--store-timeout", "1s"];
    let count = if run.is_endless() { 2 } else { 20 };
    let tries = (0..count).inspect(|attempt| {
        if *attempt > 0 {
            thread::sleep(Duration::from_millis(200));
        }
    });
    hub_within(run, &[&store, options].concat(), tries)
}

fn hub_within(
    run: &Run,
    options: &[&str],
    tries: impl Iterator<Item = usize>,
) -> Result<Outcome, String> {
    const KEY: &str = "!ChangeThisMercureHubJWTSecretKey!";
    const PATH: &str = "/.well-known/mercure";
    let all = [
        &["--anonymous", "--publisher-key", KEY, "--heartbeat", "0"],
        options,
    ]
    .concat();
    let (mut program, socket) = event_httpd(run, "hub", &all);
    let key = jsonwebtoken::EncodingKey::from_secret(KEY.as_bytes()).unwrap();
    let claims = serde_json::json!({ "mercure": { "publish": ["*"] } });
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
    let mut received_one = false;
    for attempt in tries {
        // What an earlier attempt has published may arrive late.
        let (topic, sent) = (
            format!("a{attempt}"),
            [format!("one{attempt}"), format!("two{attempt}")],
        );
        let Some(mut subscriber) = program.connect(&socket)? else {
            return program.end();
        };
        let request = format!("GET {PATH}?topic={topic} HTTP/1.1\r\nHost: x\r\n\r\n");
        subscriber.write_all(request.as_bytes()).ok();
        let mut received = Received::default();
        received.read_until(&mut subscriber, |text| text.contains("\r\n\r\n"));
        let mut stored = Vec::new();
        for data in &sent {
            let Some(mut publisher) = program.connect(&socket)? else {
                return program.end();
            };
            let body = format!("topic={topic}&data={data}");
            let request = format!(
                "POST {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            publisher.write_all(request.as_bytes()).ok();
            let answer = run.read_all(publisher)?;
            if answer.starts_with(b"HTTP/1.1 200 OK\r\n") {
                stored.push(data);
            }
        }
        received.read_until(&mut subscriber, |text| {
            let has = |data: &&String| text.contains(&format!("data: {data}\n\n"));
            stored.iter().all(has)
        });
        let text = String::from_utf8_lossy(&received.bytes).into_owned();
        let events: Vec<&str> = text
            .split("data: ")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once("\n\n")?.0))
            .collect();
        let in_order = sent.iter().filter(|data| events.contains(&data.as_str()));
        if !in_order.eq(&events) {
            return Err(format!("wrong events: {text}"));
        }
        // A stream that goes on has all that was accepted after it began.
        let began = text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("\r\n\r\n");
        let complete = stored.iter().all(|data| events.contains(&data.as_str()));
        if began && !received.ended && !complete && !run.is_endless() {
            return Err(format!("{stored:?} were accepted, {events:?} came"));
        }
        received_one = stored.len() == 2 && complete;
        if received_one {
            break;
        }
        if !run.has_fault() {
            return Err(format!("{stored:?} were accepted, {events:?} came"));
        }
    }
    if !received_one && !run.is_endless() {
        return Err("nobody receives anything afterwards".to_owned());
    }
    program.rest_and_end()
}

#[test]
// Skipped under Valgrind and ASan: another library is loaded before theirs.
fn a_hub_survives_every_call_that_fails() {
    explore("hub", |run| hub(run, &[]));
}

#[test]
// Skipped under Valgrind and ASan: another library is loaded before theirs.
fn a_hub_with_workers_survives_every_call_that_fails() {
    explore("hub --workers 2", |run| hub(run, &["--workers", "2"]));
}

#[test]
// Skipped under Valgrind and ASan: another library is loaded before theirs.
fn a_hub_on_redis_survives_every_call_that_fails() {
    let redis = Redis::fleeting();
    explore("hub --store", |run| hub_on_redis(run, &redis, &[]));
}

/// The hub must not store an update before it knows where in the stream its subscribers begin.
/// A line between the master and a worker that cannot be written is closed, though both its ends
/// live: else a worker would get no updates, and its subscribers would not notice.
#[test]
// Skipped under Valgrind and ASan: another library is loaded before theirs.
fn a_worker_that_no_update_can_be_written_to_is_replaced() {
    explore_last("hub --workers 2, its lines", "sendmsg", usize::MAX, |run| {
        hub(run, &["--workers", "2"])
    });
}

#[test]
// Skipped under Valgrind and ASan: another library is loaded before theirs.
fn updates_reach_earlier_subscribers_though_a_connection_to_redis_fails_first() {
    let redis = Redis::fleeting();
    explore_last("hub --store, its sockets", "socket", 9, |run| {
        hub_on_redis(run, &redis, &[])
    });
}

/// A command that cannot be written ends its connection: the reader would never ask again.
#[test]
// Skipped under Valgrind and ASan: another library is loaded before theirs.
fn a_hub_that_could_not_write_a_command_to_redis_reads_the_stream_again() {
    let redis = Redis::fleeting();
    explore_lasting("hub --store, its memory", "allocate", |run| {
        hub_on_redis(run, &redis, &[])
    });
}

#[test]
// Skipped under Valgrind and ASan: another library is loaded before theirs.
fn a_hub_on_redis_with_workers_survives_every_call_that_fails() {
    let redis = Redis::fleeting();
    explore("hub --store --workers 2", |run| {
        hub_on_redis(run, &redis, &["--workers", "2"])
    });
}

#[test]
// Skipped under Valgrind and ASan: another library is loaded before theirs.
fn serve_survives_every_call_that_fails() {
    explore("serve", |run| serve(run, &[]));
}

#[test]
// Skipped under Valgrind and ASan: another library is loaded before theirs.
fn serve_with_workers_survives_every_call_that_fails() {
    explore("serve --workers 2", |run| serve(run, &["--workers", "2"]));
}

#[test]
// Skipped under Valgrind and ASan: another library is loaded before theirs.
fn broadcast_survives_every_call_that_fails() {
    explore("broadcast", |run| broadcast(run, &[]));
}

#[test]
// Skipped under Valgrind and ASan: another library is loaded before theirs.
fn broadcast_with_workers_survives_every_call_that_fails() {
    explore("broadcast --workers 2", |run| {
        broadcast(run, &["--workers", "2"])
    });
}

/// The last allocation is the one that ends the loop.
#[test]
// Skipped under Valgrind and ASan: another library is loaded before theirs.
fn a_master_without_memory_for_its_end_ends_all_the_same() {
    explore_last("serve --workers 2, its end", "allocate", 3, |run| {
        serve(run, &["--workers", "2"])
    });
}
