//! Rounds, turn by turn: the clients are socket pairs of the same thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::rc::Rc;

use super::{Receiver, SLICE};
use crate::app::{Answer, App, Request, Takes};
use crate::cli::Cli;
use crate::config::Command;
use crate::worker::Worker;
use php_event::LoopFlags;
use php_event::stream::{Stream, stream_set_blocking, stream_socket_pair};
use test_support::raise_descriptor_limit;

const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// Passes the body of a request on to the others, and notes who has to receive it.
#[derive(Default)]
struct PassOn {
    expected: RefCell<BTreeMap<u64, Vec<String>>>, // by receiver
}

impl PassOn {
    fn note(&self, message: &str, receivers: impl Iterator<Item = u64>) {
        let expected = &mut *self.expected.borrow_mut();
        for id in receivers {
            expected.entry(id).or_default().push(message.to_owned());
        }
    }
}

impl App for Rc<PassOn> {
    fn takes(&self) -> Takes {
        Takes::Bodies
    }

    fn answer(&self, worker: &Rc<Worker>, request: &Request<'_>) -> Answer {
        if request.body.is_empty() {
            return worker.buffer(b"answer;".to_vec()).into();
        }
        let message = String::from_utf8(request.body.to_vec()).unwrap();
        let open = worker.admission.all().into_iter().map(|one| one.id());
        self.note(&message, open.filter(|id| *id != request.from));
        worker.deliver(&worker.buffer(message.into_bytes()), Some(request.from));
        worker.pace_sender(request.from);
        worker.buffer(b"accepted;".to_vec()).into()
    }
}

/// A worker, and what its clients have read.
struct Clients {
    worker: Rc<Worker>,
    app: Rc<PassOn>,
    all: BTreeMap<u64, (Stream, Vec<u8>)>, // by the number that the worker knows them by
}

impl Clients {
    fn new(count: usize, options: &[&str]) -> Self {
        raise_descriptor_limit();
        let options = [&["serve", "--listen", "127.0.0.1:0"], options].concat();
        let Command::Server(config) = Cli::parsed_from(&options) else {
            panic!("serve is a server");
        };
        let app = Rc::new(PassOn::default());
        let worker = Worker::with_app(*config, Box::new(Rc::clone(&app)), 10_000).unwrap();
        let mut clients = Self {
            worker,
            app,
            all: BTreeMap::new(),
        };
        for _ in 0..count {
            clients.connect();
        }
        clients
    }

    fn connect(&mut self) -> u64 {
        let (server, client) = stream_socket_pair().unwrap();
        for stream in [&server, &client] {
            stream_set_blocking(stream, false).unwrap();
        }
        let id = server.id();
        self.worker.open(server).unwrap();
        self.all.insert(id, (client, Vec::new()));
        id
    }

    fn ids(&self) -> Vec<u64> {
        self.all.keys().copied().collect()
    }

    fn send(&self, id: u64, bytes: &[u8]) {
        (&self.all[&id].0).write_all(bytes).unwrap();
    }

    fn publish(&self, id: u64, message: &str) {
        let length = message.len();
        let request =
            format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{message}");
        self.send(id, request.as_bytes());
    }

    fn deliver(&self, message: &str) {
        self.app.note(message, self.all.keys().copied());
        let bytes = message.as_bytes().to_vec();
        self.worker.deliver(&self.worker.buffer(bytes), None);
    }

    fn deliver_only(&self, message: &str, to: &[u64]) {
        self.app.note(message, to.iter().copied());
        let connections = to.iter().map(|id| self.worker.connection(*id).unwrap());
        let receivers = connections.map(|connection| Receiver {
            id: connection.id(),
            connection: Rc::downgrade(&connection),
        });
        let bytes = self.worker.buffer(message.as_bytes().to_vec());
        self.worker.deliver_only(&bytes, receivers.collect());
    }

    /// One turn of the loop.
    fn turn(&self) {
        let once = LoopFlags::ONCE | LoopFlags::NONBLOCK;
        self.worker.base().r#loop(once).unwrap();
    }

    fn finish(&mut self) {
        while self.worker.has_messages() || self.worker.delivery.waiting() > 0 {
            self.turn();
            self.read_all();
        }
        self.turn(); // who was held is read
        self.turn();
        self.read_all();
    }

    /// What a client has received until now.
    fn read(&mut self, id: u64) -> &str {
        let (stream, read) = self.all.get_mut(&id).unwrap();
        let mut buffer = [0; 1 << 16];
        while let Ok(count @ 1..) = (&*stream).read(&mut buffer) {
            read.extend_from_slice(&buffer[..count]);
        }
        std::str::from_utf8(read).unwrap()
    }

    fn read_all(&mut self) {
        for id in self.ids() {
            self.read(id);
        }
    }

    /// How many clients have received something.
    fn reached(&mut self) -> usize {
        self.read_all();
        let reached = self.all.values().filter(|(_, read)| !read.is_empty());
        reached.count()
    }

