//! The listening sockets.

use std::cell::RefCell;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::stat::{Mode, umask};
use socket2::SockRef;

use crate::config::{Config, Listen};
use crate::error::ServerError;
use crate::port_lock::PortLock;
use php_event::Error;
use php_event::process::{Pid, getpid};
use php_event::stream::{
    ContextOptions, Stream, StreamContext, stream_context_create, stream_socket_client,
    stream_socket_get_name, stream_socket_server, stream_socket_servers,
};

/// The listening sockets: for each worker's slot one on each address.
pub(crate) struct Listening {
    slots: RefCell<Vec<Vec<Stream>>>,
    addresses: Vec<String>,
    _locks: Vec<PortLock>,     // held as long as the sockets may be joined
    _file: Option<SocketFile>, // removes the file when it drops
}

/// A unix socket in the file system. The process that made it removes it, unless another server
/// has replaced it meanwhile.
struct SocketFile {
    path: PathBuf,
    identity: Option<Identity>,
    owner: Pid,
}

impl SocketFile {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            identity: identity(path),
            owner: getpid(),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.owner == getpid()
            && self.identity.is_some()
            && identity(&self.path) == self.identity
        {
            fs::remove_file(&self.path).ok(); // it may be gone already
        }
    }
}

/// Tells a socket file from one that another server has made in its place: device, inode, and the
/// time at which it was made, since a file system gives the inode of a removed file to the next.
type Identity = (u64, u64, (i64, i64));

fn identity(path: &Path) -> Option<Identity> {
    let file = fs::symlink_metadata(path).ok()?;
    // Nothing changes it later: not connections, nor another owner or mode.
    let made = (file.mtime(), file.mtime_nsec());
    Some((file.dev(), file.ino(), made))
}

impl Listening {
    /// Binds and listens, with one socket on each address for each of `workers`; they share one
    /// on a unix socket.
    pub(crate) fn on(config: &Config, workers: usize) -> Result<Self, ServerError> {
        let failed = |error| listen_error(config.listen(), &error);
        if config.listen().is_unix() {
            Self::on_unix(config).map_err(failed)
        } else {
            Self::on_tcp(config, workers).map_err(failed)
        }
    }

    /// The first socket of an address is bound without `SO_REUSEPORT`, so that a second instance is
    /// refused. Then it gets the option, so that the sockets of the other workers can join; a lock
    /// keeps instances with `--share-port` from joining, too.
    fn on_tcp(config: &Config, workers: usize) -> Result<Self, Error> {
        let share = config.share_port();
        let url = config.listen().url();
        if share {
            refuse_locked(&config.listen().resolve())?;
        }
        let first = stream_socket_servers(&url, &context(config, share))?;
        let name = |stream: &Stream| stream_socket_get_name(stream, false).unwrap_or_default();
        let addresses = first.iter().map(name).collect::<Vec<_>>();
        let mut locks = Vec::new();
        let mut slots = vec![first];
        if share {
            refuse_locked(&addresses)?;
        } else if workers > 1 {
            locks.extend(addresses.iter().filter_map(|name| PortLock::take(name)));
        }
        if workers > 1 {
            slots.iter().flatten().try_for_each(allow_joining)?;
            let several = addresses.len() > 1;
            while slots.len() < workers {
                let join = |address: &String| {
                    let options = options(config, true);
                    let options = if several {
                        options.ipv6_v6only(true)
                    } else {
                        options
                    };
                    stream_socket_server(address, &stream_context_create(options))
                };
                slots.push(addresses.iter().map(join).collect::<Result<_, _>>()?);
            }
        }
        Ok(Self {
            slots: RefCell::new(slots),
            addresses,
            _locks: locks,
            _file: None,
        })
    }

    fn on_unix(config: &Config) -> Result<Self, Error> {
        let (listen, context) = (config.listen(), context(config, false));
        let path = listen.path();
        let bind = || {
            // The file must not be open to more than it should be, not even for a moment.
            let mode = config.socket_mode().map(|mode| umask(!mode & Mode::all()));
            let bound = stream_socket_server(&listen.url(), &context);
            if let Some(mode) = mode {
                umask(mode);
            }
            bound
        };
        let mut bound = bind();
        if let (Some(path), Err(error)) = (path, &bound)
            && error.kind() == io::ErrorKind::AddrInUse
            && is_left_over(path)
            && fs::remove_file(path).is_ok()
        {
            bound = bind();
        }
        let stream = bound?;
        let file = path.map(SocketFile::new);
        if let Some(path) = path {
            set_access(config, path)?;
        }
        Ok(Self {
            slots: RefCell::new(vec![vec![stream]]),
            addresses: vec![listen.to_string()],
            _locks: Vec::new(),
            _file: file,
        })
    }

