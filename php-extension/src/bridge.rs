//! What the two halves exchange, as `shim/bridge.h` declares it, and the functions that C calls.
//!
//! Every `unsafe` of the extension is in this module. C keeps these promises, and the blocks below
//! rest on them:
//! - a frame, and all that it points to, stay as they are until the call returns;
//! - a handle is one that [`Held::into_raw`] gave, until `php_event_free` takes it back, once;
//! - the address of an object stays valid until `php_event_free` has its handle;
//! - every call comes from the thread of the request that made the handle.
#![allow(unsafe_code)]

mod handle;
mod lent;
mod quick;
mod storage;

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_void};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::LazyLock;

use php_event::EventBase;

use crate::call::{Answer, Argument, Call, Failure, Keep, Part, Value};
use crate::classes;
use crate::object::{Called, Held, Identity, Link};
use handle::RawHeld;
pub(crate) use lent::{HeldValue, Lender, LentSocket, close, lend, lent_event};
use storage::Storage;

include!(concat!(env!("OUT_DIR"), "/methods.rs"));

/// A function that answers a method.
pub(crate) type Method = fn(&mut Call) -> Result<Value, Failure>;

/// The most arguments of a method.
pub(crate) const ARGUMENTS: usize = 8;

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
    class: u32,
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

    /// A part of an object.
    const fn part(kind: u32, n: u32, object: NonNull<RawObject>) -> Self {
        Self {
            n,
            payload: Payload {
                object: object.as_ptr(),
            },
            ..Self::of(kind)
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

/// `bridge_frame`. Of the arrays, what the numbers count is set.
#[repr(C)]
pub(crate) struct RawFrame {
    object: *mut RawObject,
    handle: *mut c_void,
    argc: u32,
    keeps: RawKeeps,
    argv: [MaybeUninit<RawValue>; ARGUMENTS],
    answer: RawAnswer,
}

/// The changes of slots and properties that C makes after the call.
#[repr(C)]
struct RawKeeps {
    count: u32,
    all: [MaybeUninit<RawKeep>; ARGUMENTS],
}

/// A call's changes of slots and properties: at most one for each argument.
pub(crate) struct Keeps<'a>(&'a mut RawKeeps);

impl Keeps<'_> {
    pub(crate) fn push(&mut self, keep: Keep) {
        let (slot, how, argument) = match keep {
            Keep::Argument { slot, argument } => (slot, 0, argument),
            Keep::Append { slot, argument } => (slot, 1, argument),
            Keep::Clear { slot } => (slot, 2, 0),
            Keep::Data { property, argument } => (property, 3, argument),
        };
        if let Some(place) = self.0.all.get_mut(self.0.count as usize) {
            place.write(RawKeep {
                slot,
                how,
                argument,
            });
            self.0.count += 1;
        }
    }
}

/// The part of a frame that Rust writes.
#[repr(C)]
struct RawAnswer {
    outs: u32,
    error: u32,
    argument: u32,
    constructed: u32,
    memory: u32,
    message: *const c_char,
    message_length: usize,
    made: *mut c_void,
    result: RawValue,
    out: [MaybeUninit<RawValue>; ARGUMENTS],
}

unsafe extern "C" {
    fn bridge_module() -> *mut ModuleEntry;
    fn bridge_hold(value: *mut c_void) -> *mut c_void;
    fn bridge_hold_object(object: *mut RawObject) -> *mut c_void;
    fn bridge_release(held: *mut c_void, close: bool) -> bool;
    fn bridge_call(
        object: *mut RawObject,
        slot: u32,
        item: i64,
        argc: u32,
        argv: *const RawValue,
    ) -> u32;
}

thread_local! {
    /// The handles that no PHP object has: not yet, or no longer. Those that are left at the end of
    /// a request belong to objects that a bailout kept from being made, or from going.
    static UNBOUND: RefCell<Vec<RawHeld>> = const { RefCell::new(Vec::new()) };
}

/// Takes a handle off the list of those without an object.
fn bound(handle: *mut c_void) {
    UNBOUND.with_borrow_mut(|unbound| {
        if let Some(n) = unbound.iter().rposition(|other| other.handle == handle) {
            unbound.swap_remove(n);
        }
    });
}

