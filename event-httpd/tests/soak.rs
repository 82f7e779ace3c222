//! A load that lasts: 10,000 idle and 64 working connections, slow heads, slow bodies, readers that
//! stall, resets, a hub, two hubs on one Redis that is killed, paused and started again, reloads and
//! killed workers. Memory, descriptors and latency are measured before, during and after it.
//!
//! ```sh
//! EVENT_HTTPD_SOAK_SECONDS=600 cargo test --release -p event-httpd --test soak -- --ignored --nocapture
//! ```
//!
//! Nine tenths of the time are the load, the rest is shared by the quiet before and after it. In
//! the quiet, no request may fail. During the load a connection may end without an answer only
//! within [`AFTERMATH`] of a reload or a kill, and hubs may refuse what is published only within
//! that time of Redis's end. An answer is never wrong, and none takes longer than [`PATIENCE`].
#![cfg(target_os = "linux")]

#[path = "hub/redis.rs"]
#[allow(dead_code, reason = "the hub's tests need more of it")]
mod redis;
mod support_http;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use redis::{LASTING, Redis};
use socket2::SockRef;
use support_http::{Address, GET, Server, event_httpd};
use test_support::raise_descriptor_limit;

const IDLE: usize = 10_000;
const WORKING: usize = 64;
const SLOW: usize = 8;
const STALLED: usize = 4;
const SUBSCRIBERS: usize = 16;

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// `--header-timeout`.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long after a reload or a kill connections may still end: the grace, and some.
const AFTERMATH: Duration = Duration::from_secs(8);

/// The time from one reload or kill to the next.
const DISTURBANCE: Duration = Duration::from_secs(15);

/// How long Redis is away each time.
const OUTAGE: Duration = Duration::from_secs(3);

/// The pause of a working connection between requests.
const PAUSE: Duration = Duration::from_millis(25);

/// What a process may have at the end beyond what it had at first: what malloc keeps.
const MEMORY_SLACK: usize = 32 << 20;
const DESCRIPTOR_SLACK: usize = 8;

const KEY: &str = "!ChangeThisMercureHubJWTSecretKey!";
const HUB_PATH: &str = "/.well-known/mercure";

/// What the actors share.
struct Shared {
    stop: AtomicBool,
    /// When the last reload or kill was.
    disturbed: Mutex<Option<Instant>>,
    faults: Mutex<Vec<String>>,
    latencies: Mutex<Vec<Duration>>,
    answers: AtomicUsize,
    lost: AtomicUsize,
    events: AtomicUsize,
    refusals: AtomicUsize,
}

/// What is published to a hub, or to hubs that share a store.
#[derive(Default)]
struct Topic {
    /// Numbers that were published without success: they may be stored or not, and late.
    uncertain: Mutex<BTreeSet<u64>>,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            stop: AtomicBool::new(false),
            disturbed: Mutex::default(),
            faults: Mutex::default(),
            latencies: Mutex::default(),
            answers: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
            events: AtomicUsize::new(0),
            refusals: AtomicUsize::new(0),
        })
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn fault(&self, what: impl Into<String>) {
        let disturbed = *self.disturbed.lock().unwrap();
        let when = disturbed.map_or_else(
            || "while nothing was disturbed".to_owned(),
            |at| format!("{:?} after the last disturbance", at.elapsed()),
        );
        let what = format!("{} ({when})", what.into());
        self.faults.lock().unwrap().push(what);
    }

    /// Whether a reload, a kill or an outage of Redis can be the reason.
    fn is_disturbed(&self) -> bool {
        let disturbed = *self.disturbed.lock().unwrap();
        disturbed.is_some_and(|at| at.elapsed() <= AFTERMATH)
    }

    /// A connection ended without its answer.
    fn lost(&self, what: &str) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        if !self.is_disturbed() {
            self.fault(format!(
                "{what}: a connection ended though nothing had ended it"
            ));
        }
    }
}

/// Runs `turn` until it is over.
fn actor(shared: &Arc<Shared>, mut turn: impl FnMut(&Shared) + Send + 'static) -> JoinHandle<()> {
    let shared = Arc::clone(shared);
    let body = move || {
        while !shared.is_over() {
            turn(&shared);
        }
    };
    thread::Builder::new()
        .stack_size(256 << 10)
        .spawn(body)
        .unwrap()
}

