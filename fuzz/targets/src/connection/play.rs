//! Two clients of a server, beside the models of their connections.

use std::time::Duration;

use fuzz_server::{Peer, Seen, Server, Takes};
use http_framing::response;
use memchr::memmem;

use super::model::{DATE, IDLE_TIMEOUT, Model, Rules, Sent};
use super::script::{CLIENTS, Step};

/// Parts that a client sends while it does not read: the server may leave all of them in its
/// socket.
const HELD_PARTS: usize = 60;

/// Clients that leave. Those whose connections are not accepted wait for that, and the system lets
/// 32 of them wait.
const LEAVES_MAX: usize = 24;

/// Requests of one connection that are answered in a turn of the loop, and the bytes of their
/// answers but the last.
const ANSWERS: usize = 512;
const ANSWERED: usize = 32 << 10;

/// Requests of all connections: the last may begin when less than 64 KiB have been answered, each
/// answer being counted as 1 KiB more than it is.
const ANSWERS_IN_ALL: usize = ANSWERS + 64 + CLIENTS;

/// Longer than every answer.
const ANSWER_MAX: usize = 16 << 10;

/// A client, and what it has to get.
struct Client {
    peer: Peer,
    model: Model,
    place: Place,
    arriving: Vec<u8>, // sent since the server's last turn, or before it accepted the connection
    got: Vec<u8>,      // and not compared yet
    has_end: bool,
    seen: Vec<Seen>, // and not compared yet
    outcome: Outcome,
    holds: bool,
    parts_held: usize,
    blocked: Option<Blocked>,
    has_message: bool, // since the server's last turn
    /// Whether it is known what the server has read at a time.
    is_exact: bool,
    /// Whether the server has come as far as the model: it stops where its answers are not read.
    is_level: bool,
}

/// How far a client has come with its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Its connection is not accepted yet.
    Queued,
    Accepted,
    /// It may miss what was sent last: it did not read.
    CutOff,
    /// The server has stopped before it accepted the connection.
    Refused,
}

/// Something waits for a client that does not read.
#[derive(Clone, Copy, Debug)]
struct Blocked {
    since: Duration,
    is_quiet: bool,        // nothing was sent since
    quiet_since: Duration, // when something was sent last
}

/// What came of one client's bytes, without what depends on how they were cut.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    answers: Vec<Sent>,
    has_ended: bool,
    seen: Vec<Seen>,
}

/// Two clients of a server.
struct Play<'a> {
    server: &'a Server,
    rules: &'a Rules,
    clients: Vec<Client>,
    current: usize,
    now: Duration,
    life: Life,
    evictions: usize,
    leaves: usize,
    was_full: bool, // when it was told to stop
}

/// How far the server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Serves,
    /// It is told to stop in the next turn.
    IsToldToStop,
    Stops,
}

impl<'a> Play<'a> {
    fn new(server: &'a Server, rules: &'a Rules) -> Self {
        let mut play = Self {
            server,
            rules,
            clients: Vec::new(),
            current: 0,
            now: Duration::ZERO,
            life: Life::Serves,
            evictions: server.evictions(),
            leaves: 0,
            was_full: false,
        };
        for _ in 0..CLIENTS {
            let client = play.connect();
            play.clients.push(client);
        }
        play
    }

    fn connect(&self) -> Client {
        let peer = self.server.connect();
        Client {
            place: match peer.id() {
                Some(_) => Place::Accepted,
                None => Place::Queued,
            },
            peer,
            model: Model::new(self.rules),
            arriving: Vec::new(),
            got: Vec::new(),
            has_end: false,
            seen: Vec::new(),
            outcome: Outcome::default(),
            holds: false,
            parts_held: 0,
            blocked: None,
            has_message: false,
            is_exact: true,
            is_level: true,
        }
    }

