//! An OpenSSL session: the calls on an `SSL` that the `openssl` crate does not have.
//!
//! Owns: one `SSL`. Lent to C: the `SSL`, to the bufferevent that speaks through it, from its
//! making until libevent has finished it; [`Session::free_later`] waits for that.
//! Runs user code: none. The two callbacks that a context gives OpenSSL are ours, as is the one of
//! a socket's `BIO`, and what an `SSL` writes to and reads from has no closures of the user's.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_long, c_short, c_ulong, c_void};
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

use foreign_types::{ForeignType, ForeignTypeRef};
use openssl::ssl::{Ssl, SslRef};
use openssl::x509::verify::X509VerifyParamRef;

use crate::ffi;
use crate::flags::EventFlags;

/// What has become of a `close_notify`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notify {
    /// It was sent, or cannot be sent any more.
    Done,
    /// The socket has no room for it now.
    Waits,
}

/// A session that a bufferevent speaks through.
pub(crate) struct Session(Ssl);

impl Session {
    pub(crate) fn new(ssl: Ssl) -> Self {
        Self(ssl)
    }

    pub(crate) fn as_ref(&self) -> &SslRef {
        &self.0
    }

    pub(crate) fn as_mut(&mut self) -> &mut SslRef {
        &mut self.0
    }

    /// The session for C.
    pub(super) fn raw(&self) -> *mut ffi::ssl_st {
        self.0.as_ptr().cast()
    }

    /// The session for C, which has to free it.
    pub(super) fn into_raw(self) -> *mut ffi::ssl_st {
        ManuallyDrop::new(self).raw()
    }

    /// Makes a read return after each message that is no data, instead of going on to the next
    /// one: a peer that sends nothing else, such as new keys, would keep it from returning. What is
    /// left must make somebody read again, as the bytes in a socket do.
    pub(super) fn read_one_at_a_time(&self) {
        const SSL_CTRL_CLEAR_MODE: c_int = 78; // `openssl-sys` lacks it
        let mode = ffi::openssl::SSL_MODE_AUTO_RETRY;
        // SAFETY: `self` owns the session, and no other call on it is under way.
        unsafe {
            ffi::openssl::SSL_ctrl(self.0.as_ptr(), SSL_CTRL_CLEAR_MODE, mode, ptr::null_mut())
        };
    }

    /// Whether the handshake is over.
    pub(crate) fn is_established(&self) -> bool {
        self.0.is_init_finished()
    }

    /// Whether the handshake succeeded, even if the session has failed since: an error makes
    /// [`is_established`](Self::is_established) false.
    pub(crate) fn was_established(&self) -> bool {
        self.0.peer_finished(&mut []) > 0
    }

    /// Sends `close_notify`. To be called until it is [`Notify::Done`] and not again: OpenSSL
    /// takes the next call for a wish to read the peer's.
    pub(crate) fn send_close_notify(&self) -> Notify {
        let (rc, result) = clean(|| {
            // SAFETY: `self` owns the session, and no other call on it is under way.
            let rc = unsafe { ffi::openssl::SSL_shutdown(self.0.as_ptr()) };
            // SAFETY: `self` owns the session; `rc` is the result of the last call on it.
            let result = unsafe { ffi::openssl::SSL_get_error(self.0.as_ptr(), rc) };
            (rc, result) // a peer that is gone already is no failure of ours
        });
        match rc < 0 && result == ffi::openssl::SSL_ERROR_WANT_WRITE {
            true => Notify::Waits,
            false => Notify::Done,
        }
    }

    /// Ends the output: returns the record with `close_notify`, for the caller to send to the
    /// peer. To be called once.
    pub(crate) fn close_notify(&self) -> Vec<u8> {
        // SAFETY: `self` owns the session, and no other call on it is under way.
        unsafe { close_notify(self.0.as_ptr()) }
    }

