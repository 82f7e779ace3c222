//! `EventConfig`.

use php_event::{BaseFlags, EventConfig, EventFeatures};

use crate::call::{Call, Failure, Value, seconds};
use crate::object::Object;

impl Object for EventConfig {}

/// `__construct()`
pub(crate) fn construct(call: &mut Call) -> Result<Value, Failure> {
    match EventConfig::new() {
        Ok(config) => call.construct(config),
        Err(error) => Err(Failure::EventException(error.reason().into_owned())),
    }
}

/// `avoidMethod(string $method): bool`
pub(crate) fn avoid_method(call: &mut Call) -> Result<Value, Failure> {
    let config = call.this::<EventConfig>()?;
    let method = call.text(0)?.unwrap_or_default();
    call.done(config.avoid_method(method))
}

/// `requireFeatures(int $feature): bool`
pub(crate) fn require_features(call: &mut Call) -> Result<Value, Failure> {
    let config = call.this::<EventConfig>()?;
    let features = bits(call.int(0));
    call.done(config.require_features(EventFeatures::from_bits_retain(features)))
}

/// `setMaxDispatchInterval(int $max_interval, int $max_callbacks, int $min_priority): void`
///
/// The interval is a fraction of seconds, in spite of its declared type.
pub(crate) fn set_max_dispatch_interval(call: &mut Call) -> Result<Value, Failure> {
    let config = call.this::<EventConfig>()?;
    let interval = call.float(0).filter(|seconds| *seconds > 0.0).map(seconds);
    let callbacks = call.int(1).and_then(|most| u32::try_from(most).ok());
    let priority = call.nearest_c_int(2).unwrap_or(0);
    config.set_max_dispatch_interval(interval, callbacks, priority)?;
    Ok(Value::Void)
}

/// `setFlags(int $flags): bool`
pub(crate) fn set_flags(call: &mut Call) -> Result<Value, Failure> {
    let config = call.this::<EventConfig>()?;
    let flags = bits(call.int(0));
    call.done(config.set_flags(BaseFlags::from_bits_retain(flags)))
}

/// The low bits of a number, as C takes them.
fn bits<T: TryFrom<i64> + Default>(number: Option<i64>) -> T {
    number
        .and_then(|number| T::try_from(number & 0x7fff_ffff).ok())
        .unwrap_or_default()
}
