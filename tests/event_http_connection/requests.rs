//! What is sent, what is refused before, and what comes back.

use php_event::{Error, EventBase, EventBuffer, EventHttpRequest, HttpMethods};

use super::OVER;
use super::over::{answering, connect, serve};
use crate::server::{Listener, Peer};
use crate::{GET, Log, OUT, POST, Told, body, noting, request, until_stopped};

/// What `prepare` makes goes out as, and the server answers 200.
fn sent(method: HttpMethods, uri: &'static str, prepare: impl FnOnce(&EventHttpRequest)) -> String {
    let (text, out) = std::sync::mpsc::channel();
    let server = serve(move |listener| {
        let mut peer = Peer::accept(&listener);
        text.send(peer.read_request()).unwrap();
        peer.reply("");
        peer.end();
    });
    let base = EventBase::new().unwrap();
    let connection = connect(&base, server.port());
    let (request, told) = request(&base);
    prepare(&request);
    connection.make_request(&request, method, uri).unwrap();
    until_stopped(&base);
    assert_eq!(told.take(), [Told::Answer(200, String::new())]);
    drop(connection);
    let port = server.port();
    server.done();
    out.recv().unwrap().replace(&port.to_string(), "PORT")
}

#[test]
fn get_has_a_host_and_no_length() {
    assert_eq!(
        sent(GET, "/a?b=c", |_| {}),
        "GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n"
    );
}

#[test]
fn own_headers_are_sent_in_their_order_and_an_own_host_stays_the_only_one() {
    let sent = sent(GET, "/", |request| {
        request.add_header("X-A", "1", OUT).unwrap();
        request.add_header("host", "example.com", OUT).unwrap();
        request.add_header("X-A", "2", OUT).unwrap();
    });
    let expected = "GET / HTTP/1.1\r\nX-A: 1\r\nhost: example.com\r\nX-A: 2\r\n\r\n";
    assert_eq!(sent, expected);
}

#[test]
fn whole_uri_gives_the_host() {
    let sent = sent(GET, "http://u@example.com:81/x", |_| {});
    assert_eq!(
        sent,
        "GET http://u@example.com:81/x HTTP/1.1\r\nHost: example.com:81\r\n\r\n"
    );
}

#[test]
fn bodies_go_out_with_every_method_that_may_have_one() {
    for (method, word) in [
        (POST, "POST"),
        (EventHttpRequest::CMD_PUT, "PUT"),
        (EventHttpRequest::CMD_PATCH, "PATCH"),
        (EventHttpRequest::CMD_DELETE, "DELETE"),
        (EventHttpRequest::CMD_OPTIONS, "OPTIONS"),
    ] {
        let sent = sent(method, "/", |request| {
            request.get_output_buffer().add("abc").unwrap();
        });
        let head = "Host: 127.0.0.1:PORT\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(sent, format!("{word} / HTTP/1.1\r\n{head}"));
    }
}

#[test]
fn empty_bodies_have_a_length_where_a_body_is_expected() {
    assert!(sent(POST, "/", |_| {}).contains("\r\nContent-Length: 0\r\n"));
    assert!(!sent(EventHttpRequest::CMD_DELETE, "/", |_| {}).contains("Content-Length"));
    assert!(sent(EventHttpRequest::CMD_OPTIONS, "*", |_| {}).starts_with("OPTIONS * HTTP/1.1"));
    assert!(sent(EventHttpRequest::CMD_TRACE, "/", |_| {}).starts_with("TRACE / HTTP/1.1"));
}

#[test]
fn ipv6_host_has_brackets() {
    let Ok(socket) = std::net::TcpListener::bind("[::1]:0") else {
        return; // a machine without IPv6
    };
    let listener = Listener::new(socket, OVER);
    let port = listener.local_addr().port();
    let thread = std::thread::spawn(move || {
        let mut peer = Peer::accept(&listener);
        let request = peer.read_request();
        peer.reply("");
        peer.end();
        request
    });
    let base = EventBase::new().unwrap();
    let connection = OVER.connection(&base, None, "::1", port).unwrap();
    let (request, told) = request(&base);
    connection.make_request(&request, GET, "/").unwrap();
    assert_eq!(request.get_host().unwrap().as_deref(), Some("[::1]"));
    until_stopped(&base);
    assert_eq!(told.take().len(), 1);
    drop(connection);
    let sent = thread.join().unwrap();
    assert!(
        sent.contains(&format!("\r\nHost: [::1]:{port}\r\n")),
        "{sent}"
    );
}

