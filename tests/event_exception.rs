//! `EventException`, our `Error`: what each kind says, and what it becomes elsewhere.

use std::error::Error as _;
use std::io::{self, ErrorKind};
use std::time::Duration;

use php_event::stream::{
    StreamContext, fclose, stream_socket_accept, stream_socket_get_name, stream_socket_server,
};
use php_event::{
    EVENT_NS, Error, Event, EventBase, EventConfig, EventException, EventFeatures, Result,
};

fn listener() -> php_event::stream::Stream {
    stream_socket_server("tcp://127.0.0.1:0", &StreamContext::default()).unwrap()
}

fn impossible() -> Result<()> {
    let config = EventConfig::new()?;
    config.require_features(EventFeatures::all())?;
    EventBase::with_config(&config).map(drop)
}

fn nobody_waiting() -> Result<()> {
    stream_socket_accept(&listener(), Duration::ZERO).map(drop)
}

fn in_use() -> Result<()> {
    let taken = stream_socket_get_name(&listener(), false).unwrap();
    let _taken = stream_socket_server(&taken, &StreamContext::default())?;
    stream_socket_server(&taken, &StreamContext::default()).map(drop)
}

fn wrong_argument() -> Result<()> {
    EventBase::new()?.priority_init(0)
}

fn wrong_state() -> Result<()> {
    let base = EventBase::new()?;
    let event = Event::timer(&base, |_event| {})?;
    event.add(Some(Duration::ZERO))?;
    base.set(&event)
}

fn freed() -> Result<()> {
    let event = Event::timer(&EventBase::new()?, |_event| {})?;
    event.free();
    event.add(None)
}

fn closed() -> Result<()> {
    let stream = listener();
    fclose(&stream)?;
    fclose(&stream)
}

#[test]
fn an_error_names_its_call_and_its_kind() {
    type Case = (fn() -> Result<()>, &'static str, ErrorKind, &'static str);
    let cases: [Case; 8] = [
        (
            impossible,
            "EventBase::__construct",
            ErrorKind::Other,
            " failed: ",
        ),
        (
            nobody_waiting,
            "stream_socket_accept",
            ErrorKind::WouldBlock,
            ": ",
        ),
        (
            in_use,
            "stream_socket_server",
            ErrorKind::AddrInUse,
            ": 127.0.0.1:",
        ),
        (
            wrong_argument,
            "EventBase::priorityInit",
            ErrorKind::InvalidInput,
            ": 0 priorities ",
        ),
        (
            wrong_state,
            "EventBase::set",
            ErrorKind::Other,
            ": the event is pending; ",
        ),
        (
            freed,
            "Event::add",
            ErrorKind::Other,
            ": the event was already freed",
        ),
        (
            closed,
            "fclose",
            ErrorKind::Other,
            ": the stream was already closed",
        ),
        (
            || Err(Error::Forked { call: "Event::add" }),
            "Event::add",
            ErrorKind::Other,
            "re_init()",
        ),
    ];
    for (fail, call, kind, words) in cases {
        let error: EventException = fail().unwrap_err();
        let text = error.to_string();
        assert_eq!((error.call(), error.kind()), (call, kind), "{text}");
        assert!(text.starts_with(call) && text.contains(words), "{text}");
        assert_eq!(format!("{error:?}"), text);
        assert_eq!(
            error.source().is_some(),
            matches!(error, Error::Io { .. }),
            "{text}"
        );

        // As an `io::Error` it keeps its kind and its words, and can be taken out again.
        let io = io::Error::from(error);
        assert_eq!((io.kind(), io.to_string()), (kind, text));
        let inner = io.into_inner().unwrap().downcast::<Error>().unwrap();
        assert_eq!(inner.call(), call);
    }
}

#[test]
fn a_reason_is_the_message_without_its_call() {
    for fail in [nobody_waiting, wrong_argument, wrong_state, freed, closed] {
        let error = fail().unwrap_err();
        let (call, reason) = (error.call(), error.reason());
        assert_eq!(error.to_string(), format!("{call}: {reason}"));
    }
    let said = impossible().unwrap_err();
    assert_eq!(Some(&*said.reason()), said.error_info());
    let (call, cause) = ("Event::add", None);
    assert_eq!(Error::Call { call, cause }.reason(), "failed");
    assert!(Error::Forked { call }.reason().contains("re_init()"));
}

#[test]
fn error_info_is_libevents_message_only() {
    let said = impossible().unwrap_err();
    let cause = said.error_info().expect("libevent says why");
    assert!(cause.contains("no event mechanism available"), "{cause}");
    for fail in [
        nobody_waiting,
        in_use,
        wrong_argument,
        wrong_state,
        freed,
        closed,
    ] {
        assert_eq!(fail().unwrap_err().error_info(), None);
    }
    let silent = Error::Call {
        call: "Event::add",
        cause: None,
    };
    assert_eq!(
        (silent.error_info(), silent.to_string().as_str()),
        (None, "Event::add failed")
    );
}

#[test]
fn an_error_converts_to_boxed_and_io_errors() {
    fn anyhow() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(freed()?)
    }
    fn io() -> io::Result<()> {
        Ok(nobody_waiting()?)
    }
    assert_eq!(
        anyhow().unwrap_err().to_string(),
        freed().unwrap_err().to_string()
    );
    assert_eq!(io().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn the_namespace_is_empty() {
    assert_eq!(EVENT_NS, "");
}
