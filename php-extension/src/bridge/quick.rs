//! The methods that programs call most, without a frame.
//!
//! Each answers the plain case alone. Where one refuses, it has changed nothing: C then calls
//! `php_event_method`, which does the same again, and says what is wrong.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::time::Duration;

use php_event::{EventBase, EventBuffer, EventBufferEvent, EventFlags, EventWith};

use super::{RawObject, bytes};
use crate::call::{Descriptor, seconds};
use crate::classes::event::EventValue;
use crate::classes::{AnyObject, event_buffer};
use crate::object::{Half, Link};

/// What a refused call returns where a number is due.
const REFUSED: i64 = -1;

/// Runs `work` on the half behind a handle; `refused` without one, and after a panic.
///
/// # Safety
/// `handle` is null, or one that `Held::into_raw` gave and C keeps until `work` last uses it.
pub(super) unsafe fn on<T>(
    handle: *mut c_void,
    refused: T,
    work: impl FnOnce(&Half) -> Option<T>,
) -> T {
    // SAFETY: null, or a handle that C keeps, as `# Safety` asks.
    let half = unsafe { handle.cast_const().cast::<Half>().as_ref() };
    let answer = catch_unwind(AssertUnwindSafe(|| half.and_then(work)));
    answer.ok().flatten().unwrap_or(refused)
}

/// A second handle of a buffer or buffer event: it stays when a call frees the object's.
enum Bytes {
    Buffer(EventBuffer),
    BufferEvent(EventBufferEvent),
}

/// Runs `work` on a buffer or buffer event behind a handle; `refused` without one, and after a
/// panic. `work` may run code of PHP's that frees the object: no reference to it is left by then.
///
/// # Safety
/// `handle` is null, or one that `Held::into_raw` gave and that is there when this begins.
unsafe fn on_bytes<T>(handle: *mut c_void, refused: T, work: impl FnOnce(Bytes) -> Option<T>) -> T {
    let own = |half: &Half| match half.any()? {
        AnyObject::EventBuffer(buffer) => Some(Bytes::Buffer(buffer.clone())),
        AnyObject::EventBufferEvent(value) => Some(Bytes::BufferEvent(value.bev.clone())),
        _ => None,
    };
    // SAFETY: null, or a handle that is there, as `# Safety` asks; a clone runs no code of PHP's.
    let own = unsafe { on(handle, None, |half| Some(own(half))) };
    let answer = catch_unwind(AssertUnwindSafe(|| own.and_then(work)));
    answer.ok().flatten().unwrap_or(refused)
}

/// Runs `work` on the event behind a handle; `refused` without one, and after a panic.
///
/// # Safety
/// `handle` is null, or one that `Held::into_raw` gave for an event and C keeps until `work` last
/// uses it.
unsafe fn on_event<T>(
    handle: *mut c_void,
    refused: T,
    work: impl FnOnce(&EventValue) -> Option<T>,
) -> T {
    if handle.is_null() {
        return refused;
    }
    // SAFETY: a handle that C keeps, as `# Safety` asks; its count stays C's.
    let event = ManuallyDrop::new(EventValue(unsafe { EventWith::from_raw(handle) }));
    let answer = catch_unwind(AssertUnwindSafe(|| work(&event)));
    answer.ok().flatten().unwrap_or(refused)
}

/// `Event::add`, for ever where the time is -1.
///
/// # Safety
/// Called by C with null, or the handle of an event that is there. It runs no code of PHP's, so
/// that C keeps the handle meanwhile.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_quick_add(handle: *mut c_void, time: f64) -> bool {
    let timeout = (time != -1.0).then(|| seconds(time));
    // SAFETY: null, or the handle of an event that a PHP object owns: the caller's frame holds that
    // object, and what follows runs no code of PHP's that could free the handle.
    unsafe { on_event(handle, false, |event| Some(event.0.add(timeout).is_ok())) }
}

/// The same with whole seconds, which is quicker.
///
/// # Safety
/// As `php_event_quick_add`.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_quick_add_whole(handle: *mut c_void, seconds: i64) -> bool {
    // What is negative is now, as in `seconds`.
    let time = || Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let timeout = (seconds != -1).then(time);
    // SAFETY: as in `php_event_quick_add`.
    unsafe { on_event(handle, false, |event| Some(event.0.add(timeout).is_ok())) }
}