/// §20.17: what would break out of the request line or the framing is refused, and nothing is
/// sent of it.
#[test]
fn what_would_not_be_one_request_is_refused() {
    let base = EventBase::new().unwrap();
    let connection = connect(&base, 9);
    let request = EventHttpRequest::new(|_| panic!("called")).unwrap();
    let refused = |method, uri: &str, why: &str| {
        let error = connection.make_request(&request, method, uri).unwrap_err();
        assert_eq!(error.call(), "EventHttpConnection::makeRequest");
        assert!(matches!(error, Error::Argument { .. }), "{error}");
        assert!(error.to_string().contains(why), "{uri:?}: {error}");
    };
    for uri in [
        "/a b",
        "/\r\nX: y",
        "/\0",
        "/\t",
        "/\x7f",
        "/é",
        " /",
        "/a HTTP/1.1",
    ] {
        refused(GET, uri, "percent-encode");
    }
    refused(GET, "/a#b", "fragment");
    for uri in ["", "a", "*", "?a", "://a", "http:///a"] {
        refused(GET, uri, "not a path");
    }
    refused(HttpMethods::empty(), "/", "one method");
    refused(GET | POST, "/", "one method");
    refused(HttpMethods::from_bits_retain(1 << 12), "/", "one method");
    refused(EventHttpRequest::CMD_CONNECT, "a:1", "tunnel");
    request.get_output_buffer().add("abc").unwrap();
    for method in [GET, EventHttpRequest::CMD_HEAD, EventHttpRequest::CMD_TRACE] {
        refused(method, "/", "no body");
    }
    for (name, value, why) in [
        ("Content-Length", "2", "not the body's"),
        ("Content-Length", "4", "not the body's"),
        ("Content-Length", "+3", "not the body's"),
        ("Transfer-Encoding", "chunked", "never chunked"),
        ("Expect", "200-ok", "100-continue"),
    ] {
        request.add_header(name, value, OUT).unwrap();
        refused(POST, "/", why);
        request.clear_headers().unwrap();
    }
    assert_eq!(request.get_output_buffer().length(), 3);
    assert_eq!(request.get_output_headers().unwrap(), []);
    assert_eq!(test_support::run(&base), php_event::LoopEnd::NoEvents);
}

#[test]
fn names_ports_and_foreign_dns_bases_are_refused() {
    let base = EventBase::new().unwrap();
    let refused = |address: &str, port| {
        let error = OVER.connection(&base, None, address, port).unwrap_err();
        assert_eq!(error.call(), "EventHttpConnection::__construct");
        assert!(matches!(error, Error::Argument { .. }), "{error}");
    };
    refused("localhost", 80); // PHP would block
    refused("[::1", 80);
    refused("[::1]:80", 80);
    refused("127.0.0.1\r\nX: y", 80);
    refused("", 80);
    let other = EventBase::new().unwrap();
    let dns = php_event::EventDnsBase::new(&other, php_event::DnsFlags::empty()).unwrap();
    assert!(OVER.connection(&base, Some(&dns), "a.test", 80).is_err());
    let dns = php_event::EventDnsBase::new(&base, php_event::DnsFlags::empty()).unwrap();
    assert!(OVER.connection(&base, Some(&dns), "a\r\nX: y", 80).is_err());
    assert!(OVER.connection(&base, Some(&dns), "a\0", 80).is_err());
}

/// As PHP: the object can be made, and each request over it fails.
#[test]
fn port_0_is_refused_when_a_request_is_made() {
    let base = EventBase::new().unwrap();
    let connection = OVER.connection(&base, None, "127.0.0.1", 0).unwrap();
    assert_eq!(connection.get_peer().unwrap().1, 0);
    let request = EventHttpRequest::new(|_| panic!("called")).unwrap();
    let error = connection.make_request(&request, GET, "/").unwrap_err();
    assert_eq!(error.call(), "EventHttpConnection::makeRequest");
    assert!(matches!(error, Error::Argument { .. }), "{error}");
    assert!(error.to_string().contains("port 0"), "{error}");
    assert_eq!(test_support::run(&base), php_event::LoopEnd::NoEvents);
}

/// §12.1, the column of a fresh client object, where PHP crashes.
#[test]
fn fresh_request_answers_every_getter() {
    let request = EventHttpRequest::new(|_| {}).unwrap();
    assert_eq!(request.get_command().unwrap(), HttpMethods::empty());
    assert_eq!(request.get_uri().unwrap(), None);
    assert_eq!(request.get_host().unwrap(), None);
    assert_eq!(request.get_response_code().unwrap(), 0);
    assert_eq!(request.get_input_headers().unwrap(), []);
    assert_eq!(request.get_output_headers().unwrap(), []);
    assert_eq!(request.get_input_buffer().length(), 0);
    assert_eq!(request.get_output_buffer().length(), 0);
    assert!(request.get_connection().is_none());
    assert!(request.get_buffer_event().is_none());
    assert_eq!(request.error(), None);
    let body = EventBuffer::new().unwrap();
    for error in [
        request.send_reply(200, "OK", None).unwrap_err(),
        request.send_error(404, None).unwrap_err(),
        request.send_reply_start(200, "OK").unwrap_err(),
        request.send_reply_chunk(&body).unwrap_err(),
        request.send_reply_end().unwrap_err(),
    ] {
        assert!(matches!(error, Error::State { .. }), "{error}");
    }
    request.close_connection().unwrap();
    request.cancel().unwrap();
    request.free();
    request.free();
    let error = request.get_command().unwrap_err();
    assert!(matches!(
        error,
        Error::Freed {
            object: "request",
            ..
        }
    ));
    assert_eq!(request.get_input_buffer().length(), 0);
}

