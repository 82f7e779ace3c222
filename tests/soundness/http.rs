//! The closures of `EventHttp`: for a path, for the rest, for the end of a connection, and for a
//! body.
//!
//! They have cases of their own, since those of `Class` need one that can wait for nothing
//! and be made to wait again: a server that listens always waits, one that does not never
//! does again, and a connection ends once.

use std::cell::{Cell, RefCell};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::panic::panic_any;
use std::rc::Rc;
use std::thread;

use php_event::{EventBase, EventBuffer, EventHttp, EventHttpRequest, LoopEnd};

use super::OVER;
use crate::kinds::{Kind as _, Timer};
use crate::subscriber::{log_calls, warn};
use test_support::{Bomb, Drops, OnDrop, limited, panic_of, run};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// A server with one closure that is looked at, and a client that can have it called.
struct Rig {
    base: EventBase,
    http: Rc<RefCell<Option<EventHttp>>>,
    address: SocketAddr,
    client: Option<TcpStream>,
    kept: Rc<RefCell<Vec<EventHttpRequest>>>,
}

/// What tells one of the closures from another.
trait Closure {
    /// Sets it, and leaves the client connected.
    fn set(rig: &Rig, closure: impl FnMut() + 'static);

    /// Has it called in one of the next turns.
    fn fire(rig: &mut Rig) {
        rig.client.as_mut().unwrap().write_all(REQUEST).unwrap();
    }
}

/// The closure of a path.
struct Route;

impl Closure for Route {
    fn set(rig: &Rig, mut closure: impl FnMut() + 'static) {
        let http = rig.http.borrow().clone().unwrap();
        http.set_callback("/", move |_| closure()).unwrap();
    }
}

/// The closure for the rest.
struct Rest;

impl Closure for Rest {
    fn set(rig: &Rig, mut closure: impl FnMut() + 'static) {
        let http = rig.http.borrow().clone().unwrap();
        http.set_default_callback(move |_| closure()).unwrap();
    }
}

/// The closure for the end of a connection, whose request waits.
struct End;

impl Closure for End {
    fn set(rig: &Rig, mut closure: impl FnMut() + 'static) {
        let http = rig.http.borrow().clone().unwrap();
        let list = Rc::downgrade(&rig.kept);
        let keep = move |request: &EventHttpRequest| {
            list.upgrade().unwrap().borrow_mut().push(request.clone());
        };
        http.set_default_callback(keep).unwrap();
        rig.client.as_ref().unwrap().write_all(REQUEST).unwrap();
        rig.until(|| !rig.kept.borrow().is_empty());
        let connection = rig.kept.borrow()[0].get_connection().unwrap();
        connection.set_close_callback(move |_| closure()).unwrap();
    }

    fn fire(rig: &mut Rig) {
        rig.client = None;
    }
}

/// The closure for a body, whose head has come.
struct Body;

impl Closure for Body {
    fn set(rig: &Rig, closure: impl FnMut() + 'static) {
        let http = rig.http.borrow().clone().unwrap();
        let (list, closure) = (Rc::downgrade(&rig.kept), Cell::new(Some(closure)));
        let shown = move |request: &EventHttpRequest| {
            list.upgrade().unwrap().borrow_mut().push(request.clone());
            let mut closure = closure.take().unwrap();
            request.set_body_callback(move |_, _| closure()).unwrap();
        };
        http.set_stream_callback("/", None, shown).unwrap();
        let head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n";
        rig.client.as_ref().unwrap().write_all(head).unwrap();
        rig.until(|| !rig.kept.borrow().is_empty());
        http.remove_callback("/").unwrap();
    }

    fn fire(rig: &mut Rig) {
        rig.client.as_mut().unwrap().write_all(b"body").unwrap();
    }
}

impl Rig {
    fn on(base: &EventBase) -> Self {
        let http = OVER.http(base).unwrap();
        let address = http.bind("127.0.0.1", 0).unwrap();
        Self {
            base: base.clone(),
            http: Rc::new(RefCell::new(Some(http))),
            address,
            client: Some(OVER.connect(address)),
            kept: Rc::default(),
        }
    }

    fn new() -> Self {
        Self::on(&EventBase::new().unwrap())
    }

    fn until(&self, done: impl Fn() -> bool) {
        limited(|| {
            while !done() {
                self.base.r#loop(EventBase::LOOP_ONCE).unwrap();
            }
        });
    }

    /// The panic that comes out of the loop.
    #[track_caller]
    fn panic(&self) -> String {
        panic_of(|| self.until(|| false))
    }

