//! An echo server on buffer events: the loop reads and writes, the program moves the bytes.
//!
//! `cargo run --example echo_buffer_events [tcp://127.0.0.1:9999]`, then `nc 127.0.0.1 9999`.

use std::io::ErrorKind;
use std::time::Duration;

use php_event::stream::*;
use php_event::{Callbacks, Event, EventBase, EventBufferEvent, Result};

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("tcp://127.0.0.1:9999");
    let server = stream_socket_server(address, &StreamContext::default())?;
    let name = stream_socket_get_name(&server, false).unwrap_or_default();

    let base = EventBase::new()?;
    let clients = base.clone();
    let accept = Event::new(&base, server, Event::READ | Event::PERSIST, move |server, _what, event| {
        loop {
            let done = match stream_socket_accept(server, Duration::ZERO) {
                Ok(client) => serve(&clients, client),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    eprintln!("{error}");
                    return pause(&clients, event).unwrap_or_default();
                }
            };
            if let Err(error) = done {
                eprintln!("{error}");
            }
        }
    })?;
    accept.add(None)?;
    eprintln!("{name}");
    base.dispatch()?;
    Ok(())
}

/// Stops accepting for a moment: while no descriptor is left, the waiting client would wake the loop without end.
fn pause(base: &EventBase, accept: &Event) -> Result<()> {
    let again = accept.clone();
    let timer = Event::timer(base, move |_timer| drop(again.add(None)))?;
    timer.add(Some(Duration::from_millis(100)))?;
    timer.detach();
    accept.del()
}

/// Sends a client's bytes back until it leaves, or is silent for a minute.
fn serve(base: &EventBase, client: Stream) -> Result<()> {
    let bev = EventBufferEvent::new(base, client, EventBufferEvent::OPT_CLOSE_ON_FREE)?;
    let callbacks = Callbacks::new()
        .on_read(|bev| {
            if bev.write_buffer(&bev.input()).is_err() {
                return bev.free(); // no memory
            }
            bev.disable(Event::READ).ok(); // until that is sent: a client that does not read must not fill the memory
        })
        .on_write(|bev| drop(bev.enable(Event::READ)))
        .on_event(|bev, _what| bev.free()); // the end, an error, or a minute without a byte
    bev.set_callbacks(callbacks)?;
    bev.set_timeouts(Some(Duration::from_secs(60)), Some(Duration::from_secs(60)))?;
    bev.enable(Event::READ)?;
    bev.detach(); // the base keeps it until it is freed
    Ok(())
}
