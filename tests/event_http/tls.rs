//! `EventHttp` over TLS, against curl, openssl and clients that speak none.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;

use php_event::{
    BufferEventFlags, BufferEventOptions, Callbacks, Event, EventBase, EventBufferEvent, EventHttp,
    EventHttpConnection, EventHttpRequest, EventSslContext, HttpError,
};

use crate::transport::Transport;
use crate::{Server, buffer, error, get, say};
use test_support::tls::{Authority, Flooder, Folder};
use test_support::{dup, fill, poll, spawn, take_filling};

/// A server on a free port whose certificate is for `127.0.0.1`, and its authority's file.
fn https(folder: &Folder) -> (Server, PathBuf) {
    let authority = Authority::new();
    let files = authority.sign(&["127.0.0.1"]).save(folder, "server");
    let context = EventSslContext::new(
        EventSslContext::TLS_SERVER_METHOD,
        &[
            (EventSslContext::OPT_LOCAL_CERT, files.cert.as_path().into()),
            (EventSslContext::OPT_LOCAL_PK, files.key.as_path().into()),
        ],
    )
    .unwrap();
    let base = EventBase::new().unwrap();
    let http = EventHttp::with_ssl(&base, &context).unwrap();
    let address = http.bind("127.0.0.1", 0).unwrap();
    let server = Server {
        over: Transport::Tcp, // clients here bring their own TLS, or none
        base,
        http,
        address,
    };
    (server, authority.save(folder, "authority"))
}

/// What curl prints, and its exit code.
fn curl(server: &Server, arguments: &[&str], paths: &[&str]) -> (Option<i32>, String) {
    let mut all: Vec<String> = ["--silent", "--show-error", "--max-time", "20"]
        .map(String::from)
        .into();
    all.extend(arguments.iter().map(|argument| String::from(*argument)));
    all.extend(
        paths
            .iter()
            .map(|path| format!("https://{}{path}", server.address)),
    );
    server.serve(move |_| {
        let output = Command::new("curl").args(&all).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    })
}

#[test]
fn curl_gets_answers_over_one_connection_and_after_each_end() {
    let folder = Folder::new();
    let (server, authority) = https(&folder);
    let authority = authority.to_str().unwrap().to_owned();
    server
        .http
        .set_default_callback(|request| say(request, request.get_uri().unwrap().unwrap()))
        .unwrap();
    let trust = ["--cacert", &authority];
    assert_eq!(
        curl(&server, &trust, &["/one", "/two"]),
        (Some(0), "/one/two".to_owned())
    );
    for end in [
        ["--header", "Connection: close"],
        ["--http1.0", "--http1.0"],
    ] {
        let arguments = [&trust[..], &end[..]].concat();
        assert_eq!(
            curl(&server, &arguments, &["/end"]),
            (Some(0), "/end".to_owned())
        );
    }
    let (code, text) = curl(&server, &[], &["/"]);
    assert_eq!(code, Some(60), "an unknown authority is refused: {text}");
}

#[test]
fn body_that_ends_with_the_connection_comes_whole() {
    let folder = Folder::new();
    let (server, authority) = https(&folder);
    let authority = authority.to_str().unwrap().to_owned();
    let long = "0123456789".repeat(300_000);
    let sent = long.clone();
    server
        .http
        .set_default_callback(move |request| {
            request.send_reply_start(200, "OK").unwrap();
            request.send_reply_chunk(&buffer(&sent)).unwrap();
            request.send_reply_end().unwrap();
        })
        .unwrap();
    let arguments = ["--cacert", &authority, "--http1.0"];
    let (code, text) = curl(&server, &arguments, &["/"]);
    assert_eq!(code, Some(0), "{}", &text[text.len().min(long.len())..]);
    assert_eq!(text.len(), long.len());
    assert!(text == long);
}

#[test]
fn large_post_is_echoed_through_the_gate() {
    let folder = Folder::new();
    let (server, authority) = https(&folder);
    let authority = authority.to_str().unwrap().to_owned();
    server.http.set_max_body_size(None).unwrap();
    server
        .http
        .set_default_callback(|request| {
            let body = request.get_input_buffer();
            request.send_reply(200, "OK", Some(&body)).unwrap();
        })
        .unwrap();
    let long = "abcdefghij".repeat(500_000);
    let file = folder.write("body", &long);
    let data = format!("@{}", file.display());
    let arguments = ["--cacert", &authority, "--data-binary", &data];
    let (code, text) = curl(&server, &arguments, &["/"]);
    assert_eq!((code, text.len()), (Some(0), long.len()));
    assert!(text == long);
}

