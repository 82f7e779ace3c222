//! The tutorial's first program: every request is answered with the table of events.

mod table;

use std::cell::RefCell;
use std::rc::Rc;

use super::{App, Request, Takes};
use crate::answer::{FieldLine, answer_head};
use crate::buffer::{Account, Buffer};
use crate::outbox::Part;
use crate::worker::Worker;
use php_event::Event;
use table::Table;

/// Up to this length, a table is copied into one buffer with its head. A longer one is sent as
/// parts that answers share, whatever else in the table changes.
const COPIED_MAX: usize = 16 << 10;

/// The table: a JSON object from stream number to event, oldest first.
pub(crate) struct Status {
    headers: Vec<FieldLine>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    table: Table,
    answers: Answers,
    head: Vec<u8>, // of the answer that is being made
}

/// The answers made from the current table. All receivers share their bytes.
#[derive(Default)]
struct Answers {
    date: String,
    kept: Option<Encoded>,
    closing: Option<Encoded>,
}

impl Answers {
    fn forget(&mut self) {
        (self.kept, self.closing) = (None, None);
    }
}

/// An encoded answer.
enum Encoded {
    /// In one buffer.
    Whole { bytes: Rc<Buffer>, head: usize },
    /// In parts.
    Shared { parts: Rc<[Part]>, head: Part },
}

impl Encoded {
    fn answer(&self, head_only: bool) -> super::Answer {
        match self {
            Self::Whole { bytes, head } if head_only => Part::first(Rc::clone(bytes), *head).into(),
            Self::Whole { bytes, .. } => Rc::clone(bytes).into(),
            Self::Shared { head, .. } if head_only => head.clone().into(),
            Self::Shared { parts, .. } => super::Answer::Shared(Rc::clone(parts)),
        }
    }
}

impl Status {
    pub(crate) fn new(headers: Vec<FieldLine>) -> Self {
        Self {
            headers,
            state: RefCell::default(),
        }
    }

    fn remove(&self, id: u64) {
        let state = &mut *self.state.borrow_mut();
        state.table.remove(id);
        state.answers.forget();
    }

    #[inline(never)] // most answers are encoded already
    fn encode(
        &self,
        table: &mut Table,
        head: &mut Vec<u8>,
        account: &Rc<Account>,
        keep_alive: bool,
        date: Option<&str>,
    ) -> Encoded {
        let length = table.json_length();
        let body_length = u64::try_from(length).unwrap_or(u64::MAX);
        head.clear();
        answer_head(head, keep_alive, body_length, date, &self.headers);
        let copied = length <= COPIED_MAX;
        let mut bytes = Vec::with_capacity(head.len() + if copied { length } else { 1 });
        bytes.extend_from_slice(head);
        let head = bytes.len();
        if copied {
            table.write_to(&mut bytes);
            let bytes = Buffer::new(bytes, account);
            return Encoded::Whole { bytes, head };
        }
        bytes.push(b'{');
        let begin = Buffer::new(bytes, account);
        let end = Buffer::uncounted(b"}".to_vec());
        let mut parts = vec![Rc::clone(&begin).into()];
        parts.extend(table.parts(account));
        parts.push(end.into());
        Encoded::Shared {
            parts: parts.into(),
            head: Part::first(begin, head),
        }
    }

    fn current(&self, account: &Rc<Account>, request: Request<'_>) -> super::Answer {
        let date = request.date;
        let State {
            table,
            answers,
            head,
        } = &mut *self.state.borrow_mut();
        if let Some(date) = date.filter(|date| *date != answers.date) {
            date.clone_into(&mut answers.date);
            answers.forget();
        }
        let answer = if request.keep_alive {
            &mut answers.kept
        } else {
            &mut answers.closing
        };
        answer
            .get_or_insert_with(|| self.encode(table, head, account, request.keep_alive, date))
            .answer(request.head_only)
    }
}

impl App for Status {
    fn takes(&self) -> Takes {
        Takes::Requests
    }

    fn opened(&self, id: u64, event: &Event) {
        let state = &mut *self.state.borrow_mut();
        state.table.set(id, event);
        state.answers.forget();
    }

    fn closed(&self, _worker: &Worker, id: u64) {
        self.remove(id);
    }

    fn changed(&self, id: u64, event: &Event) {
        self.opened(id, event);
    }

    fn answer(&self, worker: &Rc<Worker>, request: Request<'_>) -> super::Answer {
        self.current(worker.account(), request)
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
        match status.current(&Rc::default(), request) {
            crate::app::Answer::Whole(part) => part,
            other => panic!("{other:?}"),
        }
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
        for id in [5, 6] {
            let event = Event::timer(&base, |_event| {}).unwrap();
            event.add(Some(std::time::Duration::from_secs(9))).unwrap();
            if id == 5 {
                event.set_data(base.clone());
            }
            status.opened(id, &event);
        }
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

    #[test]
    fn a_long_table_is_answered_with_the_bytes_of_its_entries_in_parts() {
        let base = EventBase::new().unwrap();
        let status = Status::new(Vec::new());
        let event = Event::timer(&base, |_event| {}).unwrap();
        for id in 0..1000 {
            status.opened(id, &event);
        }
        status.remove(500);
        event.add(Some(std::time::Duration::from_secs(9))).unwrap();
        status.changed(3, &event);
        let crate::app::Answer::Shared(parts) = status.current(&Rc::default(), KEPT) else {
            panic!("the table is long");
        };
        let answer = parts.iter().map(text).collect::<String>();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length:{}", body.len())));
        let entries = (0..1000).filter(|id| *id != 500).map(|id| {
            let pending = id == 3;
            format!("\"{id}\":{{\"pending\":{pending},\"data\":null}}")
        });
        let expected = entries.collect::<Vec<_>>().join(",");
        assert_eq!(body, format!("{{{expected}}}"));
        let head_only = Request {
            head_only: true,
            ..KEPT
        };
        assert_eq!(
            text(&current(&status, head_only)),
            format!("{head}\r\n\r\n")
        );
    }
}
