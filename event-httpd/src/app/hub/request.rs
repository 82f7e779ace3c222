//! What of a request the hub looks at.

use http_framing::{RequestHead, Version};
use hub_protocol::token::Presented;

/// A request's head, its target taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    lines: RequestHead<'a>,
    /// The path as sent.
    pub(super) path: &'a str,
    /// What follows the question mark.
    pub(super) query: &'a str,
}

impl<'a> Head<'a> {
    /// Reads a head; `None` for bytes that are none.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let lines = RequestHead::read(bytes)?;
        let target = match lines.target.split_once("://") {
            // The absolute form (RFC 9112 §3.2.2).
            Some((scheme, rest)) if !scheme.contains('/') => match rest.find(['/', '?']) {
                Some(path) => rest.get(path..).unwrap_or_default(),
                None => "/",
            },
            _ => lines.target,
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Some(Self {
            lines,
            path: if path.is_empty() { "/" } else { path },
            query,
        })
    }

    pub(super) fn version(&self) -> Version {
        self.lines.version
    }

    pub(super) fn method(&self) -> &'a str {
        self.lines.method
    }

    pub(super) fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.lines.field(name)
    }

    /// What of the request may carry a token.
    pub(super) fn presented(&self) -> Presented<'a> {
        Presented {
            authorization: self.field("Authorization"),
            cookie: self.field("Cookie"),
            query: None,
            origin: self.field("Origin"),
            referer: self.field("Referer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_a_path_and_a_query_in_each_of_its_forms() {
        for (target, path, query) in [
            ("/", "/", ""),
            ("/a/b?c=d?e", "/a/b", "c=d?e"),
            ("http://host/a?b", "/a", "b"),
            ("http://host?b", "/", "b"),
            ("http://host", "/", ""),
            ("/a?http://x/y", "/a", "http://x/y"),
            ("/a://b", "/a://b", ""),
            ("*", "*", ""),
        ] {
            let bytes = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
            let head = Head::read(bytes.as_bytes()).unwrap();
            assert_eq!((head.path, head.query), (path, query), "{target}");
        }
    }
}