#[test]
fn malformed_request_over_tls_is_refused_by_the_gate_and_the_close_is_reported() {
    let folder = Folder::new();
    let (server, _authority) = https(&folder);
    server
        .http
        .set_default_callback(|request| say(request, "shown"))
        .unwrap();
    let (answer, errors) = server.serve(move |address| {
        let mut client = spawn(
            Command::new("openssl")
                .args(["s_client", "-quiet", "-connect", &address.to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
        )
        .unwrap();
        let mut stdin = client.stdin.take().unwrap();
        let two = b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\nHost: x\n\n";
        std::io::Write::write_all(&mut stdin, two).unwrap();
        let output = client.wait_with_output().unwrap(); // `-quiet` stays until the server ends
        drop(stdin);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout), text(&output.stderr))
    });
    let answers = answer.matches("HTTP/1.1 ").count();
    assert!(answer.contains("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("HTTP/1.1 400 Bad Request"), "{answer}");
    assert_eq!(answers, 2, "{answer}");
    assert!(!errors.contains("unexpected eof"), "{errors}");
}

#[test]
fn client_without_tls_is_cut_off_and_reaches_no_closure() {
    let folder = Folder::new();
    let (server, _authority) = https(&folder);
    server
        .http
        .set_default_callback(|_request| panic!("it is shown"))
        .unwrap();
    let answer = server.ask_all(get("/"));
    assert!(!answer.contains("HTTP/"), "{answer:?}");
}

#[test]
fn server_dropped_with_tls_connections_in_every_state_leaves_nothing() {
    let folder = Folder::new();
    let (server, _authority) = https(&folder);
    let address = server.address;
    let silent: Vec<_> = (0..3)
        .map(|_| std::net::TcpStream::connect(address).unwrap())
        .collect();
    std::io::Write::write_all(&mut &silent[0], b"\x16\x03\x01").unwrap(); // a handshake begins
    for _turn in 0..3 {
        test_support::poll(&server.base);
    }
    drop(server);
    for mut stream in silent {
        let mut rest = Vec::new();
        std::io::Read::read_to_end(&mut stream, &mut rest).ok(); // the end, or a reset
    }
}

#[test]
fn context_that_cannot_serve_is_refused() {
    let base = EventBase::new().unwrap();
    let client = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[]).unwrap();
    assert!(error(EventHttp::with_ssl(&base, &client)).starts_with("EventHttp::__construct: "));
    let bare = EventSslContext::new(EventSslContext::TLS_SERVER_METHOD, &[]).unwrap();
    assert!(error(EventHttp::with_ssl(&base, &bare)).contains("OPT_LOCAL_CERT"));
}

/// What a client's closure was shown: a status and a body, or nothing and why.
type Outcome = Result<(u16, String), Option<HttpError>>;

/// Makes requests with these bodies, one after the other, over one connection.
fn ask(server: &Server, context: &EventSslContext, bodies: &[&str]) -> Vec<Outcome> {
    let port = server.address.port();
    let connection =
        EventHttpConnection::with_ssl(&server.base, None, "127.0.0.1", port, context).unwrap();
    let outcomes: Rc<RefCell<Vec<Outcome>>> = Rc::default();
    let mut requests = Vec::new();
    for body in bodies {
        let (list, own) = (outcomes.clone(), Rc::new(RefCell::new(None)));
        let this: Rc<RefCell<Option<EventHttpRequest>>> = own.clone();
        let request = EventHttpRequest::new(move |answer| {
            list.borrow_mut().push(match answer {
                Some(answer) => {
                    let body = answer.get_input_buffer().read(usize::MAX).unwrap();
                    let text = String::from_utf8(body.unwrap_or_default()).unwrap();
                    Ok((answer.get_response_code().unwrap(), text))
                }
                None => Err(own.take().and_then(|request| request.error())),
            });
        })
        .unwrap();
        this.replace(Some(request.clone()));
        request.get_output_buffer().add(body).unwrap();
        connection
            .make_request(&request, EventHttpRequest::CMD_POST, "/")
            .unwrap();
        requests.push((request, this));
    }
    server.until(|| outcomes.borrow().len() == bodies.len());
    for (request, this) in requests {
        this.take();
        request.free();
    }
    outcomes.take()
}

/// One request failed, because the certificate was refused for this reason.
#[track_caller]
fn assert_refused(outcomes: &[Outcome], reason: &str) {
    let [Err(Some(HttpError::Tls(text)))] = outcomes else {
        panic!("{outcomes:?}");
    };
    assert!(text.contains(reason), "{text}");
}

fn trusting(authority: &Path) -> EventSslContext {
    let options = [(EventSslContext::OPT_CA_FILE, authority.into())];
    EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &options).unwrap()
}

