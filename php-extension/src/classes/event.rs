//! `Event`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use php_event::{Event, EventBase, EventFlags};

use crate::bridge;
use crate::call::{Call, Descriptor, Failure, Keep, Value, seconds};
use crate::object::{Called, Held, Identity, Object};

/// The slots of an event: its descriptor and its callable. Its data is the property `data`.
const DESCRIPTOR: u32 = 0;
const CALLBACK: u32 = 1;
const DATA: u32 = 1;

/// The bits that an event may have.
const KNOWN: i64 = 63;

/// What an event waits for, and with which arguments it calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `cb($fd, $what, $arg)`
    Descriptor(Descriptor),
    /// `TIMEOUT` in the constructor: no descriptor, whatever was given; `cb(-1, $what, $arg)`.
    Timeout { periodic: bool },
    /// `Event::timer`: `cb($arg)`
    Timer,
    /// `Event::signal`: `cb($signum, $arg)`, each time.
    Signal(i32),
    /// `SIGNAL` in the constructor: `cb($signum, $what, $arg)`; without `PERSIST` it is deleted
    /// when it fires.
    SignalMask { number: i32, once: bool },
}

/// The time between two calls of a periodic timer.
type Interval = Cell<Option<Duration>>;

/// What stands behind an `Event`.
pub(crate) struct EventValue {
    /// None when construction failed, and after `free`.
    event: RefCell<Option<Event>>,
    kind: Cell<Option<Kind>>,
    what: Cell<EventFlags>,
    /// The interval of a periodic timer; none for other events.
    interval: RefCell<Option<Rc<Interval>>>,
}

impl Object for EventValue {
    const SLOTS: u32 = CALLBACK + 1;

    fn is_pending(&self) -> bool {
        self.event.borrow().as_ref().is_some_and(Event::is_pending)
    }
}

/// What [`EventValue::quick`] does at once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Quick {
    /// `Event::add`
    Add(Option<Duration>),
    /// `Event::del`
    Del,
    /// `Event::free`
    Free,
}

impl EventValue {
    /// What programs do most; false where the method itself has to be called, to say what is
    /// wrong.
    pub(crate) fn quick(&self, what: Quick) -> bool {
        if matches!(what, Quick::Free) {
            return self.event.take().inspect(Event::free).is_some();
        }
        let event = self.event.borrow();
        let Some(event) = &*event else { return false };
        match what {
            Quick::Add(timeout) => {
                self.note_interval(timeout);
                event.add(timeout).is_ok()
            }
            _ => event.del().is_ok(),
        }
    }

    /// The property `pending`; none where PHP gets null.
    pub(crate) fn pending(&self) -> Option<bool> {
        self.event.borrow().as_ref().map(Event::is_pending)
    }

    /// A timer, as `Event::timer` makes it.
    pub(crate) fn timer(base: &EventBase, identity: Identity) -> php_event::Result<Self> {
        Self::make(base, Kind::Timer, EventFlags::empty(), identity)
    }

    /// An event of a descriptor, as the constructor makes it.
    pub(crate) fn watching(
        base: &EventBase,
        descriptor: Descriptor,
        what: EventFlags,
        identity: Identity,
    ) -> php_event::Result<Self> {
        Self::make(base, Kind::Descriptor(descriptor), what, identity)
    }

    /// The library's event.
    ///
    /// # Errors
    /// A warning, when construction failed or the event was freed.
    pub(crate) fn event(&self) -> Result<Event, Failure> {
        let event = self.event.borrow().clone();
        event.ok_or_else(|| Failure::Warning("The event was freed, or never made".to_owned()))
    }

    /// A periodic timer fires again after the time that it was last added with.
    fn note_interval(&self, timeout: Option<Duration>) {
        if let (Some(interval), Some(_)) = (&*self.interval.borrow(), timeout) {
            interval.set(timeout);
        }
    }

