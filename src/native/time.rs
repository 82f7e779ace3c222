//! libevent's form of a time.

use std::time::Duration;

use crate::ffi;

/// The longest time an event or an exit waits, about 136 years; longer ones become this.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(u32::MAX as u64);

/// A time for libevent, no longer than [`MAX_TIMEOUT`]; parts of a microsecond are cut.
pub(crate) fn timeval(time: Duration) -> ffi::timeval {
    let (seconds, micros) = if time.as_secs() < MAX_TIMEOUT.as_secs() {
        (time.as_secs(), time.subsec_micros())
    } else {
        (MAX_TIMEOUT.as_secs(), 0)
    };
    ffi::timeval {
        tv_sec: seconds.cast_signed(),
        tv_usec: micros.into(),
    }
}
