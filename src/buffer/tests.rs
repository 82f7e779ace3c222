//! Buffers that are lent: by an owner of one plain `evbuffer`, and by libevent's own buffer
//! event on a socket, for the files that it sends.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::ptr::NonNull;
use std::rc::Rc;
use std::thread;

use super::file::room_for;
use super::{EventBuffer, Lender, Side};
use crate::error::{Error, Result};
use crate::native::evbuffer::{Access, BufferView, buffers_with_files};
use crate::{EventBase, base, ffi};

/// Lends one buffer, until its native half is freed.
struct Owner {
    raw: *mut ffi::evbuffer,
    bufferevent: Option<*mut ffi::bufferevent>,
    base: EventBase,
    gone: Cell<bool>,
    drains_to_fd: bool,
    _on_change: Option<Box<Box<dyn Fn()>>>,
}

impl Lender for Owner {
    fn view(&self, call: &'static str, _side: Side) -> Result<BufferView<'_>> {
        if self.gone.get() {
            return Err(Error::Freed {
                call,
                object: "owner",
            });
        }
        let raw = NonNull::new(self.raw).unwrap();
        // SAFETY: `drop` frees the buffer, when no handle is left.
        Ok(unsafe { BufferView::new(raw, Access::Output, call) })
    }

    fn view_to_change(
        &self,
        call: &'static str,
        side: Side,
    ) -> Result<(BufferView<'_>, Option<&base::Inner>)> {
        Ok((self.view(call, side)?, Some(self.base.inner())))
    }

    fn calls_back(&self) -> bool {
        true
    }

    fn drains_to_fd(&self) -> bool {
        self.drains_to_fd
    }
}

impl Owner {
    fn holds_files(&self) -> bool {
        self.view("", Side::Output).unwrap().holds_files()
    }
}

/// Stands for what a buffer event hangs on its buffers: runs a test's closure.
///
/// # Safety
/// Registered only with an `arg` that points to a `Box<dyn Fn()>`, which outlives the buffer.
unsafe extern "C" fn run_closure(
    _buffer: *mut ffi::evbuffer,
    _info: *const ffi::evbuffer_cb_info,
    arg: *mut c_void,
) {
    // SAFETY: `owner` registered `arg`, which its `Owner` keeps longer than the buffer.
    let closure = unsafe { &*arg.cast_const().cast::<Box<dyn Fn()>>() };
    closure();
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(bufferevent) = self.bufferevent {
            // SAFETY: made in `socket`, and no handle of its buffer is left.
            unsafe { ffi::bufferevent_free(bufferevent) };
            self.base.inner().owe_a_turn();
        } else {
            // SAFETY: made in `owner`, and no handle is left.
            unsafe { ffi::evbuffer_free(self.raw) };
        }
    }
}

/// An owner of a plain buffer, which calls `on_change` as a filter would be called.
fn owner(drains_to_fd: bool, on_change: Option<Box<dyn Fn()>>) -> (Rc<Owner>, EventBuffer) {
    let base = EventBase::new().unwrap();
    // SAFETY: takes nothing from us.
    let raw = unsafe { ffi::evbuffer_new() };
    if drains_to_fd {
        // SAFETY: `raw` was made above.
        unsafe { ffi::evbuffer_set_flags(raw, ffi::EVBUFFER_FLAG_DRAINS_TO_FD.into()) };
    }
    let on_change = on_change.map(Box::new);
    if let Some(closure) = &on_change {
        let arg = std::ptr::from_ref(&**closure).cast_mut().cast();
        // SAFETY: `raw` was made above; the owner keeps the closure until it frees the buffer.
        unsafe { ffi::evbuffer_add_cb(raw, Some(run_closure), arg) };
    }
    let owner = Rc::new(Owner {
        raw,
        bufferevent: None,
        base,
        gone: Cell::new(false),
        drains_to_fd,
        _on_change: on_change,
    });
    let buffer = EventBuffer::lent(Rc::clone(&owner) as Rc<dyn Lender>, Side::Output);
    (owner, buffer)
}

