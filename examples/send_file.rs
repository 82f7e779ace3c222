//! Sends a file to each client: the system copies it to the socket, the program reads nothing.
//!
//! `cargo run --example send_file Cargo.toml [127.0.0.1:9999]`, then `nc -d 127.0.0.1 9999`.

use std::error::Error;
use std::fs::File;

use php_event::stream::Stream;
use php_event::{Callbacks, Event, EventBase, EventBufferEvent, EventListener};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let Some(path) = args.next() else {
        eprintln!("usage: send_file FILE [127.0.0.1:9999]");
        std::process::exit(2);
    };
    let address = args.next().unwrap_or_else(|| "127.0.0.1:9999".to_owned());

    let base = EventBase::new()?;
    let clients = base.clone();
    let accept = move |_listener: &EventListener, client, _peer| {
        if let Err(error) = send(&clients, client, &path) {
            eprintln!("{error}");
        }
    };
    let flags = EventListener::OPT_CLOSE_ON_FREE | EventListener::OPT_REUSEABLE;
    let listener = EventListener::new(&base, accept, flags, -1, address)?;
    eprintln!("{}", listener.get_socket_name()?);
    base.dispatch()?;
    Ok(())
}

fn send(base: &EventBase, client: Stream, path: &str) -> Result<(), Box<dyn Error>> {
    let file = File::open(path)?;
    let bev = EventBufferEvent::new(base, client, EventBufferEvent::OPT_CLOSE_ON_FREE)?;
    bev.output().add_file(file, 0, None)?; // from the first byte to the last
    bev.set_callbacks(
        Callbacks::new()
            .on_write(|bev| bev.free()) // all is sent: the client sees the end
            .on_event(|bev, _what| bev.free()),
    )?;
    bev.enable(Event::WRITE)?; // for an empty file, too, the write callback runs
    bev.detach(); // the base keeps it until it is freed
    Ok(())
}
