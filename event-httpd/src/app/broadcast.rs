//! The tutorial's second program: what one connection sends, the others receive.
//!
//! A message is encoded once, as an HTTP response, and all its receivers share the bytes.

use std::cell::Cell;
use std::rc::Rc;

use super::{Answer, App, Received, Request, Takes};
use crate::answer::{FieldLine, accepted, answer_head};
use crate::buffer::Buffer;
use crate::config::{Deliver, Framing};
use crate::worker::Worker;

/// Passes messages on: to the worker's clients and, over the bus, to those of the others.
pub(crate) struct Broadcast {
    headers: Vec<FieldLine>,
    framing: Framing,
    deliver: Deliver,
    head_length: Cell<usize>, // of the last message: most have one of the same length
    accepted: Rc<Buffer>,     // the usual answer to a message
}

impl Broadcast {
    pub(crate) fn new(headers: Vec<FieldLine>, framing: Framing, deliver: Deliver) -> Self {
        let mut usual = Vec::new();
        accepted(&mut usual, true, None, &headers);
        Self {
            headers,
            framing,
            deliver,
            head_length: Cell::new(0),
            accepted: Buffer::uncounted(usual),
        }
    }

    fn encode(&self, body: &[u8], date: Option<&str>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.head_length.get() + body.len());
        let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
        answer_head(&mut bytes, true, length, date, &self.headers);
        self.head_length.set(bytes.len());
        bytes.extend_from_slice(body);
        bytes
    }

    fn pass_on(&self, worker: &Rc<Worker>, from: u64, body: &[u8], date: Option<&str>) {
        if body.is_empty() {
            return; // as in the tutorial's program
        }
        let message = worker.buffer(self.encode(body, date));
        worker.counters().messages.add(1);
        let except = match self.deliver {
            Deliver::Others => Some(from),
            Deliver::Everyone => None,
            Deliver::Sender => {
                // The tutorial loops over the others, and writes to the sender each time.
                for _other in 1..worker.open_connections() {
                    worker.deliver_to(from, &message);
                }
                return;
            }
        };
        worker.deliver(&message, except);
        worker.publish(message);
        worker.pace_sender(from);
    }
}

impl App for Broadcast {
    fn takes(&self) -> Takes {
        match self.framing {
            Framing::Raw => Takes::Reads,
            Framing::Http => Takes::Bodies,
        }
    }

    fn answer(&self, worker: &Rc<Worker>, request: &Request<'_>) -> Answer {
        self.pass_on(worker, request.from, request.body, request.date);
        if request.keep_alive && request.date.is_none() {
            return Rc::clone(&self.accepted).into();
        }
        let mut answer = Vec::new();
        accepted(&mut answer, request.keep_alive, request.date, &self.headers);
        worker.buffer(answer).into()
    }

    fn received(&self, worker: &Rc<Worker>, received: Received<'_>) {
        self.pass_on(worker, received.from, received.bytes, received.date);
    }
}
