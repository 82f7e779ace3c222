//! SIGTERM, SIGINT, and the time between asking and ending; SIGUSR1.

use std::io::ErrorKind;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::support_http::{Client, GET, LIMIT, Server, event_httpd, narrow, shell, until};
use test_support::raise_descriptor_limit;

/// Waits until the server takes no connections any more.
#[track_caller]
fn until_refused(server: &Server) {
    until("connecting is refused", || {
        match Client::connect(server.address()) {
            // One that the kernel took is reset when the server stops listening.
            Ok(mut client) => {
                client.readable_within(Duration::from_secs(1));
                None
            }
            Err(error) => match error.kind() {
                ErrorKind::ConnectionRefused | ErrorKind::NotFound => Some(()),
                ErrorKind::ConnectionReset => None,
                _ => panic!("{error}"),
            },
        }
    });
}

/// The number that follows a counter's name.
#[track_caller]
fn counter(line: &str, name: &str) -> u64 {
    let (_, rest) = line
        .split_once(name)
        .unwrap_or_else(|| panic!("no {name} in {line:?}"));
    let digits: String = rest
        .chars()
        .skip_while(|char| !char.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    digits
        .parse()
        .unwrap_or_else(|_| panic!("no number after {name} in {line:?}"))
}

#[test]
fn a_signal_right_after_it_is_ready_ends_it_with_status_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT].repeat(10) {
        let server = Server::start(&[]);
        let start = Instant::now();
        server.process().signal(signal);
        let (status, _) = server.end();
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(
            start.elapsed() < Duration::from_secs(3),
            "{signal}: {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn idle_connections_are_closed_at_once_and_the_grace_is_not_waited_for() {
    let server = Server::start(&["--grace", "60s"]);
    let mut fresh = server.connect();
    let mut answered = server.connect();
    answered.ask();
    server.process().signal(Signal::SIGTERM);
    fresh.expect_close();
    answered.expect_close();
    let (status, _) = server.end();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_request_begun_before_the_signal_is_answered_after_it() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let server = Server::start(&["--grace", "60s"]);
        let post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde";
        let mut clients: Vec<(Client, &str)> = [&post[..1], &post[..20], &post[..post.len() - 1]]
            .into_iter()
            .map(|part| {
                let mut client = server.connect();
                client.send(part);
                (client, &post[part.len()..])
            })
            .collect();
        let mut idle = server.connect();
        idle.ask(); // by now the parts have been read
        server.process().signal(signal);
        idle.expect_close();
        for (client, rest) in &mut clients {
            client.expect_silence(Duration::from_millis(50));
            client.send(*rest);
            let answer = client.answer();
            assert_eq!(answer.status, 200);
            assert_eq!(answer.field("Connection"), Some("close"));
            client.expect_close();
        }
        let (status, _) = server.end();
        assert_eq!(status.code(), Some(0));
    }
}

#[test]
fn new_connections_are_refused_at_once_while_begun_requests_end() {
    let directory = tempfile::tempdir().unwrap();
    let unix = format!("unix:{}", directory.path().join("socket").display());
    for listen in ["127.0.0.1:0", &unix] {
        let server = Server::start(&[
            "--listen",
            listen,
            "--grace",
            "60s",
            "--header-timeout",
            "60s",
        ]);
        let mut client = server.connect();
        client.send(&GET[..10]);
        let mut idle = server.connect();
        idle.ask(); // by now the part has been read
        server.process().signal(Signal::SIGTERM);
        idle.expect_close();
        until_refused(&server);
        client.send(&GET[10..]);
        assert_eq!(client.answer().field("Connection"), Some("close"));
        client.expect_close();
        let (status, _) = server.end();
        assert_eq!(status.code(), Some(0));
    }
}

#[test]
fn what_was_sent_before_the_signal_is_answered_though_it_was_not_read_yet() {
    // Few, and more than one round of accepting takes.
    raise_descriptor_limit();
    for count in [50, 1200] {
        let server = Server::start(&["--grace", "60s"]);
        // Stopped, the server sees all of it at once: connections, requests, the signal.
        server.process().signal(Signal::SIGSTOP);
        let mut clients: Vec<Client> = (0..count).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.send(GET);
        }
        server.process().signal(Signal::SIGTERM);
        server.process().signal(Signal::SIGCONT);
        for (index, client) in clients.iter_mut().enumerate() {
            assert!(client.readable_within(LIMIT), "client {index} of {count}");
            assert_eq!(client.answer().status, 200, "client {index} of {count}");
            client.expect_close();
        }
        let (status, _) = server.end();
        assert_eq!(status.code(), Some(0));
    }
}