/// §12.1, the column of the completion callback.
#[test]
fn answered_request_answers_every_getter() {
    let base = EventBase::new().unwrap();
    let server = answering(
        "HTTP/1.1 201 Made\r\nX-A: 1\r\nx-a:  2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\
         Content-Length: 3\r\n\r\nabc",
    );
    let connection = connect(&base, server.port());
    let (stop, seen) = (base.clone(), Log::default());
    let note = seen.clone();
    let request = EventHttpRequest::new(move |answer| {
        let answer = answer.unwrap();
        assert_eq!(answer.get_command().unwrap(), POST);
        assert_eq!(answer.get_uri().unwrap().as_deref(), Some("/x?y"));
        assert_eq!(answer.get_host().unwrap().as_deref(), Some("127.0.0.1"));
        assert_eq!(answer.get_response_code().unwrap(), 201);
        assert_eq!(answer.get_input_headers().unwrap().len(), 5);
        let find = |key| answer.find_header(key, EventHttpRequest::INPUT_HEADER);
        assert_eq!(find("X-a").unwrap().as_deref(), Some("1"));
        assert_eq!(find("set-cookie").unwrap().as_deref(), Some("a"));
        let own = [("X-Own".to_owned(), "1".to_owned())];
        assert_eq!(answer.get_output_headers().unwrap(), own);
        assert_eq!(answer.get_output_buffer().length(), 0);
        assert!(answer.get_connection().is_none());
        assert!(answer.get_buffer_event().is_none());
        assert_eq!(answer.error(), None);
        note.note(body(answer));
        stop.stop().unwrap();
    });
    let request = request.unwrap();
    request.add_header("X-Own", "1", OUT).unwrap();
    request.get_output_buffer().add("in").unwrap();
    connection.make_request(&request, POST, "/x?y").unwrap();
    assert_eq!(request.get_command().unwrap(), POST);
    assert_eq!(request.get_uri().unwrap().as_deref(), Some("/x?y"));
    assert_eq!(request.get_connection().as_ref(), Some(&connection));
    until_stopped(&base);
    assert_eq!(seen.take(), ["abc"]);
    assert_eq!(request.get_response_code().unwrap(), 201); // after the callback, too
}

#[test]
fn under_way_a_request_cannot_be_changed_or_made() {
    let base = EventBase::new().unwrap();
    let (_socket, port) = crate::server::refusing();
    let connection = connect(&base, port);
    let (request, told) = request(&base);
    let body = request.get_output_buffer();
    body.add("abc").unwrap();
    connection.make_request(&request, POST, "/").unwrap();
    let under_way = |error: Error| {
        assert!(error.to_string().contains("under way"), "{error}");
    };
    under_way(connection.make_request(&request, GET, "/").unwrap_err());
    under_way(
        connect(&base, port)
            .make_request(&request, GET, "/")
            .unwrap_err(),
    );
    under_way(request.add_header("A", "b", OUT).unwrap_err());
    under_way(request.remove_header("Host", OUT).unwrap_err());
    under_way(request.clear_headers().unwrap_err());
    under_way(body.add("d").unwrap_err());
    under_way(request.get_input_buffer().drain(1).unwrap_err());
    until_stopped(&base);
    assert_eq!(told.take(), [Told::Answer(0, String::new())]);
    assert_eq!(body.length(), 3); // it was not sent
    body.add("d").unwrap();
}

#[test]
fn several_requests_go_one_after_the_other_over_one_connection() {
    let base = EventBase::new().unwrap();
    let server = serve(|listener| {
        let mut peer = Peer::accept(&listener);
        for name in ["a", "b", "c"] {
            assert!(peer.read_request().starts_with(&format!("GET /{name} ")));
            assert!(peer.pending_is_empty(), "sent ahead");
            peer.reply(name);
        }
        peer.end();
    });
    let connection = connect(&base, server.port());
    let log = Log::default();
    for name in ["a", "b"] {
        let request = noting(&log, name);
        connection
            .make_request(&request, GET, &format!("/{name}"))
            .unwrap();
    }
    let (last, told) = request(&base);
    connection.make_request(&last, GET, "/c").unwrap();
    until_stopped(&base);
    assert_eq!(log.take(), ["a 200", "b 200"]);
    assert_eq!(told.take(), [Told::Answer(200, "c".to_owned())]);
    drop(connection);
    server.done();
}

