//! Two connected buffer events in one loop: the one that is tested, and its peer.

use std::cell::{Cell, RefCell};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use php_event::{
    BufferEventFlags, BufferEventOptions, Callbacks, Event, EventBase, EventBufferEvent,
    EventSslContext, FlushMode,
};
use socket2::SockRef;
use test_support::tls::{Folder, Identity};
use test_support::{limited, poll, precise_base};

use crate::PLAIN;

/// What carries the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    UnixSockets,
    Tcp,
    Pair,
    /// The tested side is the server.
    Tls,
    Tls12,
    /// The tested side is the client.
    TlsOverTcp,
    TlsFilterOnSocket,
    TlsFilterOnPair,
}

pub(crate) const ALL: [Transport; 8] = [
    Transport::UnixSockets,
    Transport::Tcp,
    Transport::Pair,
    Transport::Tls,
    Transport::Tls12,
    Transport::TlsOverTcp,
    Transport::TlsFilterOnSocket,
    Transport::TlsFilterOnPair,
];

impl Transport {
    pub(crate) fn is_tls(self) -> bool {
        !matches!(self, Self::UnixSockets | Self::Tcp | Self::Pair)
    }

    /// Whether there is no socket at the bottom.
    pub(crate) fn is_on_pair(self) -> bool {
        matches!(self, Self::Pair | Self::TlsFilterOnPair)
    }

    /// Whether the buffer event has a socket of its own.
    pub(crate) fn has_socket(self) -> bool {
        !matches!(
            self,
            Self::Pair | Self::TlsFilterOnSocket | Self::TlsFilterOnPair
        )
    }
}

thread_local! {
    /// Keys take time to make.
    static CONTEXTS: (EventSslContext, EventSslContext) = contexts();
}

fn contexts() -> (EventSslContext, EventSslContext) {
    let folder = Folder::new();
    let files = Identity::self_signed(&["localhost"]).save(&folder, "server");
    let own = (EventSslContext::OPT_LOCAL_CERT, files.both.as_path().into());
    let trusted = (EventSslContext::OPT_CA_FILE, files.cert.as_path().into());
    let server = EventSslContext::new(EventSslContext::TLS_SERVER_METHOD, &[own]).unwrap();
    let client = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[trusted]).unwrap();
    (server, client)
}

/// A connection over some transport, with its handshake done.
pub(crate) struct Link {
    pub(crate) transport: Transport,
    pub(crate) base: EventBase,
    /// The one that is tested. Only `WRITE` is enabled, and it has no callbacks.
    pub(crate) near: EventBufferEvent,
    /// Reads all that comes, see [`got`](Self::got).
    pub(crate) far: EventBufferEvent,
    received: Rc<RefCell<Vec<u8>>>,
    ended: Rc<Cell<Option<BufferEventFlags>>>,
    /// Another hold on the peer's socket, if the transport has one.
    far_socket: RefCell<Option<OwnedFd>>,
}

impl Link {
    pub(crate) fn new(transport: Transport) -> Self {
        Self::with(&precise_base(), transport, PLAIN)
    }

    /// With options for the tested one.
    pub(crate) fn with_options(transport: Transport, options: BufferEventOptions) -> Self {
        Self::with(&precise_base(), transport, options)
    }

    pub(crate) fn with(
        base: &EventBase,
        transport: Transport,
        options: BufferEventOptions,
    ) -> Self {
        Self::and_under(base, transport, options).0
    }

    /// Also gives what is under the tested one, if that is a TLS filter.
    pub(crate) fn with_under(transport: Transport) -> (Self, Option<EventBufferEvent>) {
        Self::and_under(&precise_base(), transport, PLAIN)
    }

