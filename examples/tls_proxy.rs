//! A proxy that terminates TLS: clients speak TLS, the server behind it gets plain TCP.
//!
//! `cargo run --example tls_proxy cert.pem key.pem 127.0.0.1:8080 [127.0.0.1:9999]`, then
//! `curl -k https://127.0.0.1:9999/` gets what an HTTP server on port 8080 answers.

use php_event::stream::Stream;
use php_event::{Callbacks, Event, EventBase, EventBufferEvent, EventListener, EventSslContext, Result};

fn main() -> Result<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [cert, key, upstream, rest @ ..] = args.as_slice() else {
        eprintln!("usage: tls_proxy cert.pem key.pem 127.0.0.1:8080 [127.0.0.1:9999]");
        std::process::exit(2);
    };
    let address = rest.first().map_or("127.0.0.1:9999", |address| address);

    let files = [(EventSslContext::OPT_LOCAL_CERT, cert.as_str().into()), (EventSslContext::OPT_LOCAL_PK, key.as_str().into())];
    let context = EventSslContext::new(EventSslContext::TLS_SERVER_METHOD, &files)?;
    let base = EventBase::new()?;
    let (clients, upstream) = (base.clone(), upstream.clone());
    let accept = move |_listener: &EventListener, client, _peer| {
        if let Err(error) = connect(&clients, &context, client, &upstream) {
            eprintln!("{error}");
        }
    };
    let flags = EventListener::OPT_CLOSE_ON_FREE | EventListener::OPT_REUSEABLE;
    let listener = EventListener::new(&base, accept, flags, -1, address)?;
    eprintln!("{}", listener.get_socket_name()?);
    base.dispatch()?;
    Ok(())
}

fn connect(base: &EventBase, context: &EventSslContext, client: Stream, upstream: &str) -> Result<()> {
    let (accepting, close) = (EventBufferEvent::SSL_ACCEPTING, EventBufferEvent::OPT_CLOSE_ON_FREE);
    let client = EventBufferEvent::ssl_socket(base, client, context, accepting, close)?;
    let server = EventBufferEvent::unconnected(base, close)?;
    server.connect(upstream)?; // what is written before it is connected is sent afterwards
    pass(&client, &server)?;
    pass(&server, &client)
}

/// Passes on what one side sends to the other. The closures of each side hold the other side
/// until both are freed.
fn pass(from: &EventBufferEvent, to: &EventBufferEvent) -> Result<()> {
    let (reader, writer, end) = (to.clone(), to.clone(), to.clone());
    let callbacks = Callbacks::new()
        .on_read(move |from| {
            reader.write_buffer(&from.input()).ok(); // moved, not copied
            from.disable(Event::READ).ok(); // until that is sent
        })
        .on_write(move |_from| drop(writer.enable(Event::READ)))
        .on_event(move |from, what| {
            if !what.contains(EventBufferEvent::CONNECTED) {
                from.free(); // the end, or an error
                end.free();
            }
        });
    from.set_callbacks(callbacks)?;
    from.enable(Event::READ)
}
