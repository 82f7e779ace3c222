//! The store in Redis: each update is an entry of one stream, and the stream's order is the order
//! of all hubs.
//!
//! Each worker has two connections of its own: one for commands, and one whose `XREAD` waits for
//! the next entries. Nothing goes over the bus. What the store reports is queued for
//! [`RedisStore::take`], in order.
//!
//! [`reading`] follows the stream, [`pages`] reads the history, [`registry`] knows the active
//! subscriptions.

mod entries;
mod index;
mod pages;
mod reading;
mod registry;
mod values;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use super::message::{Ask, From, Position, Tell, Ticket};
use crate::buffer::Buffer;
use crate::config::HubConfig;
use crate::redis::{Client, Cmd, Incoming, Settings, Value, cmd};
use hub_protocol::Update;
use index::Index;
use pages::PageAsked;
use php_event::EventBase;
use reading::{Read, Reading};
use registry::{Asked, Registry};

/// The fewest entries that the stream keeps. A reader that is not much slower than publishers
/// finds the next entry there.
const KEEP_MIN: usize = 1000;

/// How many entries `MAXLEN ~` may keep beyond its limit, with a margin.
const KEEP_EXTRA: usize = 512;

/// Errors of a server that cannot store updates now: a new connection may reach one that can.
const ELSEWHERE: [&str; 4] = ["READONLY", "LOADING", "MASTERDOWN", "NOAUTH"];

/// Whether the store can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// The first connections are not made yet.
    Starting,
    /// It answers.
    Present,
    /// It does not answer, or not yet.
    Away,
}

/// The store of one worker.
pub(super) struct RedisStore(Rc<Inner>);

struct Inner {
    config: Arc<HubConfig>,
    settings: Arc<Settings>,
    key: String,
    keep: usize,
    wake: OnceCell<Box<dyn Fn()>>,
    told: RefCell<VecDeque<Rc<Buffer>>>, // for the hub
    commands: OnceCell<Client<Command>>,
    reader: OnceCell<Client<Read>>,
    presence: Cell<Presence>,
    reason: RefCell<String>, // why it is away
    index: RefCell<Index>,
    registry: Registry,
    reading: Cell<Reading>,
    position: Cell<Option<Position>>, // of the last entry that was told
    publish_error: RefCell<String>,   // the last one, until an update is kept
    publishing: RefCell<Vec<(Ticket, Cmd)>>, // while it is starting
    paging: RefCell<Vec<(Ticket, From)>>, // until it is present
}

/// What a command is for.
enum Command {
    Publish(Ticket),
    Page(PageAsked),
    Registry(Asked),
}

impl RedisStore {
    pub(super) fn new(config: &Arc<HubConfig>, settings: &Arc<Settings>) -> Self {
        let keep = config.history.updates.max(KEEP_MIN);
        Self(Rc::new(Inner {
            config: Arc::clone(config),
            registry: Registry::new(),
            key: settings.target.key("updates"),
            settings: Arc::clone(settings),
            keep,
            wake: OnceCell::new(),
            told: RefCell::default(),
            commands: OnceCell::new(),
            reader: OnceCell::new(),
            presence: Cell::new(Presence::Starting),
            reason: RefCell::default(),
            index: RefCell::new(Index::new(keep.saturating_add(KEEP_EXTRA))),
            reading: Cell::new(Reading::Loading),
            publish_error: RefCell::default(),
            position: Cell::new(None),
            publishing: RefCell::default(),
            paging: RefCell::default(),
        }))
    }

    /// Connects. `wake` is called when there is something to [`take`](Self::take).
    ///
    /// # Errors
    /// The library's, when a client cannot be made.
    pub(super) fn start(
        &self,
        base: &EventBase,
        wake: impl Fn() + 'static,
    ) -> php_event::Result<()> {
        let inner = &self.0;
        inner.wake.get_or_init(|| Box::new(wake));
        let commands = Client::start(
            base,
            &inner.settings,
            inner.handler(Inner::command_incoming),
        )?;
        inner.commands.get_or_init(|| commands);
        let reader = Client::start(base, &inner.settings, inner.handler(Inner::reader_incoming))?;
        inner.reader.get_or_init(|| reader);
        match inner.config.subscriptions {
            true => inner.start_registry(base),
            false => Ok(()),
        }
    }

    /// Does what the hub asks.
    pub(super) fn ask(&self, ask: Ask<'_>) {
        match ask {
            Ask::Publish(ticket, encoded) => self.0.publish(ticket, encoded),
            Ask::Page(ticket, from) => self.0.ask_for_page(ticket, from),
            Ask::Began(active) => self.0.began(active),
            Ask::Ended(subscriber) => self.0.ended(subscriber),
            Ask::List(ticket) => self.0.list(ticket),
        }
    }

    /// The next report.
    pub(super) fn take(&self) -> Option<Rc<Buffer>> {
        self.0.told.borrow_mut().pop_front()
    }

