//! Answers that come later, and answers without an end.

use std::rc::Rc;
use std::time::Instant;

use super::{Connection, Decoding, Stage};
use crate::app::{Answer, Due};
use crate::buffer::Buffer;
use crate::time;

impl Connection {
    /// Puts what there is of an answer into the worker's batch, and returns its length; `None`
    /// when all of it comes later.
    #[inline(always)] // a tenth of a pipelined request is the call
    pub(super) fn begin(&self, answer: Answer) -> Option<usize> {
        let Answer::Whole(part) = answer else {
            return self.begin_other(answer);
        };
        let length = part.len();
        self.worker.batch().borrow_mut().push(part);
        Some(length)
    }

    fn begin_other(&self, answer: Answer) -> Option<usize> {
        let mut batch = self.worker.batch().borrow_mut();
        let (stage, head, due) = match answer {
            Answer::Whole(part) => {
                let length = part.len();
                batch.push(part);
                return Some(length);
            }
            Answer::Shared(parts) => {
                let before = batch.len();
                for part in &*parts {
                    batch.push(part.clone());
                }
                return Some(batch.len() - before);
            }
            Answer::Stream { head, due } => (Stage::Stream, head, due),
            Answer::Upgrade { head, due } => (Stage::Upgraded, head, due),
            Answer::Later => {
                self.state.borrow_mut().decoding = Decoding::Unanswered;
                return None;
            }
        };
        let state = &mut *self.state.borrow_mut();
        state.stage = stage;
        state.deadline.set_app(due);
        let length = head.len();
        batch.push(head);
        Some(length)
    }

    /// Sends the answer to the waiting request, and resumes with the next request. While the
    /// worker ends there is no next request.
    pub(crate) fn reply(self: &Rc<Self>, answer: Answer) {
        self.guarded(|connection| {
            {
                let state = &mut *connection.state.borrow_mut();
                if state.decoding != Decoding::Unanswered || state.stage == Stage::Closed {
                    return;
                }
                state.decoding = Decoding::Running;
            }
            if connection.begin(answer).is_none() {
                return;
            }
            let ends = connection.worker.is_ending();
            if ends && connection.state.borrow().stage.is_open() {
                // The peer may be sending its next request.
                connection.state.borrow_mut().stage = Stage::LastThenLinger;
            }
            connection.serve(&[]);
            if ends {
                return connection.retire();
            }
            connection.update_reading();
            connection.update_deadline(time::now(), true);
        });
    }

    /// Keeps what arrives before the app has answered.
    pub(super) fn keep_unread(self: &Rc<Self>, bytes: &[u8]) {
        self.state
            .borrow_mut()
            .input
            .keep_unread(bytes, self.worker.spare_input());
        self.count_memory();
        self.worker.limit_memory();
        self.update_reading();
    }

    /// Drops what arrived after the request for a stream, or passes it to the app if the
    /// connection was upgraded.
    pub(super) fn take_unread(self: &Rc<Self>) {
        let (unread, stage) = {
            let state = &mut *self.state.borrow_mut();
            if !state.stage.is_stream() || state.input.unread().is_empty() {
                return;
            }
            (state.input.take_unread(), state.stage)
        };
        self.count_memory();
        if stage == Stage::Upgraded {
            self.worker.received(self.id(), &unread);
        }
    }

    /// The deadline that the app has set for this stream has come.
    pub(super) fn stream_due(self: &Rc<Self>, now: Instant) {
        match self.worker.app().due(&self.worker, self.id()) {
            Due::Send(bytes, next) => {
                let waits = {
                    let state = &mut *self.state.borrow_mut();
                    state.deadline.set_app(next);
                    !state.outbox.is_empty()
                };
                if !waits {
                    self.queue(&bytes);
                }
                self.update_deadline(now, false);
            }
            Due::End(last) => self.end_stream(last),
        }
    }

    /// Ends a stream after everything that waits, and then `last`, is written.
    pub(crate) fn end_stream(self: &Rc<Self>, last: Option<Rc<Buffer>>) {
        self.queue_messages_so_far();
        let sent = {
            let state = &mut *self.state.borrow_mut();
            state.stage = match state.stage {
                Stage::Stream => Stage::Last,
                Stage::Upgraded => Stage::LastThenLinger,
                _ => return,
            };
            state.deadline.end_app();
            if let Some(last) = last {
                state.outbox.push(last.into());
            }
            state.outbox.is_empty()
        };
        if sent {
            self.continue_or_end();
            return self.update_deadline(time::now(), true);
        }
        let first = !std::mem::replace(&mut self.state.borrow_mut().queued, true);
        if first {
            self.worker.note_queued(Rc::clone(self));
        }
    }

