//! Clients of a hub, beside the model.

use fuzz_server::Server;

use super::action::{Action, Subscribe};
use super::client::Client;
use super::model::{Mode, Model, Wanted};
use super::rules::Rules;

/// How many clients there are at a time.
pub(super) const CLIENTS: usize = 4;

/// Requests and messages that one client sends at once. Their answers fit into its socket.
const ACTIONS_MAX: usize = 6;

/// Bytes that are sent at once: the hub takes them with one read.
const PART_MAX: usize = 16 << 10;

/// Parts into which a client cuts what it sends.
const PARTS_MAX: usize = 60;

/// What all clients publish, together.
const DATA_MAX: usize = 900 << 10;

/// A hub, its model, and its clients.
pub(super) struct Play<'a> {
    server: &'a Server,
    rules: &'a Rules,
    pub(super) model: Model<'a>,
    clients: Vec<Option<Client>>,
    pub(super) current: usize,
    socket_size: usize,
    published: usize,
    /// Sent since the last turn.
    is_arriving: bool,
    /// Whether the current client takes for granted that its WebSocket will open.
    is_opening: bool,
}

impl<'a> Play<'a> {
    /// Sockets of the hub take at most `socket_size` bytes that nobody reads.
    pub(super) fn new(server: &'a Server, rules: &'a Rules, socket_size: usize) -> Self {
        Self {
            server,
            rules,
            model: Model::new(rules, CLIENTS),
            clients: (0..CLIENTS).map(|_| None).collect(),
            current: 0,
            socket_size,
            published: 0,
            is_arriving: false,
            is_opening: false,
        }
    }

    /// Another client acts. It may take the place of one whose WebSocket is to open.
    pub(super) fn switch(&mut self, number: usize) {
        if std::mem::take(&mut self.is_opening) {
            self.send(0);
            self.turn();
        }
        self.current = number;
    }

    /// The current client, connected if it is not.
    pub(super) fn client(&mut self) -> &mut Client {
        let server = self.server;
        self.clients[self.current].get_or_insert_with(|| Client::new(server.connect()))
    }

    /// How the current client sees its connection. One that has ended is replaced.
    pub(super) fn mode(&mut self) -> Mode {
        let is_opening = |(_, action): &(usize, Action)| matches!(action, Action::Subscribe(_));
        if self.client().ends.iter().any(is_opening) {
            self.send(0);
            self.turn();
        } else if self.model.is_subscribing(self.current) {
            self.turn();
        }
        if self.model.conns[self.current].mode == Mode::Ended {
            self.leave();
        }
        self.model.conns[self.current].mode
    }

    /// The client will send this.
    pub(super) fn add(&mut self, action: Action) {
        let mode = self.mode();
        if let Action::Publish(publish) = &action {
            self.published += publish.data.len();
            if self.published > DATA_MAX {
                return;
            }
        }
        // A list may be long.
        let is_list = |(_, action): &(usize, Action)| matches!(action, Action::List(_));
        let ends = &self.client().ends;
        if ends.len() >= ACTIONS_MAX || ends.iter().any(is_list) {
            self.send(0);
            self.turn();
        }
        self.client().will_send(action, mode == Mode::Socket);
    }

    /// Whether it is known that the current client's next request opens a WebSocket.
    pub(super) fn will_open(&mut self, asked: &Subscribe) -> bool {
        let is_next = self.client().ends.is_empty() && !self.is_arriving;
        is_next && asked.is_socket && self.model.allow(asked).is_ok()
    }

    /// The client will send this after the request that opens its WebSocket.
    pub(super) fn add_early(&mut self, action: Action) {
        self.is_opening = true;
        self.client().will_send(action, true);
    }

    /// The client sends all but the last `kept` bytes.
    pub(super) fn send(&mut self, kept: usize) {
        let length = self.client().unsent.len().saturating_sub(kept);
        self.send_part(length.min(PART_MAX));
        let mut left = length.saturating_sub(PART_MAX);
        while left > 0 {
            self.turn();
            self.send_part(left.min(PART_MAX));
            left = left.saturating_sub(PART_MAX);
        }
    }

    /// The client sends all it has in parts, each of which the hub reads before the next.
    pub(super) fn send_cut(&mut self, part: usize) {
        let length = self.client().unsent.len();
        let part = part.max(length / PARTS_MAX + 1);
        for start in (0..length).step_by(part) {
            self.send_part(part.min(length - start));
            self.turn();
        }
    }

