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
use crate::object::Object;

/// A value that an object of some class has.
pub(crate) trait Variant: Object {
    fn of(any: &AnyObject) -> Option<&Self>;
    fn into_any(self) -> AnyObject;
}

/// Lists what stands behind the objects of each class.
macro_rules! objects {
    ($($class:ident: $value:ty,)+) => {
        /// What stands behind an object. One type for all: a pointer to it is one word, as C
        /// keeps it, and it lies in one piece of memory with the way back to the object.
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

        /// How many slots the objects of a class have.
        pub(crate) fn slots(class: u32) -> u32 {
            $(if class == Class::$class as u32 {
                return <$value as Object>::SLOTS;
            })+
            0
        }

        $(impl Variant for $value {
            fn of(any: &AnyObject) -> Option<&Self> {
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
    Event: event::EventValue,
    EventBase: php_event::EventBase,
    EventBuffer: php_event::EventBuffer,
    EventBufferEvent: event_buffer_event::BufferEventValue,
    EventConfig: php_event::EventConfig,
    EventDnsBase: php_event::EventDnsBase,
    EventHttp: event_http::HttpValue,
    EventHttpConnection: event_http_connection::ConnectionValue,
    EventHttpRequest: event_http_request::RequestValue,
    EventListener: php_event::EventListener,
    EventSslContext: php_event::EventSslContext,
}

/// Answers the read of a property that is no ordinary one.
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

/// Answers the assignment to a property that is no ordinary one.
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
