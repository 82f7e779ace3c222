//! Bytes and files that are not copied.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use php_event::{BufferEventOptions, Error, EventBase, EventBuffer, EventBufferEvent};
use test_support::alone;

use super::{content, empty, file, noise, sockets, text, with};

#[test]
fn shared_bytes_are_freed_when_the_last_buffer_is_done_with_them() {
    let bytes: Arc<[u8]> = Arc::from(noise(10_000));
    let count = || Arc::strong_count(&bytes);
    let (one, other) = (empty(), with("before"));
    one.add_reference(bytes.clone()).unwrap();
    other.add_reference(bytes.clone()).unwrap();
    other.add_reference(bytes.clone()).unwrap();
    assert_eq!(count(), 4);
    one.drain(9_999).unwrap();
    assert_eq!(count(), 4); // one byte is left
    one.drain(1).unwrap();
    assert_eq!(count(), 3);
    one.append_from(&other, 10_007).unwrap(); // the first, and a copy out of the second
    assert_eq!(count(), 3);
    drop(one);
    assert_eq!(count(), 2);
    other.freeze(false).unwrap();
    other.add_reference(bytes.clone()).unwrap_err();
    assert_eq!(count(), 2);
    assert!(content(&other) == bytes[1..]);
    drop(other);
    assert_eq!(count(), 1);
}

#[test]
fn shared_bytes_are_never_written_to() {
    let bytes: Arc<[u8]> = Arc::from(*b"shared");
    let buffer = empty();
    buffer.add_reference(bytes.clone()).unwrap();
    buffer.drain(2).unwrap();
    buffer.prepend("<").unwrap();
    buffer.add(">").unwrap();
    buffer.expand(3).unwrap();
    assert_eq!(buffer.pullup(None).unwrap().unwrap(), b"<ared>");
    buffer.add_reference(bytes.clone()).unwrap();
    let (ours, mut theirs) = sockets();
    theirs.write_all(b"more").unwrap();
    buffer.read_from(&ours, None).unwrap();
    assert_eq!(text(content(&buffer)), "<ared>sharedmore");
    assert_eq!(&*bytes, b"shared");
}

#[test]
fn bytes_of_any_make_can_be_shared() {
    let buffer = empty();
    buffer.add_reference(&b"slice "[..]).unwrap();
    buffer.add_reference(b"vec ".to_vec()).unwrap();
    buffer
        .add_reference(Box::<[u8]>::from(&b"box "[..]))
        .unwrap();
    buffer.add_reference(Arc::<str>::from("text ")).unwrap();
    buffer.add_reference([]).unwrap();
    assert_eq!(text(content(&buffer)), "slice vec box text ");
}

#[test]
fn shared_bytes_may_be_freed_by_another_thread() {
    let bytes: Arc<[u8]> = Arc::from(noise(100_000));
    let threads = [(); 4].map(|()| {
        let bytes = Arc::clone(&bytes);
        thread::spawn(move || {
            let buffer = empty();
            for _ in 0..100 {
                buffer.add_reference(bytes.clone()).unwrap();
                buffer.drain(50_000).unwrap();
            }
            buffer.read(10).unwrap().unwrap()
        })
    });
    let mut first = Some(bytes);
    for thread in threads {
        thread.join().unwrap();
        drop(first.take());
    }
}

#[test]
fn a_part_of_a_file_is_added() {
    let content_of_file = noise(200_000);
    for (offset, length, expected) in [
        (0, None, 0..200_000),
        (0, Some(10), 0..10),
        (65_000, Some(70_000), 65_000..135_000),
        (199_999, None, 199_999..200_000),
        (200_000, None, 0..0),
        (5, Some(0), 0..0),
    ] {
        let buffer = with("<");
        let file = file(&content_of_file);
        buffer.add_file(file, offset, length).unwrap();
        buffer.add(">").unwrap();
        let expected = [b"<", &content_of_file[expected], b">"].concat();
        assert!(content(&buffer) == expected, "{offset} {length:?}");
    }
}

#[test]
fn a_part_that_the_file_does_not_have_is_refused_and_nothing_is_added() {
    for (offset, length, reason) in [
        (11, None, "bytes from 11 on asked for; the file has 10"),
        (0, Some(11), "11 bytes from 0 on asked for; the file has 10"),
        (5, Some(u64::MAX), "from 5 on asked for; the file has 10"),
        (u64::MAX, Some(u64::MAX), "asked for; the file has 10"),
    ] {
        let buffer = with("<");
        let error = buffer
            .add_file(file("0123456789"), offset, length)
            .unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error:?}");
        assert!(error.to_string().ends_with(reason), "{error}");
        assert_eq!(error.call(), "EventBuffer::addFile");
        assert_eq!(text(content(&buffer)), "<");
    }
}

#[test]
fn a_file_that_becomes_shorter_after_it_was_added_changes_nothing() {
    let bytes = noise(100_000);
    let added = file(&bytes);
    let buffer = empty();
    buffer
        .add_file(added.try_clone().unwrap(), 0, None)
        .unwrap();
    added.set_len(0).unwrap();
    assert!(content(&buffer) == bytes);
}