    fn step(&mut self, step: &Step) {
        let client = &mut self.clients[self.current];
        match step {
            Step::Send(part) => client.send(part),
            Step::Turn => self.turn(),
            Step::Other => self.current = (self.current + 1) % CLIENTS,
            Step::Hold(holds) => client.holds = *holds,
            Step::Reply => self.reply(),
            Step::Deliver(length) => {
                let message = vec![b'm'; 16 * length + 1];
                let is_known =
                    client.place == Place::Accepted && (client.is_level || client.is_all_seen());
                if is_known && client.model.takes_messages(self.rules) {
                    self.server.deliver(&client.peer, &message);
                    client.model.deliver(&message);
                    client.has_message = true;
                }
            }
            Step::EndStream if !client.is_level => {}
            Step::EndStream => {
                self.server.end_stream(&client.peer, b"last");
                client.model.end_stream(b"last", self.rules);
            }
            Step::EndWriting => self.end_writing(),
            Step::Leave => self.leave(),
            Step::Wait(time) => self.wait(*time),
            Step::Stop => self.stop(),
        }
    }

    /// The app replies, if it is known whether a request waits for it.
    fn reply(&mut self) {
        if !self.clients[self.current].is_level {
            self.turn();
        }
        let client = &mut self.clients[self.current];
        if client.is_level {
            let waits = client.model.waits_for_reply();
            assert_eq!(self.server.reply(&client.peer), waits);
            client.model.reply(self.rules);
            client.is_level = false;
        }
    }

    fn end_writing(&mut self) {
        self.turn();
        let client = &mut self.clients[self.current];
        if !client.holds && client.place == Place::Accepted {
            client.peer.end_writing();
            client.model.end();
            self.turn();
        }
    }

    fn leave(&mut self) {
        if self.life != Life::Serves || self.leaves == LEAVES_MAX {
            return;
        }
        self.leaves += 1;
        let new = self.connect();
        let old = std::mem::replace(&mut self.clients[self.current], new);
        drop(old);
        self.turn();
        assert!(self.server.open_connections() <= CLIENTS, "one has left");
    }

    /// Time passes, unless it is not known what the server waits for.
    fn wait(&mut self, time: Duration) {
        self.turn();
        if self.clients.iter().any(Client::is_vague) {
            return;
        }
        self.now += time;
        let (now, rules) = (self.now, self.rules);
        let timeouts = self.server.timeouts();
        self.server.wait(time);
        let late = self.accepted().filter_map(|client| {
            let is_blocked = client.blocked.is_some();
            client.model.wait(time, is_blocked, rules).then_some(())
        });
        let late = late.count();
        self.turn();
        let server = self.server;
        let blocked = self.accepted().filter(|client| client.blocked.is_some());
        let cut_off = blocked.filter_map(|client| client.expire(server, now).then_some(()));
        let late = late + cut_off.count();
        assert_eq!(server.timeouts() - timeouts, late, "connections timed out");
        self.clients
            .iter_mut()
            .for_each(|client| client.check(server));
    }

    /// The clients whose connections the server has accepted and not cut off.
    fn accepted(&mut self) -> impl Iterator<Item = &mut Client> {
        let clients = self.clients.iter_mut();
        clients.filter(|client| client.place == Place::Accepted)
    }

    /// The server stops. Clients of which it is not known how far it has read go on before.
    fn stop(&mut self) {
        if self.life != Life::Serves {
            return;
        }
        let has_long_queue = self.rules.has_long_queue();
        for client in &mut self.clients {
            client.holds &= client.is_level || has_long_queue && client.is_all_seen();
        }
        if self.clients.iter().any(|client| !client.is_level) {
            self.turn();
        }
        self.life = Life::IsToldToStop;
        let most = self.rules.max_connections;
        self.was_full = most == Some(self.server.open_connections());
        self.server.stop();
        self.clients
            .iter_mut()
            .for_each(|client| client.model.will_stop());
        self.turn();
        assert!(
            self.server.has_left() || !self.server.is_listening(),
            "it refuses clients"
        );
    }

