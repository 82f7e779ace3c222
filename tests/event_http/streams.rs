//! Requests whose bodies come while they wait for their reply.

use std::cell::{Cell, RefCell};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::OVER;
use crate::{Client, Server, buffer, error, get, say, serve};
use php_event::{Event, EventBase, EventBuffer, EventHttpRequest, HttpBody, HttpBodyError};
use test_support::{Bomb, Drops, panic_of, time_factor};

/// What a closure was told, and the bodies that it took.
#[derive(Default)]
struct Log {
    news: Vec<HttpBody>,
    body: Vec<u8>,
}

type Seen = Rc<RefCell<Log>>;

fn take(buffer: &EventBuffer) -> Vec<u8> {
    buffer.read(usize::MAX >> 1).unwrap().unwrap_or_default()
}

/// A server whose `/stream` takes bodies, and answers with their length.
fn taking(max: Option<u64>) -> (Server, Seen) {
    let server = Server::with(OVER, |request| {
        let length = request.get_input_buffer().length();
        say(request, format!("whole {length}"));
    });
    let seen = Seen::default();
    let log = Rc::clone(&seen);
    let take = move |request: &EventHttpRequest| take_body(request, &log);
    server
        .http
        .set_stream_callback("/stream", max, take)
        .unwrap();
    (server, seen)
}

fn take_body(request: &EventHttpRequest, log: &Seen) {
    let (log, length) = (Rc::clone(log), Cell::new(0));
    let told = move |request: &EventHttpRequest, news| {
        let mut log = log.borrow_mut();
        if log.news.last() != Some(&news) {
            log.news.push(news);
        }
        match news {
            HttpBody::More => {
                let part = take(&request.get_input_buffer());
                assert!(!part.is_empty());
                length.set(length.get() + part.len());
                log.body.extend(part);
            }
            HttpBody::End => say(request, format!("streamed {}", length.get())),
            _ => {}
        }
    };
    request.set_body_callback(told).unwrap();
}

fn head(length: usize) -> String {
    format!("POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n")
}

fn post(body: &str) -> String {
    head(body.len()) + body
}

const CHUNKED: &str = "POST /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Bytes of which no two places look the same.
fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| b'a' + (at / 26 + at) as u8 % 26)
        .collect()
}

#[test]
fn a_closure_gets_a_request_at_its_head_and_the_body_as_it_comes() {
    let (server, seen) = taking(None);
    let mut client = Client::new(OVER, server.address);
    client.send(head(6));
    client.send("abc");
    server.until(|| seen.borrow().body == b"abc");
    client.send("def");
    let answer = server.serve(move |_| client.answer());
    assert_eq!(answer.body, "streamed 6");
    assert_eq!(answer.header("Connection"), None);
    let seen = seen.borrow();
    assert_eq!(seen.body, b"abcdef");
    assert_eq!(seen.news, [HttpBody::More, HttpBody::End]);
}

#[test]
fn a_closure_sees_how_the_head_announces_the_body() {
    let server = Server::new(OVER);
    let fields = |request: &EventHttpRequest| {
        let field = |name| {
            request
                .find_header(name, EventHttpRequest::INPUT_HEADER)
                .unwrap()
        };
        let text = format!(
            "{:?} {:?}",
            field("Content-Length"),
            field("Transfer-Encoding")
        );
        say(request, text);
    };
    server
        .http
        .set_stream_callback("/stream", None, fields)
        .unwrap();
    assert_eq!(server.ask(post("abc")).body, "Some(\"3\") None");
    assert_eq!(server.ask(CHUNKED).body, "None Some(\"chunked\")");
    assert_eq!(server.ask(get("/stream")).body, "None None");
}