#[test]
fn client_of_ours_makes_several_requests_over_one_connection() {
    let folder = Folder::new();
    let (server, authority) = https(&folder);
    let peers: Rc<RefCell<HashSet<u16>>> = Rc::default();
    let seen = peers.clone();
    let port = server.address.port();
    server
        .http
        .set_default_callback(move |request| {
            let (_, peer) = request.get_connection().unwrap().get_peer().unwrap();
            seen.borrow_mut().insert(peer);
            let host = request
                .find_header("Host", EventHttpRequest::INPUT_HEADER)
                .unwrap();
            assert_eq!(host, Some(format!("127.0.0.1:{port}")));
            let body = request.get_input_buffer();
            request.send_reply(200, "OK", Some(&body)).unwrap();
        })
        .unwrap();
    let long = "x".repeat(1 << 20);
    let outcomes = ask(&server, &trusting(&authority), &["one", &long, "three"]);
    let expected = [
        Ok((200, "one".into())),
        Ok((200, long)),
        Ok((200, "three".into())),
    ];
    assert!(outcomes == expected);
    assert_eq!(peers.borrow().len(), 1, "one connection");
}

#[test]
fn client_of_ours_refuses_an_unknown_authority_and_another_host() {
    let folder = Folder::new();
    let (server, _authority) = https(&folder);
    server
        .http
        .set_default_callback(|_request| panic!("it is shown"))
        .unwrap();
    let stranger = Authority::new().save(&folder, "stranger");
    let outcomes = ask(&server, &trusting(&stranger), &["secret"]);
    assert_refused(&outcomes, "unable to get local issuer");

    let authority = Authority::new();
    let files = authority.sign(&["example.com"]).save(&folder, "other");
    let other = EventSslContext::new(
        EventSslContext::TLS_SERVER_METHOD,
        &[(EventSslContext::OPT_LOCAL_CERT, files.both.as_path().into())],
    )
    .unwrap();
    let http = EventHttp::with_ssl(&server.base, &other).unwrap();
    let address = http.bind("127.0.0.1", 0).unwrap();
    http.set_default_callback(|_request| panic!("it is shown"))
        .unwrap();
    let server = Server {
        over: Transport::Tcp, // clients here bring their own TLS, or none
        base: server.base.clone(),
        http,
        address,
    };
    let context = trusting(&authority.save(&folder, "authority of the other"));
    let outcomes = ask(&server, &context, &["secret"]);
    assert_refused(&outcomes, "IP address mismatch");
    context.set_verify_host(false).unwrap();
    server
        .http
        .set_default_callback(|request| say(request, "shown"))
        .unwrap();
    assert_eq!(
        ask(&server, &context, &["not so secret"]),
        [Ok((200, "shown".to_owned()))]
    );
}

#[test]
fn client_of_ours_is_refused_where_nobody_listens_and_a_server_context_is_none_for_it() {
    let folder = Folder::new();
    let (server, authority) = https(&folder);
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let nobody = Server {
        over: Transport::Tcp, // clients here bring their own TLS, or none
        base: server.base.clone(),
        http: server.http.clone(),
        address,
    };
    let outcomes = ask(&nobody, &trusting(&authority), &[""]);
    assert_eq!(outcomes, [Ok((0, String::new()))], "as in PHP");

    let context = EventSslContext::new(EventSslContext::TLS_SERVER_METHOD, &[]).unwrap();
    let refused = EventHttpConnection::with_ssl(&server.base, None, "127.0.0.1", 1, &context);
    assert!(error(refused).contains("TLS_CLIENT_METHOD"));
}

