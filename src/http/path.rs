//! The path of a request, as it is compared with those that have closures.
//!
//! Owns, lends to C: nothing. Runs no user code.

/// Replaces `%` and two hexadecimal digits by the byte they stand for; leaves what is none.
pub(super) fn decoded(path: &[u8]) -> Vec<u8> {
    let hex = |byte: u8| char::from(byte).to_digit(16);
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        let escaped = match tail {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        let (byte, used) = match escaped {
            Some((high, low)) => (u8::try_from(high * 16 + low).unwrap_or(*first), 3),
            None => (*first, 1),
        };
        decoded.push(byte);
        rest = rest.get(used..).unwrap_or_default();
    }
    decoded
}

/// The path of a request's target, with its escapes; as evhttp finds it.
pub(super) fn of_target(target: &str) -> &str {
    let rest = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => {
            let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            rest.get(authority..).unwrap_or_default()
        }
        _ => target,
    };
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{decoded, of_target};

    #[test]
    fn escapes_are_decoded_once_and_what_is_none_stays() {
        assert_eq!(decoded(b"/a%20b%2Fc"), b"/a b/c");
        assert_eq!(decoded(b"/%2541+%4"), b"/%41+%4");
        assert_eq!(decoded(b"/%zz%4g%"), b"/%zz%4g%");
        assert_eq!(decoded(b"/%C3%a9"), "/é".as_bytes());
        assert_eq!(decoded(b""), b"");
    }

    #[test]
    fn path_of_a_target_is_what_stands_before_the_query_and_behind_the_host() {
        assert_eq!(of_target("/a%20b?q=://x/y"), "/a%20b");
        assert_eq!(of_target("/a://b/c"), "/a://b/c");
        assert_eq!(of_target("http://host:80/a/b?q"), "/a/b");
        assert_eq!(of_target("http://host?q=/a"), "");
        assert_eq!(of_target("//x/y"), "//x/y");
        assert_eq!(of_target("*"), "*");
    }
}
