//! The active subscriptions of all workers of all hubs.
//!
//! A sorted set lists the workers by the time when they were last seen, and a hash for each worker
//! holds its subscriptions. A worker that was not seen for a while is lost, and another one removes
//! it: see [`removal`](super::removal). Times are those of Redis's clock, in milliseconds.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Instant;

use super::removal::{Removing, is_lease};
use super::values::{milliseconds_of, texts, values};
use super::{Command, Inner, Presence, entries, is_for_another_server, reconnect};
use crate::app::hub::listing::Active;
use crate::app::hub::message::{Page, PageEnd, Reason, Tell, Ticket};
use crate::redis::{Cmd, ServerError, Value, cmd};
use crate::time::{self, Alarm};
use hub_protocol::update::new_id;
use php_event::{Event, EventBase};

/// A worker refreshes its entry every `--store-timeout`. After this many such times without a
/// refresh it is lost.
pub(super) const LOST_AFTER: u32 = 6;

/// Changes the list of this worker, enters the worker, and stores the event about the change. Redis
/// runs it as a whole: whoever was told of a subscription is told of its end too if the worker is
/// lost. Returns 1 if the worker was not entered before.
const CHANGE: &str = "\
-- begin or end a subscription
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], ARGV[2])
else redis.call('HSET', KEYS[1], ARGV[2], ARGV[3]) end
local id = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', ARGV[5], ARGV[6], ARGV[7], ARGV[8])
return redis.call('ZADD', KEYS[3], 'NX', string.match(id, '%d+'), ARGV[1])";

/// Refreshes the entry of this worker, and returns the time that it had.
const REFRESH: &str = "\
-- refresh a worker
local seen = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
return seen";

/// Seconds after which Redis forgets the subscriptions of a worker that nobody removed.
const FORGET_AFTER: u32 = 24 * 3600;

/// What a worker knows of its own subscriptions.
pub(super) struct Registry {
    pub(super) name: String,
    own: RefCell<BTreeSet<Active>>,
    changes: RefCell<BTreeMap<Active, Change>>, // not sent yet, or not confirmed
    unanswered: Cell<usize>,                    // changes without a reply
    refusal: RefCell<String>,                   // the store's last error, until it takes a refresh
    is_entered: Cell<bool>,                     // or may be: the command was sent
    present_since: Cell<Option<Instant>>,
    refresh: OnceCell<Alarm>,
}

/// A subscription has begun or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    is_active: bool,
    /// It was sent before: the store, and others, may know of it.
    may_be_known: bool,
}

/// Whether this worker may have been in the set before a command was sent.
type WasEntered = bool;

/// What a command of the registry is for.
pub(super) enum Asked {
    /// A change, whose reply means that it is kept. It is 1 if this worker was not in the set.
    Change(Active, bool, WasEntered),
    /// A command whose reply is ignored.
    Step,
    /// The time.
    Time,
    /// The time that this worker had, if it was in the set.
    Seen(WasEntered),
    /// A part of the removal of another worker.
    Removal(Removing),
    /// The workers, for a list, and the id of the last update before it was asked for: whoever has
    /// the list may follow what comes after that.
    Workers(Ticket, String),
    /// The subscriptions of one of them.
    List(Rc<List>),
}

/// A list that is being put together.
pub(super) struct List {
    ticket: Ticket,
    anchor: String,
    missing: Cell<usize>,
    found: RefCell<Vec<Vec<u8>>>,
}

impl Registry {
    pub(super) fn new() -> Self {
        Self {
            name: new_id(),
            own: RefCell::default(),
            changes: RefCell::default(),
            unanswered: Cell::new(0),
            refusal: RefCell::default(),
            is_entered: Cell::new(false),
            present_since: Cell::new(None),
            refresh: OnceCell::new(),
        }
    }

    fn change(&self, active: Active, is_active: bool) {
        let mut changes = self.changes.borrow_mut();
        let unknown_opposite = Change {
            is_active: !is_active,
            may_be_known: false,
        };
        if changes.get(&active) == Some(&unknown_opposite) {
            changes.remove(&active);
        } else {
            let change = Change {
                is_active,
                may_be_known: false,
            };
            changes.insert(active, change);
        }
    }

    /// Has a change sent again, unless it is out of date.
    fn change_again(&self, active: Active, is_active: bool) {
        if self.own.borrow().contains(&active) == is_active {
            let change = Change {
                is_active,
                may_be_known: true,
            };
            self.changes.borrow_mut().insert(active, change);
        }
    }

    /// Whether everything that was sent is kept.
    pub(super) fn is_drained(&self) -> bool {
        self.unanswered.get() == 0
    }
}

impl Inner {
    /// Starts the timer that refreshes this worker's entry.
    pub(super) fn start_registry(self: &Rc<Self>, base: &EventBase) -> php_event::Result<()> {
        let weak = Rc::downgrade(self);
        let interval = self.settings.patience;
        let refresh = Event::timer(base, move |_event| {
            let Some(inner) = weak.upgrade() else { return };
            inner.refresh();
            if let Some(refresh) = inner.registry.refresh.get()
                && let Err(error) = refresh.set(interval)
            {
                tracing::error!("{error}");
            }
        })?;
        let refresh = Alarm::new(refresh);
        refresh.set(interval)?;
        self.registry.refresh.get_or_init(|| refresh);
        Ok(())
    }

