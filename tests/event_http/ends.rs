//! Who goes first: the client, the server, the request or the base.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::OVER;
use crate::{Client, Kept, Server, buffer, error, get, say, serve, until};
use php_event::{Event, EventBase, EventHttpConnection, EventHttpRequest, LoopEnd};
use test_support::{Bomb, Drops, limited, panic_of};

const INPUT: php_event::HeaderSide = EventHttpRequest::INPUT_HEADER;

/// Every method of a request that returns a `Result`, called on it.
pub(crate) fn calls(request: &EventHttpRequest) -> Vec<(&'static str, Result<(), String>)> {
    let text = |error: php_event::EventException| error.to_string();
    vec![
        ("getCommand", request.get_command().map(drop).map_err(text)),
        ("getUri", request.get_uri().map(drop).map_err(text)),
        ("getHost", request.get_host().map(drop).map_err(text)),
        (
            "getResponseCode",
            request.get_response_code().map(drop).map_err(text),
        ),
        (
            "getInputHeaders",
            request.get_input_headers().map(drop).map_err(text),
        ),
        (
            "getOutputHeaders",
            request.get_output_headers().map(drop).map_err(text),
        ),
        (
            "findHeader",
            request.find_header("a", INPUT).map(drop).map_err(text),
        ),
        (
            "addHeader",
            request.add_header("a", "b", INPUT).map_err(text),
        ),
        (
            "removeHeader",
            request.remove_header("a", INPUT).map(drop).map_err(text),
        ),
        ("clearHeaders", request.clear_headers().map_err(text)),
        (
            "sendReply",
            request.send_reply(200, "OK", None).map_err(text),
        ),
        ("sendError", request.send_error(500, None).map_err(text)),
        (
            "sendReplyStart",
            request.send_reply_start(200, "OK").map_err(text),
        ),
        (
            "sendReplyChunk",
            request.send_reply_chunk(&buffer("a")).map_err(text),
        ),
        ("sendReplyEnd", request.send_reply_end().map_err(text)),
        ("closeConnection", request.close_connection().map_err(text)),
        ("cancel", request.cancel().map_err(text)),
    ]
}

/// Checks that libevent has freed the request, and that every method says so.
#[track_caller]
pub(crate) fn assert_freed(request: &EventHttpRequest) {
    for (method, result) in calls(request) {
        let wanted = format!("EventHttpRequest::{method}: the request was already freed");
        assert_eq!(result, Err(wanted));
    }
    assert_eq!(request.get_connection(), None);
    for buffer in [request.get_input_buffer(), request.get_output_buffer()] {
        assert_eq!(buffer.length(), 0);
        assert_eq!(
            error(buffer.add("a")),
            "EventBuffer::add: the request was already freed"
        );
    }
}

/// A server that has kept one request, whose client still waits.
fn kept_one() -> (Server, EventHttpRequest, Client) {
    let (server, kept) = Server::keeping(OVER);
    let mut client = Client::new(OVER, server.address);
    client.send(get("/"));
    server.until(|| !kept.borrow().is_empty());
    let request = kept.borrow_mut().pop().unwrap();
    (server, request, client)
}

/// Whether the connection of a request has ended, as its close callback says.
fn told(request: &EventHttpRequest) -> Rc<Cell<bool>> {
    let told = Rc::new(Cell::new(false));
    let tell = told.clone();
    let connection = request.get_connection().unwrap();
    connection
        .set_close_callback(move |_| tell.set(true))
        .unwrap();
    told
}

#[test]
fn a_request_kept_after_its_reply_is_freed_when_that_is_written() {
    let (server, request, client) = kept_one();
    let [input, output] = [request.get_input_buffer(), request.get_output_buffer()];
    say(&request, "late");
    assert_eq!(
        request.get_uri().unwrap().as_deref(),
        Some("/"),
        "not written yet"
    );
    let mut client = client;
    let mut client = server.serve(move |_| {
        assert_eq!(client.answer().body, "late");
        client
    });
    assert_freed(&request);
    assert_eq!((input.length(), output.length()), (0, 0));
    // And the connection goes on without it.
    server
        .http
        .set_callback("/next", |request| say(request, "next"))
        .unwrap();
    client.send(get("/next"));
    assert_eq!(server.serve(move |_| client.answer()).body, "next");
    assert_freed(&request);
}

