//! What has arrived on a connection and is not answered yet.
//!
//! Most connections wait for a request most of the time: then this is empty, and takes no memory.

use std::cell::RefCell;
use std::mem;
use std::time::{Duration, Instant};

use super::requests::Pending;
use crate::time;
use http_framing::{Decoder, Limits, Phase};

/// A body of which nothing has arrived for this long has stalled: it makes room for others first.
const STALLED: Duration = Duration::from_secs(1);

/// Nothing, or part of a request and bytes after it.
#[derive(Debug, Default)]
pub(super) struct Input(Option<Box<Partial>>);

/// Part of a request, and bytes after it.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) decoder: Decoder,
    pub(super) request: Option<Pending>, // whose head has arrived
    body: Vec<u8>,                       // of that request, if the app takes bodies
    body_grown: Option<Instant>,         // when the last part of it arrived
    unread: Vec<u8>,                     // read from the socket, not decoded yet
}

impl Partial {
    fn new(limits: Limits) -> Box<Self> {
        Box::new(Self {
            decoder: Decoder::new(limits),
            request: None,
            body: Vec::new(),
            body_grown: None,
            unread: Vec::new(),
        })
    }

    /// Appends to the body.
    pub(super) fn grow_body(&mut self, part: &[u8]) {
        self.body.extend_from_slice(part);
        self.body_grown = Some(time::now());
    }

    pub(super) fn body_length(&self) -> usize {
        self.body.len()
    }

    /// The request and its body, which are complete.
    pub(super) fn take_request(&mut self) -> (Option<Pending>, Vec<u8>) {
        (self.request.take(), mem::take(&mut self.body))
    }

    /// Whether nothing has arrived that is not answered.
    fn is_empty(&self) -> bool {
        self.decoder.is_at_start()
            && self.request.is_none()
            && self.body.is_empty()
            && self.unread.is_empty()
    }
}

/// The last [`Partial`] that became empty: most requests are complete at once, and use it in turn.
#[derive(Debug)]
pub(crate) struct SpareInput {
    limits: Limits,
    partial: RefCell<Option<Box<Partial>>>,
}

impl SpareInput {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            partial: RefCell::default(),
        }
    }

    fn take(&self) -> Box<Partial> {
        let spare = self.partial.borrow_mut().take();
        spare.unwrap_or_else(|| Partial::new(self.limits))
    }
}

impl Input {
    /// Whether everything that has arrived is answered.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a request may start with the next byte.
    pub(super) fn is_at_start(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|partial| partial.decoder.is_at_start())
    }

    /// How far the current request is.
    pub(super) fn phase(&self) -> Phase {
        self.0
            .as_ref()
            .map_or(Phase::Idle, |partial| partial.decoder.phase())
    }

    /// The partial request, made if there is none.
    pub(super) fn partial(&mut self, spare: &SpareInput) -> &mut Partial {
        self.0.get_or_insert_with(|| spare.take())
    }

    /// Gives up the memory if nothing has arrived that is not answered.
    pub(super) fn settle(&mut self, spare: &SpareInput) {
        if let Some(mut partial) = self.0.take_if(|partial| partial.is_empty()) {
            partial.unread = Vec::new();
            spare.partial.replace(Some(partial));
        }
    }

    pub(super) fn unread(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |partial| &partial.unread)
    }

    pub(super) fn take_unread(&mut self) -> Vec<u8> {
        let partial = self.0.as_mut();
        partial.map_or_else(Vec::new, |partial| mem::take(&mut partial.unread))
    }

    pub(super) fn set_unread(&mut self, bytes: Vec<u8>, spare: &SpareInput) {
        if self.0.is_some() || !bytes.is_empty() {
            self.partial(spare).unread = bytes;
        }
    }

    /// Keeps bytes after those that are not decoded yet.
    pub(super) fn keep_unread(&mut self, bytes: &[u8], spare: &SpareInput) {
        self.partial(spare).unread.extend_from_slice(bytes);
    }

    /// The request whose head has arrived.
    pub(super) fn take_request(&mut self) -> Option<Pending> {
        self.0.as_mut()?.request.take()
    }

    pub(super) fn body_length(&self) -> usize {
        self.0.as_ref().map_or(0, |partial| partial.body.len())
    }

    /// Whether the body has stalled.
    pub(super) fn is_stalled(&self) -> bool {
        let grown = self.0.as_ref().and_then(|partial| partial.body_grown);
        grown.is_some_and(|grown| time::now() - grown >= STALLED)
    }

    /// Drops the body, and returns its length.
    pub(super) fn drop_body(&mut self) -> usize {
        let partial = self.0.as_mut();
        partial.map_or(0, |partial| mem::take(&mut partial.body).len())
    }
}
