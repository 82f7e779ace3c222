//! Removes lost workers: ends their subscriptions, and reports that.
//!
//! One worker does it, while it has the lease: it sets the lost worker's time to a slightly later
//! one with half a millisecond, which no worker gives itself. Each step is a script that Redis runs
//! as a whole, and does nothing when that time has changed: the lost worker is back, or the lease
//! has expired and another worker has taken over. One that fails midway leaves the worker lost, and
//! another one removes it.

use std::cell::Cell;
use std::rc::Rc;

use super::registry::{Asked, LOST_AFTER};
use super::values::{texts, values};
use super::{Inner, entries, milliseconds};
use crate::app::hub::listing::Active;
use crate::redis::{Cmd, Value, cmd};

/// A lease lasts so many times `--store-timeout`.
const LEASE: u32 = 2;

const CLAIM: &str = "\
-- claim a lost worker
local seen = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not seen or tonumber(seen) > tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
return 1";

const END: &str = "\
-- end a subscription of a lost worker
if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if redis.call('HDEL', KEYS[2], ARGV[3]) == 0 then return 0 end
return redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[4], '*', ARGV[5], ARGV[6], ARGV[7], ARGV[8])";

const FORGET: &str = "\
-- forget a lost worker
if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[2])
return redis.call('ZREM', KEYS[1], ARGV[1])";

/// The removal of a lost worker.
pub(super) struct Removal {
    worker: String,
    lease: String,
    missing: Cell<usize>, // ends that are not kept yet
}

/// What a command of a removal is for.
pub(super) enum Removing {
    /// The workers that are lost at that time.
    Look(u64),
    /// Whether this worker may remove that one.
    Claim(Removal),
    /// The subscriptions that are left.
    Left(Removal),
    /// The end of one of them, whose reply means that it is kept.
    End(Rc<Removal>),
}

/// Whether a worker with this time was claimed by another one.
pub(super) fn is_lease(seen: &[u8]) -> bool {
    seen.contains(&b'.')
}

impl Inner {
    /// Looks for lost workers.
    pub(super) fn look_for_lost(&self, now: u64) {
        let mut command = cmd("ZRANGEBYSCORE");
        command.arg(self.workers_key()).arg("-inf");
        command.arg(self.lost_before(now));
        self.send_asked(Asked::Removal(Removing::Look(now)), &command);
    }

    /// Who was not seen since then is lost.
    fn lost_before(&self, now: u64) -> u64 {
        now.saturating_sub(milliseconds(self.settings.patience * LOST_AFTER))
    }

    pub(super) fn removal_arrived(&self, removing: Removing, value: Value) {
        match removing {
            Removing::Look(now) => self.claim_all(now, texts(value)),
            Removing::Claim(removal) if value == Value::Int(1) => {
                let mut command = cmd("HVALS");
                command.arg(self.subscriptions_key(&removal.worker));
                self.send_asked(Asked::Removal(Removing::Left(removal)), &command);
            }
            Removing::Claim(_) => {} // another worker does it
            Removing::Left(removal) => self.end_all(removal, &values(value)),
            Removing::End(removal) => {
                removal.missing.set(removal.missing.get() - 1);
                if removal.missing.get() == 0 {
                    self.forget(&removal);
                }
            }
        }
    }

    fn claim_all(&self, now: u64, mut lost: Vec<String>) {
        // This one is among them when the store has refused to refresh it.
        lost.retain(|worker| *worker != self.registry.name);
        let before = self.lost_before(now);
        let until = before.saturating_add(milliseconds(self.settings.patience * LEASE));
        for worker in lost {
            let lease = format!("{until}.5");
            let mut command = cmd("EVAL");
            command.arg(CLAIM).arg(1).arg(self.workers_key());
            command.arg(&worker).arg(before).arg(&lease);
            let removal = Removal {
                worker,
                lease,
                missing: Cell::new(0),
            };
            self.send_asked(Asked::Removal(Removing::Claim(removal)), &command);
        }
    }

    /// Ends these subscriptions. The worker is forgotten when all of that is kept.
    fn end_all(&self, removal: Removal, left: &[Vec<u8>]) {
        let left = left.iter().filter_map(|value| Active::decode(value));
        let commands: Vec<_> = left.map(|one| self.end(&removal, &one)).collect();
        if commands.is_empty() {
            return self.forget(&removal);
        }
        removal.missing.set(commands.len());
        let removal = Rc::new(removal);
        for command in commands {
            let end = Removing::End(Rc::clone(&removal));
            if !self.send_asked(Asked::Removal(end), &command) {
                return; // the connection is lost, and another one goes on
            }
        }
    }

    fn end(&self, removal: &Removal, active: &Active) -> Cmd {
        let (id, encoded) = self.event(active, false);
        let mut command = cmd("EVAL");
        command.arg(END).arg(3).arg(self.workers_key());
        command.arg(self.subscriptions_key(&removal.worker));
        command.arg(&self.key).arg(&removal.worker);
        command.arg(&removal.lease).arg(active.field());
        command.arg(self.keep).arg(&entries::fields(&id, &encoded));
        command
    }

    fn forget(&self, removal: &Removal) {
        let mut command = cmd("EVAL");
        command.arg(FORGET).arg(2).arg(self.workers_key());
        command.arg(self.subscriptions_key(&removal.worker));
        command.arg(&removal.worker).arg(&removal.lease);
        self.send_asked(Asked::Step, &command);
    }
}
