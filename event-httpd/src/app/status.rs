//! The tutorial's first program: every request is answered with the table of events.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::{App, Request, Takes};
use crate::answer::{FieldLine, answer_head};
use crate::buffer::{Account, Buffer};
use crate::outbox::Part;
use crate::worker::Worker;
use php_event::Event;

/// The table: a JSON object from stream number to event, oldest first.
pub(crate) struct Status {
    headers: Vec<FieldLine>,
    events: RefCell<BTreeMap<u64, Event>>,
    changed: Cell<bool>,
    answers: RefCell<Answers>,
}

/// The answers made from the current table. All receivers share their bytes.
#[derive(Default)]
struct Answers {
    table: Vec<u8>,
    date: String,
    kept: Option<Answer>,
    closing: Option<Answer>,
}

struct Answer {
    bytes: Rc<Buffer>,
    head: usize, // length of the head
}

impl Status {
    pub(crate) fn new(headers: Vec<FieldLine>) -> Self {
        Self {
            headers,
            events: RefCell::default(),
            changed: Cell::new(true),
            answers: RefCell::default(),
        }
    }

    fn table(&self) -> Vec<u8> {
        let table = serde_json::to_vec(&*self.events.borrow());
        table.unwrap_or_else(|error| {
            tracing::error!("the table of events cannot be serialized: {error}");
            b"{}".to_vec()
        })
    }

    fn encode(
        &self,
        table: &[u8],
        account: &Rc<Account>,
        keep_alive: bool,
        date: Option<&str>,
    ) -> Answer {
        let mut bytes = Vec::with_capacity(table.len() + 256);
        let length = u64::try_from(table.len()).unwrap_or(u64::MAX);
        answer_head(&mut bytes, keep_alive, length, date, &self.headers);
        let head = bytes.len();
        bytes.extend_from_slice(table);
        Answer {
            bytes: Buffer::new(bytes, account),
            head,
        }
    }
}

impl App for Status {
    fn takes(&self) -> Takes {
        Takes::Requests
    }

    fn opened(&self, id: u64, event: &Event) {
        self.events.borrow_mut().insert(id, event.clone());
        self.changed();
    }

    fn closed(&self, _worker: &Worker, id: u64) {
        self.remove(id);
    }

    fn changed(&self) {
        self.changed.set(true);
    }

    fn answer(&self, worker: &Rc<Worker>, request: Request<'_>) -> super::Answer {
        self.current(worker.account(), request).into()
    }
}

impl Status {
    fn remove(&self, id: u64) {
        self.events.borrow_mut().remove(&id);
        self.changed();
    }

    fn current(&self, account: &Rc<Account>, request: Request<'_>) -> Part {
        let date = request.date;
        let answers = &mut *self.answers.borrow_mut();
        if self.changed.take() {
            *answers = Answers {
                table: self.table(),
                ..Answers::default()
            };
        }
        if let Some(date) = date.filter(|date| *date != answers.date) {
            date.clone_into(&mut answers.date);
            (answers.kept, answers.closing) = (None, None);
        }
        let answer = if request.keep_alive {
            &mut answers.kept
        } else {
            &mut answers.closing
        };
        let answer = answer
            .get_or_insert_with(|| self.encode(&answers.table, account, request.keep_alive, date));
        let length = if request.head_only {
            answer.head
        } else {
            answer.bytes.len()
        };
        Part::first(Rc::clone(&answer.bytes), length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use php_event::EventBase;

    const KEPT: Request<'static> = Request {
        from: 6,
        head_only: false,
        keep_alive: true,
        head: &[],
        body: &[],
        date: None,
    };

    fn current(status: &Status, request: Request<'_>) -> Part {
        status.current(&Rc::default(), request)
    }

    fn dated(date: &str) -> Request<'_> {
        Request {
            date: Some(date),
            ..KEPT
        }
    }

    fn text(part: &Part) -> String {
        let mut bytes = Vec::new();
        let mut outbox = crate::outbox::Outbox::default();
        outbox.push(part.clone());
        outbox.write_to(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_first_answer_has_the_tutorials_bytes() {
        let base = EventBase::new().unwrap();
        let status = Status::new(Vec::new());
        let events = [5, 6].map(|id| {
            let event = Event::timer(&base, |_event| {}).unwrap();
            event.add(Some(std::time::Duration::from_secs(9))).unwrap();
            status.opened(id, &event);
            event
        });
        events[0].set_data(base.clone());
        assert_eq!(
            text(&current(&status, KEPT)),
            "HTTP/1.1 200 OK\r\nAccept: application/json, text/plain, */*\r\nConnection: keep-alive\r\n\
             Content-Length:65\r\n\r\n{\"5\":{\"pending\":true,\"data\":{}},\"6\":{\"pending\":true,\"data\":null}}"
        );
    }

    #[test]
    fn an_answer_is_encoded_again_only_when_the_table_or_the_date_has_changed() {
        let base = EventBase::new().unwrap();
        let status = Status::new(Vec::new());
        let before = current(&status, dated("one"));
        let same = before.shares_with(&current(&status, dated("one")));
        assert!(same, "an unchanged table shares its bytes");
        assert!(
            !before.shares_with(&current(&status, dated("two"))),
            "another date"
        );
        let before = current(&status, dated("two"));
        status.opened(5, &Event::timer(&base, |_event| {}).unwrap());
        let after = current(&status, dated("two"));
        assert!(!before.shares_with(&after) && text(&after).contains("\"5\""));
        status.remove(5);
        assert!(text(&current(&status, KEPT)).ends_with("\r\n\r\n{}"));
    }

    #[test]
    fn a_head_request_gets_the_head_alone_with_the_length_of_the_whole() {
        let status = Status::new(vec!["X-One: 1".parse().unwrap()]);
        let request = Request {
            head_only: true,
            keep_alive: false,
            ..KEPT
        };
        assert_eq!(
            text(&current(&status, request)),
            "HTTP/1.1 200 OK\r\nAccept: application/json, text/plain, */*\r\nConnection: close\r\n\
             Content-Length:2\r\nX-One: 1\r\n\r\n"
        );
    }
}