fn lent() -> EventBuffer {
    owner(false, None).1
}

/// The output of a buffer event on a socket.
fn socket(base: &EventBase, socket: OwnedFd) -> EventBuffer {
    let close = ffi::bufferevent_options_BEV_OPT_CLOSE_ON_FREE.cast_signed();
    let fd = socket.into_raw_fd();
    // SAFETY: the owner holds the base, and the descriptor is given away.
    let raw = unsafe { ffi::bufferevent_socket_new(base.inner().raw(), fd, close) };
    let owner = Owner {
        // SAFETY: made above.
        raw: unsafe { ffi::bufferevent_get_output(raw) },
        bufferevent: Some(raw),
        base: base.clone(),
        gone: Cell::new(false),
        drains_to_fd: true,
        _on_change: None,
    };
    EventBuffer::lent(Rc::new(owner), Side::Output)
}

/// A file of `length` bytes that differ from place to place, and the bytes.
fn file(length: usize) -> (File, Vec<u8>) {
    let bytes = (0..length)
        .map(|at| (at / 251 + at) as u8)
        .collect::<Vec<_>>();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    (file, bytes)
}

/// What libevent does when the socket of a buffer event has room.
fn flush(owner: &Owner, socket: &UnixStream) -> i32 {
    // SAFETY: `owner` has the buffer.
    unsafe { ffi::evbuffer_write(owner.raw, socket.as_raw_fd()) }
}

/// Every method that returns a `Result` and reads the bytes, or moves them elsewhere.
fn reading_calls(buffer: &EventBuffer) -> Vec<(&'static str, Result<()>)> {
    let (own, (socket, _peer)) = (EventBuffer::new().unwrap(), UnixStream::pair().unwrap());
    vec![
        ("read", buffer.read(1).map(drop)),
        ("copyout", buffer.copyout(&mut Vec::new(), 1).map(drop)),
        ("substr", buffer.substr(0, None).map(drop)),
        ("pullup", buffer.pullup(None).map(drop)),
        ("readLine", buffer.read_line(EventBuffer::EOL_LF).map(drop)),
        ("search", buffer.search("x", 0, None).map(drop)),
        (
            "searchEol",
            buffer.search_eol(0, EventBuffer::EOL_LF).map(drop),
        ),
        ("addBuffer", own.add_buffer(buffer)),
        ("addBuffer", lent().add_buffer(buffer)),
        ("prependBuffer", own.prepend_buffer(buffer)),
        ("prependBuffer", lent().prepend_buffer(buffer)),
        ("appendFrom", own.append_from(buffer, 1).map(drop)),
        ("appendFrom", lent().append_from(buffer, 1).map(drop)),
        ("write", buffer.write(&socket, None).map(drop)),
    ]
}

/// Every other one; in the end the buffer is empty.
fn changing_calls(buffer: &EventBuffer) -> Vec<(&'static str, Result<()>)> {
    let full = || {
        let buffer = EventBuffer::new().unwrap();
        buffer.add("more").unwrap();
        buffer
    };
    let (socket, mut peer) = UnixStream::pair().unwrap();
    peer.write_all(b"more").unwrap();
    vec![
        ("unfreeze", buffer.unfreeze(true)),
        ("add", buffer.add("more")),
        ("prepend", buffer.prepend("more")),
        ("addBuffer", buffer.add_buffer(&full())),
        ("prependBuffer", buffer.prepend_buffer(&full())),
        ("appendFrom", buffer.append_from(&full(), 1).map(drop)),
        ("readFrom", buffer.read_from(&socket, None).map(drop)),
        ("addReference", buffer.add_reference(*b"more")),
        ("addFile", buffer.add_file(file(10).0, 0, None)),
        ("expand", buffer.expand(10)),
        ("drain", buffer.drain(usize::MAX)),
    ]
}

