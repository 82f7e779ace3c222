//! How a buffer event ends, and what is under a filter that ended.
//!
//! Owns: what is left of a buffer event, until libevent has let go of it; [`Lingering`] also
//! keeps what must still send.
//! Lends C one weak count of [`Lingering`], until it has sent.
//! Runs user code: destructors of closures and sockets; the closures of a filter, once more,
//! when what is on top of it ends.
#![allow(unsafe_code)]

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{c_short, c_void};
#[cfg(feature = "openssl")]
use std::os::fd::AsFd;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::callbacks::Taken;
use super::carrier::{Carrier, Kind, Under};
use super::inner::{Inner, Link};
use super::room::on_input_change;
use super::write_timer::on_output_change;
#[cfg(feature = "openssl")]
use super::{outliving, tls::notify::UnsentNotify};
use crate::buffer::{Lender, Side};
use crate::flags::{BufferEventFlags, BufferEventOptions, EventFlags, FlushMode};
use crate::native::RateBucket;
use crate::native::bufferevent::OwnedBufferEvent;
#[cfg(feature = "openssl")]
use crate::native::evbuffer::Access;
use crate::runtime::{Ending, Lent, release, upgrade};
use crate::{base, ffi};

/// How long what is under a filter that was freed may wait for room to send, unless it has a
/// write timeout: a peer that stops reading would hold its socket for ever.
pub(crate) const LINGER_MAX: Duration = Duration::from_secs(30);

/// What is left of a buffer event when it was freed.
struct Remains {
    #[cfg(feature = "openssl")]
    base: Weak<base::Inner>, // the base may keep this
    native: Option<OwnedBufferEvent>, // none of a view
    lent: Option<Lent<Inner>>,
    options: BufferEventOptions,
    carrier: Carrier, // its socket's number must stay taken until libevent has let go of it
    closures: Taken,
    bucket: Option<RateBucket>,
    write_timeout: Option<Duration>,
    watches_input: bool,
}

impl Inner {
    /// Ends the buffer event; harmless a second time. Output that waits is lost. In a forked
    /// child the base keeps what is left instead.
    pub(super) fn release(&self) {
        self.end_with(|base, remains| base.end(remains));
    }

    /// Ends the buffer event under a filter that ended: it sends first what waits.
    fn release_when_sent(&self) {
        let mut ending = Ending::default();
        ending.run(|| self.pass_on());
        ending.run(|| self.end_with(Lingering::begin));
        ending.finish();
    }

    /// Takes everything out, so that the object is freed for its handles. What libevent's
    /// callbacks read stays alive in the remains.
    fn end_with(&self, end: impl FnOnce(&Rc<base::Inner>, Remains)) {
        let Some((native, lent)) = self.place.take() else {
            return;
        };
        let link = std::mem::replace(&mut *self.link.borrow_mut(), Link::Closed(None));
        let remains = Remains {
            #[cfg(feature = "openssl")]
            base: Rc::downgrade(&self.base),
            native,
            lent,
            options: self.options,
            carrier: self.carrier.replace(Carrier::Freed),
            closures: self.closures.take(),
            bucket: self.settings.bucket.take(),
            write_timeout: self.settings.write_timeout.get(),
            watches_input: self.settings.watches_input.get(),
        };
        let mut ending = Ending::default();
        ending.run(|| end(&self.base, remains));
        ending.drop((link, self.pause.end())); // they may have the last hold on the socket
        ending.drop(self.write_timer.end());
        ending.drop(self.base.let_go(self.address()));
        ending.finish();
    }

    /// Has a filter give what is under it all that waits, high mark or not. Raises the panic of a
    /// closure.
    fn pass_on(&self) {
        let waits = |inner: &Self| {
            let output = inner.view("", Side::Output);
            output.is_ok_and(|output| output.length() > 0)
        };
        if self.kind() == Kind::Filter
            && waits(self)
            && !self.is_above_freed()
            && let Ok(view) = self.usable("")
        {
            self.base
                .calling(|| view.flush(EventFlags::WRITE, FlushMode::Flush));
        }
    }

    /// Sends a record of the TLS filter on top, as far as that goes at once: this one may end
    /// with the filter. No closure runs: what is under a TLS filter has none.
    #[cfg(feature = "openssl")]
    fn send_record(&self, record: &[u8]) {
        let Some(view) = self.place.view() else {
            return;
        };
        self.touch();
        view.output(Access::Output, "").add(record).ok(); // refused if the output has ended
        self.write_now();
    }

