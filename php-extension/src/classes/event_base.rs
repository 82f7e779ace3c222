//! `EventBase`.

use std::time::UNIX_EPOCH;

use php_event::{EventBase, EventConfig, LoopFlags};

use super::event::EventValue;
use super::{AnyObject, HalfVariant, Variant};
use crate::call::{Call, Failure, Value, seconds};
use crate::kept;
use crate::object::{Held, Object};

/// The Rust half of an `EventBase`.
pub(crate) struct BaseValue(Runner);

/// One of those that can run a base's loop: an `EventBase`, or a listener, which gives one. Without
/// any, nothing of the base is called any more.
pub(crate) struct Runner(EventBase);

impl Runner {
    pub(crate) fn new(base: EventBase) -> Self {
        let count = base.embedder_number();
        count.set(count.get() + 1);
        Self(base)
    }

    /// Whether there is another.
    pub(crate) fn has_another(&self) -> bool {
        self.0.embedder_number().get() > 1
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let count = self.0.embedder_number();
        count.set(count.get() - 1);
        if count.get() == 0 {
            kept::let_go_in_vain(); // may run code of PHP's
        }
    }
}

/// Whether anything may still be called from the base's loop.
pub(crate) fn can_run(base: &EventBase) -> bool {
    !base.is_freed() && base.embedder_number().get() > 0
}

impl Object for BaseValue {}

impl Object for EventBase {}

impl Variant for EventBase {
    fn of(held: &Held) -> Option<&Self> {
        BaseValue::of(held).map(|value| &value.0.0)
    }
}

impl HalfVariant for EventBase {
    fn of_any(any: &AnyObject) -> Option<&Self> {
        BaseValue::of_any(any).map(|value| &value.0.0)
    }

    fn into_any(self) -> AnyObject {
        BaseValue(Runner::new(self)).into_any()
    }
}

/// `__construct(?EventConfig $cfg = null)`
pub(crate) fn construct(call: &mut Call) -> Result<Value, Failure> {
    let base = match call.optional_object::<EventConfig>(0)? {
        Some(config) => EventBase::with_config(&config),
        None => EventBase::new(),
    };
    match base {
        Ok(base) => call.construct(base),
        Err(error) => Err(Failure::EventException(error.reason().into_owned())),
    }
}

/// `getMethod(): string`
pub(crate) fn get_method(call: &mut Call) -> Result<Value, Failure> {
    let base = this(call)?;
    Ok(Value::text(base.get_method()))
}

/// `getFeatures(): int`
pub(crate) fn get_features(call: &mut Call) -> Result<Value, Failure> {
    let base = this(call)?;
    Ok(Value::Int(base.get_features().bits().into()))
}

/// `priorityInit(int $n_priorities): bool`
pub(crate) fn priority_init(call: &mut Call) -> Result<Value, Failure> {
    let base = this(call)?;
    call.done(base.priority_init(call.c_int(0, "number of priorities")?))
}

/// `loop(int $flags = -1): bool`
pub(crate) fn r#loop(call: &mut Call) -> Result<Value, Failure> {
    let base = this(call)?;
    let flags = match call.int(0) {
        None | Some(-1) => LoopFlags::empty(),
        Some(flags) => LoopFlags::from_bits_retain(i32::try_from(flags & 0xff).unwrap_or(0)),
    };
    call.done(base.r#loop(flags))
}

/// `dispatch(): bool`
pub(crate) fn dispatch(call: &mut Call) -> Result<Value, Failure> {
    let base = this(call)?;
    call.done(base.dispatch())
}

/// `exit(float $timeout = 0): bool`
pub(crate) fn exit(call: &mut Call) -> Result<Value, Failure> {
    let base = this(call)?;
    call.done(base.exit(call.float(0).map(seconds)))
}

/// `set(Event $event): bool`
pub(crate) fn set(call: &mut Call) -> Result<Value, Failure> {
    let base = this(call)?;
    let event = call.object_with(0, EventValue::event)??;
    call.done(base.set(&event))
}

/// `stop(): bool`
pub(crate) fn stop(call: &mut Call) -> Result<Value, Failure> {
    let base = this(call)?;
    call.done(base.stop())
}

/// `gotStop(): bool`
pub(crate) fn got_stop(call: &mut Call) -> Result<Value, Failure> {
    Ok(Value::Bool(this(call)?.got_stop()))
}

/// `gotExit(): bool`
pub(crate) fn got_exit(call: &mut Call) -> Result<Value, Failure> {
    Ok(Value::Bool(this(call)?.got_exit()))
}

/// `getTimeOfDayCached(): float`
pub(crate) fn get_time_of_day_cached(call: &mut Call) -> Result<Value, Failure> {
    let time = this(call)?.get_time_of_day_cached()?;
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Value::Float(since.as_secs_f64()))
}

/// `reInit(): bool`
pub(crate) fn re_init(call: &mut Call) -> Result<Value, Failure> {
    let base = this(call)?;
    call.done(base.re_init())
}

/// `free(): void`
pub(crate) fn free(call: &mut Call) -> Result<Value, Failure> {
    this(call)?.free()?;
    kept::let_go_in_vain();
    Ok(Value::Void)
}

/// `updateCacheTime(): bool`
pub(crate) fn update_cache_time(call: &mut Call) -> Result<Value, Failure> {
    let base = this(call)?;
    call.done(base.update_cache_time())
}

/// `resume(): bool`
pub(crate) fn resume(call: &mut Call) -> Result<Value, Failure> {
    let base = this(call)?;
    call.done(base.resume())
}

fn this<'a>(call: &Call<'a>) -> Result<&'a EventBase, Failure> {
    call.this()
}
