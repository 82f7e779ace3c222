//! A cage of handles of every class, and one who uses, swaps, frees and drops them: at the top
//! level, inside every closure, and inside the destructors of what the closures captured. TLS, HTTP
//! over TLS, signals and wakers of other threads are among them.
//!
//! What happens is determined by a seed, or by the bytes of an input. Which call returns `Err` does
//! not matter here; what matters is that none crashes, that no closure leaks, and that no panic but
//! those made on purpose comes out of anything.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::{Rc, Weak};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use fastrand::Rng;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise};
use php_event::{
    AddressFamily, BufferEventOptions, Callbacks, DnsFlags, Event, EventBase, EventBuffer,
    EventBufferEvent, EventDnsBase, EventException, EventHttp, EventHttpConnection,
    EventHttpRequest, EventListener, FilterResult, Filters, FlushMode, HttpMethods, ListenerFlags,
    Lookup, LookupOptions, Waker,
};

use test_support::{pair, set_disposition};

const ADDRESS: &str = "127.0.0.1";

/// More than a socket holds. It is lent to buffers, because copies take longer than all else.
static LARGE: LazyLock<Arc<[u8]>> = LazyLock::new(|| vec![b'q'; 3_000_000].into());

#[derive(Clone)]
enum Thing {
    Event(Event),
    Bev(EventBufferEvent),
    Buffer(EventBuffer),
    Listener(EventListener),
    Http(EventHttp),
    Request(EventHttpRequest),
    Conn(EventHttpConnection),
    Dns(EventDnsBase),
    Lookup(Lookup),
    Waker(Waker),
}

/// Where something listens.
#[derive(Clone, Copy)]
struct Port {
    number: u16,
    is_tls: bool,
}

/// What reached a closure, plain and over TLS.
#[derive(Default, Debug)]
pub(crate) struct Reached {
    requests: Cell<[usize; 2]>,
    answers: Cell<[usize; 2]>,
}

const SIGNALS: [Signal; 2] = [Signal::SIGUSR1, Signal::SIGUSR2];

/// What decides what happens next.
pub(crate) enum Choices {
    /// A seed's random numbers.
    Random(Rng),
    /// The bytes of an input. At their end the last possibility is always taken: it does least.
    Given(VecDeque<u8>),
}

impl Choices {
    pub(crate) fn of_seed(seed: u64) -> Self {
        Self::Random(Rng::with_seed(seed))
    }

    pub(crate) fn of_input(input: &[u8]) -> Self {
        Self::Given(input.iter().copied().collect())
    }

    fn below(&mut self, limit: usize) -> usize {
        match self {
            Self::Random(rng) => rng.usize(..limit),
            Self::Given(input) => input
                .pop_front()
                .map_or(limit - 1, |byte| usize::from(byte) % limit),
        }
    }

    fn are_at_end(&self) -> bool {
        matches!(self, Self::Given(input) if input.is_empty())
    }
}

/// What a closure panics with on purpose.
struct OnPurpose;

/// Does what may end in a panic on purpose. Any other goes on.
fn tolerate<T>(work: impl FnOnce() -> T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(work))
        && !payload.is::<OnPurpose>()
    {
        resume_unwind(payload);
    }
}

/// The handles, and what chooses among them.
struct Cage {
    choices: RefCell<Choices>,
    bases: RefCell<Vec<EventBase>>,
    things: RefCell<Vec<Thing>>,
    ports: RefCell<Vec<Port>>,
    depth: Cell<u32>,
    made: Cell<usize>,
    dropped: Rc<Cell<usize>>,
    reached: Rc<Reached>,
}

/// What each closure captures: it acts and may panic when it is dropped, and is counted.
struct Tail {
    cage: Weak<Cage>,
    dropped: Rc<Cell<usize>>,
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.dropped.set(self.dropped.get() + 1);
        if let Some(cage) = self.cage.upgrade()
            && !std::thread::panicking()
        {
            tolerate(|| cage.act());
            cage.panic_one_time_in(30);
        }
    }
}

impl Tail {
    /// The body of every closure.
    fn wag(&self) {
        let Some(cage) = self.cage.upgrade() else {
            return;
        };
        for _ in 0..=cage.below(2) {
            cage.act();
        }
        cage.panic_one_time_in(40);
    }
}

type Done = Result<(), EventException>;

