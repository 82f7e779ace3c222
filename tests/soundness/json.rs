//! What a serializer writes to is user code: it may end the object that is written.

use std::io::{self, Write};

use php_event::{
    BufferEventOptions, Event, EventBase, EventBufferEvent, EventListener, ListenerFlags,
};
use serde::Serialize;

/// Does something in place of one of the writes.
struct Meddling<F: FnMut()> {
    left: u32, // writes until then
    work: F,
}

impl<F: FnMut()> Write for Meddling<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.left == 0 {
            (self.work)();
        }
        self.left = self.left.wrapping_sub(1);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Does `work` in the `at`th write of the object.
fn write(at: u32, object: &impl Serialize, work: impl FnMut()) {
    serde_json::to_writer(Meddling { left: at, work }, object).unwrap();
}

#[test]
fn objects_may_end_while_they_are_written() {
    for at in 0..30 {
        let base = EventBase::new().unwrap();
        let event = Event::timer(&base, |_| {}).unwrap();
        event.set_data([1, 2]);
        write(at, &event, || event.free());
        let event = Event::timer(&base, |_| {}).unwrap();
        event.set_data(["replaced"]);
        write(at, &event, || event.set_data(1));

        let flags = ListenerFlags::empty();
        let listener = EventListener::new(&base, |_, _, _| {}, flags, -1, "127.0.0.1:0").unwrap();
        write(at, &listener, || listener.free());

        let options = BufferEventOptions::empty();
        let (bev, other) = EventBufferEvent::create_pair(&base, options).unwrap();
        write(at, &bev, || bev.free());
        let input = other.input();
        write(at, &input, || other.free());

        write(at, &base, || base.free().unwrap());
    }
}
