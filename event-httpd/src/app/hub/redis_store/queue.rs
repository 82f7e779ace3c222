//! Updates that wait for the store.
//!
//! With `--store-queue`, an update stays here until the store has confirmed it. When the
//! connection is lost, the updates without a confirmation are sent again, in the same order. The
//! store may have kept some of them already, so each goes with a number, and a script keeps an
//! update only if it has not kept that number for this worker. The store may have refused one and
//! kept the next, so the last number alone is not enough: the script knows the kept numbers, from
//! the first one that this worker may send again.
//!
//! Without the option, updates wait here only until the first connection is made.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::entries;
use crate::app::hub::message::{Reason, Ticket};
use crate::config::QueueLimits;
use crate::redis::{Arg, Cmd, cmd};

/// The limits until the first connection is made, without the option.
const STARTING: QueueLimits = QueueLimits {
    updates: 1000,
    bytes: 16 << 20,
    time: Duration::MAX, // all are refused when the attempt to connect fails
};

/// Keeps an update unless its number says that it is kept already. Redis runs it as a whole.
const KEEP_ONCE: &str = "\
-- keep an update once
local first = tonumber(redis.call('ZSCORE', KEYS[2], 'first') or '0')
if tonumber(ARGV[1]) < first or redis.call('ZSCORE', KEYS[2], ARGV[1]) then return 0 end
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', ARGV[4], ARGV[5], ARGV[6], ARGV[7])
if tonumber(ARGV[2]) > first then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[2])
  redis.call('ZADD', KEYS[2], ARGV[2], 'first')
end
redis.call('ZADD', KEYS[2], ARGV[1], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[8])
return id";

/// Seconds for which the store keeps the numbers of a worker's updates: longer than any connection
/// is stuck before the system gives it up.
const NUMBERS_LAST: u32 = 24 * 3600;

/// An update for the store.
pub(super) struct Publication {
    ticket: Ticket,
    command: Cmd,
    bytes: usize,
    since: Instant,
    attempt: Attempt,
}

/// Whether the store may have an update that it has not confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    /// It was not sent.
    None,
    /// It was sent on this connection, whose answer says whether it is kept.
    First,
    /// It was sent on a connection that is lost: the answer to another attempt does not say so.
    Lost,
}

impl Publication {
    pub(super) fn new(ticket: Ticket, command: Cmd, now: Instant) -> Self {
        let args = command.args_iter();
        let sizes = args.map(|arg| match arg {
            Arg::Simple(bytes) => bytes.len(),
            _ => 0,
        });
        Self {
            ticket,
            bytes: sizes.sum(),
            command,
            since: now,
            attempt: Attempt::None,
        }
    }

    fn refused(&self, otherwise: Reason) -> (Ticket, Reason) {
        let reason = match self.attempt {
            Attempt::None => otherwise,
            Attempt::First | Attempt::Lost => Reason::Unconfirmed,
        };
        (self.ticket, reason)
    }
}

/// The updates that wait, in the order of their arrival.
pub(super) struct Queue {
    limits: QueueLimits,
    /// Those that were sent on this connection come first.
    all: VecDeque<Publication>,
    sent: usize,
    bytes: usize,
}

