//! The hub: publishers send updates, subscribers receive them (the Mercure protocol).
//!
//! A worker checks requests and asks the store, which is in the master, in this process if there
//! is no master, or in Redis. The store reports in the same order to every worker: an update
//! reaches the subscribers only from there, and its publisher gets 200 once it is kept.

mod framed;
mod history;
mod ids;
mod listing;
mod local_store;
mod master_store;
mod message;
mod metadata;
mod publishing;
mod rate;
mod redis_store;
mod replay;
mod reply;
mod request;
mod socket;
mod sources;
mod store;
mod subscribers;
mod subscribing;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::{Answer, App, Due, Holdings, Parting, Received, Request, Takes};
use crate::answer::FieldLine;
use crate::buffer::Buffer;
use crate::config::{HubConfig, LIVENESS, READINESS, StoreConfig};
use crate::time;
use crate::worker::Worker;
use hub_protocol::{MatcherCache, Refusal, Update, event_stream};

use listing::Active;
use local_store::LocalStore;
use master_store::MasterStore;
use message::{Ask, Tell, Ticket};
use rate::PublishRate;
use redis_store::{Presence, RedisStore};
use replay::{OpenPage, Part};
use reply::{Asker, Reply};
use request::Head;
use socket::{Farewell, Socket};
use sources::Sources;
pub(crate) use store::MemoryStore;
use subscribers::{Progress, Subscribers};

/// Bytes of one matcher.
const MATCHER_MAX: usize = 2048;

/// When a subscriber without a heartbeat is looked at again.
const SELDOM: Duration = Duration::from_secs(24 * 3600);

/// How long before its token expires a subscriber's connection ends: a deadline may be met this
/// late.
const BEFORE_EXPIRY: Duration = Duration::from_millis(100);

const PAGE: &str = include_str!("hub/page.html");

/// The hub's part in one worker.
pub(crate) struct Hub {
    config: Arc<HubConfig>,
    headers: Vec<FieldLine>,
    store: Store,
    matchers: MatcherCache,
    subscribers: Subscribers,
    pending: RefCell<HashMap<Ticket, Pending>>,
    next_ticket: Cell<Ticket>,
    page: RefCell<Option<OpenPage>>,
    heartbeat: OnceCell<Rc<Buffer>>,
    ping: OnceCell<Rc<Buffer>>,
    rate: PublishRate,
    sources: Sources,
}

/// Where the store is.
enum Store {
    /// In this process.
    Here(Box<LocalStore>),
    /// In the master.
    Master(MasterStore),
    /// In Redis, to which this process has connections.
    Redis(RedisStore),
}

/// What waits for the store.
enum Pending {
    /// A publisher waits for its answer.
    Publisher {
        connection: u64,
        id: String,
        asker: Asker,
    },
    /// A WebSocket waits for the answer to a message.
    Sender { connection: u64, id: String },
    /// A subscriber that begins in the past waits for its answer.
    Joining(Box<replay::Joining>),
    /// A subscriber has its answer, and waits for the updates after the one with this id, or for
    /// all.
    Resuming(u64, Option<String>),
    /// Somebody waits for the list of subscriptions.
    Listing(Box<listing::Listing>),
    /// A subscriber waits for the next page of the history.
    Reader(u64),
}

impl Hub {
    /// The hub of a process that has a master, or is alone. `max_queue` is how much may wait for a
    /// subscriber.
    pub(crate) fn new(
        config: Arc<HubConfig>,
        headers: Vec<FieldLine>,
        has_master: bool,
        max_queue: usize,
    ) -> Self {
        let store = match &config.store {
            StoreConfig::Redis(settings, queue) => {
                Store::Redis(RedisStore::new(&config, settings, *queue, max_queue))
            }
            StoreConfig::Memory if has_master => Store::Master(MasterStore::default()),
            StoreConfig::Memory => {
                Store::Here(Box::new(LocalStore::new(Arc::clone(&config), max_queue)))
            }
        };
        Self {
            headers,
            store,
            matchers: MatcherCache::new(config.url.clone(), MATCHER_MAX),
            subscribers: Subscribers::default(),
            pending: RefCell::default(),
            next_ticket: Cell::new(0),
            page: RefCell::default(),
            heartbeat: OnceCell::new(),
            ping: OnceCell::new(),
            rate: PublishRate::new(config.publish_rate),
            sources: Sources::new(config.subscribers_per_address),
            config,
        }
    }