#[test]
fn every_call_on_a_buffer_whose_owner_is_gone_answers_freed() {
    let (owner, buffer) = owner(false, None);
    buffer.add("text").unwrap();
    owner.gone.set(true);
    let calls = reading_calls(&buffer)
        .into_iter()
        .chain(changing_calls(&buffer))
        .chain([("freeze", buffer.freeze(true))]);
    for (method, result) in calls {
        let error = result.expect_err(method);
        assert!(matches!(error, Error::Freed { .. }), "{method}: {error}");
        assert_eq!(error.call(), format!("EventBuffer::{method}"));
    }
    assert_eq!((buffer.length(), buffer.contiguous_space()), (0, 0));
    owner.gone.set(false);
    assert_eq!(buffer.length(), 4);
}

#[test]
fn every_call_on_a_lent_buffer_does_as_on_one_of_ones_own() {
    let (own, lent) = (EventBuffer::new().unwrap(), lent());
    for buffer in [&own, &lent] {
        for (method, result) in changing_calls(buffer) {
            result.expect(method);
        }
        assert_eq!(buffer.length(), 0);
        buffer.add("one\ntwo").unwrap();
        for (method, result) in reading_calls(buffer) {
            result.expect(method);
        }
    }
    assert_eq!(own.substr(0, None).unwrap(), lent.substr(0, None).unwrap());
}

#[test]
fn a_lent_buffer_cannot_be_frozen() {
    let buffer = lent();
    for at_front in [true, false] {
        let error = buffer.freeze(at_front).unwrap_err();
        assert!(matches!(error, Error::State { .. }), "{error}");
    }
    buffer.add("still").unwrap();
    assert_eq!(buffer.read(9).unwrap().unwrap(), b"still");
}

#[test]
fn ends_that_libevent_froze_are_refused_until_they_are_unfrozen() {
    let base = EventBase::new().unwrap();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let output = socket(&base, ours.into());
    output.add("to be sent").unwrap();
    for result in [
        output.read(1).map(drop),
        output.drain(1),
        output.prepend("x"),
        output.copyout(&mut Vec::new(), 1).map(drop),
        lent().add_buffer(&output),
        EventBuffer::new().unwrap().add_buffer(&output),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::State { .. }), "{error}");
        assert!(error.to_string().contains("libevent"), "{error}");
    }
    assert_eq!(output.substr(6, None).unwrap(), b"sent");
    output.unfreeze(true).unwrap();
    assert_eq!(output.read(6).unwrap().unwrap(), b"to be ");
    assert_eq!(output.length(), 4);
}

#[test]
fn handles_of_one_lent_buffer_are_equal_and_those_of_its_sister_are_not() {
    let (owner, output) = owner(false, None);
    let lent = |side| EventBuffer::lent(Rc::clone(&owner) as Rc<dyn Lender>, side);
    assert_eq!(output, lent(Side::Output));
    assert_ne!(output, lent(Side::Input));
    assert_ne!(output, self::lent());
    assert_ne!(output, EventBuffer::new().unwrap());
}

#[test]
fn a_buffer_moved_onto_another_handle_of_itself_stays_as_it_is() {
    let (owner, output) = owner(false, None);
    let again = EventBuffer::lent(owner, Side::Output);
    output.add("text").unwrap();
    output.add_buffer(&again).unwrap();
    again.prepend_buffer(&output).unwrap();
    assert_eq!(output.append_from(&again, 2).unwrap(), 0);
    assert_eq!(output.substr(0, None).unwrap(), b"text");
}

