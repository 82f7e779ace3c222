//! One call of a method, as the classes see it: arguments in, an answer out.

use std::cell::OnceCell;
use std::ptr::NonNull;
use std::time::Duration;

use crate::bridge::{Arguments, HeldValue, Keeps, Lender, LentSocket, RawObject};
use crate::classes::event::EventValue;
use crate::classes::{HalfVariant, Variant};
use crate::object::{Held, Identity, Link};

/// An argument, read by the rules of the parameter's type.
#[derive(Clone)]
pub(crate) enum Argument<'a> {
    /// It was not given.
    Unset,
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    String(&'a [u8]),
    Array(Vec<(Argument<'a>, Argument<'a>)>),
    /// An object of the extension's; without a value before its constructor.
    Object(Option<Held>, Lender),
    /// Something with a descriptor, and what it belongs to.
    Descriptor(Descriptor, Lender),
    /// A callable, or data of any type, which C keeps.
    Other,
}

/// A descriptor, and what PHP knows it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Descriptor {
    /// Of a stream: callbacks get the stream.
    Stream(i32),
    /// A number, which callbacks get again.
    Number(i32),
    /// Of a `Socket`: callbacks get the number, as under PECL.
    Socket(i32),
    /// Of a `Socket` that is closed or has failed.
    Dead,
}

/// The message about [`Descriptor::Dead`].
pub(crate) const DEAD_SOCKET: &str = "The socket is closed, or has failed";

impl Descriptor {
    /// What C found, with the number of its origin; none where there is no descriptor.
    pub(crate) fn of(number: i32, origin: u32) -> Option<Self> {
        match origin {
            1 => Some(Self::Stream(number)),
            2 => Some(Self::Number(number)),
            3 => Some(Self::Socket(number)),
            4 => Some(Self::Dead),
            _ => None,
        }
    }

    /// The number; none of a dead socket.
    pub(crate) fn number(self) -> Option<i32> {
        match self {
            Self::Stream(number) | Self::Number(number) | Self::Socket(number) => Some(number),
            Self::Dead => None,
        }
    }
}

impl Argument<'_> {
    /// A descriptor that C found, or null; `origin` says what it belongs to.
    pub(crate) fn descriptor(number: i32, origin: u32, lender: Lender) -> Self {
        Descriptor::of(number, origin).map_or(Self::Null, |descriptor| {
            Self::Descriptor(descriptor, lender)
        })
    }

    /// Whether it was left out or is null.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Unset | Self::Null)
    }
}

/// A key of an array.
pub(crate) enum Key {
    /// The next free number.
    Next,
    String(Vec<u8>),
}

/// What PHP gets.
pub(crate) enum Value {
    Void,
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    String(Vec<u8>),
    Array(Vec<(Key, Value)>),
    /// A new object with this value.
    New(Held),
    /// The object whose method or callable it is, as the next two.
    This,
    /// What a slot of it holds.
    Slot(u32),
    /// An element of the list in a slot.
    Item(u32, usize),
    /// A `Socket` that owns the descriptor.
    Socket(i32),
}

impl Value {
    pub(crate) fn text(text: impl AsRef<[u8]>) -> Self {
        Self::String(text.as_ref().to_vec())
    }

    /// A list of texts.
    pub(crate) fn list<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> Self {
        let texts = texts.into_iter().map(|text| (Key::Next, Self::text(text)));
        Self::Array(texts.collect())
    }
}

/// An argument of a callable that needs no memory.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    Int(i64),
    /// The object whose callable it is, as the next two.
    This,
    /// What a slot of it holds.
    Slot(u32),
    /// What a property of it holds, by its place in the class's list.
    Data(u32),
}

/// What becomes of a slot or property when Rust has returned.
#[derive(Clone, Copy)]
pub(crate) enum Keep {
    Argument { slot: u32, argument: u32 },
    Append { slot: u32, argument: u32 },
    Clear { slot: u32 },
    Data { property: u32, argument: u32 },
}

/// Why a call failed.
pub(crate) enum Failure {
    /// A warning; the method returns false.
    Warning(String),
    /// A warning; the method returns something else.
    WarningAnd(String, Value),
    /// `Exception`.
    Exception(String),
    /// `EventException`.
    EventException(String),
    /// `Error`.
    Error(String),
    /// `TypeError` about an argument, counted from 1: "must be …".
    Type(u32, String),
}

impl Failure {
    /// What the method returns.
    pub(crate) fn value(&self) -> Value {
        match self {
            Self::Warning(_) => Value::Bool(false),
            Self::WarningAnd(_, value) => match value {
                Value::Null => Value::Null,
                Value::Int(number) => Value::Int(*number),
                Value::Bool(truth) => Value::Bool(*truth),
                _ => Value::Void,
            },
            _ => Value::Void,
        }
    }