    fn and_under(
        base: &EventBase,
        transport: Transport,
        options: BufferEventOptions,
    ) -> (Self, Option<EventBufferEvent>) {
        let mut under = None;
        let (near, far, far_socket) = match transport {
            Transport::UnixSockets | Transport::Tls | Transport::Tls12 => {
                Self::on_sockets(base, transport, options, UnixStream::pair().unwrap())
            }
            Transport::Tcp | Transport::TlsOverTcp => {
                Self::on_sockets(base, transport, options, tcp())
            }
            Transport::Pair => {
                let (near, far) = EventBufferEvent::create_pair(base, options).unwrap();
                (near, far, None)
            }
            Transport::TlsFilterOnSocket => {
                let (near, far) = UnixStream::pair().unwrap();
                let twin = far.try_clone().unwrap();
                let near = EventBufferEvent::new(base, near, PLAIN).unwrap();
                let far = EventBufferEvent::new(base, far, PLAIN).unwrap();
                under = Some(near.clone());
                let (near, far) = filters(&near, &far, options);
                (near, far, Some(twin.into()))
            }
            Transport::TlsFilterOnPair => {
                let (near, far) = EventBufferEvent::create_pair(base, PLAIN).unwrap();
                under = Some(near.clone());
                let (near, far) = filters(&near, &far, options);
                (near, far, None)
            }
        };
        let link = Self {
            transport,
            base: base.clone(),
            near,
            far,
            received: Rc::default(),
            ended: Rc::default(),
            far_socket: RefCell::new(far_socket),
        };
        if transport.is_tls() {
            link.handshake();
        }
        link.receive();
        (link, under)
    }

    fn on_sockets<S: Into<OwnedFd>>(
        base: &EventBase,
        transport: Transport,
        options: BufferEventOptions,
        (near, far): (S, S),
    ) -> (EventBufferEvent, EventBufferEvent, Option<OwnedFd>) {
        let (near, far): (OwnedFd, OwnedFd) = (near.into(), far.into());
        let twin = far.try_clone().unwrap();
        let (server, client) = CONTEXTS.with(Clone::clone);
        let (accepting, connecting) = (
            EventBufferEvent::SSL_ACCEPTING,
            EventBufferEvent::SSL_CONNECTING,
        );
        let tls = |fd, context: &EventSslContext, state, options| {
            EventBufferEvent::ssl_socket(base, fd, context, state, options).unwrap()
        };
        let (near, far) = match transport {
            Transport::Tls => (
                tls(near, &server, accepting, options),
                tls(far, &client, connecting, PLAIN),
            ),
            Transport::Tls12 => {
                let (server, client) = contexts();
                client
                    .set_max_proto_version(EventSslContext::TLS1_2_VERSION)
                    .unwrap();
                (
                    tls(near, &server, accepting, options),
                    tls(far, &client, connecting, PLAIN),
                )
            }
            Transport::TlsOverTcp => (
                tls(near, &client, connecting, options),
                tls(far, &server, accepting, PLAIN),
            ),
            _ => (
                EventBufferEvent::new(base, near, options).unwrap(),
                EventBufferEvent::new(base, far, PLAIN).unwrap(),
            ),
        };
        (near, far, Some(twin))
    }

    fn handshake(&self) {
        let done = Rc::new(Cell::new(0));
        for bev in [&self.near, &self.far] {
            let client = bev.set_ssl_host("localhost");
            assert!(client.is_ok() || client.unwrap_err().to_string().contains("a server"));
            let count = done.clone();
            let counts = Callbacks::new().on_event(move |bev, what| {
                assert_eq!(what, EventBufferEvent::CONNECTED, "{:?}", bev.ssl_error());
                count.set(count.get() + 1);
            });
            bev.set_callbacks(counts).unwrap();
            bev.enable(Event::READ).unwrap();
        }
        self.until(|| done.get() == 2);
        self.settle(); // TLS 1.3 sends tickets after the handshake
        self.near.set_callbacks(Callbacks::new()).unwrap();
        self.near.disable(Event::READ).unwrap();
    }

    /// Has the peer read all that comes.
    fn receive(&self) {
        let (received, ended) = (self.received.clone(), self.ended.clone());
        let callbacks = Callbacks::new()
            .on_read(move |bev| {
                let bytes = bev.read(usize::MAX).unwrap();
                received.borrow_mut().extend(bytes.unwrap_or_default());
            })
            .on_event(move |_bev, what| ended.set(Some(what)));
        self.far.set_callbacks(callbacks).unwrap();
        self.far.enable(Event::READ).unwrap();
    }

    /// Runs the loop until the condition holds.
    #[track_caller]
    pub(crate) fn until(&self, done: impl Fn() -> bool) {
        limited(|| {
            while !done() {
                self.base.r#loop(EventBase::LOOP_ONCE).unwrap();
            }
        });
    }

    /// Runs the loop until everything on its way has arrived.
    pub(crate) fn settle(&self) {
        for _ in 0..20 {
            poll(&self.base);
        }
    }

