//! An echo server on events alone: the program reads and writes by itself.
//!
//! `cargo run --example echo_events [tcp://127.0.0.1:9999]`, then `nc 127.0.0.1 9999`.

use std::io::ErrorKind;
use std::time::Duration;

use php_event::stream::*;
use php_event::{Event, EventBase, Result};

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
    stream_set_blocking(&client, false)?;
    let event = Event::new(base, client, Event::READ | Event::PERSIST, |client, what, event| {
        let bytes = if what.contains(Event::TIMEOUT) { Vec::new() } else { fread(client, 8192).unwrap_or_default() };
        let written = if bytes.is_empty() { 0 } else { fwrite(client, &bytes).unwrap_or(0) };
        if written < bytes.len() || bytes.is_empty() {
            event.free(); // the end, a timeout, or a client that reads too slowly: nothing is kept to send later
        }
    })?;
    event.add(Some(Duration::from_secs(60)))?;
    event.detach(); // the base keeps it for as long as it waits
    Ok(())
}
