//! The close callback: when it runs, and in which order.

use php_event::{EventBase, EventHttpConnection, EventHttpRequest, HttpMethods};

use super::over::{answering, connect, serve};
use crate::server::{Peer, cue, refusing};
use crate::{GET, Log, POST, Told, noting, request, until_stopped};
use test_support::{Drops, run, run_once};

fn watch(connection: &EventHttpConnection, log: &Log) {
    let log = log.clone();
    connection
        .set_close_callback(move |_connection| log.note("closed"))
        .unwrap();
}

#[test]
fn close_after_an_answer_is_reported_before_the_answer() {
    for head in ["Connection: close\r\nContent-Length: 0\r\n", ""] {
        let base = EventBase::new().unwrap();
        let server = answering(format!("HTTP/1.1 200 OK\r\n{head}\r\n"));
        let (connection, log) = (connect(&base, server.port()), Log::default());
        watch(&connection, &log);
        let request = noting(&log, "answer");
        connection.make_request(&request, GET, "/").unwrap();
        run(&base);
        assert_eq!(log.take(), ["closed", "answer 200"], "{head}");
        drop(connection);
        run(&base);
        assert_eq!(log.take(), [""; 0]);
    }
}

#[test]
fn failed_request_is_reported_after_the_close() {
    let base = EventBase::new().unwrap();
    let server = answering("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na");
    let (connection, log) = (connect(&base, server.port()), Log::default());
    watch(&connection, &log);
    connection
        .make_request(&noting(&log, "answer"), GET, "/")
        .unwrap();
    run(&base);
    assert_eq!(log.take(), ["closed", "answer null"]);
}

#[test]
fn close_of_an_idle_connection_is_reported() {
    let base = EventBase::new().unwrap();
    let (go, wait) = cue();
    let server = serve(move |listener| {
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        peer.reply("");
        wait.recv().unwrap();
        drop(peer);
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        peer.reply("");
        peer.end();
    });
    let (connection, log) = (connect(&base, server.port()), Log::default());
    watch(&connection, &log);
    let (request, told) = request(&base);
    connection.make_request(&request, GET, "/").unwrap();
    until_stopped(&base);
    assert_eq!(log.take(), [""; 0]);
    go.send(()).unwrap();
    assert_eq!(run(&base), php_event::LoopEnd::NoEvents);
    assert_eq!(log.take(), ["closed"]);
    connection.make_request(&request, GET, "/").unwrap(); // over a new connection
    until_stopped(&base);
    run(&base);
    assert_eq!(log.take(), ["closed"]); // it is called each time
    assert_eq!(told.take().len(), 2);
    drop(connection);
    server.done();
}

#[test]
fn connection_that_never_came_about_does_not_close() {
    let base = EventBase::new().unwrap();
    let (_socket, port) = refusing();
    let (connection, log) = (connect(&base, port), Log::default());
    watch(&connection, &log);
    connection
        .make_request(&noting(&log, "answer"), GET, "/")
        .unwrap();
    run(&base);
    assert_eq!(log.take(), ["answer 0"]);
}

#[test]
fn cancelled_request_closes_its_connection() {
    let base = EventBase::new().unwrap();
    let (go, wait) = cue();
    let server = serve(move |listener| {
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        go.send(()).unwrap();
        assert!(peer.await_close());
    });
    let (connection, log) = (connect(&base, server.port()), Log::default());
    watch(&connection, &log);
    let request = noting(&log, "answer");
    connection.make_request(&request, GET, "/").unwrap();
    while wait.try_recv().is_err() {
        pass_soon(&base);
    }
    request.cancel().unwrap();
    assert_eq!(log.take(), [""; 0]); // from the loop
    run(&base);
    assert_eq!(log.take(), ["closed"]);
    server.done();
}

/// One pass that does not wait for ever.
fn pass_soon(base: &EventBase) {
    base.exit(Some(std::time::Duration::from_millis(5)))
        .unwrap();
    crate::limited(|| base.dispatch()).unwrap();
}

