//! Values of options: sizes, times, numbers of processes.

use std::io;
use std::thread;
use std::time::Duration;

use hub_protocol::HubUrl;
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Group};

/// The most workers.
const MAX_WORKERS: usize = 1024;

/// The longest time that an option takes.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The shortest time that others have to reply: a busy machine is silent for less than this.
const TIMEOUT_MIN: Duration = Duration::from_millis(100);

/// Why a text is not the value of its option.
#[derive(Debug, thiserror::Error)]
pub(super) enum ValueError {
    #[error("{0}; write it as 10, 10s, 1500ms or 2m")]
    Time(#[from] humantime::DurationError),
    #[error("must be more than zero")]
    Zero,
    #[error("must not be empty")]
    Empty,
    #[error("must be at least 100ms")]
    TooShort,
    #[error("must not be more than a year")]
    TooLong,
    #[error("{0}; write it as 16KiB, 1MiB or 65536")]
    Size(String),
    #[error("must be from 64 bytes to 1 TiB")]
    SizeRange,
    #[error("write a whole number from {0} to {1}")]
    Number(u64, u64),
    #[error("write a number from 1 to 1024, or auto")]
    Workers,
    #[error("write 0, 1 or 2, or true or false")]
    Verbosity,
    #[error("write it in octal, from 0 to 0777, such as 0660")]
    Mode,
    #[error("this system has no such group; write its name or number")]
    Group,
    #[error("write an origin, such as https://example.com, without a path, or * alone")]
    Origin,
    #[error(transparent)]
    Cores(#[from] io::Error),
}

/// A time of at most a year: seconds, as PHP's `sleep` takes them, or with units, such as `1500ms`
/// or `2m 30s`.
pub(super) fn time(text: &str) -> Result<Duration, ValueError> {
    let time = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Duration::from_secs(text.parse().map_err(|_| ValueError::TooLong)?)
    } else {
        humantime::parse_duration(text)?
    };
    if time > YEAR {
        return Err(ValueError::TooLong);
    }
    Ok(time)
}

/// A time above zero.
pub(super) fn positive_time(text: &str) -> Result<Duration, ValueError> {
    let time = time(text)?;
    if time.is_zero() {
        return Err(ValueError::Zero);
    }
    Ok(time)
}

/// The time that a worker or the store has to reply.
pub(super) fn timeout(text: &str) -> Result<Duration, ValueError> {
    let time = time(text)?;
    if time < TIMEOUT_MIN {
        return Err(ValueError::TooShort);
    }
    Ok(time)
}

/// A whole number from `MIN` to `MAX`.
pub(super) fn number<T: TryFrom<u64>, const MIN: u64, const MAX: u64>(
    text: &str,
) -> Result<T, ValueError> {
    let number = text.parse().ok();
    let number = number.filter(|number| (MIN..=MAX).contains(number));
    let number = number.and_then(|number| T::try_from(number).ok());
    number.ok_or(ValueError::Number(MIN, MAX))
}

/// What an option that may be repeated has in one value: in the environment, a text of lines.
#[derive(Clone, Debug)]
pub(crate) struct Lines<T>(Vec<T>);

impl<T> Lines<T> {
    /// The values of the option together.
    pub(crate) fn all(values: Vec<Self>) -> Vec<T> {
        values.into_iter().flat_map(|lines| lines.0).collect()
    }
}

/// Reads each line by `one`. The last may end with a line break, as texts of lines do.
pub(super) fn lines<T: 'static, E: 'static>(
    one: fn(&str) -> Result<T, E>,
) -> impl Fn(&str) -> Result<Lines<T>, E> + Clone {
    move |text| {
        let text = text.strip_suffix('\n').unwrap_or(text);
        text.split('\n')
            .map(one)
            .collect::<Result<_, _>>()
            .map(Lines)
    }
}

/// A text that is not empty.
pub(super) fn non_empty(text: &str) -> Result<String, ValueError> {
    match text {
        "" => Err(ValueError::Empty),
        text => Ok(text.to_owned()),
    }
}

/// A number of workers, or `auto` for as many as there are cores.
pub(super) fn workers(text: &str) -> Result<usize, ValueError> {
    if text == "auto" {
        return Ok(thread::available_parallelism()?.into());
    }
    match text.parse() {
        Ok(n) if (1..=MAX_WORKERS).contains(&n) => Ok(n),
        _ => Err(ValueError::Workers),
    }
}

/// A number of bytes, such as `16KiB`, `4MB`, `65536`.
pub(super) fn size(text: &str) -> Result<usize, ValueError> {
    let size: bytesize::ByteSize = text.parse().map_err(ValueError::Size)?;
    match usize::try_from(size.as_u64()) {
        Ok(size) if (64..=1 << 40).contains(&size) => Ok(size),
        _ => Err(ValueError::SizeRange),
    }
}

/// How often `-v` is given; the environment may also say `true` or `false`.
pub(super) fn verbosity(text: &str) -> Result<u8, ValueError> {
    match text.to_ascii_lowercase().as_str() {
        "" | "false" | "no" | "off" | "n" | "f" => Ok(0),
        "true" | "yes" | "on" | "y" | "t" => Ok(1),
        number => number.parse().map_err(|_| ValueError::Verbosity),
    }
}

/// The mode of a file, in octal.
pub(super) fn mode(text: &str) -> Result<Mode, ValueError> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let octal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let bits = u32::from_str_radix(digits, 8).ok().filter(|_| octal);
    bits.filter(|bits| *bits <= 0o777)
        .and_then(|bits| Mode::from_bits(bits as libc::mode_t))
        .ok_or(ValueError::Mode)
}

/// An origin as browsers send it, or `*`.
pub(super) fn origin(text: &str) -> Result<String, ValueError> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    match HubUrl::parse(&format!("{text}/x")) {
        Ok(url) if url.path() == "/x" && !text.contains('*') => Ok(url.origin()),
        _ => Err(ValueError::Origin),
    }
}

/// A group, by name or number.
pub(super) fn group(text: &str) -> Result<Gid, ValueError> {
    if let Ok(number) = text.parse::<u32>() {
        return Ok(Gid::from_raw(number));
    }
    let group = Group::from_name(text).map_err(|_| ValueError::Group)?;
    Ok(group.ok_or(ValueError::Group)?.gid)
}
