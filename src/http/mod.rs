//! The HTTP classes over libevent's evhttp.

// Until `EventHttp` puts it in front of its connections, only its tests call it.
#[cfg_attr(not(test), expect(dead_code, reason = "EventHttp is to use it"))]
mod gate;