impl Cage {
    fn new(choices: Choices, reached: &Rc<Reached>) -> Rc<Self> {
        Rc::new(Self {
            choices: RefCell::new(choices),
            bases: RefCell::new((0..2).map(|_| EventBase::new().unwrap()).collect()),
            things: RefCell::default(),
            ports: RefCell::default(),
            depth: Cell::new(0),
            made: Cell::new(0),
            dropped: Rc::default(),
            reached: Rc::clone(reached),
        })
    }

    fn below(&self, limit: usize) -> usize {
        self.choices.borrow_mut().below(limit)
    }

    fn panic_one_time_in(&self, times: usize) {
        if self.below(times) == 0 {
            resume_unwind(Box::new(OnPurpose)); // calls no panic hook
        }
    }

    fn tail(self: &Rc<Self>) -> Tail {
        self.made.set(self.made.get() + 1);
        Tail {
            cage: Rc::downgrade(self),
            dropped: self.dropped.clone(),
        }
    }

    fn take_base(&self) -> Option<EventBase> {
        self.bases.borrow_mut().pop()
    }

    fn base(&self) -> EventBase {
        let i = self.below(2);
        self.bases.borrow()[i].clone()
    }

    fn any(&self) -> Option<Thing> {
        let count = self.things.borrow().len();
        (count > 0).then(|| self.things.borrow()[self.below(count)].clone())
    }

    fn find<T>(&self, is: impl Fn(&Thing) -> Option<T>) -> Option<T> {
        let mut found: Vec<T> = self.things.borrow().iter().filter_map(is).collect();
        (!found.is_empty()).then(|| found.swap_remove(self.below(found.len())))
    }

    fn bev(&self) -> Option<EventBufferEvent> {
        self.find(|thing| match thing {
            Thing::Bev(bev) => Some(bev.clone()),
            _ => None,
        })
    }

    fn buffer(&self) -> Option<EventBuffer> {
        self.find(|thing| match thing {
            Thing::Buffer(buffer) => Some(buffer.clone()),
            _ => None,
        })
    }

    /// Takes it in; one that is there already is thrown out when the cage is full.
    fn keep(&self, thing: Thing) {
        self.things.borrow_mut().push(thing);
        if self.things.borrow().len() > 40 {
            let i = self.below(40);
            let out = self.things.borrow_mut().swap_remove(i);
            drop(out);
        }
    }

    /// One thing by chance, at most a few deep.
    fn act(self: &Rc<Self>) {
        if self.depth.get() > 3 {
            return;
        }
        self.depth.set(self.depth.get() + 1);
        let result = catch_unwind(AssertUnwindSafe(|| {
            let _: Done = match self.below(8) {
                0..=2 => self.make(),
                3..=5 => self.any().map_or(Ok(()), |thing| self.touch(thing)),
                6 => {
                    self.throw_out();
                    Ok(())
                }
                _ => self.stir(),
            };
        }));
        self.depth.set(self.depth.get() - 1);
        if let Err(payload) = result {
            resume_unwind(payload);
        }
    }

    fn throw_out(&self) {
        let count = self.things.borrow().len();
        if count > 0 {
            let i = self.below(count);
            let out = self.things.borrow_mut().swap_remove(i);
            drop(out);
        }
    }

    /// What concerns the bases, and handles that change places.
    fn stir(&self) -> Done {
        match self.below(13) {
            0..=3 => {
                let mut things = self.things.borrow_mut();
                let count = things.len();
                if count > 1 {
                    let (a, b) = (self.below(count - 1), count - 1);
                    let (head, last) = things.split_at_mut(b);
                    std::mem::swap(&mut head[a], &mut last[0]);
                }
                Ok(())
            }
            4..=6 => self.turn().map(|_| ()),
            7 => self.base().stop(),
            8 => {
                let i = self.below(2);
                let new = EventBase::new()?;
                let old = std::mem::replace(&mut self.bases.borrow_mut()[i], new);
                drop(old);
                Ok(())
            }
            9 => self.base().free(),
            10 => self.base().exit(None),
            11 => self.base().priority_init(1 + self.below(4) as i32),
            _ => {
                self.bases.borrow_mut().swap(0, 1);
                Ok(())
            }
        }
    }

    fn turn(&self) -> Result<php_event::LoopEnd, EventException> {
        self.base()
            .r#loop(EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK)
    }