    pub(super) fn workers_key(&self) -> String {
        self.settings.target.key("workers")
    }

    pub(super) fn subscriptions_key(&self, worker: &str) -> String {
        self.settings.target.key(&format!("subscriptions:{worker}"))
    }

    pub(super) fn began(&self, active: Active) {
        self.registry.own.borrow_mut().insert(active.clone());
        self.registry.change(active, true);
        self.send_changes();
    }

    pub(super) fn ended(&self, subscriber: &str) {
        let ended = Active::take_of(&mut self.registry.own.borrow_mut(), subscriber);
        for active in ended {
            self.registry.change(active, false);
        }
        self.send_changes();
    }

    /// The store is present, perhaps again.
    pub(super) fn registry_is_present(&self) {
        self.registry.present_since.set(Some(time::now()));
        if self.config.subscriptions {
            self.refresh();
        }
    }

    /// Sends all subscriptions again, since the store may lack some.
    fn tell_all_again(&self) {
        let own = self.registry.own.borrow().clone();
        for active in own {
            self.registry.change_again(active, true);
        }
        self.send_changes();
    }

    pub(super) fn send_asked(&self, asked: Asked, command: &Cmd) -> bool {
        let sent = self
            .commands
            .get()
            .map(|commands| commands.send(Command::Registry(asked), command));
        matches!(sent, Some(Ok(())))
    }

    /// Sends the changes that were not sent yet, if the store is present.
    fn send_changes(&self) {
        if self.presence.get() != Presence::Present {
            return;
        }
        for (active, Change { is_active, .. }) in self.registry.changes.take() {
            let was_entered = self.registry.is_entered.get();
            let asked = Asked::Change(active.clone(), is_active, was_entered);
            let is_sent = self.send_asked(asked, &self.change(&active, is_active));
            let unanswered = &self.registry.unanswered;
            if is_sent {
                self.registry.is_entered.set(true);
                unanswered.set(unanswered.get() + 1);
            } else {
                self.registry.change_again(active, is_active);
            }
        }
    }

    /// The command for a subscription that begins or ends.
    fn change(&self, active: &Active, is_active: bool) -> Cmd {
        let (id, encoded) = self.event(active, is_active);
        let value = match is_active {
            true => active.encode(),
            false => Vec::new(),
        };
        let name = &self.registry.name;
        let mut command = cmd("EVAL");
        command.arg(CHANGE).arg(3).arg(self.subscriptions_key(name));
        command.arg(&self.key).arg(self.workers_key()).arg(name);
        command.arg(active.field()).arg(value).arg(self.keep);
        command.arg(&entries::fields(&id, &encoded));
        command
    }

    /// The id and the encoding of the update about a subscription that begins or ends.
    pub(super) fn event(&self, active: &Active, is_active: bool) -> (String, Vec<u8>) {
        let update = active.describe(is_active).event(&self.config.url);
        let mut encoded = Vec::new();
        update.encode(&mut encoded);
        (update.id, encoded)
    }

    /// Refreshes this worker's entry, looks for lost workers, and sends the changes again that the
    /// store has refused.
    fn refresh(&self) {
        if self.presence.get() == Presence::Present {
            self.send_asked(Asked::Time, &cmd("TIME"));
            self.send_changes();
        }
    }

    pub(super) fn list(&self, ticket: Ticket) {
        let mut command = cmd("ZRANGE");
        command.arg(self.workers_key()).arg(0).arg(-1);
        let anchor = self.index.borrow().last_id().to_owned();
        if !self.send_asked(Asked::Workers(ticket, anchor), &command) {
            self.tell(&Tell::Refused(ticket, Reason::Unavailable));
        }
    }

    pub(super) fn registry_arrived(&self, asked: Asked, value: Value) {
        if let Value::ServerError(error) = &value {
            self.registry_unanswered(asked);
            return self.registry_refused(error);
        }
        match asked {
            Asked::Step => {}
            Asked::Change(_, _, was_entered) => {
                if was_entered && value == Value::Int(1) {
                    self.tell_all_again(); // the store has lost it
                }
                self.answered_change();
            }
            Asked::Time => self.show_and_look(&value),
            Asked::Seen(was_entered) => {
                self.registry.refusal.take();
                let was_known = match value {
                    Value::BulkString(seen) => !is_lease(&seen),
                    _ => false,
                };
                if was_entered && !was_known {
                    self.tell_all_again(); // the store has lost it, or others took it for lost
                }
            }
            Asked::Removal(removing) => self.removal_arrived(removing, value),
            Asked::Workers(ticket, anchor) => self.list_workers(ticket, anchor, &texts(value)),
            Asked::List(list) => {
                list.found.borrow_mut().extend(values(value));
                list.missing.set(list.missing.get() - 1);
                if list.missing.get() == 0 {
                    self.tell_list(&list);
                }
            }
        }
    }

