//! The tutorial's second program, to the letter: what a client sends comes back to it, once
//! for each other client. `event-httpd broadcast` does what was meant.
//!
//! `cargo run --example tutorial_broadcast [tcp://127.0.0.1:9999]`

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use php_event::stream::*;
use php_event::{Event, EventBase, EventFlags, LoopFlags, Result};

thread_local! {
    static ALL_EVENT: RefCell<BTreeMap<u64, BTreeMap<&'static str, Event>>> = RefCell::default();
    static CONNECTION: RefCell<BTreeMap<u64, Stream>> = RefCell::default();
}

fn socket_accept(socket: &Stream, _flag: EventFlags, event: &Event) {
    let Some(base_event) = event.data::<EventBase>() else { return };

    let Ok(client_socket) = stream_socket_accept(socket, Duration::ZERO) else { return };
    let id = client_socket.id();

    CONNECTION.with_borrow_mut(|connection| connection.insert(id, client_socket.clone()));

    let Ok(event) = Event::new(&base_event, client_socket, Event::READ | Event::PERSIST, socket_read) else { return };
    event.set_data(EventBase::clone(&base_event));

    ALL_EVENT.with_borrow_mut(|all_event| all_event.entry(id).or_default().insert("read", event.clone()));

    event.add(None).ok();
}

fn socket_read(socket: &Stream, _flag: EventFlags, event: &Event) {
    let Some(base_event) = event.data::<EventBase>() else { return };

    let content = fread(socket, 652_400).unwrap_or_default();

    let Ok(event) = Event::new(&base_event, socket.clone(), Event::WRITE | Event::PERSIST, socket_write) else { return };
    event.set_data(BTreeMap::from([("content", content)]));

    ALL_EVENT.with_borrow_mut(|all_event| all_event.entry(socket.id()).or_default().insert("write", event.clone()));

    event.add(None).ok();
}

fn socket_write(socket: &Stream, _flag: EventFlags, event: &Event) {
    let Some(arg) = event.data::<BTreeMap<&str, Vec<u8>>>() else { return };
    let content = &arg["content"];
    let len = content.len();

    if content.is_empty() {
        // The end, or a reset: events that stay would fire again at once, for ever.
        ALL_EVENT.with_borrow_mut(|all_event| all_event.remove(&socket.id()));
        CONNECTION.with_borrow_mut(|connection| connection.remove(&socket.id()));
        return;
    }

    CONNECTION.with_borrow(|connection| {
        for &fd in connection.keys() {
            if fd != socket.id() {
                // `$socket`, as in PHP: the sender gets it. `$sock` was meant.
                let head = format!("HTTP/1.1 200 OK\r\nAccept: application/json, text/plain, */*\r\nConnection: keep-alive\r\nContent-Length:{len}\r\n\r\n");
                fwrite(socket, [head.as_bytes(), content].concat()).ok();
            }
        }
    });

    event.del().ok();
    ALL_EVENT.with_borrow_mut(|all_event| all_event.entry(socket.id()).or_default().remove("write"));
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("tcp://127.0.0.1:9999");

    let context = ContextOptions::new().backlog(102_400).so_reuseport(true);

    let content = stream_context_create(context);
    let main_socket = stream_socket_server(address, &content)?;
    if address.ends_with(":0") {
        // The system has chosen a port: say which.
        eprintln!("{}", stream_socket_get_name(&main_socket, false).unwrap_or_default());
    }

    let base = EventBase::new()?;

    let event = Event::new(&base, main_socket.clone(), Event::READ | Event::PERSIST, socket_accept)?;
    event.set_data(base.clone());

    event.add(None)?;

    ALL_EVENT.with_borrow_mut(|all_event| all_event.entry(main_socket.id()).or_default().insert("read", event));

    base.r#loop(LoopFlags::empty())?;
    Ok(())
}