#[test]
fn a_request_whose_client_left_reports_it_once_and_is_freed() {
    let (server, request, client) = kept_one();
    let gone = told(&request);
    drop(client);
    server.until(|| gone.get());
    assert_eq!(
        request.get_uri().unwrap().as_deref(),
        Some("/"),
        "it is the caller's now"
    );
    assert_eq!(request.get_connection(), None);
    request.close_connection().unwrap();
    let text = error(request.send_reply(200, "OK", None));
    assert_eq!(text, "EventHttpRequest::sendReply: the client has gone");
    assert_freed(&request);
}

#[test]
fn a_request_whose_client_went_can_be_dropped() {
    let (server, request, client) = kept_one();
    let gone = told(&request);
    drop(client);
    server.until(|| gone.get());
    let body = request.get_input_buffer();
    drop(request);
    body.add("kept by its buffer").unwrap();
    assert_eq!(body.length(), 18);
    drop(server);
    assert_eq!(body.length(), 18);
}

#[test]
fn a_chunked_reply_whose_client_went_is_an_error_at_its_next_piece() {
    let (server, request, client) = kept_one();
    request.send_reply_start(200, "OK").unwrap();
    request.send_reply_chunk(&buffer("abc")).unwrap();
    let gone = told(&request);
    drop(client);
    server.until(|| gone.get());
    let text = error(request.send_reply_chunk(&buffer("def")));
    assert_eq!(
        text,
        "EventHttpRequest::sendReplyChunk: the client has gone"
    );
    assert_freed(&request);
}

#[test]
fn an_end_after_the_client_went_gives_the_request_back() {
    let (server, request, client) = kept_one();
    request.send_reply_start(200, "OK").unwrap();
    let gone = told(&request);
    drop(client);
    server.until(|| gone.get());
    let text = error(request.send_reply_end());
    assert_eq!(text, "EventHttpRequest::sendReplyEnd: the client has gone");
    assert_freed(&request);
}

#[test]
fn a_close_callback_is_called_when_the_client_goes_before_it_sent_all() {
    // The connection is known from its first request; the second is the one that is cut off.
    for cut_off in [
        "",
        "GET / HT",
        "GET / HTTP/1.1\r\nHost: x\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ] {
        let (server, request, mut client) = kept_one();
        let gone = told(&request);
        say(&request, "");
        client.send(cut_off);
        let client = server.serve(move |_| {
            client.answer();
            client
        });
        assert!(!gone.get());
        drop(client);
        server.until(|| gone.get());
    }
}

#[test]
fn a_close_callback_is_called_while_the_request_waits_whenever_it_was_set() {
    // In the closure itself.
    let gone = Rc::new(Cell::new(false));
    let (tell, kept) = (gone.clone(), Kept::default());
    let list = kept.clone();
    let server = Server::with(OVER, move |request| {
        let tell = tell.clone();
        let connection = request.get_connection().unwrap();
        connection
            .set_close_callback(move |_| tell.set(true))
            .unwrap();
        list.borrow_mut().push(request.clone());
    });
    let mut client = Client::new(OVER, server.address);
    client.send(get("/"));
    server.until(|| !kept.borrow().is_empty());
    assert!(!gone.get());
    drop(client);
    server.until(|| gone.get());
    // At an earlier request of the connection.
    let (server, request, mut client) = kept_one();
    let gone = told(&request);
    let kept = Kept::default();
    let list = kept.clone();
    let keep = move |request: &EventHttpRequest| list.borrow_mut().push(request.clone());
    server.http.set_callback("/second", keep).unwrap();
    say(&request, "");
    client.send(get("/second"));
    server.until(|| !kept.borrow().is_empty());
    drop(client);
    server.until(|| gone.get());
    let text = error(kept.borrow()[0].send_reply(200, "OK", None));
    assert_eq!(text, "EventHttpRequest::sendReply: the client has gone");
}

