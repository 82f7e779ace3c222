//! Constructors, options, properties, JSON, and a base that is gone.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::rc::Rc;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use php_event::{
    BufferEventOptions, Callbacks, Error, Event, EventBase, EventBufferEvent, FlushMode,
};

use super::{BOTH, PLAIN, argument, connected, refused, send, sockets, state, with_options};
use test_support::{new_base, poll};

#[test]
fn the_constants_have_the_numbers_of_php() {
    let events = [
        EventBufferEvent::READING,
        EventBufferEvent::WRITING,
        EventBufferEvent::EOF,
        EventBufferEvent::ERROR,
        EventBufferEvent::TIMEOUT,
        EventBufferEvent::CONNECTED,
    ];
    assert_eq!(events.map(|event| event.bits()), [1, 2, 16, 32, 64, 128]);
    let options = [
        EventBufferEvent::OPT_CLOSE_ON_FREE,
        EventBufferEvent::OPT_THREADSAFE,
        EventBufferEvent::OPT_DEFER_CALLBACKS,
        EventBufferEvent::OPT_UNLOCK_CALLBACKS,
    ];
    assert_eq!(options.map(|option| option.bits()), [1, 2, 4, 8]);
}

#[test]
fn a_new_one_writes_and_does_not_read_and_its_socket_does_not_block() {
    let base = new_base();
    let (ours, _theirs) = sockets();
    let (fd, shared) = (ours.as_raw_fd(), Rc::new(ours));
    assert!(!flags(&shared).contains(OFlag::O_NONBLOCK));
    let bev = EventBufferEvent::new(&base, shared.clone(), PLAIN).unwrap();
    assert!(flags(&shared).contains(OFlag::O_NONBLOCK));
    assert_eq!(bev.get_enabled().unwrap().bits(), 4);
    assert_eq!(bev.fd(), Some(fd));
    assert_eq!(bev.priority().unwrap(), 0);
    assert_eq!(bev.get_dns_error_string().unwrap(), None);
    assert_eq!((bev.input().length(), bev.output().length()), (0, 0));
}

fn flags(file: &impl std::os::fd::AsFd) -> OFlag {
    OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL).unwrap())
}

#[test]
fn impossible_options_are_refused_by_every_constructor() {
    let base = new_base();
    let (under, _peer) = connected(&base);
    let threadsafe = EventBufferEvent::OPT_THREADSAFE | EventBufferEvent::OPT_CLOSE_ON_FREE;
    for (options, words) in [
        (threadsafe, "OPT_THREADSAFE"),
        (
            EventBufferEvent::OPT_UNLOCK_CALLBACKS,
            "OPT_DEFER_CALLBACKS",
        ),
    ] {
        let made = EventBufferEvent::new(&base, sockets().0, options);
        refused(made, argument, words);
        refused(
            EventBufferEvent::unconnected(&base, options),
            argument,
            words,
        );
        refused(
            EventBufferEvent::create_pair(&base, options),
            argument,
            words,
        );
        let filter = EventBufferEvent::create_filter(&under, Default::default(), options);
        refused(filter, argument, words);
    }
    let all = EventBufferEvent::OPT_UNLOCK_CALLBACKS
        | EventBufferEvent::OPT_DEFER_CALLBACKS
        | EventBufferEvent::OPT_CLOSE_ON_FREE
        | BufferEventOptions::from_bits_retain(1 << 10);
    drop(with_options(&base, all));
}

#[test]
fn without_a_socket_there_is_no_descriptor() {
    let base = new_base();
    let bev = EventBufferEvent::unconnected(&base, PLAIN).unwrap();
    assert_eq!(bev.fd(), None);
    refused(
        bev.close(),
        state,
        "EventBufferEvent::close: there is no descriptor",
    );
    bev.write("kept").unwrap();
    assert_eq!(bev.output().length(), 4);
}

#[test]
fn a_file_that_epoll_cannot_watch_is_refused_when_it_is_enabled() {
    let base = new_base();
    let file = File::open("Cargo.toml").unwrap();
    let bev = EventBufferEvent::new(&base, file, PLAIN).unwrap();
    let error = bev.enable(Event::READ).unwrap_err();
    assert_eq!(error.call(), "EventBufferEvent::enable");
    assert!(
        error.error_info().unwrap().contains("not permitted"),
        "{error}"
    );
}

#[test]
fn directions_are_read_and_write_and_nothing_else() {
    let base = new_base();
    let (bev, _peer) = connected(&base);
    for events in [Event::TIMEOUT, Event::READ | Event::PERSIST, Event::SIGNAL] {
        refused(bev.enable(events), argument, "READ and WRITE");
        refused(bev.disable(events), argument, "READ and WRITE");
        refused(bev.set_watermark(events, 0, 0), argument, "READ and WRITE");
        refused(
            bev.flush(events, FlushMode::Normal),
            argument,
            "READ and WRITE",
        );
    }
    assert_eq!(bev.get_enabled().unwrap(), Event::WRITE);
    bev.enable(Event::READ).unwrap();
    assert_eq!(bev.get_enabled().unwrap(), BOTH);
    bev.disable(BOTH).unwrap();
    bev.disable(BOTH).unwrap();
    assert!(bev.get_enabled().unwrap().is_empty());
}

