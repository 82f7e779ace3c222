//! A client and a server made by hand, step by step.

use std::cell::RefCell;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use php_event::{
    BufferEventFlags, BufferEventOptions, Callbacks, Event, EventBase, EventBufferEvent,
    EventSslContext,
};

use test_support::run;
use test_support::tls::{Folder, Identity};

#[test]
fn bytes_go_both_ways_and_the_end_is_reported() {
    let base = EventBase::new().unwrap();
    let folder = Folder::new();
    let identity = Identity::self_signed(&["localhost"]);
    let files = identity.save(&folder, "server");
    let server = EventSslContext::new(
        EventSslContext::TLS_SERVER_METHOD,
        &[
            (EventSslContext::OPT_LOCAL_CERT, files.cert.as_path().into()),
            (EventSslContext::OPT_LOCAL_PK, files.key.as_path().into()),
        ],
    )
    .unwrap();
    let client = EventSslContext::new(
        EventSslContext::TLS_CLIENT_METHOD,
        &[(EventSslContext::OPT_CA_FILE, files.cert.as_path().into())],
    )
    .unwrap();
    let (one, other) = UnixStream::pair().unwrap();
    let options = BufferEventOptions::empty();
    let server = EventBufferEvent::ssl_socket(
        &base,
        one,
        &server,
        EventBufferEvent::SSL_ACCEPTING,
        options,
    )
    .unwrap();
    let client = EventBufferEvent::ssl_socket(
        &base,
        other,
        &client,
        EventBufferEvent::SSL_CONNECTING,
        options,
    )
    .unwrap();
    client.set_ssl_host("localhost").unwrap();
    let seen: Rc<RefCell<Vec<(&str, BufferEventFlags)>>> = Rc::default();
    let events = seen.clone();
    server
        .set_callbacks(
            Callbacks::new()
                .on_read(|bev| bev.write_buffer(&bev.input()).unwrap())
                .on_event(move |bev, what| {
                    events.borrow_mut().push(("server", what));
                    println!("server {what:?} {:?}", bev.ssl_error());
                    if what != EventBufferEvent::CONNECTED {
                        bev.free();
                    }
                }),
        )
        .unwrap();
    let events = seen.clone();
    client
        .set_callbacks(
            Callbacks::new()
                .on_read(|bev| {
                    assert_eq!(bev.read(10).unwrap().as_deref(), Some(&b"hello"[..]));
                    bev.free();
                })
                .on_event(move |bev, what| {
                    events.borrow_mut().push(("client", what));
                    println!(
                        "client {what:?} {:?} {:?}",
                        bev.ssl_error(),
                        bev.ssl_get_protocol()
                    );
                }),
        )
        .unwrap();
    server.enable(Event::READ).unwrap();
    client.enable(Event::READ).unwrap();
    client.write("hello").unwrap();
    run(&base);
    assert_eq!(
        *seen.borrow(),
        [
            ("client", EventBufferEvent::CONNECTED),
            ("server", EventBufferEvent::CONNECTED),
            ("server", EventBufferEvent::READING | EventBufferEvent::EOF),
        ]
    );
}
