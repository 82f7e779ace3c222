//! `free`, `close`, drops, and what they leave.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use socket2::{Domain, Socket, Type};

use php_event::{Callbacks, Event, EventBase, EventBufferEvent, Filters, FlushMode, LoopEnd};

use super::{BOTH, PLAIN, connected, got, notes, refused, send, sockets, state, text};
use test_support::{Seen, alone, new_base, poll, run};

#[test]
fn freed_or_dropped_it_sends_nothing_more_and_closes_its_socket_at_once() {
    let base = new_base();
    for drops in [false, true] {
        let (bev, peer) = connected(&base);
        let seen = Seen::new();
        bev.set_callbacks(notes(&seen)).unwrap();
        bev.enable(BOTH).unwrap();
        bev.write("never sent").unwrap();
        send(&peer, "never read");
        if drops {
            drop(bev);
        } else {
            bev.free();
            bev.free();
        }
        // A close with unread data resets, which a reader of the rest sees as the end or so.
        assert!(matches!(
            std::io::Read::read(&mut &peer, &mut [0; 9]),
            Ok(0) | Err(_)
        ));
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert!(seen.take().is_empty());
    }
}

#[test]
fn a_socket_that_is_shared_stays_open() {
    let base = new_base();
    let (ours, theirs) = sockets();
    let ours = Rc::new(ours);
    let options = EventBufferEvent::OPT_CLOSE_ON_FREE;
    let bev = EventBufferEvent::new(&base, ours.clone(), options).unwrap();
    bev.enable(Event::READ).unwrap();
    bev.free();
    run(&base);
    send(&ours, "still there");
    assert_eq!(got(&theirs), "still there");
    assert_eq!(Rc::strong_count(&ours), 1);
}

#[test]
fn closed_it_keeps_what_came_in_and_the_loop_can_end() {
    let base = new_base();
    let (bev, peer) = connected(&base);
    let seen = Seen::new();
    let note = seen.clone();
    bev.set_callbacks(notes(&seen).on_read(move |_| note.note("read".to_owned())))
        .unwrap();
    bev.enable(Event::READ).unwrap();
    send(&peer, "hello");
    poll(&base);
    assert_eq!(seen.take(), ["read"]);
    bev.close().unwrap();
    assert_eq!(got(&peer), "", "the peer sees the end at once");
    assert_eq!(bev.fd(), None);
    assert!(bev.get_enabled().unwrap().is_empty());
    refused(bev.close(), state, "no descriptor");
    bev.write("into the void").unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(text(bev.read(9).unwrap()), "hello");
    assert!(bev.input().add("x").is_err() && bev.output().drain(1).is_err());
    assert!(seen.take().is_empty());
}

#[test]
fn closed_in_each_of_its_callbacks_it_lives_on() {
    let base = new_base();
    for part in 0..3 {
        let (bev, peer) = connected(&base);
        let seen = Seen::new();
        let note = seen.clone();
        let close = move |bev: &EventBufferEvent| {
            note.note(part);
            bev.close().unwrap();
        };
        let callbacks = match part {
            0 => Callbacks::new().on_read(close),
            1 => Callbacks::new().on_write(close),
            _ => Callbacks::new().on_event(move |bev, _| close(bev)),
        };
        bev.set_callbacks(callbacks).unwrap();
        bev.enable(BOTH).unwrap();
        send(&peer, "hello");
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!(seen.take(), [part]);
        bev.set_timeouts(None, None).unwrap();
        assert_eq!(bev.fd(), None);
    }
}

