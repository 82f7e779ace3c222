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

use crate::call::{Call, Failure, Value};

/// Answers the read of a property that is no ordinary one.
pub(crate) fn read_property(name: &str, call: &mut Call) -> Result<Value, Failure> {
    match name {
        "EventListener::fd" => Ok(event_listener::fd_property(call)),
        "EventSslContext::local_cert" => Ok(event_ssl_context::path_property(call, false)),
        "EventSslContext::local_pk" => Ok(event_ssl_context::path_property(call, true)),
        "EventBuffer::length" => Ok(event_buffer::length_property(call)),
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
