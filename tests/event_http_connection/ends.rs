//! Requests and connections that end while something is under way.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::rc::Rc;

use php_event::{Error, EventBase, EventHttpConnection, EventHttpRequest, HttpError, LoopEnd};

use super::over::{answering, connect, serve};
use crate::server::{Peer, Server, cue, refusing};
use crate::{GET, Log, limited, noting, request, until_stopped};
use test_support::{Bomb, Drops, panic_of, run, run_once};

/// A server that reads a request, says so, and answers when it is told to, if ever.
fn waiting() -> (
    Server,
    std::sync::mpsc::Receiver<()>,
    std::sync::mpsc::Sender<()>,
) {
    let ((asked, got), (go, wait)) = (cue(), cue());
    let server = serve(move |listener| {
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        asked.send(()).ok();
        if wait.recv().is_ok() {
            peer.reply("late");
        }
        peer.await_close();
    });
    (server, got, go)
}

fn until_asked(base: &EventBase, asked: &std::sync::mpsc::Receiver<()>) {
    while asked.try_recv().is_err() {
        base.exit(Some(std::time::Duration::from_millis(5)))
            .unwrap();
        limited(|| base.dispatch()).unwrap();
    }
}

/// §3: without a variable it completes all the same; §12: and it is freed then.
#[test]
fn dropped_request_completes_and_is_freed() {
    let base = EventBase::new().unwrap();
    let server = answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let connection = connect(&base, server.port());
    let (drops, log) = (Drops::default(), Log::default());
    let (token, note) = (drops.token(), log.clone());
    let request = EventHttpRequest::new(move |answer| {
        token.hold();
        note.note(answer.unwrap().get_response_code().unwrap().to_string());
    });
    connection
        .make_request(&request.unwrap(), GET, "/")
        .unwrap();
    assert_eq!(drops.count(), 0);
    run(&base);
    assert_eq!((log.take(), drops.count()), (vec!["200".to_owned()], 1));
}

/// §21: PHP uses the freed request.
#[test]
fn freed_under_way_it_is_not_reported_and_the_next_is_made() {
    let base = EventBase::new().unwrap();
    let server = serve(|listener| {
        assert_eq!(Peer::accept(&listener).read_request(), ""); // the first was on its way
        let mut peer = Peer::accept(&listener);
        assert!(peer.read_request().starts_with("GET /3 "));
        peer.reply("c");
        peer.end();
    });
    let connection = connect(&base, server.port());
    let drops = Drops::default();
    let make = |uri| {
        let token = drops.token();
        let request = EventHttpRequest::new(move |_| {
            token.hold();
            panic!("called");
        });
        let request = request.unwrap();
        connection.make_request(&request, GET, uri).unwrap();
        request
    };
    let (connecting, queued) = (make("/1"), make("/2"));
    let (last, told) = request(&base);
    connection.make_request(&last, GET, "/3").unwrap();
    queued.free();
    queued.free();
    assert_eq!(drops.count(), 1);
    connecting.free();
    assert_eq!(drops.count(), 2);
    assert!(matches!(
        connecting.get_response_code(),
        Err(Error::Freed { .. })
    ));
    drop((connecting, queued));
    until_stopped(&base);
    assert_eq!(told.take().len(), 1);
    drop(connection);
    server.done();
}

#[test]
fn cancelled_in_every_state_it_is_not_reported() {
    let base = EventBase::new().unwrap();
    let (server, asked, go) = waiting();
    let connection = connect(&base, server.port());
    let silent = || EventHttpRequest::new(|_| panic!("called")).unwrap();
    let (sent, queued) = (silent(), silent());
    connection.make_request(&sent, GET, "/").unwrap();
    connection.make_request(&queued, GET, "/").unwrap();
    queued.cancel().unwrap();
    assert_eq!(queued.error(), Some(HttpError::Cancelled));
    assert!(queued.get_connection().is_none());
    until_asked(&base, &asked);
    sent.close_connection().unwrap();
    assert_eq!(sent.error(), Some(HttpError::Cancelled));
    sent.cancel().unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    drop(go);
    server.done();
}