#[test]
fn pipelined_requests_with_and_without_streams_are_answered_in_their_order() {
    let (server, seen) = taking(None);
    let all = [
        get("/"),
        post("abc"),
        get("/"),
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nPOST".to_owned(),
        CHUNKED.to_owned() + "3\r\ndef\r\n2;x=y\r\ngh\r\n0\r\nTrailer: x\r\n\r\n",
        post("ijk"),
        get("/stream"),
    ];
    let bytes = all.concat();
    for size in [bytes.len(), 1, 7, 100] {
        let bytes = bytes.clone();
        let answers = server.serve(move |address| {
            let mut client = Client::new(OVER, address);
            for part in bytes.as_bytes().chunks(size) {
                client.send(part);
            }
            [(); 7].map(|()| client.answer().body)
        });
        let expected = [
            "whole 0",
            "streamed 3",
            "whole 0",
            "whole 4",
            "streamed 5",
            "streamed 3",
            "streamed 0",
        ];
        assert_eq!(answers, expected, "in parts of {size} bytes");
        assert_eq!(seen.take().body, b"abcdefghijk");
    }
}

#[test]
fn a_path_is_found_in_every_form_of_a_target() {
    let (server, _) = taking(None);
    for target in ["/stream?q", "/str%65am", "http://x/stream?a=://b/"] {
        let request = post("abc").replace("/stream", target);
        assert_eq!(server.ask(request).body, "streamed 3", "{target}");
    }
    for target in ["/stream/", "//stream", "/?/stream"] {
        let request = post("abc").replace("/stream", target);
        assert_eq!(server.ask(request).body, "whole 3", "{target}");
    }
}

#[test]
fn a_body_that_nobody_takes_is_not_read_on() {
    const LENGTH: usize = 20_000_000;
    let server = Server::new(OVER);
    let kept: Rc<RefCell<Option<EventHttpRequest>>> = Rc::default();
    let keep = Rc::clone(&kept);
    let shown = move |request: &EventHttpRequest| drop(keep.replace(Some(request.clone())));
    server
        .http
        .set_stream_callback("/stream", None, shown)
        .unwrap();
    let mut client = Client::new(OVER, server.address);
    let sender = std::thread::spawn(move || {
        let body = pattern(LENGTH); // takes time, and a body has to follow its head in time
        client.send(head(LENGTH));
        client.send(body);
        client.answer().body
    });
    server.until(|| kept.borrow().is_some());
    let request = kept.take().unwrap();
    let body = request.get_input_buffer();
    server.until(|| body.length() >= 64 * 1024);
    let mut whole = Vec::new();
    while whole.len() < LENGTH {
        server
            .base
            .exit(Some(Duration::from_millis(if whole.is_empty() {
                300
            } else {
                1
            })))
            .unwrap();
        server.base.dispatch().unwrap();
        assert!(body.length() < 64 * 1024 + 40_000, "{}", body.length());
        whole.extend(take(&body));
    }
    assert!(whole == pattern(LENGTH));
    say(&request, "taken");
    assert_eq!(serve(&server.base, move || sender.join().unwrap()), "taken");
}

#[test]
fn a_body_that_goes_back_while_it_comes_is_the_same() {
    const LENGTH: usize = 5_000_000;
    let server = Server::new(OVER);
    let echo = |request: &EventHttpRequest| {
        request.send_reply_start(200, "OK").unwrap();
        let told = |request: &EventHttpRequest, news| match news {
            HttpBody::More => request
                .send_reply_chunk(&request.get_input_buffer())
                .unwrap(),
            HttpBody::End => request.send_reply_end().unwrap(),
            other => panic!("{other:?}"),
        };
        request.set_body_callback(told).unwrap();
    };
    server
        .http
        .set_stream_callback("/stream", None, echo)
        .unwrap();
    let (whole, next) = server.serve(|address| {
        let mut client = Client::new(OVER, address);
        let mut writer = client.0.try_clone().unwrap();
        let sender = std::thread::spawn(move || {
            use std::io::Write;
            let body = pattern(LENGTH); // as above
            writer.write_all(head(LENGTH).as_bytes()).unwrap();
            for part in body.chunks(10_000) {
                writer.write_all(part).unwrap();
            }
        });
        let whole = client.answer().body.into_bytes() == pattern(LENGTH);
        sender.join().unwrap();
        client.send(post("next"));
        (whole, client.answer().body)
    });
    assert_eq!((whole, next.as_str()), (true, "next"));
}

