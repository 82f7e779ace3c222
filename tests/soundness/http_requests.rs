//! `EventHttpConnection` and the requests that it makes: what PECL's crash on.

use std::cell::{Cell, RefCell};
use std::net::TcpListener;
use std::rc::Rc;

use php_event::{EventBase, EventHttp, EventHttpConnection, EventHttpRequest, HttpMethods};

use test_support::{Drops, panic_of, poll, run};

fn server(base: &EventBase) -> (EventHttp, u16) {
    let http = EventHttp::new(base).unwrap();
    http.set_default_callback(|request| request.send_reply(200, "OK", None).unwrap())
        .unwrap();
    let port = http.bind("127.0.0.1", 0).unwrap().port();
    (http, port)
}

fn ask(conn: &EventHttpConnection, request: &EventHttpRequest) {
    conn.make_request(request, HttpMethods::GET, "/").unwrap();
}

#[test]
fn request_that_was_not_made_answers_its_getters() {
    let request = EventHttpRequest::new(|_| {}).unwrap();
    assert!(!matches!(request.get_uri(), Ok(Some(_))));
    assert!(!matches!(request.get_host(), Ok(Some(_))));
    assert!(request.get_connection().is_none() && request.get_buffer_event().is_none());
    assert_eq!(request.get_input_buffer().length(), 0);
}

#[test]
fn request_freed_and_dropped_before_its_answer_hears_nothing() {
    let base = EventBase::new().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let conn = EventHttpConnection::new(&base, None, "127.0.0.1", port).unwrap();
    let drops = Drops::default();
    for turns in 0..4 {
        let token = drops.token();
        let request = EventHttpRequest::new(move |_| {
            token.hold();
            unreachable!("it was freed");
        });
        let request = request.unwrap();
        ask(&conn, &request);
        for _ in 0..turns {
            poll(&base);
        }
        request.free();
        drop(request);
        assert_eq!(drops.count(), turns + 1);
    }
    drop(conn);
    poll(&base);
}

#[test]
fn connection_may_be_the_last_holder_of_its_base() {
    let base = EventBase::new().unwrap();
    let (http, port) = server(&base);
    let conn = EventHttpConnection::new(&base, None, "127.0.0.1", port).unwrap();
    drop((http, base));
    let request = EventHttpRequest::new(|_| {}).unwrap();
    let _ = conn.make_request(&request, HttpMethods::GET, "/");
    drop(request);
    drop(conn);
}

#[test]
fn connection_dropped_while_it_is_connected_calls_no_closure_later() {
    let base = EventBase::new().unwrap();
    let (_http, port) = server(&base);
    let (drops, own) = (Drops::default(), Rc::new(RefCell::new(None)));
    let conn = EventHttpConnection::new(&base, None, "127.0.0.1", port).unwrap();
    let token = drops.token();
    conn.set_close_callback(move |_| token.hold()).unwrap();
    let (token, taken, stop) = (drops.token(), own.clone(), base.clone());
    let request = EventHttpRequest::new(move |_| {
        token.hold();
        drop(taken.take());
        stop.stop().unwrap();
    });
    let request = request.unwrap();
    ask(&conn, &request);
    own.replace(Some(conn));
    run(&base);
    drop(request);
    poll(&base);
    assert_eq!(drops.count(), 2);
}

#[test]
fn request_freed_in_its_own_closure_with_its_connection_and_server_ends_once() {
    let base = EventBase::new().unwrap();
    let (http, port) = server(&base);
    let (drops, all, calls) = (
        Drops::default(),
        Rc::new(RefCell::new(None)),
        Rc::new(Cell::new(0)),
    );
    let conn = EventHttpConnection::new(&base, None, "127.0.0.1", port).unwrap();
    let (token, taken, count) = (drops.token(), all.clone(), calls.clone());
    let request = EventHttpRequest::new(move |_| {
        token.hold();
        count.set(count.get() + 1);
        let Some((request, _conn, _http)): Option<(EventHttpRequest, _, _)> = taken.take() else {
            return;
        };
        request.free();
        let _: (EventHttpConnection, EventHttp) = (_conn, _http);
    });
    let request = request.unwrap();
    ask(&conn, &request);
    all.replace(Some((request, conn, http)));
    run(&base);
    assert_eq!((calls.get(), drops.count()), (1, 1));
}

#[test]
fn panic_in_the_closure_of_an_answer_comes_out_of_the_loop() {
    let base = EventBase::new().unwrap();
    let (http, port) = server(&base);
    let drops = Drops::default();
    let conn = EventHttpConnection::new(&base, None, "127.0.0.1", port).unwrap();
    let token = drops.token();
    let request = EventHttpRequest::new(move |_| {
        token.hold();
        panic!("an answer");
    });
    let request = request.unwrap();
    ask(&conn, &request);
    assert_eq!(panic_of(|| run(&base)), "an answer");
    drop((request, conn, http));
    run(&base);
    assert_eq!(drops.count(), 1);
}
