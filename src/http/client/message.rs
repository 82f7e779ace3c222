//! The headers of a client's request and of its answer, and a request's head as it is sent.
//!
//! Owns: the headers. Lends nothing to C, runs no user code.

use std::cell::RefCell;

use http_framing::{FieldLines, Method};

use super::line::{Framing, Line};
use crate::flags::HttpMethods;

/// Headers in their order: names, and values as bytes.
#[derive(Debug, Default)]
pub(super) struct Headers(RefCell<Vec<(String, Vec<u8>)>>);

impl Headers {
    pub(super) fn of_answer(fields: FieldLines<'_>) -> Self {
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_vec()));
        Self(RefCell::new(fields.collect()))
    }

    pub(super) fn all(&self) -> Vec<(String, Vec<u8>)> {
        self.0.borrow().clone()
    }

    /// The value of the first header of that name, whatever its case.
    pub(super) fn find(&self, name: &str) -> Option<Vec<u8>> {
        let headers = self.0.borrow();
        let mut values = headers.iter().filter(|(other, _)| is(other, name));
        values.next().map(|(_, value)| value.clone())
    }

    /// Appends a header whose name and value were checked.
    pub(super) fn append(&self, name: &str, value: &[u8]) {
        self.0.borrow_mut().push((name.to_owned(), value.to_vec()));
    }

    /// Removes the first header of that name; returns whether there was one.
    pub(super) fn remove(&self, name: &str) -> bool {
        let mut headers = self.0.borrow_mut();
        let at = headers.iter().position(|(other, _)| is(other, name));
        at.map(|at| headers.remove(at)).is_some()
    }

    pub(super) fn clear(&self) {
        self.0.borrow_mut().clear();
    }

    /// Takes the place of these headers.
    pub(super) fn replace(&self, other: Self) {
        self.0.swap(&other.0);
    }

    /// Whether a header of that name lists the word.
    pub(super) fn lists(&self, name: &str, word: &str) -> bool {
        let headers = self.0.borrow();
        let mut named = headers.iter().filter(|(other, _)| is(other, name));
        named.any(|(_, value)| {
            let mut words = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            words.any(|other| other.eq_ignore_ascii_case(word.as_bytes()))
        })
    }

    /// The request's head as it is sent: these headers, and those that frame it.
    pub(super) fn request_head(&self, line: &Line, framing: &Framing) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", name_of(line.method), line.uri).into_bytes();
        let mut field = |name: &str, value: &[u8]| {
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        };
        for (name, value) in self.0.borrow().iter() {
            field(name, value);
        }
        if let Some(host) = &framing.host {
            field("Host", host.as_bytes());
        }
        if let Some(length) = framing.length {
            field("Content-Length", length.to_string().as_bytes());
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}

fn is(name: &str, other: &str) -> bool {
    name.eq_ignore_ascii_case(other)
}

/// The name of one method; [`line::checked`](super::line::checked) refuses all others.
const fn name_of(method: HttpMethods) -> &'static str {
    match method {
        HttpMethods::POST => "POST",
        HttpMethods::HEAD => "HEAD",
        HttpMethods::PUT => "PUT",
        HttpMethods::DELETE => "DELETE",
        HttpMethods::OPTIONS => "OPTIONS",
        HttpMethods::TRACE => "TRACE",
        HttpMethods::PATCH => "PATCH",
        HttpMethods::CONNECT => "CONNECT",
        _ => "GET",
    }
}

/// The method as the decoder knows it.
pub(super) const fn method_of(method: HttpMethods) -> Method {
    Method::from_bytes(name_of(method).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&str, &str)]) -> Headers {
        let headers = Headers::default();
        for (name, value) in list {
            headers.append(name, value.as_bytes());
        }
        headers
    }

    #[test]
    fn every_method_has_its_name() {
        let names: Vec<_> = HttpMethods::all().iter().map(name_of).collect();
        let flags: Vec<_> = HttpMethods::all()
            .iter_names()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, flags);
    }

    #[test]
    fn first_header_of_a_name_is_found_and_removed_whatever_its_case() {
        let headers = headers(&[("A", "1"), ("B", "2"), ("a", "3")]);
        assert_eq!(headers.find("a").as_deref(), Some(&b"1"[..]));
        assert!(headers.remove("a"));
        assert_eq!(headers.find("A").as_deref(), Some(&b"3"[..]));
        assert!(headers.remove("A") && !headers.remove("A"));
        assert_eq!(headers.all(), [("B".to_owned(), b"2".to_vec())]);
    }

    #[test]
    fn words_of_a_list_are_found_in_each_header_of_its_name() {
        let headers = headers(&[("Connection", "x , Close"), ("connection", "\tUpgrade")]);
        assert!(headers.lists("Connection", "close"));
        assert!(headers.lists("Connection", "upgrade"));
        assert!(!headers.lists("Connection", "clo"));
        assert!(!headers.lists("Upgrade", "close"));
    }
}
