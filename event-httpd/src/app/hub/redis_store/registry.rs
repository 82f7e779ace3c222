//! The active subscriptions of all workers of all hubs.
//!
//! A sorted set lists the workers by the time when they were last seen, and a hash for each worker
//! holds its subscriptions. A worker that was not seen for a while is lost: another one removes its
//! subscriptions, and publishes that they have ended. Times are those of Redis's clock.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Instant;

use super::values::{milliseconds_of, texts, values};
use super::{Command, Inner, Presence, entries, is_for_another_server, milliseconds, reconnect};
use crate::app::hub::listing::Active;
use crate::app::hub::message::{Page, PageEnd, Reason, Tell, Ticket};
use crate::redis::{Cmd, ServerError, Value, cmd};
use crate::time::{self, Alarm};
use hub_protocol::update::new_id;
use php_event::{Event, EventBase};

/// A worker refreshes its entry every `--store-timeout`. After this many such times without a
/// refresh it is lost.
const LOST_AFTER: u32 = 6;

/// Changes the list of a worker, and stores the event that tells of it. Redis runs it as a whole: whoever
/// was told of a subscription learns of its end too, if the worker is lost. The end of one of another
/// worker is not told when that worker is entered again: it tells of its subscriptions anew.
const CHANGE: &str = "\
if KEYS[3] and redis.call('ZSCORE', KEYS[3], ARGV[8]) then return 0 end
if ARGV[2] == '' then redis.call('HDEL', KEYS[2], ARGV[1])
else redis.call('HSET', KEYS[2], ARGV[1], ARGV[2]) end
return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', ARGV[4], ARGV[5], ARGV[6], ARGV[7])";

/// Seconds after which Redis forgets the subscriptions of a worker that nobody removed.
const FORGET_AFTER: u32 = 24 * 3600;

/// What a worker knows of its own subscriptions.
pub(super) struct Registry {
    name: String,
    own: RefCell<BTreeSet<Active>>,
    changes: RefCell<BTreeMap<Active, Change>>, // not sent yet, or not confirmed
    unanswered: Cell<usize>,                    // changes without a reply
    orphans: RefCell<BTreeSet<String>>,         // lost workers that may be half removed
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

/// What a command of the registry is for.
pub(super) enum Asked {
    /// A change, whose reply means that it is kept.
    Change(Active, bool),
    /// A command whose reply is ignored.
    Step,
    /// The time.
    Time,
    /// Whether this worker was unknown. It may have been entered before, or not.
    Seen(bool),
    /// The workers that are lost.
    Lost,
    /// Whether this worker has removed that one.
    Removed(String),
    /// The subscriptions of a worker that was removed.
    Left(String),
    /// The end of one of them.
    End(String),
    /// Whether a worker that was removed is entered again.
    Returned(String),
    /// The workers, for a list, and the id of the last update before it was asked for: whoever has
    /// the list may follow what comes behind that.
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
            orphans: RefCell::default(),
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

    fn workers_key(&self) -> String {
        self.settings.target.key("workers")
    }

    fn subscriptions_key(&self, worker: &str) -> String {
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

    fn send_asked(&self, asked: Asked, command: &Cmd) -> bool {
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
            let own = &self.registry.name;
            let is_sent = self.change(own, &active, is_active).is_some_and(|command| {
                self.send_asked(Asked::Change(active.clone(), is_active), &command)
            });
            let unanswered = &self.registry.unanswered;
            if is_sent {
                unanswered.set(unanswered.get() + 1);
            } else {
                self.registry.change_again(active, is_active);
            }
        }
    }

    /// The command for a subscription of a worker that begins or ends.
    fn change(&self, worker: &str, active: &Active, is_active: bool) -> Option<Cmd> {
        let (id, encoded) = self.event(active, is_active)?;
        let is_own = worker == self.registry.name;
        let value = match is_active {
            true => active.encode(),
            false => Vec::new(),
        };
        let mut command = cmd("EVAL");
        command.arg(CHANGE).arg(if is_own { 2 } else { 3 });
        command.arg(&self.key).arg(self.subscriptions_key(worker));
        if !is_own {
            command.arg(self.workers_key());
        }
        command.arg(active.field()).arg(value).arg(self.keep);
        command.arg(entries::ID).arg(id);
        command.arg(entries::UPDATE).arg(encoded);
        if !is_own {
            command.arg(worker);
        }
        Some(command)
    }

