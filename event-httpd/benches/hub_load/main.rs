//! Compares the hub with nchan (nginx) and Redis, with event streams and with WebSocket: what a
//! delivery costs, what an idle subscriber costs, and how long an update takes to all subscribers.
//!
//! Each server is one process on the first processor, this program is on the second. An update is
//! published when all subscribers have the last one, so that no server joins updates. Processor
//! time is the kernel's, so a busy machine changes it little, but it does change times to receipt.
//! All sockets are on the loopback device.
//!
//! ```sh
//! cargo bench -p event-httpd --bench hub_load                    # 100, 1,000 and 10,000
//! cargo bench -p event-httpd --bench hub_load -- 1000            # that many
//! EVENT_HTTPD=target/release/event-httpd cargo bench …           # another binary
//! ```
//!
//! nchan is Debian's package `libnginx-mod-nchan`. A server that is not installed is left out.

#[path = "../support/process.rs"]
mod process;
mod servers;

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use php_event::{Event, EventBase, LoopFlags};

use process::{Processors, Server, until};
use servers::Target;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Begins each update, and stands nowhere else in what subscribers receive.
const MARK: u8 = b'@';

/// Bytes of an update.
const SIZE: usize = 128;

/// Updates for so many subscribers make this many deliveries, but no fewer updates than `FEWEST`, within [`ROW`].
const DELIVERIES: usize = 200_000;
const FEWEST: usize = 20;

/// How long a row publishes at most.
const ROW: Duration = Duration::from_secs(10);

/// For one update to all subscribers, and for one answer.
const LIMIT: Duration = Duration::from_secs(10);

fn main() -> Result<()> {
    test_support::raise_descriptor_limit();
    let processors = Processors::take()?;
    let counts: Vec<usize> = std::env::args()
        .filter_map(|text| text.parse().ok())
        .collect();
    let counts = if counts.is_empty() {
        vec![100, 1_000, 10_000]
    } else {
        counts
    };
    println!(
        "| server | subscribers | µs of processor time per delivery | bytes per idle subscriber | p50 | p99 |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    for &count in &counts {
        for server in servers::all() {
            let Some(running) = server.start(processors, count)? else {
                continue;
            };
            let name = running.target.name;
            let row = match measure(&running.server, &running.target, count) {
                Ok(row) => row,
                Err(error) => {
                    println!("| {name} | {count} | {error} | | | |");
                    continue;
                }
            };
            println!(
                "| {name} | {count} | {:.2} | {:.0} | {:.2} ms | {:.2} ms |",
                row.processor.as_secs_f64() * 1e6 / row.deliveries as f64,
                row.memory as f64 / count as f64,
                row.p50.as_secs_f64() * 1e3,
                row.p99.as_secs_f64() * 1e3,
            );
        }
    }
    Ok(())
}

struct Row {
    processor: Duration,
    deliveries: usize,
    memory: usize,
    p50: Duration,
    p99: Duration,
}

/// What the subscribers have received.
struct Received {
    updates: Cell<usize>,
    since: Cell<Instant>,
    times: RefCell<Vec<Duration>>,
}

fn measure(server: &Server, target: &Target, count: usize) -> Result<Row> {
    let base = EventBase::new()?;
    // Wakes the loop, so that a missing update is noticed.
    let wake = Event::timer(&base, |event| drop(event.add(Some(LIMIT / 10))))?;
    wake.add(Some(LIMIT / 10))?;
    let received = Rc::new(Received {
        updates: Cell::new(0),
        since: Cell::new(Instant::now()),
        times: RefCell::new(Vec::new()),
    });
    // What the first connections make a server allocate once is not a subscriber's.
    let open = server.descriptors()?;
    let warm = (0..16)
        .map(|_| subscribe(target, server.address()))
        .collect::<Result<Vec<_>>>()?;
    drop(warm);
    until("the server has closed them", || {
        Ok(server.descriptors()? <= open)
    })?;
    let before = server.memory()?;
    let mut events = Vec::with_capacity(count);
    for _ in 0..count {
        events.push(watch(
            &base,
            subscribe(target, server.address())?,
            &received,
        )?);
    }
    let memory = server.memory()?.saturating_sub(before);
    let mut publisher = TcpStream::connect(server.address())?;
    publisher.set_nodelay(true)?;
    publisher.set_read_timeout(Some(LIMIT))?;
    let mut publish = |number: usize| -> Result<()> {
        received.updates.set(0);
        received.since.set(Instant::now());
        publisher.write_all(&(target.publish)(&text(number)))?;
        while received.updates.get() < count {
            if received.since.get().elapsed() > LIMIT {
                let missing = count - received.updates.get();
                return Err(format!("an update did not reach {missing} subscribers").into());
            }
            base.r#loop(LoopFlags::ONCE)?;
        }
        take_answer(&mut publisher, target)
    };
    for number in 0..10 {
        publish(number)?;
    }
    received.times.borrow_mut().clear();
    let most = (DELIVERIES / count).max(FEWEST);
    let (processor, begun) = (server.processor()?, Instant::now());
    let mut updates = 0;
    while updates < most && begun.elapsed() < ROW {
        publish(updates)?;
        updates += 1;
    }
    let processor = server.processor()?.saturating_sub(processor);
    let mut times = received.times.take();
    times.sort_unstable();
    let at = |part: usize| {
        times
            .get(times.len() * part / 100)
            .copied()
            .unwrap_or_default()
    };
    Ok(Row {
        processor,
        deliveries: updates * count,
        memory,
        p50: at(50),
        p99: at(99),
    })
}

fn text(number: usize) -> String {
    format!("{}{number:0>width$}", char::from(MARK), width = SIZE - 1)
}

/// A connection that has begun to receive.
fn subscribe(target: &Target, address: SocketAddr) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(&target.subscribe)?;
    let mut head = Vec::new();
    while !head.ends_with(target.subscribed) {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    stream.set_nonblocking(true)?;
    Ok(stream)
}

fn watch(base: &EventBase, stream: TcpStream, received: &Rc<Received>) -> Result<Event> {
    let received = Rc::clone(received);
    let mut buffer = vec![0; 4096];
    let what = Event::READ | Event::PERSIST;
    let event = Event::new(
        base,
        stream,
        what,
        move |mut stream: &TcpStream, _what, _event| match stream.read(&mut buffer) {
            Ok(count) => {
                let got = buffer.get(..count).unwrap_or_default();
                let updates = got.iter().filter(|byte| **byte == MARK).count();
                let time = received.since.get().elapsed();
                received.updates.set(received.updates.get() + updates);
                received
                    .times
                    .borrow_mut()
                    .extend(std::iter::repeat_n(time, updates));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        },
    )?;
    event.add(None)?;
    Ok(event)
}

/// Takes the answer to a publisher.
fn take_answer(publisher: &mut TcpStream, target: &Target) -> Result<()> {
    let mut answer = Vec::new();
    while !(target.answered)(&answer) {
        let mut part = [0; 1024];
        let count = publisher.read(&mut part)?;
        if count == 0 {
            return Err("the publisher was cut off".into());
        }
        answer.extend_from_slice(part.get(..count).unwrap_or_default());
    }
    Ok(())
}