/// Its failure has come, and waits for its turn.
#[test]
fn cancelled_between_failure_and_callback_it_is_not_reported() {
    let base = EventBase::new().unwrap();
    let (_socket, port) = refusing();
    let connection = connect(&base, port);
    let silent = EventHttpRequest::new(|_| panic!("called")).unwrap();
    let victim = silent.clone();
    let first = EventHttpRequest::new(move |_| victim.cancel().unwrap()).unwrap();
    connection.make_request(&first, GET, "/").unwrap();
    connection.make_request(&silent, GET, "/").unwrap();
    run(&base);
    assert_eq!(
        first.error(),
        Some(HttpError::NotConnected(ErrorKind::ConnectionRefused))
    );
    assert_eq!(silent.error(), Some(HttpError::Cancelled));
}

#[test]
fn cancelled_request_may_be_made_again() {
    let base = EventBase::new().unwrap();
    let (server, asked, go) = waiting();
    let other = answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let connection = connect(&base, server.port());
    let (request, told) = request(&base);
    connection.make_request(&request, GET, "/").unwrap();
    until_asked(&base, &asked);
    request.cancel().unwrap();
    connect_and_make(&base, other.port(), &request);
    drop(go);
    assert_eq!(told.take().len(), 1);
    assert_eq!(request.error(), None);
    drop(connection);
    run(&base);
    server.done();
}

fn connect_and_make(base: &EventBase, port: u16, request: &EventHttpRequest) {
    let connection = connect(base, port);
    connection.make_request(request, GET, "/").unwrap();
    until_stopped(base);
}

/// §3: completion callbacks of what is under way are not called; nothing leaks.
#[test]
fn dropped_connection_drops_what_is_under_way() {
    let base = EventBase::new().unwrap();
    let (server, asked, go) = waiting();
    let connection = connect(&base, server.port());
    let drops = Drops::default();
    let mut kept = None;
    for _ in 0..3 {
        let token = drops.token();
        let request = EventHttpRequest::new(move |_| {
            token.hold();
            panic!("called");
        });
        connection
            .make_request(request.as_ref().unwrap(), GET, "/")
            .unwrap();
        kept = request.ok();
    }
    until_asked(&base, &asked);
    drop(connection);
    assert_eq!(drops.count(), 2);
    let kept = kept.unwrap();
    assert_eq!(kept.error(), Some(HttpError::Cancelled));
    assert!(kept.get_connection().is_none());
    kept.add_header("X", "y", crate::OUT).unwrap(); // it is ours again
    drop(kept);
    assert_eq!(drops.count(), 3);
    run(&base);
    drop(go);
    server.done();
}

#[test]
fn connection_dropped_inside_a_completion_callback_reports_nothing_more() {
    let base = EventBase::new().unwrap();
    let (_socket, port) = refusing();
    let held = Rc::new(RefCell::new(Some(connect(&base, port))));
    let (drops, log) = (Drops::default(), Log::default());
    let (own, token, note) = (Rc::clone(&held), drops.token(), log.clone());
    let request = EventHttpRequest::new(move |_| {
        token.hold();
        note.note("told");
        drop(own.take());
    });
    let connection = held.borrow().clone().unwrap();
    connection
        .make_request(&request.unwrap(), GET, "/")
        .unwrap();
    connection
        .make_request(&noting(&log, "second"), GET, "/")
        .unwrap();
    drop(connection);
    run(&base);
    assert_eq!((log.take(), drops.count()), (vec!["told".to_owned()], 1));
}

