//! `event-httpd --workers`: a master, its workers, and the bus between them.

#[path = "../support_broadcast/mod.rs"]
mod support_broadcast;
#[path = "../support_http/mod.rs"]
mod support_http;

mod bus;
mod ending;
mod failing;
mod lagging;
mod life;
mod listening;
mod load;
mod reload;