/// The handle for C of a new object.
fn unbound(held: Held) -> *mut c_void {
    let raw = held.into_raw();
    UNBOUND.with_borrow_mut(|unbound| unbound.push(raw));
    raw.handle
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
            let object = unsafe { &*object };
            let lender = Lender(ptr::with_exposed_provenance_mut(raw.length));
            // SAFETY: the handle of an object that is there.
            Argument::Object(unsafe { Held::of_raw(object.held()) }, lender)
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

/// The arguments of a call, as C has read them.
#[derive(Clone, Copy)]
pub(crate) struct Arguments<'a>(&'a [MaybeUninit<RawValue>]);

impl<'a> Arguments<'a> {
    pub(crate) fn get(self, n: usize) -> Argument<'a> {
        let Some(raw) = self.0.get(n) else {
            return Argument::Unset;
        };
        // SAFETY: `answered`, which alone makes these, takes those that C has set.
        let raw = unsafe { raw.assume_init_ref() };
        // SAFETY: a part of a frame whose call has not returned: `'a` ends with that.
        unsafe { argument(raw) }
    }
}

/// Runs the callable in a slot of a PHP object, or in the list there.
pub(crate) fn call<const N: usize>(
    of: &Identity,
    slot: u32,
    item: Option<usize>,
    values: [Value; N],
) -> Called {
    let Some(object) = of.raw() else {
        return Called::NotCallable;
    };
    let mut storage = Storage::new(Some(object));
    let values = values.map(|value| storage.value(value));
    let item = item.and_then(|item| i64::try_from(item).ok()).unwrap_or(-1);
    let argc = u32::try_from(N).unwrap_or(0);
    // SAFETY: an identity gives the address only while the object is there, and C holds it
    // during the call; the values, and `storage`, which they point into, live until it returns.
    called(unsafe { bridge_call(object.as_ptr(), slot, item, argc, values.as_ptr()) })
}

/// Runs the callable in a slot of a PHP object, with arguments that are made without memory.
#[inline]
pub(crate) fn call_with_parts<const N: usize>(of: &Link, slot: u32, parts: [Part; N]) -> Called {
    let Some(object) = of.get() else {
        return Called::NotCallable;
    };
    let values = parts.map(|part| match part {
        Part::Int(number) => RawValue {
            payload: Payload { number },
            ..RawValue::of(LONG)
        },
        Part::This => RawValue::part(SELF, 0, object),
        Part::Slot(slot) => RawValue::part(SLOT, slot, object),
        Part::Data(property) => RawValue::part(DATA, property, object),
    });
    let argc = u32::try_from(N).unwrap_or(0);
    // SAFETY: a link gives the address only while the object is there, and C holds it during the
    // call; the values live until it returns.
    called(unsafe { bridge_call(object.as_ptr(), slot, -1, argc, values.as_ptr()) })
}

/// What C's answer means. A call that threw, or ends the script, ends the loop at once.
fn called(answer: u32) -> Called {
    match answer {
        0 => Called::Returned,
        3 => Called::NotCallable,
        _ => {
            EventBase::interrupt();
            Called::Ended
        }
    }
}

/// What a call leaves for C to do, but for the result and the keeps.
#[derive(Default)]
struct Rest {
    out: Vec<(usize, Value)>,
    constructed: Option<Held>,
    warning: Option<String>,
}

impl Rest {
    fn is_empty(&self) -> bool {
        self.out.is_empty() && self.constructed.is_none() && self.warning.is_none()
    }
}

/// Writes an answer for C.
fn write(
    to: &mut RawAnswer,
    object: Option<NonNull<RawObject>>,
    answer: Rest,
    result: Result<Value, Failure>,
) {
    let mut storage = Storage::new(object);
    let failure = match result {
        Ok(value) => {
            to.result = storage.value(value);
            answer.warning.map(Failure::Warning)
        }
        Err(failure) => {
            to.result = storage.value(failure.value());
            Some(failure)
        }
    };
    for (n, value) in answer.out {
        if let Some(out) = to.out.get_mut(n) {
            out.write(storage.value(value));
            to.outs |= 1 << n;
        }
    }
    if let Some(failure) = failure {
        let (kind, argument, message) = failure.parts();
        let text = storage.text(message.into_bytes());
        to.error = kind;
        to.argument = argument;
        // SAFETY: `text` made a value of kind `STRING`.
        to.message = unsafe { text.payload.text };
        to.message_length = text.length;
    }
    if let Some(held) = answer.constructed {
        to.constructed = 1;
        to.made = held.into_raw().handle;
    }
    to.memory = storage.keep();
}