    fn dead() -> Self {
        Self {
            event: RefCell::new(None),
            kind: Cell::new(None),
            what: Cell::new(EventFlags::empty()),
            interval: RefCell::default(),
        }
    }

    /// Makes the library's event for this one.
    fn make(
        base: &EventBase,
        kind: Kind,
        what: EventFlags,
        identity: Identity,
    ) -> php_event::Result<Self> {
        let mut interval = None;
        let event = match kind {
            Kind::Descriptor(descriptor) => watch(base, descriptor, what, identity)?,
            Kind::Timeout { periodic } => {
                interval = periodic.then(Rc::<Interval>::default);
                timeout(base, interval.clone(), identity)?
            }
            Kind::Timer => elapse(base, identity)?,
            Kind::Signal(number) => catch(base, number, identity)?,
            Kind::SignalMask { number, once } => catch_as_event(base, number, once, identity)?,
        };
        Ok(Self {
            event: RefCell::new(Some(event)),
            kind: Cell::new(Some(kind)),
            what: Cell::new(what),
            interval: RefCell::new(interval),
        })
    }

    fn replace(&self, by: Self) {
        let former = self.event.replace(by.event.take());
        drop(former);
        self.kind.set(by.kind.get());
        self.what.set(by.what.get());
        self.interval.replace(by.interval.take());
    }
}

fn watch(
    base: &EventBase,
    descriptor: Descriptor,
    what: EventFlags,
    identity: Identity,
) -> php_event::Result<Event> {
    let number = descriptor.number().unwrap_or(-1);
    bridge::lent_event(base, number, what, move |what, event| {
        let source = match descriptor {
            Descriptor::Stream(_) => Value::Slot(DESCRIPTOR),
            _ => Value::Int(number.into()),
        };
        let what = Value::Int(what.bits().into());
        fire(&identity, event, [source, what, Value::Data(DATA)]);
    })
}

fn timeout(
    base: &EventBase,
    every: Option<Rc<Interval>>,
    identity: Identity,
) -> php_event::Result<Event> {
    Event::timer(base, move |event| {
        if let Some(every) = &every {
            event.add(every.get()).ok(); // first, as PHP's: the callback may delete it
        }
        let what = Value::Int(EventFlags::TIMEOUT.bits().into());
        fire(&identity, event, [Value::Int(-1), what, Value::Data(DATA)]);
    })
}

fn elapse(base: &EventBase, identity: Identity) -> php_event::Result<Event> {
    Event::timer(base, move |event| {
        fire(&identity, event, [Value::Data(DATA)])
    })
}

fn catch(base: &EventBase, number: i32, identity: Identity) -> php_event::Result<Event> {
    Event::signal(base, number, move |signum, event| {
        fire(
            &identity,
            event,
            [Value::Int(signum.into()), Value::Data(DATA)],
        );
    })
}

fn catch_as_event(
    base: &EventBase,
    number: i32,
    once: bool,
    identity: Identity,
) -> php_event::Result<Event> {
    Event::signal(base, number, move |signum, event| {
        if once {
            event.del().ok();
        }
        let what = Value::Int(EventFlags::SIGNAL.bits().into());
        fire(
            &identity,
            event,
            [Value::Int(signum.into()), what, Value::Data(DATA)],
        );
    })
}

/// Calls PHP. An event whose callback threw is deleted, and the loop ends.
fn fire<const N: usize>(identity: &Identity, event: &Event, arguments: [Value; N]) {
    match identity.call(CALLBACK, arguments) {
        Called::Returned => {}
        Called::NotCallable => drop(event.del()),
        Called::Ended => {
            event.del().ok();
            event.base().stop().ok();
        }
    }
}