    /// The store has refused a command. What it refuses is sent again with each refresh, so the
    /// same error is logged once.
    fn registry_refused(&self, error: &ServerError) {
        let text = error.to_string();
        if *self.registry.refusal.borrow() != text {
            tracing::warn!("the store at {}: {text}", self.settings.target);
            *self.registry.refusal.borrow_mut() = text.clone();
        }
        if is_for_another_server(error) {
            reconnect(self.commands.get(), &text);
        }
    }

    fn answered_change(&self) {
        let unanswered = &self.registry.unanswered;
        unanswered.set(unanswered.get().saturating_sub(1));
        if unanswered.get() == 0 {
            self.wake(); // a worker that stops may wait for it
        }
    }

    fn show_and_look(&self, time: &Value) {
        let Some(now) = milliseconds_of(time) else {
            return;
        };
        let mut seen = cmd("EVAL");
        seen.arg(REFRESH).arg(1).arg(self.workers_key());
        seen.arg(&self.registry.name).arg(now);
        let asked = Asked::Seen(self.registry.is_entered.get());
        if self.send_asked(asked, &seen) {
            self.registry.is_entered.set(true);
        }
        let mut keep = cmd("EXPIRE");
        keep.arg(self.subscriptions_key(&self.registry.name))
            .arg(FORGET_AFTER);
        self.send_asked(Asked::Step, &keep);
        // After an outage, other workers may reconnect later than this one.
        let patience = self.settings.patience * LOST_AFTER;
        let since = self.registry.present_since.get();
        if since.is_some_and(|since| time::now() - since >= patience) {
            self.look_for_lost(now);
        }
    }

    fn list_workers(&self, ticket: Ticket, anchor: String, workers: &[String]) {
        let list = Rc::new(List {
            ticket,
            anchor,
            missing: Cell::new(workers.len()),
            found: RefCell::default(),
        });
        if workers.is_empty() {
            return self.tell_list(&list);
        }
        for worker in workers {
            let command = cmd("HVALS").arg(self.subscriptions_key(worker)).take();
            if !self.send_asked(Asked::List(Rc::clone(&list)), &command) {
                return self.tell(&Tell::Refused(ticket, Reason::Unavailable));
            }
        }
    }

    fn tell_list(&self, list: &List) {
        let found = list.found.borrow();
        let page = Page {
            count: found.len(),
            end: PageEnd::Complete,
            position: 0,
            anchor: &list.anchor,
        };
        self.tell(&Tell::Page(list.ticket, page));
        for active in found.iter() {
            self.tell(&Tell::Active(active));
        }
    }

    /// A command of the registry has failed, or got no reply.
    pub(super) fn registry_unanswered(&self, asked: Asked) {
        match asked {
            Asked::Change(active, is_active, _) => {
                self.registry.change_again(active, is_active);
                self.answered_change();
            }
            Asked::Workers(ticket, _) => self.tell(&Tell::Refused(ticket, Reason::Unavailable)),
            Asked::List(list) => self.tell(&Tell::Refused(list.ticket, Reason::Unavailable)),
            // Who is lost stays so, and is found again.
            Asked::Step | Asked::Time | Asked::Seen(_) | Asked::Removal(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hub_protocol::MatcherKind;

    fn active(subscriber: &str) -> Active {
        Active {
            subscriber: subscriber.to_owned(),
            kind: MatcherKind::Exact,
            text: "a".to_owned(),
            payload: None,
        }
    }

    fn changes(registry: &Registry) -> Vec<(String, bool)> {
        let changes = registry.changes.borrow();
        let one =
            |(active, change): (&Active, &Change)| (active.subscriber.clone(), change.is_active);
        changes.iter().map(one).collect()
    }

    #[test]
    fn a_subscription_that_ends_before_anybody_knows_of_it_is_not_told() {
        let registry = Registry::new();
        registry.change(active("1"), true);
        registry.change(active("1"), false);
        assert_eq!(changes(&registry), []);
    }

    #[test]
    fn the_end_of_a_subscription_whose_beginning_was_not_confirmed_is_told() {
        let registry = Registry::new();
        registry.own.borrow_mut().insert(active("1"));
        registry.change_again(active("1"), true); // it was sent, and the connection was lost
        registry.own.borrow_mut().clear();
        registry.change(active("1"), false);
        assert_eq!(changes(&registry), [("1".to_owned(), false)]);
    }

    #[test]
    fn a_change_that_is_out_of_date_is_not_sent_again() {
        let registry = Registry::new();
        registry.own.borrow_mut().insert(active("1"));
        registry.change_again(active("1"), false);
        registry.change_again(active("2"), true);
        assert_eq!(changes(&registry), []);
        registry.change_again(active("1"), true);
        registry.change_again(active("2"), false);
        let expected = [("1".to_owned(), true), ("2".to_owned(), false)];
        assert_eq!(changes(&registry), expected);
    }
}