    /// Whether the peer has sent `close_notify`.
    pub(crate) fn received_close_notify(&self) -> bool {
        // SAFETY: `self` owns the session.
        let shutdown = unsafe { ffi::openssl::SSL_get_shutdown(self.0.as_ptr()) };
        shutdown & ffi::openssl::SSL_RECEIVED_SHUTDOWN != 0
    }

    /// Whether the peer has sent data that nobody has read, or the session is over. It may read
    /// from the socket; data stays. To be asked while no write waits.
    pub(crate) fn has_news(&self) -> bool {
        let mut byte = 0_u8;
        let (rc, result) = clean(|| {
            let start = ptr::from_mut(&mut byte).cast();
            // SAFETY: `self` owns the session, no other call on it is under way, and it writes at
            // most one byte to `start`.
            let rc = unsafe { ffi::openssl::SSL_peek(self.0.as_ptr(), start, 1) };
            // SAFETY: `self` owns the session; `rc` is the result of the last call on it.
            let result = unsafe { ffi::openssl::SSL_get_error(self.0.as_ptr(), rc) };
            (rc, result) // the caller gives up a session that fails
        });
        rc > 0 || result != ffi::openssl::SSL_ERROR_WANT_READ
    }

    /// Writes all of the bytes, or reports that they could not be written at once.
    pub(crate) fn write(&self, bytes: &[u8]) -> bool {
        let Ok(size) = c_int::try_from(bytes.len()) else {
            return false;
        };
        let start = bytes.as_ptr().cast();
        // SAFETY: `self` owns the session, no other call on it is under way, and it reads
        // `size` bytes of `bytes`.
        let rc = clean(|| unsafe { ffi::openssl::SSL_write(self.0.as_ptr(), start, size) });
        rc == size // a peer that is gone already is no failure of ours
    }

    /// Frees the session in a later turn of the loop, when libevent has finished the
    /// bufferevent that may be inside of it now. Without memory for that it is leaked.
    ///
    /// # Safety
    /// `base` is not freed, and the bufferevent of this session was freed with
    /// `bufferevent_free` before.
    pub(crate) unsafe fn free_later(self, base: *mut ffi::event_base) {
        let at_once = ffi::timeval {
            tv_sec: 0,
            tv_usec: 0,
        };
        // SAFETY: `base` is not freed; `on_session_end` takes the session over.
        unsafe {
            ffi::event_base_once(
                base,
                -1,
                EventFlags::TIMEOUT.bits(),
                Some(on_session_end),
                self.into_raw().cast(),
                &at_once,
            )
        };
    }
}

/// # Safety
/// Registered once for each session, by [`Session::free_later`], which gives the session away.
unsafe extern "C" fn on_session_end(_fd: c_int, _what: c_short, session: *mut c_void) {
    // SAFETY: `free_later` gave this count away, and libevent calls once.
    drop(unsafe { Ssl::from_ptr(session.cast()) });
}

/// How many reads of a session's socket one call of OpenSSL's may make: a record takes two.
const READS_MAX: usize = 64;

/// Has a session's socket seem empty after each [`READS_MAX`] reads, so that OpenSSL returns, and
/// libevent calls it again in the next turn. During a client's handshake OpenSSL skips requests to
/// begin one, however many come.
///
/// # Safety
/// `session` is not freed, and was given a socket by libevent.
pub(super) unsafe fn read_in_parts(session: *mut ffi::ssl_st) {
    // SAFETY: the caller keeps the session.
    let bio = unsafe { ffi::openssl::SSL_get_rbio(session.cast()) };
    if bio.is_null() {
        return; // no memory for it
    }
    // SAFETY: the session has a count of it. The callback takes no argument but a number.
    unsafe { ffi::BIO_set_callback_ex(bio, Some(on_bio_call)) };
}

