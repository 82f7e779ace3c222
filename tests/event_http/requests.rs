//! What a request says of itself, and its headers.

use std::cell::RefCell;
use std::rc::Rc;

use super::OVER;
use crate::{Server, error, get, say};
use php_event::{
    Callbacks, Event, EventBuffer, EventBufferEvent, EventHttpRequest, HeaderSide, HttpMethods,
};

pub(crate) const INPUT: php_event::HeaderSide = EventHttpRequest::INPUT_HEADER;
const OUTPUT: php_event::HeaderSide = EventHttpRequest::OUTPUT_HEADER;

/// What `look` makes of the request that these bytes are.
fn seen<T: 'static>(bytes: &str, look: impl Fn(&EventHttpRequest) -> T + 'static) -> T {
    let found = Rc::new(RefCell::new(None));
    let result = found.clone();
    let server = Server::with(OVER, move |request| {
        result.replace(Some(look(request)));
        say(request, "");
    });
    server.http.set_allowed_methods(HttpMethods::all()).unwrap();
    assert_eq!(server.ask(bytes).status, 200);
    found.take().unwrap()
}

#[test]
fn the_method_is_one_of_the_constants() {
    for (method, command) in [
        ("GET", EventHttpRequest::CMD_GET),
        ("POST", EventHttpRequest::CMD_POST),
        ("PUT", EventHttpRequest::CMD_PUT),
        ("DELETE", EventHttpRequest::CMD_DELETE),
        ("OPTIONS", EventHttpRequest::CMD_OPTIONS),
        ("TRACE", EventHttpRequest::CMD_TRACE),
        ("PATCH", EventHttpRequest::CMD_PATCH),
    ] {
        let request = format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(
            seen(&request, |request| request.get_command().unwrap()),
            command
        );
    }
}

#[test]
fn the_constants_have_php_s_values() {
    let values = [
        EventHttpRequest::CMD_GET,
        EventHttpRequest::CMD_POST,
        EventHttpRequest::CMD_HEAD,
        EventHttpRequest::CMD_PUT,
        EventHttpRequest::CMD_DELETE,
        EventHttpRequest::CMD_OPTIONS,
        EventHttpRequest::CMD_TRACE,
        EventHttpRequest::CMD_CONNECT,
        EventHttpRequest::CMD_PATCH,
    ];
    assert_eq!(
        values.map(|value| value.bits()),
        [1, 2, 4, 8, 16, 32, 64, 128, 256]
    );
    assert_eq!([INPUT as u8, OUTPUT as u8], [1, 2]);
}

#[test]
fn the_uri_is_the_target_as_it_was_sent() {
    for target in [
        "/a%20b?q=1",
        "/",
        "/?",
        "http://x/a?b",
        "/%C3%A9",
        "//x//y?//",
        "/%2Fx//y",
        "/%2fx",
        "//",
    ] {
        let uri = seen(&get(target), |request| request.get_uri().unwrap());
        assert_eq!(uri.as_deref(), Some(target));
    }
    let options = "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(
        seen(options, |request| request.get_uri().unwrap()).as_deref(),
        Some("*")
    );
}

#[test]
fn the_host_is_without_its_port_and_the_target_s_before_the_header_s() {
    for (host, wanted) in [
        ("example.com", "example.com"),
        ("Example.COM:8080", "Example.COM"),
        ("[::1]", "[::1]"),
        ("[::1]:80", "[::1]"),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let found = seen(&request, |request| request.get_host().unwrap());
        assert_eq!(found.as_deref(), Some(wanted), "{host}");
    }
    let found = seen(&get("http://other/"), |request| request.get_host().unwrap());
    assert_eq!(found.as_deref(), Some("other"));
}

/// In PHP any client ends the process so.
#[test]
fn a_request_of_http_1_0_without_a_host_has_none() {
    let found = seen("GET / HTTP/1.0\r\n\r\n", |request| {
        request.get_host().unwrap()
    });
    assert_eq!(found, None);
}

#[test]
fn the_response_code_is_0_before_the_reply_and_the_status_after_it() {
    let server = Server::with(OVER, |request| {
        assert_eq!(request.get_response_code().unwrap(), 0);
        request.send_reply(204, "No Content", None).unwrap();
        assert_eq!(request.get_response_code().unwrap(), 204);
    });
    assert_eq!(server.ask(get("/")).status, 204);
}

#[test]
fn headers_keep_their_order_their_case_and_their_doubles() {
    let request = "GET / HTTP/1.1\r\nHost: x\r\nb:  1\t\r\nA: 2\r\nB: 3\r\nb:\r\n\r\n";
    let headers = seen(request, |request| request.get_input_headers().unwrap());
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| [name.as_str(), value])
        .collect();
    assert_eq!(
        headers,
        [["Host", "x"], ["b", "1"], ["A", "2"], ["B", "3"], ["b", ""]]
    );
}