/// `Event::del`
///
/// # Safety
/// As `php_event_quick_add`.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_quick_del(handle: *mut c_void) -> bool {
    // SAFETY: as in `php_event_quick_add`.
    unsafe { on_event(handle, false, |event| Some(event.0.del().is_ok())) }
}

/// `Event::free`; false of an event that was freed before.
///
/// # Safety
/// As `php_event_quick_add`.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_quick_free(handle: *mut c_void) -> bool {
    // SAFETY: as in `php_event_quick_add`.
    unsafe { on_event(handle, false, |event| Some(event.free())) }
}

/// The property `pending` of an event: 0 or 1, and -1 for null.
///
/// # Safety
/// Called by C with null, or the handle of an event that is there. It runs no code of PHP's, so
/// that C keeps the handle meanwhile.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_pending(handle: *mut c_void) -> c_int {
    // SAFETY: null, or the handle of an event that a PHP object owns: the caller's frame holds that
    // object, and what follows runs no code of PHP's that could free the handle.
    unsafe { on_event(handle, -1, |event| event.pending().map(c_int::from)) }
}

/// `Event::timer` for an object that has no handle yet; null when that fails.
///
/// # Safety
/// Called by C with null or the handle of a base that is there, and a new object. It runs no code
/// of PHP's, so that C keeps the handle meanwhile.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_quick_timer(
    base: *mut c_void,
    object: *mut RawObject,
) -> *mut c_void {
    let work = |half: &Half| {
        let base = half.value::<EventBase>()?;
        made(EventValue::timer(base, Link::new(NonNull::new(object))))
    };
    // SAFETY: null, or a handle that a PHP object owns: the caller's frame holds that object, and
    // `work` runs no code of PHP's that could free the handle.
    unsafe { on(base, ptr::null_mut(), work) }
}

/// `Event::__construct` for a descriptor and flags that a program usually gives; null when that
/// fails.
///
/// # Safety
/// As `php_event_quick_timer`.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_quick_watch(
    base: *mut c_void,
    object: *mut RawObject,
    descriptor: i64,
    origin: u32,
    what: i64,
) -> *mut c_void {
    let work = |half: &Half| {
        let base = half.value::<EventBase>()?;
        let number = i32::try_from(descriptor).ok()?;
        let descriptor = Descriptor::of(number, origin).filter(|one| one.number().is_some())?;
        let what = EventFlags::from_bits_retain(i16::try_from(what).ok()?);
        let link = Link::new(NonNull::new(object));
        made(EventValue::watching(base, descriptor, what, link))
    };
    // SAFETY: null, or a handle that a PHP object owns: the caller's frame holds that object, and
    // `work` runs no code of PHP's that could free the handle.
    unsafe { on(base, ptr::null_mut(), work) }
}

/// The handle of a new event.
fn made(event: php_event::Result<EventValue>) -> Option<*mut c_void> {
    Some(event.ok()?.0.into_raw().cast_mut())
}

/// How many bytes there are in a buffer, or in the input of a buffer event; 0 also where it is not
/// usable, and -1 without one.
///
/// # Safety
/// Called by C with null or the handle of an object that is there. It runs no code of PHP's, so
/// that C keeps the handle meanwhile.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_readable(handle: *mut c_void) -> i64 {
    let work = |half: &Half| {
        let length = match half.any()? {
            AnyObject::EventBuffer(buffer) => buffer.length(),
            AnyObject::EventBufferEvent(value) => value.bev.input().length(),
            _ => return None,
        };
        i64::try_from(length).ok()
    };
    // SAFETY: null, or a handle that a PHP object owns: the caller's frame holds that object, and
    // `work` runs no code of PHP's that could free the handle.
    unsafe { on(handle, REFUSED, work) }
}