#[test]
fn a_close_callback_is_called_while_the_answer_is_written() {
    for length in [1_000_000, 50_000_000] {
        let (server, request, client) = kept_one();
        let gone = told(&request);
        say(&request, "a".repeat(length));
        drop(client);
        server.until(|| gone.get());
        assert_freed(&request);
    }
}

#[test]
fn a_close_callback_is_called_in_the_middle_of_chunks() {
    let (server, request, client) = kept_one();
    let gone = told(&request);
    request.send_reply_start(200, "OK").unwrap();
    request.send_reply_chunk(&buffer("abc")).unwrap();
    drop(client);
    server.until(|| gone.get());
}

#[test]
fn a_close_callback_is_called_when_the_server_closes() {
    let (server, request, mut client) = kept_one();
    let gone = told(&request);
    request.close_connection().unwrap();
    assert!(!gone.get(), "in the next turn");
    server.until(|| gone.get());
    assert!(client.is_closed());
    let (server, request, mut client) = kept_one();
    let gone = told(&request);
    request.send_error(500, None).unwrap();
    server.until(|| gone.get());
    assert_eq!(client.answer().status, 500);
}

#[test]
fn a_close_callback_is_called_when_a_silent_client_is_closed() {
    let (server, request, mut client) = kept_one();
    let gone = told(&request);
    let connection = request.get_connection().unwrap();
    say(&request, "");
    let mut client = server.serve(move |_| {
        client.answer();
        client
    });
    connection
        .set_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    server.until(|| gone.get());
    assert!(client.is_closed());
}

#[test]
fn a_client_that_does_not_read_its_reply_is_closed_when_the_time_is_over() {
    const LARGE: usize = 30 << 20; // more than is on its way at most
    let (server, request, mut client) = kept_one();
    let gone = told(&request);
    let connection = request.get_connection().unwrap();
    connection
        .set_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    say(&request, "x".repeat(LARGE));
    server.until(|| gone.get());
    assert!(request.get_connection().is_none());
    let rest = server.serve(move |_| client.rest());
    assert!(rest.starts_with("HTTP/1.1 200 OK\r\n") && rest.len() < LARGE);
}

#[test]
fn a_client_without_an_open_request_is_not_reported_gone() {
    let (server, request, mut client) = kept_one();
    let gone = told(&request);
    client.send(get("/ahead").repeat(2_500)); // more than is read ahead
    server.base.exit(Some(Duration::from_millis(100))).unwrap();
    server.base.dispatch().unwrap();
    assert!(!gone.get());
    server
        .http
        .set_default_callback(|request| say(request, "next"))
        .unwrap();
    say(&request, "first");
    let (first, others) = server.serve(move |_| {
        let first = client.answer().body;
        (
            first,
            (0..2_500)
                .filter(|_| client.answer().body == "next")
                .count(),
        )
    });
    assert_eq!((first.as_str(), others), ("first", 2_500));
    assert!(!gone.get() || request.get_connection().is_none());
}

/// Sends requests that nobody reads the answers of, and tells whether the server stopped
/// reading before it had 60 MB.
fn flood(server: &Server, mut client: Client) -> bool {
    server.serve(move |_| {
        use std::io::Write;
        let patience = Some(Duration::from_millis(500));
        client.0.set_write_timeout(patience).unwrap();
        let ahead = get("/ahead").repeat(3_000);
        let refused = (0..600).any(|_| client.0.write_all(ahead.as_bytes()).is_err());
        drop(client);
        refused
    })
}

#[test]
fn a_flood_after_a_request_is_not_read_into_memory() {
    for streams in [false, true] {
        let (server, request, client) = kept_one();
        if streams {
            request.send_reply_start(200, "OK").unwrap();
        } else {
            told(&request);
        }
        let view = request.get_buffer_event().unwrap();
        let most = Rc::new(Cell::new(0));
        let seen = most.clone();
        let look = php_event::Event::timer(&server.base, move |event| {
            seen.set(seen.get().max(view.input().length()));
            event.add(Some(Duration::from_millis(1))).unwrap();
        });
        let look = look.unwrap();
        look.add(Some(Duration::ZERO)).unwrap();
        assert!(flood(&server, client));
        assert!(most.get() <= 100_000, "{}", most.get());
    }
}