    /// Each client has what it has to receive, once and in order.
    fn assert_complete(&mut self) {
        self.finish();
        let mut expected = self.app.expected.take();
        let mut deliveries = 0;
        for id in self.ids() {
            let expected = expected.remove(&id).unwrap_or_default();
            let read = self.read(id);
            let tokens = read.split_terminator(';');
            let messages = tokens.filter(|token| !matches!(*token, "answer" | "accepted"));
            let messages: Vec<_> = messages.map(|token| format!("{token};")).collect();
            assert!(
                messages == expected,
                "{id} got {messages:?}, not {expected:?}"
            );
            deliveries += messages.len() as u64;
        }
        let of_the_gone: usize = expected.values().map(Vec::len).sum();
        let counted = self.worker.counters().deliveries.get();
        assert!((deliveries..=deliveries + of_the_gone as u64).contains(&counted));
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.worker.take_apart();
    }
}

#[test]
fn a_request_that_arrives_during_a_round_is_answered_before_the_next_slice() {
    let mut clients = Clients::new(4 * SLICE, &[]);
    let ids = clients.ids();
    clients.deliver("message;");
    clients.turn();
    assert_eq!(clients.reached(), SLICE);
    let (had_it, last) = (ids[0], ids[4 * SLICE - 1]);
    clients.send(had_it, ASK);
    clients.send(last, ASK);
    clients.turn();
    assert_eq!(clients.read(had_it), "message;answer;");
    assert_eq!(clients.read(last), "message;answer;", "in order");
    assert_eq!(clients.reached(), 2 * SLICE + 1);
    clients.turn();
    assert_eq!(clients.reached(), 3 * SLICE + 1);
    clients.assert_complete();
    assert!(
        clients.read(last).ends_with("answer;"),
        "nothing comes twice"
    );
}

#[test]
fn long_messages_make_short_slices() {
    let mut clients = Clients::new(8, &["--max-body-size", "4MiB"]);
    let message = "x".repeat(super::SLICE_BYTES / 2 - 1) + ";";
    clients.deliver(&message);
    clients.turn();
    assert_eq!(clients.reached(), 2);
    clients.turn();
    assert_eq!(clients.reached(), 4);
    clients.assert_complete();
}

#[test]
fn receivers_of_different_messages_get_theirs_together_in_slices() {
    let mut clients = Clients::new(2 * SLICE, &[]);
    let ids = clients.ids();
    clients.deliver_only("all;", &ids);
    clients.deliver_only(
        "odd;",
        &ids.iter().copied().skip(1).step_by(2).collect::<Vec<_>>(),
    );
    clients.turn();
    assert_eq!(clients.reached(), SLICE);
    assert_eq!(clients.read(ids[1]), "all;odd;");
    assert_eq!(
        clients.worker.counters().deliveries.get(),
        SLICE as u64 * 3 / 2
    );
    clients.assert_complete();
}

#[test]
fn who_comes_during_a_round_gets_only_later_messages_and_who_goes_stops_nobody() {
    let mut clients = Clients::new(3 * SLICE, &[]);
    let ids = clients.ids();
    clients.deliver("first;");
    clients.turn();
    let late = clients.connect();
    clients.deliver("second;");
    clients.all.remove(&ids[SLICE]); // the next receiver
    clients.all.remove(&ids[2 * SLICE + 5]);
    clients.assert_complete();
    assert_eq!(clients.read(late), "second;");
    assert_eq!(clients.worker.open_connections(), 3 * SLICE - 1);
}

#[test]
fn a_closed_receiver_is_not_kept_open_by_a_round() {
    let clients = Clients::new(2 * SLICE, &[]);
    let ids = clients.ids();
    clients.deliver_only("message;", &ids);
    clients.turn();
    let last = ids[2 * SLICE - 1];
    let connection = clients.worker.connection(last).unwrap();
    connection.cut_off("a test", 0);
    drop(connection);
    let (stream, _) = &clients.all[&last];
    assert_eq!((&*stream).read(&mut [0]).unwrap(), 0, "it closes at once");
}

#[test]
fn a_sender_publishes_once_in_a_round_and_then_waits_for_the_next() {
    let mut clients = Clients::new(3 * SLICE, &[]);
    let ids = clients.ids();
    clients.deliver("first;");
    clients.turn();
    clients.publish(ids[0], "second;");
    clients.publish(ids[1], "third;");
    clients.turn();
    clients.publish(ids[0], "fourth;");
    clients.send(ids[1], ASK);
    clients.send(ids[2], ASK);
    for _ in 0..2 {
        assert!(clients.read(ids[0]).ends_with("accepted;"));
        assert!(clients.read(ids[1]).ends_with("accepted;"));
        clients.turn();
    }
    assert!(
        clients.read(ids[2]).ends_with("answer;"),
        "it has published nothing"
    );
    clients.assert_complete();
    assert_eq!(clients.read(ids[0]).matches("accepted;").count(), 2);
    assert_eq!(clients.read(ids[1]).matches("answer;").count(), 1);
}

