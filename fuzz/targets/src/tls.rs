//! A TLS buffer event against OpenSSL, with a network between them that breaks records: the
//! application receives what the peer has sent, or the start of it, and one end.

mod peer;
mod sequences;
mod wire;

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use arbitrary::{Result, Unstructured};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslSessionCacheMode, SslVersion};
use php_event::{
    BufferEventFlags, BufferEventOptions, Callbacks, Event, EventBase, EventBufferEvent,
    EventSslContext, FilterResult, Filters,
};
use socket2::SockRef;
use test_support::dup;
use test_support::tls::{Authority, Folder, Identity};

use peer::{Peer, State};
use sequences::{OURS, PEERS, count};
use wire::{Fault, Wire};

/// What one side writes at once: up to more than two records of maximum length.
const LENGTHS: [usize; 6] = [1, 100, 1_000, 16_384, 16_385, 40_000];

/// The most steps of a script.
const STEPS_MAX: usize = 24;

/// Rounds in which everything that was sent arrives, whatever the cuts.
const ROUNDS: usize = 1_000;

/// Turns in which nothing moves, after which nothing will: at most four were seen before something
/// moved.
const QUIET: usize = 5;

/// The smallest part of the bytes on their way that arrives in a turn. Where more are on their way
/// than the cut allows for, their last ones come as it says.
const PARTS: usize = 16;

/// The high mark of an application that reads nothing for a while, and what may come beyond it:
/// a record.
const HIGH_MARK: usize = 4_096;
const RECORD_MAX: usize = 16_384;

/// The most bytes that arrive at the peer in a turn.
const ROOM: usize = 64 * 1024;

const HOST: &str = "localhost";

thread_local! {
    static WORLD: World = World::new();
}

struct World {
    base: EventBase,
    server: EventSslContext,
    client: EventSslContext,
    /// The peer's: a client, a server, and one that nobody trusts.
    connector: SslContext,
    acceptor: SslContext,
    stranger: SslContext,
}

impl World {
    fn new() -> Self {
        let (folder, authority) = (Folder::new(), Authority::new());
        let identity = authority.sign(&[HOST]);
        let server = [(
            EventSslContext::OPT_LOCAL_CERT,
            identity.save(&folder, "server").both.as_path().into(),
        )];
        let client = [(
            EventSslContext::OPT_CA_FILE,
            authority.save(&folder, "authority").as_path().into(),
        )];
        let context = |method, options| EventSslContext::new(method, options).expect("a context");
        let connector = SslContext::builder(SslMethod::tls_client()).expect("a context");
        Self {
            base: EventBase::new().expect("a base"),
            server: context(EventSslContext::TLS_SERVER_METHOD, &server),
            client: context(EventSslContext::TLS_CLIENT_METHOD, &client),
            connector: connector.build(),
            acceptor: serving(&identity),
            stranger: serving(&Identity::self_signed(&[HOST])),
        }
    }

    fn turn(&self) {
        let once = EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK;
        self.base.r#loop(once).expect("the loop runs");
    }
}

fn serving(identity: &Identity) -> SslContext {
    let mut builder = SslContext::builder(SslMethod::tls_server()).expect("a context");
    builder.set_certificate(&identity.cert).expect("it fits");
    builder.set_private_key(&identity.key).expect("it fits");
    // A session that is kept looks like a leak to libFuzzer.
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    builder.build()
}

/// What is chosen before a connection begins.
#[derive(Clone, Copy, Debug)]
struct Setup {
    /// Our side is the server.
    serves: bool,
    version: SslVersion,
    shape: Shape,
    allows_dirty_shutdown: bool,
    /// The peer's certificate is signed by itself.
    is_stranger: bool,
    /// The application wants no more than [`HIGH_MARK`].
    has_mark: bool,
    /// The application frees its side in its callback.
    frees: bool,
    /// The socket takes few bytes at once.
    is_narrow: bool,
    /// How many bytes arrive in a turn.
    cut: usize,
}