#[test]
fn the_position_of_a_file_plays_no_part_and_stays() {
    let mut added = file("0123456789");
    added.seek(SeekFrom::Start(3)).unwrap();
    let buffer = empty();
    buffer
        .add_file(added.try_clone().unwrap(), 5, None)
        .unwrap();
    assert_eq!(text(content(&buffer)), "56789");
    assert_eq!(added.stream_position().unwrap(), 3);
}

/// Files of the kernel's have no length, and yet something in them.
#[test]
fn a_file_without_a_length_is_read_to_its_end() {
    let status = fs::read("/proc/version").unwrap();
    let buffer = empty();
    let open = || File::open("/proc/version").unwrap();
    buffer.add_file(open(), 0, None).unwrap();
    assert_eq!(buffer.read(usize::MAX).unwrap().unwrap(), status);
    buffer.add_file(open(), 2, Some(5)).unwrap();
    assert_eq!(buffer.read(usize::MAX).unwrap().unwrap(), status[2..7]);
    let error = buffer.add_file(open(), 0, Some(1 << 20)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(buffer.length(), 0);
    buffer
        .add_file(tempfile::tempfile().unwrap(), 0, None)
        .unwrap();
    assert_eq!(buffer.length(), 0);
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let buffer = empty();
    for path in ["/dev/zero", "/"] {
        let error = buffer
            .add_file(File::open(path).unwrap(), 0, None)
            .unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{path}: {error:?}");
        assert!(error.to_string().contains("regular file"), "{error}");
    }
    let write_only = fs::OpenOptions::new();
    let path = tempfile::NamedTempFile::new().unwrap();
    fs::write(path.path(), "x").unwrap();
    let file = write_only.clone().write(true).open(path.path()).unwrap();
    let error = buffer.add_file(file, 0, None).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    assert_eq!(buffer.length(), 0);
}

/// A tebibyte of the same bytes, which takes no memory of its own.
fn tebibyte() -> EventBuffer {
    let page: Arc<[u8]> = vec![0_u8; 1 << 28].into();
    let buffer = empty();
    for _ in 0..1 << 12 {
        buffer.add_reference(page.clone()).unwrap();
    }
    buffer
}

// Skipped under ASan: it ends the process where so much memory is asked for.
#[test]
fn reading_more_than_there_is_memory_for_is_an_error_and_takes_nothing() {
    let buffer = tebibyte();
    let mut data = b"before".to_vec();
    for (call, result) in [
        ("read", buffer.read(usize::MAX).map(drop)),
        ("substr", buffer.substr(1, None).map(drop)),
        ("copyout", buffer.copyout(&mut data, usize::MAX).map(drop)),
        ("pullup", buffer.pullup(None).map(drop)),
    ] {
        let error = result.expect_err(call);
        assert!(matches!(error, Error::Call { .. }), "{call}: {error}");
        assert!(error.to_string().contains("memory"), "{call}: {error}");
    }
    assert_eq!(
        (buffer.length(), data.as_slice()),
        (1 << 40, &b"before"[..])
    );
    assert_eq!(buffer.read(3).unwrap().unwrap(), [0; 3]);
}

#[test]
fn files_are_counted_also_in_the_destructors_of_a_threads_variables() {
    struct AtEnd(RefCell<Option<EventBufferEvent>>);
    impl Drop for AtEnd {
        fn drop(&mut self) {
            let bev = self.0.take().unwrap();
            assert_eq!(bev.output().substr(0, None).unwrap(), b"read me");
            bev.output()
                .add_file(File::open("Cargo.toml").unwrap(), 0, None)
                .unwrap();
            bev.output().substr(0, None).unwrap_err();
        }
    }
    thread_local! { static END: AtEnd = const { AtEnd(RefCell::new(None)) }; }

    alone(&[], || {
        let thread = thread::spawn(|| {
            END.with(|end| end.0.take()); // registered first, hence destroyed last
            let base = EventBase::new().unwrap();
            let make = || {
                let (socket, _) = UnixStream::pair().unwrap();
                EventBufferEvent::new(&base, socket, BufferEventOptions::empty()).unwrap()
            };
            let (used, bev) = (make(), make());
            used.output()
                .add_file(File::open("Cargo.toml").unwrap(), 0, None)
                .unwrap();
            drop(used);
            bev.output().add("read me").unwrap();
            END.with(|end| end.0.replace(Some(bev)));
        });
        thread.join().unwrap();
    });
}

#[test]
fn writing_to_a_buffer_event_behind_a_large_file_needs_no_memory_of_its_size() {
    let base = EventBase::new().unwrap();
    let (socket, _peer) = UnixStream::pair().unwrap();
    let bev = EventBufferEvent::new(&base, socket, BufferEventOptions::empty()).unwrap();
    let file = tempfile::tempfile().unwrap();
    file.set_len(1 << 42).unwrap();
    bev.output().add_file(file, 0, None).unwrap();
    bev.write("x").unwrap();
    bev.output().add("y").unwrap();
    assert_eq!(bev.output().length(), (1 << 42) + 2);
}
