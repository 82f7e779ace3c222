//! Which closure gets which request.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::OVER;
use crate::{Client, Kept, Server, error, get, say};
use php_event::{EventBase, EventBuffer, EventHttpRequest};
use test_support::{Drops, OnDrop, panic_of};

/// A server whose closure for each of these paths answers with the path it is set for.
fn server(paths: &'static [&'static str]) -> Server {
    let server = Server::with(OVER, |request| say(request, "the rest"));
    for path in paths {
        let answer = move |request: &EventHttpRequest| say(request, path);
        server.http.set_callback(path, answer).unwrap();
    }
    server
}

#[test]
fn paths_are_compared_decoded_and_without_their_query() {
    let server = server(&["/a", "/a b", "/é", "/a?x"]);
    for (target, taken_by) in [
        ("/a", "/a"),
        ("/a?x", "/a"),
        ("/%61", "/a"),
        ("/a%20b", "/a b"),
        ("/a+b", "the rest"),
        ("/%C3%A9", "/é"),
        ("/a%3Fx", "/a?x"),
        ("/A", "the rest"),
        ("/a/", "the rest"),
        ("//a", "the rest"),
        ("/%2Fa", "the rest"),
        ("/a%2541", "the rest"),
        ("http://x/a", "/a"),
        ("http://elsewhere/a?x", "/a"),
        ("http://x", "the rest"),
    ] {
        let answer = server.ask(get(target));
        assert_eq!(answer.body, taken_by, "{target}");
    }
}

#[test]
fn a_path_of_two_slashes_is_no_other_server_s_name() {
    let server = server(&["/admin", "//x/admin"]);
    assert_eq!(server.ask(get("//x/admin")).body, "//x/admin");
}