/// How our side is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Socket,
    /// TLS as a filter on a buffer event.
    Filter,
    /// A filter of the user's on top of TLS.
    Filtered,
}

impl Setup {
    fn any(u: &mut Unstructured<'_>) -> Result<Self> {
        let serves = u.arbitrary()?;
        Ok(Self {
            serves,
            version: *u.choose(&[SslVersion::TLS1_3, SslVersion::TLS1_2])?,
            shape: *u.choose(&[Shape::Socket, Shape::Filter, Shape::Filtered])?,
            allows_dirty_shutdown: u.ratio(1, 4)?,
            is_stranger: !serves && u.ratio(1, 16)?,
            has_mark: u.ratio(1, 4)?,
            frees: u.arbitrary()?,
            is_narrow: u.arbitrary()?,
            cut: *u.choose(&[usize::MAX, usize::MAX, 20_000, 100, 5, 1])?,
        })
    }
}

/// Our side's application.
#[derive(Default)]
struct App {
    /// How many bytes it has received and sent.
    received: Cell<usize>,
    sent: Cell<usize>,
    connected: Cell<usize>,
    ends: RefCell<Vec<BufferEventFlags>>,
    /// It reads nothing.
    holds: Cell<bool>,
    /// It frees the buffer event when that ends, and loses what is not sent by then.
    frees: Cell<bool>,
}

impl App {
    fn callbacks(self: &Rc<Self>) -> Callbacks {
        let (reads, told) = (Rc::clone(self), Rc::clone(self));
        Callbacks::new()
            .on_read(move |bev| {
                if !reads.holds.get() {
                    reads.read(bev);
                }
            })
            .on_event(move |bev, what| {
                if what == EventBufferEvent::CONNECTED {
                    told.connected.set(told.connected.get() + 1);
                } else {
                    told.read(bev);
                    told.ends.borrow_mut().push(what);
                    if told.frees.get() {
                        bev.free();
                    }
                }
            })
    }

    fn read(&self, bev: &EventBufferEvent) {
        if let Ok(Some(bytes)) = bev.read(usize::MAX) {
            let mut received = self.received.get();
            count(&mut received, &bytes, &PEERS);
            self.received.set(received);
        }
    }

    fn write(&self, bev: &EventBufferEvent, length: usize) {
        let sent = self.sent.get();
        if bev.write(&OURS[sent..][..length]).is_ok() {
            self.sent.set(sent + length);
        }
    }
}

/// A connection between our side and a peer.
struct Connection<'a> {
    world: &'a World,
    setup: Setup,
    bev: EventBufferEvent,
    /// What has our side's socket: this one, or the one at the bottom.
    bottom: EventBufferEvent,
    app: Rc<App>,
    wire: Wire,
    /// Our side's socket, seen from the network; it may be closed.
    far: Option<UnixStream>,
    peer: Peer,
    /// Room for what the peer receives in a turn.
    room: Vec<u8>,
    /// Bytes may be missing at the other end.
    is_broken: bool,
}

impl<'a> Connection<'a> {
    fn new(world: &'a World, setup: Setup, faults: Vec<(usize, Fault)>) -> Self {
        let (near, far) = UnixStream::pair().expect("a pair");
        far.set_nonblocking(true).expect("an option");
        if setup.is_narrow {
            let least = SockRef::from(&near).set_send_buffer_size(1);
            least.expect("an option");
        }
        let context = match (setup.serves, setup.is_stranger) {
            (true, _) => &world.connector,
            (false, false) => &world.acceptor,
            (false, true) => &world.stranger,
        };
        let mut ssl = Ssl::new(context).expect("a session");
        let version = Some(setup.version);
        ssl.set_min_proto_version(version).expect("a version");
        ssl.set_max_proto_version(version).expect("a version");
        match setup.serves {
            true => ssl.set_connect_state(),
            false => ssl.set_accept_state(),
        }
        let app = Rc::new(App::default());
        app.frees.set(setup.frees);
        let (bev, bottom) = ours(world, setup, near, &app).expect("our side");
        Self {
            world,
            setup,
            bev,
            bottom,
            app,
            wire: Wire::new(faults),
            far: Some(far),
            peer: Peer::new(ssl),
            room: vec![0; ROOM],
            is_broken: setup.is_stranger,
        }
    }

