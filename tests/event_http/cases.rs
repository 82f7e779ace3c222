//! The table in `tests/http_cases`: whole, in two pieces, and byte by byte.

use std::cell::RefCell;
use std::io::Write as _;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use php_event::{EventHttpRequest, HttpMethods};
use test_support::http_cases::{self, Body, Case, Verdict};

use super::OVER;
use crate::{Answer, Client, Server, say};

/// The last request of a connection.
const LAST: &[u8] = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// Long enough for the server to read a part before the next is sent. If it is not, less is cut,
/// and nothing fails.
const APART: Duration = Duration::from_micros(200);

/// Cases for one server, which has a time limit.
const AT_A_TIME: usize = 100;

/// Longer rows are not sent byte by byte.
const SINGLE_BYTES_MAX: usize = 150;

/// A server that takes any method, and the bodies of its requests.
fn noting() -> (Server, Rc<RefCell<Vec<Vec<u8>>>>) {
    let bodies: Rc<RefCell<Vec<Vec<u8>>>> = Rc::default();
    let list = Rc::clone(&bodies);
    let server = Server::with(OVER, move |request: &EventHttpRequest| {
        let body = request.get_input_buffer().substr(0, None).unwrap();
        list.borrow_mut().push(body);
        say(request, "served");
    });
    let methods = HttpMethods::all();
    server.http.set_allowed_methods(methods).unwrap();
    (server, bodies)
}

/// Names the exchange in which a client panics.
struct Exchange<'a> {
    case: &'a Case,
    parts: &'a [&'a [u8]],
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let lengths: Vec<_> = self.parts.iter().map(|part| part.len()).collect();
            eprintln!("{}, in parts of {lengths:?} bytes", self.case.name);
        }
    }
}

/// Sends the parts of a case, and reads all that comes back.
fn exchange(client: &mut Client, case: &Case, parts: &[&[u8]]) -> Vec<(Answer, bool)> {
    let _exchange = Exchange { case, parts };
    client.0.set_nodelay(true).unwrap();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 && parts.len() < 10 {
            thread::sleep(APART);
        }
        if client.0.write_all(part).is_err() {
            break; // it was refused in the middle
        }
    }
    let mut answers = Vec::new();
    let verdicts = case.verdicts_of("EventHttp");
    for verdict in verdicts {
        let head = match verdict {
            Verdict::More => {
                client.end();
                break;
            }
            Verdict::Keep(body) | Verdict::Close(body) => *body == Body::Head,
            Verdict::Refused(_) => false,
        };
        let method = if head { "HEAD" } else { "GET" };
        let mut answer = client.answer_to(method);
        while answer.status == 100 {
            answer = client.answer_to(method);
        }
        answers.push((answer, head));
    }
    if let Some(Verdict::Keep(_)) = verdicts.last() {
        answers.push((client.answer(), false));
    }
    let rest = client.rest();
    assert_eq!(rest, "", "{}: nothing else is answered", case.name);
    answers
}

/// Checks the answers to a case, and gives the bodies that the server must have seen.
#[track_caller]
fn expected(case: &Case, answers: &[(Answer, bool)]) -> Vec<Vec<u8>> {
    let verdicts = case.verdicts_of("EventHttp");
    let mut bodies = Vec::new();
    for (verdict, (answer, _)) in verdicts.iter().zip(answers) {
        let what = format!("{} (RFC {}): {answer:?}", case.name, case.rfc);
        match verdict {
            Verdict::Keep(body) | Verdict::Close(body) => {
                assert_eq!(answer.status, 200, "{what}");
                bodies.push(body.content().to_vec());
            }
            Verdict::Refused(status) => assert!(
                answer.status == *status || answer.status == nearest(*status),
                "{what}"
            ),
            Verdict::More => {}
        }
        // An answer of HTTP/1.0 closes without the field.
        if !matches!(verdict, Verdict::Keep(_)) && answer.version == "HTTP/1.1" {
            assert_eq!(answer.header("Connection"), Some("close"), "{what}");
        }
    }
    if let Some(Verdict::Keep(_)) = verdicts.last() {
        let (last, _) = answers.last().unwrap();
        assert_eq!(last.status, 200, "{}: the next request", case.name);
        bodies.push(Vec::new());
    }
    bodies
}

/// What libevent answers in place of a status.
fn nearest(status: u16) -> u16 {
    match status {
        413 | 417 => status,
        _ => 400,
    }
}

/// Runs cases in the parts that `cut` gives.
#[track_caller]
fn run(cases: &[Case], cut: impl Fn(&[u8]) -> Vec<&[u8]> + Copy + Send + 'static) {
    for cases in cases.chunks(AT_A_TIME) {
        run_some(cases.to_vec(), cut);
    }
}

#[track_caller]
fn run_some(cases: Vec<Case>, cut: impl Fn(&[u8]) -> Vec<&[u8]> + Send + 'static) {
    let (server, bodies) = noting();
    let answers = server.serve({
        let cases = cases.clone();
        move |address| {
            let exchange = |case: &Case| {
                let mut stream = case.bytes.clone();
                if !case.is_open() {
                    stream.extend_from_slice(LAST);
                }
                let mut client = Client::new(OVER, address);
                exchange(&mut client, case, &cut(&stream))
            };
            cases.iter().map(exchange).collect::<Vec<_>>()
        }
    });
    let mut seen = bodies.take().into_iter();
    for (case, answers) in cases.iter().zip(&answers) {
        for wanted in expected(case, answers) {
            assert_eq!(seen.next(), Some(wanted), "{}: the body", case.name);
        }
    }
    assert_eq!(seen.next(), None, "a request that nobody sent");
}

#[test]
fn every_case_has_its_verdict_in_one_piece() {
    run(&http_cases::all(), |bytes| vec![bytes]);
}

#[test]
fn every_case_has_its_verdict_in_two_pieces() {
    for part in [2, 5, 7] {
        run(&http_cases::all(), move |bytes| {
            let (first, second) = bytes.split_at(bytes.len() * part / 8);
            vec![first, second]
        });
    }
}

#[test]
#[ignore = "takes minutes"]
fn every_case_has_its_verdict_cut_at_every_byte() {
    for (at, cases) in http_cases::at_every_cut(SINGLE_BYTES_MAX) {
        run(&cases, move |bytes| {
            <[_; 2]>::from(bytes.split_at(at)).to_vec()
        });
    }
}

#[test]
fn every_case_has_its_verdict_byte_by_byte() {
    let mut cases = http_cases::all();
    cases.retain(|case| case.bytes.len() <= SINGLE_BYTES_MAX);
    assert!(cases.len() > 400, "{} short cases", cases.len());
    run(&cases, |bytes| bytes.chunks(1).collect());
}