/// `__construct(EventBase $base, mixed $fd, int $what, callable $cb, mixed $arg = null)`
pub(crate) fn construct(call: &mut Call) -> Result<Value, Failure> {
    let base = call.object::<EventBase>(0)?;
    let made = kind_of(call, call.int(2).unwrap_or(0))
        .and_then(|(kind, what)| Ok(EventValue::make(&base, kind, what, call.new_identity())?));
    match made {
        Ok(event) => {
            keep(call, 1, 3, 4);
            call.construct(event)
        }
        Err(Failure::Warning(text)) => {
            // A dead object and a warning, as under PECL.
            call.construct(EventValue::dead())?;
            Err(Failure::WarningAnd(text, Value::Null))
        }
        Err(failure) => Err(failure),
    }
}

/// What the arguments `$fd` and `$what` ask for.
fn kind_of(call: &Call, what: i64) -> Result<(Kind, EventFlags), Failure> {
    let flags = i16::try_from(what).ok().filter(|_| what & !KNOWN == 0);
    let Some(flags) = flags.map(EventFlags::from_bits_retain) else {
        return Err(Failure::Warning("Invalid mask".to_owned()));
    };
    if flags.contains(EventFlags::SIGNAL) {
        if flags.intersects(EventFlags::READ | EventFlags::WRITE) {
            let text = "SIGNAL cannot be combined with READ or WRITE";
            return Err(Failure::EventException(text.to_owned()));
        }
        let number = i32::try_from(call.int(1).unwrap_or(-1)).unwrap_or(-1);
        let once = !flags.contains(EventFlags::PERSIST);
        return Ok((Kind::SignalMask { number, once }, flags));
    }
    if flags.contains(EventFlags::TIMEOUT) {
        let periodic = flags.contains(EventFlags::PERSIST);
        return Ok((Kind::Timeout { periodic }, flags));
    }
    match call.descriptor(1) {
        Some(Descriptor::Dead) | None => Err(Failure::Warning(
            "The socket is closed, or has failed".to_owned(),
        )),
        Some(descriptor) => Ok((Kind::Descriptor(descriptor), flags)),
    }
}

/// Puts the descriptor, the callable and the data where the collector sees them.
fn keep(call: &mut Call, descriptor: u32, callback: u32, data: u32) {
    call.keep(DESCRIPTOR, descriptor);
    call.keep(CALLBACK, callback);
    call.answer.keep.push(Keep::Data {
        property: DATA,
        argument: data,
    });
}

/// `free(): void`
///
/// `bridge_quick_free` frees an event that is there. One that is not needs nothing.
pub(crate) fn free(_call: &mut Call) -> Result<Value, Failure> {
    Ok(Value::Void)
}

/// `set(EventBase $base, mixed $fd, int $what = -1, ?callable $cb = null, mixed $arg = null): bool`
pub(crate) fn set(call: &mut Call) -> Result<Value, Failure> {
    let this = call.this::<EventValue>()?;
    let base = call.object::<EventBase>(0)?;
    if this.event()?.is_pending() {
        return Err(Failure::Warning("Can't modify pending event".to_owned()));
    }
    let (kind, what) = match (call.int(2).filter(|what| *what != -1), call.descriptor(1)) {
        (Some(what), _) => kind_of(call, what)?,
        (None, Some(descriptor)) => (Kind::Descriptor(descriptor), this.what.get()),
        (None, None) => match this.kind.get() {
            Some(kind) => (kind, this.what.get()),
            None => return Err(Failure::Warning("The event was never made".to_owned())),
        },
    };
    this.replace(EventValue::make(&base, kind, what, call.identity())?);
    if call.descriptor(1).is_some() {
        call.keep(DESCRIPTOR, 1);
    }
    if !call.argument(3).is_null() {
        call.keep(CALLBACK, 3);
    }
    if !call.argument(4).is_null() {
        call.answer.keep.push(Keep::Data {
            property: DATA,
            argument: 4,
        });
    }
    Ok(Value::Bool(true))
}

/// `static getSupportedMethods(): array`
pub(crate) fn get_supported_methods(_call: &mut Call) -> Result<Value, Failure> {
    Ok(Value::list(Event::get_supported_methods()))
}

