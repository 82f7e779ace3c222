//! Follows the stream, and reports each new entry to the hub.
//!
//! On each new connection, the last reported entry must still be in the stream, with its update: a
//! server that has lost it may give its position to another. If it is not, later entries may be
//! missing, too: that is a gap. The same check runs when the reader is so far behind that the stream
//! may have been trimmed before it.
//!
//! The first connection begins at the end of the stream. If the store was away before it, there may
//! be subscribers that have their answers, and what others have published since then is theirs: the
//! reader asks the server for its time, and begins where the stream ended when the store was found
//! to be away.

use super::entries::{self, Entry, text_of};
use super::values::{milliseconds_of, number_in};
use super::{Incoming, Inner, KEEP_MIN, Tell, milliseconds, reconnect};
use crate::app::hub::framed;
use crate::app::hub::message::Position;
use crate::redis::{Cmd, Value, cmd};
use crate::time;

/// Entries in one reply. The stream keeps more than this, so a reply that is not full has
/// skipped nothing.
const READ_MAX: usize = 64;

/// Entries in one reply while the index is loaded. The updates come with them.
const LOAD_MAX: usize = 64;

/// Entries among which the last reported one is looked for.
const LOOK_BACK: usize = 100;

/// How far the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The index is incomplete.
    Loading,
    /// The index is complete, but the connection was lost.
    Interrupted,
    /// It waits for the next entries.
    Following,
}

/// What the reader waits for.
pub(super) enum Read {
    /// The last entry of the stream, while nothing was reported yet.
    Last,
    /// The server's time, to find where the stream ended when the store was found to be away.
    Time,
    /// The last entry that the stream had then.
    LastThen,
    /// How many entries the stream has had and has, of which none was reported yet. These were read
    /// before.
    Counts(Vec<Entry>),
    /// How long it is, from a server that does not tell how many it has had.
    Length(Vec<Entry>),
    /// Whether the last reported entry is still there.
    Check,
    /// The entries before the last reported one, which is gone.
    Before,
    /// Entries for the index, and those after the last reported one.
    Load,
    /// Whether the last reported entry is still there. These came after it, for the index, too.
    VerifyLoad(Vec<Entry>),
    /// The next entries.
    Next,
    /// Whether the last reported entry is still there. These came after it.
    Verify(Vec<Entry>),
}

impl Inner {
    pub(super) fn reader_incoming(&self, incoming: Incoming<Read>) {
        match incoming {
            Incoming::Ready => match self.position.get() {
                None => self.ask_for_end(),
                Some(0) => self.ask_for_counts(Vec::new()),
                Some(_) => self.check(Read::Check),
            },
            Incoming::Reply(Read::Time, value) => self.time_arrived(&value),
            Incoming::Reply(Read::Counts(next), value) => self.counts_arrived(&value, next),
            Incoming::Reply(Read::Length(next), value) => self.length_arrived(&value, next),
            Incoming::Reply(read, value) => {
                let entries = match read {
                    Read::Next => entries::of_read(value),
                    _ => entries::of_range(value),
                };
                match entries {
                    Ok(entries) => self.arrived(read, entries),
                    Err(error) => reconnect(self.reader.get(), &error.to_string()),
                }
            }
            Incoming::Lost { reason, .. } => {
                if self.reading.get() == Reading::Following {
                    self.reading.set(Reading::Interrupted);
                }
                self.lost(reason);
            }
        }
    }

    fn arrived(&self, read: Read, entries: Vec<Entry>) {
        match read {
            // The store was found to be away after this was asked.
            Read::Last if self.lost_at.get().is_some() => self.ask_for_end(),
            Read::Last => self.begin_at(entries.first().map_or(0, |entry| entry.position)),
            Read::LastThen => match entries.first() {
                Some(entry) => self.begin_at(entry.position),
                None => self.ask_for_counts(Vec::new()),
            },
            Read::Check if !self.has_told(&entries) => {
                let before = self.last_entries(&text_of(self.told()), LOOK_BACK);
                self.read(Read::Before, &before);
            }
            Read::Check if self.reading.get() == Reading::Interrupted => self.follow(),
            Read::Check => self.load(),
            Read::Before => {
                let index = self.index.borrow();
                let position = resume_from(&entries, |position| index.has(position));
                drop(index);
                self.position.set(Some(position));
                self.told_id.take();
                self.gap("the store has lost updates, or was replaced");
                self.load();
            }
            Read::Time | Read::Counts(_) | Read::Length(_) => {} // their replies are not entries
            Read::Load if leaves_out(&entries, self.told()) => {
                self.check(Read::VerifyLoad(entries));
            }
            Read::Load => self.take_loaded(entries),
            Read::VerifyLoad(next) => {
                self.verify(&entries);
                self.take_loaded(next);
            }
            Read::Next if entries.len() >= READ_MAX => match self.told() {
                0 => self.ask_for_counts(entries),
                _ => self.check(Read::Verify(entries)),
            },
            Read::Next => {
                self.take_entries(entries);
                self.read_next();
            }
            Read::Verify(next) => {
                self.verify(&entries);
                self.take_entries(next);
                self.read_next();
            }
        }
    }