#[test]
fn handles_are_one_object() {
    let base = new_base();
    let ((one, _first), (other, _second)) = (connected(&base), connected(&base));
    assert_eq!(one.clone(), one);
    assert_ne!(one, other);
    assert!(format!("{one:?}").contains("EventBufferEvent"), "{one:?}");
    assert!(format!("{:?}", Callbacks::new()).contains("read: false"));
}

#[test]
fn json_has_the_shape_of_php() {
    let base = new_base();
    let (bev, peer) = connected(&base);
    bev.enable(Event::READ).unwrap();
    send(&peer, "hello");
    poll(&base);
    let fd = bev.fd().unwrap();
    let json =
        format!(r#"{{"priority":null,"fd":{fd},"input":{{"length":5,"contiguous_space":5}},"#)
            + r#""output":{"length":0,"contiguous_space":0},"allow_ssl_dirty_shutdown":true}"#;
    assert_eq!(serde_json::to_string(&bev).unwrap(), json);
    bev.free();
    assert_eq!(
        serde_json::to_string(&bev).unwrap(),
        r#"{"priority":null,"fd":null,"input":null,"output":null,"allow_ssl_dirty_shutdown":false}"#
    );
}

/// Every method that returns a `Result`, with the name that its error must have.
fn calls(bev: &EventBufferEvent) -> Vec<(&'static str, Result<(), Error>)> {
    let buffer = php_event::EventBuffer::new().unwrap();
    vec![
        ("close", bev.close()),
        ("connect", bev.connect("127.0.0.1:9")),
        ("getDnsErrorString", bev.get_dns_error_string().map(drop)),
        ("setCallbacks", bev.set_callbacks(Callbacks::new())),
        ("enable", bev.enable(Event::READ)),
        ("disable", bev.disable(Event::READ)),
        ("getEnabled", bev.get_enabled().map(drop)),
        ("getInput", bev.get_input().map(drop)),
        ("getOutput", bev.get_output().map(drop)),
        ("setWatermark", bev.set_watermark(Event::READ, 0, 0)),
        ("write", bev.write("x")),
        ("writeBuffer", bev.write_buffer(&buffer)),
        ("read", bev.read(1).map(drop)),
        ("readBuffer", bev.read_buffer(&buffer)),
        ("setPriority", bev.set_priority(0)),
        ("setTimeouts", bev.set_timeouts(None, None)),
        ("$priority", bev.priority().map(drop)),
        ("flush", bev.flush(Event::READ, FlushMode::Normal).map(drop)),
        ("setRateLimit", bev.set_rate_limit(None)),
        (
            "createFilter",
            EventBufferEvent::create_filter(bev, Default::default(), PLAIN).map(drop),
        ),
    ]
}

#[track_caller]
fn all_freed(bev: &EventBufferEvent, what: &str) {
    for (method, result) in calls(bev) {
        match result {
            Err(Error::Freed { call, object }) => {
                assert_eq!(call, format!("EventBufferEvent::{method}"));
                assert_eq!(object, what, "{method}");
            }
            other => panic!("{method}: {other:?}"),
        }
    }
    assert_eq!(bev.fd(), None);
    for buffer in [bev.input(), bev.output()] {
        assert_eq!(buffer.length(), 0);
        assert!(matches!(buffer.add("x"), Err(Error::Freed { object, .. }) if object == what));
    }
}

#[test]
fn a_freed_one_refuses_every_call_by_its_name() {
    let base = new_base();
    let (bev, _peer) = connected(&base);
    bev.free();
    bev.free();
    all_freed(&bev, "buffer event");
    poll(&base);
    all_freed(&bev, "buffer event");
}

#[test]
fn with_its_base_freed_it_refuses_every_call_and_goes_later() {
    let base = new_base();
    let (bev, peer) = connected(&base);
    let (half, _other) = EventBufferEvent::create_pair(&base, PLAIN).unwrap();
    bev.enable(Event::READ).unwrap();
    base.free().unwrap();
    all_freed(&bev, "base");
    all_freed(&half, "base");
    for made in [
        EventBufferEvent::new(&base, sockets().0, PLAIN).map(drop),
        EventBufferEvent::unconnected(&base, PLAIN).map(drop),
        EventBufferEvent::create_pair(&base, PLAIN).map(drop),
    ] {
        assert!(
            matches!(made, Err(Error::Freed { object: "base", .. })),
            "{made:?}"
        );
    }
    drop(base);
    bev.free();
    assert_eq!(super::got(&peer), "", "the socket was closed");
}

#[test]
fn it_keeps_its_base() {
    let base = EventBase::new().unwrap();
    let (bev, peer) = connected(&base);
    let seen = test_support::Seen::new();
    bev.set_callbacks(super::notes(&seen)).unwrap();
    bev.write("hello").unwrap();
    drop(base);
    bev.enable(BOTH).unwrap();
    bev.free();
    drop(bev);
    assert_eq!(super::got(&peer), "");
    assert!(seen.take().is_empty());
}
