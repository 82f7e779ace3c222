//! The text of the table, in segments: a change touches one of them, and answers share the rest.

use std::mem;
use std::ops::Range;
use std::rc::Rc;

use crate::answer::decimal;
use crate::buffer::{Account, Buffer};
use crate::outbox::Part;
use php_event::Event;

/// Entries in one segment. With half as many, the parts of an answer to 10,000 connections would
/// not fit into the list that [`Outbox`](crate::outbox::Outbox) keeps on the stack.
const SEGMENT: usize = 256;

/// The entries `"id":event,` of the table, in the order of their ids.
#[derive(Debug, Default)]
pub(super) struct Table {
    segments: Vec<Segment>,
    length: usize,  // of all their texts
    entry: Vec<u8>, // the text of the entry that is being made
    plain: PlainEvents,
}

/// The JSON of events without data, which depends on nothing but whether they are pending.
#[derive(Debug, Default)]
struct PlainEvents {
    pending: Option<Box<[u8]>>,
    idle: Option<Box<[u8]>>,
}

impl PlainEvents {
    fn json(&mut self, event: &Event) -> serde_json::Result<&[u8]> {
        let kept = if event.is_pending() {
            &mut self.pending
        } else {
            &mut self.idle
        };
        if kept.is_none() {
            *kept = Some(serde_json::to_vec(event)?.into());
        }
        Ok(kept.as_deref().unwrap_or_default())
    }
}

#[derive(Debug, Default)]
struct Segment {
    ids: Vec<u64>,
    lengths: Vec<u32>,
    text: Text,
    shared: Option<Rc<Buffer>>, // the text, since an answer needed it
}

/// The text of a segment. Where a part is removed, the shorter side moves: the oldest entries are
/// often the first to leave.
#[derive(Debug, Default)]
struct Text {
    bytes: Vec<u8>,
    start: usize, // what is before has left
}

impl Text {
    fn as_slice(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
    }

    fn insert(&mut self, at: usize, text: &[u8]) {
        let at = self.start + at;
        self.bytes.splice(at..at, text.iter().copied());
    }

    fn remove(&mut self, range: Range<usize>) {
        let start = self.start;
        let (before, behind) = (range.start, self.as_slice().len() - range.end);
        if behind < before {
            self.bytes.drain(start + range.start..start + range.end);
            return;
        }
        self.start += range.len();
        self.bytes.copy_within(start..start + before, self.start);
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..mem::take(&mut self.start));
        }
    }

    fn split_off(&mut self, at: usize) -> Self {
        let bytes = self.bytes.split_off(self.start + at);
        self.bytes.drain(..mem::take(&mut self.start));
        self.bytes.shrink_to_fit();
        Self { bytes, start: 0 }
    }
}

impl Table {
    /// The length of the JSON object.
    pub(super) fn json_length(&self) -> usize {
        self.length.max(1) + 1 // the last comma becomes the closing brace
    }

    /// Appends the JSON object to `out`.
    pub(super) fn write_to(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for segment in &self.segments {
            out.extend_from_slice(segment.text.as_slice());
        }
        if self.length > 0 {
            out.pop();
        }
        out.push(b'}');
    }

    /// The JSON object between its braces, as shared parts.
    pub(super) fn parts(&mut self, account: &Rc<Account>) -> Vec<Part> {
        let last = self.segments.len().saturating_sub(1);
        let parts = self.segments.iter_mut().enumerate().map(|(at, segment)| {
            let length = segment.text.as_slice().len() - usize::from(at == last);
            Part::first(segment.shared(account), length)
        });
        parts.collect()
    }

    /// Adds an entry, or replaces the one with that id.
    pub(super) fn set(&mut self, id: u64, event: &Event) {
        self.put(id, |text, _| serde_json::to_writer(text, event));
    }

    /// The same for an event without data.
    pub(super) fn set_plain(&mut self, id: u64, event: &Event) {
        self.put(id, |text, plain| {
            text.extend_from_slice(plain.json(event)?);
            Ok(())
        });
    }

