//! Several requests in one process: what a fatal error leaves behind goes with its request.

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use support::{extension, php, root};

/// PHP's own server, which serves one request after the other.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start() -> Self {
        let mut process = test_support::spawn(
            php()
                .arg("-d")
                .arg(format!("extension={}", extension().display()))
                .args(["-d", "display_errors=1", "-d", "html_errors=0"])
                .args(["-S", "127.0.0.1:0"])
                .arg(root().join("tests/requests.php"))
                .stderr(Stdio::piped()),
        )
        .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "it does not start");
            let started = line
                .split_once("(http://")
                .and_then(|(_, rest)| rest.split_once(')'));
            if let Some((address, _)) = started {
                break address.to_owned();
            }
        };
        thread::spawn(move || log.lines().for_each(drop)); // it must not wait for a reader
        Self { process, address }
    }

    /// What it answers.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        body.to_owned()
    }

    /// How many descriptors and how many bytes of memory it has.
    fn figures(&self) -> (u64, u64) {
        let answer = self.get("/figures");
        let (descriptors, memory) = answer.split_once(' ').unwrap();
        (descriptors.parse().unwrap(), memory.parse().unwrap())
    }

    /// Runs into a fatal error ten times. How many descriptors and bytes that has left.
    fn fail(&self, path: &str, error: &str) -> (u64, u64) {
        let ask = || {
            let answer = self.get(path);
            assert!(answer.contains(error), "{path}: {answer}");
        };
        (0..3).for_each(|_| ask()); // the allocators keep some of what is freed
        let before = self.figures();
        (0..10).for_each(|_| ask());
        let after = self.figures();
        (after.0 - before.0, after.1.saturating_sub(before.1))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[test]
fn request_after_a_fatal_error_runs_callbacks() {
    let server = Server::start();
    let ended = server.get("/fatal");
    assert!(ended.contains("Fatal error: stop"), "{ended}");
    assert_eq!(server.get("/timer"), "fired");
}

#[test]
fn handle_that_gets_no_object_for_want_of_memory_goes_with_its_request() {
    // Debian's PHP reports the lack of memory later, when the object has been made.
    let (descriptors, _) = Server::start().fail("/object", "Allowed memory size of");
    assert_eq!(
        descriptors, 0,
        "the base has some as long as it has a handle"
    );
}

#[test]
fn handle_of_an_object_whose_end_is_cut_short_goes_with_its_request() {
    let server = Server::start();
    for path in ["/event", "/listener"] {
        let (descriptors, _) = server.fail(path, "Fatal error: stop");
        assert_eq!(descriptors, 0, "{path}");
    }
}

#[test]
fn text_of_an_answer_goes_with_a_request_that_ends_before_it_is_taken() {
    let (_, bytes) = Server::start().fail("/text", "Fatal error: stop");
    assert!(
        bytes < 20_000_000,
        "{bytes} bytes more; each of ten texts has 10,000,000"
    );
}
