//! `Event`.

use php_event::{Event, EventBase, EventFlags, EventWith, Handler};

use super::event_base::can_run;
use crate::bridge;
use crate::call::{Call, DEAD_SOCKET, Descriptor, Failure, Keep, Part, Value, seconds};
use crate::object::{Called, Held, Link, Object};

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

/// The Rust half of an `Event`, in the memory of the library's event.
#[derive(Clone)]
pub(crate) struct EventValue(pub(crate) EventWith<Caller>);

/// Calls PHP when the event fires.
pub(crate) struct Caller {
    link: Link,
    /// None when construction failed.
    kind: Option<Kind>,
    what: EventFlags,
}

impl Object for EventValue {
    const SLOTS: u32 = CALLBACK + 1;

    fn is_pending(&self) -> bool {
        self.0.is_pending() && can_run(&self.0.event().base())
    }
}

impl EventValue {
    /// Frees it; false where it was freed before.
    pub(crate) fn free(&self) -> bool {
        let freed = self.0.is_freed();
        self.0.free();
        !freed
    }

    /// The property `pending`; none where PHP gets null.
    pub(crate) fn pending(&self) -> Option<bool> {
        (!self.0.is_freed()).then(|| self.0.is_pending())
    }

    /// A timer, as `Event::timer` makes it.
    pub(crate) fn timer(base: &EventBase, link: Link) -> php_event::Result<Self> {
        let caller = Caller::new(link, Some(Kind::Timer), EventFlags::empty());
        EventWith::timer(base, caller).map(Self)
    }

    /// An event of a descriptor, as the constructor makes it.
    pub(crate) fn watching(
        base: &EventBase,
        descriptor: Descriptor,
        what: EventFlags,
        link: Link,
    ) -> php_event::Result<Self> {
        let number = descriptor.number().unwrap_or(-1);
        let caller = Caller::new(link, Some(Kind::Descriptor(descriptor)), what);
        bridge::lent_event(base, number, what, caller).map(Self)
    }

    pub(crate) fn link(&self) -> &Link {
        &self.0.handler().link
    }

    /// The library's event.
    ///
    /// # Errors
    /// A warning, when construction failed or the event was freed.
    pub(crate) fn event(&self) -> Result<Event, Failure> {
        self.not_freed()?;
        Ok(self.0.event())
    }

    fn not_freed(&self) -> Result<(), Failure> {
        if self.0.is_freed() {
            let text = "The event was freed, or never made";
            return Err(Failure::Warning(text.to_owned()));
        }
        Ok(())
    }

    fn dead(base: &EventBase, link: Link) -> Self {
        Self(EventWith::freed(
            base,
            Caller::new(link, None, EventFlags::empty()),
        ))
    }

    /// Makes the library's event for this one.
    fn make(base: &EventBase, kind: Kind, what: EventFlags, link: Link) -> php_event::Result<Self> {
        let caller = |link| Caller::new(link, Some(kind), what);
        let event = match kind {
            Kind::Timer => return Self::timer(base, link),
            Kind::Descriptor(descriptor) => return Self::watching(base, descriptor, what, link),
            Kind::Timeout { periodic: true } => EventWith::periodic(base, caller(link)),
            Kind::Timeout { periodic: false } => EventWith::timer(base, caller(link)),
            Kind::SignalMask { number, once: true } => {
                EventWith::signal_once(base, number, caller(link))
            }
            Kind::Signal(number) | Kind::SignalMask { number, .. } => {
                EventWith::signal(base, number, caller(link))
            }
        };
        event.map(Self)
    }
}

impl Handler for Caller {
    fn fire(&self, event: &Event, what: EventFlags) {
        let called = match self.kind {
            Some(Kind::Descriptor(Descriptor::Stream(_))) => {
                self.call_with(Part::Slot(DESCRIPTOR), what)
            }
            Some(Kind::Descriptor(descriptor)) => {
                let number = descriptor.number().unwrap_or(-1);
                self.call_with(Part::Int(number.into()), what)
            }
            Some(Kind::Timer) => self.link.call(CALLBACK, [Part::Data(DATA)]),
            Some(Kind::Timeout { .. }) => self.call_with(Part::Int(-1), EventFlags::TIMEOUT),
            Some(Kind::Signal(number)) => {
                let number = Part::Int(number.into());
                self.link.call(CALLBACK, [number, Part::Data(DATA)])
            }
            Some(Kind::SignalMask { number, .. }) => {
                self.call_with(Part::Int(number.into()), what) // a timeout, too
            }
            None => Called::NotCallable,
        };
        finish(called, event);
    }
}

