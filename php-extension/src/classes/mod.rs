//! The classes, a file for each, as PECL has them.

pub(crate) mod event;
pub(crate) mod event_base;
pub(crate) mod event_buffer;
pub(crate) mod event_buffer_event;
pub(crate) mod event_config;
pub(crate) mod event_dns_base;
pub(crate) mod event_exception;
pub(crate) mod event_http;
pub(crate) mod event_http_connection;
pub(crate) mod event_http_request;
pub(crate) mod event_listener;
pub(crate) mod event_ssl_context;
pub(crate) mod event_util;

use crate::bridge::Class;
use crate::call::{Call, Failure, Value};
use crate::object::{Held, Object};
use event::EventValue;

/// A value that an object of some class has.
pub(crate) trait Variant: Object {
    fn of(held: &Held) -> Option<&Self>;
}

/// One that lies in a half.
pub(crate) trait HalfVariant: Variant {
    fn of_any(any: &AnyObject) -> Option<&Self>;
    fn into_any(self) -> AnyObject;
}

impl Variant for EventValue {
    fn of(held: &Held) -> Option<&Self> {
        match held {
            Held::Event(event) => Some(event),
            Held::Other(_) => None,
        }
    }
}

/// How many slots the objects of a class have.
pub(crate) fn slots(class: u32) -> u32 {
    if class == Class::Event as u32 {
        return EventValue::SLOTS;
    }
    slots_beside_half(class)
}

/// Lists the Rust halves of the objects of each class but `Event`.
macro_rules! objects {
    ($($class:ident: $value:ty,)+) => {
        /// The Rust half of an object that is not an event. One type for all: a pointer to it is
        /// one word, as C keeps it, and it lies in one piece of memory with the way back to the
        /// object.
        #[expect(clippy::enum_variant_names, reason = "the classes have these names in PHP")]
        pub(crate) enum AnyObject {
            $($class($value),)+
        }

        impl AnyObject {
            pub(crate) fn class(&self) -> Class {
                match self {
                    $(Self::$class(_) => Class::$class,)+
                }
            }

            pub(crate) fn is_pending(&self) -> bool {
                match self {
                    $(Self::$class(value) => value.is_pending(),)+
                }
            }
        }

        fn slots_beside_half(class: u32) -> u32 {
            $(if class == Class::$class as u32 {
                return <$value as Object>::SLOTS;
            })+
            0
        }

        $(impl Variant for $value {
            fn of(held: &Held) -> Option<&Self> {
                match held {
                    Held::Event(_) => None,
                    Held::Other(half) => half.value(),
                }
            }
        }

        impl HalfVariant for $value {
            fn of_any(any: &AnyObject) -> Option<&Self> {
                match any {
                    AnyObject::$class(value) => Some(value),
                    _ => None,
                }
            }

            fn into_any(self) -> AnyObject {
                AnyObject::$class(self)
            }
        })+
    };
}

objects! {
    EventBase: event_base::BaseValue,
    EventBuffer: php_event::EventBuffer,
    EventBufferEvent: event_buffer_event::BufferEventValue,
    EventConfig: php_event::EventConfig,
    EventDnsBase: php_event::EventDnsBase,
    EventHttp: event_http::HttpValue,
    EventHttpConnection: event_http_connection::ConnectionValue,
    EventHttpRequest: event_http_request::RequestValue,
    EventListener: event_listener::ListenerValue,
    EventSslContext: php_event::EventSslContext,
}

/// Handles the read of a property that is not an ordinary one.
pub(crate) fn read_property(name: &str, call: &mut Call) -> Result<Value, Failure> {
    match name {
        "EventListener::fd" => Ok(event_listener::fd_property(call)),
        "EventSslContext::local_cert" => Ok(event_ssl_context::path_property(call, false)),
        "EventSslContext::local_pk" => Ok(event_ssl_context::path_property(call, true)),
        "EventBuffer::contiguous_space" => Ok(event_buffer::contiguous_space_property(call)),
        _ => match name.strip_prefix("EventBufferEvent::") {
            Some(property) => Ok(event_buffer_event::property(call, property)),
            None => Ok(Value::Null),
        },
    }
}

/// Handles the assignment to a property that is not an ordinary one.
pub(crate) fn write_property(name: &str, call: &mut Call) -> Result<Value, Failure> {
    match name {
        "EventSslContext::local_cert" => event_ssl_context::set_path_property(call, false),
        "EventSslContext::local_pk" => event_ssl_context::set_path_property(call, true),
        _ => match name.strip_prefix("EventBufferEvent::") {
            Some(property) => event_buffer_event::set_property(call, property),
            None => Ok(Value::Void),
        },
    }
}
