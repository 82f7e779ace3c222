//! Sockets, pipes, files, and Rust's `Read` and `Write`.

use std::io::{self, ErrorKind, IoSlice, PipeReader, PipeWriter, Read, Seek, SeekFrom, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use php_event::{Error, Event, EventBase};

use super::{content, cut, empty, in_crumbs, noise, sockets, text, with};
use test_support::{alone, limited, new_base};

#[test]
fn write_sends_at_most_the_given_bytes_and_removes_them() {
    for (howmuch, sent) in [
        (None, 6),
        (Some(0), 0),
        (Some(4), 4),
        (Some(6), 6),
        (Some(usize::MAX), 6),
    ] {
        for buffer in [with("abcdef"), in_crumbs("abcdef")] {
            let (ours, mut theirs) = sockets();
            assert_eq!(buffer.write(&ours, howmuch).unwrap(), sent);
            assert_eq!(text(content(&buffer)), "abcdef"[sent..]);
            drop(ours);
            let mut got = String::new();
            theirs.read_to_string(&mut got).unwrap();
            assert_eq!(got, "abcdef"[..sent]);
        }
    }
    assert_eq!(empty().write(sockets().0, None).unwrap(), 0);
}

#[test]
fn writing_and_reading_work_on_sockets_pipes_and_files() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    let (reader, writer) = io::pipe().unwrap();
    let mut file = tempfile::tempfile().unwrap();
    let (from, to) = (with("text"), empty());

    assert_eq!(from.write(&client, None).unwrap(), 4);
    assert_eq!(to.read_from(&server, None).unwrap(), 4);
    from.add("text").unwrap();
    assert_eq!(from.write(&writer, None).unwrap(), 4);
    assert_eq!(to.read_from(&reader, None).unwrap(), 4);
    from.add("text").unwrap();
    assert_eq!(from.write(&file, None).unwrap(), 4);
    file.seek(SeekFrom::Start(0)).unwrap();
    assert_eq!(to.read_from(&file, None).unwrap(), 4);
    assert_eq!(text(content(&to)), "texttexttext");
}

#[test]
fn a_full_socket_and_a_closed_peer_are_errors_that_keep_the_bytes() {
    let buffer = with(vec![7; 10 << 20]);
    let (ours, theirs) = sockets();
    let sent = buffer.write(&ours, None).unwrap();
    let left = buffer.length();
    assert_eq!(sent + left, 10 << 20);
    let full = (0..).find_map(|_| buffer.write(&ours, None).err()).unwrap();
    assert_eq!(full.kind(), ErrorKind::WouldBlock, "{full}");
    assert_eq!(full.call(), "EventBuffer::write");
    let left = buffer.length();
    drop(theirs);
    let gone = buffer.write(&ours, None).unwrap_err();
    let kinds = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
    assert!(kinds.contains(&gone.kind()), "{gone}");
    assert_eq!(buffer.length(), left);
}