    /// One turn of the loop, and what the network and the peer do in its time. Whether something
    /// has moved.
    fn turn(&mut self) -> bool {
        self.peer.advance();
        let output = self.peer.take_output();
        self.wire.send(&output);
        let before = self.app.received.get();
        let moved = self.deliver() | !output.is_empty();
        self.clean(|this| this.world.turn());
        let reads = self.app.received.get() > before;
        moved | reads | self.collect()
    }

    /// Does something of ours, which leaves no error in OpenSSL's queue.
    fn clean(&self, work: impl FnOnce(&Self)) {
        drop(ErrorStack::get()); // the peer's
        work(self);
        let left = ErrorStack::get();
        assert!(left.errors().is_empty(), "{left}, {:?}", self.setup);
    }

    /// Moves bytes on to our side; whether there were any.
    fn deliver(&mut self) -> bool {
        let bytes = &mut self.wire.bytes;
        let Some(mut far) = self.far.as_ref() else {
            bytes.clear();
            return false;
        };
        let most = self.setup.cut.max(bytes.len() / PARTS);
        let sent = match far.write(&bytes[..bytes.len().min(most)]) {
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(_) => bytes.len(), // our side has closed the socket
        };
        bytes.drain(..sent);
        if self.wire.has_ended && bytes.is_empty() {
            far.shutdown(Shutdown::Write).ok();
        }
        sent > 0
    }

    /// Moves bytes on to the peer; whether there were any.
    fn collect(&mut self) -> bool {
        let Self { far, room, .. } = self;
        match far.as_ref().map(|mut far| far.read(room)) {
            Some(Ok(n)) => {
                self.peer.receive(&self.room[..n]);
                n > 0
            }
            _ => false,
        }
    }

    /// Turns until nothing moves.
    fn rest(&mut self) {
        let mut quiet = 0;
        for _ in 0..ROUNDS {
            quiet = match self.turn() || self.has_unread() {
                true => 0,
                false => quiet + 1,
            };
            self.check_bounds();
            if quiet == QUIET {
                return self.check_rest();
            }
        }
        panic!(
            "it does not come to rest: {:?}, {} bytes are on their way, {:?}, {:?}",
            self.setup,
            self.wire.bytes.len(),
            self.peer.state,
            self.app.ends.borrow()
        );
    }

