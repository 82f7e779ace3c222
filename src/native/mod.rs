//! libevent's objects: one file for each, with the raw pointer and every call on it.
//!
//! Knows `ffi`, `runtime` and `flags`, and no class.
