//! Connections over every wire on which both sides do random things, also inside their
//! callbacks. Whatever they do, a side receives the start of what the other has sent, in order;
//! it receives all of it if nothing has ended the connection.
//!
//! A run is determined by its seed. `TLS_MONKEY_SEED` and `TLS_MONKEY_COUNT` choose others.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::{Rc, Weak};
use std::time::Duration;

use fastrand::Rng;
use php_event::{
    Callbacks, Event, EventBase, EventBufferEvent, EventFlags, FilterResult, Filters, FlushMode,
};
use test_support::limited;

use crate::peers::{CLOSING, CONNECTED, WIRES, World, join};

const BOTH: EventFlags = Event::READ.union(Event::WRITE);
const TURN: php_event::LoopFlags = EventBase::LOOP_ONCE.union(EventBase::LOOP_NONBLOCK);

/// One side of a connection.
struct Side {
    bev: RefCell<Option<EventBufferEvent>>,
    sent: RefCell<Vec<u8>>,
    received: RefCell<Vec<u8>>,
    /// Something that this side did, or was told, can cut the connection short.
    ended: Cell<bool>,
    /// `ssl_shutdown` has succeeded: nothing more can be sent.
    shut: Cell<bool>,
    /// A filter is on top, whose buffers may be changed at both ends.
    filtered: Cell<bool>,
}

struct Run {
    seed: u64,
    rng: RefCell<Rng>,
    base: EventBase,
    sides: [Side; 2],
    depth: Cell<u32>,
    made: Cell<usize>,
    dropped: Rc<Cell<usize>>,
}

/// Counts a closure, and acts when it is dropped.
struct Token {
    run: Weak<Run>,
    dropped: Rc<Cell<usize>>,
}

impl Drop for Token {
    fn drop(&mut self) {
        self.dropped.set(self.dropped.get() + 1);
        if let Some(run) = self.run.upgrade()
            && !std::thread::panicking()
        {
            run.act(run.below(2));
        }
    }
}

impl Run {
    fn new(
        seed: u64,
        world: &(php_event::EventSslContext, php_event::EventSslContext),
    ) -> Rc<Self> {
        let mut rng = Rng::with_seed(seed);
        let base = EventBase::new().unwrap();
        let (wire, options) = (WIRES[rng.usize(..4)], CLOSING[rng.usize(..2)]);
        let (server, client) = join(&base, wire, &world.0, &world.1, options);
        client.set_ssl_host("localhost").unwrap();
        let run = Rc::new(Self {
            seed,
            rng: RefCell::new(rng),
            base,
            sides: [server, client].map(|bev| Side {
                bev: RefCell::new(Some(bev)),
                sent: RefCell::default(),
                received: RefCell::default(),
                ended: Cell::new(false),
                shut: Cell::new(false),
                filtered: Cell::new(false),
            }),
            depth: Cell::new(0),
            made: Cell::new(0),
            dropped: Rc::default(),
        });
        for who in 0..2 {
            if let Some(bev) = run.bev(who) {
                bev.set_callbacks(run.callbacks(who)).unwrap();
            }
        }
        run
    }

    fn below(&self, limit: usize) -> usize {
        self.rng.borrow_mut().usize(..limit)
    }

    fn bev(&self, who: usize) -> Option<EventBufferEvent> {
        self.sides[who].bev.borrow().clone()
    }

    fn token(self: &Rc<Self>) -> Token {
        self.made.set(self.made.get() + 1);
        Token {
            run: Rc::downgrade(self),
            dropped: self.dropped.clone(),
        }
    }

    /// Acts in a callback of this side; panics now and then.
    fn called(token: &Token, who: usize) {
        let Some(run) = token.run.upgrade() else {
            return;
        };
        if run.below(3) == 0 {
            run.act(who);
        }
        assert!(run.below(60) != 0, "monkey");
    }

    /// Random ones of the three, sometimes none.
    fn callbacks(self: &Rc<Self>, who: usize) -> Callbacks {
        let mut callbacks = Callbacks::new();
        if self.below(5) != 0 {
            let token = self.token();
            callbacks = callbacks.on_read(move |_| Self::called(&token, who));
        }
        if self.below(3) != 0 {
            let token = self.token();
            callbacks = callbacks.on_write(move |_| Self::called(&token, who));
        }
        if self.below(4) != 0 {
            let token = self.token();
            callbacks = callbacks.on_event(move |_, what| {
                if let Some(run) = token.run.upgrade()
                    && what != CONNECTED
                {
                    run.sides[who].ended.set(true);
                }
                Self::called(&token, who);
            });
        }
        callbacks
    }

    /// Writes the next bytes of this side's stream.
    fn write(&self, who: usize, bev: &EventBufferEvent) {
        let side = &self.sides[who];
        let size = [1, 100, 5_000, 40_000, 300_000][self.below(5)];
        let start = side.sent.borrow().len();
        let piece: Vec<u8> = (start..start + size).map(|n| (n * 31 / 7) as u8).collect();
        side.sent.borrow_mut().extend(&piece); // a filter passes it on inside the call
        if bev.write(&piece).is_err() {
            side.sent.borrow_mut().truncate(start);
        }
    }

    fn read(&self, who: usize, bev: &EventBufferEvent, max: usize) {
        if let Ok(Some(bytes)) = bev.read(max) {
            self.sides[who].received.borrow_mut().extend(bytes);
            self.check(who);
        }
    }

