//! What the two halves exchange, as `shim/bridge.h` declares it, and the functions that C calls.
//!
//! Every `unsafe` of the extension is in this file. C keeps these promises, and the blocks below
//! rest on them:
//! - a frame, and all that it points to, stay as they are until the call returns;
//! - a handle is one that [`Held::into_raw`] gave, until `php_event_free` takes it back, once;
//! - the address of an object stays valid until `php_event_free` has its handle;
//! - every call comes from the thread of the request that made the handle.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ffi::{CString, c_char, c_void};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::LazyLock;

use crate::call::{Argument, Call, Descriptor, Failure, Keep, Key, Value};
use crate::classes;
use crate::object::{Called, Held, Identity};

include!(concat!(env!("OUT_DIR"), "/methods.rs"));

/// A function that answers a method.
pub(crate) type Method = fn(&mut Call) -> Result<Value, Failure>;

const ARGUMENTS: usize = 8;

const UNSET: u32 = 0;
const NULL: u32 = 1;
const FALSE: u32 = 2;
const TRUE: u32 = 3;
const LONG: u32 = 4;
const DOUBLE: u32 = 5;
const STRING: u32 = 6;
const ARRAY: u32 = 7;
const OBJECT: u32 = 8;
const DESCRIPTOR: u32 = 9;
const ZVAL: u32 = 10;
const NEW: u32 = 11;
const SELF: u32 = 12;
const SLOT: u32 = 13;
const DATA: u32 = 14;
const ITEM: u32 = 15;
const SOCKET: u32 = 16;

/// `zend_module_entry`; C alone knows what is in it.
#[repr(C)]
pub(crate) struct ModuleEntry {
    _opaque: [u8; 0],
}

/// A PHP object of the extension's. Rust knows its address and its handle.
#[repr(C)]
pub(crate) struct RawObject {
    handle: *mut c_void,
    _opaque: [u8; 0],
}

#[derive(Clone, Copy)]
#[repr(C)]
union Payload {
    number: i64,
    fraction: f64,
    text: *const c_char,
    entries: *const RawEntry,
    object: *mut RawObject,
    handle: *mut c_void,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct RawValue {
    kind: u32,
    n: u32,
    payload: Payload,
    length: usize,
}

impl RawValue {
    const fn of(kind: u32) -> Self {
        Self {
            kind,
            n: 0,
            payload: Payload { number: 0 },
            length: 0,
        }
    }
}

#[repr(C)]
struct RawEntry {
    key: RawValue,
    value: RawValue,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct RawKeep {
    slot: u32,
    how: u32,
    argument: u32,
}

/// `bridge_frame`.
#[repr(C)]
pub(crate) struct RawFrame {
    object: *mut RawObject,
    handle: *mut c_void,
    argc: u32,
    argv: [RawValue; ARGUMENTS],
    result: RawValue,
    out: [RawValue; ARGUMENTS],
    kept: u32,
    keep: [RawKeep; ARGUMENTS],
    error: u32,
    argument: u32,
    message: *const c_char,
    message_length: usize,
    constructed: u32,
    made: *mut c_void,
    memory: u32,
}

unsafe extern "C" {
    fn bridge_module() -> *mut ModuleEntry;
    fn bridge_hold(value: *mut c_void) -> *mut c_void;
    fn bridge_release(held: *mut c_void, close: bool);
    fn bridge_call(
        object: *mut RawObject,
        slot: u32,
        item: i64,
        argc: u32,
        argv: *const RawValue,
    ) -> u32;
}

thread_local! {
    /// What answers point into until C has read them.
    static MEMORY: RefCell<Memory> = RefCell::default();
    /// The handles that no PHP object has yet: those that are left at the end of a request belong
    /// to objects that a bailout kept from being made.
    static UNBOUND: RefCell<HashSet<*mut c_void>> = RefCell::default();
}

#[derive(Default)]
struct Memory {
    last: u32,
    kept: HashMap<u32, Storage>,
}

/// The texts and arrays of converted values.
#[derive(Default)]
struct Storage {
    texts: Vec<Box<[u8]>>,
    arrays: Vec<Box<[RawEntry]>>,
}

impl Storage {
    fn value(&mut self, value: Value) -> RawValue {
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
            Value::New(held) => {
                let n = held.class() as u32;
                let handle = held.into_raw();
                UNBOUND.with_borrow_mut(|unbound| unbound.insert(handle));
                RawValue {
                    n,
                    payload: Payload { handle },
                    ..RawValue::of(NEW)
                }
            }
            Value::Object(of) => of
                .raw()
                .map_or(RawValue::of(NULL), |object| at(SELF, 0, object)),
            Value::Slot(of, slot) => of
                .raw()
                .map_or(RawValue::of(NULL), |object| at(SLOT, slot, object)),
            Value::Data(of, property) => of
                .raw()
                .map_or(RawValue::of(NULL), |object| at(DATA, property, object)),
            Value::Item(of, slot, item) => of.raw().map_or(RawValue::of(NULL), |object| RawValue {
                length: item,
                ..at(ITEM, slot, object)
            }),
            Value::Socket(descriptor) => RawValue {
                payload: Payload {
                    number: descriptor.into(),
                },
                ..RawValue::of(SOCKET)
            },
        }
    }

