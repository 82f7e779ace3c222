//! Two clients of a server, beside the models of their connections.

use fuzz_server::{Peer, Seen, Server};
use http_framing::response;

use super::model::{DATE, Model, Rules, Sent};
use super::script::{CLIENTS, Step};

/// Parts that a client sends while it does not read: the server may leave all of them in its
/// socket.
const HELD_PARTS: usize = 60;

/// A client, and what it has to get.
struct Client {
    peer: Peer,
    model: Model,
    arriving: Vec<u8>, // sent since the server's last turn
    got: Vec<u8>,      // and not compared yet
    has_end: bool,
    seen: Vec<Seen>, // and not compared yet
    outcome: Outcome,
    holds: bool,
    parts_held: usize,
    /// Whether it is known what the server has read at a time.
    is_exact: bool,
    /// Whether the server has come as far as the model: it stops where its answers are not read.
    is_level: bool,
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
}

impl<'a> Play<'a> {
    fn new(server: &'a Server, rules: &'a Rules) -> Self {
        let mut play = Self {
            server,
            rules,
            clients: Vec::new(),
            current: 0,
        };
        for _ in 0..CLIENTS {
            let client = play.connect();
            play.clients.push(client);
        }
        play
    }

    fn connect(&self) -> Client {
        let peer = self.server.connect();
        let model = Model::new(peer.id(), self.rules);
        Client {
            peer,
            model,
            arriving: Vec::new(),
            got: Vec::new(),
            has_end: false,
            seen: Vec::new(),
            outcome: Outcome::default(),
            holds: false,
            parts_held: 0,
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
            Step::Hold(holds) => {
                client.holds = *holds;
                client.is_exact &= !holds;
            }
            Step::Reply => self.reply(),
            Step::Deliver(length) => {
                let message = vec![b'm'; length + 1];
                if client.model.is_stream() && client.is_level {
                    self.server.deliver(&client.peer, &message);
                    client.model.deliver(&message);
                }
            }
            Step::EndStream if !client.is_level => {}
            Step::EndStream => {
                self.server.end_stream(&client.peer, b"last");
                client.model.end_stream(b"last");
            }
            Step::EndWriting => self.end_writing(),
            Step::Leave => self.leave(),
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
        if !client.holds {
            client.peer.end_writing();
            client.model.end();
            self.turn();
        }
    }

    fn leave(&mut self) {
        let new = self.connect();
        let old = std::mem::replace(&mut self.clients[self.current], new);
        drop(old);
        self.turn();
        assert!(self.server.open_connections() <= CLIENTS, "one has left");
    }

    /// Lets the server do what there is to do, until the clients that read have everything.
    fn turn(&mut self) {
        for client in &mut self.clients {
            let arriving = std::mem::take(&mut client.arriving);
            client.is_level &= !client.holds || arriving.is_empty();
            client.model.receive(&arriving, self.rules);
        }
        loop {
            self.server.turn();
            let mut is_news = false;
            for client in self.clients.iter_mut().filter(|client| !client.holds) {
                let before = client.got.len();
                client.has_end |= client.peer.receive(&mut client.got);
                is_news |= client.got.len() > before;
            }
            if !is_news {
                break;
            }
        }
        for client in self.clients.iter_mut().filter(|client| !client.holds) {
            client.is_level = true;
        }
        for seen in self.server.seen() {
            let (Seen::Request { from, .. } | Seen::Passed { from, .. }) = &seen;
            let mut clients = self.clients.iter_mut();
            // One that has left may have had requests.
            if let Some(client) = clients.find(|client| client.peer.id() == *from) {
                client.see(seen);
            }
        }
        self.clients.iter_mut().for_each(Client::check);
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
        let (server, clients) = (self.server, self.clients);
        let outcomes = clients.into_iter().map(|client| client.outcome).collect();
        server.turn();
        assert_eq!(server.leftovers(), None);
        outcomes
    }
}

impl Client {
    fn send(&mut self, part: &[u8]) {
        self.parts_held += usize::from(self.holds);
        if self.parts_held < HELD_PARTS {
            self.peer.send(part);
            self.arriving.extend_from_slice(part);
        }
    }

    fn see(&mut self, seen: Seen) {
        add(&mut self.seen, seen);
    }

    /// Compares what is new on both sides, which are level now, and keeps it as the outcome.
    fn check(&mut self) {
        if self.holds {
            return;
        }
        let wanted = &self.model.sent;
        let shown = || format!("{} for {wanted:?}", self.got.escape_ascii());
        assert!(is_sent(&self.got, wanted, self.is_exact), "{}", shown());
        assert_eq!(self.has_end, self.model.has_ended(), "{}", shown());
        assert_eq!(self.seen, self.model.seen);
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
        for mut seen in self.model.seen.drain(..) {
            let (Seen::Request { from, .. } | Seen::Passed { from, .. }) = &mut seen;
            *from = 0;
            add(&mut outcome.seen, seen);
        }
    }
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
            Sent::Refused(bytes) => match without_date(got) {
                Some(got) if is_exact => (got == *bytes).then_some(&[][..]),
                Some(got) => (got.split(|byte| *byte == b'\r').count() > 3).then_some(&[][..]),
                None => None,
            },
        };
        match rest {
            Some(rest) => got = rest,
            None => return false,
        }
    }
    got.is_empty()
}

/// A refusal without the value of its date.
fn without_date(refusal: &[u8]) -> Option<Vec<u8>> {
    let refusal = str::from_utf8(refusal).ok()?;
    let (status, rest) = refusal.split_once("\r\nDate: ")?;
    let (_, rest) = rest.split_once("\r\n")?;
    let is_error = status.starts_with("HTTP/1.1 4") || status.starts_with("HTTP/1.1 5");
    let date = format!("\r\nDate: {DATE}\r\n");
    is_error.then(|| [status, &date, rest].concat().into_bytes())
}

/// Has the clients of a server take these steps, and returns what came of each one's bytes.
pub(super) fn play(server: &Server, rules: &Rules, steps: &[Step]) -> Vec<Outcome> {
    let mut play = Play::new(server, rules);
    steps.iter().for_each(|step| play.step(step));
    play.finish()
}