    fn callbacks(self: &Rc<Self>) -> Callbacks {
        let (read, write, event) = (self.tail(), self.tail(), self.tail());
        Callbacks::new()
            .on_read(move |_| read.wag())
            .on_write(move |_| write.wag())
            .on_event(move |_, _| event.wag())
    }

    fn filters(self: &Rc<Self>) -> Filters {
        let (input, output) = (self.tail(), self.tail());
        let pass = |from: &EventBuffer, to: &EventBuffer| match to.add_buffer(from) {
            Ok(()) => FilterResult::Ok,
            Err(_) => FilterResult::Error,
        };
        Filters::new()
            .on_input(move |from, to, _, _| {
                input.wag();
                pass(from, to)
            })
            .on_output(move |from, to, _, _| {
                output.wag();
                pass(from, to)
            })
    }

    fn make(self: &Rc<Self>) -> Done {
        let (base, tail) = (self.base(), self.tail());
        match self.below(14) {
            0 => {
                let event = Event::timer(&base, move |_| tail.wag())?;
                event.add_timer(Some(Duration::ZERO))?;
                self.keep(Thing::Event(event));
            }
            1 => {
                let options = BufferEventOptions::from_bits_truncate(self.below(32) as _);
                let (one, other) = EventBufferEvent::create_pair(&base, options)?;
                self.keep(Thing::Bev(one));
                self.keep(Thing::Bev(other));
            }
            2 => {
                let options = BufferEventOptions::from_bits_truncate(self.below(32) as _);
                if let Some(under) = self.bev() {
                    let filter = EventBufferEvent::create_filter(&under, self.filters(), options)?;
                    self.keep(Thing::Bev(filter));
                }
            }
            3 => {
                let cage = self.clone();
                let weak = Rc::downgrade(&cage);
                let accepted = move |listener: &EventListener, stream, _| {
                    if let (Some(cage), Ok(base)) = (weak.upgrade(), listener.get_base()) {
                        let options = BufferEventOptions::CLOSE_ON_FREE;
                        if let Ok(bev) = EventBufferEvent::new(&base, stream, options) {
                            cage.keep(Thing::Bev(bev));
                        }
                    }
                    tail.wag();
                };
                let target = "127.0.0.1:0";
                let listener =
                    EventListener::new(&base, accepted, ListenerFlags::empty(), -1, target)?;
                if let Ok(php_event::SocketName::Ip(address)) = listener.get_socket_name() {
                    self.listens(address.port(), false);
                }
                self.keep(Thing::Listener(listener));
            }
            4 => {
                let is_tls = self.below(2) == 0;
                let http = http_server(&base, is_tls)?;
                let weak = Rc::downgrade(self);
                http.set_default_callback(move |request| {
                    if let Some(cage) = weak.upgrade() {
                        count(&cage.reached.requests, is_tls);
                        cage.keep(Thing::Request(request.clone()));
                        let _ = cage.touch(Thing::Request(request.clone()));
                    }
                    tail.wag();
                })?;
                self.listens(http.bind(ADDRESS, 0)?.port(), is_tls);
                self.keep(Thing::Http(http));
            }
            5 | 6 => {
                let Some(port) = self.port() else {
                    return Ok(());
                };
                let speaks_tls = port.is_tls != (self.below(8) == 0); // some speak the wrong one
                let conn = http_client(&base, port.number, speaks_tls)?;
                for _ in 0..=self.below(2) {
                    self.ask(&conn, Some(speaks_tls))?;
                }
                self.keep(Thing::Conn(conn));
            }
            7 => {
                let dns = EventDnsBase::new(&base, DnsFlags::empty())?;
                dns.add_nameserver_ip("127.0.0.1:9")?;
                let name = ["localhost.x", "127.0.0.1", "::1"][self.below(3)];
                let lookup = dns.resolve(name, LookupOptions::default(), move |_| tail.wag())?;
                self.keep(Thing::Dns(dns));
                self.keep(Thing::Lookup(lookup));
            }
            8 => {
                let bev = EventBufferEvent::unconnected(&base, BufferEventOptions::CLOSE_ON_FREE)?;
                bev.set_callbacks(self.callbacks())?;
                self.keep(Thing::Bev(bev.clone()));
                if let Some(port) = self.port() {
                    bev.connect_host(None, ADDRESS, port.number, AddressFamily::INET)?;
                }
            }
            10 => {
                let what = [Event::READ, Event::WRITE, Event::CLOSED][self.below(3)];
                let (one, other) = pair();
                let event = Event::new(&base, one, what | Event::PERSIST, move |_, _, event| {
                    let _peer = &other;
                    tail.wag();
                    event.del().ok(); // what is ready stays so
                })?;
                event.add(None)?;
                self.keep(Thing::Event(event));
            }
            11 => {
                let signal = SIGNALS[self.below(2)];
                let event = Event::signal(&base, signal as i32, move |_, _| tail.wag())?;
                self.keep(Thing::Event(event.clone()));
                event.add(None)?;
            }
            12 => {
                let (event, waker) = Event::waker(&base, move |_| tail.wag())?;
                event.add(None)?;
                self.keep(Thing::Event(event));
                self.keep(Thing::Waker(waker));
            }
            #[cfg(feature = "openssl")]
            13 => {
                for bev in tls::pair_of(&base, self.below(2) == 0)? {
                    bev.set_callbacks(self.callbacks())?;
                    self.keep(Thing::Bev(bev));
                }
            }
            _ => {
                let buffer = EventBuffer::new()?;
                buffer.add([b'x'; 600])?;
                buffer.add_reference(vec![b'y'; 50])?;
                self.keep(Thing::Buffer(buffer));
            }
        }
        Ok(())
    }