/// # Safety
/// Registered only by [`read_in_parts`]: `bio` is the one that OpenSSL works on.
unsafe extern "C" fn on_bio_call(
    bio: *mut ffi::openssl::BIO,
    call: c_int,
    _bytes: *const c_char,
    _size: usize,
    _number: c_int,
    _other: c_long,
    result: c_int,
    _done: *mut usize,
) -> c_long {
    const BEFORE_READ: c_int = 2; // `BIO_CB_READ`
    if call != BEFORE_READ {
        return result.into();
    }
    // SAFETY: OpenSSL works on `bio`.
    let reads = unsafe { ffi::BIO_get_callback_arg(bio) }.addr();
    let may_read = reads < READS_MAX;
    let reads = if may_read { reads + 1 } else { 0 };
    // SAFETY: as above; the argument is a number.
    unsafe { ffi::BIO_set_callback_arg(bio, ptr::without_provenance_mut(reads)) };
    if may_read {
        return result.into();
    }
    // SAFETY: as above.
    unsafe { ffi::openssl::BIO_clear_retry_flags(bio) };
    // SAFETY: as above.
    unsafe { ffi::openssl::BIO_set_retry_read(bio) };
    -1
}

/// Whether the handshake of a session that C owns is over.
///
/// # Safety
/// `session` is null or not freed.
pub(super) unsafe fn is_established(session: *mut ffi::ssl_st) -> bool {
    if session.is_null() {
        return false;
    }
    // SAFETY: not null; the caller keeps it, and nothing takes this borrowed view over.
    unsafe { SslRef::from_ptr(session.cast()) }.is_init_finished()
}

/// Ends the output of a session that C owns: the record with `close_notify`, for the caller to
/// send. It is empty before the end of the handshake.
///
/// # Safety
/// `session` is null or not freed, and no other call on it is under way.
pub(super) unsafe fn close_notify_of(session: *mut ffi::ssl_st) -> Vec<u8> {
    // SAFETY: null or not freed, as the caller says.
    if !unsafe { is_established(session) } {
        return Vec::new();
    }
    // SAFETY: not null; the caller keeps it, and no other call on it is under way.
    unsafe { close_notify(session.cast()) }
}

/// Has OpenSSL write `close_notify` into memory, where there is room for it, instead of to the
/// wire. What OpenSSL holds of it already, because the wire had no room, comes out, too.
///
/// # Safety
/// `ssl` is not freed, and no other call on it is under way.
unsafe fn close_notify(ssl: *mut ffi::openssl::SSL) -> Vec<u8> {
    // SAFETY: the caller keeps the session.
    let wire = unsafe { Bio::wire(ssl) };
    let (Some(wire), Some(memory)) = (wire, Bio::memory()) else {
        return Vec::new();
    };
    // SAFETY: the caller keeps the session.
    unsafe { memory.set_wire(ssl) };
    // SAFETY: the caller keeps the session, and no other call on it is under way.
    clean(|| unsafe { ffi::openssl::SSL_shutdown(ssl) });
    // SAFETY: the caller keeps the session.
    unsafe { wire.set_wire(ssl) };
    memory.written()
}

/// One count of what an `SSL` writes to.
struct Bio(NonNull<ffi::openssl::BIO>);

impl Bio {
    /// One that keeps what is written.
    fn memory() -> Option<Self> {
        // SAFETY: takes nothing; the result is a constant.
        let method = unsafe { ffi::openssl::BIO_s_mem() };
        // SAFETY: `method` is a constant of OpenSSL's.
        NonNull::new(unsafe { ffi::openssl::BIO_new(method) }).map(Self)
    }

    /// What a session writes to now.
    ///
    /// # Safety
    /// `ssl` is not freed.
    unsafe fn wire(ssl: *mut ffi::openssl::SSL) -> Option<Self> {
        // SAFETY: the caller keeps the session.
        let bio = NonNull::new(unsafe { ffi::openssl::SSL_get_wbio(ssl) })?;
        // SAFETY: the session has a count of it, and `drop` gives this one back.
        unsafe { ffi::BIO_up_ref(bio.as_ptr()) };
        Some(Self(bio))
    }