fn connect(address: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_nodelay(true).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    Some(stream)
}

fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).ok();
}

/// Reads one answer: its status, or nothing if the connection ends first.
fn answer(stream: &mut TcpStream, shared: &Shared) -> Option<u16> {
    let (mut bytes, mut part) = (Vec::new(), [0; 16 << 10]);
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.split("content-length:").nth(1);
            let length = length.and_then(|rest| rest.lines().next()?.trim().parse().ok());
            let length: usize = length.unwrap_or(0);
            let status = head
                .split(' ')
                .nth(1)
                .and_then(|status| status.parse().ok());
            let Some(status) = status.filter(|_| head.starts_with("http/1.1 ")) else {
                shared.fault(format!("not an answer: {head}"));
                return None;
            };
            if bytes.len() > end + 4 + length {
                shared.fault(format!("more than an answer: {}", bytes.escape_ascii()));
            }
            if bytes.len() >= end + 4 + length {
                return Some(status);
            }
        }
        match stream.read(&mut part) {
            Ok(0) => return None,
            Ok(count) => bytes.extend_from_slice(&part[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                shared.fault(format!("no answer within {PATIENCE:?}"));
                return None;
            }
            Err(_) => return None,
        }
    }
}

/// A connection that asks, and measures how long an answer takes.
fn working(address: SocketAddr) -> impl FnMut(&Shared) {
    let mut connection = None;
    move |shared| {
        let Some(mut stream) = connection.take().or_else(|| connect(address)) else {
            shared.fault("the server does not accept");
            thread::sleep(PAUSE);
            return;
        };
        let start = Instant::now();
        let status = match stream.write_all(GET) {
            Ok(()) => answer(&mut stream, shared),
            Err(_) => None,
        };
        match status {
            Some(200) => {
                shared.latencies.lock().unwrap().push(start.elapsed());
                shared.answers.fetch_add(1, Ordering::Relaxed);
                connection = Some(stream);
            }
            Some(status) => shared.fault(format!("the status {status}")),
            None => shared.lost("working"),
        }
        thread::sleep(PAUSE);
    }
}