    /// Makes a request, some with more of a body than a socket holds.
    fn ask(self: &Rc<Self>, conn: &EventHttpConnection, is_tls: Option<bool>) -> Done {
        let (tail, reached) = (self.tail(), Rc::clone(&self.reached));
        let request = EventHttpRequest::new(move |answer| {
            if answer.is_some_and(|answer| answer.get_response_code().is_ok_and(|code| code > 0)) {
                is_tls.inspect(|is_tls| count(&reached.answers, *is_tls));
            }
            tail.wag();
        })?;
        self.keep(Thing::Request(request.clone()));
        let method = match self.below(3) {
            0 => {
                let output = request.get_output_buffer();
                match self.below(3) {
                    0 => output.add([b'q'; 10])?,
                    1 => output.add(vec![b'q'; 100_000])?,
                    _ => output.add_reference(Arc::clone(&LARGE))?,
                }
                HttpMethods::POST
            }
            _ => HttpMethods::GET,
        };
        conn.make_request(&request, method, ["/", "/stream"][self.below(2)])
    }

    fn listens(&self, number: u16, is_tls: bool) {
        self.ports.borrow_mut().push(Port { number, is_tls });
    }

    fn port(&self) -> Option<Port> {
        let count = self.ports.borrow().len();
        (count > 0).then(|| self.ports.borrow()[self.below(count)])
    }

    fn touch(self: &Rc<Self>, thing: Thing) -> Done {
        match thing {
            Thing::Event(event) => match self.below(9) {
                0 => event.add_timer(Some(Duration::ZERO)),
                1 => event.del(),
                2 => event.active(Event::TIMEOUT),
                3 => {
                    let tail = self.tail();
                    event.set_timer(&self.base(), move |_| tail.wag())
                }
                5 => {
                    event.detach();
                    Ok(())
                }
                6 => event.set_priority(self.below(3) as _),
                7 => event.add(None),
                8 => raise(SIGNALS[self.below(2)]).map_err(|error| unreachable!("{error}")),
                _ => {
                    event.free();
                    Ok(())
                }
            },
            Thing::Bev(bev) => self.touch_bev(&bev),
            Thing::Buffer(buffer) => self.touch_buffer(&buffer),
            Thing::Listener(listener) => match self.below(4) {
                0 => listener.enable(),
                1 => listener.disable(),
                2 => {
                    let tail = self.tail();
                    listener.set_callback(move |_, _, _| tail.wag())
                }
                _ => {
                    listener.free();
                    Ok(())
                }
            },
            Thing::Http(http) => {
                let tail = self.tail();
                match self.below(4) {
                    0 => http.set_callback("/", move |_| tail.wag()),
                    1 => http.remove_callback("/").map(|_| ()),
                    2 => {
                        let weak = Rc::downgrade(self);
                        http.set_stream_callback("/stream", None, move |request| {
                            if let Some(cage) = weak.upgrade() {
                                cage.keep(Thing::Request(request.clone()));
                                let body = cage.tail();
                                request.set_body_callback(move |_, _| body.wag()).ok();
                            }
                            tail.wag();
                        })
                    }
                    _ => http.set_timeout(Some(Duration::from_millis(1))),
                }
            }
            Thing::Request(request) => self.touch_request(&request),
            Thing::Conn(conn) => match self.below(3) {
                1 => self.ask(&conn, None), // an error at a server's end
                0 => {
                    let tail = self.tail();
                    conn.set_close_callback(move |_| tail.wag())
                }
                _ => conn.set_timeout(Some(Duration::from_millis(1))),
            },
            Thing::Waker(waker) => match self.below(2) {
                0 => waker.wake(),
                _ => std::thread::spawn(move || waker.wake()).join().unwrap(),
            },
            Thing::Dns(dns) => dns.add_search("x"),
            Thing::Lookup(lookup) => {
                lookup.cancel();
                Ok(())
            }
        }
    }