#[test]
fn a_flood_of_requests_with_unread_answers_is_not_read_into_memory() {
    let server = Server::with(OVER, |request| say(request, "a".repeat(10_000)));
    let client = Client::new(OVER, server.address);
    assert!(flood(&server, client));
}

/// The bound of what is read ahead ends with the answer.
#[test]
fn a_long_body_is_read_after_a_streamed_answer_with_a_close_callback() {
    let server = Server::with(OVER, |request| {
        let connection = request.get_connection().unwrap();
        connection.set_close_callback(|_| {}).unwrap();
        let length = request.get_input_buffer().length();
        request.send_reply_start(200, "OK").unwrap();
        request
            .send_reply_chunk(&buffer(length.to_string()))
            .unwrap();
        request.send_reply_end().unwrap();
    });
    let body = "b".repeat(500_000);
    let post = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n{body}");
    let both = server.serve(move |address| {
        let mut client = Client::new(OVER, address);
        [(); 2].map(|()| {
            client.send(&post);
            client.answer().body
        })
    });
    assert_eq!(both, ["500000"; 2]);
}

#[test]
fn a_close_callback_gets_its_connection_which_has_ended() {
    let (server, request, client) = kept_one();
    let connection = request.get_connection().unwrap();
    let seen = Rc::new(RefCell::new(None));
    let result = seen.clone();
    let own = Rc::new(RefCell::new(None));
    let same = own.clone();
    let look = move |connection: &EventHttpConnection| {
        assert!(same.borrow().as_ref() == Some(connection));
        result.replace(Some([
            error(connection.get_peer()),
            error(connection.set_timeout(None)),
            error(connection.set_close_callback(|_| {})),
        ]));
    };
    connection.set_close_callback(look).unwrap();
    own.replace(Some(connection));
    drop(client);
    server.until(|| seen.borrow().is_some());
    assert_eq!(
        seen.take().unwrap(),
        [
            "EventHttpConnection::getPeer: the connection was already freed",
            "EventHttpConnection::setTimeout: the connection was already freed",
            "EventHttpConnection::setCloseCallback: the connection was already freed",
        ]
    );
}

#[test]
fn a_close_callback_that_was_replaced_is_dropped_and_the_other_is_called_once() {
    let (server, request, client) = kept_one();
    let connection = request.get_connection().unwrap();
    let (old, new, calls) = (Drops::default(), Drops::default(), Rc::new(Cell::new(0)));
    let token = old.token();
    connection
        .set_close_callback(move |_| token.hold())
        .unwrap();
    let (token, count) = (new.token(), calls.clone());
    let tell = move |_: &EventHttpConnection| {
        token.hold();
        count.set(count.get() + 1);
    };
    connection.set_close_callback(tell).unwrap();
    assert_eq!((old.count(), new.count()), (1, 0));
    drop(client);
    server.until(|| new.count() == 1);
    assert_eq!(calls.get(), 1);
}

#[test]
fn a_panic_in_a_close_callback_comes_out_of_the_loop_and_the_others_are_called() {
    let (server, kept) = Server::keeping(OVER);
    let mut clients: Vec<_> = (0..3).map(|_| Client::new(OVER, server.address)).collect();
    for client in &mut clients {
        client.send(get("/"));
    }
    server.until(|| kept.borrow().len() == 3);
    let calls = Rc::new(Cell::new(0));
    for request in kept.borrow().iter() {
        let (count, bomb) = (calls.clone(), Bomb("in a captured value"));
        let tell = move |_: &EventHttpConnection| {
            bomb.hold();
            count.set(count.get() + 1);
            if count.get() == 1 {
                panic!("in a close callback");
            }
        };
        request
            .get_connection()
            .unwrap()
            .set_close_callback(tell)
            .unwrap();
    }
    drop(clients);
    assert_eq!(panic_of(|| server.until(|| false)), "in a close callback");
    for _ in 0..2 {
        assert_eq!(panic_of(|| server.until(|| false)), "in a captured value");
    }
    assert_eq!(calls.get(), 3);
}

