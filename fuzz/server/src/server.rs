//! A worker, and its loop.

use std::cell::Cell;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use clap::Parser;
use php_event::LoopFlags;
use php_event::stream::stream_socket_pair;
use socket2::SockRef;

use crate::cli::{HubArgs, ServerArgs};
use crate::config::{Config, Program};
use crate::peer::Peer;
use crate::probe::{Probe, Seen, Shared};
use crate::worker::Worker;

/// More connections than any run has.
const CONNECTIONS_MAX: usize = 64;

/// The options of a server, parsed and checked.
#[derive(Clone, Debug)]
pub struct Options(Config);

#[derive(Parser)]
struct ServeArguments {
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Parser)]
struct HubArguments {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    hub: HubArgs,
}

impl Options {
    /// Those of `event-httpd serve`, whose app a [`Probe`] replaces.
    ///
    /// # Panics
    /// When they are not valid.
    #[must_use]
    pub fn serve(arguments: &[&str]) -> Self {
        let arguments = ServeArguments::parse_from([&"serve"].into_iter().chain(arguments));
        Self(Config::new(Program::Serve, arguments.server).expect("valid options"))
    }

    /// Those of `event-httpd hub`.
    ///
    /// # Panics
    /// When they are not valid.
    #[must_use]
    pub fn hub(arguments: &[&str]) -> Self {
        let arguments = HubArguments::parse_from([&"hub"].into_iter().chain(arguments));
        let program = Program::hub(arguments.hub).expect("valid options");
        Self(Config::new(program, arguments.server).expect("valid options"))
    }
}

/// A server whose loop turns when it is told to.
pub struct Server {
    worker: Rc<Worker>,
    probe: Option<Rc<Shared>>,
    send_buffer: Cell<Option<usize>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    /// A server of the program that the options are for.
    ///
    /// # Panics
    /// When the system has no descriptors left.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        let worker = Worker::new(options.0.clone(), CONNECTIONS_MAX).expect("a worker");
        Self {
            worker,
            probe: None,
            send_buffer: Cell::default(),
        }
    }

    /// A server with another app.
    ///
    /// # Panics
    /// When the system has no descriptors left.
    #[must_use]
    pub fn with_probe(options: &Options, probe: Probe) -> Self {
        let shared = probe.shared();
        let worker = Worker::with_app(options.0.clone(), Box::new(probe), CONNECTIONS_MAX);
        Self {
            worker: worker.expect("a worker"),
            probe: Some(shared),
            send_buffer: Cell::default(),
        }
    }

    /// How many bytes the system takes on each later connection before the peer has read them, or
    /// about as many.
    pub fn set_send_buffer(&self, bytes: usize) {
        self.send_buffer.set(Some(bytes));
    }

    /// A new connection.
    ///
    /// # Panics
    /// When the system has no descriptors left.
    #[must_use]
    pub fn connect(&self) -> Peer {
        let (server, client) = stream_socket_pair().expect("a pair");
        if let Some(bytes) = self.send_buffer.get() {
            let socket = SockRef::from(&server);
            socket.set_send_buffer_size(bytes).expect("an option");
        }
        let client = UnixStream::from(client.into_fd().expect("the only handle"));
        let id = server.id();
        self.worker.open(server).expect("a connection");
        Peer::new(client, id)
    }

    /// Runs the loop until nothing happens any more.
    ///
    /// # Panics
    /// When the loop fails.
    pub fn turn(&self) {
        let base = self.worker.base();
        base.r#loop(LoopFlags::NONBLOCK).expect("the loop runs");
    }

    /// What the app has seen since the last call.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        let probe = self.probe.as_ref();
        probe.map_or_else(Vec::new, |probe| probe.seen.take())
    }

    /// Gives the request of a connection that waits for it its answer. False if none waits.
    pub fn reply(&self, peer: &Peer) -> bool {
        let probe = self.probe.as_ref();
        let Some(bytes) = probe.and_then(|probe| probe.take_waiting(peer.id)) else {
            return false;
        };
        self.worker.reply(peer.id, self.worker.buffer(bytes).into());
        true
    }

    /// Sends a connection a message.
    pub fn deliver(&self, peer: &Peer, message: &[u8]) {
        let message = self.worker.buffer(message.to_vec());
        self.worker.deliver_to(peer.id, &message);
    }

    /// Ends an answer without an end, with these last bytes.
    pub fn end_stream(&self, peer: &Peer, last: &[u8]) {
        if let Some(connection) = self.worker.connection(peer.id) {
            connection.end_stream(Some(self.worker.buffer(last.to_vec())));
        }
    }

    /// Whether the server has not closed the connection.
    #[must_use]
    pub fn is_open(&self, peer: &Peer) -> bool {
        self.worker.connection(peer.id).is_some()
    }

    /// How many connections are open.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.worker.open_connections()
    }

    /// What the server still holds after its last connection should have ended; `None` for nothing.
    #[must_use]
    pub fn leftovers(&self) -> Option<String> {
        let held = self.worker.app().holdings();
        let found = [
            ("connections", self.worker.open_connections()),
            ("bytes", self.worker.account().total()),
            ("holders", Rc::strong_count(&self.worker) - 1),
            ("answers", self.worker.batch().borrow().len()),
            (
                "known to the app",
                self.probe.as_ref().map_or(0, |probe| probe.connections()),
            ),
            ("subscribers", held.subscribers),
            ("subscriptions", held.subscriptions),
            ("store waits", held.store_waits),
            ("panics", self.panics()),
        ];
        let left = found.into_iter().filter(|(_, count)| *count > 0);
        let left: Vec<_> = left
            .map(|(what, count)| format!("{what}: {count}"))
            .collect();
        (!left.is_empty()).then(|| left.join(", "))
    }

    /// How many panics ended a connection.
    #[must_use]
    pub fn panics(&self) -> usize {
        usize::try_from(self.worker.counters().panics.get()).unwrap_or(usize::MAX)
    }
}