    /// The kind's number in C, the argument and the message.
    pub(crate) fn parts(self) -> (u32, u32, String) {
        let (kind, argument, text) = match self {
            Self::Warning(text) | Self::WarningAnd(text, _) => (1, 0, text),
            Self::Exception(text) => (2, 0, text),
            Self::EventException(text) => (3, 0, text),
            Self::Error(text) => (4, 0, text),
            Self::Type(argument, text) => (5, argument, text),
        };
        (kind, argument, with_php_names(text))
    }
}

/// Replaces the methods that the library's errors tell to call by their names in PHP.
fn with_php_names(text: String) -> String {
    const NAMES: [(&str, &str); 9] = [
        ("re_init", "reInit"),
        ("priority_init", "priorityInit"),
        ("avoid_method", "avoidMethod"),
        ("connect_host", "connectHost"),
        ("add_nameserver_ip", "addNameserverIp"),
        ("parse_resolv_conf", "parseResolvConf"),
        ("send_reply_start", "sendReplyStart"),
        ("send_reply_chunk", "sendReplyChunk"),
        ("send_reply_end", "sendReplyEnd"),
    ];
    let names = NAMES.iter();
    names.fold(text, |text, (rust, php)| text.replace(rust, php))
}

/// A failed call of the library is a warning with its reason.
impl From<php_event::Error> for Failure {
    fn from(error: php_event::Error) -> Self {
        Self::Warning(error.reason().to_string())
    }
}

/// What a call leaves for C to do.
pub(crate) struct Answer<'a> {
    pub(crate) keep: Keeps<'a>,
    pub(crate) out: Vec<(usize, Value)>,
    pub(crate) constructed: Option<Held>,
    pub(crate) warning: Option<String>,
}