/// §21: PHP calls a callback that it has freed.
#[test]
fn connected_and_dropped_the_closure_goes_without_a_call() {
    let base = EventBase::new().unwrap();
    let server = serve(|listener| {
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        peer.reply("");
        assert!(peer.await_close());
    });
    let connection = connect(&base, server.port());
    let (drops, (request, told)) = (Drops::default(), request(&base));
    let token = drops.token();
    connection
        .set_close_callback(move |_| {
            token.hold();
            panic!("called");
        })
        .unwrap();
    connection.make_request(&request, GET, "/").unwrap();
    until_stopped(&base);
    assert_eq!((told.take().len(), drops.count()), (1, 0));
    drop(connection);
    assert_eq!(drops.count(), 1);
    run(&base);
    server.done();
}

#[test]
fn dropped_inside_its_close_callback_it_reports_nothing_more() {
    let base = EventBase::new().unwrap();
    let server = answering("HTTP/1.1 200 OK\r\n\r\nabc");
    let (connection, drops) = (connect(&base, server.port()), Drops::default());
    let held = std::rc::Rc::new(std::cell::RefCell::new(None));
    let (own, token, log) = (held.clone(), drops.token(), Log::default());
    let note = log.clone();
    connection
        .set_close_callback(move |_| {
            token.hold();
            note.note("closed");
            drop(own.take());
        })
        .unwrap();
    connection
        .make_request(&noting(&log, "answer"), GET, "/")
        .unwrap();
    held.replace(Some(connection));
    run(&base);
    assert_eq!(log.take(), ["closed"]); // the connection is gone, and with it what is under way
    assert_eq!(drops.count(), 1);
}

#[test]
fn replaced_close_callback_is_dropped_at_once() {
    let base = EventBase::new().unwrap();
    let connection = connect(&base, 9);
    let (drops, token) = (Drops::default(), Drops::default().token());
    let first = drops.token();
    connection
        .set_close_callback(move |_| first.hold())
        .unwrap();
    connection
        .set_close_callback(move |_| token.hold())
        .unwrap();
    assert_eq!(drops.count(), 1);
}

#[test]
fn request_made_inside_the_close_callback_goes_over_a_new_connection() {
    let base = EventBase::new().unwrap();
    let server = serve(|listener| {
        for name in ["a", "b"] {
            let mut peer = Peer::accept(&listener);
            assert!(peer.read_request().starts_with(&format!("GET /{name} ")));
            peer.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            peer.end();
        }
    });
    let (connection, log) = (connect(&base, server.port()), Log::default());
    let (last, told) = request(&base);
    let mut next = Some(last);
    connection
        .set_close_callback(move |connection| {
            if let Some(next) = next.take() {
                connection.make_request(&next, GET, "/b").unwrap();
            }
        })
        .unwrap();
    let first: EventHttpRequest = noting(&log, "first");
    connection.make_request(&first, GET, "/a").unwrap();
    until_stopped(&base);
    assert_eq!(
        (log.take(), told.take().len()),
        (vec!["first 200".to_owned()], 1)
    );
    drop(connection);
    run_once(&base);
    server.done();
}

/// Closes the kept connection when the next request comes, as a server does that has closed it
/// just before, and answers what comes over a new one.
fn closing_when_asked_again() -> crate::server::Server {
    serve(|listener| {
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        peer.reply("first");
        peer.read_request();
        drop(peer);
        let mut peer = Peer::accept(&listener);
        if !peer.read_request().is_empty() {
            peer.reply("again");
        }
        peer.end();
    })
}

#[test]
fn request_over_a_kept_connection_that_has_just_closed_is_sent_once_more() {
    let base = EventBase::new().unwrap();
    let server = closing_when_asked_again();
    let (connection, log) = (connect(&base, server.port()), Log::default());
    watch(&connection, &log);
    connection
        .make_request(&noting(&log, "first"), GET, "/")
        .unwrap();
    let (second, told) = request(&base);
    connection.make_request(&second, GET, "/").unwrap();
    until_stopped(&base);
    assert_eq!(log.take(), ["first 200", "closed"]);
    assert_eq!(told.take(), [Told::Answer(200, "again".to_owned())]);
    drop(connection);
    server.done();
}

