//! Two hubs, their store, and their clients.

use std::time::Duration;

use fuzz_server::{Options, Peer, Server};
use memchr::memmem;
use serde_json::Value;

use super::publisher::{Publisher, Way};
use super::redis::{Loss, Redis};
use super::subscriber::Subscriber;
use super::truth::Topics;
use crate::app::hub::redis_store::entries;

pub(super) const HUBS: usize = 2;
pub(super) const SUBSCRIBERS: usize = 4;

/// Updates that wait for their answers.
const PUBLISHERS_MAX: usize = 24;

/// Updates of hubs, and of others, in one run.
const PUBLISHED_MAX: usize = 300;
const ADDED_MAX: usize = 4000;

/// The least that a stream keeps, by the rules of hubs.
const KEEP: usize = 1000;

/// What waits in a hub's queue.
pub(super) const QUEUE_MAX: usize = 5;

/// Milliseconds after which an update in a queue has time left, when a hub finds its store again.
const FRESH: u64 = 2000;

/// Seconds after which everything has to be as it should, once the store is well.
const HEALING: usize = 60;

/// What the options say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choices {
    /// Whether subscriptions are told and listed.
    pub(super) is_listing: bool,
    /// Whether updates wait for the store.
    pub(super) is_queueing: bool,
}

/// A hub.
struct Hub {
    server: Server,
    /// Whether it does nothing for now: it is slower than the other.
    is_frozen: bool,
    /// Whether it was told to stop. Nobody reaches it any more.
    is_stopping: bool,
    turns: usize,
}

impl Hub {
    fn new(options: &Options) -> Self {
        Self {
            server: Server::new(options),
            is_frozen: false,
            is_stopping: false,
            turns: 0,
        }
    }
}

/// Everything.
pub(super) struct Play<'a> {
    options: &'a Options,
    token: &'a str,
    choices: Choices,
    pub(super) redis: Redis,
    hubs: Vec<Hub>,
    pub(super) subscribers: Vec<Option<Subscriber>>,
    publishers: Vec<Publisher>,
    published: usize,
    added: usize,
}

impl<'a> Play<'a> {
    pub(super) fn new(
        options: &'a Options,
        token: &'a str,
        choices: Choices,
        redis: Redis,
    ) -> Self {
        Self {
            options,
            token,
            choices,
            redis,
            hubs: (0..HUBS).map(|_| Hub::new(options)).collect(),
            subscribers: (0..SUBSCRIBERS).map(|_| None).collect(),
            publishers: Vec::new(),
            published: 0,
            added: 0,
        }
    }

    /// Lets hubs, store and clients do what there is to do.
    pub(super) fn settle(&mut self) {
        let mut idle = 0;
        while idle < 2 {
            idle = if self.round() { 0 } else { idle + 1 };
        }
    }

    /// False if nothing has happened.
    fn round(&mut self) -> bool {
        let mut is_news = false;
        for hub in self.hubs.iter_mut().filter(|hub| !hub.is_frozen) {
            hub.server.turn();
            hub.turns += 1;
        }
        is_news |= self.redis.turn();
        for publisher in &mut self.publishers {
            is_news |= publisher.read(&self.redis.truth);
        }
        for subscriber in self.subscribers.iter_mut().flatten() {
            is_news |= subscriber.read(&self.redis);
        }
        let mut hubs = self.hubs.iter();
        if let Some(gone) = hubs.position(|hub| hub.is_stopping && hub.server.has_left()) {
            self.replace(gone);
            is_news = true;
        }
        is_news
    }

    /// Lets time pass.
    pub(super) fn wait(&mut self, milliseconds: u64) {
        self.redis.wait(milliseconds);
        // One clock for both.
        self.hubs[0]
            .server
            .wait(Duration::from_millis(milliseconds));
        self.settle();
    }

    /// Whoever has lost its stream connects again.
    pub(super) fn connect_all(&mut self) {
        for subscriber in self.subscribers.iter_mut().flatten() {
            let hub = &self.hubs[subscriber.hub];
            if !subscriber.is_connected() && !hub.is_stopping {
                subscriber.connect(hub.server.connect(), self.token);
            }
        }
        self.settle();
    }

    pub(super) fn subscribe(&mut self, number: usize, subscriber: Subscriber) {
        self.subscribers[number] = Some(subscriber);
        self.connect_all();
    }

    /// A subscriber goes on at the other hub.
    pub(super) fn move_on(&mut self, number: usize) {
        if let Some(subscriber) = &mut self.subscribers[number] {
            subscriber.leave();
            subscriber.hub = (subscriber.hub + 1) % HUBS;
        }
        self.connect_all();
    }

    pub(super) fn publish(&mut self, hub: usize, way: Way, topic: &str, data: &str) {
        let waiting = self.publishers.iter().filter(|one| one.waits()).count();
        let is_full = self.published == PUBLISHED_MAX || waiting == PUBLISHERS_MAX;
        if is_full || self.hubs[hub].is_stopping {
            return;
        }
        self.published += 1;
        let id = format!("p{}", self.published);
        let Hub { server, turns, .. } = &self.hubs[hub];
        let by = (way, server.connect(), self.token);
        let when = (*turns, self.redis.now());
        let publisher = Publisher::new(hub, when, (id, topic, data), by);
        self.publishers.push(publisher);
    }

