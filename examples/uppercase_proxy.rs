//! A proxy that turns all text to upper case, with a buffer event for each side.
//!
//! `cargo run --example uppercase_proxy 127.0.0.1:8080 [127.0.0.1:9999]` listens on the second
//! address and connects each client to the first: run `nc -l 127.0.0.1 8080` before, and
//! `nc 127.0.0.1 9999` afterwards.

use php_event::stream::Stream;
use php_event::{Callbacks, Event, EventBase, EventBufferEvent, EventListener, Result};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let Some(upstream) = args.next() else {
        eprintln!("usage: uppercase_proxy 127.0.0.1:8080 [127.0.0.1:9999]");
        std::process::exit(2);
    };
    let address = args.next().unwrap_or_else(|| "127.0.0.1:9999".to_owned());

    let base = EventBase::new()?;
    let clients = base.clone();
    let accept = move |_listener: &EventListener, client, _peer| {
        if let Err(error) = connect(&clients, client, &upstream) {
            eprintln!("{error}");
        }
    };
    let flags = EventListener::OPT_CLOSE_ON_FREE | EventListener::OPT_REUSEABLE;
    let listener = EventListener::new(&base, accept, flags, -1, address)?;
    eprintln!("{}", listener.get_socket_name()?);
    base.dispatch()?;
    Ok(())
}

fn connect(base: &EventBase, client: Stream, upstream: &str) -> Result<()> {
    let client = EventBufferEvent::new(base, client, EventBufferEvent::OPT_CLOSE_ON_FREE)?;
    let server = EventBufferEvent::unconnected(base, EventBufferEvent::OPT_CLOSE_ON_FREE)?;
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
            if let Ok(Some(bytes)) = from.read(usize::MAX) {
                reader.write(bytes.to_ascii_uppercase()).ok();
                from.disable(Event::READ).ok(); // until that is sent
            }
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