/// The lengths of a buffer's first line and of its end, in `end`; -1 when none is complete.
///
/// # Safety
/// Called by C with null or the handle of an object that is there, and a place for a number. It
/// runs no code of PHP's, so that C keeps the handle meanwhile.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_line(handle: *mut c_void, style: i64, end: *mut i64) -> i64 {
    let work = |half: &Half| {
        let style = event_buffer::eol_style(Some(style))?;
        let found = half.value::<EventBuffer>()?.find_line(style);
        let (line, end) = found.ok()??;
        Some((i64::try_from(line).ok()?, i64::try_from(end).ok()?))
    };
    // SAFETY: null, or a handle that a PHP object owns: the caller's frame holds that object, and
    // `work` runs no code of PHP's that could free the handle.
    let (line, length) = unsafe { on(handle, (REFUSED, 0), work) };
    // SAFETY: `end` is a local variable of `bridge_quick_read_line`.
    unsafe { end.write(length) };
    line
}

/// C's new string.
///
/// # Safety
/// `first` is the first of `length` bytes, which nobody else uses before the answer goes.
unsafe fn room<'a>(first: *mut u8, length: usize) -> &'a mut [MaybeUninit<u8>] {
    #[expect(clippy::disallowed_methods, reason = "a PHP string is never null")]
    // SAFETY: as `# Safety` says; the bytes need not be set.
    unsafe {
        std::slice::from_raw_parts_mut(first.cast(), length)
    }
}

/// Moves up to `length` bytes out of a buffer, or out of the input of a buffer event, to `first`
/// and on; -1 when that fails.
///
/// # Safety
/// Called by C with null or the handle of an object that is there, and room for `length` bytes in
/// a string that nobody else knows yet.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_take(handle: *mut c_void, first: *mut u8, length: usize) -> i64 {
    // SAFETY: C's new string, which nobody else knows until this returns.
    let room = unsafe { room(first, length) };
    let work = |own| {
        let taken = match own {
            Bytes::Buffer(buffer) => buffer.read_into(room).ok()?.len(),
            Bytes::BufferEvent(bev) => bev.read_into(room).ok()?.len(),
        };
        i64::try_from(taken).ok()
    };
    // SAFETY: null, or a handle that a PHP object owns: the caller's frame holds that object.
    unsafe { on_bytes(handle, REFUSED, work) }
}

/// Copies the bytes of a buffer from `start` on to `first` and on; -1 when that fails.
///
/// # Safety
/// As `php_event_take`. It runs no code of PHP's, so that C keeps the handle meanwhile.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_copy(
    handle: *mut c_void,
    start: usize,
    first: *mut u8,
    length: usize,
) -> i64 {
    // SAFETY: C's new string, which nobody else knows until this returns.
    let room = unsafe { room(first, length) };
    let work = |half: &Half| {
        let buffer = half.value::<EventBuffer>()?;
        i64::try_from(buffer.copy_into(start, room).ok()?.len()).ok()
    };
    // SAFETY: null, or a handle that a PHP object owns: the caller's frame holds that object, and
    // `work` runs no code of PHP's that could free the handle.
    unsafe { on(handle, REFUSED, work) }
}

/// Adds bytes to a buffer, or to the output of a buffer event.
///
/// # Safety
/// Called by C with null or the handle of an object that is there, and `length` bytes of a string
/// that C keeps until this returns.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_add(
    handle: *mut c_void,
    text: *const c_char,
    length: usize,
) -> bool {
    // SAFETY: C keeps the string for the length of the call.
    let data = unsafe { bytes(text, length) };
    let work = |own| match own {
        Bytes::Buffer(buffer) => Some(buffer.add(data).is_ok()),
        Bytes::BufferEvent(bev) => Some(bev.write(data).is_ok()),
    };
    // SAFETY: null, or a handle that a PHP object owns: the caller's frame holds that object.
    unsafe { on_bytes(handle, false, work) }
}

/// Takes bytes from the front of a buffer away.
///
/// # Safety
/// Called by C with null or the handle of an object that is there.
#[unsafe(no_mangle)]
unsafe extern "C" fn php_event_drain(handle: *mut c_void, length: usize) -> bool {
    let work = |own| match own {
        Bytes::Buffer(buffer) => Some(buffer.drain(length).is_ok()),
        Bytes::BufferEvent(_) => None,
    };
    // SAFETY: null, or a handle that a PHP object owns: the caller's frame holds that object.
    unsafe { on_bytes(handle, false, work) }
}
