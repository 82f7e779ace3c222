//! Answers as C reads them, and the memory that they point into.

use std::cell::RefCell;
use std::ptr::NonNull;

use super::{
    ARRAY, DOUBLE, FALSE, ITEM, LONG, NEW, NULL, Payload, RawEntry, RawObject, RawValue, SELF,
    SLOT, SOCKET, STRING, TRUE, UNSET, unbound,
};
use crate::call::{Key, Value};

thread_local! {
    /// What answers point into until C has read them.
    static MEMORY: RefCell<Memory> = const { RefCell::new(Memory { last: 0, kept: Vec::new() }) };
}

/// What is kept, each with its number. The last one goes first, but for nested calls.
struct Memory {
    last: u32,
    kept: Vec<(u32, Storage)>,
}

/// The texts and arrays of converted values.
pub(super) struct Storage {
    object: Option<NonNull<RawObject>>, // whose parts a value may be
    first: Vec<u8>,                     // most answers have one text at most
    rest: Option<Box<Rest>>,
}

#[derive(Default)]
struct Rest {
    texts: Vec<Vec<u8>>,
    arrays: Vec<Box<[RawEntry]>>,
}

impl Storage {
    /// For the values of a call of this object's method or callable.
    pub(super) fn new(object: Option<NonNull<RawObject>>) -> Self {
        Self {
            object,
            first: Vec::new(),
            rest: None,
        }
    }

    /// A part of the object; null without one.
    fn part(&self, kind: u32, n: u32) -> RawValue {
        self.object
            .map_or(RawValue::of(NULL), |object| RawValue::part(kind, n, object))
    }

    #[inline] // into calls of PHP code, whose arguments are seldom texts
    pub(super) fn value(&mut self, value: Value) -> RawValue {
        match value {
            Value::Void => RawValue::of(UNSET),
            Value::Null => RawValue::of(NULL),
            Value::Bool(false) => RawValue::of(FALSE),
            Value::Bool(true) => RawValue::of(TRUE),
            Value::Int(number) => RawValue {
                payload: Payload { number },
                ..RawValue::of(LONG)
            },
            Value::Float(fraction) => RawValue {
                payload: Payload { fraction },
                ..RawValue::of(DOUBLE)
            },
            Value::String(text) => self.text(text),
            Value::Array(entries) => self.array(entries),
            Value::New(held) => RawValue {
                n: held.class().map_or(0, |class| class as u32),
                payload: Payload {
                    handle: unbound(held),
                },
                ..RawValue::of(NEW)
            },
            Value::This => self.part(SELF, 0),
            Value::Slot(slot) => self.part(SLOT, slot),
            Value::Item(slot, item) => RawValue {
                length: item,
                ..self.part(ITEM, slot)
            },
            Value::Socket(descriptor) => RawValue {
                payload: Payload {
                    number: descriptor.into(),
                },
                ..RawValue::of(SOCKET)
            },
        }
    }

    pub(super) fn text(&mut self, text: Vec<u8>) -> RawValue {
        let raw = RawValue {
            payload: Payload {
                text: text.as_ptr().cast(),
            },
            length: text.len(),
            ..RawValue::of(STRING)
        };
        // The bytes stay where they are when the vector moves.
        if self.first.is_empty() {
            self.first = text;
        } else {
            self.rest.get_or_insert_default().texts.push(text);
        }
        raw
    }

    fn array(&mut self, entries: Vec<(Key, Value)>) -> RawValue {
        let entries = entries.into_iter().map(|(key, value)| RawEntry {
            key: match key {
                Key::Next => RawValue::of(UNSET),
                Key::String(text) => self.text(text),
            },
            value: self.value(value),
        });
        let entries: Box<[RawEntry]> = entries.collect();
        let raw = RawValue {
            payload: Payload {
                entries: entries.as_ptr(),
            },
            length: entries.len(),
            ..RawValue::of(ARRAY)
        };
        self.rest.get_or_insert_default().arrays.push(entries);
        raw
    }

    /// Keeps this until [`forget`] gets the number; 0 is for nothing.
    pub(super) fn keep(self) -> u32 {
        if self.first.is_empty() && self.rest.is_none() {
            return 0;
        }
        MEMORY.with_borrow_mut(|memory| {
            memory.last = memory.last.checked_add(1).unwrap_or(1);
            memory.kept.push((memory.last, self));
            memory.last
        })
    }
}

/// Drops what a number stands for.
pub(super) fn forget(number: u32) {
    let storage = MEMORY.with_borrow_mut(|memory| {
        let n = memory.kept.iter().rposition(|(kept, _)| *kept == number)?;
        Some(memory.kept.swap_remove(n))
    });
    drop(storage);
}

/// Drops all: the script has ended.
pub(super) fn forget_all() {
    let storages = MEMORY.with_borrow_mut(|memory| std::mem::take(&mut memory.kept));
    drop(storages);
}
