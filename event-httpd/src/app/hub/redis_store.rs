//! The store in Redis: each update is an entry of one stream, and the stream's order is the order
//! of all hubs.
//!
//! Each worker has two connections of its own: one for commands, and one whose `XREAD` waits for
//! the next entries. Nothing goes over the bus. What the store reports is queued for
//! [`RedisStore::take`], in order.
//!
//! [`queue`] keeps what waits for the store, [`reading`] follows the stream, [`pages`] reads the
//! history, [`registry`] knows the active subscriptions, [`removal`] ends those of lost workers.

mod entries;
mod index;
mod pages;
mod queue;
mod reading;
mod registry;
mod removal;
mod values;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::history::PageSize;
use super::message::{Ask, From, Position, Reason, Tell, Ticket};
use crate::buffer::Buffer;
use crate::config::{HubConfig, QueueLimits};
use crate::redis::{Client, Cmd, Incoming, ServerError, Settings, Value, cmd};
use crate::time::{self, Alarm};
use hub_protocol::Update;
use hub_protocol::update::new_id;
use index::Index;
use pages::{Ahead, PageAsked, Sought};
use php_event::{Event, EventBase};
use queue::{Publication, Queue};
use reading::{Read, Reading};
use registry::{Asked, Registry};

/// The fewest entries that the stream keeps, so that a reader that is a little slower than the
/// publishers still finds the next entry.
const KEEP_MIN: usize = 1000;

/// How many entries `MAXLEN ~` may keep beyond its limit, with a margin.
const KEEP_EXTRA: usize = 512;

/// Errors of a server that cannot be used now. A new connection may reach one that can.
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
    page: PageSize,
    wake: OnceCell<Box<dyn Fn()>>,
    told: RefCell<VecDeque<Rc<Buffer>>>, // for the hub
    commands: OnceCell<Client<Command>>,
    reader: OnceCell<Client<Read>>,
    presence: Cell<Presence>,
    reason: RefCell<String>,        // why it is away
    lost_at: Cell<Option<Instant>>, // when it was first found to be away, before its end was known
    index: RefCell<Index>,
    registry: Registry,
    reading: Cell<Reading>,
    position: Cell<Option<Position>>, // of the last entry that was reported
    told_id: RefCell<Option<Rc<str>>>, // of its update, once one was reported
    publish_error: RefCell<String>,   // the last one, until an update is kept
    publish_numbers_key: String, // of the numbers of the updates that this worker has published
    queue: RefCell<Queue>,
    expiry: OnceCell<Alarm>, // when an update has waited in the queue for too long
    paging: RefCell<BTreeMap<Ticket, From>>, // until it is present, in the order of the requests
    pages_sent: Cell<usize>, // requests for pages, and looks for updates, without their replies
    ahead: RefCell<Vec<Ahead>>,
}

/// What a command is for.
enum Command {
    Publish(Ticket),
    Page(PageAsked),
    Seek(Sought),
    Registry(Asked),
}