#[test]
fn the_limit_is_the_paths_own() {
    let (server, seen) = taking(Some(10));
    server.http.set_max_body_size(Some(3)).unwrap();
    assert_eq!(server.ask(post("0123456789")).body, "streamed 10");
    assert_eq!(
        server
            .ask(CHUNKED.to_owned() + "a\r\n0123456789\r\n0\r\n\r\n")
            .body,
        "streamed 10"
    );
    seen.take();
    let answer = server.ask(post("0123456789+"));
    assert_eq!(
        (answer.status, answer.header("Connection")),
        (413, Some("close"))
    );
    assert!(seen.borrow().news.is_empty(), "it was not shown");
    assert_eq!(server.ask(post("0123").replace("/stream", "/")).status, 413);

    let chunks = "6\r\n012345\r\n5\r\n67890\r\n0\r\n\r\n";
    let answer = server.ask(CHUNKED.to_owned() + chunks);
    assert_eq!(
        (answer.status, answer.header("Connection")),
        (413, Some("close"))
    );
    let [
        HttpBody::More,
        HttpBody::Failed(HttpBodyError::Refused(reason)),
    ] = seen.borrow().news[..]
    else {
        panic!("{:?}", seen.borrow().news);
    };
    assert_eq!(reason, "the request body is longer than this server takes");
    assert_eq!(seen.borrow().body, b"012345");
}

#[test]
fn malformed_chunks_get_a_400_and_the_closure_learns_it() {
    let (server, seen) = taking(None);
    let answer =
        server.ask_all(CHUNKED.to_owned() + "3\r\nabc\r\n+3\r\ndef\r\n0\r\n\r\n" + &get("/"));
    assert!(
        answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
        "{answer}"
    );
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    let news = &seen.borrow().news;
    assert!(
        matches!(
            news[..],
            [HttpBody::More, HttpBody::Failed(HttpBodyError::Refused(_))]
        ),
        "{news:?}"
    );
}

#[test]
fn a_reply_that_has_begun_is_cut_off_when_the_body_is_refused() {
    let server = Server::new(OVER);
    let begin = |request: &EventHttpRequest| {
        request.send_reply_start(200, "OK").unwrap();
        request.send_reply_chunk(&buffer("begun")).unwrap();
        request.set_body_callback(|_, _| {}).unwrap();
    };
    server
        .http
        .set_stream_callback("/stream", None, begin)
        .unwrap();
    let rest = server.serve(|address| {
        let mut client = Client::new(OVER, address);
        client.send(CHUNKED);
        client.head();
        assert_eq!(
            (client.line().as_str(), client.line().as_str()),
            ("5", "begun")
        );
        client.send("refused\r\n");
        client.rest()
    });
    assert_eq!(rest, "");
}

#[test]
fn a_client_that_goes_in_the_middle_of_a_body_is_a_failure() {
    let (server, seen) = taking(None);
    let mut client = Client::new(OVER, server.address);
    client.send(head(6) + "abc");
    server.until(|| seen.borrow().body == b"abc");
    client.0.shutdown(Shutdown::Both).unwrap();
    server.until(|| seen.borrow().news.len() == 2);
    assert_eq!(
        seen.borrow().news[1],
        HttpBody::Failed(HttpBodyError::Disconnected)
    );
    assert_eq!(
        Rc::strong_count(&seen),
        2,
        "the closure of the body is gone"
    );
}

#[test]
fn a_body_that_trickles_is_a_failure() {
    let (server, seen) = taking(None);
    server
        .http
        .set_min_body_rate(Some((500, Duration::from_millis(300))))
        .unwrap();
    let rest = server.serve(|address| {
        let mut client = Client::new(OVER, address);
        client.send(head(100_000));
        while client.try_send("a") {
            std::thread::sleep(Duration::from_millis(5));
        }
        client.rest()
    });
    assert_eq!(rest, "");
    server.until(|| seen.borrow().news.len() == 2);
    assert_eq!(
        seen.borrow().news[1],
        HttpBody::Failed(HttpBodyError::TooSlow)
    );
}

