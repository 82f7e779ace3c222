//! The tutorial's first program: every request is answered with the table of the events.
//!
//! `cargo run --example tutorial_server [tcp://127.0.0.1:9999]`

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

use php_event::stream::*;
use php_event::{Event, EventBase, LoopFlags, Result};

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("tcp://127.0.0.1:9999");

    let context = ContextOptions::new().backlog(102_400).so_reuseport(true);

    let all_event: Rc<RefCell<BTreeMap<u64, Event>>> = Rc::default();

    let connection: Rc<RefCell<BTreeMap<u64, Stream>>> = Rc::default();

    let content = stream_context_create(context);
    let main_socket = stream_socket_server(address, &content)?;
    if address.ends_with(":0") {
        // The system has chosen a port: say which.
        eprintln!("{}", stream_socket_get_name(&main_socket, false).unwrap_or_default());
    }

    let base = EventBase::new()?;

    // PHP's `global`. Weak, because the table holds the events, and they their closures.
    let global = Rc::downgrade(&all_event);
    let event = Event::new(&base, main_socket.clone(), Event::READ | Event::PERSIST, move |socket, _flag, event| {
        let (Some(all_event), Some(base_event)) = (global.upgrade(), event.data::<EventBase>()) else { return };

        let Ok(client_socket) = stream_socket_accept(socket, Duration::ZERO) else { return };

        connection.borrow_mut().insert(client_socket.id(), client_socket.clone());

        let (global, connection) = (global.clone(), connection.clone());
        let event = Event::new(&base_event, client_socket.clone(), Event::READ | Event::PERSIST, move |socket, _flag, _event| {
            let Some(all_event) = global.upgrade() else { return };

            let buffer = fread(socket, 65535).unwrap_or_default();

            if buffer.is_empty() {
                // The end, or a reset: an event that stays would fire again at once, for ever.
                all_event.borrow_mut().remove(&socket.id());
                connection.borrow_mut().remove(&socket.id());
                return;
            }

            io::stdout().write_all(&buffer).and_then(|()| io::stdout().flush()).ok();

            let con = serde_json::to_string(&*all_event).unwrap_or_default();

            let len = con.len();

            fwrite(socket, format!("HTTP/1.1 200 OK\r\nAccept: application/json, text/plain, */*\r\nConnection: keep-alive\r\nContent-Length:{len}\r\n\r\n{con}")).ok();
        });

        let Ok(event) = event else { return };
        event.add(None).ok();

        all_event.borrow_mut().insert(client_socket.id(), event);
    })?;
    event.set_data(base.clone());

    event.add(None)?;

    all_event.borrow_mut().insert(main_socket.id(), event);

    base.r#loop(LoopFlags::empty())?;
    Ok(())
}