#[test]
fn bytes_that_are_not_utf_8_are_read_as_latin_1() {
    let latin = "GET / HTTP/1.1\r\nHost: x\r\nA: caf\u{e9}\r\nB: \u{e9}\r\n\r\n";
    let found = Rc::new(RefCell::new(None));
    let result = found.clone();
    let server = Server::with(OVER, move |request| {
        let header = |name| request.find_header(name, INPUT).unwrap().unwrap();
        result.replace(Some([header("A"), header("B")]));
        say(request, "");
    });
    let bytes: Vec<u8> = latin
        .chars()
        .flat_map(|char| match char {
            '\u{e9}' => vec![0xe9],
            char => char.to_string().into_bytes(),
        })
        .collect();
    assert_eq!(server.ask(bytes).status, 200);
    assert_eq!(found.take().unwrap(), ["café", "é"]);
    let utf = seen("GET / HTTP/1.1\r\nHost: x\r\nA: é\r\n\r\n", |request| {
        request.find_header("a", INPUT).unwrap()
    });
    assert_eq!(utf.as_deref(), Some("é"));
}

#[test]
fn header_bytes_are_what_came_whatever_their_encoding() {
    let found = Rc::new(RefCell::new(Vec::new()));
    let result = found.clone();
    let server = Server::with(OVER, move |request| {
        result.replace(request.header_bytes(INPUT).unwrap());
        let value = request.find_header_bytes("latin", INPUT).unwrap();
        assert_eq!(value.as_deref(), Some(&b"\xe9"[..]));
        assert_eq!(request.find_header_bytes("none", INPUT).unwrap(), None);
        assert!(request.find_header_bytes("no name", INPUT).is_err());
        say(request, "");
    });
    let request = b"GET / HTTP/1.1\r\nHost: x\r\nLatin: \xe9\r\nUtf: \xc3\xa9\r\n\r\n";
    assert_eq!(server.ask(request).status, 200);
    let expected = [
        ("Host", &b"x"[..]),
        ("Latin", b"\xe9"),
        ("Utf", b"\xc3\xa9"),
    ];
    assert_eq!(
        found.take(),
        expected.map(|(name, value)| (name.to_owned(), value.to_vec()))
    );
}

#[test]
fn find_header_gives_the_first_whatever_its_case() {
    let request = "GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\na: 2\r\n\r\n";
    let found = seen(request, |request| {
        request.add_header("Own", "o", OUTPUT).unwrap();
        [
            request.find_header("a", INPUT).unwrap(),
            request.find_header("B", INPUT).unwrap(),
            request.find_header("a", OUTPUT).unwrap(),
            request.find_header("OWN", OUTPUT).unwrap(),
        ]
    });
    let found: Vec<_> = found.iter().map(Option::as_deref).collect();
    assert_eq!(found, [Some("1"), None, None, Some("o")]);
}

#[test]
fn headers_that_were_added_are_all_sent_in_their_order() {
    let server = Server::with(OVER, |request| {
        request.add_header("Set-Cookie", "a=1", OUTPUT).unwrap();
        request.add_header("X", "é\t,", OUTPUT).unwrap();
        request
            .add_header("set-cookie", String::from("b=2"), OUTPUT)
            .unwrap();
        assert_eq!(request.get_output_headers().unwrap().len(), 3);
        say(request, "");
    });
    let answer = server.ask(get("/"));
    let names: Vec<_> = answer
        .headers
        .iter()
        .map(|header| header.0.as_str())
        .collect();
    let added = [
        "Set-Cookie",
        "X",
        "set-cookie",
        "Date",
        "Content-Length",
        "Content-Type",
    ];
    assert_eq!(names, added);
    assert_eq!(answer.header("X"), Some("é\t,"));
    assert_eq!(
        answer.header("Content-Type"),
        Some("text/html; charset=ISO-8859-1")
    );
}

#[test]
fn headers_of_one_s_own_take_the_place_of_those_added_by_themselves() {
    let server = Server::with(OVER, |request| {
        for (name, value) in [
            ("Date", "today"),
            ("Content-Type", "a/b"),
            ("content-length", "2"),
        ] {
            request.add_header(name, value, OUTPUT).unwrap();
        }
        say(request, "ab");
    });
    let answer = server.ask(get("/"));
    assert_eq!(answer.headers.len(), 3);
    assert_eq!(answer.body, "ab");
}