    fn text(&mut self, text: Vec<u8>) -> RawValue {
        let text = text.into_boxed_slice();
        let raw = RawValue {
            payload: Payload {
                text: text.as_ptr().cast(),
            },
            length: text.len(),
            ..RawValue::of(STRING)
        };
        self.texts.push(text); // the bytes stay where they are
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
        self.arrays.push(entries);
        raw
    }

    /// Keeps this until C calls `php_event_forget` with the number.
    fn keep(self) -> u32 {
        if self.texts.is_empty() && self.arrays.is_empty() {
            return 0;
        }
        MEMORY.with_borrow_mut(|memory| {
            memory.last = memory.last.checked_add(1).unwrap_or(1);
            memory.kept.insert(memory.last, self);
            memory.last
        })
    }
}

fn at(kind: u32, n: u32, object: NonNull<RawObject>) -> RawValue {
    RawValue {
        n,
        payload: Payload {
            object: object.as_ptr(),
        },
        ..RawValue::of(kind)
    }
}

/// The bytes that C lends with a value.
///
/// # Safety
/// `text` and `length` are those of a value of kind `STRING` that C still keeps.
unsafe fn bytes<'a>(text: *const c_char, length: usize) -> &'a [u8] {
    if length == 0 {
        return &[];
    }
    #[expect(clippy::disallowed_methods, reason = "a PHP string is never null")]
    // SAFETY: a PHP string of that length, which stays for as long as its frame.
    unsafe {
        std::slice::from_raw_parts(text.cast(), length)
    }
}

/// An argument as C has read it.
///
/// # Safety
/// `raw` belongs to a frame whose call has not returned.
unsafe fn argument<'a>(raw: &RawValue) -> Argument<'a> {
    match raw.kind {
        NULL => Argument::Null,
        FALSE => Argument::Bool(false),
        TRUE => Argument::Bool(true),
        // SAFETY: the kind says which member C wrote.
        LONG => Argument::Int(unsafe { raw.payload.number }),
        // SAFETY: the kind says which member C wrote.
        DOUBLE => Argument::Float(unsafe { raw.payload.fraction }),
        STRING => {
            // SAFETY: the kind says which member C wrote.
            let text = unsafe { raw.payload.text };
            // SAFETY: C lends the bytes for the length of the frame.
            Argument::String(unsafe { bytes(text, raw.length) })
        }
        ARRAY => {
            // SAFETY: the kind says which member C wrote.
            let first = unsafe { raw.payload.entries };
            let entries = (0..raw.length).map(|n| {
                // SAFETY: C wrote `length` entries.
                let entry = unsafe { first.add(n) };
                // SAFETY: one of those entries, which C keeps for the length of the frame.
                let entry = unsafe { &*entry };
                // SAFETY: a part of the same frame.
                let key = unsafe { argument(&entry.key) };
                // SAFETY: a part of the same frame.
                let value = unsafe { argument(&entry.value) };
                (key, value)
            });
            Argument::Array(entries.collect())
        }
        OBJECT => {
            // SAFETY: the kind says which member C wrote.
            let object = unsafe { raw.payload.object };
            // SAFETY: C has checked the class; the argument holds the object.
            let handle = unsafe { (*object).handle };
            let lender = Lender(ptr::with_exposed_provenance_mut(raw.length));
            // SAFETY: the handle of an object that is there.
            Argument::Object(unsafe { Held::of_raw(handle) }, lender)
        }
        DESCRIPTOR => {
            // SAFETY: the kind says which member C wrote.
            let number = unsafe { raw.payload.number };
            let lender = Lender(ptr::with_exposed_provenance_mut(raw.length));
            Argument::descriptor(i32::try_from(number).unwrap_or(-1), raw.n, lender)
        }
        ZVAL => Argument::Other,
        _ => Argument::Unset,
    }
}

/// Runs the callable in a slot of a PHP object, or in the list there.
pub(crate) fn call(of: &Identity, slot: u32, item: Option<usize>, values: Vec<Value>) -> Called {
    let Some(object) = of.raw() else {
        return Called::NotCallable;
    };
    let mut storage = Storage::default();
    let values: Vec<RawValue> = values
        .into_iter()
        .map(|value| storage.value(value))
        .collect();
    let item = item.and_then(|item| i64::try_from(item).ok()).unwrap_or(-1);
    let argc = u32::try_from(values.len()).unwrap_or(0);
    // SAFETY: an identity gives the address only while the object is there, and C holds it
    // during the call; the values, and `storage`, which they point into, live until it returns.
    let result = unsafe { bridge_call(object.as_ptr(), slot, item, argc, values.as_ptr()) };
    match result {
        0 => Called::Returned,
        3 => Called::NotCallable,
        _ => Called::Ended,
    }
}

/// Writes an answer into a frame.
fn answer(frame: &mut RawFrame, call: &mut Call, result: Result<Value, Failure>) {
    let mut storage = Storage::default();
    let failure = match result {
        Ok(value) => {
            frame.result = storage.value(value);
            call.warning.take().map(Failure::Warning)
        }
        Err(failure) => {
            frame.result = storage.value(failure.value());
            Some(failure)
        }
    };
    for (n, value) in call.out.drain(..) {
        if let Some(out) = frame.out.get_mut(n) {
            *out = storage.value(value);
        }
    }
    for (keep, to) in call.keep.drain(..).zip(&mut frame.keep) {
        let (slot, how, argument) = match keep {
            Keep::Argument { slot, argument } => (slot, 0, argument),
            Keep::Append { slot, argument } => (slot, 1, argument),
            Keep::Clear { slot } => (slot, 2, 0),
            Keep::Data { property, argument } => (property, 3, argument),
        };
        *to = RawKeep {
            slot,
            how,
            argument,
        };
        frame.kept += 1;
    }
    if let Some(failure) = failure {
        let (kind, argument, message) = failure.parts();
        let text = storage.text(message.into_bytes());
        frame.error = kind;
        frame.argument = argument;
        // SAFETY: `text` made a value of kind `STRING`.
        frame.message = unsafe { text.payload.text };
        frame.message_length = text.length;
    }
    if let Some(held) = call.constructed.take() {
        frame.constructed = 1;
        frame.made = held.into_raw();
    }
    frame.memory = storage.keep();
}

/// Runs `work` on the call of a frame; a panic, which is a fault of ours, becomes an `Error`.
///
/// # Safety
/// `frame` is a frame of C's whose call has not returned.
unsafe fn answered(frame: *mut RawFrame, work: impl FnOnce(&mut Call) -> Result<Value, Failure>) {
    // SAFETY: C's frame, which nothing else uses during the call.
    let frame = unsafe { &mut *frame };
    let given = frame.argv.iter().take(frame.argc as usize);
    // SAFETY: arguments of this frame.
    let arguments = given.map(|raw| unsafe { argument(raw) }).collect();
    // SAFETY: the handle of the object that C holds for the call, or null.
    let held = unsafe { Held::of_raw(frame.handle) };
    let mut call = Call::new(NonNull::new(frame.object), held, arguments);
    let result = catch_unwind(AssertUnwindSafe(|| work(&mut call)));
    let result = result.unwrap_or_else(|_panic| {
        Err(Failure::Error(
            "php-event: internal error (a panic in Rust)".to_owned(),
        ))
    });
    answer(frame, &mut call, result);
}

/// # Safety
/// Called by C with the number of a method and a frame of its own.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_method(method: u32, frame: *mut RawFrame) {
    let method = METHODS.get(method as usize);
    let work = |call: &mut Call| match method {
        Some(method) => method(call),
        None => Err(Failure::Error("php-event: no such method".to_owned())),
    };
    // SAFETY: C's own frame.
    unsafe { answered(frame, work) };
}