#[test]
fn a_body_that_nobody_takes_is_not_late() {
    let server = Server::new(OVER);
    let kept: Rc<RefCell<Option<EventHttpRequest>>> = Rc::default();
    let keep = Rc::clone(&kept);
    let shown = move |request: &EventHttpRequest| drop(keep.replace(Some(request.clone())));
    server
        .http
        .set_stream_callback("/stream", None, shown)
        .unwrap();
    server
        .http
        .set_min_body_rate(Some((500, Duration::from_millis(200))))
        .unwrap();
    let mut client = Client::new(OVER, server.address);
    client.send(head(100_000));
    client.send("a".repeat(100_000));
    server.until(|| kept.borrow().is_some());
    server.base.exit(Some(Duration::from_millis(800))).unwrap();
    server.base.dispatch().unwrap();
    let request = kept.take().unwrap();
    take_body(&request, &Seen::default());
    assert_eq!(
        server.serve(move |_| client.answer()).body,
        "streamed 100000"
    );
}

#[test]
fn a_silent_client_is_closed_in_the_middle_of_a_body() {
    let (server, seen) = taking(None);
    server
        .http
        .set_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    assert_eq!(server.ask_all(head(6) + "abc"), "");
    server.until(|| seen.borrow().news.len() == 2);
    assert_eq!(
        seen.borrow().news[1],
        HttpBody::Failed(HttpBodyError::Disconnected)
    );
}

#[test]
fn a_close_callback_does_not_keep_a_silent_body_open() {
    let (server, seen) = taking(None);
    server
        .http
        .set_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let closed = Rc::new(Cell::new(0));
    let (log, count) = (Rc::clone(&seen), Rc::clone(&closed));
    let take = move |request: &EventHttpRequest| {
        let count = Rc::clone(&count);
        let connection = request.get_connection().unwrap();
        connection
            .set_close_callback(move |_| count.set(count.get() + 1))
            .unwrap();
        take_body(request, &log);
    };
    server
        .http
        .set_stream_callback("/closing", None, take)
        .unwrap();
    let request = (head(6) + "abc").replace("/stream", "/closing");
    assert_eq!(server.ask_all(request), "");
    server.until(|| closed.get() == 1);
    assert_eq!(seen.borrow().news.len(), 2);
}

#[test]
fn a_client_that_waits_for_100_continue_gets_it_when_the_closure_is_set() {
    let (server, seen) = taking(None);
    let expecting = head(3).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    let request = expecting.clone();
    let (interim, answer, next) = server.serve(move |address| {
        let mut client = Client::new(OVER, address);
        client.send(get("/")); // evhttp has written something before
        client.answer();
        client.send(request);
        let interim = client.head();
        client.send("abc");
        let answer = client.answer();
        client.send(get("/"));
        (interim, answer, client.answer())
    });
    assert_eq!((interim.status, interim.headers.len()), (100, 0));
    assert_eq!(
        (answer.body.as_str(), next.body.as_str()),
        ("streamed 3", "whole 0")
    );
    assert_eq!(seen.borrow().body, b"abc");

    let refuse = |request: &EventHttpRequest| {
        request.send_reply(403, "Forbidden", None).unwrap();
    };
    server.http.remove_callback("/stream").unwrap();
    server
        .http
        .set_stream_callback("/stream", None, refuse)
        .unwrap();
    assert_eq!(server.ask(expecting).status, 403);
}

/// A server that looks something up for `time` before it takes a body.
fn slow_to_listen(time: Duration) -> Server {
    let server = Server::new(OVER);
    let base = server.base.clone();
    let later = move |request: &EventHttpRequest| {
        let request = request.clone();
        let listens = move |_timer: &Event| {
            let told = |request: &EventHttpRequest, news| {
                if news == HttpBody::End {
                    say(request, "late");
                }
            };
            request.set_body_callback(told).unwrap();
        };
        let timer = Event::timer(&base, listens).unwrap();
        timer.add(Some(time)).unwrap();
        timer.detach();
    };
    server
        .http
        .set_stream_callback("/stream", None, later)
        .unwrap();
    server
}

