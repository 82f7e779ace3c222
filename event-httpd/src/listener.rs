//! The listening sockets, and the descriptor limit, which bounds the number of clients.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::SockRef;

use crate::config::{Config, Listen};
use crate::error::ServerError;
use php_event::Error;
use php_event::process::{Pid, getpid};
use php_event::stream::{
    ContextOptions, Stream, StreamContext, stream_context_create, stream_socket_client,
    stream_socket_get_name, stream_socket_server,
};

/// Descriptors that are not clients: the standard streams, the listener, those of libevent.
const RESERVED: u64 = 16;

/// The listening sockets of one address, and the file of a unix socket.
pub(crate) struct Listening {
    streams: RefCell<Vec<Stream>>,
    address: String,
    _file: Option<SocketFile>, // removes the file when it drops
}

/// A unix socket in the file system. The process that made it removes it, unless another server
/// has replaced it meanwhile.
struct SocketFile {
    path: String,
    identity: Option<(u64, u64)>, // device and inode
    owner: Pid,
}

impl SocketFile {
    fn new(path: &str) -> Self {
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

fn identity(path: &str) -> Option<(u64, u64)> {
    fs::symlink_metadata(path)
        .ok()
        .map(|file| (file.dev(), file.ino()))
}

impl Listening {
    /// Binds and listens, with one socket for each of `workers`; they share one on a unix path.
    ///
    /// The first socket is bound without `SO_REUSEPORT`, so that a second instance is refused.
    /// Then it gets the option, so that the sockets of the other workers can join.
    pub(crate) fn on(config: &Config, workers: usize) -> Result<Self, ServerError> {
        let context = context(config, config.share_port());
        let url = config.listen().url();
        let mut bound = stream_socket_server(&url, &context);
        if let (Listen::Unix(path), Err(error)) = (config.listen(), &bound)
            && error.kind() == io::ErrorKind::AddrInUse
            && is_left_over(path)
            && fs::remove_file(path).is_ok()
        {
            bound = stream_socket_server(&url, &context);
        }
        let failed = |error| listen_error(config.listen(), &error);
        let first = bound.map_err(failed)?;
        match config.listen() {
            Listen::Unix(path) => Ok(Self {
                streams: RefCell::new(vec![first]),
                address: config.listen().to_string(),
                _file: Some(SocketFile::new(path)),
            }),
            Listen::Tcp(host) => {
                let address = stream_socket_get_name(&first, false).unwrap_or_else(|| host.clone());
                let mut streams = vec![first];
                if workers > 1 {
                    Self::add_sockets(config, &address, workers, &mut streams).map_err(failed)?;
                }
                Ok(Self {
                    streams: RefCell::new(streams),
                    address,
                    _file: None,
                })
            }
        }
    }

    fn add_sockets(
        config: &Config,
        address: &str,
        workers: usize,
        streams: &mut Vec<Stream>,
    ) -> Result<(), Error> {
        for first in &*streams {
            SockRef::from(first)
                .set_reuse_port(true)
                .map_err(|source| Error::Io {
                    call: "setsockopt",
                    source,
                })?;
        }
        let shared = context(config, true);
        while streams.len() < workers {
            streams.push(stream_socket_server(&format!("tcp://{address}"), &shared)?);
        }
        Ok(())
    }

    /// The address with the port that it got.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The socket of the worker in that slot; none after [`close`](Self::close).
    pub(crate) fn stream(&self, slot: usize) -> Option<Stream> {
        let streams = self.streams.borrow();
        streams.get(slot).or(streams.first()).cloned()
    }

    /// Drops the sockets. When the workers have dropped theirs too, connections are refused.
    pub(crate) fn close(&self) {
        self.streams.take();
    }
}

fn context(config: &Config, so_reuseport: bool) -> StreamContext {
    let options = ContextOptions::new()
        .backlog(config.backlog())
        .so_reuseport(so_reuseport)
        .tcp_nodelay(!matches!(config.listen(), Listen::Unix(_)));
    stream_context_create(options)
}

/// Whether a server left the socket file behind when it ended: nothing accepts there.
fn is_left_over(path: &str) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let connected = stream_socket_client(
        &format!("unix://{path}"),
        Duration::from_secs(1),
        &StreamContext::default(),
    );
    is_socket && connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn listen_error(listen: &Listen, error: &Error) -> ServerError {
    let text = error.to_string();
    let prefix = format!("{}: {}: ", error.call(), listen.url());
    ServerError::Listen {
        address: listen.to_string(),
        cause: text.strip_prefix(&prefix).unwrap_or(&text).to_owned(),
        remedy: match error.kind() {
            io::ErrorKind::AddrInUse if matches!(listen, Listen::Unix(_)) => {
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

/// Raises the soft descriptor limit to the hard one. Returns how many clients that allows.
pub(crate) fn raise_descriptor_limit() -> usize {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).map(|(soft, hard)| {
        match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
            Ok(()) => hard,
            Err(_) => soft,
        }
    });
    let limit = raised.unwrap_or(1024);
    tracing::debug!("descriptor limit: {limit}");
    usize::try_from(limit.saturating_sub(RESERVED).max(1)).unwrap_or(usize::MAX)
}
