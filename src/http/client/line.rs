//! What a client sends: the request line, and the headers that frame it.
//!
//! Owns, lends to C: nothing. Runs no user code.
//!
//! What would end the request line early, or leave the body's length open, is refused: the
//! server would take the rest for another request.

use crate::error::{Error, Result};
use crate::flags::HttpMethods;

/// A request line that was checked.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) method: HttpMethods,
    pub(crate) uri: String,
    /// The host that is asked, without its port.
    pub(crate) host: String,
    pub(crate) has_body: bool,
}

/// The headers that are added to the user's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Framing {
    pub(crate) host: Option<String>,
    pub(crate) length: Option<usize>,
}

/// The methods whose requests have a body, also when it is empty.
const WITH_BODY: HttpMethods = HttpMethods::POST
    .union(HttpMethods::PUT)
    .union(HttpMethods::PATCH);

/// The methods whose requests may have one.
const MAY_HAVE_BODY: HttpMethods = WITH_BODY
    .union(HttpMethods::DELETE)
    .union(HttpMethods::OPTIONS);

/// Checks a request, whose headers and body's length are given; `authority` is whom the
/// connection goes to, as `Host` has it.
pub(crate) fn checked(
    call: &'static str,
    method: HttpMethods,
    uri: &str,
    headers: &[(String, String)],
    body: usize,
    authority: &str,
) -> Result<(Line, Framing)> {
    let refused = |reason: &'static str| Err(Error::argument(call, reason));
    if method.bits().count_ones() != 1 || !HttpMethods::all().contains(method) {
        return refused("a request has one method: give one of the CMD_ constants");
    }
    if method == HttpMethods::CONNECT {
        return refused("CONNECT is not possible: its answer turns the connection into a tunnel");
    }
    check_uri(call, method, uri)?;
    if body > 0 && !MAY_HAVE_BODY.contains(method) {
        return refused("the method's requests have no body, but the output buffer has bytes");
    }
    let mut framing = Framing {
        host: Some(authority_of(uri).unwrap_or(authority).to_owned()),
        length: (body > 0 || WITH_BODY.contains(method)).then_some(body),
    };
    let mut host = framing.host.clone();
    let mut announced = false;
    for (name, value) in headers {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("Transfer-Encoding") {
            return refused("Transfer-Encoding was added, but a request's body is never chunked");
        } else if is("Content-Length") {
            let digits = value.bytes().all(|byte| byte.is_ascii_digit());
            if !digits || value.parse() != Ok(body) {
                return refused("the Content-Length that was added is not the body's");
            }
            if std::mem::replace(&mut announced, true) {
                return refused("Content-Length was added twice");
            }
            framing.length = None;
        } else if is("Host") {
            if framing.host.take().is_none() {
                return refused("Host was added twice");
            }
            host = Some(value.clone());
        } else if is("Expect") && (body == 0 || !value.eq_ignore_ascii_case("100-continue")) {
            return refused("Expect can be 100-continue, and only where there is a body");
        }
    }
    let line = Line {
        method,
        uri: uri.to_owned(),
        host: without_port(&host.unwrap_or_default()).to_owned(),
        has_body: body > 0,
    };
    Ok((line, framing))
}

fn check_uri(call: &'static str, method: HttpMethods, uri: &str) -> Result<()> {
    let refused = |hint: &str| Err(Error::argument(call, format!("the URI {uri:?} {hint}")));
    if !uri.bytes().all(|byte| byte.is_ascii_graphic()) {
        return refused("has a blank, a control byte or one beyond ASCII: percent-encode it");
    }
    if uri.contains('#') {
        return refused("has a fragment (#), which is never sent: leave it out");
    }
    let asterisk = uri == "*" && method == HttpMethods::OPTIONS;
    if !(uri.starts_with('/') || asterisk || authority_of(uri).is_some()) {
        return refused(
            "is not a path: give one that begins with a slash, or a whole URI with a host",
        );
    }
    Ok(())
}

/// Host and port of a whole URI.
fn authority_of(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once("://")?;
    if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit('@').next()?;
    (!authority.is_empty()).then_some(authority)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::{Framing, authority_of, checked, without_port};
    use crate::flags::HttpMethods;

    fn framing(method: HttpMethods, headers: &[(&str, &str)], body: usize) -> Option<Framing> {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let checked = checked("test", method, "/", &headers, body, "h:81");
        checked.ok().map(|(_line, framing)| framing)
    }

    #[test]
    fn host_and_length_are_added_where_they_are_missing() {
        let host = || Some("h:81".to_owned());
        let added = |host, length| Some(Framing { host, length });
        assert_eq!(framing(HttpMethods::GET, &[], 0), added(host(), None));
        assert_eq!(framing(HttpMethods::POST, &[], 0), added(host(), Some(0)));
        assert_eq!(framing(HttpMethods::PATCH, &[], 3), added(host(), Some(3)));
        assert_eq!(framing(HttpMethods::DELETE, &[], 0), added(host(), None));
        assert_eq!(framing(HttpMethods::DELETE, &[], 1), added(host(), Some(1)));
        let own = [("host", "x"), ("content-length", "3")];
        assert_eq!(framing(HttpMethods::PUT, &own, 3), added(None, None));
    }

    #[test]
    fn headers_that_contradict_the_body_are_refused() {
        let post = |headers: &[(&str, &str)]| framing(HttpMethods::POST, headers, 3);
        assert_eq!(post(&[("Content-Length", "4")]), None);
        assert_eq!(post(&[("Content-Length", "+3")]), None);
        assert_eq!(post(&[("Content-Length", "")]), None);
        let three = ("Content-Length", "3");
        assert_eq!(post(&[three, three]), None);
        assert_eq!(post(&[("transfer-encoding", "chunked")]), None);
        assert_eq!(post(&[("Host", "a"), ("host", "a")]), None);
        assert_eq!(post(&[("Expect", "more")]), None);
        assert!(post(&[three, ("Expect", "100-Continue")]).is_some());
        for method in [HttpMethods::GET, HttpMethods::HEAD, HttpMethods::TRACE] {
            assert_eq!(framing(method, &[], 1), None);
            assert_eq!(framing(method, &[("Content-Length", "1")], 0), None);
        }
        assert_eq!(
            framing(HttpMethods::GET, &[("Expect", "100-continue")], 0),
            None
        );
    }

    #[test]
    fn authorities_and_hosts_are_found() {
        assert_eq!(authority_of("http://u:p@a:8/b?c"), Some("a:8"));
        assert_eq!(authority_of("http://a?b"), Some("a"));
        assert_eq!(authority_of("/?u=http://a"), None);
        assert_eq!(authority_of("http:///x"), None);
        assert_eq!(without_port("[::1]:80"), "[::1]");
        assert_eq!(without_port("[::1]"), "[::1]");
        assert_eq!(without_port("a"), "a");
    }
}
