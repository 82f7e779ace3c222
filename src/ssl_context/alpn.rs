//! The application protocols that a context offers or accepts (ALPN).
//!
//! Owns nothing, lends nothing to C, runs no user code.

use crate::error::{Error, Result};

/// A list of protocol names as it is sent: each name after its length.
#[derive(Clone, Debug, Default)]
pub(super) struct Protocols(Vec<u8>);

impl Protocols {
    pub(super) fn new(call: &'static str, names: &[&str]) -> Result<Self> {
        let mut wire = Vec::new();
        for name in names {
            let length = u8::try_from(name.len()).ok().filter(|length| *length > 0);
            let Some(length) = length else {
                let reason = format!(
                    "a protocol name has 1 to 255 bytes, {name:?} has {}",
                    name.len()
                );
                return Err(Error::argument(call, reason));
            };
            wire.push(length);
            wire.extend_from_slice(name.as_bytes());
        }
        if wire.len() > u16::MAX.into() {
            let reason = "the names together are too long to be sent";
            return Err(Error::argument(call, reason));
        }
        Ok(Self(wire))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn wire(&self) -> &[u8] {
        &self.0
    }

    /// The first of these protocols that the client offers, out of the client's list.
    pub(super) fn first_offered<'a>(&self, offered: &'a [u8]) -> Option<&'a [u8]> {
        common(&self.0, offered)
    }
}

pub(super) fn common<'a>(ours: &[u8], offered: &'a [u8]) -> Option<&'a [u8]> {
    names(ours).find_map(|name| names(offered).find(|theirs| *theirs == name))
}

/// The names of a list, up to the first that is cut off.
fn names(mut wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = wire.split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        wire = rest;
        Some(name)
    })
}