/// # Safety
/// Called by C with the number of a property, its object and a frame of its own.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_read_property(
    property: u32,
    _object: *mut RawObject,
    frame: *mut RawFrame,
) -> bool {
    let name = PROPERTIES.get(property as usize).copied().unwrap_or("");
    // SAFETY: C's own frame.
    unsafe { answered(frame, |call| classes::read_property(name, call)) };
    true
}

/// # Safety
/// As `php_event_read_property`; the value is the frame's first argument.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_write_property(
    property: u32,
    _object: *mut RawObject,
    frame: *mut RawFrame,
) -> bool {
    let name = PROPERTIES.get(property as usize).copied().unwrap_or("");
    // SAFETY: C's own frame.
    unsafe { answered(frame, |call| classes::write_property(name, call)) };
    true
}

/// Tells a handle which object has it from now on.
///
/// # Safety
/// Called by C with a handle that [`Held::into_raw`] gave, and the object that has just got it.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_bind(handle: *mut c_void, object: *mut RawObject) {
    UNBOUND.with_borrow_mut(|unbound| unbound.remove(&handle));
    // SAFETY: the handle of an object that is there.
    if let Some(held) = unsafe { Held::of_raw(handle) } {
        held.identity().set(NonNull::new(object));
    }
}

/// # Safety
/// Called by C once for a handle, when its object goes.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_free(_class: u32, handle: *mut c_void) {
    UNBOUND.with_borrow_mut(|unbound| unbound.remove(&handle));
    // SAFETY: C gives each handle back once, and does not use it again.
    let held = unsafe { Held::from_raw(handle) };
    held.identity().set(None);
    // A panic in a destructor is a bug here, and has no caller to report it to.
    catch_unwind(AssertUnwindSafe(|| drop(held))).ok();
}