#[test]
fn a_close_callback_may_drop_the_server_and_the_requests() {
    let (server, request, client) = kept_one();
    let Server { base, http, .. } = server;
    let everything = Rc::new(RefCell::new(Some((http, request.clone()))));
    let gone = Rc::new(Cell::new(false));
    let (tell, all) = (gone.clone(), everything.clone());
    let connection = request.get_connection().unwrap();
    drop(request);
    let drop_all = move |_: &EventHttpConnection| {
        drop(all.take());
        tell.set(true);
    };
    connection.set_close_callback(drop_all).unwrap();
    drop(client);
    until(&base, || gone.get());
    assert!(everything.borrow().is_none());
    assert_eq!(limited(|| base.dispatch()).unwrap(), LoopEnd::NoEvents);
}

#[test]
fn a_server_dropped_in_its_own_closure_still_answers() {
    let slot = Rc::new(RefCell::new(None));
    let drops = Drops::default();
    let (own, token, seen) = (slot.clone(), drops.token(), drops.clone());
    let server = Server::with(OVER, move |request| {
        token.hold();
        drop(own.take());
        assert_eq!(seen.count(), 0, "dropped under the running closure");
        say(request, "the last");
    });
    let Server {
        base,
        http,
        address,
        ..
    } = server;
    slot.replace(Some(http));
    let (body, closed) = serve(&base, move || {
        let mut client = Client::new(OVER, address);
        client.send(get("/"));
        (client.answer().body, client.is_closed())
    });
    assert_eq!(
        (body.as_str(), closed, drops.count()),
        ("the last", true, 1)
    );
    assert_eq!(limited(|| base.dispatch()).unwrap(), LoopEnd::NoEvents);
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn a_request_kept_after_its_server_was_dropped_can_be_answered() {
    let (server, request, client) = kept_one();
    let Server {
        base,
        http,
        address,
        ..
    } = server;
    let mut idle = Client::new(OVER, address);
    poll(&base);
    drop(http);
    assert!(
        idle.is_closed(),
        "idle connections are closed with the server"
    );
    assert_eq!(request.get_uri().unwrap().as_deref(), Some("/"));
    let answered = Instant::now();
    say(&request, "late");
    drop(request);
    let mut client = client;
    let (body, closed) = serve(&base, move || (client.answer().body, client.is_closed()));
    assert_eq!((body.as_str(), closed), ("late", true));
    assert_eq!(limited(|| base.dispatch()).unwrap(), LoopEnd::NoEvents);
    let time = answered.elapsed();
    assert!(
        time < Duration::from_secs(4),
        "{time:?}: the server waited for nothing"
    );
}

#[test]
fn a_request_dropped_after_its_server_gets_its_500() {
    let (server, request, mut client) = kept_one();
    let Server { base, http, .. } = server;
    drop(http);
    drop(request);
    assert_eq!(serve(&base, move || client.answer()).status, 500);
}

#[test]
fn an_answer_that_is_on_its_way_when_the_server_is_dropped_arrives() {
    let (server, request, mut client) = kept_one();
    let Server { base, http, .. } = server;
    say(&request, "a".repeat(3_000_000));
    drop(request);
    drop(http);
    assert_eq!(serve(&base, move || client.answer().body.len()), 3_000_000);
    assert_eq!(limited(|| base.dispatch()).unwrap(), LoopEnd::NoEvents);
}

#[test]
fn a_request_that_was_sent_ahead_to_a_dropped_server_gets_no_closure() {
    let (server, request, mut client) = kept_one();
    let Server { base, http, .. } = server;
    client.send(get("/second"));
    drop(http);
    say(&request, "first");
    drop(request);
    let rest = serve(&base, move || client.rest());
    assert!(rest.starts_with("HTTP/1.1 200 OK\r\n"), "{rest}");
    assert!(!rest.contains("/second"), "{rest}");
}

#[test]
fn a_server_dropped_with_all_else_before_the_loop_runs_again_frees_everything() {
    let (server, request, client) = kept_one();
    let gone = Drops::default();
    let token = gone.token();
    let connection = request.get_connection().unwrap();
    connection
        .set_close_callback(move |_| token.hold())
        .unwrap();
    say(&request, "a".repeat(1_000_000));
    drop(request);
    drop(server);
    assert_eq!(gone.count(), 1);
    drop((connection, client));
}

#[test]
fn connections_that_were_accepted_but_not_looked_at_yet_end_with_their_server() {
    let server = Server::new(OVER);
    let clients: Vec<_> = (0..3).map(|_| Client::new(OVER, server.address)).collect();
    // Stops right after the accepting.
    server.base.exit(None).unwrap();
    server.base.dispatch().unwrap();
    let Server { base, http, .. } = server;
    drop(http);
    for mut client in clients {
        assert!(client.is_closed());
    }
    assert_eq!(limited(|| base.dispatch()).unwrap(), LoopEnd::NoEvents);
}

#[test]
fn handles_outlive_every_handle_of_their_base() {
    let (server, request, mut client) = kept_one();
    let Server { base, http, .. } = server;
    let connection = request.get_connection().unwrap();
    drop(base);
    assert!(connection.get_peer().is_ok());
    http.set_callback("/a", |_| {}).unwrap();
    say(&request, "never written");
    drop((http, request));
    assert!(client.is_closed());
    assert!(connection.get_peer().is_err());
}

#[test]
fn after_the_base_was_freed_everything_answers_so() {
    let (server, request, _client) = kept_one();
    let connection = request.get_connection().unwrap();
    server.base.free().unwrap();
    for (method, result) in calls(&request) {
        let wanted = format!("EventHttpRequest::{method}: the base was already freed");
        assert_eq!(result, Err(wanted));
    }
    assert_eq!(
        error(connection.get_peer()),
        "EventHttpConnection::getPeer: the base was already freed"
    );
    assert_eq!(request.get_connection(), None);
}

#[test]
fn a_connection_closed_in_its_closure_does_not_end_the_others() {
    let server = Server::with(OVER, |request| {
        if request.get_uri().unwrap().as_deref() == Some("/close") {
            return request.close_connection().unwrap();
        }
        say(request, "served");
    });
    let both = server.serve(|address| {
        let (mut one, mut other) = (Client::new(OVER, address), Client::new(OVER, address));
        one.send(get("/close") + &get("/ahead"));
        other.send(get("/"));
        (one.is_closed(), other.answer().body)
    });
    assert_eq!(both, (true, "served".to_owned()));
}

fn poll(base: &EventBase) {
    test_support::poll(base);
}

/// A server that answers each request when `delay` has passed, or at once. It watches for the end
/// of a client that waits.
fn answering_after(delay: Option<Duration>, watches: bool) -> (Server, Option<Event>) {
    let kept = Kept::default();
    let list = Rc::clone(&kept);
    let server = Server::with(OVER, move |request| {
        if watches {
            let connection = request.get_connection().unwrap();
            connection.set_close_callback(|_| {}).unwrap();
        }
        match delay {
            Some(_) => list.borrow_mut().push(request.clone()),
            None => say(request, "answered"),
        }
    });
    let timer = delay.map(|delay| {
        let answer = move |timer: &Event| {
            for request in kept.take() {
                say(&request, "answered");
            }
            timer.add(Some(Duration::from_millis(1))).unwrap();
        };
        let timer = Event::timer(&server.base, answer).unwrap();
        timer.add(Some(delay)).unwrap();
        timer
    });
    (server, timer)
}

#[test]
fn more_requests_than_are_read_ahead_are_all_answered() {
    let (server, _timer) = answering_after(Some(Duration::from_millis(300)), true);
    let answered = server.serve(|address| {
        let mut client = Client::new(OVER, address);
        client.send(get(&format!("/{}", "p".repeat(2000))).repeat(40));
        (0..40).filter(|_| client.answer().status == 200).count()
    });
    assert_eq!(answered, 40);
}

#[test]
fn a_long_body_after_a_waiting_request_is_read_after_its_answer() {
    let (server, _timer) = answering_after(Some(Duration::from_millis(300)), true);
    let statuses = server.serve(|address| {
        let mut client = Client::new(OVER, address);
        // Over TLS what the bound keeps back is a part of one record, which OpenSSL has read.
        let body = "b".repeat(70_000);
        client.send(get("/first"));
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n{body}"
        ));
        [(); 2].map(|()| client.answer().status)
    });
    assert_eq!(statuses, [200, 200]);
}