#[test]
fn when_too_much_waits_for_the_next_round_nothing_is_read_until_it_begins() {
    let options = ["--max-queue", "64KiB", "--max-queue-total", "64KiB"];
    let mut clients = Clients::new(2 * SLICE, &options);
    let ids = clients.ids();
    clients.deliver("first;");
    clients.turn();
    clients.deliver(&("x".repeat(7 << 10) + ";"));
    clients.send(ids[0], ASK);
    assert!(!clients.worker.is_behind());
    clients.deliver(&("y".repeat(2 << 10) + ";"));
    assert!(clients.worker.is_behind());
    clients.turn(); // ends the first round
    assert_eq!(clients.read(ids[0]), "first;");
    assert!(!clients.worker.is_behind());
    clients.turn();
    assert!(clients.read(ids[0]).ends_with("answer;"));
    clients.assert_complete();
}

#[test]
fn when_too_much_comes_from_a_store_it_is_sent_at_once() {
    let mut clients = Clients::new(2 * SLICE, &["--max-queue-total", "128KiB"]);
    let ids = clients.ids();
    clients.deliver_only("first;", &ids);
    clients.turn();
    let mut sent = 0;
    while !clients.worker.is_behind() {
        clients.worker.catch_up();
        assert_eq!(clients.reached(), SLICE, "little waits");
        clients.deliver_only("another;", &ids);
        sent += 1;
    }
    assert!((2..10).contains(&sent), "lists of receivers count: {sent}");
    clients.worker.catch_up();
    assert!(!clients.worker.has_messages());
    clients.turn(); // what is queued
    assert_eq!(clients.reached(), 2 * SLICE);
    assert!(clients.read(ids[2 * SLICE - 1]).ends_with("another;"));
    clients.assert_complete();
}

#[test]
fn a_sender_that_comes_when_everything_was_sent_at_once_is_read_again() {
    let mut clients = Clients::new(2 * SLICE, &["--max-queue-total", "128KiB"]);
    let ids = clients.ids();
    clients.deliver_only("first;", &ids);
    clients.turn();
    while !clients.worker.is_behind() {
        clients.deliver_only("another;", &ids);
    }
    clients.worker.catch_up();
    clients.worker.pace_sender(ids[0]); // what it has published, nobody receives
    clients.send(ids[0], ASK);
    for _ in 0..3 {
        clients.turn();
    }
    assert!(clients.read(ids[0]).ends_with("answer;"));
}

#[test]
fn a_worker_that_stops_during_a_round_delivers_it_first() {
    let mut clients = Clients::new(3 * SLICE, &[]);
    let ids = clients.ids();
    clients.deliver("first;");
    clients.turn();
    clients.publish(ids[0], "second;");
    clients.turn();
    clients.publish(ids[0], "third;"); // it is not read before the next round
    clients.worker.drain();
    assert!(!clients.worker.has_messages());
    assert_eq!(clients.read(ids[1]), "first;second;third;");
    clients.assert_complete();
}

#[test]
fn a_worker_that_is_replaced_during_a_round_goes_on_with_it() {
    let mut clients = Clients::new(3 * SLICE, &[]);
    clients.deliver("message;");
    clients.turn();
    clients.worker.replaced();
    assert_eq!(clients.reached(), SLICE);
    clients.turn();
    assert_eq!(clients.reached(), 2 * SLICE);
    clients.assert_complete();
    assert_eq!(clients.worker.open_connections(), 3 * SLICE);
}

/// Clients that come, go, ask, publish and read late, in an order given by a seed.
fn any_order(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut clients = Clients::new(2 * SLICE, &[]);
    let mut asked = BTreeMap::<u64, usize>::new();
    for step in 0..300 {
        let ids = clients.ids();
        let id = ids[random.usize(..ids.len())];
        let long = if random.u8(..) < 10 { 20 << 10 } else { 5 };
        let message = format!("{step}{:x<long$};", "");
        match random.u8(..16) {
            0..4 => clients.turn(),
            4..7 => clients.publish(id, &message),
            7 => clients.deliver(&message),
            8..10 => {
                let each = random.usize(1..4);
                let some: Vec<_> = ids.into_iter().step_by(each).collect();
                // Who has gone may not be known yet.
                let known = |id: &u64| clients.worker.connection(*id).is_some();
                let some: Vec<_> = some.into_iter().filter(known).collect();
                clients.deliver_only(&message, &some);
            }
            10..12 => {
                clients.send(id, ASK);
                *asked.entry(id).or_default() += 1;
            }
            12 => {
                clients.connect();
            }
            13 => {
                clients.all.remove(&id);
            }
            _ => {
                clients.read(id);
            }
        }
    }
    clients.assert_complete();
    for (id, asked) in asked {
        if clients.all.contains_key(&id) {
            let answers = clients.read(id).matches("answer;").count();
            assert_eq!(answers, asked, "seed {seed}, client {id}");
        }
    }
}

#[test]
fn in_any_order_of_events_nothing_is_lost_doubled_or_turned_around() {
    (0..30).for_each(any_order);
}