    /// The addresses with the ports that they got, for people.
    pub(crate) fn address(&self) -> String {
        self.addresses.join(" and ")
    }

    /// The sockets of the worker in that slot; none after [`close`](Self::close).
    pub(crate) fn streams(&self, slot: usize) -> Vec<Stream> {
        let slots = self.slots.borrow();
        slots
            .get(slot)
            .or(slots.first())
            .cloned()
            .unwrap_or_default()
    }

    /// Drops the sockets. When the workers have dropped theirs too, connections are refused.
    pub(crate) fn close(&self) {
        self.slots.take();
    }
}

fn allow_joining(stream: &Stream) -> Result<(), Error> {
    let set = SockRef::from(stream).set_reuse_port(true);
    set.map_err(|source| Error::Io {
        call: "setsockopt",
        source,
    })
}

/// Fails if a server that does not share its port listens on one of the addresses.
fn refuse_locked(addresses: &[String]) -> Result<(), Error> {
    if addresses.iter().any(|address| PortLock::is_taken(address)) {
        return Err(Error::Io {
            call: "stream_socket_servers",
            source: io::Error::from_raw_os_error(libc::EADDRINUSE),
        });
    }
    Ok(())
}

/// Gives the socket's file the group and the mode that the operator wants.
fn set_access(config: &Config, path: &Path) -> Result<(), Error> {
    let group = config.socket_group();
    let owned = group.map_or(Ok(()), |group| chown(path, None, Some(group.as_raw())));
    let done = owned.and_then(|()| match config.socket_mode() {
        Some(mode) => fs::set_permissions(path, Permissions::from_mode(mode.bits())),
        None => Ok(()),
    });
    done.map_err(|source| Error::Io {
        call: "chown",
        source,
    })
}

fn options(config: &Config, so_reuseport: bool) -> ContextOptions {
    ContextOptions::default()
        .backlog(config.backlog())
        .so_reuseport(so_reuseport)
        .tcp_nodelay(!config.listen().is_unix())
}

fn context(config: &Config, so_reuseport: bool) -> StreamContext {
    stream_context_create(options(config, so_reuseport))
}

/// Whether a server left the socket file behind when it ended: nothing accepts there.
fn is_left_over(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let connected = stream_socket_client(
        &format!("unix://{}", path.display()),
        Duration::from_secs(1),
        &StreamContext::default(),
    );
    is_socket && connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn listen_error(listen: &Listen, error: &Error) -> ServerError {
    let text = error.to_string();
    let cause = text
        .strip_prefix(&format!("{}: ", error.call()))
        .unwrap_or(&text);
    let cause = cause
        .strip_prefix(&format!("{}: ", listen.url()))
        .unwrap_or(cause);
    ServerError::Listen {
        address: listen.to_string(),
        cause: cause.to_owned(),
        remedy: match error.kind() {
            io::ErrorKind::AddrInUse if listen.is_unix() => {
                "; a server listens there, or the file is not a socket: choose another path"
            }
            io::ErrorKind::AddrInUse => {
                "; choose another --listen address, or give --share-port to both servers"
            }
            io::ErrorKind::AddrNotAvailable => "; no interface of this machine has that address",
            io::ErrorKind::PermissionDenied => {
                "; a port below 1024 needs a privilege, a path needs a writable directory"
            }
            _ => "",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use crate::config::Command;

    /// A file system may give the new file the inode of the old one.
    #[test]
    fn a_server_that_ends_leaves_the_socket_file_of_its_successor() {
        let path = std::env::temp_dir().join(format!("event-httpd test {}", getpid()));
        let listen = format!("unix:{}", path.display());
        let Command::Server(config) = Cli::parsed_from(&["serve", "--listen", &listen]) else {
            panic!("serve is a server");
        };
        let first = Listening::on(&config, 1).unwrap();
        first.close();
        let second = Listening::on(&config, 1).unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }
}