    /// What lets everything of the server go.
    fn all(&self) -> impl Fn() + 'static {
        let (http, kept) = (Rc::clone(&self.http), Rc::downgrade(&self.kept));
        move || {
            let kept = kept.upgrade().map(|kept| kept.take());
            drop((http.take(), kept));
        }
    }

    /// Lets everything go, and checks that nothing is left to wait for.
    fn end(mut self) {
        self.client = None;
        self.all()();
        assert_eq!(run(&self.base), LoopEnd::NoEvents);
    }
}

macro_rules! cases {
    ($($closure:ident: $module:ident),+ $(,)?; $($case:ident),+ $(,)?) => {
        cases!(@ [$($closure $module)+] ($($case)+));
    };
    (@ [$($closure:ident $module:ident)+] $cases:tt) => {$(
        cases!(@@ $closure $module $cases);
    )+};
    (@@ $closure:ident $module:ident ($($case:ident)+)) => {
        mod $module {$(
            #[test]
            fn $case() {
                super::$case::<super::$closure>();
            }
        )+}
    };
}

cases! {
    Route: route, Rest: rest, End: end, Body: body;
    server_dropped_inside_its_closure_drops_it_when_it_returns,
    server_dropped_after_a_panic_in_its_closure_drops_it_once,
    panic_in_a_closure_comes_out_of_the_loop_and_the_server_goes_on,
    panic_in_a_captured_drop_comes_out_of_the_loop,
    panic_in_a_closure_and_in_a_captured_drop_passes_the_first_on,
    panic_whose_payload_panics_when_dropped_does_not_replace_the_first,
    panic_in_a_nested_loop_passes_through_both,
    loop_of_the_same_base_inside_a_closure_is_refused,
    base_handle_dropped_inside_a_closure_ends_with_the_loop,
    closure_never_called_is_dropped_with_its_server,
    captured_drop_may_use_the_server_and_the_base,
    captured_drop_may_turn_another_loop_while_a_panic_waits,
    base_freed_inside_a_closure_is_refused,
    server_dropped_by_the_subscriber_before_its_closure_leaves_nothing,
}

fn server_dropped_inside_its_closure_drops_it_when_it_returns<C: Closure>() {
    let mut rig = Rig::new();
    let (drops, calls) = (Drops::default(), Rc::new(Cell::new(0)));
    let (token, seen, count, all) = (drops.token(), drops.clone(), calls.clone(), rig.all());
    C::set(&rig, move || {
        token.hold();
        count.set(count.get() + 1);
        all();
        assert_eq!(seen.count(), 0, "dropped under the running closure");
    });
    C::fire(&mut rig);
    rig.until(|| calls.get() == 1);
    assert_eq!(drops.count(), 1);
    rig.end();
}

/// The subscriber gets libevent's texts before the first callback of a loop.
fn server_dropped_by_the_subscriber_before_its_closure_leaves_nothing<C: Closure>() {
    let mut rig = Rig::new();
    let (drops, all) = (Drops::default(), rig.all());
    let token = drops.token();
    C::set(&rig, move || token.hold());
    C::fire(&mut rig);
    {
        let _log = log_calls(all);
        warn(&rig.base);
        rig.until(|| rig.http.borrow().is_none() && drops.count() == 1);
    }
    rig.end();
}

fn server_dropped_after_a_panic_in_its_closure_drops_it_once<C: Closure>() {
    let mut rig = Rig::new();
    let drops = Drops::default();
    let (token, all) = (drops.token(), rig.all());
    C::set(&rig, move || {
        token.hold();
        all();
        panic!("gone");
    });
    C::fire(&mut rig);
    assert_eq!(rig.panic(), "gone");
    assert_eq!(drops.count(), 1);
    rig.end();
}