#[test]
fn a_client_that_has_ended_its_writing_side_gets_all_its_answers() {
    for delay in [None, Some(Duration::from_millis(100))] {
        for requests in [1, 3] {
            let (server, _timer) = answering_after(delay, false);
            let answers = server.serve(move |address| {
                let mut client = Client::new(OVER, address);
                client.send(get("/").repeat(requests));
                client.end();
                client.rest()
            });
            let count = answers.matches("\r\n\r\nanswered").count();
            assert_eq!(count, requests, "{delay:?}: {answers}");
        }
    }
}

#[test]
fn a_client_that_has_ended_its_writing_side_gets_the_server_s_own_page() {
    let server = Server::new(OVER);
    let answer = server.serve(|address| {
        let mut client = Client::new(OVER, address);
        client.send(get("/"));
        client.end();
        client.rest()
    });
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    assert!(answer.ends_with("</HTML>\n"), "{answer}");
}

/// Every way in which the server answers a request by itself.
#[test]
fn a_client_that_has_ended_its_writing_side_gets_the_page_of_every_refusal() {
    let post = "POST / HTTP/1.1\r\nHost: x\r\n";
    let chunked = format!("{post}Transfer-Encoding: chunked\r\n\r\n");
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost : x\r\n\r\n".to_owned(), 400),
        ("refused\r\n\r\n".to_owned(), 400),
        (get("/%00"), 400),
        (format!("{post}Transfer-Encoding: gzip\r\n\r\n"), 400),
        (format!("{post}Content-Length: 99999999999\r\n\r\n"), 413),
        (
            format!("{post}Expect: tea\r\nContent-Length: 1\r\n\r\n"),
            417,
        ),
        (format!("{chunked}-1\r\n"), 400),
        (format!("{chunked}ffffffffffffffff\r\n"), 413),
        (get("/").replace("GET", "PATCH"), 501),
        (get("/").replace("GET", "T"), 501),
        (get("/"), 404),
    ] {
        let (server, sent) = (Server::new(OVER), request.clone());
        server.http.set_max_body_size(Some(1000)).unwrap();
        let answer = server.serve(move |address| {
            let mut client = Client::new(OVER, address);
            client.send(sent);
            client.end();
            client.rest()
        });
        let line = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&line), "{request:?}: {answer:?}");
        assert!(answer.ends_with("</HTML>\n"), "{request:?}: {answer:?}");
        let answers = answer.lines().filter(|line| line.starts_with("HTTP/1."));
        assert_eq!(answers.count(), 1, "{answer:?}");
    }
}

#[test]
fn a_view_that_was_freed_before_its_connection_stays_freed() {
    let (view, ended) = (Rc::new(RefCell::new(None)), Rc::new(Cell::new(false)));
    let (own, end) = (view.clone(), ended.clone());
    let server = Server::with(OVER, move |request| {
        let (bev, end) = (request.get_buffer_event().unwrap(), end.clone());
        bev.free();
        own.replace(Some(bev));
        let connection = request.get_connection().unwrap();
        connection
            .set_close_callback(move |_| end.set(true))
            .unwrap();
        say(request, "served");
    });
    assert_eq!(server.ask("GET / HTTP/1.0\r\n\r\n").body, "served");
    server.until(|| ended.get());
    assert!(view.take().unwrap().input().read(1).is_err());
}