#[test]
fn client_of_ours_gets_a_page_from_openssls_own_server() {
    let folder = Folder::new();
    let authority = Authority::new();
    let files = authority.sign(&["127.0.0.1"]).save(&folder, "server");
    let mut openssl = spawn(
        Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-www", "-cert"])
            .arg(&files.cert)
            .arg("-key")
            .arg(&files.key)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null()),
    )
    .unwrap();
    let mut lines = BufReader::new(openssl.stdout.take().unwrap()).lines();
    let accept = lines
        .find_map(|line| line.unwrap().strip_prefix("ACCEPT ").map(str::to_owned))
        .unwrap();
    let base = EventBase::new().unwrap();
    let server = Server {
        over: Transport::Tcp, // clients here bring their own TLS, or none
        http: EventHttp::new(&base).unwrap(),
        address: accept.parse().unwrap(),
        base,
    };
    let context = trusting(&authority.save(&folder, "authority"));
    let connection = EventHttpConnection::with_ssl(
        &server.base,
        None,
        "127.0.0.1",
        server.address.port(),
        &context,
    )
    .unwrap();
    let page: Rc<RefCell<Option<String>>> = Rc::default();
    let got = page.clone();
    let request = EventHttpRequest::new(move |answer| {
        let body = answer.unwrap().get_input_buffer().read(usize::MAX).unwrap();
        got.replace(Some(String::from_utf8(body.unwrap()).unwrap()));
    })
    .unwrap();
    connection
        .make_request(&request, EventHttpRequest::CMD_GET, "/")
        .unwrap();
    server.until(|| page.borrow().is_some());
    openssl.kill().unwrap();
    openssl.wait().unwrap();
    assert!(page.take().unwrap().contains("s_server -accept"));
}

/// A connection of a client that sees how the session ends, and the events that it reports.
fn watching(server: &Server, request: &str) -> (EventBufferEvent, Rc<RefCell<Vec<u8>>>, Ends) {
    let options = [(EventSslContext::OPT_VERIFY_PEER, false.into())];
    let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &options).unwrap();
    let (connecting, none) = (
        EventBufferEvent::SSL_CONNECTING,
        BufferEventOptions::empty(),
    );
    let socket = TcpStream::connect(server.address).unwrap();
    let client =
        EventBufferEvent::ssl_socket(&server.base, socket, &context, connecting, none).unwrap();
    let (answer, ends) = (Rc::new(RefCell::new(Vec::new())), Ends::default());
    let (all, end) = (answer.clone(), ends.clone());
    let watches = Callbacks::new()
        .on_read(move |bev| {
            let bytes = bev.read(usize::MAX).unwrap().unwrap_or_default();
            all.borrow_mut().extend(bytes);
        })
        .on_event(move |_, what| {
            if what != EventBufferEvent::CONNECTED {
                end.borrow_mut().push(what);
            }
        });
    client.set_callbacks(watches).unwrap();
    client.enable(Event::READ).unwrap();
    client.write(request).unwrap();
    (client, answer, ends)
}

type Ends = Rc<RefCell<Vec<BufferEventFlags>>>;

const CLEAN: BufferEventFlags = EventBufferEvent::READING.union(EventBufferEvent::EOF);
const CUT: BufferEventFlags = EventBufferEvent::READING.union(EventBufferEvent::ERROR);

/// A server that answers the first request.
fn answering(folder: &Folder) -> Server {
    let (server, _) = https(folder);
    let answer = "read with all that is sent behind the handshake";
    let says = move |request: &EventHttpRequest| say(request, answer);
    server.http.set_default_callback(says).unwrap();
    server
}

/// Fills the socket of a request, and ends its connection. Gives the number of bytes.
fn fill_and_close(request: &EventHttpRequest) -> usize {
    let fd = request.get_buffer_event().unwrap().fd().unwrap();
    let filling = fill(dup(fd));
    request.close_connection().unwrap();
    filling
}

#[test]
fn a_connection_that_ends_with_a_full_socket_sends_close_notify_when_the_client_reads() {
    let folder = Folder::new();
    let server = answering(&folder);
    let filling = Rc::new(Cell::new(0));
    let count = filling.clone();
    let fills = move |request: &EventHttpRequest| count.set(fill_and_close(request));
    server.http.set_callback("/fill", fills).unwrap();
    let (client, answer, ends) = watching(&server, &get("/first"));
    server.until(|| answer.borrow().ends_with(b"the handshake"));
    client.disable(Event::READ).unwrap(); // what fills the socket is not TLS
    client.write(get("/fill")).unwrap();
    server.until(|| filling.get() > 0);
    for _ in 0..5 {
        poll(&server.base);
    }
    assert_eq!(*ends.borrow(), []);
    take_filling(dup(client.fd().unwrap()), filling.get());
    client.enable(Event::READ).unwrap();
    server.until(|| !ends.borrow().is_empty());
    assert_eq!(*ends.borrow(), [CLEAN]);
}