    /// Asks where to begin.
    fn ask_for_end(&self) {
        match self.lost_at.get() {
            None => self.read(Read::Last, &self.last_entries("+", 1)),
            Some(_) => self.read(Read::Time, &cmd("TIME")),
        }
    }

    /// The server's time has arrived: asks for the last entry from before the store was away.
    fn time_arrived(&self, time: &Value) {
        let (Some(now), Some(lost_at)) = (milliseconds_of(time), self.lost_at.get()) else {
            let error = match time {
                Value::ServerError(error) => error.to_string(),
                _ => "no time".to_owned(),
            };
            self.gap(&format!(
                "TIME failed ({error}), so what was published before it answered is unknown"
            ));
            self.lost_at.set(None);
            return self.ask_for_end();
        };
        // Both times are rounded down, and the millisecond of the loss does not count as before it.
        let passed = milliseconds(time::now() - lost_at).saturating_add(2);
        let then = last_of(now.saturating_sub(passed));
        self.read(Read::LastThen, &self.last_entries(&text_of(then), 1));
    }

    fn ask_for_counts(&self, next: Vec<Entry>) {
        let mut command = cmd("XINFO");
        command.arg("STREAM").arg(&self.key);
        self.read(Read::Counts(next), &command);
    }

    /// The stream had no entry when it was read last. Some from since then are gone if it has fewer
    /// than it has had.
    fn counts_arrived(&self, value: &Value, next: Vec<Entry>) {
        match (
            number_in(value, "entries-added"),
            number_in(value, "length"),
        ) {
            (Some(added), Some(length)) => self.begin_at_start(length < added, next),
            _ => self.ask_for_length(next), // there is no stream, or Redis is older than 7
        }
    }

    fn ask_for_length(&self, next: Vec<Entry>) {
        let mut command = cmd("XLEN");
        command.arg(&self.key);
        self.read(Read::Length(next), &command);
    }

    /// If the stream is as long as the shortest that is ever cut, some entries may be gone.
    fn length_arrived(&self, value: &Value, next: Vec<Entry>) {
        let Value::Int(length) = value else {
            return reconnect(self.reader.get(), "its stream has no length");
        };
        let is_cut = usize::try_from(*length).is_ok_and(|length| length >= KEEP_MIN);
        self.begin_at_start(is_cut, next);
    }

    /// All entries are new, and others may be gone.
    fn begin_at_start(&self, is_cut: bool, next: Vec<Entry>) {
        if is_cut {
            self.gap("updates were dropped from the stream before they could be read");
        }
        if self.reading.get() == Reading::Following {
            self.take_entries(next);
            self.read_next();
        } else {
            self.begin_at(0);
        }
    }

    /// Everything after this position is new.
    fn begin_at(&self, position: Position) {
        self.position.set(Some(position));
        self.told_id.take();
        self.send_updates();
        self.load();
    }

    /// The position of the last reported entry.
    pub(super) fn told(&self) -> Position {
        self.position.get().unwrap_or_default()
    }

    fn read(&self, read: Read, command: &Cmd) {
        if let Some(reader) = self.reader.get() {
            reader.send(read, command).ok(); // if it is lost, the next connection begins again
        }
    }

    /// Asks whether the last reported entry is there.
    fn check(&self, read: Read) {
        let told = text_of(self.told());
        self.read(read, &self.range(&told, &told, 1));
    }

    /// Whether the reply to [`check`](Self::check) has the last reported entry.
    fn has_told(&self, entries: &[Entry]) -> bool {
        let told_id = self.told_id.borrow();
        entries.first().is_some_and(|entry| {
            let id = entry.content.as_ref().map(|content| &*content.id);
            told_id.is_none() || told_id.as_deref() == id
        })
    }

    /// It is a gap if the reply to a check lacks the last reported entry.
    fn verify(&self, entries: &[Entry]) {
        if !self.has_told(entries) {
            self.gap("updates were dropped from the stream before they could be read");
        }
    }

    fn gap(&self, reason: &str) {
        let target = &self.settings.target;
        tracing::warn!("the store at {target}: {reason}; subscribers have to connect again");
        self.tell(&Tell::Gap);
    }

    /// Reads the whole stream into the index.
    fn load(&self) {
        self.reading.set(Reading::Loading);
        self.index.borrow_mut().clear();
        self.load_from(0);
    }

