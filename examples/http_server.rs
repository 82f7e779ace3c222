//! An HTTP server with routes: a page, a query, an echo, a late answer and one in pieces.
//!
//! `cargo run --example http_server [8080 [cert.pem [key.pem]]]`, then `curl` of `/`, `/hello?name=you`,
//! `/late`, `/count`, and `curl -d text http://127.0.0.1:8080/echo`. With a certificate it speaks TLS;
//! the key may be in the same file.

use std::time::Duration;

use php_event::{Event, EventBase, EventBuffer, EventHttp, EventHttpRequest, EventSslContext, Result};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let port = args.next().and_then(|port| port.parse().ok()).unwrap_or(8080);

    let base = EventBase::new()?;
    let http = if let Some(cert) = args.next() {
        let key = args.next().unwrap_or_else(|| cert.clone());
        let files = [(EventSslContext::OPT_LOCAL_CERT, cert.into()), (EventSslContext::OPT_LOCAL_PK, key.into())];
        EventHttp::with_ssl(&base, &EventSslContext::new(EventSslContext::TLS_SERVER_METHOD, &files)?)?
    } else {
        EventHttp::new(&base)?
    };
    http.set_callback("/", |request| answer(request, "it works\n"))?;
    http.set_callback("/hello", |request| {
        let uri = request.get_uri().ok().flatten().unwrap_or_default();
        let (_path, query) = uri.split_once('?').unwrap_or_default();
        let name = query.split('&').find_map(|pair| pair.strip_prefix("name="));
        answer(request, &format!("hello, {}\n", name.unwrap_or("whoever you are")));
    })?;
    http.set_callback("/echo", |request| drop(request.send_reply(200, "OK", Some(&request.get_input_buffer()))))?;
    let timers = base.clone();
    http.set_callback("/late", move |request| {
        let request = request.clone(); // kept by the timer's closure, and answered later
        after(&timers, 100, move |_event| answer(&request, "at last\n")).ok();
    })?;
    let timers = base.clone();
    http.set_callback("/count", move |request| drop(count(&timers, request.clone())))?;

    eprintln!("{}", http.bind("127.0.0.1", port)?); // paths without a callback get a 404
    base.dispatch()?;
    Ok(())
}

/// Answers with a text; an error means that the client has gone.
fn answer(request: &EventHttpRequest, text: &str) {
    request.add_header("Content-Type", "text/plain; charset=utf-8", EventHttpRequest::OUTPUT_HEADER).ok();
    request.get_output_buffer().add(text).ok();
    request.send_reply(200, "OK", None).ok();
}

/// Sends a line every 100 ms, three in all, each in a chunk of its own.
fn count(base: &EventBase, request: EventHttpRequest) -> Result<()> {
    request.send_reply_start(200, "OK")?;
    let (line, mut n) = (EventBuffer::new()?, 0);
    after(base, 0, move |event| {
        n += 1;
        line.add(format!("{n}\n")).and_then(|()| request.send_reply_chunk(&line)).ok();
        if n < 3 { event.add(Some(Duration::from_millis(100))) } else { request.send_reply_end() }.ok();
    })
}

/// Calls the closure after this many milliseconds; the base keeps the timer until it has fired.
fn after(base: &EventBase, ms: u64, callback: impl FnMut(&Event) + 'static) -> Result<()> {
    let timer = Event::timer(base, callback)?;
    timer.add(Some(Duration::from_millis(ms)))?;
    timer.detach();
    Ok(())
}
