//! A lock on an address: its server does not share the port.
//!
//! Workers share their master's port by `SO_REUSEPORT`, and the kernel lets every process of the
//! same user join that has the option. The lock is a unix socket bound to a name made from the
//! address, in Linux's abstract namespace: it belongs to the network namespace, as ports do, and
//! goes with its process, however that ends.
//!
//! It keeps out other instances of this server. It cannot keep out other programs that set
//! `SO_REUSEPORT`, nor an address that only overlaps (`0.0.0.0` and `127.0.0.1`), of which the
//! kernel prefers the more specific. A stranger who binds the name first makes instances with
//! `--share-port` fail; a server without it goes on, with a warning. On other systems than Linux
//! there is no lock.

use std::io;
#[cfg(target_os = "linux")]
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixDatagram;

/// A locked address, until this is dropped.
#[derive(Debug)]
pub(crate) struct PortLock {
    _socket: UnixDatagram,
}

impl PortLock {
    /// Locks an address such as `127.0.0.1:9999`. `None` where that is not possible: the server
    /// works without, and says what that means.
    pub(crate) fn take(address: &str) -> Option<Self> {
        match bind(address) {
            Ok(socket) => socket.map(|socket| Self { _socket: socket }),
            Err(error) => {
                tracing::warn!("an instance with --share-port can join {address}: {error}");
                None
            }
        }
    }

    /// Whether a server that does not share its port holds the lock.
    pub(crate) fn is_taken(address: &str) -> bool {
        connect(address).is_ok_and(|connected| connected.is_some())
    }
}

#[cfg(target_os = "linux")]
fn name(address: &str) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    SocketAddr::from_abstract_name(format!("event-httpd {address}"))
}

#[cfg(target_os = "linux")]
fn bind(address: &str) -> io::Result<Option<UnixDatagram>> {
    UnixDatagram::bind_addr(&name(address)?).map(Some)
}

/// A socket connected to the one that is bound. It binds nothing itself: for the moment that it
/// takes, others would find the address locked.
#[cfg(target_os = "linux")]
fn connect(address: &str) -> io::Result<Option<UnixDatagram>> {
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&name(address)?)?;
    Ok(Some(socket))
}

#[cfg(not(target_os = "linux"))]
fn bind(_address: &str) -> io::Result<Option<UnixDatagram>> {
    Ok(None)
}

#[cfg(not(target_os = "linux"))]
fn connect(_address: &str) -> io::Result<Option<UnixDatagram>> {
    Ok(None)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn an_address_is_locked_once_until_its_lock_is_dropped() {
        let address = format!("test {}", std::process::id());
        assert!(!PortLock::is_taken(&address));
        let lock = PortLock::take(&address).unwrap();
        assert!(PortLock::is_taken(&address));
        assert!(PortLock::take(&address).is_none());
        drop(lock);
        assert!(!PortLock::is_taken(&address));
    }

    #[test]
    fn servers_that_look_at_the_same_time_do_not_find_each_other() {
        let address = format!("looked at {}", std::process::id());
        let look = || (0..10_000).any(|_| PortLock::is_taken(&address));
        let found = thread::scope(|scope| {
            let other = scope.spawn(look);
            look() | other.join().unwrap()
        });
        assert!(!found);
    }
}