/// Keeps connections that are silent: opens those that are missing.
fn idle(address: SocketAddr, count: usize) -> impl FnMut(&Shared) {
    let mut connections: Vec<TcpStream> = Vec::new();
    move |shared| {
        connections.retain_mut(|stream| {
            stream.set_nonblocking(true).ok();
            matches!(stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
        });
        for _ in connections.len()..count {
            if shared.is_over() {
                return;
            }
            match connect(address) {
                Some(stream) => connections.push(stream),
                None => shared.fault("the server does not accept"),
            }
        }
        thread::sleep(Duration::from_secs(1));
    }
}

/// Sends byte by byte; nothing if the server ends the connection first.
fn drip(stream: &mut TcpStream, bytes: &[u8], pause: Duration, shared: &Shared) -> Option<()> {
    for byte in bytes {
        if shared.is_over() {
            return None;
        }
        stream.write_all(&[*byte]).ok()?;
        thread::sleep(pause);
    }
    Some(())
}

/// A head that never ends is answered with 408.
fn slow_head(address: SocketAddr) -> impl FnMut(&Shared) {
    move |shared| {
        let (Some(mut stream), start) = (connect(address), Instant::now()) else {
            return;
        };
        let head = [b"GET / HTTP/1.1\r\nA: ", "b".repeat(60).as_bytes()].concat();
        drip(&mut stream, &head, Duration::from_millis(100), shared);
        match answer(&mut stream, shared) {
            _ if shared.is_over() => {}
            Some(408) => {}
            Some(status) => shared.fault(format!("a slow head: the status {status}")),
            // What is sent after the end resets the connection, and may take the answer with it.
            None if start.elapsed() > HEADER_TIMEOUT => {}
            None => shared.lost("slow head"),
        }
    }
}

/// A body that comes slowly is served.
fn slow_body(address: SocketAddr) -> impl FnMut(&Shared) {
    move |shared| {
        let Some(mut stream) = connect(address) else {
            return;
        };
        let head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n";
        let sent = stream.write_all(head).ok();
        let sent =
            sent.and_then(|()| drip(&mut stream, &[b'x'; 20], Duration::from_millis(100), shared));
        match sent.and_then(|()| answer(&mut stream, shared)) {
            _ if shared.is_over() => {}
            Some(200) => drop(shared.answers.fetch_add(1, Ordering::Relaxed)),
            Some(status) => shared.fault(format!("a slow body: the status {status}")),
            None => shared.lost("slow body"),
        }
    }
}

/// Asks without end, and does not read.
fn stalled(address: SocketAddr) -> impl FnMut(&Shared) {
    move |_shared| {
        let Some(mut stream) = connect(address) else {
            return;
        };
        stream.set_write_timeout(Some(Duration::from_secs(2))).ok();
        for _ in 0..100 {
            if stream.write_all(&GET.repeat(100)).is_err() {
                break;
            }
        }
        reset(stream);
    }
}

/// Breaks off at once, in every place.
fn resetting(address: SocketAddr) -> impl FnMut(&Shared) {
    let mut turn = 0;
    move |_shared| {
        if let Some(mut stream) = connect(address) {
            let cut = turn % (GET.len() + 1);
            stream.write_all(&GET[..cut]).ok();
            reset(stream);
        }
        turn += 1;
        thread::sleep(Duration::from_millis(20));
    }
}

/// Follows a topic: what it gets are consecutive numbers, without some that were not accepted.
fn subscriber(address: SocketAddr, topic: Arc<Topic>) -> impl FnMut(&Shared) {
    move |shared| {
        let Some(mut stream) = connect(address) else {
            return;
        };
        stream
            .set_read_timeout(Some(Duration::from_millis(500)))
            .ok();
        let request = format!("GET {HUB_PATH}?topic=soak HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).ok();
        let (mut text, mut part, mut last) = (String::new(), [0; 4096], None);
        while !shared.is_over() {
            match stream.read(&mut part) {
                Ok(count) if count > 0 => text.push_str(&String::from_utf8_lossy(&part[..count])),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => return shared.lost("subscriber"),
            }
            while let Some((event, rest)) = text.split_once("\n\n") {
                if let Some((_, data)) = event.split_once("data: ") {
                    let number: u64 = data.parse().unwrap_or(u64::MAX);
                    let uncertain = topic.uncertain.lock().unwrap();
                    let is_uncertain = |number: u64| uncertain.contains(&number);
                    shared.events.fetch_add(1, Ordering::Relaxed);
                    match last {
                        Some(last) if number <= last && is_uncertain(number) => {} // late
                        Some(last) if number <= last || !(last + 1..number).all(is_uncertain) => {
                            shared.fault(format!("an event after the wrong one: {number}, {last}"));
                        }
                        _ => last = Some(number),
                    }
                }
                text = rest.to_owned();
            }
        }
    }
}

/// Publishes numbers, each once: one that is not accepted may be stored all the same.
fn publisher(address: SocketAddr, topic: Arc<Topic>) -> impl FnMut(&Shared) {
    let key = jsonwebtoken::EncodingKey::from_secret(KEY.as_bytes()).unwrap();
    let claims = serde_json::json!({ "mercure": { "publish": ["*"] } });
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
    let (mut connection, mut number) = (None, 0_u64);
    move |shared| {
        let Some(mut stream) = connection.take().or_else(|| connect(address)) else {
            return;
        };
        let body = format!("topic=soak&data={number}");
        let request = format!(
            "POST {HUB_PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let status = match stream.write_all(request.as_bytes()) {
            Ok(()) => answer(&mut stream, shared),
            Err(_) => None,
        };
        match status {
            Some(200) => {
                number += 1;
                connection = Some(stream);
            }
            Some(503) if shared.is_disturbed() => {
                shared.refusals.fetch_add(1, Ordering::Relaxed);
                topic.uncertain.lock().unwrap().insert(number);
                number += 1;
                connection = Some(stream);
            }
            Some(status) => shared.fault(format!("publishing: the status {status}")),
            None => {
                topic.uncertain.lock().unwrap().insert(number);
                number += 1;
                shared.lost("publisher");
            }
        }
        thread::sleep(PAUSE);
    }
}

/// A master and its workers.
fn children(server: &Server) -> Vec<i32> {
    let master = server.process().id();
    let path = format!("/proc/{master}/task/{master}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

/// Reloads, or kills a worker, in turn.
fn disturb(server: &Server, shared: &Shared, turn: usize) {
    *shared.disturbed.lock().unwrap() = Some(Instant::now());
    let workers = children(server);
    match workers.get(turn / 2 % workers.len().max(1)) {
        Some(worker) if turn % 2 == 1 => {
            kill(Pid::from_raw(*worker), Signal::SIGKILL).ok();
        }
        _ => server.process().signal(Signal::SIGHUP),
    }
}

/// Takes Redis away: killed, so that it starts with what it has on disk, or paused, in turn.
fn outage(redis: &mut Redis, shared: &Shared, turn: usize) {
    let disturbed = || *shared.disturbed.lock().unwrap() = Some(Instant::now());
    disturbed();
    if turn.is_multiple_of(2) {
        redis.kill();
        thread::sleep(OUTAGE);
        redis.restart();
    } else {
        redis.pause();
        thread::sleep(OUTAGE);
        redis.resume();
    }
    disturbed();
}

/// What the processes of a server have, of the one that has most.
#[derive(Clone, Copy, Default)]
struct Usage {
    memory: usize,
    descriptors: usize,
}

impl Usage {
    fn of(server: &Server) -> Self {
        let processes = children(server).into_iter();
        let all = processes.chain([server.process().id().as_raw()]);
        all.fold(Self::default(), |most, pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let kilobytes = resident.and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok());
            let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
            Self {
                memory: most.memory.max(kilobytes.unwrap_or(0) * 1024),
                descriptors: most.descriptors.max(descriptors),
            }
        })
    }
}

/// What runs.
const SERVERS: [&str; 4] = ["serve", "hub", "first hub on Redis", "second hub on Redis"];

/// One part of the time.
struct Phase {
    name: &'static str,
    usage: [Usage; SERVERS.len()],
    latencies: Vec<Duration>,
}

impl Phase {
    fn end(name: &'static str, servers: &[Server; SERVERS.len()], shared: &Shared) -> Self {
        let mut latencies = std::mem::take(&mut *shared.latencies.lock().unwrap());
        latencies.sort_unstable();
        Self {
            name,
            usage: servers.each_ref().map(Usage::of),
            latencies,
        }
    }

    fn percentile(&self, percent: usize) -> Duration {
        let at = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(at).copied().unwrap_or_default()
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:7}", self.name)?;
        for (name, usage) in SERVERS.iter().zip(self.usage) {
            let Usage {
                memory,
                descriptors,
            } = usage;
            write!(f, "{name} {} MiB {descriptors} descriptors; ", memory >> 20)?;
        }
        write!(
            f,
            "{} answers, p50 {:?}, p99 {:?}",
            self.latencies.len(),
            self.percentile(50),
            self.percentile(99),
        )
    }
}

fn address(server: &Server) -> SocketAddr {
    match server.address() {
        Address::Tcp(address) => *address,
        Address::Unix(_) => panic!("not a TCP server"),
    }
}

fn hub(options: &[&str]) -> Server {
    let always = [
        "hub",
        "--listen",
        "127.0.0.1:0",
        "--anonymous",
        "--publisher-key",
        KEY,
        "--workers",
        "2",
        "--grace",
        "3s",
    ];
    Server::run(event_httpd([&always, options].concat()))
}

fn finish(shared: &Shared, actors: Vec<JoinHandle<()>>) {
    shared.stop.store(true, Ordering::Relaxed);
    for actor in actors {
        actor.join().unwrap();
    }
    shared.stop.store(false, Ordering::Relaxed);
}

#[test]
#[ignore = "takes a minute, or as long as it is told"]
fn a_load_that_lasts_leaves_memory_descriptors_and_latency_as_they_were() {
    let seconds = std::env::var("EVENT_HTTPD_SOAK_SECONDS").map(|text| text.parse().unwrap());
    let total = Duration::from_secs(seconds.unwrap_or(60));
    assert!(
        raise_descriptor_limit() > IDLE + 1000,
        "too few descriptors"
    );
    let serve = Server::start(&[
        "--workers",
        "2",
        "--header-timeout",
        "5s",
        "--idle-timeout",
        "1day",
        "--grace",
        "3s",
    ]);
    let mut redis = Redis::start(&LASTING);
    let url = redis.url();
    let store = ["--store", &url, "--store-timeout", "1s"];
    let servers = [serve, hub(&[]), hub(&store), hub(&store)];
    let [at, hub_at, first_at, second_at] = servers.each_ref().map(address);
    let shared = Shared::new();
    let spawn_working =
        || -> Vec<JoinHandle<()>> { (0..WORKING).map(|_| actor(&shared, working(at))).collect() };

    let actors = spawn_working();
    thread::sleep(total / 20);
    let before = Phase::end("before", &servers, &shared);
    finish(&shared, actors);
    eprintln!("{before}");

    let mut actors = spawn_working();
    actors.push(actor(&shared, idle(at, IDLE)));
    for _ in 0..SLOW {
        actors.push(actor(&shared, slow_head(at)));
        actors.push(actor(&shared, slow_body(at)));
    }
    actors.extend((0..STALLED).map(|_| actor(&shared, stalled(at))));
    actors.push(actor(&shared, resetting(at)));
    actors.push(actor(&shared, resetting(hub_at)));
    let (alone, on_redis) = (Arc::<Topic>::default(), Arc::<Topic>::default());
    for (at, topic) in [
        (hub_at, &alone),
        (first_at, &on_redis),
        (second_at, &on_redis),
    ] {
        let follow = || actor(&shared, subscriber(at, Arc::clone(topic)));
        actors.extend((0..SUBSCRIBERS).map(|_| follow()));
    }
    actors.push(actor(&shared, publisher(hub_at, Arc::clone(&alone))));
    actors.push(actor(&shared, publisher(first_at, Arc::clone(&on_redis))));
    let (start, mut turn, mut outages) = (Instant::now(), 0, 0);
    while start.elapsed() < total * 9 / 10 {
        thread::sleep(DISTURBANCE.min(total / 10));
        if turn % 3 == 2 {
            outage(&mut redis, &shared, outages);
            outages += 1;
        } else {
            for (number, server) in servers.iter().enumerate() {
                disturb(server, &shared, turn + number);
            }
        }
        turn += 1;
    }
    thread::sleep(AFTERMATH);
    let during = Phase::end("during", &servers, &shared);
    eprintln!("{during}");
    finish(&shared, actors);
    thread::sleep(AFTERMATH); // what the grace of a worker ends, ends
    *shared.disturbed.lock().unwrap() = None;

    let actors = spawn_working();
    thread::sleep(total / 20);
    let after = Phase::end("after", &servers, &shared);
    finish(&shared, actors);
    eprintln!("{after}");

    eprintln!(
        "{} reloads and kills of workers for each server, {outages} outages of Redis, {} answers, \
         {} events, {} refused publications, {} connections lost to all that",
        turn - outages,
        shared.answers.load(Ordering::Relaxed),
        shared.events.load(Ordering::Relaxed),
        shared.refusals.load(Ordering::Relaxed),
        shared.lost.load(Ordering::Relaxed),
    );
    let mut faults = shared.faults.lock().unwrap().clone();
    if during.usage[0].descriptors < IDLE / 4 {
        faults.push("the idle connections were not there".to_owned());
    }
    for (before, after) in before.usage.iter().zip(after.usage) {
        if after.memory > before.memory + MEMORY_SLACK {
            faults.push(format!(
                "{} bytes of memory, {} before",
                after.memory, before.memory
            ));
        }
        if after.descriptors > before.descriptors + DESCRIPTOR_SLACK {
            faults.push(format!(
                "{} descriptors, {} before",
                after.descriptors, before.descriptors
            ));
        }
    }
    if after.percentile(50) > before.percentile(50) * 3 + Duration::from_millis(5) {
        faults.push("the answers take longer than before".to_owned());
    }
    for (server, name) in servers.into_iter().zip(SERVERS) {
        let (status, log) = server.stop();
        if !status.success() {
            faults.push(format!(
                "{status}: {}",
                log.last().cloned().unwrap_or_default()
            ));
        }
        if !faults.is_empty() {
            eprintln!("the log of {name}:\n{}", log.join("\n"));
        }
    }
    let mut kinds = BTreeMap::<_, (usize, &str)>::new();
    for fault in &faults {
        let kind = fault.split([':', '(']).next().unwrap_or(fault).trim_end();
        kinds.entry(kind.to_owned()).or_insert((0, fault)).0 += 1;
    }
    assert!(
        faults.is_empty(),
        "how many of each kind, and the first: {kinds:#?}"
    );
    eprintln!("verdict: nothing wrong in {total:?}");
}
