//! `event-httpd serve` on the wire: raw bytes in, raw bytes out.

#[path = "../support_broadcast/mod.rs"]
mod support_broadcast;
#[path = "../support_http/mod.rs"]
mod support_http;

mod answers;
mod bodies;
mod cases;
mod crowds;
mod deadlines;
mod listening;
mod options;
mod pipelining;
mod pressure;
mod refusals;
mod stopping;
