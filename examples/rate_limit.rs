//! Sends to each client endlessly, at a limited rate in bytes per second.
//!
//! `cargo run --example rate_limit [10000 [127.0.0.1:9999]]`, then
//! `nc -d 127.0.0.1 9999 | pv >/dev/null`.

use std::sync::Arc;
use std::time::Duration;

use php_event::stream::Stream;
use php_event::{Callbacks, EventBase, EventBufferEvent, EventListener, RateLimit, Result};

/// How often each client's allowance is refilled: the shorter, the smoother.
const TICK: Duration = Duration::from_millis(100);

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let rate = args.next().and_then(|rate| rate.parse().ok()).unwrap_or(10_000);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:9999".to_owned());

    let base = EventBase::new()?;
    let clients = base.clone();
    let accept = move |_listener: &EventListener, client, _peer| {
        if let Err(error) = send(&clients, client, rate) {
            eprintln!("{error}");
        }
    };
    let flags = EventListener::OPT_CLOSE_ON_FREE | EventListener::OPT_REUSEABLE;
    let listener = EventListener::new(&base, accept, flags, -1, address)?;
    eprintln!("{}", listener.get_socket_name()?);
    base.dispatch()?;
    Ok(())
}

fn send(base: &EventBase, client: Stream, rate: usize) -> Result<()> {
    let bev = EventBufferEvent::new(base, client, EventBufferEvent::OPT_CLOSE_ON_FREE)?;
    let each = (rate / 10).max(1);
    bev.set_rate_limit(Some(RateLimit::new().write(each, each).tick(TICK)))?;
    let dots: Arc<[u8]> = Arc::from([b'.'; 4096]);
    bev.set_callbacks(
        Callbacks::new()
            .on_write(move |bev| drop(bev.output().add_reference(Arc::clone(&dots)))) // shared by all clients, never copied
            .on_event(|bev, _what| bev.free()),
    )?;
    bev.write(format!("{rate} bytes a second\n"))?;
    bev.detach(); // the base keeps it until it is freed
    Ok(())
}