    /// Has the app told when the peer has everything that is queued. False when it has it now.
    pub(crate) fn tell_when_drained(&self) -> bool {
        let state = &mut *self.state.borrow_mut();
        state.tell_drained = !state.outbox.is_empty();
        state.tell_drained
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::sync::PoisonError;
    use std::time::Duration;
    use std::{iter, thread};

    use super::*;
    use crate::app::{App, Received, Request, Takes};
    use crate::cli::Cli;
    use crate::config::Command;
    use crate::listener::Listening;
    use crate::worker::{RUNNING, Worker};
    use http_framing::RequestHead;

    const SOON: Duration = Duration::from_millis(100);

    /// Answers by path, and counts what streams ask it.
    #[derive(Default)]
    struct Paths {
        asked: RefCell<Vec<String>>,
        waiting: RefCell<Vec<u64>>,
    }

    impl App for Paths {
        fn takes(&self) -> Takes {
            Takes::Whole
        }

        fn answer(&self, worker: &Rc<Worker>, request: &Request<'_>) -> Answer {
            let path = RequestHead::read(request.head).unwrap().target;
            let part = |text: &str| worker.buffer(text.as_bytes().to_vec()).into();
            let due = Instant::now() + SOON;
            self.asked.borrow_mut().push(path.to_owned());
            match path {
                "/later" => {
                    self.waiting.borrow_mut().push(request.from);
                    Answer::Later
                }
                "/release" => {
                    for id in self.waiting.take() {
                        let worker = Rc::clone(worker);
                        let event = php_event::Event::timer(
                            &Rc::clone(&worker).base().clone(),
                            move |_| {
                                worker.reply(id, worker.buffer(b"later;".to_vec()).into());
                            },
                        );
                        let event = event.unwrap();
                        event.add(Some(Duration::ZERO)).unwrap();
                        event.detach();
                    }
                    Answer::Whole(part("released;"))
                }
                "/stream" => Answer::Stream {
                    head: part("head;"),
                    due,
                },
                "/upgrade" => Answer::Upgrade {
                    head: part("upgraded;"),
                    due,
                },
                "/end" => {
                    worker.base().exit(None).unwrap();
                    Answer::Whole(part("end;"))
                }
                _ => Answer::Whole(part("whole;")),
            }
        }

        fn received(&self, worker: &Rc<Worker>, received: Received<'_>) {
            worker.deliver_to(received.from, &worker.buffer(received.bytes.to_vec()));
        }

        fn due(&self, worker: &Rc<Worker>, _id: u64) -> Due {
            self.asked.borrow_mut().push("due".to_owned());
            let asked = self.asked.borrow();
            if asked.iter().filter(|asked| *asked == "due").count() % 2 == 1 {
                Due::Send(worker.buffer(b"beat;".to_vec()), Instant::now() + SOON)
            } else {
                Due::End(Some(worker.buffer(b"last;".to_vec())))
            }
        }
    }

    fn request(path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
    }

    /// Runs the app for clients that send `each`, one after the other, and returns what each got
    /// until it had `expected` bytes and then the end or the next client.
    fn run(clients: impl FnOnce(&str) -> Vec<String> + Send + 'static) -> Vec<String> {
        let Command::Server(config) = Cli::parsed_from(&["serve", "--listen", "127.0.0.1:0"])
        else {
            panic!("serve is a server");
        };
        let _running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let listening = Listening::on(&config, 1).unwrap();
        let address = listening.address().to_owned();
        let client = thread::spawn(move || {
            let got = catch_unwind(AssertUnwindSafe(|| clients(&address)));
            connect(&address)
                .write_all(request("/end").as_bytes())
                .unwrap();
            got.unwrap_or_else(|panic| resume_unwind(panic))
        });
        let worker = Worker::with_app(*config, Box::new(Paths::default()), 10).unwrap();
        worker.run(listening.streams(0), || {}).unwrap();
        client.join().unwrap()
    }

    fn connect(address: &str) -> TcpStream {
        let stream = TcpStream::connect(address).unwrap();
        let limit = Some(Duration::from_secs(20));
        stream.set_read_timeout(limit).unwrap();
        stream
    }

    fn read_exactly(stream: &mut TcpStream, count: usize) -> String {
        let mut got = vec![0; count];
        stream.read_exact(&mut got).unwrap();
        String::from_utf8(got).unwrap()
    }

    fn read_to_end(stream: &mut TcpStream) -> String {
        let mut got = String::new();
        stream.read_to_string(&mut got).unwrap();
        got
    }

    #[test]
    fn a_stream_gets_what_is_due_and_ends_with_its_last_bytes() {
        let got = run(|address| {
            let mut stream = connect(address);
            let ignored = request("/whole"); // a stream takes no more requests
            stream
                .write_all((request("/whole") + &request("/stream") + &ignored).as_bytes())
                .unwrap();
            vec![read_to_end(&mut stream)]
        });
        assert_eq!(got, ["whole;head;beat;last;"]);
    }

    #[test]
    fn an_upgraded_connection_passes_on_what_arrives_also_with_the_request() {
        let got = run(|address| {
            let mut stream = connect(address);
            stream
                .write_all((request("/upgrade") + "early;").as_bytes())
                .unwrap();
            let early = read_exactly(&mut stream, "upgraded;early;".len());
            stream.write_all(b"then;").unwrap();
            vec![early, read_exactly(&mut stream, "then;".len())]
        });
        assert_eq!(got, ["upgraded;early;", "then;"]);
    }

    #[test]
    fn a_request_after_an_unanswered_one_waits_for_its_answer() {
        let got = run(|address| {
            let mut first = connect(address);
            let whole = request("/whole");
            first
                .write_all((whole.clone() + &request("/later") + &whole).as_bytes())
                .unwrap();
            let before = read_exactly(&mut first, "whole;".len());
            first.set_read_timeout(Some(SOON)).unwrap();
            assert!(
                first.read(&mut [0]).is_err(),
                "nothing comes before the answer"
            );
            // More arrives meanwhile than the server reads ahead.
            first
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            let many = 5000;
            let mut writer = first.try_clone().unwrap();
            let flood = iter::repeat_n(whole, many).collect::<String>();
            let flooding = thread::spawn(move || writer.write_all(flood.as_bytes()).unwrap());
            let mut second = connect(address);
            second.write_all(request("/release").as_bytes()).unwrap();
            let released = read_exactly(&mut second, "released;".len());
            let expected = "later;".to_owned() + &"whole;".repeat(many + 1);
            assert_eq!(read_exactly(&mut first, expected.len()), expected);
            flooding.join().unwrap();
            vec![before, released]
        });
        assert_eq!(got, ["whole;", "released;"]);
    }
}
