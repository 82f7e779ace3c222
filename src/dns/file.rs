//! Reading of text files that people edit.
//!
//! Owns, lends to C: nothing. Runs no user code.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::{Error, Result};

/// Reads a text file; what is no UTF-8 becomes U+FFFD.
///
/// A pipe or a terminal, which may never end, is refused.
pub(super) fn read(call: &'static str, path: &Path) -> Result<String> {
    let refused = |error: io::Error| {
        let told = format!("{}: {error}", path.display());
        Error::io(call, io::Error::new(error.kind(), told))
    };
    let invalid = |reason: &str| refused(io::Error::new(io::ErrorKind::InvalidInput, reason));
    let kind = fs::metadata(path).map_err(refused)?;
    if !kind.is_file() {
        return Err(invalid("not a regular file"));
    }
    let bytes = fs::read(path).map_err(refused)?;
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(invalid("the file holds UTF-16 text; save it as UTF-8"));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    Ok(String::from_utf8_lossy(bytes).into_owned())
}