    /// Writes what waits as far as that goes at once: the end of a TLS connection.
    #[cfg(feature = "openssl")]
    fn write_now(&self) {
        let Some(view) = self.place.view() else {
            return;
        };
        let output = view.output(Access::Output, "");
        match &*self.carrier.borrow() {
            Carrier::Socket(Some(source)) if view.fd().is_some() => {
                output.write_out(source.as_fd());
            }
            carrier => {
                if let Some(tls) = carrier.tls() {
                    tls.write_now(output);
                }
            }
        }
        if self.kind() == Kind::TlsFilter
            && let Some(under) = self.under()
        {
            under.0.write_now();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.release();
    }
}

impl base::Remains for Remains {
    /// Frees it. libevent finishes it in a later turn; what it calls there is its own.
    fn free(mut self, base: &base::Inner) {
        if let Some(native) = self.native.take() {
            base.calling_silent(|| self.let_go(native));
            base.owe_a_turn();
        }
        let Self {
            lent,
            options,
            carrier,
            closures,
            bucket,
            ..
        } = self;
        drop((lent, bucket)); // libevent has let go of both
        let mut ending = Ending::default();
        let (under, rest) = carrier.end(base);
        if let Some(under) = under {
            let is_last = Rc::strong_count(&under.bev.0) == 1;
            let ends = is_last
                || options.contains(BufferEventOptions::CLOSE_ON_FREE)
                || under.bev.0.ends_with_filter.get();
            under.bev.0.uncover(!ends);
            drop(under.relay); // its callbacks are gone
            if !ends {
                under.bev.go_on_uncovered();
            } else {
                ending.run(|| under.bev.0.release_when_sent());
            }
            ending.drop(under.bev);
        }
        ending.drop(rest);
        closures.end(&mut ending);
        ending.finish();
    }
}

impl Remains {
    /// Gives up libevent's object. In its own callback libevent holds it a little longer; what
    /// it would still do then is switched off before.
    fn let_go(&self, native: OwnedBufferEvent) {
        native.silence(self.bucket.is_some());
        if let Some(lent) = &self.lent {
            if self.watches_input {
                native.unwatch_input(on_input_change, lent);
            }
            if self.carrier.kind().counts_output() {
                native.unwatch_output(on_output_change, lent);
            }
        }
        #[cfg(feature = "openssl")]
        let record = self.close_notify(&native);
        if self.carrier.kind().has_socket() {
            native.forget_fd();
        }
        #[cfg(feature = "openssl")]
        self.send_close_notify(record);
    }

    /// What tells a TLS peer that no more comes. Empty while output waits: an end without
    /// `close_notify` tells it that the rest is missing.
    #[cfg(feature = "openssl")]
    fn close_notify(&self, native: &OwnedBufferEvent) -> Vec<u8> {
        match self.carrier.tls() {
            Some(tls) if native.output().length() == 0 => tls.close_notify(),
            _ => Vec::new(),
        }
    }

    #[cfg(feature = "openssl")]
    fn send_close_notify(&self, record: Vec<u8>) {
        if record.is_empty() {
            return;
        }
        if let Some(under) = self.carrier.under() {
            under.bev.0.send_record(&record);
        } else if let Some(socket) = self.carrier.source()
            && let Some(rest) = UnsentNotify::of(record, socket.as_fd(), self.wait())
            && let Some(base) = self.base.upgrade()
        {
            outliving::keep_open(&base, Rc::clone(socket), rest);
        }
    }

    /// How long it may wait for room to send.
    fn wait(&self) -> Duration {
        self.write_timeout.unwrap_or(LINGER_MAX)
    }

    /// Has `native` send what waits.
    fn send_all(&self, native: &OwnedBufferEvent) {
        #[cfg(feature = "openssl")]
        let shakes_hands = self.carrier.tls().is_some_and(|tls| !tls.is_established());
        #[cfg(not(feature = "openssl"))]
        let shakes_hands = false;
        native.send_all(self.wait(), shakes_hands);
    }

