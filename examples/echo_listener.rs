//! An echo server with a listener: it accepts, and its closure gets the connections.
//!
//! `cargo run --example echo_listener [127.0.0.1:9999]`, then `nc 127.0.0.1 9999`.

use std::net::SocketAddr;

use php_event::stream::Stream;
use php_event::{Callbacks, Event, EventBase, EventBufferEvent, EventListener, EventUtil, Result};

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:9999");

    let base = EventBase::new()?;
    let clients = base.clone();
    let accept = move |_listener: &EventListener, client, peer: Option<SocketAddr>| {
        if let Err(error) = serve(&clients, client) {
            eprintln!("{peer:?}: {error}");
        }
    };
    let flags = EventListener::OPT_CLOSE_ON_FREE | EventListener::OPT_REUSEABLE;
    let listener = EventListener::new(&base, accept, flags, -1, address)?;
    let stop = base.clone();
    listener.set_error_callback(move |_listener| {
        eprintln!("cannot accept: {}", EventUtil::get_last_socket_error());
        stop.exit(None).ok();
    })?;
    eprintln!("{}", listener.get_socket_name()?);
    base.dispatch()?;
    Ok(())
}

/// Sends a client's bytes back until it leaves.
fn serve(base: &EventBase, client: Stream) -> Result<()> {
    let bev = EventBufferEvent::new(base, client, EventBufferEvent::OPT_CLOSE_ON_FREE)?;
    let callbacks = Callbacks::new()
        .on_read(|bev| {
            bev.write_buffer(&bev.input()).ok();
            bev.disable(Event::READ).ok(); // until that is sent
        })
        .on_write(|bev| drop(bev.enable(Event::READ)))
        .on_event(|bev, _what| bev.free());
    bev.set_callbacks(callbacks)?;
    bev.enable(Event::READ)?;
    bev.detach(); // the base keeps it until it is freed
    Ok(())
}