#[test]
fn a_closed_peer_is_an_error_where_sigpipe_would_end_the_process() {
    alone(&[], || {
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        #[allow(unsafe_code, reason = "nix cannot know what a handler does")]
        // SAFETY: there is no handler.
        unsafe { sigaction(Signal::SIGPIPE, &default) }.unwrap();
        let (ours, theirs) = sockets();
        drop(theirs);
        let error = with("abc").write(&ours, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_pipe_without_a_reader_is_an_error() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let buffer = with("abc");
    let error = buffer.write(&writer, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe); // tests have a `main` of Rust
    assert_eq!(buffer.length(), 3);
}

#[test]
fn a_descriptor_for_the_other_direction_is_an_error() {
    let (reader, writer): (PipeReader, PipeWriter) = io::pipe().unwrap();
    let buffer = with("abc");
    for (what, error) in [
        (
            "EventBuffer::write",
            buffer.write(&reader, None).unwrap_err(),
        ),
        (
            "EventBuffer::readFrom",
            buffer.read_from(&writer, None).unwrap_err(),
        ),
    ] {
        assert!(matches!(error, Error::Io { .. }), "{error:?}");
        assert_eq!(error.call(), what);
    }
    assert_eq!(text(content(&buffer)), "abc");
}

#[test]
fn reading_adds_once_what_is_there_4096_bytes_at_most() {
    let (ours, mut theirs) = sockets();
    let buffer = with(">");
    let bytes = noise(10_000);
    theirs.write_all(&bytes).unwrap();
    for (howmuch, n) in [
        (Some(0), 0),
        (Some(10), 10),
        (None, 4096),
        (Some(usize::MAX), 4096),
        (Some(4097), 1798),
    ] {
        assert_eq!(buffer.read_from(&ours, howmuch).unwrap(), n, "{howmuch:?}");
    }
    assert!(content(&buffer) == [b">", bytes.as_slice()].concat());
    let nothing = buffer.read_from(&ours, None).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    assert_eq!(nothing.call(), "EventBuffer::readFrom");
    drop(theirs);
    assert_eq!(buffer.read_from(&ours, None).unwrap(), 0); // the end
    assert_eq!(buffer.length(), 10_001);
}

#[test]
fn sixteen_megabytes_pass_a_socket_unchanged() {
    const LENGTH: usize = 16 << 20;
    let bytes = noise(LENGTH);
    let (ours, theirs) = UnixStream::pair().unwrap();
    let buffer = cut(&bytes, &[1, 2, LENGTH / 2]);
    let got = limited(|| {
        let reader = thread::spawn(move || {
            let received = empty();
            while received.read_from(&theirs, None).unwrap() > 0 {}
            assert_eq!(received.length(), LENGTH);
            received.read(usize::MAX).unwrap().unwrap()
        });
        while buffer.length() > 0 {
            buffer.write(&ours, None).unwrap();
        }
        drop(ours);
        reader.join().unwrap()
    });
    assert!(got == bytes);
}

#[test]
fn a_buffer_of_very_many_chunks_goes_out_in_order() {
    let bytes = noise(10_000);
    let buffer = in_crumbs(&bytes);
    let (ours, mut theirs) = sockets();
    let mut got = Vec::new();
    while buffer.length() > 0 {
        let n = buffer.write(&ours, None).unwrap();
        let mut piece = vec![0; n];
        theirs.read_exact(&mut piece).unwrap();
        got.extend(piece);
    }
    assert!(got == bytes);
}

#[test]
fn a_reference_is_a_reader_and_a_writer() {
    let buffer = empty();
    let mut end = &buffer;
    write!(end, "{}-{}", 1, 2).unwrap();
    let slices = [IoSlice::new(b""), IoSlice::new(b"-3")];
    assert_eq!(end.write_vectored(&slices).unwrap(), 2);
    end.flush().unwrap();
    let copied = io::copy(&mut &b"-4"[..], &mut end).unwrap();
    assert_eq!(copied, 2);
    buffer.prepend("0-").unwrap();

    assert_eq!(Read::read(&mut end, &mut []).unwrap(), 0);
    let mut some = [0; 3];
    end.read_exact(&mut some).unwrap();
    assert_eq!(&some, b"0-1");
    let mut rest = String::new();
    end.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "-2-3-4");
    assert_eq!(Read::read(&mut end, &mut some).unwrap(), 0);
}

#[test]
fn reading_fills_what_it_is_given_from_many_chunks() {
    let bytes = noise(1000);
    let buffer = in_crumbs(&bytes);
    let mut got = [0; 700];
    let mut end = &buffer;
    assert_eq!(Read::read(&mut end, &mut got).unwrap(), 700);
    assert!(got == bytes[..700]);
    assert!(content(&buffer) == bytes[700..]);
}

#[test]
fn a_buffer_serves_an_echo_in_an_event() {
    let base = new_base();
    let (ours, mut theirs) = sockets();
    let buffer = empty();
    let echo = buffer.clone();
    let event = Event::new(
        &base,
        ours,
        Event::READ | Event::PERSIST,
        move |socket, _what, event| match echo.read_from(socket, None) {
            Ok(0) => event.del().unwrap(),
            result => {
                result.unwrap();
                echo.write(socket, None).unwrap();
            }
        },
    );
    let event = event.unwrap();
    event.add(None).unwrap();
    theirs.write_all(b"hello").unwrap();
    theirs.shutdown(Shutdown::Write).unwrap();
    limited(|| base.r#loop(EventBase::LOOP_ONCE)).unwrap();
    limited(|| base.dispatch()).unwrap();
    let mut got = [0; 5];
    theirs.read_exact(&mut got).unwrap();
    assert_eq!((&got, buffer.length()), (b"hello", 0));
}
