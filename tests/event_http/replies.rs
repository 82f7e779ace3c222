//! Answers, whole and in chunks, and what is refused because it would break the stream.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::OVER;
use crate::{Client, Server, buffer, error, get, say};
use php_event::{
    BufferEventOptions, Event, EventBase, EventBuffer, EventBufferEvent, EventHttpRequest,
    FilterResult, Filters,
};

const OUTPUT: php_event::HeaderSide = EventHttpRequest::OUTPUT_HEADER;

const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n";

/// Asks for the head alone, then for `/next` on the same connection, and gives both.
fn head_and_next(server: &Server) -> (crate::Answer, String) {
    server.serve(|address| {
        let mut client = Client::new(OVER, address);
        client.send(HEAD.to_owned() + &get("/next"));
        (client.answer_to("HEAD"), client.answer().body)
    })
}

/// What the calls in `work` return, to a request that is answered by them, or afterwards.
fn errors(work: impl Fn(&EventHttpRequest) -> Vec<String> + 'static) -> Vec<String> {
    let found = Rc::new(RefCell::new(Vec::new()));
    let result = found.clone();
    let server = Server::with(OVER, move |request| {
        result.replace(work(request));
    });
    server.ask_all("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    found.take()
}

#[test]
fn a_reply_has_its_status_its_headers_and_its_body() {
    let server = Server::with(OVER, |request| {
        let body = buffer("two");
        request.get_output_buffer().add("one ").unwrap();
        request.send_reply(299, "Quite fine", Some(&body)).unwrap();
        assert_eq!(body.length(), 0);
    });
    let answer = server.ask(get("/"));
    assert_eq!((answer.status, answer.reason.as_str()), (299, "Quite fine"));
    assert_eq!(
        (answer.version.as_str(), answer.body.as_str()),
        ("HTTP/1.1", "one two")
    );
    assert_eq!(answer.header("Content-Length"), Some("7"));
}

#[test]
fn a_request_that_was_freed_can_still_be_answered() {
    let server = Server::with(OVER, |request| {
        request.free();
        request.free();
        say(request, "answered");
    });
    assert_eq!(server.ask(get("/")).body, "answered");
}

#[test]
fn a_reply_without_a_body_has_content_length_zero() {
    let server = Server::with(OVER, |request| request.send_reply(200, "", None).unwrap());
    let answer = server.ask(get("/"));
    assert_eq!(
        (answer.reason.as_str(), answer.header("Content-Length")),
        ("", Some("0"))
    );
}

#[test]
fn the_output_buffer_may_be_given_as_the_body() {
    let server = Server::with(OVER, |request| {
        let body = request.get_output_buffer();
        body.add("once").unwrap();
        request.send_reply(200, "OK", Some(&body)).unwrap();
    });
    assert_eq!(server.ask(get("/")).body, "once");
}

#[test]
fn an_http_1_0_client_is_closed_unless_it_asks_to_be_kept() {
    let server = Server::with(OVER, |request| say(request, "hello"));
    let rest = server.ask_all("GET / HTTP/1.0\r\n\r\n");
    assert!(
        rest.starts_with("HTTP/1.0 200 OK\r\nContent-Type: "),
        "{rest}"
    );
    assert!(rest.ends_with("\r\n\r\nhello"), "{rest}");
    let kept = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let both = server.serve(move |address| {
        let mut client = Client::new(OVER, address);
        client.send(kept.repeat(2));
        [client.answer(), client.answer()]
    });
    for answer in both {
        assert_eq!(answer.version, "HTTP/1.0");
        assert_eq!(answer.header("Connection"), Some("keep-alive"));
        assert_eq!(answer.header("Date"), None);
        assert_eq!(answer.body, "hello");
    }
}

#[test]
fn an_http_1_0_client_that_asks_to_be_kept_is_told_alone_that_the_connection_closes() {
    let server = Server::with(OVER, |request| {
        if request.get_uri().unwrap().as_deref() == Some("/error") {
            return request.send_error(404, None).unwrap();
        }
        request.add_header("Connection", "close", OUTPUT).unwrap();
        say(request, "hello");
    });
    for line in ["GET /close", "GET /error", "BREW /"] {
        let rest = server.ask_all(format!("{line} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
        assert!(rest.contains("\r\nConnection: close\r\n"), "{rest}");
        assert!(!rest.contains("keep-alive"), "{rest}");
    }
}

#[test]
fn close_is_answered_with_close_whoever_says_it() {
    let server = Server::with(OVER, |request| {
        if request.get_uri().unwrap().as_deref() == Some("/close") {
            request.add_header("Connection", "close", OUTPUT).unwrap();
        }
        say(request, "hello");
    });
    for request in [
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: x, Close\r\n\r\n".to_owned(),
        get("/close"),
    ] {
        let rest = server.ask_all(request + &get("/after"));
        assert!(rest.contains("\r\nConnection: close\r\n"), "{rest}");
        assert_eq!(rest.matches("HTTP/1.1 200 OK").count(), 1, "{rest}");
    }
}

#[test]
fn to_a_head_no_body_goes_out_but_its_length() {
    let server = Server::with(OVER, |request| say(request, "hello"));
    let (head, next) = head_and_next(&server);
    assert_eq!(
        (head.status, head.header("Content-Length")),
        (200, Some("5"))
    );
    assert_eq!(next, "hello");
}

#[test]
fn to_a_head_a_length_of_one_s_own_stays() {
    let server = Server::with(OVER, |request| {
        if request.get_command().unwrap() == EventHttpRequest::CMD_HEAD {
            request
                .add_header("Content-Length", "1000", OUTPUT)
                .unwrap();
        }
        say(request, "hello");
    });
    let (head, next) = head_and_next(&server);
    assert_eq!(
        (head.header("Content-Length"), next.as_str()),
        (Some("1000"), "hello")
    );
}

#[test]
fn a_status_without_a_body_sends_no_body() {
    for status in [204, 205, 304] {
        let server = Server::with(OVER, move |request| {
            if request.get_uri().unwrap().as_deref() == Some("/next") {
                return say(request, "next");
            }
            let body = buffer("hello");
            request.send_reply(status, "None", Some(&body)).unwrap();
            assert_eq!(body.length(), 0);
        });
        let (answer, next) = server.serve(|address| {
            let mut client = Client::new(OVER, address);
            client.send(get("/") + &get("/next"));
            (client.answer(), client.answer().body)
        });
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.header("Content-Length"),
            (status == 205).then_some("0")
        );
        assert_eq!(next, "next");
    }
}

#[test]
fn an_error_page_closes_and_drops_what_was_added() {
    let server = Server::with(OVER, |request| {
        request.add_header("A", "b", OUTPUT).unwrap();
        request.get_output_buffer().add("dropped").unwrap();
        request
            .send_error(418, Some("I'm <a> teapot & \"more\""))
            .unwrap();
    });
    let rest = server.ask_all(get("/") + &get("/after"));
    assert!(
        rest.starts_with("HTTP/1.1 418 I'm <a> teapot & \"more\"\r\n"),
        "{rest}"
    );
    assert!(
        rest.contains("\r\nConnection: close\r\n") && !rest.contains("A: b"),
        "{rest}"
    );
    let page = "<HTML><HEAD>\n<TITLE>418 I&#039;m &lt;a&gt; teapot &amp; &quot;more&quot;</TITLE>\n\
                </HEAD><BODY>\n<H1>I&#039;m &lt;a&gt; teapot &amp; &quot;more&quot;</H1>\n\
                </BODY></HTML>\n";
    assert!(rest.ends_with(&format!("\r\n\r\n{page}")), "{rest}");
}

#[test]
fn an_error_without_a_reason_has_its_status_s_phrase_or_its_class_s() {
    for (status, phrase) in [
        (404, "Not Found"),
        (299, "Success"),
        (399, "Redirection"),
        (499, "Client Error"),
        (599, "Server Error"),
    ] {
        let server = Server::with(OVER, move |request| {
            request.send_error(status, None).unwrap()
        });
        assert_eq!(server.ask(get("/")).reason, phrase);
    }
}

#[test]
fn to_a_head_no_error_page_goes_out() {
    let server = Server::with(OVER, |request| request.send_error(404, None).unwrap());
    let rest = server.ask_all(HEAD);
    assert!(
        rest.starts_with("HTTP/1.1 404 Not Found\r\n") && rest.ends_with("\r\n\r\n"),
        "{rest}"
    );
}

#[test]
fn a_cancelled_request_gets_a_400() {
    let server = Server::with(OVER, |request| {
        request.cancel().unwrap();
        let text = error(request.cancel());
        assert_eq!(
            text,
            "EventHttpRequest::cancel: the request has its reply already"
        );
    });
    let answer = server.ask(get("/"));
    assert_eq!(
        (answer.status, answer.header("Connection")),
        (400, Some("close"))
    );
}

#[test]
fn an_unanswered_request_gets_a_500() {
    let server = Server::with(OVER, |_request| {});
    let answer = server.ask(get("/"));
    assert_eq!(
        (answer.status, answer.header("Connection")),
        (500, Some("close"))
    );
}

#[test]
fn a_status_outside_of_200_to_599_is_refused_and_another_reply_can_be_sent() {
    let errors = errors(|request| {
        let codes = [0, 99, 100, 101, 199, 600, 999, u16::MAX];
        let mut errors: Vec<_> = codes
            .iter()
            .flat_map(|code| {
                [
                    error(request.send_reply(*code, "OK", None)),
                    error(request.send_reply_start(*code, "OK")),
                    error(request.send_error(*code, None)),
                ]
            })
            .collect();
        request.send_reply(200, "OK", None).unwrap();
        errors.truncate(3);
        errors
    });
    let why = "0 is not the status of a reply; give one from 200 to 599";
    assert_eq!(
        errors,
        [
            format!("EventHttpRequest::sendReply: {why}"),
            format!("EventHttpRequest::sendReplyStart: {why}"),
            format!("EventHttpRequest::sendError: {why}"),
        ]
    );
}

#[test]
fn a_reason_that_would_end_its_line_is_refused_and_a_good_one_can_be_sent() {
    let server = Server::with(OVER, |request| {
        for reason in ["OK\r\nA: b", "OK\n", "OK\r", "O\0K", "\u{7f}"] {
            let wanted = format!("the reason {reason:?} holds the control byte ");
            for text in [
                error(request.send_reply(200, reason, None)),
                error(request.send_reply_start(200, reason)),
                error(request.send_error(500, Some(reason))),
            ] {
                assert!(text.contains(&wanted), "{text}");
            }
        }
        request.send_reply(200, "Gut: é", None).unwrap();
    });
    assert_eq!(server.ask(get("/")).reason, "Gut: é");
}

#[test]
fn a_length_that_is_not_the_body_s_is_refused_and_a_right_one_can_be_sent() {
    let server = Server::with(OVER, |request| {
        let body = buffer("hello");
        for (length, wanted) in [
            ("4", "the Content-Length that was added is not the body's"),
            ("6", "the Content-Length that was added is not the body's"),
            ("-5", "the Content-Length that was added is not a number"),
            ("+5", "the Content-Length that was added is not a number"),
            ("", "the Content-Length that was added is not a number"),
            ("5, 5", "the Content-Length that was added is not a number"),
            (
                "99999999999999999999",
                "the Content-Length that was added is not a number",
            ),
        ] {
            request
                .add_header("Content-Length", length, OUTPUT)
                .unwrap();
            let text = error(request.send_reply(200, "OK", Some(&body)));
            assert_eq!(text, format!("EventHttpRequest::sendReply: {wanted}"));
            assert_eq!(body.length(), 5, "a body that was refused is untouched");
            request.clear_headers().unwrap();
        }
        request.add_header("Content-Length", "5", OUTPUT).unwrap();
        request.add_header("content-length", "5", OUTPUT).unwrap();
        let text = error(request.send_reply(200, "OK", Some(&body)));
        assert_eq!(
            text,
            "EventHttpRequest::sendReply: Content-Length was added twice"
        );
        request.remove_header("Content-Length", OUTPUT).unwrap();
        request.send_reply(200, "OK", Some(&body)).unwrap();
    });
    let answer = server.ask(get("/"));
    assert_eq!(
        (answer.header("Content-Length"), answer.body.as_str()),
        (Some("5"), "hello")
    );
}

#[test]
fn a_length_with_a_status_that_has_no_body_is_refused() {
    let errors = errors(|request| {
        request.add_header("Content-Length", "5", OUTPUT).unwrap();
        let errors = vec![
            error(request.send_reply(204, "No", None)),
            error(request.send_reply_start(205, "No")),
        ];
        request.send_reply(304, "Same", None).unwrap(); // as a 200 would have it
        errors
    });
    let why = "Content-Length was added, but the status has no body";
    assert_eq!(errors[0], format!("EventHttpRequest::sendReply: {why}"));
    assert_eq!(
        errors[1],
        format!("EventHttpRequest::sendReplyStart: {why}")
    );
}

#[test]
fn a_coding_of_one_s_own_is_refused() {
    let errors = errors(|request| {
        request
            .add_header("transfer-encoding", "chunked", OUTPUT)
            .unwrap();
        let errors = vec![
            error(request.send_reply(200, "OK", None)),
            error(request.send_reply_start(200, "OK")),
        ];
        request.send_error(500, None).unwrap();
        errors
    });
    let why = "Transfer-Encoding was added: a reply is chunked by itself";
    assert_eq!(errors[0], format!("EventHttpRequest::sendReply: {why}"));
    assert_eq!(
        errors[1],
        format!("EventHttpRequest::sendReplyStart: {why}")
    );
}

#[test]
fn a_second_reply_is_an_error_of_any_kind() {
    let errors = errors(|request| {
        say(request, "first");
        vec![
            error(request.send_reply(200, "OK", None)),
            error(request.send_error(500, None)),
            error(request.send_reply_start(200, "OK")),
            error(request.send_reply_chunk(&buffer("a"))),
            error(request.send_reply_end()),
            error(request.cancel()),
        ]
    });
    let methods = [
        "sendReply",
        "sendError",
        "sendReplyStart",
        "sendReplyChunk",
        "sendReplyEnd",
        "cancel",
    ];
    for (text, method) in errors.iter().zip(methods) {
        assert_eq!(
            *text,
            format!("EventHttpRequest::{method}: the request has its reply already")
        );
    }
}

#[test]
fn a_chunk_or_an_end_without_a_start_is_an_error() {
    let errors = errors(|request| {
        let chunk = buffer("a");
        let errors = vec![
            error(request.send_reply_chunk(&chunk)),
            error(request.send_reply_end()),
        ];
        assert_eq!(chunk.length(), 1);
        say(request, "");
        errors
    });
    let why = "no reply has begun: call send_reply_start first";
    assert_eq!(
        errors[0],
        format!("EventHttpRequest::sendReplyChunk: {why}")
    );
    assert_eq!(errors[1], format!("EventHttpRequest::sendReplyEnd: {why}"));
}

#[test]
fn a_reply_in_the_middle_of_chunks_is_an_error() {
    let server = Server::with(OVER, |request| {
        request.send_reply_start(200, "OK").unwrap();
        request.send_reply_chunk(&buffer("a")).unwrap();
        let why = "a reply has begun: go on with send_reply_chunk, end with send_reply_end";
        for (text, method) in [
            (error(request.send_reply(200, "OK", None)), "sendReply"),
            (error(request.send_error(500, None)), "sendError"),
            (error(request.send_reply_start(200, "OK")), "sendReplyStart"),
            (error(request.cancel()), "cancel"),
        ] {
            assert_eq!(text, format!("EventHttpRequest::{method}: {why}"));
        }
        request.send_reply_end().unwrap();
    });
    assert_eq!(server.ask(get("/")).body, "a");
}

#[test]
fn chunks_go_out_as_such_and_empty_ones_do_not() {
    let server = Server::with(OVER, |request| {
        request.get_output_buffer().add("first ").unwrap();
        request.send_reply_start(200, "OK").unwrap();
        let piece = EventBuffer::new().unwrap();
        request.send_reply_chunk(&piece).unwrap();
        for part in ["one ", "two"] {
            piece.add(part).unwrap();
            request.send_reply_chunk(&piece).unwrap();
            assert_eq!(piece.length(), 0);
        }
        request.send_reply_end().unwrap();
    });
    let rest = server.ask_all("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(
        rest.contains("\r\nTransfer-Encoding: chunked\r\n"),
        "{rest}"
    );
    assert!(!rest.contains("Content-Length"), "{rest}");
    assert!(
        rest.ends_with("\r\n\r\n6\r\nfirst \r\n4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"),
        "{rest}"
    );
    let twice = server.serve(|address| {
        let mut client = Client::new(OVER, address);
        client.send(get("/") + &get("/"));
        [client.answer().body, client.answer().body]
    });
    assert_eq!(twice, ["first one two"; 2]);
}

#[test]
fn chunks_may_come_from_timers() {
    let (server, kept) = Server::keeping(OVER);
    let mut client = Client::new(OVER, server.address);
    client.send(get("/"));
    server.until(|| !kept.borrow().is_empty());
    let request = kept.borrow_mut().pop().unwrap();
    request.send_reply_start(200, "OK").unwrap();
    let mut left = 3;
    let tick = Event::timer(&server.base, move |event| {
        left -= 1;
        request
            .send_reply_chunk(&buffer(format!("{left}")))
            .unwrap();
        if left == 0 {
            return request.send_reply_end().unwrap();
        }
        event.add(Some(Duration::from_millis(1))).unwrap();
    });
    let tick = tick.unwrap();
    tick.add(Some(Duration::ZERO)).unwrap();
    assert_eq!(server.serve(move |_| client.answer()).body, "210");
}

/// Over TLS libevent tells of what has left later in the turn, when the rest may have been added.
#[test]
fn a_reply_that_ends_while_its_head_leaves_is_whole() {
    for turns in 0..4 {
        let server = Server::new(OVER);
        let base = server.base.clone();
        let start = move |request: &EventHttpRequest| {
            request.send_reply_start(200, "OK").unwrap();
            let request = request.clone();
            after_turns(&base, turns, move || {
                request.send_reply_chunk(&buffer("hello")).unwrap();
                request.send_reply_end().unwrap();
            });
        };
        server.http.set_default_callback(start).unwrap();
        let old = server.ask("GET / HTTP/1.0\r\n\r\n");
        assert_eq!(old.body, "hello", "HTTP/1.0, after {turns} turns");
        let kept = server.ask(get("/"));
        assert_eq!(kept.body, "hello", "kept, after {turns} turns");
        let closed = server.ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        assert_eq!(closed.body, "hello", "closed, after {turns} turns");
    }
}

/// Does something when the loop has turned that often.
fn after_turns(base: &EventBase, turns: u32, work: impl FnOnce() + 'static) {
    let (next, mut work) = (base.clone(), Some(work));
    let timer = Event::timer(base, move |_| {
        let work = work.take().expect("a timer fires once");
        match turns {
            0 => work(),
            _ => after_turns(&next, turns - 1, work),
        }
    });
    let timer = timer.unwrap();
    timer.add(Some(Duration::ZERO)).unwrap();
    timer.detach();
}

#[test]
fn to_http_1_0_a_chunked_reply_ends_with_the_connection() {
    let server = Server::with(OVER, |request| {
        request.send_reply_start(200, "OK").unwrap();
        request.send_reply_chunk(&buffer("abc")).unwrap();
        request.send_reply_end().unwrap();
    });
    for connection in ["", "Connection: keep-alive\r\n"] {
        let rest = server.ask_all(format!("GET / HTTP/1.0\r\n{connection}\r\n"));
        assert!(
            rest.starts_with("HTTP/1.0 200 OK\r\n") && rest.ends_with("\r\n\r\nabc"),
            "{rest}"
        );
        assert!(
            !rest.contains("Content-Length") && !rest.contains("keep-alive"),
            "{rest}"
        );
    }
}

#[test]
fn a_length_of_one_s_own_goes_out_raw_and_keeps_the_connection() {
    let server = Server::with(OVER, |request| {
        request.add_header("Content-Length", "6", OUTPUT).unwrap();
        request.send_reply_start(200, "OK").unwrap();
        for part in ["abc", "def"] {
            request.send_reply_chunk(&buffer(part)).unwrap();
        }
        let over = buffer("g");
        let text = error(request.send_reply_chunk(&over));
        assert_eq!(
            text,
            "EventHttpRequest::sendReplyChunk: the body is longer than the Content-Length that was added"
        );
        assert_eq!(over.length(), 1);
        request.send_reply_end().unwrap();
    });
    for kept in [
        get("/"),
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_owned(),
    ] {
        let both = server.serve(move |address| {
            let mut client = Client::new(OVER, address);
            client.send(kept.repeat(2));
            [client.answer().body, client.answer().body]
        });
        assert_eq!(both, ["abcdef"; 2]);
    }
}

#[test]
fn a_body_shorter_than_its_length_closes_the_connection() {
    let server = Server::with(OVER, |request| {
        request.add_header("Content-Length", "6", OUTPUT).unwrap();
        request.send_reply_start(200, "OK").unwrap();
        request.send_reply_chunk(&buffer("abc")).unwrap();
        let text = error(request.send_reply_end());
        assert_eq!(
            text,
            "EventHttpRequest::sendReplyEnd: the body is shorter than its Content-Length; the connection was closed"
        );
        let text = error(request.send_reply_end());
        assert_eq!(
            text,
            "EventHttpRequest::sendReplyEnd: the request was already freed"
        );
    });
    let rest = server.ask_all(get("/"));
    assert_eq!(rest, "");
}

#[test]
fn to_a_head_and_with_a_bodiless_status_chunks_are_dropped() {
    for status in [200, 204, 304] {
        let server = Server::with(OVER, move |request| {
            if request.get_uri().unwrap().as_deref() == Some("/next") {
                return say(request, "next");
            }
            request.send_reply_start(status, "OK").unwrap();
            let piece = buffer("abc");
            request.send_reply_chunk(&piece).unwrap();
            assert_eq!(piece.length(), 0);
            request.send_reply_end().unwrap();
        });
        let (head, next) = head_and_next(&server);
        assert_eq!((head.status, next.as_str()), (status, "next"));
        assert_eq!(head.header("Transfer-Encoding"), None);
    }
}

#[test]
fn a_streaming_request_that_is_dropped_closes_the_connection_before_its_end() {
    let (server, kept) = Server::keeping(OVER);
    let mut client = Client::new(OVER, server.address);
    client.send(get("/"));
    server.until(|| !kept.borrow().is_empty());
    let request = kept.borrow_mut().pop().unwrap();
    request.send_reply_start(200, "OK").unwrap();
    request.send_reply_chunk(&buffer("abc")).unwrap();
    let mut client = server.serve(move |_| {
        assert_eq!(client.head().status, 200);
        assert_eq!([client.line(), client.line()], ["3", "abc"]);
        client
    });
    drop(request);
    assert_eq!(server.serve(move |_| client.rest()), "");
}

#[test]
fn close_connection_ends_it_without_an_answer() {
    let server = Server::with(OVER, |request| {
        request.close_connection().unwrap();
        let freed = "the request was already freed";
        assert_eq!(
            error(request.close_connection()),
            format!("EventHttpRequest::closeConnection: {freed}")
        );
        let text = error(request.send_reply(200, "OK", None));
        assert_eq!(text, format!("EventHttpRequest::sendReply: {freed}"));
        assert_eq!(request.get_connection(), None);
    });
    assert_eq!(server.ask_all(get("/")), "");
}

#[test]
fn a_frozen_body_is_refused_and_another_can_be_sent() {
    let server = Server::with(OVER, |request| {
        let frozen = buffer("frozen");
        frozen.freeze(true).unwrap();
        let why = "the front of the buffer is frozen; call unfreeze(true) first";
        let text = error(request.send_reply(200, "OK", Some(&frozen)));
        assert_eq!(text, format!("EventHttpRequest::sendReply: {why}"));
        request.send_reply_start(200, "OK").unwrap();
        let text = error(request.send_reply_chunk(&frozen));
        assert_eq!(text, format!("EventHttpRequest::sendReplyChunk: {why}"));
        frozen.unfreeze(true).unwrap();
        request.send_reply_chunk(&frozen).unwrap();
        request.send_reply_end().unwrap();
    });
    assert_eq!(server.ask(get("/")).body, "frozen");
}

#[test]
fn shared_bytes_can_be_a_body() {
    let page: std::sync::Arc<[u8]> = "shared ".repeat(10_000).into_bytes().into();
    let same = page.clone();
    let server = Server::with(OVER, move |request| {
        let body = EventBuffer::new().unwrap();
        body.add_reference(same.clone()).unwrap();
        request.send_reply(200, "OK", Some(&body)).unwrap();
    });
    assert_eq!(server.ask(get("/")).body.len(), 70_000);
    assert_eq!(std::sync::Arc::strong_count(&page), 2);
}

/// Taking the body out of a filter's input makes room for more, which runs the filter's
/// closure: it answers the request itself.
#[test]
fn a_body_whose_taking_answers_the_request_is_an_error() {
    let server = Server::new(OVER);
    let plain = BufferEventOptions::empty();
    let (one, other) = EventBufferEvent::create_pair(&server.base, plain).unwrap();
    let waiting = Rc::new(RefCell::new(None::<EventHttpRequest>));
    let slot = waiting.clone();
    let four = Filters::new().on_input(move |source, destination, limit, _mode| {
        if let Some(request) = slot.take() {
            say(&request, "from within");
        }
        match destination
            .append_from(source, limit.unwrap_or(usize::MAX))
            .unwrap()
        {
            0 => FilterResult::NeedMore,
            _ => FilterResult::Ok,
        }
    });
    let filter = EventBufferEvent::create_filter(&other, four, plain).unwrap();
    filter.set_watermark(Event::READ, 0, 4).unwrap();
    filter.enable(Event::READ).unwrap();
    one.write("12345678").unwrap();
    server.until(|| filter.input().length() == 4);
    let (found, body) = (Rc::new(RefCell::new(String::new())), filter.input());
    let (result, slot) = (found.clone(), waiting.clone());
    let answer = move |request: &EventHttpRequest| {
        slot.replace(Some(request.clone()));
        result.replace(error(request.send_reply(200, "OK", Some(&body))));
    };
    server.http.set_default_callback(answer).unwrap();
    assert_eq!(server.ask(get("/")).body, "from within");
    let wanted = "EventHttpRequest::sendReply: the request has its reply already";
    assert_eq!(
        (found.borrow().as_str(), waiting.borrow().is_none()),
        (wanted, true)
    );
}

#[test]
fn megabytes_arrive_whole() {
    let server = Server::with(OVER, |request| {
        let body: Vec<u8> = (0..5_000_000_u32).map(|n| b'a' + (n % 26) as u8).collect();
        if request.get_uri().unwrap().as_deref() == Some("/chunks") {
            request.send_reply_start(200, "OK").unwrap();
            for part in body.chunks(777_777) {
                request.send_reply_chunk(&buffer(part)).unwrap();
            }
            return request.send_reply_end().unwrap();
        }
        say(request, body);
    });
    let bodies = server.serve(|address| {
        let mut client = Client::new(OVER, address);
        client.send(get("/") + &get("/chunks"));
        [client.answer().body, client.answer().body]
    });
    assert_eq!(bodies[0].len(), 5_000_000);
    assert!(
        bodies[0] == bodies[1]
            && bodies[0].ends_with("uvwxyzabcdefghijklmnopqrst"[..26].get(..0).unwrap())
    );
}

/// evhttp frees the connection at the end that it reads, and the rest of the answer with it.
#[test]
fn a_client_that_has_shut_down_its_writing_side_gets_a_long_answer_whole() {
    let server = Server::with(OVER, |request| say(request, "a".repeat(8_000_000)));
    let body = server.serve(|address| {
        let mut client = Client::new(OVER, address);
        client.send(get("/"));
        client.end();
        client.answer().body.len()
    });
    assert_eq!(body, 8_000_000);
}