impl Queue {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            all: VecDeque::new(),
            sent: 0,
            bytes: 0,
        }
    }

    /// Whether updates wait while the store is away.
    pub(super) fn is_on(&self) -> bool {
        self.limits.updates > 0
    }

    fn limits(&self) -> &QueueLimits {
        if self.is_on() {
            &self.limits
        } else {
            &STARTING
        }
    }

    /// Whether one more may wait.
    pub(super) fn has_room_for(&self, publication: &Publication) -> bool {
        let bytes = self.bytes.saturating_add(publication.bytes);
        self.all.len() < self.limits().updates && bytes <= self.limits().bytes
    }

    /// The first number that may be sent, or sent again, when the next update has this number.
    pub(super) fn first_number(&self, next: Ticket) -> Ticket {
        self.all.front().map_or(next, |first| first.ticket)
    }

    /// Adds an update after all others.
    pub(super) fn push(&mut self, publication: Publication) {
        self.bytes += publication.bytes;
        self.all.push_back(publication);
    }

    /// The first update that was not sent on this connection.
    pub(super) fn next(&self) -> Option<(Ticket, &Cmd)> {
        let next = self.all.get(self.sent)?;
        Some((next.ticket, &next.command))
    }

    /// The update that [`next`](Self::next) returns was sent.
    pub(super) fn note_sent(&mut self) {
        if self.is_on() {
            if let Some(next) = self.all.get_mut(self.sent) {
                if next.attempt == Attempt::None {
                    next.attempt = Attempt::First;
                }
                self.sent += 1;
            }
        } else {
            self.pop_first();
        }
    }

    /// The store has answered the update with that ticket.
    pub(super) fn note_answered(&mut self, ticket: Ticket) {
        if self.all.front().is_some_and(|first| first.ticket == ticket) {
            self.pop_first();
        }
    }

    /// The store has refused the update with that ticket. Returns whether it may have kept it on a
    /// connection before.
    pub(super) fn note_refused(&mut self, ticket: Ticket) -> bool {
        let first = self.all.front();
        let is_lost =
            first.is_some_and(|first| first.ticket == ticket && first.attempt == Attempt::Lost);
        self.note_answered(ticket);
        is_lost
    }

    fn pop_first(&mut self) -> Option<Publication> {
        let first = self.all.pop_front()?;
        self.bytes -= first.bytes;
        self.sent = self.sent.saturating_sub(1);
        Some(first)
    }

    /// The connection is lost: all that are here wait for the next one. Returns those that may
    /// not, and why.
    pub(super) fn note_lost(&mut self) -> Vec<(Ticket, Reason)> {
        for sent in self.all.iter_mut().take(std::mem::take(&mut self.sent)) {
            sent.attempt = Attempt::Lost;
        }
        let mut refused = Vec::new();
        let limits = self.limits;
        while self.all.len() > limits.updates || self.bytes > limits.bytes {
            let Some(last) = self.all.pop_back() else {
                break;
            };
            self.bytes -= last.bytes;
            refused.push(last.refused(Reason::Unavailable));
        }
        refused.reverse();
        refused
    }

    /// Removes the updates that have waited for too long, and returns them.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<(Ticket, Reason)> {
        let mut expired = Vec::new();
        while self.next_expiry().is_some_and(|at| at <= now)
            && let Some(first) = self.pop_first()
        {
            expired.push(first.refused(Reason::WaitedTooLong));
        }
        expired
    }

    /// When the first update has waited for too long.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.all.front()?.since.checked_add(self.limits().time)
    }
}