fn expecting(length: usize) -> String {
    head(length).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n")
}

#[test]
fn a_client_that_waits_for_100_continue_is_neither_too_slow_nor_silent() {
    let server = slow_to_listen(Duration::from_secs(1)); // both times have passed before
    let rate = Some((500, Duration::from_millis(100)));
    server.http.set_min_body_rate(rate).unwrap();
    let silence = Some(Duration::from_millis(200));
    server.http.set_timeout(silence).unwrap();
    let (interim, answer) = server.serve(move |address| {
        let mut client = Client::new(OVER, address);
        client.send(expecting(3));
        let interim = client.head();
        client.send("abc");
        (interim, client.answer())
    });
    assert_eq!((interim.status, answer.body.as_str()), (100, "late"));
}

#[test]
fn a_client_that_got_100_continue_may_not_be_silent() {
    let server = slow_to_listen(Duration::ZERO);
    let silence = Some(Duration::from_millis(200));
    server.http.set_timeout(silence).unwrap();
    let (interim, rest) = server.serve(move |address| {
        let mut client = Client::new(OVER, address);
        client.send(expecting(3));
        (client.head(), client.rest())
    });
    assert_eq!((interim.status, rest.as_str()), (100, ""));
}

#[test]
fn a_body_that_comes_before_100_continue_has_its_whole_time_from_then_on() {
    let per = Duration::from_secs(1) * time_factor();
    let server = slow_to_listen(4 * per);
    server.http.set_min_body_rate(Some((1000, per))).unwrap();
    let answer = server.serve(move |address| {
        let mut client = Client::new(OVER, address);
        client.send(expecting(3000));
        thread::sleep(per * 9 / 10); // the peer waits, and then no longer
        for _ in 0..60 {
            client.send("x".repeat(50));
            thread::sleep(per / 40); // at twice the least rate
        }
        client.answer()
    });
    assert_eq!(answer.body, "late");
}

#[test]
fn no_100_continue_goes_out_when_the_body_has_begun_to_come() {
    let (server, _) = taking(None);
    let expecting = head(3).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(server.ask(expecting + "abc").body, "streamed 3");
}

#[test]
fn an_early_reply_drops_the_rest_of_the_body_and_the_connection_goes_on() {
    let server = Server::new(OVER);
    let refuse = |request: &EventHttpRequest| {
        request
            .send_reply(403, "Forbidden", Some(&buffer("no")))
            .unwrap();
    };
    server
        .http
        .set_stream_callback("/stream", None, refuse)
        .unwrap();
    server
        .http
        .set_stream_callback("/later", None, |request| {
            let told = |request: &EventHttpRequest, _| say(request, "enough");
            request.set_body_callback(told).unwrap();
        })
        .unwrap();
    for path in ["/stream", "/later"] {
        let (early, next) = server.serve(move |address| {
            let mut client = Client::new(OVER, address);
            client.send(head(1_000_000).replace("/stream", path) + "a");
            let early = client.answer();
            client.send("b".repeat(999_999));
            client.send(post("next").replace("/stream", path));
            (early, client.answer())
        });
        let expected = match path {
            "/stream" => (403, "no"),
            _ => (200, "enough"),
        };
        for answer in [early, next] {
            assert_eq!((answer.status, &*answer.body), expected, "{path}");
        }
    }
}

#[test]
fn what_is_malformed_behind_an_early_reply_gets_a_400_of_its_own() {
    let server = Server::new(OVER);
    let refuse = |request: &EventHttpRequest| {
        request.send_reply(403, "Forbidden", None).unwrap();
    };
    server
        .http
        .set_stream_callback("/stream", None, refuse)
        .unwrap();
    let statuses = server.serve(|address| {
        let mut client = Client::new(OVER, address);
        client.send(CHUNKED);
        let first = client.answer().status;
        client.send("refused\r\n");
        (first, client.answer().status, client.is_closed())
    });
    assert_eq!(statuses, (403, 400, true));
}