/// Nobody can tell whether the server has done it already.
#[test]
fn post_over_a_kept_connection_that_has_just_closed_is_not_sent_twice() {
    let base = EventBase::new().unwrap();
    let server = closing_when_asked_again();
    let (connection, log) = (connect(&base, server.port()), Log::default());
    connection
        .make_request(&noting(&log, "first"), GET, "/")
        .unwrap();
    let (second, told) = request(&base);
    connection.make_request(&second, POST, "/").unwrap();
    until_stopped(&base);
    assert_eq!(told.take(), [Told::Null]);
    drop(connection);
    connect_and_leave(server.port());
    server.done();
}

/// Lets the script above end.
fn connect_and_leave(port: u16) {
    drop(std::net::TcpStream::connect(("127.0.0.1", port)).unwrap());
}

/// They would be taken for the answer to the next request.
#[test]
fn unrequested_bytes_end_the_connection() {
    let base = EventBase::new().unwrap();
    let (go, wait) = cue();
    let server = serve(move |listener| {
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        peer.reply("");
        wait.recv().unwrap();
        peer.write("HTTP/1.1 200 Smuggled\r\nContent-Length: 1\r\n\r\n!");
        assert!(peer.await_close());
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        peer.reply("own");
        peer.end();
    });
    let (connection, log) = (connect(&base, server.port()), Log::default());
    watch(&connection, &log);
    let (request, told) = request(&base);
    connection.make_request(&request, GET, "/").unwrap();
    until_stopped(&base);
    go.send(()).unwrap();
    run(&base);
    assert_eq!(log.take(), ["closed"]);
    connection.make_request(&request, GET, "/").unwrap();
    until_stopped(&base);
    let answer = |body: &str| Told::Answer(200, body.to_owned());
    assert_eq!(told.take(), [answer(""), answer("own")]);
    drop(connection);
    server.done();
}

/// Makes a request over a kept connection at whose other end something has happened that the loop
/// has not seen yet. It is answered over a new connection.
fn goes_over_a_new_connection(method: HttpMethods, happens: fn(&mut Peer)) {
    let base = EventBase::new().unwrap();
    let ((go, wait), (tell, has_happened)) = (cue(), cue());
    let server = serve(move |listener| {
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        peer.reply("first");
        wait.recv().unwrap();
        happens(&mut peer);
        tell.send(()).unwrap();
        let mut next = Peer::accept(&listener);
        next.read_request();
        next.reply("own");
        next.end();
    });
    let (connection, log) = (connect(&base, server.port()), Log::default());
    watch(&connection, &log);
    let (request, told) = request(&base);
    connection.make_request(&request, GET, "/").unwrap();
    until_stopped(&base);
    go.send(()).unwrap();
    has_happened.recv().unwrap();
    connection.make_request(&request, method, "/").unwrap();
    until_stopped(&base);
    let answer = |body: &str| Told::Answer(200, body.to_owned());
    assert_eq!(told.take(), [answer("first"), answer("own")], "{method:?}");
    assert_eq!(log.take(), ["closed"]);
    drop(connection);
    server.done();
}

#[test]
fn bytes_from_before_a_request_are_not_its_answer() {
    goes_over_a_new_connection(GET, |peer| {
        peer.write("HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n");
    });
}

#[test]
fn request_does_not_go_over_a_kept_connection_that_has_ended() {
    for method in [GET, POST] {
        goes_over_a_new_connection(method, |peer| peer.stream.end_writing());
    }
}

#[test]
fn request_that_asks_for_the_close_is_the_last_of_its_connection() {
    let base = EventBase::new().unwrap();
    let server = serve(|listener| {
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        peer.reply("");
        assert!(peer.await_close());
    });
    let (connection, log) = (connect(&base, server.port()), Log::default());
    watch(&connection, &log);
    let request = noting(&log, "answer");
    request
        .add_header("Connection", "x, Close", crate::OUT)
        .unwrap();
    connection.make_request(&request, GET, "/").unwrap();
    run(&base);
    assert_eq!(log.take(), ["closed", "answer 200"]);
    server.done();
}