#[test]
fn an_empty_path_and_an_asterisk_can_be_routes() {
    let server = server(&["", "*"]);
    server
        .http
        .set_allowed_methods(EventHttpRequest::CMD_OPTIONS)
        .unwrap();
    let options = |target| format!("OPTIONS {target} HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(server.ask(options("*")).body, "*");
    assert_eq!(server.ask(options("http://x")).body, "");
}

#[test]
fn without_a_closure_the_answer_is_a_404_that_names_the_target_escaped() {
    let server = Server::new(OVER);
    let answer = server.ask(get("/a'b&c?<d>\""));
    assert_eq!((answer.status, answer.reason.as_str()), (404, "Not Found"));
    assert_eq!(answer.header("Content-Type"), Some("text/html"));
    assert_eq!(answer.header("Connection"), Some("close"));
    assert!(
        answer.body.contains("/a&#039;b&amp;c?&lt;d&gt;&quot;"),
        "{}",
        answer.body
    );
}

#[test]
fn the_same_path_twice_is_an_error_and_the_first_closure_stays() {
    let server = server(&["/a"]);
    let drops = Drops::default();
    let token = drops.token();
    let text = error(server.http.set_callback("/a", move |_| token.hold()));
    assert_eq!(
        text,
        "EventHttp::setCallback: the path has a callback already, and takes one"
    );
    assert_eq!(drops.count(), 1);
    assert_eq!(server.ask(get("/a")).body, "/a");
}

#[test]
fn a_path_with_a_nul_is_an_error() {
    let server = Server::new(OVER);
    let text = error(server.http.set_callback("/a\0", |_| {}));
    assert_eq!(
        text,
        "EventHttp::setCallback: the path \"/a\\0\" holds a NUL"
    );
}

#[test]
fn a_closure_that_was_removed_is_dropped_and_its_path_is_free() {
    let server = server(&[]);
    let drops = Drops::default();
    let token = drops.token();
    server
        .http
        .set_callback("/a", move |_| token.hold())
        .unwrap();
    assert!(server.http.remove_callback("/a").unwrap());
    assert_eq!(drops.count(), 1);
    assert!(!server.http.remove_callback("/a").unwrap());
    assert_eq!(server.ask(get("/a")).body, "the rest");
    server
        .http
        .set_callback("/a", |request| say(request, "new"))
        .unwrap();
    assert_eq!(server.ask(get("/a")).body, "new");
}

#[test]
fn another_default_closure_replaces_the_first() {
    let server = Server::with(OVER, |request| say(request, "old"));
    server
        .http
        .set_default_callback(|request| say(request, "new"))
        .unwrap();
    assert_eq!(server.ask(get("/")).body, "new");
}

#[test]
fn a_closure_that_removes_itself_finishes_and_is_dropped_when_it_returns() {
    let server = Rc::new(Server::with(OVER, |request| say(request, "the rest")));
    let drops = Drops::default();
    let (token, seen, http) = (drops.token(), drops.clone(), Rc::downgrade(&server));
    let remove = move |request: &EventHttpRequest| {
        token.hold();
        let server = http.upgrade().unwrap();
        assert!(server.http.remove_callback("/a").unwrap());
        assert_eq!(seen.count(), 0, "dropped under the running closure");
        say(request, "removed");
    };
    server.http.set_callback("/a", remove).unwrap();
    assert_eq!(server.ask(get("/a")).body, "removed");
    assert_eq!(drops.count(), 1);
    assert_eq!(server.ask(get("/a")).body, "the rest");
}

#[test]
fn a_default_closure_that_replaces_itself_finishes_and_is_dropped_when_it_returns() {
    let server = Rc::new(Server::new(OVER));
    let drops = Drops::default();
    let (token, seen, http) = (drops.token(), drops.clone(), Rc::downgrade(&server));
    let replace = move |request: &EventHttpRequest| {
        token.hold();
        let server = http.upgrade().unwrap();
        server
            .http
            .set_default_callback(|request| say(request, "new"))
            .unwrap();
        assert_eq!(seen.count(), 0, "dropped under the running closure");
        say(request, "old");
    };
    server.http.set_default_callback(replace).unwrap();
    assert_eq!(server.ask(get("/")).body, "old");
    assert_eq!(drops.count(), 1);
    assert_eq!(server.ask(get("/")).body, "new");
}

#[test]
fn a_captured_value_may_set_routes_when_it_is_dropped() {
    let server = Rc::new(Server::new(OVER));
    let http = Rc::downgrade(&server);
    let last = OnDrop(move || {
        let server = http.upgrade().unwrap();
        server
            .http
            .set_callback("/late", |request| say(request, "late"))
            .unwrap();
    });
    server
        .http
        .set_callback("/a", move |_| last.hold())
        .unwrap();
    server.http.remove_callback("/a").unwrap();
    assert_eq!(server.ask(get("/late")).body, "late");
}

#[test]
fn a_disallowed_method_gets_a_501_and_no_closure_is_called() {
    let server = Server::with(OVER, |request| say(request, "served"));
    for (method, status) in [
        ("GET", 200),
        ("POST", 200),
        ("PUT", 200),
        ("DELETE", 200),
        ("OPTIONS", 501),
        ("TRACE", 501),
        ("PATCH", 501),
        ("PROPFIND", 501),
        ("get", 501),
    ] {
        let answer = server.ask(format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(answer.status, status, "{method}");
        assert_eq!(
            answer.header("Connection") == Some("close"),
            status == 501,
            "{method}"
        );
    }
}

#[test]
fn the_methods_that_are_allowed_are_served() {
    let server = Server::with(OVER, |request| {
        let command = request.get_command().unwrap();
        assert_eq!(command, EventHttpRequest::CMD_PATCH);
        say(request, "served");
    });
    server
        .http
        .set_allowed_methods(EventHttpRequest::CMD_PATCH)
        .unwrap();
    let ask = |method| server.ask(format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_eq!(ask("PATCH").status, 200);
    assert_eq!(ask("GET").reason, "Not Implemented");
    server
        .http
        .set_allowed_methods(php_event::HttpMethods::empty())
        .unwrap();
    assert_eq!(ask("PATCH").status, 501);
}

#[test]
fn aliases_can_be_added_twice_and_removed_as_often_whatever_their_case() {
    let server = Server::new(OVER);
    let http = &server.http;
    assert!(!http.remove_server_alias("a").unwrap());
    http.add_server_alias("a.example").unwrap();
    http.add_server_alias("a.example").unwrap();
    assert!(http.remove_server_alias("A.Example").unwrap());
    assert!(http.remove_server_alias("a.example").unwrap());
    assert!(!http.remove_server_alias("a.example").unwrap());
    let text = error(http.add_server_alias("a\0"));
    assert_eq!(
        text,
        "EventHttp::addServerAlias: the alias \"a\\0\" holds a NUL"
    );
    assert!(http.remove_server_alias("a\0").is_err());
}

#[test]
fn a_whole_uri_of_an_alias_is_no_proxy_s_and_keeps_the_connection() {
    let server = Server::with(OVER, |request| say(request, "served"));
    server.http.add_server_alias("x").unwrap();
    let both = server.serve(|address| {
        let mut client = Client::new(OVER, address);
        client.send(get("http://x/") + &get("/"));
        [client.answer().status, client.answer().status]
    });
    assert_eq!(both, [200, 200]);
}

#[test]
fn an_absolute_uri_of_another_host_closes_the_connection_with_a_header() {
    for streams in [false, true] {
        let server = Server::with(OVER, move |request| {
            if streams {
                request.send_reply_start(200, "OK").unwrap();
                request.send_reply_chunk(&crate::buffer("served")).unwrap();
                request.send_reply_end().unwrap();
            } else {
                say(request, "served");
            }
        });
        server.http.add_server_alias("x").unwrap();
        assert!(server.http.remove_server_alias("X").unwrap());
        let (answer, closed) = server.serve(|address| {
            let mut client = Client::new(OVER, address);
            client.send(get("HTTP://x/") + &get("/"));
            (client.answer(), client.is_closed())
        });
        assert_eq!(answer.body, "served");
        assert_eq!(answer.header("Connection"), Some("close"));
        assert!(closed);
    }
}

#[test]
fn pages_and_closures_name_a_path_of_two_slashes_as_it_was_sent() {
    let server = Server::new(OVER);
    let page = server.ask(get("//x//y"));
    assert!(page.body.contains("nothing at //x//y<"), "{}", page.body);
    let own = server.ask(get("/%2Fx"));
    assert!(own.body.contains("nothing at /%2Fx<"), "{}", own.body);
}

#[test]
fn a_panic_in_a_closure_comes_out_of_the_loop_and_its_client_gets_a_500() {
    let server = Server::new(OVER);
    server
        .http
        .set_callback("/panic", |_| panic!("in a closure"))
        .unwrap();
    server
        .http
        .set_callback("/", |request| say(request, "well"))
        .unwrap();
    let mut client = Client::new(OVER, server.address);
    client.send(get("/panic"));
    assert_eq!(panic_of(|| server.until(|| false)), "in a closure");
    assert!(server.base.got_stop());
    let answer = server.serve(move |_| client.answer());
    assert_eq!(
        (answer.status, answer.header("Connection")),
        (500, Some("close"))
    );
    assert_eq!(server.ask(get("/")).body, "well");
}

#[test]
fn a_request_that_was_kept_before_its_closure_panicked_can_be_answered() {
    let server = Server::new(OVER);
    let kept = Kept::default();
    let list = kept.clone();
    let keep = move |request: &EventHttpRequest| {
        list.borrow_mut().push(request.clone());
        panic!("after keeping");
    };
    server.http.set_default_callback(keep).unwrap();
    let mut client = Client::new(OVER, server.address);
    client.send(get("/"));
    assert_eq!(panic_of(|| server.until(|| false)), "after keeping");
    say(&kept.borrow_mut().pop().unwrap(), "late");
    assert_eq!(server.serve(move |_| client.answer()).body, "late");
}

#[test]
fn a_server_of_a_freed_base_answers_errors_and_may_be_dropped() {
    let base = EventBase::new().unwrap();
    let http = OVER.http(&base).unwrap();
    http.bind("127.0.0.1", 0).unwrap();
    base.free().unwrap();
    let calls = [
        error(http.bind("127.0.0.1", 0)),
        error(http.set_callback("/", |_| {})),
        error(http.set_default_callback(|_| {})),
        error(http.remove_callback("/")),
        error(http.set_allowed_methods(EventHttpRequest::CMD_GET)),
        error(http.set_max_body_size(None)),
        error(http.set_max_headers_size(None)),
        error(http.set_timeout(None)),
        error(http.add_server_alias("a")),
        error(http.remove_server_alias("a")),
        error(OVER.http(&base)),
    ];
    assert_eq!(calls[0], "EventHttp::bind: the base was already freed");
    assert!(
        calls
            .iter()
            .all(|text| text.ends_with(": the base was already freed"))
    );
}

#[test]
fn clones_are_the_same_server() {
    let server = Server::new(OVER);
    let clone = server.http.clone();
    assert!(clone == server.http && clone != Server::new(OVER).http);
    clone
        .set_callback("/a", |request| say(request, "a"))
        .unwrap();
    drop(clone);
    assert_eq!(server.ask(get("/a")).body, "a");
}

#[test]
fn two_servers_on_one_base_have_their_own_routes() {
    let one = server(&["/a"]);
    let other = OVER.http(&one.base).unwrap();
    other
        .set_default_callback(|request| say(request, "other"))
        .unwrap();
    let address = other.bind("127.0.0.1", 0).unwrap();
    let body = one.serve(move |_| {
        let mut client = Client::new(OVER, address);
        client.send(get("/a"));
        client.answer().body
    });
    assert_eq!(body, "other");
    assert_eq!(one.ask(get("/a")).body, "/a");
}

#[test]
fn requests_of_one_connection_are_answered_in_their_order() {
    let order = Rc::new(RefCell::new(Vec::new()));
    let seen = order.clone();
    let server = Server::with(OVER, move |request| {
        let uri = request.get_uri().unwrap().unwrap();
        seen.borrow_mut().push(uri.clone());
        say(request, uri);
    });
    let bodies = server.serve(|address| {
        let mut client = Client::new(OVER, address);
        client.send((0..20).map(|n| get(&format!("/{n}"))).collect::<String>());
        (0..20).map(|_| client.answer().body).collect::<Vec<_>>()
    });
    let wanted: Vec<_> = (0..20).map(|n| format!("/{n}")).collect();
    assert_eq!(bodies, wanted);
    assert_eq!(*order.borrow(), wanted);
}

#[test]
fn a_body_is_given_whole_with_its_request() {
    let server = Server::with(OVER, |request| {
        let input = request.get_input_buffer();
        request.send_reply(200, "OK", Some(&input)).unwrap();
        assert_eq!(input.length(), 0);
    });
    let chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nA: b\r\n\r\n";
    assert_eq!(server.ask(chunked).body, "abcdefg");
    for method in ["POST", "PUT", "GET", "DELETE"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(server.ask(request).body, "hello", "{method}");
    }
}

#[test]
fn a_100_continue_is_sent_without_the_closure() {
    let server = Server::with(OVER, |request| {
        request
            .send_reply(200, "OK", Some(&request.get_input_buffer()))
            .unwrap();
    });
    let (interim, answer) = server.serve(|address| {
        let mut client = Client::new(OVER, address);
        client.send(
            "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        );
        let interim = client.head();
        client.send("hello");
        (interim, client.answer())
    });
    assert_eq!(interim.status, 100);
    assert_eq!((answer.status, answer.body.as_str()), (200, "hello"));
}

#[test]
fn a_default_closure_that_is_removed_with_its_server_is_dropped() {
    let drops = Drops::default();
    let token = drops.token();
    let server = Server::with(OVER, move |_| token.hold());
    let (token, calls) = (drops.token(), Rc::new(Cell::new(0)));
    let count = calls.clone();
    let keep = move |_: &EventHttpRequest| {
        token.hold();
        count.set(count.get() + 1);
    };
    server.http.set_callback("/", keep).unwrap();
    drop(server);
    assert_eq!((drops.count(), calls.get()), (2, 0));
    drop(EventBuffer::new());
}