/// In C the target's callback runs while the source still counts bytes that it has given away.
#[test]
fn a_callback_of_the_target_finds_the_source_complete_and_may_empty_it() {
    for length in [1, 3_000, 5_000, 8_999, usize::MAX] {
        let source = EventBuffer::new().unwrap();
        let bytes = (0..9_000).map(|at| at as u8).collect::<Vec<_>>();
        for part in bytes.chunks(1_000).rev() {
            source.prepend(part).unwrap();
        }
        let rest = Rc::new(RefCell::new(Vec::new()));
        let (source_too, seen) = (source.clone(), Rc::clone(&rest));
        let on_change = move || {
            if let Some(bytes) = source_too.read(usize::MAX).unwrap() {
                seen.borrow_mut().extend(bytes);
            }
            source_too.expand(10).unwrap();
        };
        let (_owner, target) = owner(false, Some(Box::new(on_change)));
        let moved = target.append_from(&source, length).unwrap();
        assert_eq!(moved, length.min(9_000));
        let got = [target.substr(0, None).unwrap(), rest.take()].concat();
        assert!(got == bytes, "{length}");
    }
}

#[test]
fn bytes_go_back_to_their_source_when_its_callback_frees_the_target() {
    for prepend in [false, true] {
        let (target_owner, target) = owner(false, None);
        let gone = Rc::clone(&target_owner);
        let (_owner, source) = owner(false, Some(Box::new(move || gone.gone.set(true))));
        source.add("abc").unwrap();
        target_owner.gone.set(false);
        let result = if prepend {
            target.prepend_buffer(&source)
        } else {
            target.append_from(&source, 2).map(drop)
        };
        assert!(matches!(result, Err(Error::Freed { .. })), "{result:?}");
        assert_eq!(source.substr(0, None).unwrap(), b"abc");
    }
}

#[test]
fn a_file_in_an_output_is_not_read_nor_moved_until_it_was_sent() {
    let (owner, output) = owner(true, None);
    let (file, bytes) = file(10_000);
    output.add("head").unwrap();
    output.add_file(file, 5_000, Some(1_000)).unwrap();
    assert_eq!(output.length(), 1_004);
    for (method, result) in reading_calls(&output) {
        let error = result.expect_err(method);
        assert!(matches!(error, Error::State { .. }), "{method}: {error}");
        assert_eq!(error.call(), format!("EventBuffer::{method}"));
        assert!(error.to_string().contains("a file"), "{error}");
    }
    output.add("tail").unwrap();
    output.prepend("the ").unwrap();
    output.drain(1).unwrap();

    let (ours, mut theirs) = UnixStream::pair().unwrap();
    while output.length() > 0 {
        assert!(flush(&owner, &ours) > 0);
    }
    drop(ours);
    let mut got = Vec::new();
    theirs.read_to_end(&mut got).unwrap();
    let expected = [b"he head", &bytes[5_000..6_000], b"tail"].concat();
    assert!(got == expected);

    output.add("one\ntwo").unwrap();
    for (method, result) in reading_calls(&output) {
        result.expect(method);
    }
}

#[test]
fn a_file_in_an_output_can_be_drained_in_part_and_as_a_whole() {
    let (owner, output) = owner(true, None);
    let (one, bytes) = file(10_000);
    output.add_file(one.try_clone().unwrap(), 0, None).unwrap();
    output.add_file(one, 0, None).unwrap();
    output.drain(15_000).unwrap();
    assert!(owner.holds_files());
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    assert_eq!(flush(&owner, &ours), 5_000);
    let mut got = vec![0; 5_000];
    theirs.read_exact(&mut got).unwrap();
    assert!(got == bytes[5_000..]);
    assert!(!owner.holds_files());

    for (method, result) in changing_calls(&output) {
        result.expect(method);
    }
    assert!(!owner.holds_files());
    assert_eq!(output.substr(0, None).unwrap(), b"");
}

/// How often this process has the file at `path` open.
fn times_open(path: &Path) -> usize {
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    let link = |entry: std::io::Result<fs::DirEntry>| fs::read_link(entry.unwrap().path()).ok();
    entries.filter_map(link).filter(|link| link == path).count()
}

