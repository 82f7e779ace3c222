//! Random bytes from the system.
#![allow(unsafe_code)]

use std::io;

use nix::errno::Errno;

/// Fills an array with unpredictable bytes, at most 256 in one call.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    const { assert!(N <= 256) };
    let mut bytes = [0; N];
    loop {
        // SAFETY: the system writes at most `N` bytes to `bytes`.
        let n = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), N, 0) };
        match Errno::result(n) {
            Ok(n) if n.cast_unsigned() == N => return Ok(bytes),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Has OpenSSL take fresh random bytes from the system. Tells whether it could.
#[cfg(feature = "openssl")]
pub(crate) fn poll_openssl() -> bool {
    openssl::init();
    // SAFETY: takes nothing from us, and OpenSSL is initialized.
    unsafe { crate::ffi::RAND_poll() == 1 }
}