#[test]
fn a_client_that_ends_its_side_behind_the_body_gets_its_answer() {
    let (server, _) = taking(None);
    let answer = server.serve(|address| {
        let mut client = Client::new(OVER, address);
        client.send(post("abc"));
        client.end();
        client.rest()
    });
    assert!(answer.ends_with("\r\n\r\nstreamed 3"), "{answer}");
}

#[test]
fn an_http_1_0_body_is_streamed_too() {
    let (server, _) = taking(None);
    let answer = server.ask_all(post("abc").replace("HTTP/1.1", "HTTP/1.0"));
    assert!(answer.ends_with("\r\n\r\nstreamed 3"), "{answer}");
}

#[test]
fn a_request_that_nobody_keeps_gets_a_500_and_its_body_is_dropped() {
    let server = Server::with(OVER, |request| say(request, "next"));
    server
        .http
        .set_stream_callback("/stream", None, |_| {})
        .unwrap();
    let answer = server.ask_all(post("abc") + &get("/"));
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");

    let (server, seen) = (Server::new(OVER), Seen::default());
    let log = Rc::clone(&seen);
    let never = move |request: &EventHttpRequest| {
        let log = Rc::clone(&log);
        request
            .set_body_callback(move |_, news| log.borrow_mut().news.push(news))
            .unwrap();
    };
    server
        .http
        .set_stream_callback("/stream", None, never)
        .unwrap();
    assert_eq!(server.ask(post("abc")).status, 500);
    assert_eq!(seen.borrow().news, [HttpBody::More, HttpBody::End]);
}

#[test]
fn a_whole_body_is_told_to_a_closure_that_is_set_on_it() {
    let (server, seen) = (Server::new(OVER), Seen::default());
    let log = Rc::clone(&seen);
    let take = move |request: &EventHttpRequest| take_body(request, &log);
    server.http.set_default_callback(take).unwrap();
    assert_eq!(server.ask(post("abc")).body, "streamed 3");
    assert_eq!(seen.borrow().news, [HttpBody::More, HttpBody::End]);
    assert_eq!(server.ask(get("/")).body, "streamed 0");
}

#[test]
fn a_closure_that_is_removed_while_its_request_waits_in_the_queue_is_not_missed() {
    let (server, kept) = Server::keeping(OVER);
    server
        .http
        .set_stream_callback("/stream", None, |_| panic!())
        .unwrap();
    let mut client = Client::new(OVER, server.address);
    client.send(get("/") + &post("abc"));
    server.until(|| !kept.borrow().is_empty());
    server.http.remove_callback("/stream").unwrap();
    say(&kept.borrow_mut().pop().unwrap(), "first");
    let statuses = server.serve(move |_| [client.answer().status, client.answer().status]);
    assert_eq!(statuses, [200, 503]);
}

#[test]
fn what_waits_behind_a_request_is_bounded() {
    const PART: usize = 50_000;
    const LENGTH: usize = 1600 * PART;
    let (server, kept) = Server::keeping(OVER);
    let log = Seen::default();
    let take = move |request: &EventHttpRequest| take_body(request, &log);
    server
        .http
        .set_stream_callback("/stream", None, take)
        .unwrap();
    let mut client = Client::new(OVER, server.address);
    client.send(get("/") + &head(LENGTH));
    server.until(|| !kept.borrow().is_empty());
    let request = kept.borrow_mut().pop().unwrap();
    // A reply that goes out in pieces lets libevent read again with each.
    request.send_reply_start(200, "OK").unwrap();
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let sender = std::thread::spawn(move || {
        let part = "a".repeat(PART);
        for _ in 0..LENGTH / PART {
            client.send(&part);
            count.fetch_add(PART, Ordering::Relaxed);
        }
        [client.answer().body, client.answer().body]
    });
    for _ in 0..4000 {
        request.send_reply_chunk(&buffer("piece")).unwrap();
        server.base.r#loop(EventBase::LOOP_NONBLOCK).unwrap();
        std::thread::sleep(Duration::from_micros(200));
    }
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < LENGTH / 2, "{sent} bytes"); // what the sockets' own buffers hold
    request.send_reply_end().unwrap();
    let [first, second] = serve(&server.base, move || sender.join().unwrap());
    assert_eq!(first.len(), 20_000);
    assert_eq!(second, format!("streamed {LENGTH}"));
}

