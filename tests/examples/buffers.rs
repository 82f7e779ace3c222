//! The examples about what buffers can do.

use std::io::Read;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{Server, nc, noise, printed, talk};

#[test]
fn buffer_search_prints_what_it_finds() {
    assert_eq!(
        printed("buffer_search", &[]),
        "68 bytes\n\
         request: GET /index.html HTTP/1.1\n\
         Accept is at Some(19)\n\
         a cookie at None\n\
         e at 6; e at 12; e at 22; e at 36; e at 39; \n\
         host: example.com\n\
         4 bytes in front: Host, of 42\n\
         line: \"Host: example.com\"\n\
         line: \"Accept: */*\"\n\
         line: \"\"\n\
         no line: Some(\"the rest\")\n"
    );
}

#[test]
fn send_file_sends_the_whole_file_to_each_client() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    let server = Server::start_with("send_file", &[path.to_str().unwrap(), "127.0.0.1:0"]);
    for length in [3 << 20, 1, 0] {
        let content = noise(length);
        std::fs::write(&path, &content).unwrap();
        let mut clients = [server.connect(), server.connect()];
        for client in &mut clients {
            let mut got = Vec::new();
            client.0.read_to_end(&mut got).unwrap();
            assert!(got == content, "{} of {length} bytes", got.len());
        }
    }
    std::fs::write(&path, "for nc\n").unwrap();
    assert_eq!(talk(&mut nc(&server), b""), "for nc\n");
}

#[test]
fn send_file_survives_a_missing_file_and_a_client_that_leaves() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    let server = Server::start_with("send_file", &[path.to_str().unwrap(), "127.0.0.1:0"]);
    let none = server.descriptors();
    assert_eq!(server.connect().leave(), "", "no file, no byte");
    std::fs::write(&path, noise(8 << 20)).unwrap();
    let mut breaks = server.connect();
    breaks.0.read_exact(&mut [0; 100]).unwrap();
    breaks.reset();
    assert!(server.comes_to_hold(none));
    assert!(server.falls_asleep());
}

#[test]
fn rate_limit_does_not_send_faster_than_it_says() {
    let server = Server::start_with("rate_limit", &["10000", "127.0.0.1:0"]);
    let begun = Instant::now();
    let mut client = server.connect();
    client.expect("10000 bytes a second\n");
    client.0.read_exact(&mut [0; 5_000 - 21]).unwrap();
    // 1000 bytes at once, and four ticks more, of which the first may have begun before.
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[test]
fn unix_socket_answers_each_line_of_nc_and_removes_its_path() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("socket");
    let path = path.to_str().unwrap();
    let mut server = Server::start_with("unix_socket", &[path]);
    assert_eq!(server.address, path);
    let mut nc = Command::new("nc");
    nc.args(["-N", "-U", path]);
    assert_eq!(talk(&mut nc, b"four\n\nsix six\r\nno line"), "4\n0\n7\n");
    server.end();
    assert!(!std::fs::exists(path).unwrap());
}

#[test]
fn unix_socket_lets_a_client_go_whose_line_never_ends() {
    use std::io::Write;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("socket");
    let server = Server::start_with("unix_socket", &[path.to_str().unwrap()]);
    let mut client = std::os::unix::net::UnixStream::connect(&server.address).unwrap();
    client
        .set_read_timeout(Some(crate::support::LIMIT))
        .unwrap();
    client.write_all(&[b'x'; 70_000]).ok(); // it may not take all of them
    let read = client.read(&mut [0; 9]);
    assert!(
        matches!(&read, Ok(0))
            || read.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset)
    );
}