    /// Whether our side has something to read from its socket. What it reads may be a part of a
    /// record, or one that the application sees nothing of.
    fn has_unread(&self) -> bool {
        if self.app.holds.get() || !self.app.ends.borrow().is_empty() {
            return false; // it may read no more
        }
        let Some(socket) = self.bottom.fd().map(dup) else {
            return false;
        };
        let mut socket = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        poll(&mut socket, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// When nothing moves any more, all has arrived that was sent.
    fn check_rest(&self) {
        let (app, peer) = (&self.app, &self.peer);
        let lasts = app.ends.borrow().is_empty() && app.connected.get() == 1;
        if self.is_broken || self.wire.is_broken || !lasts || peer.state != State::Open {
            return;
        }
        let is_read = app.received.get() == peer.sent;
        assert!(app.holds.get() || is_read, "{:?}", self.setup);
        assert_eq!(peer.received, app.sent.get());
    }

    fn check_bounds(&self) {
        assert!(
            self.app.received.get() <= self.peer.sent,
            "{:?}",
            self.setup
        );
        assert!(self.peer.received <= self.app.sent.get());
        if self.setup.has_mark && self.setup.shape != Shape::Filtered {
            let waiting = self.bev.input().length();
            assert!(waiting <= HIGH_MARK + RECORD_MAX, "{waiting}");
        }
    }

    /// The application stops reading, or reads what has come and goes on.
    fn hold(&self, holds: bool) {
        self.app.holds.set(holds);
        if !holds {
            self.clean(|this| this.app.read(&this.bev));
        }
    }

    /// A step of the script.
    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=15)? {
            0..=3 | 8..=10 if self.wire.has_ended => {}
            0..=3 => self.peer.write(*u.choose(&LENGTHS)?),
            4..=6 => {
                let length = *u.choose(&LENGTHS)?;
                self.clean(|this| this.app.write(&this.bev, length));
            }
            7 => self.hold(!self.app.holds.get()),
            8 => self.peer.update_keys(),
            9 => self.is_broken |= self.peer.renegotiate(),
            10 => self.peer.shut(),
            11 => self.clean(|this| drop(this.bev.ssl_shutdown())),
            12 => self.wire.has_ended = true,
            13 if u.ratio(1, 4)? => {
                self.is_broken = true;
                self.far = None;
            }
            _ => self.wire.disturb(u.int_in_range(0..=2)?, Fault::any(u)?),
        }
        if u.ratio(3, 4)? {
            self.rest();
        }
        Ok(())
    }

    /// Both sides end, the peer first.
    fn end(&mut self) {
        if self.peer.state == State::Handshake {
            self.rest();
        }
        if !self.wire.has_ended {
            self.peer.shut();
        }
        self.hold(false);
        self.rest();
        self.wire.has_ended = true;
        self.rest();
        self.clean(|this| this.bev.free());
        self.rest();
        self.is_broken |= self.wire.is_broken;
        self.check_end();
    }

    fn check_end(&self) {
        let (app, peer, setup) = (&self.app, &self.peer, self.setup);
        let ends = app.ends.borrow();
        // Writing may fail as well, and be reported for itself.
        let is_writing = |end: &&BufferEventFlags| end.contains(EventBufferEvent::WRITING);
        assert!(ends.iter().filter(is_writing).count() <= 1, "{ends:?}");
        assert!(
            ends.iter().filter(|end| !is_writing(end)).count() <= 1,
            "{ends:?}"
        );
        assert!(!ends.is_empty(), "no end: {setup:?}");
        let is_clean = ends.iter().any(|end| end.contains(EventBufferEvent::EOF));
        let failed = ends.iter().any(|end| end.contains(EventBufferEvent::ERROR));
        assert!(is_clean || failed, "{ends:?}");
        assert!(app.connected.get() <= 1);
        assert!(app.connected.get() == 1 || app.received.get() == 0);
        let is_whole = app.received.get() == peer.sent;
        if setup.is_stranger {
            assert_eq!(app.connected.get(), 0, "it was trusted");
        }
        if is_clean && !setup.allows_dirty_shutdown {
            assert!(is_whole && peer.is_shut, "cut short: {setup:?}");
        }
        if !self.is_broken {
            assert_eq!(app.connected.get(), 1, "{setup:?}");
            assert!(is_whole, "{ends:?} {setup:?}");
            assert!(
                is_clean || !setup.allows_dirty_shutdown,
                "{ends:?} {setup:?}"
            );
            let arrives = peer.is_shut && !app.frees.get();
            let (sent, arrived) = (app.sent.get(), peer.received);
            assert!(
                !arrives || arrived == sent,
                "{arrived} of {sent}: {setup:?}"
            );
            // An end without `close_notify` is answered with an alert.
            let is_told = app.frees.get() || peer.state == State::ToldEnd;
            assert!(!peer.is_shut || (is_clean && is_told), "{setup:?}");
        }
    }
}