#[test]
fn a_header_that_would_end_its_line_or_is_no_name_is_refused() {
    let errors = seen(&get("/"), |request| {
        let add = |name: &str, value: &str| error(request.add_header(name, value, OUTPUT));
        let errors = [
            add("", "a"),
            add("A:", "a"),
            add("A B", "a"),
            add("A\r\nB", "a"),
            add("A\0", "a"),
            add("é", "a"),
            add("A", "a\r\nB: c"),
            add("A", "a\r\n b"),
            add("A", "a\nb"),
            add("A", "a\rb"),
            add("A", "a\0b"),
            add("A", "\u{1b}[m"),
            add("A", "\u{7f}"),
        ];
        assert_eq!(request.get_output_headers().unwrap(), []);
        errors
    });
    assert!(errors.iter().all(|text| {
        text.starts_with("EventHttpRequest::addHeader: the header value ")
            || text.contains("is not a header name")
    }));
    assert_eq!(
        errors[0],
        "EventHttpRequest::addHeader: \"\" is not a header name: give letters, digits and dashes"
    );
    assert_eq!(
        errors[6],
        "EventHttpRequest::addHeader: the header value \"a\\r\\nB: c\" holds the control byte 0x0d"
    );
}

#[test]
fn an_invalid_header_name_is_refused_in_lookups_too() {
    seen(&get("/"), |request| {
        let text = error(request.find_header("a b", INPUT));
        assert!(
            text.starts_with("EventHttpRequest::findHeader: \"a b\" is no"),
            "{text}"
        );
        let text = error(request.remove_header("a\0", OUTPUT));
        assert!(
            text.starts_with("EventHttpRequest::removeHeader: \"a\\0\" is no"),
            "{text}"
        );
    });
}

#[test]
fn remove_header_takes_the_first_and_says_whether_there_was_one() {
    let server = Server::with(OVER, |request| {
        for value in ["1", "2"] {
            request.add_header("A", value, OUTPUT).unwrap();
        }
        assert!(request.remove_header("a", OUTPUT).unwrap());
        assert!(!request.remove_header("b", OUTPUT).unwrap());
        assert!(request.remove_header("host", INPUT).unwrap());
        assert_eq!(request.get_input_headers().unwrap(), []);
        request.add_header("New", "in", INPUT).unwrap();
        assert_eq!(
            request.find_header("new", INPUT).unwrap().as_deref(),
            Some("in")
        );
        say(request, "");
    });
    assert_eq!(server.ask(get("/")).header("A"), Some("2"));
}

#[test]
fn clear_headers_takes_those_of_the_answer_only() {
    let server = Server::with(OVER, |request| {
        request.add_header("A", "1", OUTPUT).unwrap();
        request.clear_headers().unwrap();
        assert_eq!(request.get_input_headers().unwrap().len(), 1);
        say(request, "");
    });
    assert_eq!(server.ask(get("/")).header("A"), None);
}

#[test]
fn sent_headers_cannot_be_changed() {
    let server = Server::with(OVER, |request| {
        request.send_reply_start(200, "OK").unwrap();
        let out = "the headers of the reply have gone out already";
        let text = error(request.add_header("A", "b", OUTPUT));
        assert_eq!(text, format!("EventHttpRequest::addHeader: {out}"));
        let text = error(request.remove_header("A", OUTPUT));
        assert_eq!(text, format!("EventHttpRequest::removeHeader: {out}"));
        assert_eq!(
            error(request.clear_headers()),
            format!("EventHttpRequest::clearHeaders: {out}")
        );
        request.add_header("A", "b", INPUT).unwrap();
        request.send_reply_end().unwrap();
    });
    assert_eq!(server.ask(get("/")).status, 200);
}

#[test]
fn clones_are_the_same_request() {
    seen(&get("/"), |request| {
        let clone = request.clone();
        assert!(clone == *request);
        clone.add_header("A", "b", OUTPUT).unwrap();
        assert_eq!(request.get_output_headers().unwrap().len(), 1);
        assert!(clone.get_connection() == request.get_connection());
    });
}

#[test]
fn the_connection_knows_its_peer() {
    let server = Server::with(OVER, |request| {
        let (address, port) = request.get_connection().unwrap().get_peer().unwrap();
        say(request, format!("{address}:{port}"));
    });
    let (body, own) = server.serve(|address| {
        let mut client = crate::Client::new(OVER, address);
        client.send(get("/"));
        (client.answer().body, client.address().to_string())
    });
    assert_eq!(body, own);
}