    fn send_part(&mut self, length: usize) {
        let current = self.current;
        let client = self.client();
        let rest = client.unsent.split_off(length);
        let part = std::mem::replace(&mut client.unsent, rest);
        let mut complete = Vec::new();
        while client.ends.front().is_some_and(|(end, _)| *end <= length) {
            complete.extend(client.ends.pop_front().map(|(_, action)| action));
        }
        for (end, _) in &mut client.ends {
            *end -= length;
        }
        let asks = |action: &Action| matches!(action, Action::Subscribe(_));
        if client.will_hold && complete.iter().any(asks) {
            (client.holds, client.will_hold) = (true, false);
        }
        if !part.is_empty() {
            client.peer.send(&part);
            self.is_arriving = true;
        }
        self.model.receive(current, complete);
    }

    /// Lets the hub do what there is to do, until the clients that read have everything.
    pub(super) fn turn(&mut self) {
        self.is_arriving = false;
        self.model.settle();
        for (client, conn) in self.clients.iter_mut().zip(&self.model.conns) {
            if let Some(client) = client {
                client.holds &= conn.is_live();
            }
        }
        loop {
            self.server.turn();
            let mut is_news = self.note_ends();
            for client in self.clients.iter_mut().flatten().filter(|one| !one.holds) {
                let before = (client.got.len(), client.has_end);
                client.has_end |= client.peer.receive(&mut client.got);
                is_news |= (client.got.len(), client.has_end) != before;
            }
            if !is_news {
                break;
            }
        }
        for (client, conn) in self.clients.iter_mut().zip(&mut self.model.conns) {
            if let Some(client) = client.as_mut().filter(|client| !client.holds) {
                client.check(conn);
            }
        }
        self.check_lag();
    }

    /// Notes whom the hub has cut off.
    fn note_ends(&mut self) -> bool {
        let mut ended = Vec::new();
        let first_kept = self.model.first_kept();
        for (number, client) in self.clients.iter_mut().enumerate() {
            let conn = &mut self.model.conns[number];
            let Some(client) = client.as_mut().filter(|_| conn.mode != Mode::Ended) else {
                continue;
            };
            // One that was told why may be waited for.
            let is_open = self.server.is_open(&client.peer);
            if !is_open || client.has_end {
                client.note_end(conn, first_kept, self.rules.max_queue);
                ended.push((client.peer.id(), number, is_open));
            }
        }
        ended.sort_unstable(); // in the order in which messages are sent
        for (_, number, is_open) in &ended {
            self.model.end(*number, *is_open);
        }
        self.model.settle();
        !ended.is_empty()
    }

    /// Nobody lags further than the hub allows. The rest of a long history waits for its reader.
    fn check_lag(&self) {
        for (number, conn) in self.model.conns.iter().enumerate() {
            let least: usize = conn.wanted.iter().map(|wanted| wanted.sizes().0).sum();
            assert!(
                !conn.is_live() || conn.replays || least <= self.rules.max_queue + self.socket_size,
                "client {number} lags by {least} bytes"
            );
        }
    }

    /// The client stops reading, or reads again. One that gets answers stops when it subscribes: the
    /// hub does not take requests whose answers are not read.
    pub(super) fn hold(&mut self) {
        let is_live = matches!(self.mode(), Mode::Stream | Mode::Socket);
        let client = self.client();
        match is_live {
            true => client.holds = !client.holds,
            false => client.will_hold = !client.will_hold,
        }
        self.turn();
    }

    /// The client sends no more, and the hub closes its connection.
    pub(super) fn end_writing(&mut self) {
        self.turn();
        if self.client().holds {
            return;
        }
        self.client().peer.end_writing();
        let conn = &mut self.model.conns[self.current];
        if conn.mode != Mode::Ended {
            conn.wanted.push_back(Wanted::End);
        }
        self.model.end(self.current, false);
        self.turn();
        self.leave();
    }

    /// The client leaves. The next one comes when it has something to do.
    pub(super) fn leave(&mut self) {
        if self.is_arriving {
            self.turn();
        }
        // What is not sent is lost.
        if let Some(client) = self.clients[self.current].take() {
            drop(client);
            self.model.leave(self.current);
            self.turn();
        }
    }

    /// All clients read what there is for them, and leave.
    pub(super) fn finish(mut self) {
        for number in 0..CLIENTS {
            self.switch(number);
            if let Some(client) = &mut self.clients[number] {
                client.holds = false;
                self.send(0);
                self.turn();
            }
        }
        for number in 0..CLIENTS {
            self.current = number;
            self.leave();
        }
        assert_eq!(self.server.leftovers(), None);
    }
}
