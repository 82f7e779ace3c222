//! PHP's extension `event`, built on `php-event`: PHP programs run on it unmodified.
//!
//! The C half in `shim/` does what needs Zend's macros: classes, arguments, properties, the
//! garbage collector, calls of PHP code. This half answers the methods, and calls no libevent
//! function of its own. `bridge` is where they meet, and where all `unsafe` is.

mod bridge;
mod call;
mod classes;
mod host_name;
mod kept;
mod object;
