//! An echo server that speaks TLS: it has a context with certificate and key, and is otherwise like `echo_listener`.
//!
//! `cargo run --example echo_tls cert.pem key.pem [127.0.0.1:9999]`, then
//! `openssl s_client -quiet -connect 127.0.0.1:9999`. To make the two files:
//! `openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out cert.pem`.

use php_event::stream::Stream;
use php_event::{Callbacks, Event, EventBase, EventBufferEvent, EventListener, EventSslContext, Result};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(cert), Some(key)) = (args.next(), args.next()) else {
        eprintln!("usage: echo_tls cert.pem key.pem [127.0.0.1:9999]");
        std::process::exit(2);
    };
    let address = args.next().unwrap_or_else(|| "127.0.0.1:9999".to_owned());

    let files = [(EventSslContext::OPT_LOCAL_CERT, cert.into()), (EventSslContext::OPT_LOCAL_PK, key.into())];
    let context = EventSslContext::new(EventSslContext::TLS_SERVER_METHOD, &files)?;
    let base = EventBase::new()?;
    let clients = base.clone();
    let accept = move |_listener: &EventListener, client, _peer| {
        if let Err(error) = serve(&clients, &context, client) {
            eprintln!("{error}");
        }
    };
    let flags = EventListener::OPT_CLOSE_ON_FREE | EventListener::OPT_REUSEABLE;
    let listener = EventListener::new(&base, accept, flags, -1, address)?;
    eprintln!("{}", listener.get_socket_name()?);
    base.dispatch()?;
    Ok(())
}

/// Sends a client's bytes back until it leaves.
fn serve(base: &EventBase, context: &EventSslContext, client: Stream) -> Result<()> {
    let (accepting, close) = (EventBufferEvent::SSL_ACCEPTING, EventBufferEvent::OPT_CLOSE_ON_FREE);
    let bev = EventBufferEvent::ssl_socket(base, client, context, accepting, close)?;
    let callbacks = Callbacks::new()
        .on_read(|bev| {
            if bev.write_buffer(&bev.input()).is_err() {
                return bev.free(); // no memory
            }
            bev.disable(Event::READ).ok(); // until that is sent
        })
        .on_write(|bev| drop(bev.enable(Event::READ)))
        .on_event(|bev, what| {
            if what.contains(EventBufferEvent::CONNECTED) {
                println!("{}", bev.ssl_get_protocol().ok().flatten().unwrap_or_default());
                return;
            }
            if let Ok(Some(error)) = bev.ssl_error() {
                println!("{error}");
            }
            bev.free();
        });
    bev.set_callbacks(callbacks)?;
    bev.enable(Event::READ)?;
    bev.detach(); // the base keeps it until it is freed
    Ok(())
}
