//! A server on a unix socket: it answers each line with its length.
//!
//! `cargo run --example unix_socket [/tmp/php-event.sock]`, then `nc -U /tmp/php-event.sock`.
//! SIGTERM and SIGINT end it; it removes the socket's file.

use php_event::stream::Stream;
use php_event::{Callbacks, Event, EventBase, EventBuffer, EventBufferEvent, EventListener, Result};

/// A client whose line is longer than this is disconnected.
const LONGEST: usize = 64 * 1024;

fn main() -> Result<()> {
    let path = std::env::args().nth(1);
    let path = path.as_deref().unwrap_or("/tmp/php-event.sock");

    let base = EventBase::new()?;
    let clients = base.clone();
    let accept = move |_listener: &EventListener, client, _no_peer| {
        if let Err(error) = serve(&clients, client) {
            eprintln!("{error}");
        }
    };
    let listener = EventListener::new(&base, accept, EventListener::OPT_CLOSE_ON_FREE, -1, format!("unix:{path}"))?;

    let mut ends = Vec::new();
    for signum in [libc::SIGTERM, libc::SIGINT] {
        let stop = base.clone();
        let end = Event::signal(&base, signum, move |_signum, _event| drop(stop.exit(None)))?;
        end.add(None)?;
        ends.push(end);
    }
    eprintln!("{}", listener.get_socket_name()?);
    base.dispatch()?;
    std::fs::remove_file(path).ok();
    Ok(())
}

fn serve(base: &EventBase, client: Stream) -> Result<()> {
    let bev = EventBufferEvent::new(base, client, EventBufferEvent::OPT_CLOSE_ON_FREE)?;
    let callbacks = Callbacks::new()
        .on_read(|bev| {
            let input = bev.input();
            while let Ok(Some(line)) = input.read_line(EventBuffer::EOL_CRLF) {
                bev.write(format!("{}\n", line.len())).ok();
            }
            if input.length() > LONGEST {
                return bev.free();
            }
            if bev.output().length() > 0 {
                bev.disable(Event::READ).ok(); // until that is sent
            }
        })
        .on_write(|bev| drop(bev.enable(Event::READ)))
        .on_event(|bev, _what| bev.free());
    bev.set_callbacks(callbacks)?;
    bev.enable(Event::READ)?;
    bev.detach(); // the base keeps it until it is freed
    Ok(())
}
