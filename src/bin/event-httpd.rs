//! `event-httpd`: a server written on the wrapper.

fn main() {}