#[test]
fn answers_that_wait_for_their_reader_are_delivered_after_the_signal() {
    let long = format!("A: {}", "a".repeat(8000));
    let server = Server::start(&["--grace", "60s", "--header", &long]);
    let mut other = server.connect();
    let mut client = narrow(&server);
    // Until the server cannot write. It has decoded the requests before the last part, which are
    // few enough for one turn each time, and some answers wait in it.
    let mut count = 0;
    until("answers wait", || {
        client.send(GET.repeat(5));
        count += 5;
        let (numbers, resting) = (other.ask().numbers(), other.ask().resting());
        assert_eq!(numbers, [5, 6, 7]);
        (resting == [7]).then_some(())
    });
    client.send(GET.repeat(5)); // is not read any more, and must cost no answer before it
    server.process().signal(Signal::SIGTERM);
    other.expect_close();
    for index in 0..count - 5 {
        assert_eq!(client.answer().status, 200, "answer {index} of {count}");
    }
    // The last part was read whole or not at all.
    let rest = String::from_utf8(client.rest()).unwrap();
    let answers = rest.matches("HTTP/1.1 200 OK").count();
    assert!(answers == 0 || answers == 5, "{rest}");
    let start = Instant::now();
    let (status, _) = server.end();
    assert_eq!(status.code(), Some(0));
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn the_grace_ends_what_does_not_end_itself() {
    let server = Server::start(&["--grace", "300ms"]);
    let mut client = server.connect();
    client.send("GET / HT");
    server.connect().ask();
    let start = Instant::now();
    server.process().signal(Signal::SIGTERM);
    client.rest();
    let (status, _) = server.end();
    assert_eq!(status.code(), Some(0));
    let elapsed = start.elapsed();
    assert!(
        elapsed > Duration::from_millis(280),
        "already after {elapsed:?}"
    );
    assert!(elapsed < Duration::from_secs(3), "only after {elapsed:?}");
}

#[test]
fn a_second_signal_after_a_second_ends_it_at_once() {
    for (first, second) in [
        (Signal::SIGTERM, Signal::SIGTERM),
        (Signal::SIGINT, Signal::SIGINT),
        (Signal::SIGTERM, Signal::SIGINT),
    ] {
        let mut server = Server::start(&["--grace", "60s"]);
        let mut client = server.connect();
        client.send("GET / HT");
        let mut idle = server.connect();
        idle.ask();
        server.process().signal(first);
        idle.expect_close();
        server.process().signal(second); // the same request to stop, on another way
        client.expect_silence(Duration::from_millis(1000));
        assert!(!server.has_ended(), "the grace is not over");
        server.process().signal(second);
        client.rest();
        let (status, _) = server.end();
        assert_eq!(status.code(), Some(0), "{first} and {second}");
    }
}

#[test]
fn a_hangup_ignored_from_the_start_stays_ignored() {
    for command in ["serve", "broadcast --framing http"] {
        let script = format!("trap '' HUP; set -- {command} \"$@\";");
        let mut shell = shell(&script);
        shell.args(["--listen", "127.0.0.1:0"]);
        let mut server = Server::run(shell);
        let mut client = server.connect();
        server.process().signal(Signal::SIGHUP);
        client.send("POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\nx");
        assert!([200, 202].contains(&client.answer().status));
        assert!(!server.has_ended());
        let (status, _log) = server.stop();
        assert_eq!(status.code(), Some(0));
    }
}

#[test]
fn signals_blocked_at_the_start_are_handled() {
    let blocked = "TERM,INT,QUIT,HUP,USR1,USR2,CHLD";
    for command in [&["serve"][..], &["broadcast"], &["serve", "--workers", "1"]] {
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
            let inner = event_httpd(command.iter().copied());
            let mut env = std::process::Command::new("env");
            env.arg(format!("--block-signal={blocked}"))
                .arg(inner.get_program())
                .args(inner.get_args())
                .args(["--listen", "127.0.0.1:0"])
                .stderr(Stdio::piped());
            let server = Server::run(env);
            server.process().signal(signal);
            let (status, _log) = server.end();
            assert_eq!(status.code(), Some(0), "{command:?} {signal}");
        }
    }
}

#[test]
fn a_slow_reader_does_not_hold_it_past_the_grace() {
    let server = Server::start(&["--grace", "300ms"]);
    let mut client = narrow(&server);
    client.send_until_stuck(&GET.repeat(1000), 64 << 20);
    let start = Instant::now();
    let (status, _) = server.stop();
    assert_eq!(status.code(), Some(0));
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn the_port_is_free_again_when_it_has_ended() {
    let server = Server::start(&[]);
    let address = server.address().to_string();
    // The server ends this one first, so its side of the port is left in TIME_WAIT.
    server.numbers();
    server.stop();
    let server = Server::start(&["--listen", &address]);
    assert_eq!(server.address().to_string(), address);
    server.connect().ask();
}

#[test]
fn counters_are_logged_in_one_line_on_sigusr1_and_at_the_end() {
    let server = Server::start(&[]);
    for _ in 0..3 {
        server.connect().ask();
    }
    let mut client = server.connect();
    client.send(GET.repeat(10));
    for _ in 0..10 {
        client.answer();
    }
    server.process().signal(Signal::SIGUSR1);
    let line = server.line("requests");
    assert_eq!(counter(&line, "connections"), 4, "{line}");
    assert_eq!(counter(&line, "requests"), 13, "{line}");
    client.ask();
    server.process().signal(Signal::SIGUSR1);
    let line = &server.lines("requests", 2)[1];
    assert_eq!(counter(line, "requests"), 14, "{line}");
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0));
    let lines: Vec<&String> = log
        .iter()
        .filter(|line| line.contains("requests"))
        .collect();
    assert_eq!(lines.len(), 3, "{log:#?}");
    assert_eq!(counter(lines[2], "connections"), 4, "{log:#?}");
    assert_eq!(counter(lines[2], "requests"), 14, "{log:#?}");
}

#[test]
fn many_signals_in_a_row_harm_nothing() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for _ in 0..200 {
        server.process().signal(Signal::SIGUSR1);
        client.ask();
    }
    // A peer that has gone is no reason to die of SIGPIPE.
    for _ in 0..50 {
        let mut gone = server.connect();
        gone.send(GET.repeat(100));
        gone.reset();
    }
    client.ask();
}