    fn put(
        &mut self,
        id: u64,
        write_json: impl FnOnce(&mut Vec<u8>, &mut PlainEvents) -> serde_json::Result<()>,
    ) {
        let mut text = mem::take(&mut self.entry); // keeps its memory
        text.clear();
        text.push(b'"');
        decimal(&mut text, id);
        text.extend_from_slice(b"\":");
        let written = write_json(&mut text, &mut self.plain);
        text.push(b',');
        match written {
            Ok(()) => self.insert(id, &text),
            Err(error) => {
                tracing::error!("an event of the table cannot be serialized: {error}");
                self.remove(id);
            }
        }
        self.entry = text;
    }

    fn insert(&mut self, id: u64, text: &[u8]) {
        let mut at = self.place(id);
        let last = self.segments.get(at).and_then(|segment| segment.ids.last());
        if last.is_some_and(|last| *last >= id) {
            self.remove(id);
            at = self.place(id);
        }
        if self.segments.is_empty() {
            self.segments.push(Segment::default());
        }
        if let Some(segment) = self.segments.get_mut(at) {
            segment.insert(id, text);
            self.length += text.len();
            if segment.ids.len() > SEGMENT {
                let next = segment.split(id);
                self.segments.insert(at + 1, next);
            }
        }
    }

    /// Removes an entry, if there is one with that id.
    pub(super) fn remove(&mut self, id: u64) {
        let at = self.place(id);
        let Some(segment) = self.segments.get_mut(at) else {
            return;
        };
        self.length -= segment.remove(id);
        if segment.ids.len() <= SEGMENT / 4 {
            self.merge(at);
            if let Some(before) = at.checked_sub(1) {
                self.merge(before);
            }
        }
    }

    /// The place of the segment that has the id, or would have it.
    fn place(&self, id: u64) -> usize {
        let behind = |segment: &Segment| segment.ids.first().is_some_and(|first| *first <= id);
        self.segments.partition_point(behind).saturating_sub(1)
    }

    /// Joins a small segment with the one after it, unless both together are large. The last one
    /// goes when it is empty.
    fn merge(&mut self, at: usize) {
        let [Some(length), next] = [at, at + 1]
            .map(|at| self.segments.get(at))
            .map(|segment| segment.map(|segment| segment.ids.len()))
        else {
            return;
        };
        match next {
            Some(next) if length + next <= SEGMENT / 2 => {
                let next = self.segments.remove(at + 1);
                if let Some(segment) = self.segments.get_mut(at) {
                    segment.append(next);
                }
            }
            _ if length == 0 => drop(self.segments.remove(at)),
            _ => {}
        }
    }
}

impl Segment {
    fn shared(&mut self, account: &Rc<Account>) -> Rc<Buffer> {
        let text = self.text.as_slice();
        let shared = self
            .shared
            .get_or_insert_with(|| Buffer::new(text.to_vec(), account));
        Rc::clone(shared)
    }

    /// The place in the text of the entry at that index.
    fn range(&self, index: usize) -> Range<usize> {
        let sum = |lengths: &[u32]| lengths.iter().map(|length| *length as usize).sum();
        let start = self.lengths.get(..index).map_or(0, sum);
        let length = self.lengths.get(index).copied().unwrap_or_default();
        start..start + length as usize
    }

    fn insert(&mut self, id: u64, text: &[u8]) {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.shared = None;
        let index = self.ids.partition_point(|other| *other < id);
        if index == self.ids.len() {
            self.text.push(text);
            self.ids.push(id);
            self.lengths.push(length);
            return;
        }
        self.text.insert(self.range(index).start, text);
        self.ids.insert(index, id);
        self.lengths.insert(index, length);
    }

    /// Returns the length of the text that has gone.
    fn remove(&mut self, id: u64) -> usize {
        let Ok(index) = self.ids.binary_search(&id) else {
            return 0;
        };
        let range = self.range(index);
        let length = range.len();
        self.text.remove(range);
        self.ids.remove(index);
        self.shared = None;
        self.lengths.remove(index);
        length
    }