    /// Whether everything that the worker told of its subscriptions is kept, or cannot be.
    pub(super) fn is_drained(&self) -> bool {
        self.0.presence.get() != Presence::Present || self.0.registry.is_drained()
    }

    pub(super) fn presence(&self) -> Presence {
        self.0.presence.get()
    }
}

impl Inner {
    /// A handler for a client, which does not keep the store.
    fn handler<T: 'static>(
        self: &Rc<Self>,
        work: fn(&Self, Incoming<T>),
    ) -> impl Fn(Incoming<T>) + 'static {
        let weak: Weak<Self> = Rc::downgrade(self);
        move |incoming| {
            if let Some(inner) = weak.upgrade() {
                work(&inner, incoming);
            }
        }
    }

    /// Reports to the hub.
    fn tell(&self, tell: &Tell<'_>) {
        self.told.borrow_mut().push_back(tell.encode());
        self.wake();
    }

    fn wake(&self) {
        if let Some(wake) = self.wake.get() {
            wake();
        }
    }

    fn publish(&self, ticket: Ticket, encoded: &[u8]) {
        let Ok(update) = Update::decode(encoded) else {
            tracing::error!("an update cannot be kept: it is not encoded as it should be");
            return self.tell(&Tell::Refused(ticket));
        };
        self.send_publish(ticket, self.keep(&update.id, encoded));
    }

    /// The command that keeps an update.
    fn keep(&self, id: &str, encoded: &[u8]) -> Cmd {
        let mut command = cmd("XADD");
        command.arg(&self.key).arg(&["MAXLEN", "~"]).arg(self.keep);
        command.arg("*").arg(entries::ID).arg(id);
        command.arg(entries::UPDATE).arg(encoded);
        command
    }

    fn send_publish(&self, ticket: Ticket, command: Cmd) {
        let Some(commands) = self.commands.get() else {
            return self.publishing.borrow_mut().push((ticket, command));
        };
        if self.presence.get() == Presence::Starting && !commands.is_ready() {
            return self.publishing.borrow_mut().push((ticket, command));
        }
        if commands.is_behind() || commands.send(Command::Publish(ticket), &command).is_err() {
            self.tell(&Tell::Refused(ticket));
        }
    }

    fn command_incoming(&self, incoming: Incoming<Command>) {
        match incoming {
            Incoming::Ready => {
                for (ticket, command) in self.publishing.take() {
                    self.send_publish(ticket, command);
                }
                self.note_presence();
            }
            Incoming::Reply(Command::Publish(ticket), value) => self.published(ticket, value),
            Incoming::Reply(Command::Page(asked), value) => self.page_arrived(asked, value),
            Incoming::Reply(Command::Registry(asked), value) => self.registry_arrived(asked, value),
            Incoming::Lost { reason, unanswered } => {
                for command in unanswered {
                    match command {
                        Command::Publish(ticket) => self.tell(&Tell::Refused(ticket)),
                        Command::Page(asked) => self.paging.borrow_mut().push(asked.again()),
                        Command::Registry(asked) => self.registry_unanswered(asked),
                    }
                }
                self.lost(reason);
            }
        }
    }

    fn published(&self, ticket: Ticket, value: Value) {
        let Value::ServerError(error) = value else {
            self.publish_error.borrow_mut().clear();
            return self.tell(&Tell::Stored(ticket));
        };
        self.tell(&Tell::Refused(ticket));
        let text = error.to_string();
        if ELSEWHERE.contains(&error.code()) {
            self.failed(&text, self.commands.get());
        } else if *self.publish_error.borrow() != text {
            let target = &self.settings.target;
            tracing::error!("the store at {target} refuses updates: {text}");
            *self.publish_error.borrow_mut() = text;
        }
    }

    /// Drops the connection: the next one may reach a working server.
    fn failed<T: 'static>(&self, error: &str, client: Option<&Client<T>>) {
        if let Some(client) = client {
            client.disconnect(error);
        }
    }

    /// Notes that the store is there, if both connections can be used.
    fn note_presence(&self) {
        let is_present = self.commands.get().is_some_and(Client::is_ready)
            && self.reading.get() == Reading::Following;
        if !is_present || self.presence.get() == Presence::Present {
            return;
        }
        let before = self.presence.replace(Presence::Present);
        let target = &self.settings.target;
        match before {
            Presence::Away => tracing::info!("the store at {target} is back"),
            _ => tracing::debug!("the store at {target} answers"),
        }
        self.reason.borrow_mut().clear();
        self.ask_for_pages();
        self.registry_is_present();
    }

    /// One of the connections is lost.
    fn lost(&self, reason: String) {
        for (ticket, _) in self.publishing.take() {
            self.tell(&Tell::Refused(ticket));
        }
        let target = &self.settings.target;
        if self.presence.replace(Presence::Away) != Presence::Away {
            tracing::warn!("the store at {target} is away: {reason}");
            self.tell(&Tell::Away);
        } else if *self.reason.borrow() != reason {
            tracing::warn!("the store at {target} is still away: {reason}");
        }
        *self.reason.borrow_mut() = reason;
    }
}
