//! `EventUtil`: static methods alone.

use std::os::unix::ffi::OsStringExt as _;
use std::time::Duration;

use php_event::{EventUtil, SocketLevel, SocketName, SocketOption, SocketOptionValue};

use crate::bridge;
use crate::call::{Argument, Call, Descriptor, Failure, Value};

/// The longest text of a number.
const NUMBER_MAX: usize = 64;

/// `private __construct()`
pub(crate) fn construct(_call: &mut Call) -> Result<Value, Failure> {
    Ok(Value::Void)
}

/// `static getLastSocketErrno(?Socket $socket = null): int|false`
pub(crate) fn get_last_socket_errno(call: &mut Call) -> Result<Value, Failure> {
    if call.descriptor(0) == Some(Descriptor::Dead) {
        return Ok(Value::Bool(false));
    }
    Ok(Value::Int(EventUtil::get_last_socket_errno().into()))
}

/// `static getLastSocketError(mixed $socket = null): string|false`
pub(crate) fn get_last_socket_error(call: &mut Call) -> Result<Value, Failure> {
    if call.descriptor(0) == Some(Descriptor::Dead) {
        return Ok(Value::Bool(false));
    }
    Ok(Value::text(EventUtil::get_last_socket_error()))
}

/// `static sslRandPoll(): bool`
pub(crate) fn ssl_rand_poll(call: &mut Call) -> Result<Value, Failure> {
    call.done(EventUtil::ssl_rand_poll())
}

/// `static getSocketName(mixed $socket, mixed &$address, mixed &$port = null): bool`
///
/// Fills both, which PECL 3.1.5 means to and does not.
pub(crate) fn get_socket_name(call: &mut Call) -> Result<Value, Failure> {
    let Some(descriptor) = call.descriptor(0).and_then(Descriptor::number) else {
        return Ok(Value::Bool(false));
    };
    let name = bridge::lend(descriptor, |fd| EventUtil::get_socket_name(&fd))?;
    let values = name_values(name).into_iter().enumerate();
    call.answer
        .out
        .extend(values.map(|(n, value)| (n + 1, value)));
    Ok(Value::Bool(true))
}

/// A socket's name as PHP's `$address`, and `$port` where it has one.
pub(crate) fn name_values(name: SocketName) -> Vec<Value> {
    match name {
        SocketName::Ip(address) => {
            let port = Value::Int(address.port().into());
            vec![Value::text(address.ip().to_string()), port]
        }
        SocketName::Path(path) => vec![Value::String(path.into_os_string().into_vec())],
        SocketName::Abstract(name) => vec![Value::String([b"\0", &*name].concat())],
        _ => vec![Value::text("")],
    }
}

/// `static getSocketFd(mixed $socket): int`
pub(crate) fn get_socket_fd(call: &mut Call) -> Result<Value, Failure> {
    let descriptor = call.descriptor(0).and_then(Descriptor::number);
    Ok(Value::Int(descriptor.unwrap_or(-1).into()))
}

/// `static setSocketOption(mixed $socket, int $level, int $optname, mixed $optval): bool`
pub(crate) fn set_socket_option(call: &mut Call) -> Result<Value, Failure> {
    let Some(descriptor) = call.descriptor(0).and_then(Descriptor::number) else {
        return Ok(Value::Bool(false));
    };
    let level = SocketLevel::from(call.c_int(1, "level")?);
    let option = SocketOption::from(call.c_int(2, "option")?);
    let value = value(&call.argument(3), option)?;
    let set = bridge::lend(descriptor, |fd| {
        EventUtil::set_socket_option(&fd, level, option, value)
    });
    call.done(set)
}

fn value(given: &Argument<'_>, option: SocketOption) -> Result<SocketOptionValue, Failure> {
    let seconds = |of: &str| match given {
        Argument::Array(entries) => {
            let entry = entries
                .iter()
                .find(|(key, _)| matches!(key, Argument::String(name) if *name == of.as_bytes()));
            entry.and_then(|(_, value)| integer(value))
        }
        _ => None,
    };
    let missing = |key: &str| Failure::Warning(format!("no key \"{key}\" passed in optval"));
    if option == EventUtil::SO_LINGER {
        let on = seconds("l_onoff").ok_or_else(|| missing("l_onoff"))?;
        let time = seconds("l_linger").ok_or_else(|| missing("l_linger"))?;
        let time = Duration::from_secs(u64::try_from(time).unwrap_or(0));
        return Ok(SocketOptionValue::Linger((on != 0).then_some(time)));
    }
    if option == EventUtil::SO_RCVTIMEO || option == EventUtil::SO_SNDTIMEO {
        let whole = seconds("sec").ok_or_else(|| missing("sec"))?;
        let micros = seconds("usec").ok_or_else(|| missing("usec"))?;
        let time = Duration::from_secs(u64::try_from(whole).unwrap_or(0))
            + Duration::from_micros(u64::try_from(micros).unwrap_or(0));
        return Ok(SocketOptionValue::Timeout(time));
    }
    let number = integer(given).unwrap_or(0);
    let small = i32::try_from(number);
    let small = small.map_err(|_| Failure::Warning(format!("Invalid value {number}")))?;
    Ok(SocketOptionValue::Int(small))
}

/// A value as PHP makes an int of it.
pub(super) fn integer(value: &Argument<'_>) -> Option<i64> {
    match value {
        Argument::Int(number) => Some(*number),
        Argument::Bool(truth) => Some((*truth).into()),
        #[expect(clippy::cast_possible_truncation, reason = "PHP cuts fractions, too")]
        Argument::Float(number) => Some(*number as i64),
        Argument::String(text) => Some(leading_number(text)),
        Argument::Null => Some(0),
        _ => None,
    }
}

/// The number at the start of a text, as PHP's `(int)` reads it; 0 if there is none.
#[expect(clippy::cast_possible_truncation, reason = "PHP cuts fractions, too")]
fn leading_number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let longest = text.iter().take_while(|byte| is_part(byte)).count();
    let mut ends = (1..=longest.min(NUMBER_MAX)).rev();
    let number = ends.find_map(|end| {
        let start = std::str::from_utf8(text.get(..end)?).ok()?;
        let whole = start.parse::<i64>().ok();
        whole.or_else(|| start.parse::<f64>().ok().map(|number| number as i64))
    });
    number.unwrap_or(0)
}

/// `static createSocket(int $fd): Socket|false`
///
/// The `Socket` owns the descriptor from now on.
pub(crate) fn create_socket(call: &mut Call) -> Result<Value, Failure> {
    match call.int(0).and_then(|number| i32::try_from(number).ok()) {
        Some(number) if number >= 0 => Ok(Value::Socket(number)),
        _ => Err(Failure::Warning(
            "Invalid descriptor: give a number from 0 on".to_owned(),
        )),
    }
}