/// The command that keeps an update once, however often it is sent. No number before `first` is sent
/// again.
pub(super) fn keep_once(
    stream: &str,
    numbers: &str,
    (number, first): (Ticket, Ticket),
    keep: usize,
    (id, encoded): (&str, &[u8]),
) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(KEEP_ONCE).arg(2).arg(stream).arg(numbers);
    command.arg(number).arg(first).arg(keep);
    command.arg(&entries::fields(id, encoded));
    command.arg(NUMBERS_LAST);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(updates: usize, bytes: usize) -> Queue {
        Queue::new(QueueLimits {
            updates,
            bytes,
            time: Duration::from_secs(10),
        })
    }

    fn publication(ticket: Ticket, size: usize, now: Instant) -> Publication {
        let command = cmd("X").arg(vec![b'x'; size - 1]).take();
        Publication::new(ticket, command, now)
    }

    fn push(queue: &mut Queue, ticket: Ticket) {
        queue.push(publication(ticket, 10, Instant::now()));
    }

    /// Sends all that wait, and returns their tickets.
    fn send(queue: &mut Queue) -> Vec<Ticket> {
        let mut sent = Vec::new();
        while let Some((ticket, _)) = queue.next() {
            sent.push(ticket);
            queue.note_sent();
        }
        sent
    }

    #[test]
    fn what_was_not_answered_is_sent_again_in_order() {
        let mut queue = queue(10, 1000);
        (1..=3).for_each(|ticket| push(&mut queue, ticket));
        assert_eq!(send(&mut queue), [1, 2, 3]);
        queue.note_answered(1);
        push(&mut queue, 4);
        assert_eq!(queue.note_lost(), []);
        push(&mut queue, 5);
        assert_eq!(send(&mut queue), [2, 3, 4, 5]);
        (2..=5).for_each(|ticket| queue.note_answered(ticket));
        assert_eq!((queue.all.len(), queue.sent, queue.bytes), (0, 0, 0));
    }

    #[test]
    fn an_update_that_is_refused_may_have_been_kept_on_a_connection_before() {
        let mut queue = queue(10, 1000);
        push(&mut queue, 1);
        assert_eq!(send(&mut queue), [1]);
        assert_eq!(queue.note_lost(), []);
        push(&mut queue, 2);
        assert_eq!(send(&mut queue), [1, 2]);
        assert!(queue.note_refused(1));
        assert!(!queue.note_refused(2));
        assert_eq!((queue.all.len(), queue.sent), (0, 0));
    }

    #[test]
    fn count_and_bytes_are_limited() {
        let now = Instant::now();
        let mut queue = queue(3, 100);
        assert!(queue.has_room_for(&publication(1, 100, now)));
        assert!(!queue.has_room_for(&publication(1, 101, now)));
        queue.push(publication(1, 50, now));
        assert!(queue.has_room_for(&publication(2, 50, now)));
        assert!(!queue.has_room_for(&publication(2, 51, now)));
        push(&mut queue, 2);
        push(&mut queue, 3);
        assert!(!queue.has_room_for(&publication(4, 1, now)));
    }

    #[test]
    fn a_lost_connection_leaves_more_than_may_wait_and_the_last_are_refused() {
        let mut queue = queue(2, 1000);
        (1..=4).for_each(|ticket| push(&mut queue, ticket));
        queue.note_sent();
        queue.note_sent();
        queue.note_sent();
        let refused = [(3, Reason::Unconfirmed), (4, Reason::Unavailable)];
        assert_eq!(queue.note_lost(), refused);
        assert_eq!(send(&mut queue), [1, 2]);
    }

    #[test]
    fn updates_expire_and_the_reason_tells_whether_they_may_be_stored() {
        let now = Instant::now();
        let mut queue = queue(10, 1000);
        let later = now + Duration::from_secs(4);
        queue.push(publication(1, 10, now));
        queue.push(publication(2, 10, now));
        queue.push(publication(3, 10, later));
        queue.note_sent();
        let limit = now + Duration::from_secs(10);
        assert_eq!(queue.take_expired(limit - Duration::from_nanos(1)), []);
        let expired = [(1, Reason::Unconfirmed), (2, Reason::WaitedTooLong)];
        assert_eq!(queue.take_expired(limit), expired);
        assert_eq!(queue.next_expiry(), Some(later + Duration::from_secs(10)));
        queue.note_answered(1); // late
        assert_eq!(send(&mut queue), [3]);
    }

    #[test]
    fn without_the_option_what_was_sent_is_forgotten() {
        let mut queue = queue(0, 1000);
        assert!(queue.has_room_for(&publication(1, 1000, Instant::now())));
        push(&mut queue, 1);
        push(&mut queue, 2);
        queue.note_sent();
        assert_eq!(queue.note_lost(), [(2, Reason::Unavailable)]);
        assert_eq!((queue.all.len(), queue.bytes), (0, 0));
    }
}