/// # Safety
/// Called by C with the handle of an object that is there.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_is_pending(_class: u32, handle: *mut c_void) -> bool {
    // SAFETY: the handle of an object that is there.
    let held = unsafe { Held::of_raw(handle) };
    let pending = || held.is_some_and(|held| held.is_pending());
    catch_unwind(AssertUnwindSafe(pending)).unwrap_or(true)
}

#[unsafe(no_mangle)]
extern "C" fn php_event_forget(memory: u32) {
    let storage = MEMORY.with_borrow_mut(|kept| kept.kept.remove(&memory));
    drop(storage);
}

#[unsafe(no_mangle)]
extern "C" fn php_event_request_shutdown() {
    let storages = MEMORY.with_borrow_mut(|kept| std::mem::take(&mut kept.kept));
    drop(storages);
    for handle in UNBOUND.take() {
        // SAFETY: no object has this handle, so C will not give it back.
        drop(unsafe { Held::from_raw(handle) });
    }
}

#[unsafe(no_mangle)]
extern "C" fn php_event_libevent_version() -> *const c_char {
    static TEXT: LazyLock<CString> = LazyLock::new(|| {
        let [major, minor, patch, _] =
            php_event::EventUtil::libevent_version_number().to_be_bytes();
        CString::new(format!("{major}.{minor}.{patch}")).unwrap_or_default()
    });
    TEXT.as_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn php_event_openssl_version() -> *const c_char {
    static TEXT: LazyLock<CString> = LazyLock::new(|| {
        CString::new(php_event::EventSslContext::OPENSSL_VERSION_TEXT).unwrap_or_default()
    });
    TEXT.as_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn php_event_openssl_number() -> i64 {
    php_event::EventSslContext::OPENSSL_VERSION_NUMBER
}

/// What PHP looks up in the library that it has loaded.
///
/// # Safety
/// Called by PHP.
#[unsafe(no_mangle)]
unsafe extern "C" fn get_module() -> *mut ModuleEntry {
    // SAFETY: gives the address of a static.
    unsafe { bridge_module() }
}

impl Held {
    /// The handle for C, which gives it back by `php_event_free`.
    fn into_raw(self) -> *mut c_void {
        Box::into_raw(Box::new(self)).cast()
    }

    /// The object of a handle; null is none.
    ///
    /// # Safety
    /// `handle` is null or one that `into_raw` gave and `from_raw` has not taken back.
    unsafe fn of_raw(handle: *mut c_void) -> Option<Self> {
        // SAFETY: by this function's duty, a box that is there, or null.
        let held = unsafe { handle.cast_const().cast::<Self>().as_ref() };
        held.cloned()
    }

    /// Takes a handle back.
    ///
    /// # Safety
    /// `into_raw` gave it, and it is not used again.
    unsafe fn from_raw(handle: *mut c_void) -> Self {
        // SAFETY: by this function's duty, a box that is taken back once.
        *unsafe { Box::from_raw(handle.cast::<Self>()) }
    }
}

/// An event on a descriptor that PHP lends.
///
/// The event's object holds the stream or socket in a slot, so that PHP does not close the
/// descriptor while the event is there. A program that closes it itself, by `fclose` or
/// `socket_close`, gets what it gets under PECL: the event watches nothing, or, when it is added
/// again, whatever has the number then.
pub(crate) fn lent_event(
    base: &php_event::EventBase,
    descriptor: i32,
    what: php_event::EventFlags,
    mut callback: impl FnMut(php_event::EventFlags, &php_event::Event) + 'static,
) -> php_event::Result<php_event::Event> {
    // SAFETY: the object's slot keeps the descriptor open; what a program that closes it by itself
    // gets is said above, and no memory depends on it: epoll watches numbers.
    unsafe {
        php_event::Event::new_raw(base, descriptor, what, move |_fd, what, event| {
            callback(what, event);
        })
    }
}

/// Runs `work` on a descriptor that PHP lends for the length of this call.
pub(crate) fn lend<T>(descriptor: i32, work: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
    // SAFETY: not negative, since C refuses such numbers. The argument of the running method keeps
    // a stream or socket open; a bare number is the program's word that it is open, and a wrong
    // one makes the system call fail.
    work(unsafe { BorrowedFd::borrow_raw(descriptor) })
}

/// Closes a descriptor that PHP has given up, or did not take.
pub(crate) fn close(descriptor: i32) {
    // SAFETY: a number that a program gave with OPT_CLOSE_ON_FREE, or that a listener made for a
    // callback that did not run or threw: nobody else closes it.
    drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
}

/// The PHP value that a descriptor argument was read from.
#[derive(Clone, Copy)]
pub(crate) struct Lender(*mut c_void);

/// A count of a PHP value.
pub(crate) struct HeldValue {
    held: *mut c_void,
    /// Whether a stream is closed when this goes.
    close: bool,
}

impl HeldValue {
    pub(crate) fn new(lender: &Lender, close: bool) -> Self {
        // SAFETY: the value of an argument, which C keeps for the length of the call.
        let held = unsafe { bridge_hold(lender.0) };
        Self { held, close }
    }
}

impl Drop for HeldValue {
    fn drop(&mut self) {
        // SAFETY: what `new` got, given back once.
        unsafe { bridge_release(self.held, self.close) };
    }
}

/// A descriptor of PHP's, held open by a count of the stream or socket that it belongs to.
pub(crate) struct LentSocket {
    number: RawFd,
    /// Whether it was a bare number that is owned.
    owned: bool,
    _held: HeldValue,
}

impl LentSocket {
    /// None for a dead socket. With `close` the stream, or the bare number, is closed when the last
    /// user of the descriptor goes.
    pub(crate) fn new(descriptor: Descriptor, lender: &Lender, close: bool) -> Option<Self> {
        let number = descriptor.number()?;
        let owned = close && matches!(descriptor, Descriptor::Number(_));
        let _held = HeldValue::new(lender, close);
        Some(Self {
            number,
            owned,
            _held,
        })
    }
}

impl AsFd for LentSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: not negative, since C refuses such numbers; the held value keeps a stream or
        // socket open, unless the program closes it itself, as `lent_event` says.
        unsafe { BorrowedFd::borrow_raw(self.number) }
    }
}

impl Drop for LentSocket {
    fn drop(&mut self) {
        if self.owned {
            close(self.number);
        }
    }
}