    /// Makes a session write to this one.
    ///
    /// # Safety
    /// `ssl` is not freed.
    unsafe fn set_wire(&self, ssl: *mut ffi::openssl::SSL) {
        // SAFETY: `self` has a count. The new one is for the session.
        unsafe { ffi::BIO_up_ref(self.0.as_ptr()) };
        // SAFETY: the caller keeps the session, which takes the count over and gives that of its
        // former BIO back.
        unsafe { ffi::SSL_set0_wbio(ssl, self.0.as_ptr()) };
    }

    /// What was written to one that keeps it.
    fn written(&self) -> Vec<u8> {
        let mut start: *mut c_char = ptr::null_mut();
        // SAFETY: `self` has a count of the BIO; `start` is a local.
        let size = unsafe { ffi::openssl::BIO_get_mem_data(self.0.as_ptr(), &mut start) };
        let size = usize::try_from(size).unwrap_or_default();
        // SAFETY: the bytes are the BIO's, which nothing changes before they are copied.
        unsafe { ffi::bytes(start.cast(), size) }.to_vec()
    }
}

impl Drop for Bio {
    fn drop(&mut self) {
        // SAFETY: `self` has one count, given back only here.
        unsafe { ffi::openssl::BIO_free_all(self.0.as_ptr()) };
    }
}

/// OpenSSL's text for an error number, in the form that its own programs print.
pub(crate) fn error_text(error: c_ulong) -> String {
    // SAFETY: takes any number.
    let library = unsafe { ffi::openssl::ERR_lib_error_string(error) };
    // SAFETY: OpenSSL's tables of texts live as long as the process.
    let library = unsafe { constant(library) };
    // SAFETY: takes any number.
    let reason = unsafe { ffi::openssl::ERR_reason_error_string(error) };
    // SAFETY: OpenSSL's tables of texts live as long as the process.
    let reason = unsafe { constant(reason) };
    format!(
        "error:{error:08X}:{}::{}",
        library.unwrap_or("unknown library"),
        reason.unwrap_or("unknown reason")
    )
}

/// # Safety
/// `text` is null, or ends with a NUL and lives as long as the process.
unsafe fn constant(text: *const c_char) -> Option<&'static str> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null, and the caller answers for the NUL and the lifetime.
    unsafe { CStr::from_ptr(text) }.to_str().ok()
}

/// Runs `work` with an empty queue of OpenSSL errors, and leaves it empty. Other users of OpenSSL
/// in this thread may leave errors there, which `SSL_get_error` takes for those of its call, and
/// would take ours for theirs.
pub(crate) fn clean<T>(work: impl FnOnce() -> T) -> T {
    clear_errors();
    let result = work();
    clear_errors();
    result
}

fn clear_errors() {
    // SAFETY: takes nothing, and touches this thread's queue only.
    unsafe { ffi::openssl::ERR_clear_error() };
}

/// Takes away the name that a client would send its server (SNI).
pub(crate) fn clear_server_name(ssl: &mut SslRef) {
    let command = ffi::openssl::SSL_CTRL_SET_TLSEXT_HOSTNAME;
    let kind = ffi::openssl::TLSEXT_NAMETYPE_host_name.into();
    // SAFETY: `ssl` is borrowed for this call; null means no name.
    unsafe { ffi::openssl::SSL_ctrl(ssl.as_ptr(), command, kind, ptr::null_mut()) };
}

/// Takes away the address that a peer's certificate has to name.
pub(crate) fn clear_address(verify: &mut X509VerifyParamRef) {
    // SAFETY: `verify` is borrowed for this call; null with length 0 means no address.
    unsafe { ffi::openssl::X509_VERIFY_PARAM_set1_ip(verify.as_ptr(), ptr::null(), 0) };
}