/// PHP keeps headers and body of the last answer, and libevent its state.
#[test]
fn finished_request_may_be_made_again_and_has_nothing_of_its_former_answer() {
    let base = EventBase::new().unwrap();
    let server = serve(|listener| {
        let mut peer = Peer::accept(&listener);
        let first = peer.read_request();
        assert!(first.ends_with("X-Own: 1\r\nHost: h\r\nContent-Length: 5\r\n\r\nfirst"));
        peer.write("HTTP/1.1 200 OK\r\nX-Old: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nold\r\n0\r\n\r\n");
        let second = peer.read_request();
        assert!(second.ends_with("X-Own: 1\r\nHost: h\r\nContent-Length: 2\r\n\r\n2."));
        peer.write("HTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\nnew");
        peer.end();
    });
    let connection = connect(&base, server.port());
    let (request, told) = request(&base);
    request.add_header("X-Own", "1", OUT).unwrap();
    request.add_header("Host", "h", OUT).unwrap();
    let output = request.get_output_buffer();
    for text in ["first", "2."] {
        output.add(text).unwrap();
        connection.make_request(&request, POST, "/").unwrap();
        until_stopped(&base);
    }
    let answer = |code, text: &str| Told::Answer(code, text.to_owned());
    assert_eq!(told.take(), [answer(200, "old"), answer(404, "new")]);
    let find = |key| {
        request
            .find_header(key, EventHttpRequest::INPUT_HEADER)
            .unwrap()
    };
    assert_eq!(
        (find("X-Old"), find("Content-Length")),
        (None, Some("3".to_owned()))
    );
    drop(connection);
    server.done();
}

#[test]
fn servers_request_cannot_be_made() {
    let base = EventBase::new().unwrap();
    let http = OVER.http(&base);
    let port = http.bind("127.0.0.1", 0).unwrap().port();
    let connection = connect(&base, port);
    let (other, log) = (connection.clone(), Log::default());
    let note = log.clone();
    http.set_default_callback(move |request| {
        let error = other.make_request(request, GET, "/").unwrap_err();
        note.note(error.to_string());
        let server_side = request.get_connection().unwrap();
        let error = server_side.set_retries(None).unwrap_err();
        note.note(error.to_string());
        assert_eq!(request.error(), None);
        request.free(); // does nothing
        request.send_reply(204, "None", None).unwrap();
    })
    .unwrap();
    let (request, told) = request(&base);
    connection.make_request(&request, GET, "/").unwrap();
    until_stopped(&base);
    assert_eq!(told.take(), [Told::Answer(204, String::new())]);
    let log = log.take();
    assert!(log[0].contains("server's request"), "{log:?}");
    assert!(log[1].contains("one of a server"), "{log:?}");
}

#[test]
fn expected_continue_sends_the_body_when_the_server_asks_for_it() {
    let base = EventBase::new().unwrap();
    let server = serve(|listener| {
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        assert!(peer.pending_is_empty());
        peer.write("HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(peer.read_exactly(4), b"body");
        peer.reply("ok");
        peer.end();
    });
    let connection = connect(&base, server.port());
    let (request, told) = request(&base);
    request.add_header("Expect", "100-continue", OUT).unwrap();
    request.get_output_buffer().add("body").unwrap();
    connection.make_request(&request, POST, "/").unwrap();
    until_stopped(&base);
    assert_eq!(told.take(), [Told::Answer(200, "ok".to_owned())]);
    drop(connection);
    server.done();
}

/// The body was announced: the server would take the next request for it.
#[test]
fn body_that_was_not_wanted_ends_the_connection() {
    let base = EventBase::new().unwrap();
    let server = serve(|listener| {
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        peer.write("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
        assert!(peer.await_close());
        let mut peer = Peer::accept(&listener);
        assert!(peer.read_request().starts_with("GET /2 "));
        peer.reply("ok");
        peer.end();
    });
    let connection = connect(&base, server.port());
    let (first, told) = request(&base);
    first.add_header("Expect", "100-continue", OUT).unwrap();
    first.get_output_buffer().add("body").unwrap();
    connection.make_request(&first, POST, "/1").unwrap();
    let (second, last) = request(&base);
    connection.make_request(&second, GET, "/2").unwrap();
    until_stopped(&base);
    assert_eq!(told.take(), [Told::Answer(417, String::new())]);
    until_stopped(&base);
    assert_eq!(last.take(), [Told::Answer(200, "ok".to_owned())]);
    drop(connection);
    server.done();
}