/// Our side, on its socket.
fn ours(
    world: &World,
    setup: Setup,
    socket: UnixStream,
    app: &Rc<App>,
) -> php_event::Result<(EventBufferEvent, EventBufferEvent)> {
    let (base, none) = (&world.base, BufferEventOptions::empty());
    let (context, state) = match setup.serves {
        true => (&world.server, EventBufferEvent::SSL_ACCEPTING),
        false => (&world.client, EventBufferEvent::SSL_CONNECTING),
    };
    let (tls, bottom) = match setup.shape {
        Shape::Filter => {
            let under = EventBufferEvent::new(base, socket, none)?;
            let closes = EventBufferEvent::OPT_CLOSE_ON_FREE;
            let tls = EventBufferEvent::create_ssl_filter(&under, context, state, closes)?;
            (tls, under)
        }
        Shape::Socket | Shape::Filtered => {
            let tls = EventBufferEvent::ssl_socket(base, socket, context, state, none)?;
            (tls.clone(), tls)
        }
    };
    if !setup.serves {
        tls.set_ssl_host(HOST)?;
    }
    tls.set_allow_ssl_dirty_shutdown(setup.allows_dirty_shutdown)?;
    let bev = match setup.shape {
        Shape::Filtered => {
            let pass = Filters::new().on_input(|from, to, _, _| match to.add_buffer(from) {
                Ok(()) => FilterResult::Ok,
                Err(_) => FilterResult::Error,
            });
            EventBufferEvent::create_filter(&tls, pass, EventBufferEvent::OPT_CLOSE_ON_FREE)?
        }
        Shape::Socket | Shape::Filter => tls,
    };
    if setup.has_mark {
        bev.set_watermark(Event::READ, 0, HIGH_MARK)?;
    }
    bev.set_callbacks(app.callbacks())?;
    bev.enable(Event::READ | Event::WRITE)?;
    Ok((bev, bottom))
}

/// The script of one connection. Whether something was broken.
fn play(world: &World, setup: Setup, u: &mut Unstructured<'_>) -> Result<bool> {
    let faults = (0..u.int_in_range(0..=2)?).map(|_| Ok((u.int_in_range(0..=5)?, Fault::any(u)?)));
    let faults = faults.collect::<Result<Vec<_>>>()?;
    let mut connection = Connection::new(world, setup, faults);
    for _ in 0..STEPS_MAX {
        if u.is_empty() {
            break;
        }
        connection.step(u)?;
    }
    Ok(connection.finish())
}

impl Connection<'_> {
    /// Ends, and leaves nothing behind. Whether something was broken.
    fn finish(mut self) -> bool {
        self.end();
        let Self {
            world,
            bev,
            bottom,
            app,
            is_broken,
            ..
        } = self;
        drop((bev, bottom));
        for _ in 0..QUIET {
            world.turn(); // what is freed later goes now, or it looks like a leak to libFuzzer
        }
        assert_eq!(Rc::strong_count(&app), 1, "closures are kept");
        is_broken
    }
}

/// An undisturbed connection with the same contexts.
fn play_undisturbed(world: &World, setup: Setup) {
    let setup = Setup {
        is_stranger: false,
        has_mark: false,
        cut: usize::MAX,
        ..setup
    };
    let mut connection = Connection::new(world, setup, Vec::new());
    connection.rest();
    connection.peer.write(LENGTHS[1]);
    connection.app.write(&connection.bev, LENGTHS[1]);
    assert!(!connection.finish());
}

/// The input chooses how the two sides are set up, what happens to the peer's records, and what the
/// sides do.
pub(crate) fn run(input: &[u8]) {
    let mut u = Unstructured::new(input);
    let Ok(setup) = Setup::any(&mut u) else {
        return;
    };
    WORLD.with(|world| {
        // Where nothing was broken, the next connection is the undisturbed one.
        if play(world, setup, &mut u).unwrap_or(true) {
            play_undisturbed(world, setup);
        }
    });
}