    /// Lets the server do what there is to do, until the clients that read have everything.
    fn turn(&mut self) {
        let is_told = self.life == Life::IsToldToStop;
        let rules = self.rules;
        self.accepted()
            .for_each(|client| client.arrive(is_told, rules));
        loop {
            self.server.turn();
            let mut is_news = self.accept(is_told);
            for client in self.clients.iter_mut().filter(|client| !client.holds) {
                let before = client.got.len();
                client.has_end |= client.peer.receive(&mut client.got);
                is_news |= client.got.len() > before;
            }
            if !is_news {
                break;
            }
        }
        if is_told {
            self.life = Life::Stops;
        }
        self.note_seen();
        let (server, now) = (self.server, self.now);
        self.accepted()
            .for_each(|client| client.level(server, now, rules));
        let evictions = self.server.evictions() - self.evictions;
        self.evictions += evictions;
        if evictions > 0 {
            let cut_off = self
                .accepted()
                .filter_map(|client| client.cut_off(server, rules));
            assert!(cut_off.count() >= evictions, "only who lags is cut off");
        }
        self.clients
            .iter_mut()
            .for_each(|client| client.check(server));
        self.check_server();
    }

    /// Notes whose connections the server has accepted. True if there are any.
    fn accept(&mut self, is_told_to_stop: bool) -> bool {
        let (stops, rules) = (self.life != Life::Serves, self.rules);
        let has_left = self.server.has_left();
        let (mut is_any, mut is_refused) = (false, false);
        for client in self
            .clients
            .iter_mut()
            .filter(|one| one.place == Place::Queued)
        {
            if client.peer.id().is_some() {
                client.place = Place::Accepted;
                client.model = Model::new(rules);
                if stops {
                    client.model.will_stop();
                }
                client.arrive(is_told_to_stop, rules);
                is_any = true;
            } else if stops {
                client.place = Place::Refused;
                client.model.end();
                is_refused = true;
            }
        }
        let is_room_left = !self.was_full && !is_any;
        assert!(
            !is_refused || !is_room_left,
            "it accepts whom it has room for"
        );
        is_any && !has_left
    }

    fn note_seen(&mut self) {
        for seen in self.server.seen() {
            let (Seen::Request { from, .. } | Seen::Passed { from, .. }) = &seen;
            let mut clients = self.clients.iter_mut();
            // One that has left may have had requests.
            if let Some(client) = clients.find(|client| client.peer.id() == Some(*from)) {
                add(&mut client.seen, without_number(seen));
            }
        }
    }

    /// Checks what does not concern a single client.
    fn check_server(&self) {
        let server = self.server;
        let is_queued = |client: &Client| client.place == Place::Queued;
        if let Some(most) = self.rules.max_connections {
            let open = server.open_connections();
            assert!(open <= most, "{open} connections");
            let waits = self.clients.iter().any(is_queued);
            assert!(!waits || open == most, "a connection waits");
        }
        if self.life == Life::Stops {
            assert_eq!(server.has_left(), server.open_connections() == 0);
        }
        for pass in server.passes() {
            let all: usize = pass.iter().map(|one| one.requests).sum();
            assert!(all <= ANSWERS_IN_ALL, "{all} answers in a turn");
            for one in pass {
                assert!(one.requests <= ANSWERS && one.bytes < ANSWERED, "{one:?}");
            }
        }
    }

    /// Ends the play, and returns what came of each client's bytes.
    fn finish(mut self) -> Vec<Outcome> {
        for client in &mut self.clients {
            client.holds = false;
        }
        self.turn();
        while let Some(waiting) = self
            .clients
            .iter()
            .position(|one| one.model.waits_for_reply())
        {
            self.current = waiting;
            self.step(&Step::Reply);
            self.turn();
        }
        for number in 0..CLIENTS {
            self.current = number;
            self.step(&Step::EndStream);
        }
        self.turn();
        let stops = self.life == Life::Stops;
        if stops {
            self.wait(IDLE_TIMEOUT);
        }
        let (server, clients) = (self.server, self.clients);
        let outcomes = clients.into_iter().map(|client| client.outcome).collect();
        server.turn();
        assert_eq!(server.has_left(), stops);
        assert_eq!(server.leftovers(), None);
        outcomes
    }
}

impl Client {
    fn send(&mut self, part: &[u8]) {
        self.parts_held += usize::from(self.holds || self.place == Place::Queued);
        if self.parts_held < HELD_PARTS {
            self.peer.send(part);
            self.arriving.extend_from_slice(part);
        }
    }

