//! `EventHttp` over TCP and TLS: every answer arrives whole and in its turn, however the application
//! gives it, and whatever the client sends ahead.

mod client;
mod plan;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::thread::sleep;
use std::time::Duration;

use arbitrary::Unstructured;
use php_event::{Event, EventBase, EventBuffer, EventHttp, EventHttpRequest, LoopFlags};
use socket2::SockRef;

use client::Client;
use plan::{Exchange, Plan, Reply};

/// Turns in which nothing moves, after which a client that reads late begins to read.
const QUIET: usize = 8;

/// Turns in which nothing moves, each with a pause, after which nothing will. Only a failure waits
/// for so long.
const PATIENCE: usize = 5_000;
const PAUSE: Duration = Duration::from_millis(1);

/// How much a socket takes at once: any answer.
const ROOM: usize = 1 << 20;

struct World {
    base: EventBase,
    servers: Vec<(EventHttp, SocketAddr)>,
    app: Rc<App>,
    /// Answers in the middle of a turn.
    tick: Event,
}

/// What answers.
#[derive(Default)]
struct App {
    plan: RefCell<Rc<Plan>>,
    jobs: RefCell<VecDeque<Job>>,
}

/// A request that has no whole answer yet.
struct Job {
    request: EventHttpRequest,
    exchange: Exchange,
    /// How many steps were made.
    step: usize,
}

thread_local! {
    static WORLD: World = World::new();
}

impl World {
    fn new() -> Self {
        let base = EventBase::new().expect("a base");
        let app = Rc::<App>::default();
        let servers = [
            EventHttp::new(&base),
            #[cfg(feature = "openssl")]
            EventHttp::with_ssl(&base, &client::serving()),
        ];
        let servers = servers.into_iter().map(|http| {
            let http = http.expect("a server");
            let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
            let address = listener.local_addr().expect("an address");
            let room = SockRef::from(&listener).set_send_buffer_size(ROOM);
            room.expect("an option");
            http.accept(listener).expect("a server that accepts");
            let answers = Rc::clone(&app);
            let callback = move |request: &EventHttpRequest| answers.begin(request);
            http.set_default_callback(callback).expect("a callback");
            (http, address)
        });
        let answers = Rc::clone(&app);
        let tick = Event::timer(&base, move |_| answers.proceed(true));
        Self {
            servers: servers.collect(),
            tick: tick.expect("a timer"),
            base,
            app,
        }
    }

    /// One turn of the loop and one step of each answer. Whether the application had something to
    /// do.
    fn turn(&self) -> bool {
        let works = !self.app.jobs.borrow().is_empty();
        self.tick.add(Some(Duration::ZERO)).expect("a timer");
        self.base
            .r#loop(LoopFlags::ONCE | LoopFlags::NONBLOCK)
            .expect("the loop runs");
        self.app.proceed(false);
        works
    }

    fn play(&self, plan: &Rc<Plan>) {
        self.app.plan.replace(Rc::clone(plan));
        let server = plan.server % self.servers.len();
        let mut client = Client::connect(self.servers[server].1, server > 0, plan);
        let mut quiet = 0;
        while !client.is_done() {
            let moved = self.turn() | client.turn();
            quiet = if moved { 0 } else { quiet + 1 };
            if quiet > QUIET && !client.goes_on() {
                sleep(PAUSE);
                assert!(quiet < PATIENCE, "it stands still: {client:?}, {plan:?}");
            }
        }
        drop(client);
        for _ in 0..QUIET {
            self.turn();
        }
        assert!(self.app.jobs.borrow().is_empty(), "{plan:?}");
    }
}

impl App {
    fn begin(&self, request: &EventHttpRequest) {
        let plan = Rc::clone(&self.plan.borrow());
        let path = request.get_uri().expect("a request").expect("a path");
        let number: usize = path[1..].parse().expect("a number");
        let exchange = plan.exchanges[number].clone();
        let conn = request.get_connection().expect("a connection");
        if number == 0 {
            if !plan.has_limit {
                conn.set_timeout(None).expect("no limit");
            }
            if plan.watches {
                conn.set_close_callback(|_| {}).expect("a callback");
            }
        }
        let body = request.get_input_buffer().read(usize::MAX).expect("a body");
        assert_eq!(body.unwrap_or_default(), exchange.body(), "{plan:?}");
        let mut job = Job {
            request: request.clone(),
            exchange,
            step: 0,
        };
        if job.exchange.delay > 0 || job.proceed() {
            self.jobs.borrow_mut().push_back(job);
        }
    }

    /// Makes a step of each answer that is given in the middle of a turn, or of the others.
    fn proceed(&self, in_turn: bool) {
        for mut job in self.jobs.take() {
            if job.exchange.in_turn != in_turn || job.proceed() {
                self.jobs.borrow_mut().push_back(job);
            }
        }
    }
}

impl Job {
    /// Makes the next step of the answer. Whether another one follows.
    fn proceed(&mut self) -> bool {
        let delay = usize::from(self.exchange.delay);
        self.step += 1;
        let Some(step) = (self.step - 1).checked_sub(delay) else {
            return true;
        };
        let request = &self.request;
        if step == 0 && self.exchange.says_close && !self.exchange.is_error() {
            let side = EventHttpRequest::OUTPUT_HEADER;
            request.add_header("Connection", "close", side).ok();
        }
        let more = match &self.exchange.reply {
            Reply::Error => request.send_error(500, None).map(|()| false),
            Reply::Whole(length) => {
                let buffer = self.exchange.content(*length);
                request.send_reply(200, "OK", Some(&buffer)).map(|()| false)
            }
            Reply::Pieces(_) if step == 0 => request.send_reply_start(200, "OK").map(|()| true),
            Reply::Pieces(pieces) => match pieces.get(step - 1) {
                Some(length) => {
                    let piece = self.exchange.content(*length);
                    request.send_reply_chunk(&piece).map(|()| true)
                }
                None => request.send_reply_end().map(|()| false),
            },
        };
        more.unwrap_or_else(|error| panic!("{error}: {:?}", self.exchange))
    }
}

impl Exchange {
    fn content(&self, length: usize) -> EventBuffer {
        let buffer = EventBuffer::new().expect("a buffer");
        buffer.add(vec![self.letter(); length]).expect("memory");
        buffer
    }
}

/// The input chooses what the client sends and when, and how the application answers.
pub(crate) fn run(input: &[u8]) {
    let mut u = Unstructured::new(input);
    if let Ok(plan) = Plan::any(&mut u) {
        WORLD.with(|world| world.play(&Rc::new(plan)));
    }
}