/// One call of a method.
pub(crate) struct Call<'a> {
    object: Option<NonNull<RawObject>>,
    held: Option<&'a Held>,
    made: OnceCell<Held>, // what a constructor makes
    arguments: Arguments<'a>,
    pub(crate) answer: Answer<'a>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        object: Option<NonNull<RawObject>>,
        held: Option<&'a Held>,
        arguments: Arguments<'a>,
        keep: Keeps<'a>,
    ) -> Self {
        Self {
            object,
            held,
            made: OnceCell::new(),
            arguments,
            answer: Answer {
                keep,
                out: Vec::new(),
                constructed: None,
                warning: None,
            },
        }
    }

    /// The object that the method is called on.
    pub(crate) fn identity(&self) -> Identity {
        self.held.map(Held::identity).unwrap_or_default()
    }

    /// The object of a constructor, with the value that [`construct`](Self::construct) gives it.
    /// Called again, a constructor makes another value, and the former one loses its object.
    pub(crate) fn new_identity(&self) -> Identity {
        self.made
            .get_or_init(|| Held::empty(self.object))
            .identity()
    }

    /// The value of the object that the method is called on.
    ///
    /// # Errors
    /// An `Error`, when its constructor was never called.
    pub(crate) fn this<T: Variant>(&self) -> Result<&'a T, Failure> {
        self.this_if_constructed().ok_or_else(not_constructed)
    }

    /// The object's value, or none before its constructor.
    pub(crate) fn this_if_constructed<T: Variant>(&self) -> Option<&'a T> {
        self.held.and_then(T::of)
    }

    pub(crate) fn argument(&self, n: usize) -> Argument<'a> {
        self.arguments.get(n)
    }

    /// A handle of the value of an argument that is an object of the extension's.
    ///
    /// # Errors
    /// An `Error`, when its constructor was never called.
    pub(crate) fn object<T: Variant + Clone>(&self, n: usize) -> Result<T, Failure> {
        self.object_with(n, T::clone)
    }

    /// The same where the argument may be null or left out.
    ///
    /// # Errors
    /// An `Error`, when its constructor was never called.
    pub(crate) fn optional_object<T: Variant + Clone>(
        &self,
        n: usize,
    ) -> Result<Option<T>, Failure> {
        match self.argument(n) {
            Argument::Object(..) => self.object(n).map(Some),
            _ => Ok(None),
        }
    }

    /// A part of the value of such an argument.
    ///
    /// # Errors
    /// An `Error`, when its constructor was never called.
    pub(crate) fn object_with<T: Variant, R>(
        &self,
        n: usize,
        part: impl FnOnce(&T) -> R,
    ) -> Result<R, Failure> {
        let Argument::Object(held, _) = self.argument(n) else {
            return Err(not_constructed());
        };
        let value = held.as_ref().and_then(T::of);
        value.map(part).ok_or_else(not_constructed)
    }

    /// A count of an argument that is an object.
    pub(crate) fn hold(&self, n: usize) -> Option<HeldValue> {
        match self.argument(n) {
            Argument::Object(_, lender) => Some(HeldValue::new(&lender)),
            _ => None,
        }
    }

    /// A count of the object that the method is called on.
    pub(crate) fn hold_this(&self) -> Option<HeldValue> {
        self.object.map(HeldValue::of_object)
    }

    pub(crate) fn int(&self, n: usize) -> Option<i64> {
        match self.argument(n) {
            Argument::Int(number) => Some(number),
            _ => None,
        }
    }

    /// A number that C takes as an `int`. `what` names it in the warning.
    ///
    /// # Errors
    /// A warning, when it does not fit.
    pub(crate) fn c_int(&self, n: usize, what: &str) -> Result<i32, Failure> {
        let number = self.int(n).unwrap_or(0);
        i32::try_from(number).map_err(|_| Failure::Warning(format!("Invalid {what} {number}")))
    }

    /// The number of a port, from `least` on.
    ///
    /// # Errors
    /// The message for any other number.
    pub(crate) fn port(&self, n: usize, least: u16) -> Result<u16, String> {
        let number = self.int(n).unwrap_or(0);
        let port = u16::try_from(number).ok().filter(|port| *port >= least);
        port.ok_or_else(|| format!("Invalid port {number}: give a number from {least} to 65535"))
    }

    /// The same as [`c_int`](Self::c_int) where a number that does not fit means as much as the
    /// nearest that does.
    pub(crate) fn nearest_c_int(&self, n: usize) -> Option<i32> {
        let number = self.int(n)?.clamp(i32::MIN.into(), i32::MAX.into());
        i32::try_from(number).ok()
    }

    pub(crate) fn float(&self, n: usize) -> Option<f64> {
        match self.argument(n) {
            Argument::Float(number) => Some(number),
            _ => None,
        }
    }

    pub(crate) fn bool(&self, n: usize) -> Option<bool> {
        match self.argument(n) {
            Argument::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    pub(crate) fn bytes(&self, n: usize) -> Option<&'a [u8]> {
        match self.argument(n) {
            Argument::String(text) => Some(text),
            _ => None,
        }
    }

    /// A text argument. Bytes that are no UTF-8 have no meaning for what takes these.
    ///
    /// # Errors
    /// A warning that says so.
    pub(crate) fn text(&self, n: usize) -> Result<Option<&'a str>, Failure> {
        let text = self.bytes(n).map(std::str::from_utf8).transpose();
        text.map_err(|_| Failure::Warning(format!("Argument #{} is not valid UTF-8", n + 1)))
    }

    /// The descriptor of an argument; none for null.
    pub(crate) fn descriptor(&self, n: usize) -> Option<Descriptor> {
        match self.argument(n) {
            Argument::Descriptor(descriptor, _) => Some(descriptor),
            _ => None,
        }
    }

    /// A descriptor that holds its stream or socket open. None for what has no descriptor.
    ///
    /// # Errors
    /// The message, when it is a dead socket.
    pub(crate) fn lent_socket(&self, n: usize) -> Result<Option<LentSocket>, String> {
        match self.argument(n) {
            Argument::Descriptor(descriptor, lender) => {
                let socket = LentSocket::new(descriptor, &lender);
                socket.map(Some).ok_or_else(|| DEAD_SOCKET.to_owned())
            }
            _ => Ok(None),
        }
    }

    /// The way to the object that the method is called on, for an event of it.
    pub(crate) fn link(&self) -> Link {
        Link::new(self.object)
    }

    /// Makes this event the one of the object.
    pub(crate) fn construct_event(&mut self, event: EventValue) {
        self.answer.constructed = Some(Held::Event(event));
    }

    /// Makes this the value of the constructed object.
    pub(crate) fn construct(&mut self, value: impl HalfVariant) -> Result<Value, Failure> {
        let held = self.made.take();
        let held = held.unwrap_or_else(|| Held::empty(self.object));
        held.fill(value);
        self.answer.constructed = Some(held);
        Ok(Value::Void)
    }

    /// Puts a copy of an argument into a slot, where the collector sees it.
    pub(crate) fn keep(&mut self, slot: u32, argument: u32) {
        self.answer.keep.push(Keep::Argument { slot, argument });
    }

    /// True, or false with a warning.
    ///
    /// # Errors
    /// The warning.
    pub(crate) fn done<T>(&self, result: php_event::Result<T>) -> Result<Value, Failure> {
        result?;
        Ok(Value::Bool(true))
    }
}

fn not_constructed() -> Failure {
    Failure::Error("The object was not constructed: call parent::__construct() first".to_owned())
}

/// Seconds as the library takes them: what is below a microsecond, not a number or negative is now.
pub(crate) fn seconds(seconds: f64) -> Duration {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "compared with the original"
    )]
    let whole = seconds as u32;
    if f64::from(whole) == seconds {
        return Duration::from_secs(whole.into()); // most are, and this is quicker
    }
    if seconds > 0.0 {
        Duration::try_from_secs_f64(seconds).unwrap_or(php_event::MAX_TIMEOUT)
    } else {
        Duration::ZERO
    }
}