impl Caller {
    fn new(link: Link, kind: Option<Kind>, what: EventFlags) -> Self {
        Self { link, kind, what }
    }

    /// `cb($source, $what, $arg)`
    fn call_with(&self, source: Part, what: EventFlags) -> Called {
        let what = Part::Int(what.bits().into());
        self.link.call(CALLBACK, [source, what, Part::Data(DATA)])
    }
}

/// An event whose callback threw is deleted, as is one that has nothing to call.
fn finish(called: Called, event: &Event) {
    if called != Called::Returned {
        event.del().ok();
    }
}

/// `__construct(EventBase $base, mixed $fd, int $what, callable $cb, mixed $arg = null)`
pub(crate) fn construct(call: &mut Call) -> Result<Value, Failure> {
    let base = call.object::<EventBase>(0)?;
    let made = kind_of(call, call.int(2).unwrap_or(0))
        .and_then(|(kind, what)| Ok(EventValue::make(&base, kind, what, call.link())?));
    match made {
        Ok(event) => {
            keep(call, 1, 3, 4);
            call.construct_event(event);
            Ok(Value::Void)
        }
        Err(Failure::Warning(text)) => {
            // A dead object and a warning, as under PECL.
            call.construct_event(EventValue::dead(&base, call.link()));
            Err(Failure::WarningAnd(text, Value::Null))
        }
        Err(failure) => Err(failure),
    }
}

/// What the arguments `$fd` and `$what` ask for.
fn kind_of(call: &Call, what: i64) -> Result<(Kind, EventFlags), Failure> {
    let flags = i16::try_from(what).ok().filter(|_| what & !KNOWN == 0);
    let Some(flags) = flags.map(EventFlags::from_bits_retain) else {
        let text = format!("Invalid mask {what}: give Event::* flags");
        return Err(Failure::Warning(text));
    };
    if flags.contains(EventFlags::SIGNAL) {
        if flags.intersects(EventFlags::READ | EventFlags::WRITE) {
            let text = "SIGNAL cannot be combined with READ or WRITE";
            return Err(Failure::EventException(text.to_owned()));
        }
        let number = call.c_int(1, "signal")?;
        let once = !flags.contains(EventFlags::PERSIST);
        return Ok((Kind::SignalMask { number, once }, flags));
    }
    if flags.contains(EventFlags::TIMEOUT) {
        let periodic = flags.contains(EventFlags::PERSIST);
        return Ok((Kind::Timeout { periodic }, flags));
    }
    match call.descriptor(1) {
        Some(Descriptor::Dead) | None => Err(Failure::Warning(DEAD_SOCKET.to_owned())),
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
        (None, Some(descriptor)) => (Kind::Descriptor(descriptor), this.0.handler().what),
        (None, None) => match this.0.handler().kind {
            Some(kind) => (kind, this.0.handler().what),
            None => return Err(Failure::Warning("The event was never made".to_owned())),
        },
    };
    // The object gets another event: the former one may be in its callback.
    let event = EventValue::make(&base, kind, what, call.link())?;
    call.construct_event(event);
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
    this.not_freed()?;
    call.done(this.0.add(timeout))
}

/// `del(): bool`
pub(crate) fn del(call: &mut Call) -> Result<Value, Failure> {
    let event = call.this::<EventValue>()?.event()?;
    call.done(event.del())
}

/// `setPriority(int $priority): bool`
pub(crate) fn set_priority(call: &mut Call) -> Result<Value, Failure> {
    let event = call.this::<EventValue>()?.event()?;
    call.done(event.set_priority(call.c_int(0, "priority")?))
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
    let number = call.c_int(1, "signal")?;
    new_event(call, Kind::Signal(number), 2)
}

/// A new event whose callable and data are arguments.
fn new_event(call: &mut Call, kind: Kind, callback: u32) -> Result<Value, Failure> {
    let base = call.object::<EventBase>(0)?;
    let event = EventValue::make(&base, kind, EventFlags::empty(), Link::default())?;
    call.keep(CALLBACK, callback);
    call.answer.keep.push(Keep::Data {
        property: DATA,
        argument: callback + 1,
    });
    Ok(Value::New(Held::Event(event)))
}

/// `setTimer(EventBase $base, callable $cb, mixed $arg = null): bool`
pub(crate) fn set_timer(call: &mut Call) -> Result<Value, Failure> {
    let this = call.this::<EventValue>()?;
    let base = call.object::<EventBase>(0)?;
    if this.event()?.is_pending() {
        return Err(Failure::Warning("Can't modify pending event".to_owned()));
    }
    let event = EventValue::timer(&base, call.link())?;
    call.construct_event(event);
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