/// Runs `work` on the call of a frame; a panic, which is a fault of ours, becomes an `Error`.
///
/// # Safety
/// `frame` is a frame of C's whose call has not returned.
unsafe fn answered(frame: *mut RawFrame, work: impl FnOnce(&mut Call) -> Result<Value, Failure>) {
    // SAFETY: C's frame, which nobody else uses during the call.
    let frame = unsafe { &mut *frame };
    let given = frame.argv.get(..frame.argc as usize).unwrap_or_default();
    // SAFETY: null, or the object that C holds for the call.
    let class = unsafe { frame.object.as_ref() }.map_or(0, |object| object.class);
    let handle = frame.handle;
    // SAFETY: the handle of that object, or null.
    let held = unsafe { Held::of_raw(RawHeld { class, handle }) };
    let (keeps, answer) = (&mut frame.keeps, &mut frame.answer);
    let object = NonNull::new(frame.object);
    let made = catch_unwind(AssertUnwindSafe(|| {
        let mut call = Call::new(object, held.as_ref(), Arguments(given), Keeps(keeps));
        let result = work(&mut call);
        let Answer {
            out,
            constructed,
            warning,
            ..
        } = call.answer;
        let rest = Rest {
            out,
            constructed,
            warning,
        };
        if rest.is_empty() {
            if let Some(result) = write_plain(&mut answer.result, result) {
                write(answer, object, rest, result);
            }
        } else {
            write(answer, object, rest, result);
        }
    }));
    if made.is_err() {
        frame.keeps.count = 0;
        let text = "php-event: internal error (a panic in Rust)".to_owned();
        write(
            &mut frame.answer,
            object,
            Rest::default(),
            Err(Failure::Error(text)),
        );
    }
}

/// Writes a result without text, array or object field by field, which is faster than copying a
/// whole [`RawValue`]. Returns any other result.
fn write_plain(
    to: &mut RawValue,
    result: Result<Value, Failure>,
) -> Option<Result<Value, Failure>> {
    to.kind = match result {
        Ok(Value::Void) => UNSET,
        Ok(Value::Null) => NULL,
        Ok(Value::Bool(false)) => FALSE,
        Ok(Value::Bool(true)) => TRUE,
        Ok(Value::Int(number)) => {
            to.payload.number = number;
            LONG
        }
        other => return Some(other),
    };
    None
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

#[unsafe(no_mangle)]
extern "C" fn php_event_slots(class: u32) -> u32 {
    classes::slots(class)
}

/// Tells a handle which object has it from now on.
///
/// # Safety
/// Called by C with a handle that [`Held::into_raw`] gave, and the object that has just got it; or
/// null, when there is no object, and C frees the handle next.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_bind(handle: *mut c_void, object: *mut RawObject) {
    bound(handle);
    // SAFETY: null, or C has just made the object, or holds it for the call.
    let Some(new) = (unsafe { object.as_ref() }) else {
        return;
    };
    // SAFETY: the handle of an object that is there.
    if let Some(held) = unsafe { Held::of_raw(new.held()) } {
        held.link().set(NonNull::new(object));
    }
}

/// Has a handle call its object no more. It is freed at the end of the request if a bailout keeps
/// C from doing that.
///
/// # Safety
/// Called by C with the handle of an object that goes.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_unlink(class: u32, handle: *mut c_void) {
    // SAFETY: the handle of an object that is there; its count stays C's.
    let held = ManuallyDrop::new(unsafe { Held::from_raw(RawHeld { class, handle }) });
    held.link().set(None);
    UNBOUND.with_borrow_mut(|unbound| unbound.push(RawHeld { class, handle }));
}

/// # Safety
/// Called by C once for a handle, when its object goes.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_free(class: u32, handle: *mut c_void) {
    // SAFETY: C gives each handle back once, and does not use it again.
    let held = unsafe { Held::from_raw(RawHeld { class, handle }) };
    held.link().set(None);
    // A panic in a destructor is a bug here, and has no caller to report it to.
    catch_unwind(AssertUnwindSafe(|| drop(held))).ok();
}

/// # Safety
/// Called by C with the handle of an object that is there.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_is_pending(class: u32, handle: *mut c_void) -> bool {
    // SAFETY: the handle of an object that is there.
    let held = ManuallyDrop::new(unsafe { Held::from_raw(RawHeld { class, handle }) });
    catch_unwind(AssertUnwindSafe(|| held.is_pending())).unwrap_or(true)
}

#[unsafe(no_mangle)]
extern "C" fn php_event_forget(memory: u32) {
    storage::forget(memory);
}

#[unsafe(no_mangle)]
extern "C" fn php_event_request_shutdown() {
    storage::forget_all();
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