    fn touch_bev(self: &Rc<Self>, bev: &EventBufferEvent) -> Done {
        match self.below(18) {
            0 | 1 => bev.enable(Event::READ | Event::WRITE),
            2 => bev.disable(Event::READ | Event::WRITE),
            3 | 4 => bev.write([b'z'; 300]),
            5 => bev.read(100).map(|_| ()),
            6 | 7 => bev.set_callbacks(self.callbacks()),
            8 => bev.set_watermark(Event::READ, 0, self.below(400)),
            9 => bev
                .flush(Event::READ | Event::WRITE, FlushMode::Finished)
                .map(|_| ()),
            10 => bev.set_timeouts(Some(Duration::from_millis(1)), None),
            11 => {
                self.keep(Thing::Buffer(bev.input()));
                self.keep(Thing::Buffer(bev.output()));
                Ok(())
            }
            12 => bev.close(),
            14 => bev.set_priority(self.below(3) as _),
            15 => {
                bev.clone().detach();
                Ok(())
            }
            #[cfg(feature = "openssl")]
            16 => bev.ssl_shutdown(),
            #[cfg(feature = "openssl")]
            17 => bev.ssl_error().map(|_| ()),
            _ => {
                bev.free();
                Ok(())
            }
        }
    }

    fn touch_buffer(&self, buffer: &EventBuffer) -> Done {
        let other = self.buffer();
        match (self.below(10), other) {
            (0, Some(other)) => buffer.add_buffer(&other),
            (1, Some(other)) => buffer.prepend_buffer(&other),
            (2, Some(other)) => buffer.append_from(&other, 100).map(|_| ()),
            (3, _) => buffer.pullup(None).map(|_| ()),
            (4, _) => buffer.drain(90),
            (5, _) => buffer.freeze(self.below(2) == 0),
            (6, _) => buffer.unfreeze(self.below(2) == 0),
            (7, _) => buffer.prepend([b'p'; 80]),
            (8, _) => buffer.read(70).map(|_| ()),
            _ => buffer.add([b'b'; 100]),
        }
    }

    fn touch_request(self: &Rc<Self>, request: &EventHttpRequest) -> Done {
        match self.below(12) {
            0 | 1 => request.send_reply(200, "OK", self.buffer().as_ref()),
            2 | 3 => request.send_reply_start(200, "OK"),
            4 | 5 => self
                .buffer()
                .map_or(Ok(()), |chunk| request.send_reply_chunk(&chunk)),
            6 => request.send_reply_end(),
            7 => {
                self.keep(Thing::Buffer(request.get_input_buffer()));
                self.keep(Thing::Buffer(request.get_output_buffer()));
                Ok(())
            }
            8 => {
                if let Some(bev) = request.get_buffer_event() {
                    self.keep(Thing::Bev(bev));
                }
                request.get_connection().map_or(Ok(()), |conn| {
                    self.keep(Thing::Conn(conn.clone()));
                    self.touch(Thing::Conn(conn))
                })
            }
            9 => request.close_connection(),
            10 => request.cancel(),
            _ => {
                request.free();
                request.send_error(500, None)
            }
        }
    }
}

/// Throws everything away in an order of chance, and says how many closures were kept.
fn clear(cage: &Rc<Cage>) -> usize {
    cage.depth.set(9); // from now on nothing is done any more
    while !cage.things.borrow().is_empty() {
        tolerate(|| cage.throw_out());
    }
    while let Some(base) = cage.take_base() {
        tolerate(|| drop(base));
    }
    cage.made.get() - cage.dropped.get()
}