    /// Other programs add updates.
    pub(super) fn add(&mut self, count: usize, topic: &str) {
        for _ in 0..count.min(ADDED_MAX - self.added) {
            self.added += 1;
            let update = hub_protocol::Update {
                id: format!("o{}", self.added),
                topics: vec![topic.to_owned()],
                data: String::new(),
                private: false,
                event_type: None,
                retry: None,
            };
            let mut encoded = Vec::new();
            update.encode(&mut encoded);
            let fields = entries::fields(&update.id, &encoded).map(<[u8]>::to_vec);
            self.redis.add(KEEP, fields.to_vec());
        }
    }

    pub(super) fn freeze(&mut self, hub: usize) {
        self.hubs[hub].is_frozen ^= true;
    }

    /// A hub stops, and another takes its place when it has.
    pub(super) fn stop(&mut self, hub: usize) {
        self.hubs[hub].is_stopping = true;
        self.hubs[hub].server.stop();
    }

    /// A hub is killed, and another takes its place.
    pub(super) fn replace(&mut self, hub: usize) {
        self.hubs[hub].server.kill();
        self.hubs[hub] = Hub::new(self.options);
        for publisher in self
            .publishers
            .iter_mut()
            .filter(|one| one.hub == Some(hub))
        {
            publisher.hub = None;
        }
    }

    /// Everything is well, and stays so until all is done. Then everything has to be right.
    pub(super) fn finish(mut self) {
        self.redis.heal();
        self.note_queued();
        self.hubs.iter_mut().for_each(|hub| hub.is_frozen = false);
        for subscriber in self.subscribers.iter_mut().flatten() {
            subscriber.holds = false;
        }
        for _ in 0..HEALING {
            self.wait(1000);
            self.connect_all();
        }
        assert!(
            self.hubs.iter().all(|hub| !hub.is_stopping),
            "a hub does not end"
        );
        self.check_publishers();
        for subscriber in self.subscribers.iter().flatten() {
            subscriber.check_complete(&self.redis);
        }
        for hub in 0..HUBS {
            let ready = self.get(hub, "/readyz");
            assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
            if self.choices.is_listing && self.redis.loss < Loss::Newest {
                self.check_list(hub);
            }
        }
        self.subscribers.clear();
        self.settle();
        for hub in &self.hubs {
            assert_eq!(hub.server.leftovers(), None);
        }
    }

    /// Notes the updates that wait in a hub's queue, and may do so until it has its store.
    fn note_queued(&mut self) {
        let now = self.redis.now();
        // A refusal may be on its way.
        let is_queueing = self.choices.is_queueing && !self.redis.has_refused;
        let waiting = |hub| self.publishers.iter().filter(move |one| one.waits_at(hub));
        let has_room = |hub: &usize| waiting(*hub).count() <= QUEUE_MAX;
        let is_here = |hub: &usize| !self.hubs[*hub].is_stopping;
        let hubs: Vec<_> = (0..HUBS).filter(has_room).filter(is_here).collect();
        for one in &mut self.publishers {
            let waits = hubs.iter().any(|hub| one.waits_at(*hub));
            one.has_to_be_kept = is_queueing && waits && one.since + FRESH >= now;
        }
    }

    fn check_publishers(&self) {
        let truth = &self.redis.truth;
        for publisher in &self.publishers {
            assert!(!publisher.waits(), "no answer: {publisher:?}");
            publisher.check(truth);
        }
        if self.redis.has_refused {
            return; // it may have taken the next
        }
        for hub in 0..HUBS {
            let own = self.publishers.iter().filter(|one| one.hub == Some(hub));
            let mut places: Vec<_> = own.filter_map(|one| one.place(truth)).collect();
            places.sort_unstable_by_key(|(_, serial)| *serial);
            let is_ordered = places.is_sorted_by_key(|(turn, _)| turn);
            assert!(is_ordered, "turns and places: {places:?}");
        }
    }

    /// What a hub answers to a request.
    fn get(&mut self, hub: usize, path: &str) -> String {
        let peer: Peer = self.hubs[hub].server.connect();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
            self.token
        );
        peer.send(request.as_bytes());
        self.settle();
        let mut got = Vec::new();
        assert!(peer.receive(&mut got), "an answer to {path}, and the end");
        String::from_utf8(got).expect("text")
    }

    /// Checks the list of subscriptions: those of the subscribers, as the events say, too.
    fn check_list(&mut self, hub: usize) {
        let answer = self.get(hub, "/.well-known/mercure/subscriptions");
        let start = memmem::find(answer.as_bytes(), b"\r\n\r\n").expect("a body") + 4;
        let list: Value = serde_json::from_str(&answer[start..]).expect("JSON");
        let list = list["subscriptions"].as_array().expect("a list");
        let text = |one: &Value, name: &str| one[name].as_str().expect("a text").to_owned();
        let mut paths: Vec<_> = list.iter().map(|one| text(one, "id")).collect();
        let mut topics: Vec<_> = list.iter().map(|one| text(one, "topic")).collect();
        paths.sort();
        topics.sort();
        let present = self.subscribers.iter().flatten();
        let mut wanted: Vec<_> = present.map(|one| one.topics.matcher().to_owned()).collect();
        wanted.sort();
        assert_eq!(topics, wanted, "the list of hub {hub}");
        if self.redis.loss == Loss::Nothing {
            let told = self.redis.truth.active();
            assert_eq!(told, paths, "the events, and the list of hub {hub}");
        }
    }
}

/// Topics that subscribers ask for.
pub(super) const TOPICS: [Topics; 3] = [Topics::Only("a"), Topics::Only("b"), Topics::All];
