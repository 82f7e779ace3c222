//! `event-httpd broadcast` in one process: what is sent, who gets it, and in which bytes.

#[path = "../support_broadcast/mod.rs"]
mod support_broadcast;
#[path = "../support_http/mod.rs"]
mod support_http;

mod calls;
mod http;
mod order;
mod raw;
mod scale;
mod slices;
mod slow;
mod stopping;
mod turns;
