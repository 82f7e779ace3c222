//! The examples, run as processes and spoken to over sockets.

mod events;
mod support;
mod tutorial;
