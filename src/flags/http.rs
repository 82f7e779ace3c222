//! The constants of `EventHttpRequest`.

use std::ffi::c_uint;

use crate::ffi;

bitflags::bitflags! {
    /// HTTP methods: one for a request, a set for what a server allows.
    ///
    /// PHP: the `CMD_*` constants of `EventHttpRequest`;
    /// [`EventHttpRequest::CMD_GET`](crate::EventHttpRequest::CMD_GET) and the others are the same values.
    ///
    /// ```
    /// use php_event::EventHttpRequest;
    /// let allowed = EventHttpRequest::CMD_GET | EventHttpRequest::CMD_HEAD;
    /// assert!(!allowed.contains(EventHttpRequest::CMD_POST));
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct HttpMethods: c_uint {
        /// `GET`.
        const GET = ffi::evhttp_cmd_type_EVHTTP_REQ_GET;
        /// `POST`.
        const POST = ffi::evhttp_cmd_type_EVHTTP_REQ_POST;
        /// `HEAD`: as `GET`, without the body of the answer.
        const HEAD = ffi::evhttp_cmd_type_EVHTTP_REQ_HEAD;
        /// `PUT`.
        const PUT = ffi::evhttp_cmd_type_EVHTTP_REQ_PUT;
        /// `DELETE`.
        const DELETE = ffi::evhttp_cmd_type_EVHTTP_REQ_DELETE;
        /// `OPTIONS`.
        const OPTIONS = ffi::evhttp_cmd_type_EVHTTP_REQ_OPTIONS;
        /// `TRACE`.
        const TRACE = ffi::evhttp_cmd_type_EVHTTP_REQ_TRACE;
        /// `CONNECT`.
        const CONNECT = ffi::evhttp_cmd_type_EVHTTP_REQ_CONNECT;
        /// `PATCH`.
        const PATCH = ffi::evhttp_cmd_type_EVHTTP_REQ_PATCH;
    }
}

/// Which of a request's two lists of headers.
///
/// PHP: [`EventHttpRequest::INPUT_HEADER`](crate::EventHttpRequest::INPUT_HEADER) and [`EventHttpRequest::OUTPUT_HEADER`](crate::EventHttpRequest::OUTPUT_HEADER).
///
/// ```
/// use php_event::{EventHttpRequest, HeaderSide};
/// assert_eq!(EventHttpRequest::INPUT_HEADER, HeaderSide::Input);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum HeaderSide {
    /// Headers from the peer: 1 in PHP.
    Input = 1,
    /// Headers to the peer: 2 in PHP.
    Output = 2,
}