    /// Asks the store, and notes who waits for its report.
    fn ask<'a>(&self, worker: &Worker, pending: Pending, ask: impl FnOnce(Ticket) -> Ask<'a>) {
        let ticket = self.new_ticket();
        self.ask_as(worker, ticket, pending, ask(ticket));
    }

    /// As [`ask`](Self::ask), with a ticket that the caller knows.
    fn ask_as(&self, worker: &Worker, ticket: Ticket, pending: Pending, ask: Ask<'_>) {
        self.pending.borrow_mut().insert(ticket, pending);
        self.tell_store(worker, ask);
    }

    fn new_ticket(&self) -> Ticket {
        let ticket = self.next_ticket.get();
        self.next_ticket.set(ticket.wrapping_add(1));
        ticket
    }

    /// Nobody waits for that page any more.
    fn forget_page(&self, ticket: Ticket) {
        self.pending.borrow_mut().remove(&ticket);
        match &self.store {
            Store::Here(_) => {}
            Store::Master(store) => store.forget_page(ticket),
            Store::Redis(store) => store.forget_page(ticket),
        }
    }

    /// Passes the store a message.
    fn tell_store(&self, worker: &Worker, ask: Ask<'_>) {
        match &self.store {
            Store::Here(store) if store.ask(&ask) => worker.wake_app(),
            Store::Here(_) => worker.wake_app_next_turn(),
            Store::Master(store) => Self::tell_master(worker, store.ask(ask)),
            Store::Redis(store) => store.ask(ask),
        }
    }

    fn tell_master(worker: &Worker, ask: Option<Ask<'_>>) {
        if let Some(ask) = ask {
            worker.publish(worker.buffer(ask.encode()));
        }
    }

    /// Whether the store can be used. One in memory always can.
    fn presence(&self) -> Presence {
        match &self.store {
            Store::Here(_) | Store::Master(_) => Presence::Present,
            Store::Redis(store) => store.presence(),
        }
    }

    /// Takes what the store reports.
    fn take(&self, worker: &Rc<Worker>, message: &[u8]) {
        match Tell::decode(message) {
            Some(Tell::Update(encoded)) => {
                let update = Update::decode(encoded);
                if let Err(error) = &update {
                    tracing::error!("the store sent an unknown update: {error}");
                }
                if self.page.borrow().is_some() {
                    self.page_part(worker, update.ok().map(Part::Update));
                } else if let Ok(update) = update {
                    self.subscribers.deliver(worker, &update, &self.config.url);
                    worker.catch_up();
                }
            }
            Some(Tell::Active(bytes)) => {
                let active = Active::decode(bytes);
                if active.is_none() {
                    tracing::error!("the store sent an unknown subscription");
                }
                self.page_part(worker, active.map(Part::Active));
            }
            Some(Tell::Stored(ticket)) => self.stored(worker, ticket),
            Some(Tell::Refused(ticket, reason)) => self.refused(worker, ticket, reason),
            Some(Tell::Away) => self.store_is_away(worker),
            Some(Tell::Gap) => {
                worker.counters().gaps.add(1);
                self.subscribers.end_live();
            }
            Some(Tell::Page(ticket, page)) => self.page_begins(worker, ticket, page),
            None => tracing::error!("the store sent a message of an unknown kind"),
        }
    }

    /// What `work` makes of the WebSocket of a connection, if it has one.
    fn of_socket<T>(&self, id: u64, work: impl FnOnce(&Socket) -> T) -> Option<T> {
        self.subscribers.get(id)?.socket.as_deref().map(work)
    }

    fn reply<'a>(&self, status: u16, asker: &'a Asker) -> Reply<'a> {
        Reply::new(status, asker, &self.config.cors, &self.headers)
    }

    fn refuse(&self, worker: &Worker, refusal: &Refusal, asker: &Asker) -> Answer {
        worker.counters().refusals.add(1);
        worker
            .buffer(reply::refusal(refusal, asker, &self.config, &self.headers))
            .into()
    }

    /// The answer to a request, by path and method.
    fn route(&self, worker: &Rc<Worker>, request: &Request<'_>) -> Answer {
        let Some(head) = Head::read(request.head) else {
            let asker = Asker::of_nobody();
            return worker
                .buffer(self.reply(400, &asker).text("no head"))
                .into();
        };
        let asker = Asker::of(request, &head, &self.config.cors);
        let whole = |bytes: Vec<u8>| Answer::from(worker.buffer(bytes));
        let read_only = matches!(head.method(), "GET" | "HEAD");
        let path = head.path;
        if path == self.config.url.path() {
            let answer = match head.method() {
                "GET" => self.subscribe(worker, request, &head, &asker),
                "HEAD" => self.describe(worker, &head, &asker),
                "POST" => self.publish(worker, request, &head, &asker),
                "OPTIONS" => Ok(whole(self.preflight(&asker, "GET, HEAD, POST"))),
                _ => Ok(whole(self.not_allowed(&asker, "GET, HEAD, POST, OPTIONS"))),
            };
            return answer.unwrap_or_else(|refusal| self.refuse(worker, &refusal, &asker));
        }
        if let Some(resource) = self.listing(path) {
            let answer = match head.method() {
                "GET" | "HEAD" => self.list(worker, request, &head, resource, &asker),
                "OPTIONS" => Ok(whole(self.preflight(&asker, "GET, HEAD"))),
                _ => Ok(whole(self.not_allowed(&asker, "GET, HEAD, OPTIONS"))),
            };
            return answer.unwrap_or_else(|refusal| self.refuse(worker, &refusal, &asker));
        }
        let known = match path {
            LIVENESS | READINESS => true,
            "/" => self.config.demo,
            _ => self.config.forms.standard && path == metadata::path(&self.config),
        };
        whole(match path {
            _ if !known => self.not_found(&asker),
            _ if !read_only => self.not_allowed(&asker, "GET, HEAD"),
            LIVENESS => self.reply(200, &asker).text("alive"),
            READINESS if worker.is_ending() => self.reply(503, &asker).text("stopping"),
            READINESS if self.presence() != Presence::Present => {
                self.reply(503, &asker).text("the store is unavailable")
            }
            READINESS => self.reply(200, &asker).text("ready"),
            "/" => self.page(&asker),
            _ => {
                let document = metadata::document(&self.config);
                self.reply(200, &asker).body("application/json", &document)
            }
        })
    }

    fn page(&self, asker: &Asker) -> Vec<u8> {
        let HubConfig { url, keys, .. } = &*self.config;
        let settings = serde_json::json!({
            "path": url.path(),
            "deployed": self.config.forms.deployed,
            "subscriptions": self.config.subscriptions,
            "issuer": keys.issuer(),
            "audience": keys.audience(),
        });
        let settings = settings.to_string().replace('<', "\\u003c"); // ends no script
        let page = PAGE.replace("HUB_SETTINGS", &settings);
        self.reply(200, asker)
            .field(
                "Content-Security-Policy",
                "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                 connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
                 frame-ancestors 'none'",
            )
            .field("Link", &self.link())
            .field("Cache-Control", "no-cache")
            .body("text/html; charset=utf-8", page.as_bytes())
    }

    /// The value of `Link` that names the hub.
    fn link(&self) -> String {
        format!("<{}>; rel=\"mercure\"", self.config.url.path())
    }

    fn not_found(&self, asker: &Asker) -> Vec<u8> {
        self.reply(404, asker).text("there is nothing here")
    }

    fn not_allowed(&self, asker: &Asker, methods: &str) -> Vec<u8> {
        self.reply(405, asker)
            .field("Allow", methods)
            .text(&format!("only {methods} are answered here"))
    }

    /// The answer to `OPTIONS`, which browsers ask before requests to another origin. `methods` are
    /// the others that the resource has.
    fn preflight(&self, asker: &Asker, methods: &str) -> Vec<u8> {
        let mut reply = self
            .reply(204, asker)
            .field("Allow", &format!("{methods}, OPTIONS"));
        if asker.may_read() {
            reply = reply
                .field("Access-Control-Allow-Methods", methods)
                .field(
                    "Access-Control-Allow-Headers",
                    "Authorization, Cache-Control, Content-Type, Last-Event-ID",
                )
                .field("Access-Control-Max-Age", "3600");
        }
        reply.empty()
    }

    /// When a stream is looked at next: for its sign of life, or because its token expires.
    fn next_due(&self, now: Instant, ends: Option<Instant>) -> Instant {
        let due = now + self.config.heartbeat.unwrap_or(SELDOM);
        ends.map_or(due, |ends| due.min(ends))
    }

    fn heartbeat(&self) -> Rc<Buffer> {
        let bytes = || Buffer::uncounted(event_stream::HEARTBEAT.to_vec());
        Rc::clone(self.heartbeat.get_or_init(bytes))
    }
}

