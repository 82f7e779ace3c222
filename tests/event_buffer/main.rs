//! `EventBuffer`: adding, taking, moving, lines, searching, freezing, descriptors, shared
//! bytes and files.

mod descriptors;
mod finding;
mod freezing;
mod moving;
mod sharing;
mod taking;

use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixStream;

use php_event::EventBuffer;

fn empty() -> EventBuffer {
    EventBuffer::new().expect("no buffer")
}

/// One chunk.
fn with(bytes: impl AsRef<[u8]>) -> EventBuffer {
    let buffer = empty();
    buffer.add(bytes).unwrap();
    buffer
}

/// The bytes cut in front of each of `cuts`, a chunk of its own for each piece.
fn cut(bytes: &[u8], cuts: &[usize]) -> EventBuffer {
    let (buffer, mut from) = (empty(), 0);
    for &to in cuts.iter().chain([&bytes.len()]) {
        buffer.add_reference(&bytes[from..to]).unwrap();
        from = to;
    }
    buffer
}

/// Each byte in a chunk of its own.
fn in_crumbs(bytes: impl AsRef<[u8]>) -> EventBuffer {
    let bytes = bytes.as_ref();
    cut(bytes, &(1..bytes.len().max(1)).collect::<Vec<_>>())
}

#[track_caller]
fn content(buffer: &EventBuffer) -> Vec<u8> {
    buffer.substr(0, None).unwrap()
}

fn text(bytes: impl AsRef<[u8]>) -> String {
    String::from_utf8_lossy(bytes.as_ref()).into_owned()
}

/// Bytes that differ from place to place.
fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 251 + at) as u8).collect()
}

fn sockets() -> (UnixStream, UnixStream) {
    let (one, other) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    (one, other)
}

fn file(content: impl AsRef<[u8]>) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content.as_ref()).unwrap();
    file
}
