//! `event-httpd hub`: publishers, subscribers and tokens over real sockets.

#[path = "../support_broadcast/mod.rs"]
mod support_broadcast;
#[path = "../support_http/mod.rs"]
mod support_http;

mod active;
mod autobahn;
mod browser;
mod chaos;
mod chromium;
mod clients;
mod keys;
mod limits;
mod options;
mod publishing;
mod redis;
mod replay;
mod slices;
mod stopping;
mod store;
mod store_active;
mod store_failures;
mod store_queue;
mod subscribing;
mod support;
mod websocket;
mod workers;