impl App for Hub {
    fn takes(&self) -> Takes {
        Takes::Whole
    }

    fn closed(&self, worker: &Worker, id: u64) {
        if let Some(subscriber) = self.subscribers.remove(id) {
            if let Progress::Waiting(ticket) = subscriber.progress.get() {
                self.forget_page(ticket);
            }
            if let Some(socket) = &subscriber.socket {
                socket.end(worker.account());
            }
            self.retract(worker, &subscriber);
        }
    }

    fn answer(&self, worker: &Rc<Worker>, request: &Request<'_>) -> Answer {
        self.route(worker, request)
    }

    fn refusal_fields(&self, head: &[u8]) -> Vec<u8> {
        reply::refusal_fields(head, &self.config.cors)
    }

    fn received(&self, worker: &Rc<Worker>, received: Received<'_>) {
        self.socket_received(worker, &received);
    }

    fn held(&self, id: u64) -> usize {
        self.of_socket(id, Socket::memory).unwrap_or(0)
    }

    fn stops(&self, _worker: &Rc<Worker>, id: u64) -> Parting {
        let parting = self.of_socket(id, |socket| socket.parting(Farewell::Stopping));
        parting.unwrap_or(Parting::Now(None))
    }

    fn started(&self, worker: &Rc<Worker>) -> php_event::Result<()> {
        let Store::Redis(store) = &self.store else {
            return Ok(());
        };
        let weak = Rc::downgrade(worker);
        store.start(worker.base(), move || {
            if let Some(worker) = weak.upgrade() {
                worker.wake_app();
            }
        })
    }