/// One more, plain or over TLS.
fn count(counts: &Cell<[usize; 2]>, is_tls: bool) {
    let mut new = counts.get();
    new[usize::from(is_tls)] += 1;
    counts.set(new);
}

fn http_server(base: &EventBase, is_tls: bool) -> Result<EventHttp, EventException> {
    #[cfg(feature = "openssl")]
    if is_tls {
        return tls::http_server(base);
    }
    let _ = is_tls;
    EventHttp::new(base)
}

fn http_client(
    base: &EventBase,
    port: u16,
    is_tls: bool,
) -> Result<EventHttpConnection, EventException> {
    #[cfg(feature = "openssl")]
    if is_tls {
        return tls::http_client(base, ADDRESS, port);
    }
    let _ = is_tls;
    EventHttpConnection::new(base, None, ADDRESS, port)
}

/// What is done before it ends, if a seed decides.
const ACTS: usize = 120;

/// Does what `choices` say, with a few turns of the loops after each.
pub(crate) fn episode(choices: Choices, reached: &Rc<Reached>) {
    let cage = Cage::new(choices, reached);
    for _ in 0..ACTS {
        if cage.choices.borrow().are_at_end() {
            break;
        }
        tolerate(|| cage.act());
        for _ in 0..4 {
            tolerate(|| cage.turn());
        }
    }
    assert_eq!(clear(&cage), 0, "closures kept");
}

/// What the process does on the signals while the monkey has them.
pub(crate) struct Ignored([SigAction; 2]);

impl Ignored {
    pub(crate) fn new() -> Self {
        let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
        Self(SIGNALS.map(|signal| set_disposition(signal, &ignore)))
    }
}

impl Drop for Ignored {
    fn drop(&mut self) {
        for (signal, former) in SIGNALS.iter().zip(&self.0) {
            set_disposition(*signal, former);
        }
    }
}

#[cfg(feature = "openssl")]
mod tls {
    use php_event::{
        BufferEventOptions, Event, EventBase, EventBufferEvent, EventException, EventHttp,
        EventHttpConnection, EventSslContext,
    };
    use test_support::pair;
    use test_support::tls::{Folder, Identity};

    thread_local! {
        static CONTEXTS: [EventSslContext; 2] = contexts();
    }

    fn contexts() -> [EventSslContext; 2] {
        let folder = Folder::new();
        let files = Identity::self_signed(&["localhost"]).save(&folder, "server");
        let certificate = (EventSslContext::OPT_LOCAL_CERT, files.both.as_path().into());
        let unverified = (EventSslContext::OPT_VERIFY_PEER, false.into());
        [
            EventSslContext::new(EventSslContext::TLS_SERVER_METHOD, &[certificate]).unwrap(),
            EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[unverified]).unwrap(),
        ]
    }

    pub(super) fn http_server(base: &EventBase) -> Result<EventHttp, EventException> {
        CONTEXTS.with(|[server, _]| EventHttp::with_ssl(base, server))
    }

    pub(super) fn http_client(
        base: &EventBase,
        address: &str,
        port: u16,
    ) -> Result<EventHttpConnection, EventException> {
        CONTEXTS
            .with(|[_, client]| EventHttpConnection::with_ssl(base, None, address, port, client))
    }

    /// A server and a client that talk to each other, on sockets or on top of a pair.
    pub(super) fn pair_of(
        base: &EventBase,
        filters: bool,
    ) -> Result<[EventBufferEvent; 2], EventException> {
        let options = BufferEventOptions::CLOSE_ON_FREE;
        let (server, client) = (
            EventBufferEvent::SSL_ACCEPTING,
            EventBufferEvent::SSL_CONNECTING,
        );
        let [for_server, for_client] = CONTEXTS.with(Clone::clone);
        let bevs = if filters {
            let (one, other) = EventBufferEvent::create_pair(base, BufferEventOptions::empty())?;
            [
                EventBufferEvent::create_ssl_filter(&one, &for_server, server, options)?,
                EventBufferEvent::create_ssl_filter(&other, &for_client, client, options)?,
            ]
        } else {
            let (one, other) = pair();
            [
                EventBufferEvent::ssl_socket(base, one, &for_server, server, options)?,
                EventBufferEvent::ssl_socket(base, other, &for_client, client, options)?,
            ]
        };
        for bev in &bevs {
            bev.write("hello")?;
            bev.enable(Event::READ | Event::WRITE)?;
        }
        Ok(bevs)
    }
}