impl RedisStore {
    pub(super) fn new(
        config: &Arc<HubConfig>,
        settings: &Arc<Settings>,
        queue: QueueLimits,
        max_queue: usize,
    ) -> Self {
        let keep = config.history.updates.max(KEEP_MIN);
        Self(Rc::new(Inner {
            config: Arc::clone(config),
            registry: Registry::new(),
            key: settings.target.key("updates"),
            settings: Arc::clone(settings),
            keep,
            page: PageSize::for_queue(max_queue),
            wake: OnceCell::new(),
            told: RefCell::default(),
            commands: OnceCell::new(),
            reader: OnceCell::new(),
            presence: Cell::new(Presence::Starting),
            reason: RefCell::default(),
            lost_at: Cell::new(None),
            index: RefCell::new(Index::new(keep.saturating_add(KEEP_EXTRA))),
            reading: Cell::new(Reading::Loading),
            publish_error: RefCell::default(),
            position: Cell::new(None),
            told_id: RefCell::default(),
            publish_numbers_key: settings.target.key(&format!("published:{}", new_id())),
            queue: RefCell::new(Queue::new(queue)),
            expiry: OnceCell::new(),
            paging: RefCell::default(),
            pages_sent: Cell::new(0),
            ahead: RefCell::default(),
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
        let weak = Rc::downgrade(inner);
        let expiry = Event::timer(base, move |_event| {
            if let Some(inner) = weak.upgrade() {
                inner.expire();
            }
        })?;
        inner.expiry.get_or_init(|| Alarm::new(expiry));
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

    /// Nobody waits for that page any more.
    pub(super) fn forget_page(&self, ticket: Ticket) {
        self.0.paging.borrow_mut().remove(&ticket);
        self.0.forget_ahead(ticket);
    }

    /// The next report.
    pub(super) fn take(&self) -> Option<Rc<Buffer>> {
        self.0.told.borrow_mut().pop_front()
    }

    /// Whether the store has confirmed every change of the worker's subscriptions, or is away.
    pub(super) fn is_drained(&self) -> bool {
        self.0.presence.get() != Presence::Present || self.0.registry.is_drained()
    }

    pub(super) fn presence(&self) -> Presence {
        self.0.presence.get()
    }
}

impl Inner {
    /// A handler for a client. It does not keep the store alive.
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

    fn refuse_all(&self, refused: impl IntoIterator<Item = (Ticket, Reason)>) {
        for (ticket, reason) in refused {
            self.tell(&Tell::Refused(ticket, reason));
        }
    }

    fn publish(&self, ticket: Ticket, encoded: &[u8]) {
        let Ok(update) = Update::decode(encoded) else {
            tracing::error!("an update cannot be kept: it is not encoded as it should be");
            return self.tell(&Tell::Refused(ticket, Reason::Unavailable));
        };
        let mut queue = self.queue.borrow_mut();
        let command = if queue.is_on() {
            let numbers = (ticket, queue.first_number(ticket));
            let content = (&*update.id, encoded);
            let key = &self.publish_numbers_key;
            queue::keep_once(&self.key, key, numbers, self.keep, content)
        } else {
            self.keep(&update.id, encoded)
        };
        let publication = Publication::new(ticket, command, time::now());
        let may_wait = queue.is_on() || self.presence.get() == Presence::Starting;
        if !self.takes_updates() {
            let reason = match (may_wait, queue.has_room_for(&publication)) {
                (true, true) => None,
                (true, false) => Some(Reason::QueueFull),
                (false, _) => Some(Reason::Unavailable),
            };
            if let Some(reason) = reason {
                drop(queue);
                return self.tell(&Tell::Refused(ticket, reason));
            }
        }
        queue.push(publication);
        drop(queue);
        self.watch_expiry();
        self.send_updates();
    }

    /// Whether an update can be sent now. One that is sent before the end of the stream is known
    /// would not reach the subscribers that have their answers.
    fn takes_updates(&self) -> bool {
        let commands = self.commands.get();
        let knows_end = self.position.get().is_some();
        knows_end && commands.is_some_and(|commands| commands.is_ready() && !commands.is_behind())
    }

    /// Sends the updates that wait, as far as the store takes them.
    fn send_updates(&self) {
        let Some(commands) = self.commands.get() else {
            return;
        };
        while self.takes_updates() {
            let mut queue = self.queue.borrow_mut();
            let Some((ticket, command)) = queue.next() else {
                return;
            };
            if commands.send(Command::Publish(ticket), command).is_err() {
                return; // the connection fails, and the next one begins again
            }
            queue.note_sent();
        }
    }

    /// Makes the timer fire when the first update has waited for too long.
    fn watch_expiry(&self) {
        let next = self.queue.borrow().next_expiry();
        if let (Some(next), Some(expiry)) = (next, self.expiry.get())
            && !expiry.is_set()
            && let Err(error) = expiry.set(next.saturating_duration_since(time::now()))
        {
            tracing::error!("{error}"); // the next update tries again
        }
    }

    /// Refuses the updates that have waited for too long.
    fn expire(&self) {
        let expired = self.queue.borrow_mut().take_expired(time::now());
        self.refuse_all(expired);
        self.watch_expiry();
    }

    /// The command that keeps an update.
    fn keep(&self, id: &str, encoded: &[u8]) -> Cmd {
        let mut command = cmd("XADD");
        command.arg(&self.key).arg(&["MAXLEN", "~"]).arg(self.keep);
        command.arg("*").arg(&entries::fields(id, encoded));
        command
    }

    /// The command that reads at most `count` entries, from one position to another.
    fn range(&self, from: &str, to: &str, count: usize) -> Cmd {
        let mut command = cmd("XRANGE");
        command.arg(&self.key).arg(from).arg(to);
        command.arg("COUNT").arg(count);
        command
    }

    /// The command that reads the last entries up to a position, the last first.
    fn last_entries(&self, to: &str, count: usize) -> Cmd {
        let mut command = cmd("XREVRANGE");
        command.arg(&self.key).arg(to).arg("-");
        command.arg("COUNT").arg(count);
        command
    }

    fn command_incoming(&self, incoming: Incoming<Command>) {
        match incoming {
            Incoming::Ready => {
                self.send_updates();
                self.note_presence();
            }
            Incoming::Reply(Command::Publish(ticket), value) => self.published(ticket, value),
            Incoming::Reply(Command::Page(asked), value) => {
                self.one_fewer_under_way();
                self.page_arrived(asked, value);
                self.ask_for_pages();
            }
            Incoming::Reply(Command::Seek(sought), value) => {
                self.one_fewer_under_way();
                self.sought(sought, value);
                self.ask_for_pages();
            }
            Incoming::Reply(Command::Registry(asked), value) => self.registry_arrived(asked, value),
            Incoming::Lost { reason, unanswered } => {
                self.pages_sent.set(0);
                let refused = self.queue.borrow_mut().note_lost();
                let is_queued = self.queue.borrow().is_on();
                for command in unanswered {
                    match command {
                        Command::Publish(_) if is_queued => {}
                        Command::Publish(ticket) => {
                            self.tell(&Tell::Refused(ticket, Reason::Unconfirmed));
                        }
                        Command::Page(asked) => self.page_again(asked),
                        Command::Seek(sought) => self.seek_again(sought),
                        Command::Registry(asked) => self.registry_unanswered(asked),
                    }
                }
                self.refuse_all(refused);
                self.lost(reason);
            }
        }
    }

    fn published(&self, ticket: Ticket, value: Value) {
        let error = match value {
            Value::ServerError(error) => error,
            _ => {
                self.queue.borrow_mut().note_answered(ticket);
                self.publish_error.borrow_mut().clear();
                self.tell(&Tell::Stored(ticket));
                return self.send_updates(); // the store may have been behind
            }
        };
        let text = error.to_string();
        if is_for_another_server(&error) {
            if !self.queue.borrow().is_on() {
                self.tell(&Tell::Refused(ticket, Reason::Unavailable));
            }
            return reconnect(self.commands.get(), &text);
        }
        let reason = match self.queue.borrow_mut().note_refused(ticket) {
            true => Reason::Unconfirmed,
            false => Reason::Unavailable,
        };
        self.tell(&Tell::Refused(ticket, reason));
        if *self.publish_error.borrow() != text {
            let target = &self.settings.target;
            tracing::error!("the store at {target} refuses updates: {text}");
            *self.publish_error.borrow_mut() = text;
        }
        self.send_updates();
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
        let refused = match self.queue.borrow_mut() {
            queue if queue.is_on() => Vec::new(),
            mut queue => queue.note_lost(),
        };
        self.refuse_all(refused);
        self.all_ahead_again();
        if self.position.get().is_none() && self.lost_at.get().is_none() {
            self.lost_at.set(Some(time::now()));
        }
        let target = &self.settings.target;
        if self.presence.replace(Presence::Away) != Presence::Away {
            tracing::warn!("the store at {target} is unavailable: {reason}");
            self.tell(&Tell::Away);
        } else if *self.reason.borrow() != reason {
            tracing::warn!("the store at {target} is still unavailable: {reason}");
        }
        *self.reason.borrow_mut() = reason;
    }
}

/// Whether an error says that another server may do what this one does not.
fn is_for_another_server(error: &ServerError) -> bool {
    let details = error.details().unwrap_or_default();
    // Before Redis 7, the error of a command in a script is in the text of the script's.
    let is_in_text = |code: &&str| details.contains(&format!("-{code} "));
    ELSEWHERE.contains(&error.code()) || ELSEWHERE.iter().any(is_in_text)
}

/// A time in whole milliseconds.
fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Closes a connection: the next one may reach a server that can be used.
fn reconnect<T: 'static>(client: Option<&Client<T>>, reason: &str) {
    if let Some(client) = client {
        client.disconnect(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(reply: &str) -> ServerError {
        let value = crate::redis::parse(reply.as_bytes());
        let Value::ServerError(error) = value else {
            panic!("{reply} is no error");
        };
        error
    }

    #[test]
    fn errors_of_a_server_that_is_no_master_lead_to_another_connection() {
        for (reply, leads) in [
            (
                "-READONLY You can't write against a read only replica.\r\n",
                true,
            ),
            ("-MASTERDOWN Link with MASTER is down.\r\n", true),
            ("-LOADING Redis is loading the dataset in memory\r\n", true),
            (
                "-READONLY You can't write. script: 0a, on @user_script:2.\r\n",
                true,
            ),
            (
                "-ERR Error running script (call to f_0a): @user_script:2: -READONLY You can't write\r\n",
                true,
            ),
            (
                "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
                false,
            ),
            ("-NOPERM no permissions\r\n", false),
            ("-ERR unknown command READONLY\r\n", false),
        ] {
            assert_eq!(is_for_another_server(&error(reply)), leads, "{reply}");
        }
    }
}