/// The number of a socket that went in its object's own callback is used again at once, by
/// another object: libevent is still inside the first one's event.
#[test]
fn a_number_used_again_inside_the_callback_is_the_new_owners() {
    alone(&[], || {
        let base = new_base();
        let seen = Seen::new();
        let (bev, peer) = connected(&base);
        let (inner, other, note) = (seen.clone(), base.clone(), seen.clone());
        let kept = Rc::new(std::cell::RefCell::new(Vec::new()));
        let keep = kept.clone();
        bev.set_callbacks(Callbacks::new().on_read(move |bev| {
            note.note("read".to_owned());
            let fd = bev.fd().unwrap();
            bev.free();
            let (ours, theirs) = sockets();
            let (again, peer) = if ours.as_raw_fd() == fd {
                (ours, theirs)
            } else {
                (theirs, ours)
            };
            assert_eq!(again.as_raw_fd(), fd);
            let next = EventBufferEvent::new(&other, again, PLAIN).unwrap();
            next.set_callbacks(notes(&inner)).unwrap();
            next.enable(Event::READ).unwrap();
            send(&peer, "next");
            keep.borrow_mut().push((next, peer));
        }))
        .unwrap();
        bev.enable(Event::READ).unwrap();
        send(&peer, "hello");
        poll(&base);
        poll(&base);
        assert_eq!(seen.take(), ["read", "read next"]);
        kept.take();
        assert_eq!(run(&base), LoopEnd::NoEvents);
    });
}

/// Whether epoll watches the descriptor. Another copy of it is open still: epoll itself
/// would forget only a file that nobody has open.
fn is_watched(fd: RawFd) -> bool {
    let all = std::fs::read_dir("/proc/self/fd").unwrap();
    let mut polls = all.filter_map(|file| {
        let path = file.unwrap().path();
        let target = std::fs::read_link(&path).ok()?;
        let is_epoll = target.to_str() == Some("anon_inode:[eventpoll]");
        is_epoll.then(|| format!("/proc/self/fdinfo/{}", path.file_name().unwrap().display()))
    });
    polls.any(|info| {
        let info = std::fs::read_to_string(info).unwrap();
        info.lines().any(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some("tfd:") && words.next() == Some(&fd.to_string())
        })
    })
}

/// What ends it, and whether it is still connecting.
#[test]
fn a_descriptor_is_out_of_the_backend_before_it_closes() {
    alone(&[], || {
        let works: [fn(&EventBufferEvent); 2] =
            [EventBufferEvent::free, |bev| bev.close().unwrap()];
        for work in works {
            for (inside, connecting) in [(false, false), (false, true), (true, false)] {
                ends_unwatched(work, inside, connecting);
            }
        }
    });
}

