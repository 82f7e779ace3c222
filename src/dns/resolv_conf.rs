//! What a file in the form of `/etc/resolv.conf` says.
//!
//! Owns, lends to C: nothing. Runs no user code.

use std::net::SocketAddr;

use super::name::{domain, server_address};

/// A line that can be read. Others are passed over.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Server(SocketAddr),
    /// The search list, whose first domain is tried first. It is empty if the file asks for that with
    /// `.`, the root.
    Search(Vec<String>),
    /// An option, and what follows its colon.
    Option(&'a str, &'a str),
}

/// Reads the lines of a file.
pub(super) fn lines(text: &str) -> Vec<Line<'_>> {
    text.split(['\n', '\r']).flat_map(line).collect()
}

fn line(line: &str) -> Vec<Line<'_>> {
    let line = line.split(['#', ';']).next().unwrap_or_default();
    let mut words = line.split_ascii_whitespace();
    match words.next() {
        Some("nameserver") => {
            let address = words.next().and_then(|word| server_address(word).ok());
            address.map(Line::Server).into_iter().collect()
        }
        Some("domain") => search(words.take(1)).into_iter().collect(),
        Some("search") => search(words).into_iter().collect(),
        Some("options") => words
            .map(|word| word.split_once(':').unwrap_or((word, "")))
            .map(|(name, value)| Line::Option(name, value))
            .collect(),
        _ => Vec::new(),
    }
}

/// A search list; `None` if it has neither a domain nor the root.
fn search<'a>(words: impl Iterator<Item = &'a str>) -> Option<Line<'a>> {
    let (mut domains, mut has_root) = (Vec::new(), false);
    for word in words {
        has_root |= word == ".";
        domains.extend(domain("", word));
    }
    (has_root || !domains.is_empty()).then_some(Line::Search(domains))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# a comment\n\
        nameserver 192.0.2.1 # the first\n\
        ; another comment\n\
        nameserver\t2001:db8::1\n\
        nameserver fe80::1%lo\n\
        nameserver nonsense\n\
        nameserver\n\
        search one.example  two.example.\n\
        options ndots:2 rotate timeout:1\n\
        sortlist 192.0.2.0\n";

    fn check(text: &str) {
        let lines = lines(text);
        let servers = lines.iter().filter_map(|line| match line {
            Line::Server(address) => Some(address.ip().to_string()),
            _ => None,
        });
        let servers = servers.collect::<Vec<_>>();
        assert_eq!(servers, ["192.0.2.1", "2001:db8::1", "fe80::1"]);
        let rest = [
            Line::Search(vec!["one.example".to_owned(), "two.example".to_owned()]),
            Line::Option("ndots", "2"),
            Line::Option("rotate", ""),
            Line::Option("timeout", "1"),
        ];
        assert_eq!(lines[3..], rest);
    }

    #[test]
    fn lines_are_read_and_others_passed_over() {
        check(FILE);
    }

    #[test]
    fn lines_may_end_as_on_windows_or_an_old_mac() {
        check(&FILE.replace('\n', "\r\n"));
        check(&FILE.replace('\n', "\r"));
    }

    #[test]
    fn a_domain_is_a_search_list_of_one() {
        let expected = Line::Search(vec!["a.example".to_owned()]);
        assert_eq!(lines("domain a.example b.example"), [expected]);
    }

    #[test]
    fn the_root_is_an_empty_search_list_and_nothing_is_none() {
        for line in ["search .", "domain ."] {
            assert_eq!(lines(line), [Line::Search(Vec::new())]);
        }
        for line in ["search", "search a..example", "domain"] {
            assert_eq!(lines(line), []);
        }
    }
}