    /// Whether it has something to send, and may yet send it.
    fn can_send(&self) -> bool {
        let Some(native) = &self.native else {
            return false;
        };
        let carried = match &self.carrier {
            Carrier::Pair(halves) => matches!(&*halves.0.borrow(), Left::Both),
            #[cfg(feature = "openssl")]
            Carrier::Tls { tls, .. } | Carrier::TlsFilter { tls, .. } if tls.is_dead() => false,
            #[cfg(feature = "openssl")]
            Carrier::TlsFilter { .. } => true,
            carrier => carrier.source().is_some(),
        };
        let enabled = native.view().enabled().contains(EventFlags::WRITE);
        carried && enabled && native.output().length() > 0
    }
}

impl Carrier {
    /// After the buffer event has been freed: what was under it, and what else to drop.
    fn end(self, base: &base::Inner) -> (Option<Under>, Option<Box<dyn Any>>) {
        let _ = base;
        match self {
            Self::Socket(source) => (None, Some(Box::new(source))),
            Self::Filter { under, state } => (Some(under), Some(Box::new(state))),
            #[cfg(feature = "openssl")]
            Self::Tls { tls, source } => {
                // SAFETY: `let_go` has freed the buffer event.
                unsafe { tls.end(base) };
                (None, Some(Box::new(source)))
            }
            #[cfg(feature = "openssl")]
            Self::TlsFilter { tls, under } => {
                // SAFETY: `let_go` has freed the buffer event.
                unsafe { tls.end(base) };
                (Some(under), None)
            }
            Self::Pair(halves) => {
                halves.one_ended();
                (None, None)
            }
            Self::View | Self::Freed => (None, None),
        }
    }
}

/// A buffer event that was freed with the filter on top of it, and still sends.
struct Lingering {
    base: Rc<base::Inner>,
    remains: RefCell<Option<Remains>>,
    lent: RefCell<Option<Lent<Self>>>,
}

impl Lingering {
    /// Leaves it to the base until it has sent all, fails, or waits too long.
    fn begin(base: &Rc<base::Inner>, mut remains: Remains) {
        if !remains.can_send() {
            return base.end(remains);
        }
        let mut ending = Ending::default();
        std::mem::take(&mut remains.closures).end(&mut ending);
        let this = Rc::new(Self {
            base: Rc::clone(base),
            remains: RefCell::new(Some(remains)),
            lent: RefCell::default(),
        });
        this.lent.replace(Some(Lent::new(&this)));
        if let Some(Remains {
            carrier: Carrier::Pair(halves),
            ..
        }) = &*this.remains.borrow()
        {
            halves.0.replace(Left::Sending(Rc::downgrade(&this))); // both were there
        }
        if let (Some(remains), Some(lent)) = (&*this.remains.borrow(), &*this.lent.borrow())
            && let Some(native) = &remains.native
        {
            // SAFETY: the entry points take their argument for a `Lingering`, which drops `lent`
            // after it has freed the buffer event.
            unsafe {
                native
                    .view()
                    .set_callbacks(None, Some(on_sent), Some(on_event), lent);
            }
            base.calling_silent(|| remains.send_all(native));
        }
        base.keep(this.address(), Rc::clone(&this));
        ending.drop(this);
        ending.finish();
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Bytes were sent, in its write callback: ends it if these were all, or waits for the rest.
    fn go_on(self: Rc<Self>) {
        if let Some(remains) = &*self.remains.borrow()
            && let Some(native) = &remains.native
            && native.output().length() > 0
        {
            remains.send_all(native); // without a socket libevent does not restart the time
            return;
        }
        self.end();
    }

    /// Ends it, in one of its callbacks.
    fn end(self: Rc<Self>) {
        let base = Rc::clone(&self.base);
        let kept = base.let_go(self.address());
        release(&base, (kept, self));
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        if let Some(remains) = self.remains.take() {
            self.base.end(remains);
        }
        drop(self.lent.take());
    }
}

/// What both halves of a pair know of each other's end, which libevent does not report.
#[derive(Default)]
pub(super) struct Halves(RefCell<Left>);

#[derive(Default)]
enum Left {
    #[default]
    Both,
    /// One was freed and still sends, to the other; it reads no more.
    Sending(Weak<Lingering>),
    /// At most one: what it sends nobody gets.
    One,
}

impl Halves {
    /// Whether there are two, of which one may only send.
    pub(super) fn has_peer(&self) -> bool {
        !matches!(&*self.0.borrow(), Left::One)
    }

    /// Ends a half that sends to the one that ended.
    fn one_ended(&self) {
        if let Left::Sending(other) = self.0.replace(Left::One)
            && let Some(other) = other.upgrade()
        {
            other.end();
        }
    }
}

/// # Safety
/// Registered only by [`Lingering::begin`], with a lent [`Lingering`].
unsafe extern "C" fn on_sent(_bev: *mut ffi::bufferevent, arg: *mut c_void) {
    // SAFETY: `Lingering` drops what `arg` lends after it has freed the buffer event.
    if let Some(lingering) = unsafe { upgrade::<Lingering>(arg) } {
        lingering.go_on();
    }
}

/// # Safety
/// Registered only by [`Lingering::begin`], with a lent [`Lingering`].
unsafe extern "C" fn on_event(_bev: *mut ffi::bufferevent, what: c_short, arg: *mut c_void) {
    // SAFETY: `Lingering` drops what `arg` lends after it has freed the buffer event.
    let Some(lingering) = (unsafe { upgrade::<Lingering>(arg) }) else {
        return;
    };
    match BufferEventFlags::from_bits_retain(what) {
        BufferEventFlags::CONNECTED => lingering.go_on(),
        _ => lingering.end(),
    }
}
