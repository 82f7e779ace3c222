//! `EventHttpConnection` as a client, and its requests, across `fork`.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;

use php_event::{Error, EventBase, EventHttpConnection, EventHttpRequest, HttpError, LoopEnd};

use crate::child::{How, bases, descriptors, run_once, succeeds};
use test_support::{Drops, poll};

const OUTPUT: php_event::HeaderSide = EventHttpRequest::OUTPUT_HEADER;

/// A connection with a request that waits for its answer and one behind it, and an idle one.
struct Set {
    base: EventBase,
    busy: EventHttpConnection,
    idle: EventHttpConnection,
    asked: TcpStream,
    idle_peer: TcpStream,
    request: EventHttpRequest,
    told: Rc<RefCell<Vec<Option<u16>>>>,
    drops: Drops,
}

/// Reads a request's head from a socket that does not block.
#[track_caller]
fn is_asked(base: &EventBase, peer: &mut TcpStream) {
    peer.set_nonblocking(true).unwrap();
    let (mut head, mut bytes) = (Vec::new(), [0; 1000]);
    while !head.ends_with(b"\r\n\r\n") {
        match peer.read(&mut bytes) {
            Ok(0) => panic!("the end, after {:?}", String::from_utf8_lossy(&head)),
            Ok(n) => head.extend_from_slice(&bytes[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => run_once(base),
            Err(error) => panic!("{error}"),
        }
    }
}

fn answer(peer: &mut TcpStream) {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    peer.write_all(answer).unwrap();
}

impl Set {
    fn new(base: EventBase) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (told, drops) = (Rc::new(RefCell::new(vec![])), Drops::default());
        let make = |connection: &EventHttpConnection| {
            let (told, token) = (Rc::clone(&told), drops.token());
            let request = EventHttpRequest::new(move |answer| {
                token.hold();
                let code = answer.map(|answer| answer.get_response_code().unwrap());
                told.borrow_mut().push(code);
            });
            let request = request.unwrap();
            let get = EventHttpRequest::CMD_GET;
            connection.make_request(&request, get, "/").unwrap();
            request
        };
        let connect = || EventHttpConnection::new(&base, None, "127.0.0.1", port).unwrap();
        let idle = connect();
        make(&idle);
        let mut idle_peer = listener.accept().unwrap().0;
        is_asked(&base, &mut idle_peer);
        answer(&mut idle_peer);
        while told.borrow().is_empty() {
            run_once(&base);
        }
        let busy = connect();
        let request = make(&busy);
        let mut asked = listener.accept().unwrap().0;
        is_asked(&base, &mut asked);
        make(&busy);
        Self {
            base,
            busy,
            idle,
            asked,
            idle_peer,
            request,
            told,
            drops,
        }
    }

    /// The parent gets both answers, and can use the idle connection.
    #[track_caller]
    fn finishes(mut self) {
        answer(&mut self.asked);
        is_asked(&self.base, &mut self.asked);
        answer(&mut self.asked);
        while self.told.borrow().len() < 3 {
            run_once(&self.base);
        }
        let get = EventHttpRequest::CMD_GET;
        self.idle.make_request(&self.request, get, "/").unwrap();
        is_asked(&self.base, &mut self.idle_peer);
        answer(&mut self.idle_peer);
        while self.told.borrow().len() < 4 {
            run_once(&self.base);
        }
        assert_eq!(*self.told.borrow(), [Some(200); 4]);
        drop((self.busy, self.idle, self.request));
        assert_eq!(self.base.dispatch().unwrap(), LoopEnd::NoEvents);
        assert_eq!(self.drops.count(), 3);
    }
}

// Skipped under Valgrind and ASan: the forked child keeps memory, as documented.
pub(crate) fn foreign_http_client_dropped_in_a_child_leaves_the_parents_alone() {
    for how in How::BOTH {
        for base in bases() {
            let mut set = Some(Set::new(base));
            for base_first in [false, true] {
                let child = how.child(|| {
                    let set = set.take().unwrap();
                    let base = if base_first { None } else { Some(set.base) };
                    set.request.free();
                    drop((set.busy, set.idle, set.request));
                    drop(base);
                });
                succeeds(child);
            }
            set.unwrap().finishes();
        }
    }
}

pub(crate) fn http_client_is_refused_in_a_child_and_after_re_init_begins_anew() {
    for how in How::BOTH {
        let mut set = Some(Set::new(EventBase::new().unwrap()));
        let child = how.child(|| {
            let set = set.take().unwrap();
            let get = EventHttpRequest::CMD_GET;
            let fresh = EventHttpRequest::new(|_| {}).unwrap();
            let calls = [
                set.busy.make_request(&fresh, get, "/"),
                set.idle.make_request(&fresh, get, "/"),
                set.busy.set_local_address("127.0.0.1"),
                set.busy.set_local_port(0),
                set.busy.set_max_body_size(None),
                set.busy.set_max_headers_size(None),
                set.busy.set_retries(None),
                set.busy.set_timeout(None),
                set.busy.set_close_callback(|_| {}),
                set.busy.get_peer().map(drop),
                EventHttpConnection::new(&set.base, None, "127.0.0.1", 1).map(drop),
                set.request.get_uri().map(drop),
                set.request.cancel(),
                set.request.close_connection(),
                set.request.add_header("a", "b", OUTPUT),
                set.request.get_output_buffer().add("x"),
            ];
            for (n, result) in calls.into_iter().enumerate() {
                assert!(
                    matches!(result, Err(Error::Forked { .. })),
                    "{n}: {result:?}"
                );
            }
            set.base.re_init().unwrap();
            drop((set.asked, set.idle_peer)); // the parent has them
            assert_eq!(set.base.dispatch().unwrap(), LoopEnd::NoEvents);
            // Of three, the first was answered before the fork; the parent gets the answers.
            assert_eq!(*set.told.borrow(), [Some(200), None, None]);
            assert_eq!(set.request.error(), Some(HttpError::Eof));
            // Both connect anew, which nobody accepts here.
            set.busy.make_request(&set.request, get, "/").unwrap();
            set.idle.make_request(&fresh, get, "/").unwrap();
        });
        succeeds(child);
        set.unwrap().finishes();
    }
}

pub(crate) fn orphaned_http_client_is_freed_by_re_init() {
    for how in How::BOTH {
        let before = descriptors();
        let mut set = Some(Set::new(EventBase::new().unwrap()));
        let child = how.child(|| {
            let set = set.take().unwrap();
            set.request.free();
            drop((set.busy, set.idle, set.asked, set.idle_peer, set.request));
            set.base.re_init().unwrap();
            assert_eq!(set.drops.count(), 3);
            assert_eq!(set.base.dispatch().unwrap(), LoopEnd::NoEvents);
            drop(set.base);
            assert_eq!(descriptors(), before);
        });
        succeeds(child);
        set.unwrap().finishes();
    }
}

/// A connection that was there before the first fork, and that the child uses after `re_init`.
pub(crate) fn http_client_of_a_child_is_left_to_it_by_its_own_child() {
    for how in How::BOTH {
        let base = EventBase::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connection = EventHttpConnection::new(&base, None, "127.0.0.1", port).unwrap();
        let told: Rc<RefCell<Vec<Option<u16>>>> = Rc::default();
        let seen = Rc::clone(&told);
        let request = EventHttpRequest::new(move |answer| {
            let code = answer.map(|answer| answer.get_response_code().unwrap());
            seen.borrow_mut().push(code);
        });
        let request = request.unwrap();
        let child = how.child(|| {
            base.re_init().unwrap();
            connection
                .make_request(&request, EventHttpRequest::CMD_GET, "/")
                .unwrap();
            let mut peer = listener.accept().unwrap().0;
            is_asked(&base, &mut peer);
            let grandchild = how.child(|| {
                base.re_init().unwrap();
                assert_eq!(base.dispatch().unwrap(), LoopEnd::NoEvents);
                assert_eq!(*told.borrow(), [None]);
                assert_eq!(request.error(), Some(HttpError::Eof));
            });
            succeeds(grandchild);
            answer(&mut peer);
            while told.borrow().is_empty() {
                poll(&base);
            }
            assert_eq!(*told.borrow(), [Some(200)]);
        });
        succeeds(child);
    }
}