fn ends_unwatched(work: fn(&EventBufferEvent), inside: bool, connecting: bool) {
    let base = new_base();
    let (ours, peer) = sockets();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (bev, copy);
    if connecting {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        copy = OwnedFd::from(socket.try_clone().unwrap());
        bev = EventBufferEvent::new(&base, socket, PLAIN).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        bev.connect(&address).unwrap();
    } else {
        copy = OwnedFd::from(ours.try_clone().unwrap());
        bev = EventBufferEvent::new(&base, ours, PLAIN).unwrap();
    }
    let fd = bev.fd().unwrap();
    let watched = Rc::new(std::cell::Cell::new(true));
    let note = watched.clone();
    bev.set_callbacks(Callbacks::new().on_read(move |bev| {
        work(bev);
        note.set(is_watched(fd));
    }))
    .unwrap();
    bev.enable(BOTH).unwrap();
    if inside {
        send(&peer, "hello");
        poll(&base);
    } else {
        assert!(is_watched(fd));
        work(&bev);
        watched.set(is_watched(fd));
    }
    assert!(!watched.get());
    drop(copy);
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn thousands_leak_no_descriptor_and_log_nothing() {
    alone(&[], || {
        let before = descriptors();
        let base = new_base();
        for n in 0..2000 {
            let (ours, _theirs) = UnixStream::pair().unwrap();
            let bev = EventBufferEvent::new(&base, ours, PLAIN).unwrap();
            let (half, other) = EventBufferEvent::create_pair(&base, PLAIN).unwrap();
            let filter = EventBufferEvent::create_filter(&half, Filters::new(), PLAIN).unwrap();
            let client = EventBufferEvent::unconnected(&base, PLAIN).unwrap();
            client.connect("127.0.0.1:9").ok();
            for bev in [&bev, &half, &other, &filter, &client] {
                bev.set_callbacks(Callbacks::new().on_event(|bev, _| bev.free()))
                    .unwrap();
                bev.enable(BOTH).unwrap();
                bev.write("x").unwrap();
            }
            filter.flush(BOTH, FlushMode::Finished).unwrap();
            if n % 3 == 0 {
                poll(&base);
            }
        }
        drop(base);
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn misuse_leaves_no_word_on_stderr() {
    alone(&[], || {
        let base = new_base();
        let (bev, _peer) = connected(&base);
        bev.set_priority(7).unwrap_err();
        bev.set_watermark(Event::READ, 9, 3).unwrap_err();
        bev.connect("nowhere").unwrap_err();
        bev.connect("unix:/nonexistent").unwrap_err();
        let both = EventBufferEvent::OPT_UNLOCK_CALLBACKS;
        EventBufferEvent::unconnected(&base, both).unwrap_err();
        let file = std::fs::File::open("Cargo.toml").unwrap();
        let file = EventBufferEvent::new(&base, file, PLAIN).unwrap();
        file.enable(BOTH).unwrap_err();
        let unconnected = EventBufferEvent::unconnected(&base, PLAIN).unwrap();
        unconnected.enable(BOTH).unwrap();
        unconnected.write("x").unwrap();
        unconnected.free();
        bev.close().unwrap();
        bev.enable(BOTH).unwrap_err();
        bev.free();
        assert_eq!(run(&base), LoopEnd::NoEvents);
    });
}

#[test]
fn detached_it_lives_until_it_is_freed_and_keeps_nothing_after() {
    let (base, seen, held) = (new_base(), Seen::new(), Rc::new(()));
    let (bev, peer) = connected(&base);
    let (note, captured) = (seen.clone(), Rc::clone(&held));
    let callbacks = Callbacks::new()
        .on_read(|bev| bev.write_buffer(&bev.input()).unwrap())
        .on_event(move |bev, what| {
            note.note((what.bits(), Rc::strong_count(&captured)));
            bev.free();
        });
    bev.set_callbacks(callbacks).unwrap();
    bev.enable(Event::READ).unwrap();
    bev.detach();
    send(&peer, "echo");
    poll(&base);
    poll(&base);
    assert_eq!(got(&peer), "echo");
    drop(peer);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    let end = EventBufferEvent::READING | EventBufferEvent::EOF;
    assert_eq!(seen.take(), [(end.bits(), 2)]);
    assert_eq!(Rc::strong_count(&held), 1);
}

#[test]
fn detached_it_is_freed_when_no_handle_is_left() {
    type End = fn(&mut Option<EventBase>, EventBufferEvent);
    let ends: [(&str, End); 4] = [
        ("freed before", |_base, bev| {
            bev.free();
            bev.detach();
        }),
        ("freed by another handle", |_base, bev| {
            bev.clone().detach();
            bev.clone().detach();
            bev.free();
        }),
        ("without its base", |base, bev| {
            bev.detach();
            *base = None;
        }),
        ("after its base", |base, bev| {
            *base = None;
            bev.detach();
        }),
    ];
    for (what, end) in ends {
        let (base, held) = (new_base(), Rc::new(()));
        let (bev, peer) = connected(&base);
        let captured = Rc::clone(&held);
        bev.set_callbacks(Callbacks::new().on_event(move |_, _| drop(Rc::clone(&captured))))
            .unwrap();
        let mut base = Some(base);
        end(&mut base, bev);
        assert_eq!(Rc::strong_count(&held), 1, "{what}");
        assert_eq!(got(&peer), "", "{what}");
    }
}
