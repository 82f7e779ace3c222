//! Several captured values of one object whose destructors panic: each of them runs, the first
//! panic comes out, and the process goes on.

use std::cell::{Cell, RefCell};
use std::net::TcpListener;
use std::rc::Rc;

use php_event::{
    BufferEventOptions, Callbacks, EventBase, EventBufferEvent, EventHttp, EventHttpConnection,
    EventHttpRequest, EventListener, FilterResult, Filters, ListenerFlags, ListenerTarget,
};

use test_support::{Owning, pair, panic_of, run};

/// Panics when it is dropped, during another panic, too; the text is how many there were.
struct Panics(Rc<Cell<u32>>);

impl Panics {
    fn hold(&self) {}
}

impl Drop for Panics {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
        panic!("{}", self.0.get());
    }
}

/// Three closures that own one each.
fn callbacks(dropped: &Rc<Cell<u32>>) -> Callbacks {
    let [read, write, event] = [(); 3].map(|()| Panics(Rc::clone(dropped)));
    Callbacks::new()
        .on_read(move |_| read.hold())
        .on_write(move |_| write.hold())
        .on_event(move |_, _| event.hold())
}

/// Whether the first of `count` panics comes out of `end`, and all have run.
fn check(dropped: &Rc<Cell<u32>>, count: u32, end: impl FnOnce()) {
    assert_eq!(panic_of(end), "1");
    assert_eq!(dropped.get(), count);
}

/// A server that accepts nothing.
fn silent() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn both_closures_of_a_listener_panic_at_their_end() {
    let (base, dropped) = (EventBase::new().unwrap(), Rc::default());
    let (accept, failure) = (Panics(Rc::clone(&dropped)), Panics(Rc::clone(&dropped)));
    let accept = move |_: &EventListener, _, _| accept.hold();
    let flags = ListenerFlags::empty();
    let listener = EventListener::new(&base, accept, flags, 1, "127.0.0.1:0").unwrap();
    listener
        .set_error_callback(move |_| failure.hold())
        .unwrap();
    check(&dropped, 2, || drop(listener));
}

#[test]
fn closures_and_socket_of_a_listener_panic_at_their_end() {
    for frees in [false, true] {
        let (base, dropped) = (EventBase::new().unwrap(), Rc::default());
        let [accept, failure, last] = [(); 3].map(|()| Panics(Rc::clone(&dropped)));
        let accept = move |_: &EventListener, _, _| accept.hold();
        let target = ListenerTarget::socket(Owning(silent().0, last));
        let flags = ListenerFlags::empty();
        let listener = EventListener::new(&base, accept, flags, 1, target).unwrap();
        listener
            .set_error_callback(move |_| failure.hold())
            .unwrap();
        check(&dropped, 3, || match frees {
            true => listener.free(),
            false => drop(listener),
        });
    }
}

#[test]
fn closures_and_socket_of_a_buffer_event_panic_at_their_end() {
    for frees in [false, true] {
        let (base, dropped) = (EventBase::new().unwrap(), Rc::default());
        let socket = Owning(pair().0, Panics(Rc::clone(&dropped)));
        let bev = EventBufferEvent::new(&base, socket, BufferEventOptions::empty()).unwrap();
        bev.set_callbacks(callbacks(&dropped)).unwrap();
        check(&dropped, 4, || match frees {
            true => bev.free(),
            false => drop(bev),
        });
    }
}

#[test]
fn closures_of_a_buffer_event_that_are_replaced_panic_each() {
    let (base, dropped) = (EventBase::new().unwrap(), Rc::default());
    let bev = EventBufferEvent::unconnected(&base, BufferEventOptions::empty()).unwrap();
    bev.set_callbacks(callbacks(&dropped)).unwrap();
    check(&dropped, 3, || bev.set_callbacks(Callbacks::new()).unwrap());
}

#[test]
fn both_closures_of_a_filter_panic_at_their_end() {
    let (base, dropped) = (EventBase::new().unwrap(), Rc::default());
    let options = BufferEventOptions::empty();
    let (under, _peer) = EventBufferEvent::create_pair(&base, options).unwrap();
    let (input, output) = (Panics(Rc::clone(&dropped)), Panics(Rc::clone(&dropped)));
    let filters = Filters::new()
        .on_input(move |_, _, _, _| {
            input.hold();
            FilterResult::NeedMore
        })
        .on_output(move |_, _, _, _| {
            output.hold();
            FilterResult::NeedMore
        });
    let filter = EventBufferEvent::create_filter(&under, filters, options).unwrap();
    check(&dropped, 2, || {
        drop(filter);
        run(&base);
    });
}

#[test]
fn all_closures_of_an_http_server_panic_at_their_end() {
    let (base, dropped) = (EventBase::new().unwrap(), Rc::default());
    let http = EventHttp::new(&base).unwrap();
    for path in ["/a", "/b"] {
        let value = Panics(Rc::clone(&dropped));
        http.set_callback(path, move |_| value.hold()).unwrap();
    }
    let value = Panics(Rc::clone(&dropped));
    http.set_default_callback(move |_| value.hold()).unwrap();
    check(&dropped, 3, || drop(http));
}

#[test]
fn sockets_and_closures_of_an_http_server_panic_at_their_end() {
    let (base, dropped) = (EventBase::new().unwrap(), Rc::default());
    let http = EventHttp::new(&base).unwrap();
    for _ in 0..2 {
        let socket = Owning(silent().0, Panics(Rc::clone(&dropped)));
        http.accept(socket).unwrap();
    }
    let value = Panics(Rc::clone(&dropped));
    http.set_default_callback(move |_| value.hold()).unwrap();
    check(&dropped, 3, || drop(http));
}

#[test]
fn closures_of_an_http_connection_and_its_requests_panic_at_their_end() {
    let (base, dropped) = (EventBase::new().unwrap(), Rc::default());
    let (_listener, port) = silent();
    let connection = EventHttpConnection::new(&base, None, "127.0.0.1", port).unwrap();
    let value = Panics(Rc::clone(&dropped));
    connection
        .set_close_callback(move |_| value.hold())
        .unwrap();
    for _ in 0..2 {
        let value = Panics(Rc::clone(&dropped));
        let request = EventHttpRequest::new(move |_| value.hold()).unwrap();
        connection
            .make_request(&request, EventHttpRequest::CMD_GET, "/")
            .unwrap();
    }
    check(&dropped, 3, || drop(connection));
}

#[test]
fn request_that_ends_its_connection_in_its_closure_panics_with_it() {
    let (base, dropped) = (EventBase::new().unwrap(), Rc::default());
    let (listener, port) = silent();
    drop(listener); // so that the request fails
    let connection = EventHttpConnection::new(&base, None, "127.0.0.1", port).unwrap();
    let value = Panics(Rc::clone(&dropped));
    connection
        .set_close_callback(move |_| value.hold())
        .unwrap();
    let place = Rc::new(RefCell::new(None));
    let (value, own) = (Panics(Rc::clone(&dropped)), Rc::clone(&place));
    let request = EventHttpRequest::new(move |_| {
        value.hold();
        drop(own.take());
    });
    let request = request.unwrap();
    connection
        .make_request(&request, EventHttpRequest::CMD_GET, "/")
        .unwrap();
    drop(request);
    place.replace(Some(connection));
    check(&dropped, 2, || {
        run(&base);
    });
}