    fn message(&self, worker: &Rc<Worker>, message: Vec<u8>) {
        self.take(worker, &message);
    }

    fn woken(&self, worker: &Rc<Worker>) {
        if let Store::Here(store) = &self.store {
            store.answer_pages();
        }
        loop {
            let next = match &self.store {
                Store::Here(store) => store.take(),
                Store::Redis(store) => store.take(),
                Store::Master(_) => None,
            };
            let Some(message) = next else { break };
            self.take(worker, &message);
        }
        if let Store::Here(store) = &self.store
            && store.has_pages()
        {
            worker.wake_app_next_turn();
        }
        worker.leave_if_done();
    }

    fn holdings(&self) -> Holdings {
        Holdings {
            subscribers: self.subscribers.len(),
            subscriptions: self.subscribers.live_matchers(),
            store_waits: self.pending.borrow().len(),
        }
    }

    fn is_drained(&self) -> bool {
        match &self.store {
            Store::Redis(store) => store.is_drained(),
            Store::Here(_) | Store::Master(_) => true,
        }
    }

    fn due(&self, worker: &Rc<Worker>, id: u64) -> Due {
        let Some(subscriber) = self.subscribers.get(id) else {
            return Due::End(None);
        };
        let now = time::now();
        if subscriber.ends.is_some_and(|ends| ends <= now) {
            tracing::debug!(id, "the subscriber's token expires");
            return Due::End(socket::expiry(&subscriber));
        }
        if let Some(socket) = &subscriber.socket {
            return self.socket_due(worker, &subscriber, socket);
        }
        Due::Send(self.heartbeat(), self.next_due(now, subscriber.ends))
    }

    fn drained(&self, worker: &Rc<Worker>, id: u64) {
        if let Some(subscriber) = self.subscribers.get(id)
            && let Progress::Replaying(position) = subscriber.progress.get()
        {
            self.ask_for_page(worker, id, &subscriber, position);
        }
    }
}

/// The time, in seconds since 1970.
fn unix_time() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// The moment at which a connection with a token that expires then has to end.
fn end_of(expires: Option<u64>) -> Option<Instant> {
    let left = Duration::from_secs(expires?).saturating_sub(unix_time());
    time::now().checked_add(left.saturating_sub(BEFORE_EXPIRY))
}
