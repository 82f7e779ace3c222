//! One request and its answer, over an established connection.
//!
//! Owns: the buffer event of the connection meanwhile; bytes of the answer that are not decoded.
//! Lends to C: nothing. Runs no user code.
//!
//! The answer is read from the start, also while the request's body is still being written: a
//! server may answer early, and close (413, 417).

use std::io;
use std::rc::Rc;

use http_framing::{ResponseDecoder, ResponseItem};

use super::error::HttpError;
use super::message::{Headers, method_of};
use super::request::{Answer, ClientRequest};
use super::settings::Settings;
use crate::error::Result;
use crate::flags::EventFlags;
use crate::http::request;
use crate::{Event, EventBufferEvent};

pub(super) struct Exchange {
    pub(super) bev: EventBufferEvent,
    pub(super) request: Rc<request::Inner>,
    connection: Connection,
    decoder: ResponseDecoder,
    /// Part of a head, or of a chunk's size: never more than the limits allow.
    undecoded: Vec<u8>,
    sending: Sending,
    /// How much waited to be written when [`has_written`](Self::has_written) last looked.
    unwritten: usize,
    reading: Reading,
}

/// How old the connection was when the request began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    Fresh,
    /// It was kept after another request: the server may have closed it meanwhile.
    Kept,
}

/// How far the request has been sent.
enum Sending {
    /// Its head was; its body waits for `100 Continue`, or for this timer.
    AwaitingContinue(#[allow(dead_code, reason = "held, not read")] Event),
    /// All of it was given to the buffer event.
    Given,
    /// The rest cannot be written any more, for this reason. An answer may still come.
    Failed(io::ErrorKind),
}

/// How far the answer has been read.
enum Reading {
    /// Nothing has come.
    Nothing,
    /// No final head has come.
    Head,
    Body {
        answer: Answer,
        keep_alive: bool,
    },
}

/// What became of bytes that came.
pub(super) enum Progress {
    /// The answer is not complete.
    More,
    Complete {
        answer: Answer,
        /// Whether another request may follow over the connection.
        keep_alive: bool,
    },
}

impl Exchange {
    /// Sends a request, except a body that waits for `100 Continue`: `wait` makes the timer
    /// that ends this.
    pub(super) fn begin(
        bev: EventBufferEvent,
        connection: Connection,
        request: Rc<request::Inner>,
        settings: &Settings,
        wait: impl FnOnce() -> Result<Event>,
    ) -> Result<Self, (EventBufferEvent, Rc<request::Inner>)> {
        let Some(client) = request.client() else {
            return Err((bev, request));
        };
        let mut decoder = ResponseDecoder::new(settings.limits(), method_of(client.method()));
        if client.has_header("Upgrade") {
            decoder = decoder.with_upgrade();
        }
        let expects = client.sends("Expect", "100-continue");
        let sent = bev.write(client.head()).and_then(|()| {
            if expects {
                return wait().map(Sending::AwaitingContinue);
            }
            bev.write_buffer(client.body())?;
            Ok(Sending::Given)
        });
        let Ok(sending) = sent else {
            return Err((bev, request));
        };
        Ok(Self {
            unwritten: bev.output().length(),
            bev,
            request,
            connection,
            decoder,
            undecoded: Vec::new(),
            sending,
            reading: Reading::Nothing,
        })
    }

    /// Sends the body that waited for `100 Continue`, if it still waits.
    pub(super) fn send_body(&mut self) -> Result<(), HttpError> {
        if !matches!(self.sending, Sending::AwaitingContinue(_)) {
            return Ok(());
        }
        self.sending = Sending::Given;
        let body = self.request.client().map(ClientRequest::body);
        let sent = body.map_or(Ok(()), |body| self.bev.write_buffer(body));
        self.unwritten = self.bev.output().length();
        sent.map_err(|_| HttpError::Buffer)
    }

    /// Writing has failed: from now on there is only the answer to wait for.
    pub(super) fn stop_sending(&mut self, reason: io::ErrorKind) -> Result<(), HttpError> {
        self.sending = Sending::Failed(reason);
        // With TLS libevent has stopped reading, too.
        let enabled = self.bev.enable(EventFlags::READ);
        enabled.map_err(|_| HttpError::Broken(reason))
    }