#[test]
fn the_buffer_event_can_be_looked_at_and_nothing_else() {
    seen(&(get("/") + &get("/ahead")), |request| {
        if request.get_uri().unwrap().as_deref() == Some("/ahead") {
            return;
        }
        let bev = request.get_buffer_event().unwrap();
        assert!(request.get_buffer_event().is_some_and(|again| again == bev));
        assert!(bev.fd().is_some());
        assert_eq!(bev.get_enabled().unwrap(), php_event::EventFlags::empty());
        let (input, output) = (bev.input(), bev.output());
        assert_eq!(input.substr(0, Some(10)).unwrap(), b"GET /ahead");
        assert_eq!(output.length(), 0);
        let own = EventBuffer::new().unwrap();
        own.add("x").unwrap();
        let refused = [
            error(bev.enable(Event::READ)),
            error(bev.enable(Event::WRITE)),
            error(bev.disable(Event::READ)),
            error(bev.set_callbacks(Callbacks::new().on_read(|_| {}))),
            error(bev.set_watermark(Event::READ, 0, 1)),
            error(bev.set_timeouts(None, None)),
            error(bev.set_priority(0)),
            error(bev.set_rate_limit(None)),
            error(bev.write("x")),
            error(bev.write_buffer(&own)),
            error(bev.read(1)),
            error(bev.read_buffer(&own)),
            error(bev.flush(Event::READ, php_event::FlushMode::Normal)),
            error(bev.close()),
            error(bev.connect("127.0.0.1:1")),
            error(EventBufferEvent::create_filter(
                &bev,
                php_event::Filters::new(),
                php_event::BufferEventOptions::empty(),
            )),
            error(input.drain(1)),
            error(input.read(1)),
            error(input.read_line(EventBuffer::EOL_CRLF)),
            error(input.prepend("x")),
            error(input.add("x")),
            error(input.unfreeze(false)),
            error(own.add_buffer(&input)),
            error(output.add("x")),
            error(output.prepend("x")),
            error(output.add_buffer(&own)),
            error(output.unfreeze(true)),
            error(output.add_reference(*b"x")),
        ];
        for text in &refused {
            let state = [
                "belongs to an HTTP connection",
                "socket of its own",
                "is on top of it",
                "no descriptor to close",
            ];
            assert!(state.iter().any(|why| text.contains(why)), "{text}");
        }
        assert_eq!(own.length(), 1);
        bev.free();
        assert_eq!(
            error(bev.get_enabled()),
            "EventBufferEvent::getEnabled: the buffer event was already freed"
        );
        assert!(request.get_buffer_event().is_some(), "another view");
    });
}

/// Only Valgrind and ASan see it: libevent would tell a freed object of the next requests' bytes.
#[test]
fn a_mark_that_was_refused_is_not_met_by_later_requests() {
    let server = Server::new(OVER);
    let mark = |request: &EventHttpRequest| {
        let bev = request.get_buffer_event().unwrap();
        bev.set_watermark(Event::READ, 0, 100_000).unwrap_err();
        say(request, "refused");
    };
    server.http.set_default_callback(mark).unwrap();
    let bodies = server.serve(|address| {
        let mut client = crate::Client::new(OVER, address);
        [(); 3].map(|()| {
            client.send(get("/"));
            client.answer().body
        })
    });
    assert_eq!(bodies, ["refused"; 3]);
}

#[test]
fn a_buffer_event_kept_after_its_connection_is_as_freed() {
    let server = Server::new(OVER);
    let kept = Rc::new(RefCell::new(None));
    let list = kept.clone();
    let keep = move |request: &EventHttpRequest| {
        list.replace(request.get_buffer_event());
        request.send_error(500, None).unwrap();
    };
    server.http.set_default_callback(keep).unwrap();
    assert_eq!(server.ask(get("/")).status, 500);
    let bev = kept.take().unwrap();
    assert_eq!(bev.fd(), None);
    assert_eq!((bev.input().length(), bev.output().length()), (0, 0));
    assert_eq!(
        error(bev.get_enabled()),
        "EventBufferEvent::getEnabled: the buffer event was already freed"
    );
}

/// A header's value that answers the request when it is read.
struct Answering<'a>(&'a EventHttpRequest);

impl AsRef<[u8]> for Answering<'_> {
    fn as_ref(&self) -> &[u8] {
        say(self.0, "early");
        b"late"
    }
}

#[test]
fn a_value_that_answers_its_request_when_it_is_read_is_refused() {
    let server = Server::with(OVER, |request| {
        let late = request.add_header("A", Answering(request), HeaderSide::Output);
        let reason = "the headers of the reply have gone out already";
        assert_eq!(
            error(late),
            format!("EventHttpRequest::addHeader: {reason}")
        );
    });
    assert_eq!(server.ask(get("/")).body, "early");
}