    fn take_loaded(&self, entries: Vec<Entry>) {
        let next = next_to_load(&entries);
        self.take_entries(entries);
        match next {
            Some(next) => self.load_from(next),
            None => self.follow(),
        }
    }

    fn load_from(&self, start: Position) {
        self.read(Read::Load, &self.range(&text_of(start), "+", LOAD_MAX));
    }

    /// Begins to report new entries.
    fn follow(&self) {
        self.reading.set(Reading::Following);
        self.note_presence();
        self.read_next();
    }

    /// Waits for the next entries.
    fn read_next(&self) {
        let wait = self.settings.patience / 2;
        let mut command = cmd("XREAD");
        command.arg("COUNT").arg(READ_MAX);
        command.arg("BLOCK").arg(milliseconds(wait).max(1));
        command
            .arg("STREAMS")
            .arg(&self.key)
            .arg(text_of(self.told()));
        if let Some(reader) = self.reader.get() {
            let patience = wait + self.settings.patience;
            reader.send_patiently(Read::Next, &command, patience).ok();
        }
    }

    /// Indexes entries, and reports those that are new.
    fn take_entries(&self, entries: Vec<Entry>) {
        for entry in entries {
            let is_new = entry.position > self.told();
            if is_new {
                self.position.set(Some(entry.position));
                self.told_id.take();
            }
            let Some(content) = entry.content else {
                tracing::warn!(
                    "entry {} of the stream is not an update",
                    text_of(entry.position)
                );
                continue;
            };
            let size = framed::length(&content.update);
            let mut index = self.index.borrow_mut();
            let id = index.push(entry.position, content.id, size);
            drop(index);
            if is_new {
                self.told_id.replace(Some(id));
                self.tell(&Tell::Update(&content.update));
            }
        }
        self.resume_ahead();
    }
}

/// Where to continue when the last reported entry is gone: after the last reported entry that is
/// still there. `before` holds the entries before the missing one, the newest first.
fn resume_from(before: &[Entry], was_told: impl Fn(Position) -> bool) -> Position {
    let told = before.iter().find(|entry| was_told(entry.position));
    // None of them is known to be reported: skip them all, since nothing may be reported twice.
    told.or(before.first()).map_or(0, |entry| entry.position)
}

/// Where to go on loading after `entries`, if there may be more. Not from the index: it has no entries
/// that are not updates.
fn next_to_load(entries: &[Entry]) -> Option<Position> {
    entries.get(LOAD_MAX - 1)?.position.checked_add(1)
}

/// Whether entries go on after `told`, and leave it out: the stream may have been trimmed there.
fn leaves_out(entries: &[Entry], told: Position) -> bool {
    let is_past = entries.last().is_some_and(|last| last.position > told);
    told > 0 && is_past && !entries.iter().any(|entry| entry.position == told)
}

/// The last position in a millisecond of Redis's clock.
fn last_of(millisecond: u64) -> Position {
    Position::from(millisecond) << 64 | Position::from(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(positions: impl IntoIterator<Item = Position>) -> Vec<Entry> {
        let entry = |position| Entry {
            position,
            content: None,
        };
        positions.into_iter().map(entry).collect()
    }

    #[test]
    fn loading_goes_on_behind_a_full_part_unless_its_last_position_is_the_highest() {
        let full = LOAD_MAX as Position;
        assert_eq!(next_to_load(&entries(1..full)), None);
        assert_eq!(next_to_load(&entries(1..=full)), Some(full + 1));
        let highest = Position::MAX;
        assert_eq!(next_to_load(&entries(highest - full + 1..=highest)), None);
    }

    #[test]
    fn entries_that_leave_out_the_last_reported_one_are_noticed() {
        assert!(!leaves_out(&entries([8, 9, 10, 11]), 9));
        assert!(!leaves_out(&entries([7, 8]), 9), "it may come after them");
        assert!(!leaves_out(&entries([]), 9));
        assert!(!leaves_out(&entries([1, 2]), 0), "nothing was reported");
        assert!(leaves_out(&entries([8, 10, 11]), 9));
        assert!(leaves_out(&entries([10, 11]), 9));
    }

    #[test]
    fn a_reader_resumes_behind_the_last_entry_that_it_has_told() {
        let before = |positions: &[Position]| entries(positions.iter().copied());
        let told = |position| position <= 20;
        assert_eq!(
            resume_from(&before(&[20, 10]), told),
            20,
            "later ones were lost"
        );
        assert_eq!(
            resume_from(&before(&[25, 22, 20]), told),
            20,
            "and others came"
        );
        assert_eq!(
            resume_from(&before(&[]), told),
            0,
            "the store was emptied or cut"
        );
        assert_eq!(resume_from(&before(&[30, 25]), told), 30);
    }
}