#[test]
fn request_freed_inside_its_own_callback_is_freed_when_that_returns() {
    let base = EventBase::new().unwrap();
    let (_socket, port) = refusing();
    let connection = connect(&base, port);
    let drops = Drops::default();
    let (token, seen) = (drops.token(), drops.clone());
    let request = EventHttpRequest::new(move |answer| {
        token.hold();
        let answer = answer.unwrap();
        answer.free();
        answer.free();
        assert_eq!(seen.count(), 0);
        assert!(matches!(answer.get_uri(), Err(Error::Freed { .. })));
    });
    let request = request.unwrap();
    connection.make_request(&request, GET, "/").unwrap();
    run(&base);
    assert_eq!(drops.count(), 1);
    let error = connection.make_request(&request, GET, "/").unwrap_err();
    assert!(matches!(
        error,
        Error::Freed {
            object: "request",
            ..
        }
    ));
}

#[test]
fn chain_of_requests_is_made_inside_the_callbacks() {
    let base = EventBase::new().unwrap();
    let server = serve(|listener| {
        let mut peer = Peer::accept(&listener);
        for _ in 0..5 {
            peer.read_request();
            peer.reply("");
        }
        assert!(peer.await_close());
    });
    let connection = connect(&base, server.port());
    let (log, stop, weak) = (
        Log::default(),
        base.clone(),
        Rc::new(RefCell::new(Some(connection.clone()))),
    );
    let (note, own) = (log.clone(), Rc::clone(&weak));
    let mut left = 5;
    let request = EventHttpRequest::new(move |answer| {
        note.note("told");
        left -= 1;
        if left == 0 {
            own.take();
            return stop.stop().unwrap();
        }
        let connection = own.borrow().clone().unwrap();
        connection.make_request(answer.unwrap(), GET, "/").unwrap();
    });
    connection
        .make_request(&request.unwrap(), GET, "/")
        .unwrap();
    until_stopped(&base);
    assert_eq!(log.take().len(), 5);
    drop(connection);
    server.done();
}

/// §4 and §20.10: at once, and what else was to be told comes with the next loop.
#[test]
fn panic_in_a_completion_callback_breaks_the_loop_at_once() {
    let base = EventBase::new().unwrap();
    let (_socket, port) = refusing();
    let connection = connect(&base, port);
    let log = Log::default();
    let bad = EventHttpRequest::new(|_| panic!("out of the callback")).unwrap();
    connection.make_request(&bad, GET, "/").unwrap();
    connection
        .make_request(&noting(&log, "second"), GET, "/")
        .unwrap();
    let text = panic_of(|| limited(|| base.dispatch()));
    assert_eq!(text, "out of the callback");
    assert!(base.got_stop());
    assert_eq!(log.take(), [""; 0]);
    assert_eq!(
        bad.error(),
        Some(HttpError::NotConnected(ErrorKind::ConnectionRefused))
    );
    run(&base);
    assert_eq!(log.take(), ["second 0"]);
    connection.make_request(&bad, GET, "/").unwrap(); // its closure is still there
    assert_eq!(
        panic_of(|| limited(|| base.dispatch())),
        "out of the callback"
    );
}

#[test]
fn panic_in_a_captured_drop_loses_no_other_answer() {
    let base = EventBase::new().unwrap();
    let (_socket, port) = refusing();
    let connection = connect(&base, port);
    let (log, bomb) = (Log::default(), Bomb("dropped"));
    let first = EventHttpRequest::new(move |_| bomb.hold()).unwrap();
    connection.make_request(&first, GET, "/").unwrap();
    drop(first);
    connection
        .make_request(&noting(&log, "second"), GET, "/")
        .unwrap();
    assert_eq!(panic_of(|| limited(|| base.dispatch())), "dropped");
    run(&base);
    assert_eq!(log.take(), ["second 0"]);
}