    /// What this side has received is the start of what the other has sent.
    #[track_caller]
    fn check(&self, who: usize) {
        let (received, sent) = (&self.sides[who].received, &self.sides[1 - who].sent);
        let (received, sent) = (received.borrow(), sent.borrow());
        assert!(
            sent.starts_with(&received),
            "seed {}: {} bytes are not the start of {}",
            self.seed,
            received.len(),
            sent.len()
        );
    }

    /// Does something to one side.
    fn act(self: &Rc<Self>, who: usize) {
        let Some(bev) = self.bev(who).filter(|_| self.depth.get() < 3) else {
            return;
        };
        self.depth.set(self.depth.get() + 1);
        let side = &self.sides[who];
        match self.below(40) {
            0..=9 => self.write(who, &bev),
            10..=17 => self.read(who, &bev, [1, 700, usize::MAX][self.below(3)]),
            18..=20 => drop(bev.enable(BOTH)),
            21 => drop(bev.disable([Event::READ, Event::WRITE, BOTH][self.below(3)])),
            22 | 23 => drop(bev.set_callbacks(self.callbacks(who))),
            24 | 25 => {
                let high = [0, 1, 400, 60_000, usize::MAX][self.below(5)];
                drop(bev.set_watermark(Event::READ, 0, high));
            }
            26 => drop(bev.set_watermark(BOTH, self.below(300), 0)),
            27 => drop(bev.flush(BOTH, [FlushMode::Normal, FlushMode::Flush][self.below(2)])),
            28 | 29 => {
                let errors = std::iter::from_fn(|| bev.ssl_error().ok().flatten()).count();
                assert!(errors <= 16);
                bev.ssl_get_protocol().ok();
                bev.ssl_get_cipher_info().ok();
            }
            30 if !side.filtered.get() => {
                bev.output().drain(9).ok();
                bev.output().prepend("x").unwrap_err();
                bev.input().add("x").unwrap_err();
            }
            31 => side.shut.set(side.shut.get() | bev.ssl_shutdown().is_ok()),
            32 => {
                if self.below(3) == 0 {
                    side.ended.set(true);
                    bev.set_timeouts(Some(Duration::from_millis(1)), None).ok();
                }
            }
            33 => bev
                .set_allow_ssl_dirty_shutdown(self.below(2) == 0)
                .unwrap_or(()),
            34 => self.turn(),
            35 => {
                if self.below(4) == 0 {
                    side.ended.set(true);
                    self.sides[1 - who].ended.set(true);
                    match self.below(3) {
                        0 => bev.free(),
                        1 => drop(bev.close()),
                        _ => drop(side.bev.take()),
                    }
                }
            }
            36 => {
                let pass = Filters::new().on_input(|from, to, _, _| match to.add_buffer(from) {
                    Ok(()) => FilterResult::Ok,
                    Err(_) => FilterResult::Error,
                });
                if self.below(4) == 0
                    && bev.input().length() == 0
                    && let Ok(filter) = EventBufferEvent::create_filter(&bev, pass, CLOSING[0])
                {
                    filter.enable(BOTH).ok();
                    side.ended.set(true); // what it held back is not counted
                    self.sides[1 - who].ended.set(true);
                    side.filtered.set(true);
                    side.bev.replace(Some(filter));
                }
            }
            _ => drop(bev.get_enabled()),
        }
        drop(bev);
        self.depth.set(self.depth.get() - 1);
    }

    fn turn(&self) {
        let turned = catch_unwind(AssertUnwindSafe(|| self.base.r#loop(TURN)));
        if let Err(payload) = turned {
            let expected = payload.downcast_ref::<&str>() == Some(&"monkey");
            if !expected {
                resume_unwind(payload);
            }
        }
    }

    /// Opens everything, and lets all that was sent arrive.
    fn finish(self: &Rc<Self>) {
        self.depth.set(9); // from now on nothing acts
        for _ in 0..3_000 {
            for who in 0..2 {
                if let Some(bev) = self.bev(who) {
                    bev.set_watermark(BOTH, 0, 0).ok();
                    bev.enable(BOTH).ok();
                    self.read(who, &bev, usize::MAX);
                }
            }
            self.turn();
            let arrived = |who: usize| {
                let (received, sent) = (&self.sides[who].received, &self.sides[1 - who].sent);
                received.borrow().len() == sent.borrow().len()
            };
            if arrived(0) && arrived(1) {
                return;
            }
        }
        let cut = self
            .sides
            .iter()
            .any(|side| side.ended.get() || side.shut.get());
        assert!(cut, "seed {}: bytes are missing", self.seed);
    }
}

fn episode(seed: u64, contexts: &(php_event::EventSslContext, php_event::EventSslContext)) {
    let run = Run::new(seed, contexts);
    for _ in 0..150 {
        let who = run.below(2);
        let acted = catch_unwind(AssertUnwindSafe(|| run.act(who)));
        if let Err(payload) = acted {
            if payload.downcast_ref::<&str>() != Some(&"monkey") {
                resume_unwind(payload);
            }
            run.depth.set(0);
        }
        run.turn();
    }
    run.finish();
    for side in &run.sides {
        drop(side.bev.take());
    }
    run.turn();
    assert_eq!(
        run.made.get(),
        run.dropped.get(),
        "seed {seed}: closures kept"
    );
}

#[test]
fn random_calls_neither_lose_nor_reorder_bytes_and_the_loop_always_comes_back() {
    let number =
        |name, default| std::env::var(name).map_or(default, |text| text.parse::<u64>().unwrap());
    let first = number("TLS_MONKEY_SEED", 1);
    let world = World::new();
    let contexts = (world.server(), world.client());
    for seed in first..first + number("TLS_MONKEY_COUNT", 10) {
        limited(|| episode(seed, &contexts));
    }
}