/// Runs `act` in the closure of a body, and says what the client gets.
fn acting(
    act: impl FnMut(&EventHttpRequest) + 'static,
) -> (Server, Drops, impl FnOnce(SocketAddr) -> String) {
    let server = Server::with(OVER, |request| say(request, "next"));
    let drops = Drops::default();
    let (act, counted) = (Rc::new(RefCell::new(act)), drops.clone());
    let shown = move |request: &EventHttpRequest| {
        let (act, token) = (Rc::clone(&act), counted.token());
        let told = move |request: &EventHttpRequest, _| {
            token.hold();
            (act.borrow_mut())(request);
        };
        request.set_body_callback(told).unwrap();
    };
    server
        .http
        .set_stream_callback("/stream", None, shown)
        .unwrap();
    let ask = |address| {
        let mut client = Client::new(OVER, address);
        client.send(head(6) + "abc");
        client.rest()
    };
    (server, drops, ask)
}

#[test]
fn a_closure_may_close_cancel_or_fail_its_request() {
    type Act = fn(&EventHttpRequest);
    let acts: [(Act, &str); 3] = [
        (|request| drop(request.close_connection()), ""),
        (|request| request.cancel().unwrap(), "HTTP/1.1 400 "),
        (
            |request| request.send_error(507, None).unwrap(),
            "HTTP/1.1 507 ",
        ),
    ];
    for (act, start) in acts {
        let (server, drops, ask) = acting(act);
        let answer = server.serve(ask);
        assert!(
            answer.starts_with(start) && answer.is_empty() == start.is_empty(),
            "{answer}"
        );
        server.until(|| drops.count() == 1);
    }
}

#[test]
fn a_closure_may_replace_itself() {
    let replaced = |request: &EventHttpRequest| {
        let told = |request: &EventHttpRequest, _| drop(request.close_connection());
        request.set_body_callback(told).unwrap();
    };
    let (server, drops, _) = acting(replaced);
    let rest = server.serve(|address| {
        let mut client = Client::new(OVER, address);
        client.send(head(6) + "a");
        std::thread::sleep(Duration::from_millis(50));
        client.send("b");
        client.rest()
    });
    assert_eq!((rest.as_str(), drops.count()), ("", 1));
}

#[test]
fn a_panic_in_the_closure_comes_out_of_the_loop_and_the_rest_is_told_later() {
    let calls = Rc::new(Cell::new(0));
    let count = Rc::clone(&calls);
    let (server, drops, _) = acting(move |request| {
        count.set(count.get() + 1);
        assert!(count.get() > 1, "in the closure");
        if request.get_input_buffer().length() == 6 {
            say(request, "whole");
        }
    });
    let mut client = Client::new(OVER, server.address);
    client.send(head(6) + "abc");
    let panic = panic_of(|| server.until(|| false));
    assert!(panic.contains("in the closure"), "{panic}");
    client.send("def");
    assert_eq!(server.serve(move |_| client.answer()).body, "whole");
    server.until(|| drops.count() == 1);
}

#[test]
fn a_panic_in_what_the_closure_captured_comes_out_of_the_loop() {
    let server = Server::new(OVER);
    let shown = |request: &EventHttpRequest| {
        let bomb = Bomb("captured");
        let told = move |request: &EventHttpRequest, news| {
            bomb.hold();
            if news == HttpBody::End {
                say(request, "told");
            }
        };
        request.set_body_callback(told).unwrap();
    };
    server
        .http
        .set_stream_callback("/stream", None, shown)
        .unwrap();
    let mut client = Client::new(OVER, server.address);
    client.send(post("abc"));
    let panic = panic_of(|| server.until(|| false));
    assert!(panic.contains("captured"), "{panic}");
    assert_eq!(server.serve(move |_| client.answer()).body, "told");
}