    /// Whether the request may be retried over a new connection (RFC 9112 §9.3.1): the
    /// server closed a kept one before it answered anything, and may have done so before it knew
    /// of the request.
    pub(super) fn may_be_repeated(&self, error: &HttpError) -> bool {
        let is_lost = matches!(
            error,
            HttpError::Eof | HttpError::Broken(_) | HttpError::Tls(_)
        );
        is_lost
            && self.connection == Connection::Kept
            && matches!(self.reading, Reading::Nothing)
            && self
                .request
                .client()
                .is_some_and(ClientRequest::is_repeatable)
    }

    /// Whether part of the request was written since the last call.
    pub(super) fn has_written(&mut self) -> bool {
        let before = self.unwritten;
        self.unwritten = self.bev.output().length();
        self.unwritten < before
    }

    /// Decodes what has come.
    pub(super) fn read(&mut self) -> Result<Progress, HttpError> {
        let bytes = self.bev.read(usize::MAX).map_err(|_| HttpError::Buffer)?;
        let bytes = bytes.unwrap_or_default();
        if matches!(self.reading, Reading::Nothing) && !bytes.is_empty() {
            self.reading = Reading::Head;
        }
        if self.undecoded.is_empty() {
            self.undecoded = bytes;
        } else {
            self.undecoded.extend_from_slice(&bytes);
        }
        let mut input = std::mem::take(&mut self.undecoded);
        let mut used = 0;
        let complete = loop {
            let decoded = self.decoder.decode(input.get(used..).unwrap_or_default())?;
            used += decoded.used;
            match decoded.item {
                ResponseItem::NeedMore => break false,
                ResponseItem::End => break true,
                ResponseItem::Interim(head) if head.status == 100 => self.send_body()?,
                ResponseItem::Interim(_) => {}
                ResponseItem::Head(head) => {
                    let answer = Answer {
                        status: head.status,
                        headers: Headers::of_answer(head.fields),
                    };
                    let keep_alive = head.keep_alive;
                    self.reading = Reading::Body { answer, keep_alive };
                }
                ResponseItem::Body(part) => {
                    let body = self.request.client().map(ClientRequest::received);
                    body.map_or(Ok(()), |body| body.add(part))
                        .map_err(|_| HttpError::Buffer)?;
                }
            }
        };
        input.drain(..used);
        let is_exact = input.is_empty();
        self.undecoded = input;
        Ok(if complete {
            self.complete(is_exact)
        } else {
            Progress::More
        })
    }

    /// The connection has ended, for a reason other than that the server closed it if there is
    /// one.
    pub(super) fn end(&mut self, reason: Option<HttpError>) -> Result<Progress, HttpError> {
        if let Progress::Complete { answer, .. } = self.read()? {
            let keep_alive = false;
            return Ok(Progress::Complete { answer, keep_alive });
        }
        if let Some(reason) = reason {
            return Err(reason);
        }
        match (self.decoder.end_of_input(), &self.sending) {
            (Ok(()), _) => Ok(self.complete(false)),
            (Err(_), Sending::Failed(reason)) => Err(HttpError::Broken(*reason)),
            (Err(error), _) => Err(error.into()),
        }
    }

    /// The answer is complete. The connection stays if the request is out, both sides want it,
    /// and nothing follows the answer: it would be taken for the next one.
    fn complete(&mut self, is_exact: bool) -> Progress {
        let Reading::Body { answer, keep_alive } =
            std::mem::replace(&mut self.reading, Reading::Head)
        else {
            return Progress::More;
        };
        let is_sent = matches!(self.sending, Sending::Given) && self.bev.output().length() == 0;
        let asks_to_close = |client: &ClientRequest| client.sends("Connection", "close");
        let is_last = self.request.client().is_some_and(asks_to_close);
        Progress::Complete {
            answer,
            keep_alive: keep_alive && is_exact && is_sent && !is_last,
        }
    }
}