/// What the client still sends stays unread. A socket that is closed then is reset, and what it
/// has not sent yet is lost.
#[test]
fn a_connection_that_ends_with_a_full_socket_reads_on_after_its_close_notify() {
    let folder = Folder::new();
    let server = answering(&folder);
    let filling = Rc::new(Cell::new(0));
    let count = filling.clone();
    let fills = move |request: &EventHttpRequest| count.set(fill_and_close(request));
    let stream = server.http.set_stream_callback("/fill", None, fills);
    stream.unwrap();
    let (client, answer, ends) = watching(&server, &get("/first"));
    server.until(|| answer.borrow().ends_with(b"the handshake"));
    client.disable(Event::READ).unwrap(); // what fills the socket is not TLS
    let post = "POST /fill HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nbegun";
    client.write(post).unwrap();
    server.until(|| filling.get() > 0);
    poll(&server.base);
    client.write("more").unwrap();
    let socket = client.fd().unwrap();
    let mut left = filling.get();
    while left > 0 {
        poll(&server.base);
        let part = left.min(1 << 16);
        take_filling(dup(socket), part);
        left -= part;
    }
    client.enable(Event::READ).unwrap();
    server.until(|| !ends.borrow().is_empty());
    assert_eq!(*ends.borrow(), [CLEAN]);
}

#[test]
fn a_client_can_tell_a_reply_that_was_cut_short() {
    type Cut = fn(&EventHttpRequest);
    let cuts: [(&str, Cut); 3] = [
        ("closed", |request| request.close_connection().unwrap()),
        ("dropped", |_| {}),
        ("closed with output", |request| {
            request.send_reply_chunk(&buffer("x".repeat(9))).unwrap();
            request.close_connection().unwrap();
        }),
    ];
    for (name, cut) in cuts {
        let folder = Folder::new();
        let (server, _) = https(&folder);
        let kept = Rc::new(RefCell::new(None));
        let keep = kept.clone();
        let streams = move |request: &EventHttpRequest| {
            request.send_reply_start(200, "OK").unwrap();
            request.send_reply_chunk(&buffer("the beginning")).unwrap();
            keep.replace(Some(request.clone()));
        };
        server.http.set_default_callback(streams).unwrap();
        // Without chunks, the end of the connection is the end of the body.
        let (_client, answer, ends) = watching(&server, "GET / HTTP/1.0\r\n\r\n");
        server.until(|| answer.borrow().ends_with(b"the beginning"));
        cut(&kept.take().unwrap());
        server.until(|| !ends.borrow().is_empty());
        assert_eq!(*ends.borrow(), [CUT], "{name}");
    }
}

#[test]
fn a_client_is_told_that_a_reply_without_a_length_is_whole() {
    let folder = Folder::new();
    let (server, _) = https(&folder);
    let streams = move |request: &EventHttpRequest| {
        request.send_reply_start(200, "OK").unwrap();
        request.send_reply_chunk(&buffer("all of it")).unwrap();
        request.send_reply_end().unwrap();
    };
    server.http.set_default_callback(streams).unwrap();
    let (_client, answer, ends) = watching(&server, "GET / HTTP/1.0\r\n\r\n");
    server.until(|| !ends.borrow().is_empty());
    assert!(answer.borrow().ends_with(b"all of it"));
    assert_eq!(*ends.borrow(), [CLEAN]);
}

#[test]
fn client_that_changes_its_keys_without_end_leaves_turns_to_others() {
    let folder = Folder::new();
    let (server, _) = https(&folder);
    let asked = Rc::new(Cell::new(false));
    let note = asked.clone();
    let answer = move |request: &EventHttpRequest| {
        note.set(true);
        say(request, "hello");
    };
    server.http.set_default_callback(answer).unwrap();
    let client = Flooder::client(TcpStream::connect(server.address).unwrap());
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    client.flood(&server.base, request, || asked.get());
}