    /// Runs one turn of the loop, without waiting.
    pub(crate) fn turn(&self) {
        let now = EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK;
        self.base.r#loop(now).unwrap();
    }

    /// Asserts that the loop comes to rest: it makes few turns while a timer runs.
    #[track_caller]
    pub(crate) fn rests(&self, context: &str) {
        limited(|| (0..100).for_each(|_| self.turn()));
        let over = Rc::new(Cell::new(false));
        let ends = over.clone();
        let timer = Event::timer(&self.base, move |_timer| ends.set(true)).unwrap();
        timer.add(Some(Duration::from_millis(20))).unwrap();
        let turns = Cell::new(0);
        self.until(|| {
            turns.set(turns.get() + 1);
            over.get()
        });
        let turns = turns.get();
        assert!(turns < 10, "{:?}, {context}: {turns} turns", self.transport);
    }

    /// The peer sends these bytes.
    pub(crate) fn send(&self, data: impl AsRef<[u8]>) {
        self.far.write(data).unwrap();
    }

    /// What the peer has received since the last call.
    pub(crate) fn got(&self) -> String {
        String::from_utf8(self.received.take()).unwrap()
    }

    /// How many bytes the peer has received since the last call of [`got`](Self::got).
    pub(crate) fn received(&self) -> usize {
        self.received.borrow().len()
    }

    /// The peer stops reading: the buffers between the two fill up.
    pub(crate) fn stop_reading(&self) {
        self.far.disable(Event::READ).unwrap();
    }

    pub(crate) fn resume_reading(&self) {
        self.far.enable(Event::READ).unwrap();
    }

    /// What the peer was told about the end.
    pub(crate) fn end_at_peer(&self) -> Option<BufferEventFlags> {
        self.ended.get()
    }

    /// The peer ends its direction, and goes on reading.
    pub(crate) fn half_close(&self) {
        if self.transport == Transport::Pair {
            self.far.flush(Event::WRITE, FlushMode::Finished).unwrap();
            return;
        }
        self.until(|| self.far.output().length() == 0 || self.end_at_peer().is_some());
        if self.transport.is_tls() {
            self.far.ssl_shutdown().ok(); // the tested one may have ended already
        } else {
            self.shut_down(Shutdown::Write);
        }
    }

    /// Shuts the peer's socket down, under TLS without `close_notify`.
    pub(crate) fn shut_down(&self, how: Shutdown) {
        let far = self.far_socket.borrow();
        SockRef::from(far.as_ref().unwrap()).shutdown(how).ok(); // the tested one may have ended
    }

    /// The peer ends the connection properly.
    pub(crate) fn end(&self) {
        self.half_close();
        self.settle();
        self.far_socket.take();
        self.far.free();
    }

    /// The connection breaks: it is reset, if it is over TCP.
    pub(crate) fn cut(&self) {
        if let Some(far) = &*self.far_socket.borrow() {
            let far = SockRef::from(far);
            far.set_linger(Some(Duration::ZERO)).ok();
            far.shutdown(Shutdown::Both).ok();
        }
        self.far_socket.take();
        self.far.free();
    }

    /// Gives up the tested one: its last handle goes, unless a test has another.
    pub(crate) fn give_up_near(&mut self) {
        self.near = self.far.clone();
    }
}

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    near.set_nodelay(true).unwrap();
    let (far, _) = listener.accept().unwrap();
    far.set_nodelay(true).unwrap();
    SockRef::from(&near).set_send_buffer_size(1 << 16).unwrap(); // or it grows to megabytes
    SockRef::from(&far).set_recv_buffer_size(1 << 16).unwrap();
    (near, far)
}

/// A TLS filter on each; the nearer one is the server.
fn filters(
    near: &EventBufferEvent,
    far: &EventBufferEvent,
    options: BufferEventOptions,
) -> (EventBufferEvent, EventBufferEvent) {
    let (server, client) = CONTEXTS.with(Clone::clone);
    let (accepting, connecting) = (
        EventBufferEvent::SSL_ACCEPTING,
        EventBufferEvent::SSL_CONNECTING,
    );
    (
        EventBufferEvent::create_ssl_filter(near, &server, accepting, options).unwrap(),
        EventBufferEvent::create_ssl_filter(far, &client, connecting, PLAIN).unwrap(),
    )
}
