//! A worker, and its loop.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::Parser;
use php_event::stream::{StreamContext, stream_socket_pair, stream_socket_server};
use php_event::{Event, LoopEnd, LoopFlags};
use socket2::SockRef;

use crate::cli::{HubArgs, ServerArgs};
use crate::config::{Config, Program};
use crate::connection::Connection;
use crate::peer::Peer;
use crate::probe::{Answered, Probe, Seen, Shared};
use crate::time;
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
    door: Option<Door>,
    jobs: Rc<RefCell<VecDeque<Job>>>,
    doing: Event, // runs them
    has_left: Cell<bool>,
    passes: RefCell<Vec<Vec<Answered>>>,
}

/// What is done in the loop, as in the callback of an event.
type Job = Box<dyn FnOnce(&Rc<Worker>)>;

/// Where a server listens.
struct Door {
    /// A name in Linux's abstract namespace.
    name: String,
    /// The numbers of peers whose connections are not accepted yet.
    queue: RefCell<VecDeque<Rc<Cell<Option<u64>>>>>,
}

impl Door {
    /// A name that no other server has.
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            name: format!("fuzz-server-{}-{number}", std::process::id()),
            queue: RefCell::default(),
        }
    }

    fn connect(&self) -> io::Result<UnixStream> {
        UnixStream::connect_addr(&SocketAddr::from_abstract_name(&self.name)?)
    }
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
        worker.app().started(&worker).expect("a store");
        Self::of(worker, None, None)
    }

    /// A server with another app.
    ///
    /// # Panics
    /// When the system has no descriptors left.
    #[must_use]
    pub fn with_probe(options: &Options, probe: Probe) -> Self {
        let shared = probe.shared();
        let worker = Worker::with_app(options.0.clone(), Box::new(probe), CONNECTIONS_MAX);
        Self::of(worker.expect("a worker"), Some(shared), None)
    }

    /// The same, with a listener and a limit for its connections.
    ///
    /// # Panics
    /// When the system has no descriptors left.
    #[must_use]
    pub fn listening(options: &Options, probe: Probe, max_connections: usize) -> Self {
        let shared = probe.shared();
        let worker = Worker::with_app(options.0.clone(), Box::new(probe), max_connections);
        let worker = worker.expect("a worker");
        let door = Door::new();
        let address = format!("unix:@{}", door.name);
        let listener = stream_socket_server(&address, &StreamContext::default());
        let started = worker.start_accepting(listener.expect("a listener"));
        started.expect("an event");
        Self::of(worker, Some(shared), Some(door))
    }

    fn of(worker: Rc<Worker>, probe: Option<Rc<Shared>>, door: Option<Door>) -> Self {
        let jobs = Rc::<RefCell<VecDeque<Job>>>::default();
        let (weak, waiting) = (Rc::downgrade(&worker), Rc::clone(&jobs));
        let doing = Event::timer(worker.base(), move |_event| {
            if let Some(worker) = weak.upgrade() {
                waiting.take().into_iter().for_each(|job| job(&worker));
            }
        });
        Self {
            jobs,
            doing: doing.expect("an event"),
            worker,
            probe,
            send_buffer: Cell::default(),
            door,
            has_left: Cell::new(false),
            passes: RefCell::default(),
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
        if let Some(door) = &self.door {
            let stream = door.connect().expect("a listener");
            stream.set_nonblocking(true).expect("an option");
            let number = Rc::<Cell<_>>::default();
            door.queue.borrow_mut().push_back(Rc::clone(&number));
            return Peer::new(stream, number);
        }
        let (server, client) = stream_socket_pair().expect("a pair");
        if let Some(bytes) = self.send_buffer.get() {
            let socket = SockRef::from(&server);
            socket.set_send_buffer_size(bytes).expect("an option");
        }
        let client = UnixStream::from(client.into_fd().expect("the only handle"));
        let id = server.id();
        self.worker.open(server).expect("a connection");
        Peer::new(client, Rc::new(Cell::new(Some(id))))
    }

    /// Whether it listens.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        let door = self.door.as_ref();
        door.is_some_and(|door| door.connect().is_ok())
    }

    /// Runs the loop until nothing happens any more, or the server has left it.
    ///
    /// # Panics
    /// When the loop fails.
    pub fn turn(&self) {
        while !self.has_left.get() && self.pass() {}
        self.run(LoopFlags::NONBLOCK);
    }

    /// Runs one pass of the loop. False if no request was answered.
    fn pass(&self) -> bool {
        let Some(probe) = &self.probe else {
            return false;
        };
        drop(probe.take_pass());
        self.run(LoopFlags::NONBLOCK | LoopFlags::ONCE);
        let answered = probe.take_pass();
        let goes_on = !answered.is_empty();
        self.passes.borrow_mut().push(answered);
        goes_on
    }

    fn run(&self, flags: LoopFlags) {
        if self.has_left.get() {
            return;
        }
        let end = self.worker.base().r#loop(flags).expect("the loop runs");
        self.note_accepted();
        if end == LoopEnd::Stop {
            self.worker.take_apart();
            self.has_left.set(true);
        }
    }

    /// Gives the peers whose connections were accepted their numbers, in the order of both.
    fn note_accepted(&self) {
        let (Some(probe), Some(door)) = (&self.probe, &self.door) else {
            return;
        };
        for id in probe.opened.take() {
            let number = door.queue.borrow_mut().pop_front();
            number.expect("a peer").set(Some(id));
            if let (Some(bytes), Some(connection)) =
                (self.send_buffer.get(), self.worker.connection(id))
            {
                let socket = SockRef::from(&*connection);
                socket.set_send_buffer_size(bytes).expect("an option");
            }
        }
    }

    /// What was answered in each pass of the loop since the last call, on each connection.
    #[must_use]
    pub fn passes(&self) -> Vec<Vec<Answered>> {
        self.passes.take()
    }

    /// Lets time pass. What is due then happens in the next turn.
    pub fn wait(&self, time: Duration) {
        time::pass(time);
    }

    /// Does something at the beginning of the next turn.
    fn soon(&self, job: impl FnOnce(&Rc<Worker>) + 'static) {
        self.jobs.borrow_mut().push_back(Box::new(job));
        self.doing.active(Event::TIMEOUT).expect("an event");
    }

    /// Has the server stop as after SIGTERM, at the beginning of the next turn.
    ///
    /// # Panics
    /// When the event fails.
    pub fn stop(&self) {
        self.soon(|worker| worker.stop());
    }

    /// Ends it at once, with all that it has.
    pub fn kill(&self) {
        self.worker.take_apart();
        self.has_left.set(true);
    }

    /// Whether it has left its loop.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.has_left.get()
    }

    /// What the app has seen since the last call.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        let probe = self.probe.as_ref();
        probe.map_or_else(Vec::new, |probe| probe.seen.take())
    }

    /// Gives the request of a connection that waits for it its answer, at the beginning of the next
    /// turn. False if none waits.
    ///
    /// # Panics
    /// When the event fails.
    pub fn reply(&self, peer: &Peer) -> bool {
        let probe = self.probe.as_ref();
        let Some(id) = peer.id() else { return false };
        let Some(bytes) = probe.and_then(|probe| probe.take_waiting(id)) else {
            return false;
        };
        self.soon(move |worker| worker.reply(id, worker.buffer(bytes).into()));
        true
    }

    /// Sends a connection a message.
    pub fn deliver(&self, peer: &Peer, message: &[u8]) {
        let message = self.worker.buffer(message.to_vec());
        if let Some(id) = peer.id() {
            self.worker.deliver_to(id, &message);
        }
    }

    /// Ends an answer without an end, with these last bytes.
    pub fn end_stream(&self, peer: &Peer, last: &[u8]) {
        if let Some(connection) = self.connection(peer) {
            connection.end_stream(Some(self.worker.buffer(last.to_vec())));
        }
    }

    fn connection(&self, peer: &Peer) -> Option<Rc<Connection>> {
        self.worker.connection(peer.id()?)
    }

    /// Whether the connection of a peer is open.
    #[must_use]
    pub fn is_open(&self, peer: &Peer) -> bool {
        self.connection(peer).is_some()
    }

    /// How many bytes wait for a peer that has no room for them.
    #[must_use]
    pub fn waiting(&self, peer: &Peer) -> usize {
        let connection = self.connection(peer);
        connection.map_or(0, |connection| connection.waiting())
    }

    /// How many connections were cut off because their peers lagged too far behind.
    #[must_use]
    pub fn evictions(&self) -> usize {
        usize::try_from(self.worker.counters().evictions.get()).unwrap_or(usize::MAX)
    }

    /// How many connections were ended by a deadline.
    #[must_use]
    pub fn timeouts(&self) -> usize {
        usize::try_from(self.worker.counters().timeouts.get()).unwrap_or(usize::MAX)
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
