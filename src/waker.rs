//! [`Waker`]: calls an event's closure from other threads.
//!
//! Owns: an eventfd, shared by the wakers and the event, closed with the last of them.
//! Lends C nothing of its own. Runs user code: the event's closure, in the base's loop.
//!
//! The other thread only writes to a descriptor that the loop watches, so libevent's support
//! for threads, which locks every call, is not needed.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;

use crate::error::{Error, Result};
use crate::{Event, EventBase, process};

/// Calls the closure of the event that [`Event::waker`] made with it, from any thread.
///
/// A clone wakes the same event.
///
/// Beyond PHP, which has one thread.
///
/// # Examples
/// A channel whose messages are received in the loop:
/// ```
/// use php_event::{Event, EventBase};
/// use std::sync::mpsc;
/// use std::thread;
///
/// let base = EventBase::new()?;
/// let (sender, receiver) = mpsc::channel();
/// let (event, waker) = Event::waker(&base, move |event| {
///     for answer in receiver.try_iter() { // all that there are: calls are fewer than wakes
///         println!("the answer is {answer}");
///         event.free(); // ends the loop: nothing else is pending
///     }
/// })?;
/// event.add(None)?;
/// let worker = thread::spawn(move || {
///     sender.send(6 * 7).unwrap(); // first the message, then the wake
///     waker.wake().unwrap();
/// });
/// base.dispatch()?;
/// worker.join().unwrap();
/// # Ok::<(), php_event::EventException>(())
/// ```
/// The waker goes to other threads, the event does not:
/// ```compile_fail,E0277
/// # use php_event::{Event, EventBase};
/// let (event, waker) = Event::waker(&EventBase::new().unwrap(), |_event| {}).unwrap();
/// std::thread::spawn(move || event.add(None));
/// ```
/// ```
/// # use php_event::{Event, EventBase, Waker};
/// let (event, waker) = Event::waker(&EventBase::new().unwrap(), |_event| {}).unwrap();
/// std::thread::spawn(move || waker.wake());
/// fn shared<T: Clone + Send + Sync + 'static>() {}
/// shared::<Waker>();
/// ```
#[derive(Clone)]
pub struct Waker(Arc<Inner>);

struct Inner {
    bell: Bell,
    heard: AtomicBool, // false once the event is freed
    generation: u32,
}

impl Waker {
    /// Wakes the loop and runs the event's closure in its next turn. Several wakes before that
    /// are one call.
    ///
    /// It costs one system call and never blocks. If the event is not added yet, its closure
    /// runs after it is.
    ///
    /// # Errors
    /// [`Error::Freed`] when the event was freed or dropped; [`Error::State`] in a forked
    /// child, where it would wake the parent.
    ///
    /// # Examples
    /// ```
    /// use php_event::{Event, EventBase};
    ///
    /// let base = EventBase::new()?;
    /// let (event, waker) = Event::waker(&base, |event| event.del().unwrap())?;
    /// event.add(None)?;
    /// waker.wake()?;
    /// base.dispatch()?;
    /// drop(event);
    /// assert!(waker.wake().is_err());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    pub fn wake(&self) -> Result<()> {
        const CALL: &str = "Waker::wake";
        if self.0.generation != process::generation() {
            return Err(Error::State {
                call: CALL,
                reason: "it was made before a fork and wakes the parent; make a new one with Event::waker",
            });
        }
        if !self.0.heard.load(Ordering::Acquire) {
            return Err(Error::Freed {
                call: CALL,
                object: "event",
            });
        }
        self.0.bell.ring().map_err(|error| Error::io(CALL, error))
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waker")
            .field("heard", &self.0.heard)
            .finish_non_exhaustive()
    }
}

/// The event's share of the descriptor, dropped with the event's closure.
struct Listening(Arc<Inner>);

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.bell.as_fd()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.heard.store(false, Ordering::Release);
    }
}

impl Event {
    /// Makes an event, and a [`Waker`] with which other threads fire it.
    ///
    /// The closure runs in the loop, in the base's thread, once for all wakes since its last
    /// call; a wake during the call leads to another one. The event is not added yet, and
    /// stays pending when it fires. A timeout given to [`add`](Self::add) runs the closure when
    /// no wake comes for that long.
    ///
    /// In a forked child, make a new one: the two processes would take each other's wakes.
    ///
    /// Beyond PHP.
    ///
    /// # Errors
    /// [`Error::Io`] when the process has no descriptor left; [`Error::Freed`],
    /// [`Error::Forked`]; [`Error::Call`] when out of memory.
    ///
    /// # Examples
    /// ```
    /// use php_event::{Event, EventBase};
    ///
    /// let base = EventBase::new()?;
    /// let (event, waker) = Event::waker(&base, |event| event.free())?;
    /// event.add(None)?;
    /// std::thread::spawn(move || waker.wake());
    /// base.dispatch()?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    pub fn waker<F>(base: &EventBase, mut callback: F) -> Result<(Self, Waker)>
    where
        F: FnMut(&Event) + 'static,
    {
        const CALL: &str = "Event::waker";
        base.inner().usable(CALL)?;
        let bell = Bell::new().map_err(|error| Error::io(CALL, error))?;
        let inner = Arc::new(Inner {
            bell,
            heard: AtomicBool::new(true),
            generation: process::generation(),
        });
        let listening = Listening(Arc::clone(&inner));
        let what = Self::READ | Self::PERSIST;
        let event = Self::new(base, listening, what, move |listening, _what, event| {
            listening.0.bell.silence(); // first: a wake during the closure must ring again
            callback(event);
        })?;
        Ok((event, Waker(inner)))
    }
}

/// A descriptor that `ring` makes readable until the next `silence`.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
struct Bell(nix::sys::eventfd::EventFd);

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
impl Bell {
    fn new() -> nix::Result<Self> {
        use nix::sys::eventfd::{EfdFlags, EventFd};
        EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).map(Self)
    }

    fn ring(&self) -> nix::Result<()> {
        match self.0.write(1) {
            Err(Errno::EAGAIN) => Ok(()), // it is readable already
            result => result.map(drop),
        }
    }

    fn silence(&self) {
        self.0.read().ok(); // fails after a timeout, and if another process read it
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A pair of sockets, where there is no eventfd.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
struct Bell(
    std::os::unix::net::UnixStream,
    std::os::unix::net::UnixStream,
);

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
impl Bell {
    fn new() -> std::io::Result<Self> {
        let (reader, writer) = std::os::unix::net::UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        Ok(Self(reader, writer))
    }

    fn ring(&self) -> nix::Result<()> {
        match nix::unistd::write(&self.1, &[1]) {
            Err(Errno::EAGAIN) => Ok(()), // it is readable already
            result => result.map(drop),
        }
    }

    fn silence(&self) {
        let mut bytes = [0; 256];
        while nix::unistd::read(&self.0, &mut bytes).is_ok_and(|n| n == bytes.len()) {}
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