    /// The server reads what was sent, and is told to stop then.
    fn arrive(&mut self, is_told_to_stop: bool, rules: &Rules) {
        let arriving = std::mem::take(&mut self.arriving);
        self.model.receive(&arriving, rules);
        if is_told_to_stop {
            self.model.stop(self.blocked.is_some(), rules);
        }
        if let Some(blocked) = &mut self.blocked
            && !arriving.is_empty()
        {
            blocked.is_quiet = false;
        }
    }

    /// Whether the app has seen all requests, and nothing else has arrived since.
    fn is_all_seen(&self) -> bool {
        self.arriving.is_empty()
            && self.seen == self.model.seen
            && self.blocked.is_none_or(|blocked| blocked.is_quiet)
    }

    /// Whether it is not known what the server waits for.
    fn is_vague(&self) -> bool {
        !self.is_exact && self.blocked.is_none() && self.model.depends_on_cuts()
    }

    /// Notes whether the client reads everything, after a turn of the server.
    fn level(&mut self, server: &Server, now: Duration, rules: &Rules) {
        let waits = server.waiting(&self.peer);
        // An app that sends messages cuts off who lags behind when there is another one.
        let has_message = std::mem::take(&mut self.has_message);
        let most = match self.blocked.is_some() && has_message && rules.takes != Takes::Requests {
            true => rules.max_queue,
            false => rules.max_queue + ANSWER_MAX,
        };
        let is_bound = rules.takes != Takes::Requests || !self.model.is_stream();
        assert!(waits <= most || !is_bound, "{waits} bytes wait");
        if waits > 0 {
            self.is_exact = false;
            self.is_level = false;
            let blocked = self.blocked.get_or_insert(Blocked {
                since: now,
                quiet_since: now,
                is_quiet: true,
            });
            if !blocked.is_quiet {
                blocked.quiet_since = now;
            }
        } else if !self.holds || server.is_open(&self.peer) {
            self.is_level = true;
            if self.blocked.take().is_some() {
                self.model.unblock(rules);
            }
        }
    }

    /// Time has passed for a client that does not read. True if its connection has ended.
    fn expire(&mut self, server: &Server, now: Duration) -> bool {
        let Some(blocked) = self.blocked else {
            return false;
        };
        let is_open = server.is_open(&self.peer);
        if is_open {
            assert!(now - blocked.quiet_since < IDLE_TIMEOUT, "{blocked:?}");
        } else {
            assert!(now - blocked.since >= IDLE_TIMEOUT, "{blocked:?}");
            self.place = Place::CutOff;
        }
        !is_open
    }

    /// The server has cut somebody off. `None` if it was not this client.
    fn cut_off(&mut self, server: &Server, rules: &Rules) -> Option<()> {
        let waiting: usize = self.model.sent.iter().map(Sent::length).sum();
        let may_be = rules.takes != Takes::Requests
            && waiting > rules.max_queue
            && !server.is_open(&self.peer)
            && (self.holds || !is_sent(&self.got, &self.model.sent, self.is_exact));
        may_be.then(|| self.place = Place::CutOff)
    }

    /// Compares what is new on both sides, which are level now, and keeps it as the outcome.
    fn check(&mut self, server: &Server) {
        if self.holds || self.place == Place::Queued {
            return;
        }
        if self.place == Place::CutOff {
            return self.check_start();
        }
        let wanted = &self.model.sent;
        let shown = || format!("{} for {wanted:?}", self.got.escape_ascii());
        assert!(is_sent(&self.got, wanted, self.is_exact), "{}", shown());
        assert_eq!(self.has_end, self.model.has_ended(), "{}", shown());
        assert_eq!(self.seen, self.model.seen);
        if self.is_exact {
            assert_eq!(server.is_open(&self.peer), self.model.is_open());
        }
        self.note_outcome();
    }

    /// Compares what a client that was cut off has got.
    fn check_start(&mut self) {
        let wanted = &self.model.sent;
        let shown = || format!("{} for {wanted:?}", self.got.escape_ascii());
        assert!(is_start(&self.got, wanted, self.is_exact), "{}", shown());
        assert!(self.has_end, "it is cut off");
        assert!(self.seen.len() <= self.model.seen.len());
        self.model.end();
        self.note_outcome();
    }

