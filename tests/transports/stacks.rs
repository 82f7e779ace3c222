//! Random stacks of filters over every transport, with marks on every layer: whatever is done to
//! them on the way, also inside the closures, all bytes come in order, and the loop rests.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use fastrand::Rng;
use php_event::{Event, EventBuffer, EventBufferEvent, FilterResult, Filters, FlushMode};
use test_support::limited;

use super::{ALL, Link, PLAIN, Transport};

/// So many stacks over each transport.
const STACKS: u64 = 10;

/// Seeds that have found something. With 88 OpenSSL kept bytes below filters that had rested.
const FOUND: [u64; 1] = [88];

/// How many things are done to a stack before all is let through.
const STEPS: usize = 120;

/// How many bytes a closure that holds some back waits for. Every mark lets in more.
const HELD: usize = 3;

/// Turns of the loop after which nothing comes any more.
const IDLE_TURNS: usize = 5_000;

const MARKS: [usize; 5] = [0, HELD + 1, 16, 100, 1_000];

struct Stack {
    rng: RefCell<Rng>,
    link: Link,
    layers: RefCell<Vec<EventBufferEvent>>, // the lowest first
    sent: Cell<usize>,
    got: Cell<usize>,
    acts_inside: Cell<bool>,
}

/// What a closure does with its bytes.
#[derive(Clone, Copy, Debug)]
enum Closure {
    None,
    All,
    Pieces,
    HoldsBack,
    PutsBack,
}

const CLOSURES: [Closure; 5] = [
    Closure::None,
    Closure::All,
    Closure::Pieces,
    Closure::HoldsBack,
    Closure::PutsBack,
];

fn byte(at: usize) -> u8 {
    u8::try_from(at % 251).unwrap()
}

impl Closure {
    fn filters(self, stack: Weak<Stack>) -> Filters {
        if matches!(self, Self::None) {
            return Filters::new();
        }
        Filters::new().on_input(move |source, destination, limit, _| {
            if let Some(stack) = stack.upgrade()
                && stack.acts_inside.get()
                && stack.below(4) == 0
            {
                stack.act();
            }
            self.pass(source, destination, limit)
        })
    }

    fn pass(
        self,
        source: &EventBuffer,
        destination: &EventBuffer,
        limit: Option<usize>,
    ) -> FilterResult {
        let waits = source.length();
        let most = limit.unwrap_or(usize::MAX).min(waits);
        let count = match self {
            Self::None | Self::All => most,
            Self::Pieces => most.min(7),
            Self::HoldsBack => waits - waits % HELD, // above the limit if it must
            Self::PutsBack => {
                let bytes = source.read(2).unwrap().unwrap_or_default();
                source.prepend(bytes).unwrap();
                most
            }
        };
        if count == 0 {
            return FilterResult::NeedMore;
        }
        destination.append_from(source, count).unwrap();
        FilterResult::Ok
    }
}

impl Stack {
    fn new(seed: u64, transport: Transport) -> Rc<Self> {
        let link = Link::new(transport);
        let this = Rc::new(Self {
            rng: RefCell::new(Rng::with_seed(seed)),
            layers: RefCell::new(vec![link.near.clone()]),
            link,
            sent: Cell::new(0),
            got: Cell::new(0),
            acts_inside: Cell::new(true),
        });
        for _ in 0..=this.below(4) {
            let closure = CLOSURES[this.below(CLOSURES.len())];
            let filters = closure.filters(Rc::downgrade(&this));
            let under = this.top();
            let top = EventBufferEvent::create_filter(&under, filters, PLAIN).unwrap();
            this.layers.borrow_mut().push(top);
        }
        this
    }

    fn below(&self, limit: usize) -> usize {
        self.rng.borrow_mut().usize(..limit)
    }

    fn top(&self) -> EventBufferEvent {
        self.layers.borrow().last().unwrap().clone()
    }

    fn any(&self) -> EventBufferEvent {
        let layers = self.layers.borrow();
        layers[self.below(layers.len())].clone()
    }

    fn send(&self, count: usize) {
        let start = self.sent.get();
        let bytes: Vec<u8> = (start..start + count).map(byte).collect();
        self.sent.set(start + count);
        self.link.send(bytes);
    }

    /// Does something that ends nothing.
    fn act(&self) {
        match self.below(8) {
            0 | 1 => self.send(1 + self.below(2_000)),
            2 | 3 => {
                let mark = MARKS[self.below(MARKS.len())];
                self.any().set_watermark(Event::READ, 0, mark).unwrap();
            }
            4 | 5 => self.any().enable(Event::READ).unwrap(),
            6 => self.any().disable(Event::READ).unwrap(),
            _ => drop(self.any().flush(Event::READ, FlushMode::Normal).unwrap()),
        }
    }

    fn take(&self, most: usize) {
        let bytes = self.top().read(most).unwrap().unwrap_or_default();
        let start = self.got.get();
        for (at, one) in (start..).zip(&bytes) {
            assert_eq!(*one, byte(at), "{:?}, byte {at}", self.link.transport);
        }
        self.got.set(start + bytes.len());
    }

    /// Lets all through, and takes it, unless nothing comes any more. Returns whether all came.
    fn finish(&self) -> bool {
        self.acts_inside.set(false);
        self.send(2 * HELD - self.sent.get() % HELD);
        let layers = self.layers.borrow().clone();
        for bev in &layers {
            bev.enable(Event::READ).unwrap();
        }
        let mut idle = 0;
        while self.got.get() < self.sent.get() && idle < IDLE_TURNS {
            let before = self.got.get();
            self.link.turn();
            self.take(usize::MAX);
            idle = if self.got.get() > before { 0 } else { idle + 1 };
        }
        self.got.get() == self.sent.get()
    }
}

#[test]
fn all_comes_in_order_through_random_stacks() {
    for transport in ALL {
        for seed in (0..STACKS).chain(FOUND) {
            let stack = Stack::new(seed, transport);
            let came = limited(|| {
                for _ in 0..STEPS {
                    stack.act();
                    stack.link.turn();
                    stack.take(1 + stack.below(500));
                }
                stack.finish()
            });
            let (got, sent) = (stack.got.get(), stack.sent.get());
            assert!(came, "{transport:?}, seed {seed}: {got} of {sent}");
            stack.link.rests(&format!("seed {seed}"));
        }
    }
}