#[test]
fn panic_in_a_close_callback_loses_no_answer() {
    let base = EventBase::new().unwrap();
    let server = answering("HTTP/1.1 200 OK\r\n\r\nabc");
    let (connection, log) = (connect(&base, server.port()), Log::default());
    connection.set_close_callback(|_| panic!("closed")).unwrap();
    connection
        .make_request(&noting(&log, "answer"), GET, "/")
        .unwrap();
    assert_eq!(panic_of(|| limited(|| base.dispatch())), "closed");
    run(&base);
    assert_eq!(log.take(), ["answer 200"]);
}

/// §21: PHP crashes when the connection was the last to hold its base.
#[test]
fn connection_outlives_every_handle_of_its_base() {
    let (_socket, port) = refusing();
    let base = EventBase::new().unwrap();
    let connection = connect(&base, port);
    drop(base);
    let base = connection.get_base();
    let log = Log::default();
    connection
        .make_request(&noting(&log, "answer"), GET, "/")
        .unwrap();
    run(&base);
    assert_eq!(log.take(), ["answer 0"]);
    drop(base);
    drop(connection);
}

#[test]
fn freed_base_is_refused() {
    let base = EventBase::new().unwrap();
    let (_socket, port) = refusing();
    let connection = connect(&base, port);
    let request = EventHttpRequest::new(|_| panic!("called")).unwrap();
    connection.make_request(&request, GET, "/").unwrap();
    base.free().unwrap();
    let freed = |error: Error| assert!(matches!(error, Error::Freed { object: "base", .. }));
    freed(connection.make_request(&request, GET, "/").unwrap_err());
    freed(connection.get_peer().unwrap_err());
    freed(connection.set_timeout(None).unwrap_err());
    freed(connection.set_close_callback(|_| {}).unwrap_err());
    freed(connection.set_local_address("127.0.0.1").unwrap_err());
    freed(connection.set_local_port(0).unwrap_err());
    freed(connection.set_max_headers_size(None).unwrap_err());
    freed(connection.set_max_body_size(None).unwrap_err());
    freed(connection.set_retries(None).unwrap_err());
    freed(request.get_uri().unwrap_err());
    freed(request.cancel().unwrap_err());
    freed(EventHttpConnection::new(&base, None, "127.0.0.1", 1).unwrap_err());
    drop(connection);
    drop(request);
}

/// A request that outlives one base may be made on another.
#[test]
fn request_moves_to_another_base() {
    let (_socket, port) = refusing();
    let log = Log::default();
    let request = noting(&log, "answer");
    for _ in 0..2 {
        let base = EventBase::new().unwrap();
        let connection = connect(&base, port);
        connection.make_request(&request, GET, "/").unwrap();
        run(&base);
        drop(connection);
        base.free().unwrap();
    }
    assert_eq!(log.take(), ["answer 0"; 2]);
}

#[test]
fn thousand_connections_leave_no_descriptor_open() {
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    test_support::limited(|| {
        let base = EventBase::new().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let before = open();
        for _ in 0..1000 {
            let connection = connect(&base, port);
            let silent = EventHttpRequest::new(|_| panic!("called")).unwrap();
            connection.make_request(&silent, GET, "/").unwrap();
            drop(connection);
            pass_now(&base);
            drop(listener.accept().unwrap());
        }
        // Other tests of this process open and close descriptors, but no thousand of them.
        assert!(open() < before + 500);
    });
}

fn pass_now(base: &EventBase) {
    let once = EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK;
    base.r#loop(once).unwrap();
}

#[test]
fn dropped_with_its_base_in_one_pass_is_freed() {
    let (_socket, port) = refusing();
    let base = EventBase::new().unwrap();
    let connection = connect(&base, port);
    let drops = Drops::default();
    let (token, held) = (
        drops.token(),
        RefCell::new(Some((base.clone(), connection.clone()))),
    );
    let request = EventHttpRequest::new(move |_| {
        token.hold();
        drop(held.take());
    });
    connection
        .make_request(&request.unwrap(), GET, "/")
        .unwrap();
    drop(connection);
    run_once(&base);
    drop(base);
    assert_eq!(drops.count(), 1);
}