    fn note_outcome(&mut self) {
        self.got.clear();
        self.seen.clear();
        let outcome = &mut self.outcome;
        outcome.has_ended = self.has_end;
        for sent in self.model.sent.drain(..) {
            match sent {
                Sent::Continue => {}
                Sent::Refused(_) => outcome.answers.push(Sent::Refused(Vec::new())),
                Sent::Bytes(_) => outcome.answers.push(sent),
            }
        }
        for seen in self.model.seen.drain(..) {
            add(&mut outcome.seen, seen);
        }
    }
}

fn without_number(mut seen: Seen) -> Seen {
    let (Seen::Request { from, .. } | Seen::Passed { from, .. }) = &mut seen;
    *from = 0;
    seen
}

/// Adds what the app has seen to what it saw before. Reads may be joined.
fn add(all: &mut Vec<Seen>, seen: Seen) {
    match (seen, all.last_mut()) {
        (Seen::Passed { bytes, .. }, Some(Seen::Passed { bytes: before, .. })) => {
            before.extend(bytes);
        }
        (seen, _) => all.push(seen),
    }
}

/// Whether `got` is what was to be sent. Where it is not known what the server has read at a time,
/// an interim answer may be missing, and a refusal may have another reason.
fn is_sent(mut got: &[u8], wanted: &[Sent], is_exact: bool) -> bool {
    for sent in wanted {
        let rest = match sent {
            Sent::Continue => got
                .strip_prefix(response::CONTINUE)
                .or((!is_exact).then_some(got)),
            Sent::Bytes(bytes) => got.strip_prefix(bytes.as_slice()),
            Sent::Refused(bytes) => {
                let is_it = match is_exact {
                    true => with_model_date(got) == *bytes,
                    false => is_refusal(got),
                };
                is_it.then_some(&[][..])
            }
        };
        match rest {
            Some(rest) => got = rest,
            None => return false,
        }
    }
    got.is_empty()
}

/// How any answer begins.
const STATUS: &[u8] = b"HTTP/1.1 ";

/// Whether `got` is the start of what was to be sent. What may be missing or differ is as in
/// `is_sent`.
fn is_start(mut got: &[u8], wanted: &[Sent], is_exact: bool) -> bool {
    for sent in wanted {
        let bytes = sent.bytes();
        let (part, rest) = got.split_at(bytes.len().min(got.len()));
        let is_alike = match sent {
            Sent::Continue | Sent::Bytes(_) => bytes.starts_with(part),
            Sent::Refused(_) if !is_exact => {
                return STATUS.starts_with(&part[..STATUS.len().min(part.len())]);
            }
            Sent::Refused(_) => bytes.starts_with(&with_model_date(part)),
        };
        match (is_alike, sent) {
            (true, _) => got = rest,
            (false, Sent::Continue) if !is_exact => {}
            (false, _) => return false,
        }
    }
    got.is_empty()
}

/// The start of a refusal, with the model's date instead of its own.
fn with_model_date(refusal: &[u8]) -> Vec<u8> {
    const FIELD: &[u8] = b"\r\nDate: ";
    let mut refusal = refusal.to_vec();
    if let Some(at) = memmem::find(&refusal, FIELD) {
        let date = refusal[at + FIELD.len()..].iter_mut();
        date.zip(DATE.bytes())
            .for_each(|(byte, of_model)| *byte = of_model);
    }
    refusal
}

/// Whether it refuses a request, for whatever reason.
fn is_refusal(answer: &[u8]) -> bool {
    let is_error = answer.starts_with(b"HTTP/1.1 4") || answer.starts_with(b"HTTP/1.1 5");
    is_error && answer.split(|byte| *byte == b'\r').count() > 3
}

/// Has the clients of a server take these steps, and returns what came of each one's bytes.
pub(super) fn play(server: &Server, rules: &Rules, steps: &[Step]) -> Vec<Outcome> {
    let mut play = Play::new(server, rules);
    steps.iter().for_each(|step| play.step(step));
    play.finish()
}
