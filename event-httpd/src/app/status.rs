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
}

/// The answers made from the current table. All receivers share their bytes.
#[derive(Default)]
struct Answers {
    date: String,
    kept: Latest,
    closing: Latest,
}

impl Answers {
    /// The answer to a request, if it was made before.
    fn get(&mut self, request: &Request<'_>) -> Option<&Encoded> {
        if request.date.is_some_and(|date| *date != self.date) {
            return None;
        }
        self.latest(request).encoded.as_ref()
    }

    /// The latest answer that keeps the connection open, or closes it, as this request's must.
    fn latest(&mut self, request: &Request<'_>) -> &mut Latest {
        if request.keep_alive {
            &mut self.kept
        } else {
            &mut self.closing
        }
    }

    /// The table has changed.
    fn forget(&mut self) {
        self.kept.forget();
        self.closing.forget();
    }

    fn set_date(&mut self, date: &str) {
        date.clone_into(&mut self.date);
        self.forget();
        self.kept.head_for = None;
        self.closing.head_for = None;
    }
}

/// The answer made from the current table, if it was asked for.
#[derive(Default)]
struct Latest {
    encoded: Option<Encoded>,
    former: Option<Rc<Buffer>>, // its memory is used again
    head: Vec<u8>,              // of the last answer
    head_for: Option<usize>,    // the length of the body that it belongs to: often the next, too
}

impl Latest {
    fn forget(&mut self) {
        if let Some(Encoded::Whole { bytes, .. }) = self.encoded.take() {
            self.former = Some(bytes);
        }
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

    /// Encodes an answer after its head.
    fn encode(
        table: &mut Table,
        former: Option<Rc<Buffer>>,
        account: &Rc<Account>,
        head: &[u8],
    ) -> Encoded {
        let length = table.json_length();
        if length <= COPIED_MAX {
            let bytes = written(former, account, |bytes| {
                bytes.reserve(head.len() + length);
                bytes.extend_from_slice(head);
                table.write_to(bytes);
            });
            let head = head.len();
            return Encoded::Whole { bytes, head };
        }
        let begin = Buffer::new([head, b"{"].concat(), account);
        let end = Buffer::uncounted(b"}".to_vec());
        let mut parts = vec![Rc::clone(&begin).into()];
        parts.extend(table.parts(account));
        parts.push(end.into());
        Encoded::Shared {
            parts: parts.into(),
            head: Part::first(begin, head.len()),
        }
    }

    fn current(&self, account: &Rc<Account>, request: &Request<'_>) -> super::Answer {
        let state = &mut *self.state.borrow_mut();
        match state.answers.get(request) {
            Some(encoded) => encoded.answer(request.head_only),
            None => self.make(state, account, request),
        }
    }

    #[inline(never)] // most answers are made already
    fn make(
        &self,
        state: &mut State,
        account: &Rc<Account>,
        request: &Request<'_>,
    ) -> super::Answer {
        let State { table, answers } = state;
        if let Some(date) = request.date.filter(|date| *date != answers.date) {
            answers.set_date(date);
        }
        let latest = answers.latest(request);
        let length = table.json_length();
        let head = &mut latest.head;
        if latest.head_for.replace(length) != Some(length) {
            let length = u64::try_from(length).unwrap_or(u64::MAX);
            head.clear();
            answer_head(
                head,
                request.keep_alive,
                length,
                request.date,
                &self.headers,
            );
        }
        let encoded = Self::encode(table, latest.former.take(), account, head);
        latest.encoded.insert(encoded).answer(request.head_only)
    }

    /// Changes the table.
    fn change(&self, change: impl FnOnce(&mut Table)) {
        let state = &mut *self.state.borrow_mut();
        change(&mut state.table);
        state.answers.forget();
    }
}

/// A buffer with what `write` appends, in the memory of a former one unless a peer has that still.
fn written(
    former: Option<Rc<Buffer>>,
    account: &Rc<Account>,
    mut write: impl FnMut(&mut Vec<u8>),
) -> Rc<Buffer> {
    if let Some(mut buffer) = former
        && Buffer::rewrite(&mut buffer, &mut write)
    {
        return buffer;
    }
    let mut bytes = Vec::new();
    write(&mut bytes);
    Buffer::new(bytes, account)
}

impl App for Status {
    fn takes(&self) -> Takes {
        Takes::Requests
    }

    fn listening(&self, id: u64, event: &Event) {
        self.change(|table| table.set(id, event));
    }

    fn opened(&self, id: u64, event: &Event) {
        self.change(|table| table.set_plain(id, event));
    }

    fn closed(&self, _worker: &Worker, id: u64) {
        self.change(|table| table.remove(id));
    }

    fn changed(&self, id: u64, event: &Event) {
        self.change(|table| table.set(id, event));
    }

    fn answer(&self, worker: &Rc<Worker>, request: &Request<'_>) -> super::Answer {
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
        match status.current(&Rc::default(), &request) {
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
                status.listening(id, &event);
            } else {
                status.opened(id, &event);
            }
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
        status.change(|table| table.remove(5));
        assert!(text(&current(&status, KEPT)).ends_with("\r\n\r\n{}"));
    }

    #[test]
    fn an_answer_has_the_head_of_its_own_length_and_date() {
        let base = EventBase::new().unwrap();
        let event = Event::timer(&base, |_event| {}).unwrap();
        let status = Status::new(Vec::new());
        let mut lengths = Vec::new();
        for (id, date) in [(1, "one"), (2, "one"), (3, "two"), (10, "two")] {
            status.change(|table| table.remove(id - 1));
            status.opened(id, &event);
            for keep_alive in [true, false] {
                let request = Request {
                    keep_alive,
                    ..dated(date)
                };
                let answer = text(&current(&status, request));
                let (head, body) = answer.split_once("\r\n\r\n").unwrap();
                let length = format!("\r\nContent-Length:{}\r\n", body.len());
                assert!(head.contains(&length), "{answer}");
                assert!(head.ends_with(&format!("\r\nDate: {date}")), "{answer}");
                assert_eq!(head.contains("\r\nConnection: close\r\n"), !keep_alive);
                lengths.push(body.len());
            }
        }
        lengths.dedup();
        assert_eq!(lengths.len(), 2, "the first three are of one length");
    }

    #[test]
    fn an_answer_is_written_over_the_one_before_unless_a_peer_has_that() {
        let base = EventBase::new().unwrap();
        let event = Event::timer(&base, |_event| {}).unwrap();
        let status = Status::new(Vec::new());
        let place = |part: &Part| part.as_slice().as_ptr();
        status.opened(5, &event);
        status.opened(6, &event);
        let first = place(&current(&status, KEPT));
        status.change(|table| table.remove(6));
        let second = current(&status, KEPT);
        assert_eq!(place(&second), first);
        let before = text(&second);
        assert!(before.contains("\"5\"") && !before.contains("\"6\""));
        status.opened(7, &event);
        let third = current(&status, KEPT);
        assert!(text(&third).contains("\"7\""));
        assert_eq!(text(&second), before);
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
        status.change(|table| table.remove(500));
        event.add(Some(std::time::Duration::from_secs(9))).unwrap();
        status.changed(3, &event);
        let crate::app::Answer::Shared(parts) = status.current(&Rc::default(), &KEPT) else {
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