fn panic_in_a_closure_comes_out_of_the_loop_and_the_server_goes_on<C: Closure>() {
    let mut rig = Rig::new();
    C::set(&rig, || panic!("in a closure"));
    C::fire(&mut rig);
    assert_eq!(rig.panic(), "in a closure");
    assert!(rig.base.got_stop() && !rig.base.got_exit());
    let http = rig.http.borrow().clone().unwrap();
    let say = |request: &EventHttpRequest| {
        let body = EventBuffer::new().unwrap();
        body.add("well").unwrap();
        request.send_reply(200, "OK", Some(&body)).unwrap();
    };
    http.set_callback("/well", say).unwrap();
    let mut other = OVER.connect(rig.address);
    other
        .write_all(b"GET /well HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let (done, base) = (Rc::new(Cell::new(false)), rig.base.clone());
    let answered = done.clone();
    let read = php_event::Event::new(
        &base,
        other.try_clone().unwrap(),
        php_event::Event::READ,
        move |_, _, _| answered.set(true),
    );
    let read = read.unwrap();
    read.add(None).unwrap();
    rig.until(|| done.get());
    let mut answer = [0; 15];
    other.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    drop((http, read));
    rig.end();
}

fn panic_in_a_captured_drop_comes_out_of_the_loop<C: Closure>() {
    let mut rig = Rig::new();
    let (bomb, all) = (Bomb("a captured value"), rig.all());
    C::set(&rig, move || {
        bomb.hold();
        all();
    });
    C::fire(&mut rig);
    assert_eq!(rig.panic(), "a captured value");
    rig.end();
}

fn panic_in_a_closure_and_in_a_captured_drop_passes_the_first_on<C: Closure>() {
    let mut rig = Rig::new();
    let (bomb, all) = (Bomb("second"), rig.all());
    C::set(&rig, move || {
        bomb.hold();
        all();
        panic!("first");
    });
    C::fire(&mut rig);
    assert_eq!(rig.panic(), "first");
    rig.end();
}

fn panic_whose_payload_panics_when_dropped_does_not_replace_the_first<C: Closure>() {
    let mut rig = Rig::new();
    let second = OnDrop(|| panic_any(OnDrop(|| panic_any(())))); // the third is never dropped
    let all = rig.all();
    C::set(&rig, move || {
        second.hold();
        all();
        panic!("first");
    });
    C::fire(&mut rig);
    assert_eq!(rig.panic(), "first");
    rig.end();
}

fn panic_in_a_nested_loop_passes_through_both<C: Closure>() {
    let mut rig = Rig::new();
    let inner = EventBase::new().unwrap();
    let nested = inner.clone();
    C::set(&rig, move || {
        let timer = Timer::make(&nested, |_| panic!("innermost"));
        Timer::fire(&timer);
        run(&nested);
        unreachable!("the closure went on after the panic");
    });
    C::fire(&mut rig);
    assert_eq!(rig.panic(), "innermost");
    assert!(rig.base.got_stop() && inner.got_stop());
    rig.end();
}

fn loop_of_the_same_base_inside_a_closure_is_refused<C: Closure>() {
    let mut rig = Rig::new();
    let (own, refusal) = (rig.base.clone(), Rc::new(RefCell::new(None)));
    let text = refusal.clone();
    C::set(&rig, move || {
        text.replace(Some(own.dispatch().unwrap_err().to_string()));
    });
    C::fire(&mut rig);
    rig.until(|| refusal.borrow().is_some());
    assert_eq!(
        refusal.take().unwrap(),
        "EventBase::dispatch: this base's loop is already running"
    );
    rig.end();
}

fn base_handle_dropped_inside_a_closure_ends_with_the_loop<C: Closure>() {
    let mut rig = Rig::new();
    let (drops, only) = (Drops::default(), Rc::new(RefCell::new(None)));
    let (token, taken, all) = (drops.token(), only.clone(), rig.all());
    C::set(&rig, move || {
        token.hold();
        drop(taken.take());
        all();
    });
    C::fire(&mut rig);
    let Rig { base, kept, .. } = rig;
    only.replace(Some(base.clone()));
    let end = limited(move || base.dispatch()); // the last handle goes in here
    assert_eq!((end.unwrap(), drops.count()), (LoopEnd::NoEvents, 1));
    drop(kept);
}

fn closure_never_called_is_dropped_with_its_server<C: Closure>() {
    let rig = Rig::new();
    let drops = Drops::default();
    let token = drops.token();
    C::set(&rig, move || token.hold());
    rig.all()();
    drop(rig);
    assert_eq!(drops.count(), 1);
}

fn captured_drop_may_use_the_server_and_the_base<C: Closure>() {
    let mut rig = Rig::new();
    let done = Rc::new(Cell::new(false));
    let (told, base, http) = (done.clone(), rig.base.clone(), rig.http.clone());
    let last = OnDrop(move || {
        if let Some(http) = http.borrow().clone() {
            http.set_callback("/late", |_| {}).unwrap();
        }
        let other = OVER.http(&base).unwrap();
        other.bind("127.0.0.1", 0).unwrap();
        told.set(true);
    });
    let all = rig.all();
    C::set(&rig, move || {
        last.hold();
        all();
    });
    C::fire(&mut rig);
    rig.until(|| done.get());
    rig.end();
}

fn captured_drop_may_turn_another_loop_while_a_panic_waits<C: Closure>() {
    let mut rig = Rig::new();
    let (inner, calls) = (EventBase::new().unwrap(), Rc::new(Cell::new(0)));
    let count = calls.clone();
    let nested = Timer::make(&inner, move |_| count.set(count.get() + 1));
    Timer::fire(&nested);
    let (all, base) = (rig.all(), inner.clone());
    let last = OnDrop(move || assert_eq!(run(&base), LoopEnd::NoEvents));
    C::set(&rig, move || {
        last.hold();
        all();
        panic!("waits");
    });
    C::fire(&mut rig);
    assert_eq!(rig.panic(), "waits");
    assert_eq!(calls.get(), 1);
    rig.end();
}

fn base_freed_inside_a_closure_is_refused<C: Closure>() {
    let mut rig = Rig::new();
    let (own, refusal) = (rig.base.clone(), Rc::new(RefCell::new(None)));
    let text = refusal.clone();
    C::set(&rig, move || {
        text.replace(Some(own.free().unwrap_err().to_string()));
    });
    C::fire(&mut rig);
    rig.until(|| refusal.borrow().is_some());
    assert_eq!(
        refusal.take().unwrap(),
        "EventBase::free: not possible inside a callback; use stop() or exit()"
    );
    rig.end();
}

/// Three requests that are there in one pass; the closure of the first lets the server go.
#[test]
fn requests_of_the_same_pass_get_no_closure_after_the_server_went() {
    let rig = Rig::new();
    let calls = Rc::new(Cell::new(0));
    let (count, all) = (calls.clone(), rig.all());
    Rest::set(&rig, move || {
        count.set(count.get() + 1);
        all();
    });
    let mut clients: Vec<_> = (0..3).map(|_| OVER.connect(rig.address)).collect();
    rig.base.exit(None).unwrap();
    rig.base.dispatch().unwrap(); // accepts
    for client in &mut clients {
        client.write_all(REQUEST).unwrap();
    }
    rig.until(|| calls.get() > 0);
    assert_eq!(calls.get(), 1);
    rig.end();
}

/// A request inside of the closure that it came to is a cycle that nobody breaks but the
/// server's end, as documented.
#[test]
fn request_kept_inside_its_own_close_closure_ends_with_the_connection() {
    let mut rig = Rig::new();
    let drops = Drops::default();
    End::set(&rig, || {});
    let request = rig.kept.borrow_mut().pop().unwrap();
    let connection = request.get_connection().unwrap();
    let token = drops.token();
    connection
        .set_close_callback(move |_| {
            token.hold();
            assert!(request.send_reply(200, "OK", None).is_err());
        })
        .unwrap();
    End::fire(&mut rig);
    rig.until(|| drops.count() == 1);
    rig.end();
}

/// A request is used by each of its methods in each state that it can be in: no state leads
/// to freed memory, and what is refused changes nothing.
#[test]
fn every_method_in_every_state_of_a_request() {
    type Step = fn(&EventHttpRequest) -> bool;
    let steps: [Step; 9] = [
        |request| request.send_reply(200, "OK", None).is_ok(),
        |request| request.send_error(500, None).is_ok(),
        |request| request.send_reply_start(200, "OK").is_ok(),
        |request| {
            let piece = EventBuffer::new().unwrap();
            piece.add("x").unwrap();
            request.send_reply_chunk(&piece).is_ok()
        },
        |request| request.send_reply_end().is_ok(),
        |request| request.close_connection().is_ok(),
        |request| request.cancel().is_ok(),
        |request| {
            request
                .get_connection()
                .is_some_and(|connection| connection.set_close_callback(|_| {}).is_ok())
        },
        |request| request.get_uri().is_ok() && request.get_input_headers().is_ok(),
    ];
    for first in steps {
        for second in steps {
            for gone in [false, true] {
                let mut rig = Rig::new();
                End::set(&rig, || {});
                let request = rig.kept.borrow_mut().pop().unwrap();
                first(&request);
                if gone {
                    End::fire(&mut rig);
                }
                rig.base
                    .r#loop(EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK)
                    .unwrap();
                second(&request);
                rig.base
                    .r#loop(EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK)
                    .unwrap();
                first(&request);
                second(&request);
                drop(request);
                rig.end();
            }
        }
    }
}

/// The library's own variables of the thread may be gone by then.
#[test]
fn a_server_made_while_its_thread_ends_listens_and_ends() {
    struct MadeLate;
    impl Drop for MadeLate {
        fn drop(&mut self) {
            let base = EventBase::new().unwrap();
            let http = EventHttp::new(&base).unwrap();
            http.bind("127.0.0.1", 0).unwrap();
            base.r#loop(EventBase::LOOP_NONBLOCK).unwrap();
        }
    }
    thread_local!(static LATE: RefCell<Option<MadeLate>> = const { RefCell::new(None) });
    let thread = thread::spawn(|| {
        LATE.set(Some(MadeLate)); // first, so that it goes last
        drop(EventHttp::new(&EventBase::new().unwrap()).unwrap());
    });
    limited(|| thread.join()).unwrap();
}