#[test]
fn the_last_handle_of_the_server_takes_the_closures_of_bodies_with_it() {
    let (server, seen) = taking(None);
    let Server {
        base,
        http,
        address,
        ..
    } = server;
    let mut client = Client::new(OVER, address);
    client.send(head(6) + "abc");
    crate::until(&base, || seen.borrow().body == b"abc");
    drop(http);
    assert_eq!(Rc::strong_count(&seen), 1);
    let answer = serve(&base, move || client.rest());
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 500 "),
        "{answer}"
    );
    assert_eq!(seen.borrow().news, [HttpBody::More]);
}

#[test]
fn a_server_dropped_before_its_closure_is_told_leaves_nothing() {
    let (server, seen) = taking(None);
    let mut client = Client::new(OVER, server.address);
    client.send(head(6));
    server.base.exit(Some(Duration::from_millis(100))).unwrap();
    server.base.dispatch().unwrap();
    client.send("abc");
    drop(server);
    assert_eq!(Rc::strong_count(&seen), 1);
}

#[test]
fn a_server_may_be_dropped_in_the_closure_of_a_body() {
    let http: Rc<RefCell<Option<php_event::EventHttp>>> = Rc::default();
    let own = Rc::clone(&http);
    let (server, drops, _) = acting(move |_| drop(own.take()));
    let Server {
        base,
        http: handle,
        address,
        ..
    } = server;
    http.replace(Some(handle));
    let mut client = Client::new(OVER, address);
    client.send(head(6) + "abc");
    let answer = serve(&base, move || client.rest());
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 500 "),
        "{answer}"
    );
    assert_eq!(drops.count(), 1);
}

#[test]
fn a_request_outlives_its_connection_and_what_has_come_is_still_there() {
    let (server, kept) = Server::keeping(OVER);
    let list = Rc::clone(&kept);
    let keep = move |request: &EventHttpRequest| list.borrow_mut().push(request.clone());
    server
        .http
        .set_stream_callback("/stream", None, keep)
        .unwrap();
    let mut client = Client::new(OVER, server.address);
    client.send(head(6) + "abc");
    server.until(|| {
        kept.borrow()
            .first()
            .is_some_and(|request| request.get_input_buffer().length() == 3)
    });
    drop(client);
    let request = kept.borrow_mut().pop().unwrap();
    server.until(|| request.get_connection().is_none());
    let seen = Seen::default();
    take_body(&request, &seen);
    server.until(|| seen.borrow().news.len() == 2);
    assert_eq!(seen.borrow().body, b"abc");
    assert_eq!(
        seen.borrow().news[1],
        HttpBody::Failed(HttpBodyError::Disconnected)
    );
    assert!(error(request.send_reply(200, "OK", None)).contains("the client has gone"));
}

#[test]
fn closures_of_bodies_are_refused_where_nothing_would_call_them() {
    let errors: Rc<RefCell<Vec<String>>> = Rc::default();
    let list = Rc::clone(&errors);
    let server = Server::with(OVER, move |request| {
        say(request, "first");
        list.borrow_mut()
            .push(error(request.set_body_callback(|_, _| {})));
    });
    server.ask(get("/"));
    assert!(
        errors.borrow()[0].starts_with("EventHttpRequest::setBodyCallback: "),
        "{errors:?}"
    );
    let own = EventHttpRequest::new(|_| {}).unwrap();
    let text = error(own.set_body_callback(|_, _| {}));
    assert!(text.contains("a client's request"), "{text}");
    assert!(server.http.set_stream_callback("/a", None, |_| {}).is_ok());
    assert!(server.http.set_stream_callback("/a", None, |_| {}).is_err());
    assert!(server.http.set_callback("/a", |_| {}).is_err());
}