    /// The id and the encoding of the update that tells of a subscription that begins or ends.
    fn event(&self, active: &Active, is_active: bool) -> Option<(String, Vec<u8>)> {
        let url = &self.config.url;
        let update = active.describe(is_active, url, |one| one.event(url))?;
        let mut encoded = Vec::new();
        update.encode(&mut encoded);
        Some((update.id, encoded))
    }

    /// Refreshes this worker's entry, looks for lost workers, and sends the changes again that the
    /// store has refused.
    fn refresh(&self) {
        if self.presence.get() == Presence::Present {
            self.send_asked(Asked::Time, &cmd("TIME"));
            self.send_changes();
            self.return_orphans();
        }
    }

    /// Enters workers again whose removal may have stopped halfway, so that one of those that look
    /// for lost workers begins anew. One that has entered itself again is not lost.
    fn return_orphans(&self) {
        for worker in self.registry.orphans.take() {
            let mut command = cmd("ZADD");
            command.arg(self.workers_key()).arg("NX").arg(0);
            command.arg(&worker);
            self.remove_by(Asked::Returned(worker.clone()), &worker, &command);
        }
    }

    /// Sends a command without which a removal stops halfway.
    fn remove_by(&self, asked: Asked, worker: &str, command: &Cmd) {
        if !self.send_asked(asked, command) {
            let mut orphans = self.registry.orphans.borrow_mut();
            orphans.insert(worker.to_owned());
        }
    }

    /// Ends these subscriptions of a worker that was removed.
    fn end_all(&self, worker: &str, left: &[Vec<u8>]) {
        let left = left.iter().filter_map(|value| Active::decode(value));
        for command in left.filter_map(|active| self.change(worker, &active, false)) {
            self.remove_by(Asked::End(worker.to_owned()), worker, &command);
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
            Asked::Step | Asked::End(_) | Asked::Returned(_) => {}
            Asked::Change(..) => self.answered_change(),
            Asked::Time => self.show_and_look(&value),
            Asked::Seen(was_entered) => {
                self.registry.refusal.take();
                let was_unknown = value == Value::Int(1);
                if was_entered && was_unknown {
                    self.tell_all_again(); // the store has lost it, or others took it for lost
                }
            }
            Asked::Lost => {
                // This one is among them when the store has refused to refresh it.
                let mut lost = texts(value);
                lost.retain(|worker| *worker != self.registry.name);
                for worker in lost {
                    let mut command = cmd("ZREM");
                    command.arg(self.workers_key()).arg(&worker);
                    self.send_asked(Asked::Removed(worker), &command);
                }
            }
            Asked::Removed(worker) if value == Value::Int(1) => {
                let command = cmd("HVALS").arg(self.subscriptions_key(&worker)).take();
                self.remove_by(Asked::Left(worker.clone()), &worker, &command);
            }
            Asked::Removed(_) => {} // another worker does it
            Asked::Left(worker) => self.end_all(&worker, &values(value)),
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
        let mut seen = cmd("ZADD");
        seen.arg(self.workers_key())
            .arg(now)
            .arg(&self.registry.name);
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
            let mut lost = cmd("ZRANGEBYSCORE");
            lost.arg(self.workers_key())
                .arg("-inf")
                .arg(now.saturating_sub(milliseconds(patience)));
            self.send_asked(Asked::Lost, &lost);
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
            Asked::Change(active, is_active) => {
                self.registry.change_again(active, is_active);
                self.answered_change();
            }
            Asked::Workers(ticket, _) => self.tell(&Tell::Refused(ticket, Reason::Unavailable)),
            Asked::List(list) => self.tell(&Tell::Refused(list.ticket, Reason::Unavailable)),
            Asked::Removed(worker)
            | Asked::Left(worker)
            | Asked::End(worker)
            | Asked::Returned(worker) => {
                self.registry.orphans.borrow_mut().insert(worker);
            }
            Asked::Step | Asked::Time | Asked::Seen(_) | Asked::Lost => {}
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
