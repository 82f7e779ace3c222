//! Publishing.

use std::rc::Rc;

use super::message::{Ask, Ticket};
use super::reply::Asker;
use super::request::Head;
use super::{Hub, Pending, unix_time};
use crate::app::{Answer, Request};
use crate::worker::Worker;
use hub_protocol::token::OriginCheck;
use hub_protocol::{Refusal, Topic, publish};

impl Hub {
    /// Takes an update, and answers when the store has it.
    pub(super) fn publish(
        &self,
        worker: &Rc<Worker>,
        request: &Request<'_>,
        head: &Head<'_>,
        asker: &Asker,
    ) -> Result<Answer, Refusal> {
        let config = &self.config;
        let token = config
            .presentation
            .token(&head.presented(), OriginCheck::Required)?
            .ok_or_else(Refusal::token_missing)?;
        let now = unix_time().as_secs();
        let grants = config.publishers.verify(token, now, &self.matchers)?;
        publish::check_content_type(head.field("Content-Type"))?;
        let limits = publish::Limits {
            body: usize::MAX, // the connection has kept --max-body-size
            ..publish::Limits::default()
        };
        let draft = publish::parse(request.body, &limits, &config.url)?;
        let topics = draft.topics.iter().map(|topic| config.url.topic(topic));
        grants.check_publish(&topics.collect::<Vec<Topic<'_>>>())?;
        let longest = draft.data.len().saturating_mul("data: \n".len());
        if longest > worker.config().max_queue() && too_many_lines(&draft.data, worker) {
            let text = "the event would be longer than --max-queue, which no subscriber could read";
            return Ok(worker.buffer(self.reply(413, asker).text(text)).into());
        }
        let update = draft.into_update();
        let mut encoded = Vec::with_capacity(update.data.len() + 256);
        update.encode(&mut encoded);
        worker.counters().messages.add(1);
        let pending = Pending::Publisher {
            connection: request.from,
            id: update.id,
            asker: asker.clone(),
        };
        self.ask(worker, pending, |ticket| {
            Ask::Publish(ticket, &encoded).encode()
        });
        Ok(Answer::Later)
    }

    /// The store has an update: its publisher learns the id.
    pub(super) fn stored(&self, worker: &Rc<Worker>, ticket: Ticket) {
        let pending = self.pending.borrow_mut().remove(&ticket);
        if let Some(Pending::Publisher {
            connection,
            id,
            asker,
        }) = pending
        {
            let reply = self.reply(200, &asker);
            let bytes = reply.body("text/plain; charset=utf-8", id.as_bytes());
            worker.reply(connection, worker.buffer(bytes).into());
        }
    }
}

/// Whether the lines of `data` make an event that is longer than the queue of a subscriber.
fn too_many_lines(data: &str, worker: &Worker) -> bool {
    let breaks = data.bytes().filter(|byte| matches!(byte, b'\r' | b'\n'));
    data.len() + (breaks.count() + 1) * "data: ".len() > worker.config().max_queue()
}
