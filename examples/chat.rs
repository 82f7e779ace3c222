//! A chat: each line that one client sends goes to all others.
//!
//! `cargo run --example chat [127.0.0.1:9999]`, then `nc 127.0.0.1 9999` in several terminals.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;

use php_event::stream::Stream;
use php_event::{Callbacks, Event, EventBase, EventBuffer, EventBufferEvent, EventListener, Result};

/// A client is disconnected when its line is longer than this, or when more waits to be sent to it.
const MAX: usize = 64 * 1024;

type Clients = Rc<RefCell<HashMap<SocketAddr, EventBufferEvent>>>;

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:9999");

    let base = EventBase::new()?;
    let clients = Clients::default();
    let joins = base.clone();
    let accept = move |_listener: &EventListener, stream, peer: Option<SocketAddr>| {
        let Some(peer) = peer else { return };
        if let Err(error) = join(&joins, &clients, stream, peer) {
            eprintln!("{peer}: {error}");
        }
    };
    let flags = EventListener::OPT_CLOSE_ON_FREE | EventListener::OPT_REUSEABLE;
    let listener = EventListener::new(&base, accept, flags, -1, address)?;
    eprintln!("{}", listener.get_socket_name()?);
    base.dispatch()?;
    Ok(())
}

fn join(base: &EventBase, clients: &Clients, stream: Stream, me: SocketAddr) -> Result<()> {
    let bev = EventBufferEvent::new(base, stream, EventBufferEvent::OPT_CLOSE_ON_FREE)?;
    let (all, left) = (Rc::clone(clients), Rc::clone(clients));
    let callbacks = Callbacks::new()
        .on_read(move |bev| {
            let input = bev.input();
            while let Ok(Some(line)) = input.read_line(EventBuffer::EOL_CRLF) {
                let line = [&line, "\n".as_bytes()].concat();
                all.borrow_mut().retain(|&other, bev| other == me || bev.write(&line).is_ok() && bev.output().length() < MAX);
            }
            if input.length() > MAX {
                all.borrow_mut().remove(&me);
            }
        })
        .on_event(move |_bev, _what| drop(left.borrow_mut().remove(&me)));
    bev.set_callbacks(callbacks)?;
    bev.enable(Event::READ)?;
    bev.write(format!("you are {me}, with {} others\n", clients.borrow().len()))?;
    clients.borrow_mut().insert(me, bev); // the only handle: removing it disconnects the client
    Ok(())
}