#[test]
fn a_file_is_closed_when_it_was_sent_drained_refused_or_its_owner_ended() {
    let named = tempfile::NamedTempFile::new().unwrap();
    fs::write(named.path(), "content").unwrap();
    let path = named.into_temp_path();
    let open = || File::open(&path).unwrap();
    let (owner, output) = owner(true, None);
    let (socket, _peer) = UnixStream::pair().unwrap();

    output.add_file(open(), 0, None).unwrap();
    assert_eq!(times_open(&path), 1);
    assert_eq!(flush(&owner, &socket), 7);
    assert_eq!(times_open(&path), 0);

    output.add_file(open(), 0, None).unwrap();
    output.drain(7).unwrap();
    assert_eq!(times_open(&path), 0);

    output.add_file(open(), 7, None).unwrap(); // none of it
    output.add_file(open(), 0, Some(8)).unwrap_err();
    // SAFETY: `owner` has the buffer.
    unsafe { ffi::evbuffer_freeze(owner.raw, 0) };
    output.add_file(open(), 0, None).unwrap_err();
    // SAFETY: as above.
    unsafe { ffi::evbuffer_unfreeze(owner.raw, 0) };
    assert_eq!((times_open(&path), output.length()), (0, 0));

    output.add_file(open(), 0, None).unwrap();
    drop((output, owner));
    assert_eq!(times_open(&path), 0);
    assert_eq!(buffers_with_files(), 0);
}

#[test]
fn a_file_that_became_shorter_meanwhile_ends_the_sending_and_nothing_else() {
    let (owner, output) = owner(true, None);
    let (file, bytes) = file(10_000);
    output.add_file(file.try_clone().unwrap(), 0, None).unwrap();
    file.set_len(4_000).unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    assert_eq!(flush(&owner, &ours), 4_000);
    assert_eq!(flush(&owner, &ours), 0); // which a buffer event reports
    assert_eq!(output.length(), 6_000);
    let mut got = vec![0; 4_000];
    theirs.read_exact(&mut got).unwrap();
    assert!(got == bytes[..4_000]);
}

#[test]
fn what_is_added_after_a_large_file_takes_no_more_memory_than_it_needs() {
    let (_owner, output) = owner(true, None);
    let file = tempfile::tempfile().unwrap();
    file.set_len(1 << 40).unwrap();
    output.add_file(file, 0, None).unwrap();
    output.add("more").unwrap();
    output.add("and more").unwrap();
    assert_eq!(output.length(), (1 << 40) + 12);
    output.drain(1 << 40).unwrap();
    assert_eq!(output.substr(0, None).unwrap(), b"moreand more");
}

#[test]
fn files_that_would_overflow_the_length_are_refused() {
    const CALL: &str = "EventBuffer::addFile";
    let most = i64::MAX.cast_unsigned();
    room_for(CALL, 10, most - 10).unwrap();
    let error = room_for(CALL, 10, most - 9).unwrap_err();
    assert!(matches!(error, Error::Argument { .. }), "{error}");
    room_for(CALL, 0, u64::MAX).unwrap_err();
}

fn a_file_arrives_whole(ours: OwnedFd, mut theirs: impl Read + Send + 'static) {
    const LENGTH: usize = 4 << 20;
    let base = EventBase::new().unwrap();
    let output = socket(&base, ours);
    let (file, bytes) = file(LENGTH);
    output.add("head").unwrap();
    output.add_file(file, 3, Some(LENGTH as u64 - 5)).unwrap();
    output.add("tail").unwrap();
    let reader = thread::spawn(move || {
        let mut got = Vec::new();
        theirs.read_to_end(&mut got).unwrap();
        got
    });
    base.dispatch().unwrap(); // ends when all is sent, or at an error
    assert_eq!(output.length(), 0);
    drop((output, base));
    let got = reader.join().unwrap();
    assert!(got == [b"head", &bytes[3..LENGTH - 2], b"tail"].concat());
}

#[test]
fn a_file_in_the_output_of_a_unix_socket_arrives_whole() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    a_file_arrives_whole(ours.into(), theirs);
}

#[test]
fn a_file_in_the_output_of_a_tcp_socket_arrives_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    a_file_arrives_whole(ours.into(), theirs);
}
