//! A proxy that turns what passes to upper case, with a buffer event for each side.
//!
//! `cargo run --example uppercase_proxy 127.0.0.1:8080 [127.0.0.1:9999]` passes on to the
//! first of the two: `nc -l 127.0.0.1 8080` there, and `nc 127.0.0.1 9999` here.

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
    server.connect(upstream)?; // what is written before it stands is sent then
    pass(&client, &server)?;
    pass(&server, &client)
}

/// Has what comes from one side go to the other. Each side's closures hold the other side,
/// until both are freed.
fn pass(from: &EventBufferEvent, to: &EventBufferEvent) -> Result<()> {
    let (reader, writer, end) = (to.clone(), to.clone(), to.clone());
    let callbacks = Callbacks::new()
        .on_read(move |from| {
            if let Ok(Some(bytes)) = from.read(usize::MAX) {
                reader.write(bytes.to_ascii_uppercase()).ok();
                from.disable(Event::READ).ok(); // until it is out
            }
        })
        .on_write(move |_from| drop(writer.enable(Event::READ)))
        .on_event(move |from, what| {
            if !what.contains(EventBufferEvent::CONNECTED) {
                from.free(); // the end, or an error: all that came before is out
                end.free();
            }
        });
    from.set_callbacks(callbacks)?;
    from.enable(Event::READ)
}
