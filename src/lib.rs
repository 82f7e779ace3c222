//! PHP's `event` extension in Rust: a safe wrapper over libevent 2.1.

pub mod codec;
