//! `application/x-www-form-urlencoded`, as the URL standard parses it, but strict about UTF-8:
//! the standard replaces invalid bytes, and the protocol refuses them.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::Refusal;

/// One field: its name and its value.
pub(crate) type Pair = (String, String);

/// The fields of `input`, in order.
pub(crate) fn pairs(input: &[u8]) -> impl Iterator<Item = Result<Pair, Refusal>> {
    input
        .split(|&byte| byte == b'&')
        .filter(|field| !field.is_empty())
        .map(|field| {
            let mut halves = field.splitn(2, |&byte| byte == b'=');
            let name = decode(halves.next().unwrap_or_default())
                .ok_or_else(|| Refusal::bad("a field name is not valid UTF-8"))?;
            let value = decode(halves.next().unwrap_or_default())
                .ok_or_else(|| Refusal::bad(format!("the field {name:?} is not valid UTF-8")))?;
            Ok((name, value))
        })
}

fn decode(input: &[u8]) -> Option<String> {
    let spaced: Cow<'_, [u8]> = if input.contains(&b'+') {
        let replace = |&byte| if byte == b'+' { b' ' } else { byte };
        input.iter().map(replace).collect::<Vec<_>>().into()
    } else {
        input.into()
    };
    let decoded = Cow::from(percent_decode(&spaced)).into_owned();
    String::from_utf8(decoded).ok()
}