/// `add(float $timeout = -1): bool`
pub(crate) fn add(call: &mut Call) -> Result<Value, Failure> {
    let this = call.this::<EventValue>()?;
    let timeout = call
        .float(0)
        .filter(|timeout| *timeout != -1.0)
        .map(seconds);
    this.note_interval(timeout);
    call.done(this.event()?.add(timeout))
}

/// `del(): bool`
pub(crate) fn del(call: &mut Call) -> Result<Value, Failure> {
    let event = call.this::<EventValue>()?.event()?;
    call.done(event.del())
}

/// `setPriority(int $priority): bool`
pub(crate) fn set_priority(call: &mut Call) -> Result<Value, Failure> {
    let event = call.this::<EventValue>()?.event()?;
    let priority = i32::try_from(call.int(0).unwrap_or(-1)).unwrap_or(-1);
    call.done(event.set_priority(priority))
}

/// `pending(int $flags): bool`
pub(crate) fn pending(call: &mut Call) -> Result<Value, Failure> {
    let event = call.this::<EventValue>()?.event()?;
    let flags = i16::try_from(call.int(0).unwrap_or(0) & KNOWN).unwrap_or(0);
    Ok(Value::Bool(
        event.pending(EventFlags::from_bits_retain(flags)),
    ))
}

/// `removeTimer(): bool`
pub(crate) fn remove_timer(call: &mut Call) -> Result<Value, Failure> {
    let event = call.this::<EventValue>()?.event()?;
    call.done(event.remove_timer())
}

/// `static timer(EventBase $base, callable $cb, mixed $arg = null): Event`
pub(crate) fn timer(call: &mut Call) -> Result<Value, Failure> {
    new_event(call, Kind::Timer, 1)
}

/// `static signal(EventBase $base, int $signum, callable $cb, mixed $arg = null): Event`
pub(crate) fn signal(call: &mut Call) -> Result<Value, Failure> {
    let number = i32::try_from(call.int(1).unwrap_or(-1)).unwrap_or(-1);
    new_event(call, Kind::Signal(number), 2)
}

/// A new event whose callable and data are arguments.
fn new_event(call: &mut Call, kind: Kind, callback: u32) -> Result<Value, Failure> {
    let base = call.object::<EventBase>(0)?;
    let held = Held::empty(None);
    let event = EventValue::make(&base, kind, EventFlags::empty(), held.identity())?;
    held.fill(event);
    call.keep(CALLBACK, callback);
    call.answer.keep.push(Keep::Data {
        property: DATA,
        argument: callback + 1,
    });
    Ok(Value::New(held))
}

/// `setTimer(EventBase $base, callable $cb, mixed $arg = null): bool`
pub(crate) fn set_timer(call: &mut Call) -> Result<Value, Failure> {
    let this = call.this::<EventValue>()?;
    let base = call.object::<EventBase>(0)?;
    if this.event()?.is_pending() {
        return Err(Failure::Warning("Can't modify pending event".to_owned()));
    }
    this.replace(EventValue::make(
        &base,
        Kind::Timer,
        EventFlags::empty(),
        call.identity(),
    )?);
    call.keep(CALLBACK, 1);
    call.answer.keep.push(Keep::Data {
        property: DATA,
        argument: 2,
    });
    Ok(Value::Bool(true))
}

/// `addTimer(float $timeout = -1): bool`
pub(crate) fn add_timer(call: &mut Call) -> Result<Value, Failure> {
    add(call)
}

/// `delTimer(): bool`
pub(crate) fn del_timer(call: &mut Call) -> Result<Value, Failure> {
    del(call)
}

/// `addSignal(float $timeout = -1): bool`
pub(crate) fn add_signal(call: &mut Call) -> Result<Value, Failure> {
    add(call)
}

/// `delSignal(): bool`
pub(crate) fn del_signal(call: &mut Call) -> Result<Value, Failure> {
    del(call)
}