    /// Splits off the entries of a new segment, after the one with that id was inserted: that one
    /// alone if it is the last, so that full segments stay full, and else half of them.
    fn split(&mut self, inserted: u64) -> Self {
        let index = if self.ids.last() == Some(&inserted) {
            self.ids.len() - 1
        } else {
            self.ids.len() / 2
        };
        let start = self.range(index).start;
        self.shared = None;
        let next = Self {
            ids: self.ids.split_off(index),
            lengths: self.lengths.split_off(index),
            text: self.text.split_off(start),
            shared: None,
        };
        self.ids.shrink_to_fit(); // a full segment rarely changes
        self.lengths.shrink_to_fit();
        next
    }

    fn append(&mut self, mut next: Self) {
        self.ids.append(&mut next.ids);
        self.lengths.append(&mut next.lengths);
        self.text.push(next.text.as_slice());
        self.shared = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use php_event::EventBase;
    use std::collections::BTreeMap;

    fn text(table: &mut Table) -> String {
        let mut whole = Vec::new();
        table.write_to(&mut whole);
        assert_eq!(whole.len(), table.json_length());
        let mut outbox = crate::outbox::Outbox::default();
        for part in table.parts(&Rc::default()) {
            outbox.push(part);
        }
        let mut parts = b"{".to_vec();
        outbox.write_to(&mut parts).unwrap();
        parts.push(b'}');
        assert_eq!(parts, whole);
        String::from_utf8(whole).unwrap()
    }

    #[test]
    fn after_any_changes_the_text_is_what_serialization_of_the_whole_gives() {
        let base = EventBase::new().unwrap();
        let mut random = fastrand::Rng::with_seed(12);
        let mut table = Table::default();
        let mut events = BTreeMap::new();
        assert_eq!(text(&mut table), "{}");
        for step in 0..6000 {
            // Grows, shrinks to nothing, and changes entries in between.
            let grows = step % 2000 < 1200;
            let id = random.u64(0..1500);
            if grows == (random.u8(0..8) > 0) {
                let event = Event::timer(&base, |_event| {}).unwrap();
                if random.bool() {
                    event.add(Some(std::time::Duration::from_secs(9))).unwrap();
                }
                if random.bool() {
                    table.set_plain(id, &event);
                } else {
                    event.set_data(id);
                    table.set(id, &event);
                }
                events.insert(id, event);
            } else if let Some(id) = events.range(id..).next().map(|(id, _)| *id) {
                table.remove(id);
                events.remove(&id);
            }
            if step % 50 == 0 {
                assert_eq!(text(&mut table), serde_json::to_string(&events).unwrap());
            }
        }
        for id in events.keys() {
            table.remove(*id);
        }
        assert_eq!(text(&mut table), "{}");
    }

    #[test]
    fn a_change_leaves_the_buffers_of_other_segments_shared() {
        let base = EventBase::new().unwrap();
        let event = Event::timer(&base, |_event| {}).unwrap();
        let mut table = Table::default();
        for id in 0..5 * SEGMENT as u64 {
            table.set(id, &event);
        }
        let account = Rc::default();
        let before = table.parts(&account);
        table.remove(7);
        let after = table.parts(&account);
        assert_eq!((before.len(), after.len()), (5, 5));
        let shared = before.iter().zip(&after);
        let shared = shared.filter(|(before, after)| before.shares_with(after));
        assert_eq!(shared.count(), 4);
    }

    #[test]
    fn few_entries_in_many_segments_come_together() {
        let base = EventBase::new().unwrap();
        let event = Event::timer(&base, |_event| {}).unwrap();
        let mut table = Table::default();
        for id in 0..10 * SEGMENT as u64 {
            table.set(id, &event);
        }
        for id in (0..10 * SEGMENT as u64).filter(|id| id % 32 != 0) {
            table.remove(id);
        }
        assert!(table.segments.len() <= 3, "{}", table.segments.len());
    }
}
