//! The loops on the library, as its users write them.

use std::cell::Cell;
use std::error::Error;
use std::hint::black_box;
use std::io::{ErrorKind, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use http_framing::{Decoder, Item, Limits, Refusal, Status, response};
use php_event::{
    BufferEventOptions, Callbacks, EolStyle, Event, EventBase, EventBuffer, EventBufferEvent,
    EventHttp, EventSslContext, LoopFlags, SslState,
};

pub(crate) type Result = std::result::Result<(), Box<dyn Error>>;

/// How many sockets are ready in each turn.
const MANY: usize = 16;

const MESSAGE: [u8; 100] = [b'x'; 100];

/// Callbacks of sockets that are always ready.
pub(crate) fn fire(units: u64) -> Result {
    let base = EventBase::new()?;
    let left = Rc::new(Cell::new(units));
    let mut events = Vec::new();
    for _ in 0..MANY {
        let (near, far) = UnixStream::pair()?;
        let (base, left) = (base.clone(), Rc::clone(&left));
        let callback = {
            let base = base.clone();
            move |_: &UnixStream, _what, _: &Event| {
                left.set(left.get() - 1);
                if left.get() == 0 {
                    base.stop().ok();
                }
            }
        };
        let event = Event::new(&base, near, Event::WRITE | Event::PERSIST, callback)?;
        event.add(None)?;
        events.push((event, far));
    }
    base.dispatch()?;
    Ok(())
}

/// An event that makes itself active.
pub(crate) fn active(units: u64) -> Result {
    let base = EventBase::new()?;
    let mut left = units;
    let event = Event::timer(&base, move |event| {
        left -= 1;
        if left > 0 {
            event.active(Event::TIMEOUT).ok();
        }
    })?;
    event.active(Event::TIMEOUT)?;
    base.dispatch()?;
    Ok(())
}

/// A timer is added and deleted.
pub(crate) fn timer(units: u64) -> Result {
    let base = EventBase::new()?;
    let timer = Event::timer(&base, |_timer| {})?;
    for _ in 0..units {
        timer.add(Some(Duration::from_secs(10)))?;
        timer.del()?;
    }
    Ok(())
}

/// A timer is made and freed.
pub(crate) fn make(units: u64) -> Result {
    let base = EventBase::new()?;
    let count = Rc::new(Cell::new(0));
    for _ in 0..units {
        let count = Rc::clone(&count);
        drop(Event::timer(&base, move |_timer| {
            count.set(count.get() + 1)
        })?);
    }
    Ok(())
}

/// Bytes are added to a buffer and drained.
pub(crate) fn buffer(units: u64) -> Result {
    let buffer = EventBuffer::new()?;
    for _ in 0..units {
        buffer.add("a line of text")?;
        buffer.drain(14)?;
    }
    Ok(())
}

/// The end of a head is searched for.
pub(crate) fn search(units: u64) -> Result {
    let buffer = EventBuffer::new()?;
    for n in 0..20 {
        buffer.add(format!("Field-{n:02}: and its value\r\n"))?;
    }
    buffer.add("\r\n")?;
    for _ in 0..units {
        buffer.search("\r\n\r\n", 0, None)?.ok_or("not found")?;
    }
    Ok(())
}

/// A line is added to a buffer and read.
pub(crate) fn line(units: u64) -> Result {
    let buffer = EventBuffer::new()?;
    for _ in 0..units {
        buffer.add("a line of text\n")?;
        buffer.read_line(EolStyle::Lf)?.ok_or("no line")?;
    }
    Ok(())
}

fn run_echo(
    base: &EventBase,
    near: &EventBufferEvent,
    far: &EventBufferEvent,
    units: u64,
) -> Result {
    let mut left = units;
    near.set_callbacks(Callbacks::new().on_read(move |near| {
        let mut room = [MaybeUninit::uninit(); MESSAGE.len()];
        let text = near.read_into(&mut room).unwrap_or_default();
        left -= 1;
        if left == 0 {
            near.base().stop().ok();
        } else {
            near.write(text).ok();
        }
    }))?;
    far.set_callbacks(Callbacks::new().on_read(|far| {
        far.write_buffer(&far.input()).ok();
    }))?;
    near.enable(Event::READ)?;
    far.enable(Event::READ)?;
    near.write(MESSAGE)?;
    base.dispatch()?;
    Ok(())
}

/// A message of 100 bytes goes through a pair of buffer events and back.
pub(crate) fn echo(units: u64) -> Result {
    let base = EventBase::new()?;
    let (near, far) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    run_echo(&base, &near, &far, units)
}

/// The same over a socket with TLS. The certificate's key is in the same file.
pub(crate) fn tls(units: u64, certificate: &Path) -> Result {
    let base = EventBase::new()?;
    let server = EventSslContext::new(
        EventSslContext::TLS_SERVER_METHOD,
        &[
            (EventSslContext::OPT_LOCAL_CERT, certificate.into()),
            (EventSslContext::OPT_LOCAL_PK, certificate.into()),
        ],
    )?;
    let client = EventSslContext::new(
        EventSslContext::TLS_CLIENT_METHOD,
        &[(EventSslContext::OPT_VERIFY_PEER, false.into())],
    )?;
    let (one, other) = UnixStream::pair()?;
    let none = BufferEventOptions::empty();
    let near = EventBufferEvent::ssl_socket(&base, one, &client, SslState::Connecting, none)?;
    let far = EventBufferEvent::ssl_socket(&base, other, &server, SslState::Accepting, none)?;
    run_echo(&base, &near, &far, units)
}

/// Requests on one connection, asked by the same client on either side.
pub(crate) fn ask(units: u64, port: u16, turn: &dyn Fn()) -> Result {
    let mut client = TcpStream::connect(("127.0.0.1", port))?;
    client.set_nodelay(true)?;
    client.set_nonblocking(true)?;
    let mut answer = [0; 1024];
    for _ in 0..units {
        client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n")?;
        let mut length = 0;
        while !answer[..length].ends_with(b"hello, world") {
            turn();
            match client.read(&mut answer[length..]) {
                Ok(0) => return Err("the server has closed the connection".into()),
                Ok(read) => length += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// `EventHttp`, which checks each request.
pub(crate) fn http(units: u64) -> Result {
    let base = EventBase::new()?;
    let http = EventHttp::new(&base)?;
    http.set_default_callback(|request| {
        let answer = |body: EventBuffer| request.send_reply(200, "OK", Some(&body));
        EventBuffer::new()
            .and_then(|body| body.add("hello, world").map(|()| body))
            .and_then(answer)
            .ok();
    })?;
    let port = http.bind("127.0.0.1", 0)?.port();
    ask(units, port, &|| drop(base.r#loop(LoopFlags::ONCE)))
}

/// A request head of about that many bytes.
fn head(length: usize) -> Vec<u8> {
    let mut head = b"GET / HTTP/1.1\r\nHost: localhost\r\n".to_vec();
    for n in 0..length.saturating_sub(head.len()) / 64 {
        let field = format!("X-Field-{n:02}: ");
        head.extend_from_slice(field.as_bytes());
        head.extend(std::iter::repeat_n(b'v', 62 - field.len()));
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// The strict decoder reads a head.
pub(crate) fn decode(units: u64, length: usize) -> Result {
    let head = head(length);
    let mut decoder = Decoder::new(Limits::default());
    for _ in 0..units {
        let decoded = decoder
            .decode(black_box(&head))
            .map_err(|refusal| refusal.to_string())?;
        black_box(&decoded);
        match decoder
            .decode(&[])
            .map_err(|refusal| refusal.to_string())?
            .item
        {
            Item::End => {}
            item => return Err(format!("{item:?} after a head").into()),
        }
    }
    Ok(())
}

/// httparse reads a head, as a server without further checks may do.
pub(crate) fn parse(units: u64, length: usize) -> Result {
    let head = head(length);
    for _ in 0..units {
        let mut fields = [const { MaybeUninit::uninit() }; 128];
        let mut request = httparse::Request::new(&mut []);
        let parsed = httparse::ParserConfig::default().parse_request_with_uninit_headers(
            &mut request,
            black_box(&head),
            &mut fields,
        )?;
        black_box(&request);
        if !parsed.is_complete() {
            return Err("half a head".into());
        }
    }
    Ok(())
}

/// The answer to a request that is refused is written.
pub(crate) fn refusal(units: u64) -> Result {
    let refusal = Refusal::new(Status::BadRequest, "the Host field is empty");
    let mut out = Vec::new();
    for _ in 0..units {
        out.clear();
        response::refusal(
            &mut out,
            &refusal,
            "Sun, 06 Nov 1994 08:49:37 GMT",
            b"",
            false,
        );
        black_box(&out);
    }
    Ok(())
}
