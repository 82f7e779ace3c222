//! PHP's `event` extension in Rust: a safe wrapper over libevent 2.1, with the classes,
//! methods and constants of PECL event under their own names.
//!
//! A method has PHP's name in snake_case: `addTimer` is `add_timer`, `loop` is `r#loop`.
//! Where PHP returns `false` with a warning, throws or crashes, a method here returns an
//! [`EventException`].
//!
//! ```
//! use php_event::stream::{StreamContext, fread, stream_socket_accept, stream_socket_server};
//! use php_event::{Event, EventBase};
//! use std::time::Duration;
//!
//! let base = EventBase::new()?;
//! let server = stream_socket_server("tcp://127.0.0.1:0", &StreamContext::default())?;
//! # let address = php_event::stream::stream_socket_get_name(&server, false).unwrap();
//! let accept = Event::new(&base, server, Event::READ, |server, _what, _event| {
//!     let Ok(client) = stream_socket_accept(server, Duration::ZERO) else { return };
//!     println!("{:?}", fread(&client, 100));
//! })?;
//! accept.add(None)?;
//! # std::io::Write::write_all(&mut std::net::TcpStream::connect(address)?, b"hello")?;
//! base.r#loop(EventBase::LOOP_ONCE)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to begin
//!
//! An [`EventBase`] is a loop. An [`Event`] waits for a descriptor, a signal or a time, and calls a
//! closure. An [`EventListener`] accepts connections, an [`EventBufferEvent`] reads and writes one, with
//! or without TLS, and an [`EventBuffer`] has its bytes. [`EventHttp`] is an HTTP server,
//! [`EventHttpConnection`] a client, and [`EventDnsBase`] looks names up. The modules [`stream`] and
//! [`process`] have the functions that PHP programs use alongside these classes. The repository's
//! folder `examples` has a program for each, and `API.md` the PHP name of every item.
//!
//! # Build
//!
//! The build links the system's libevent, 2.1.12 or newer and below 2.2. It needs the headers of
//! libevent and OpenSSL, pkg-config and a C compiler: on Debian and Ubuntu, `libevent-dev libssl-dev
//! pkg-config gcc`. Where one is missing, the build names the packages to install.
//!
//! # Features
//!
//! - `openssl` (default): the TLS classes and methods, which need OpenSSL 1.1.1 or newer and
//!   `libevent_openssl`.
//! - `bundled`: builds libevent 2.1.12 from source, without the security fixes of 2026 that
//!   distributions have added to theirs. Needs cmake 3 and libclang.
//! - `bindgen`: generates libevent's declarations during the build. Platforms other than Linux on
//!   64-bit x86 and ARM need it, and libclang.
//!
//! # Threads
//!
//! A base and all that belongs to it stay on the thread that made them: the handles are neither
//! `Send` nor `Sync`. Each thread may have bases of its own. Signals belong to one base in the
//! process at a time. To wake a loop from another thread, see [`Event::waker`].
//!
//! # Fork
//!
//! [`process::fork`] works outside callbacks and in a process with one thread. In the child, a base
//! made before returns errors until [`EventBase::re_init`] is called, and handles dropped before
//! that leave the parent's events alone.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod address;
mod base;
mod buffer;
mod buffer_event;
mod config;
mod constants;
mod dns;
mod event;
mod ffi;
mod flags;
mod http;
mod listener;
mod native;
pub mod process;
mod runtime;
#[cfg(feature = "openssl")]
mod ssl_context;
pub mod stream;
mod util;
mod waker;

use http_framing as codec;

pub use address::{Address, AddressError, SocketName};
pub use base::{EventBase, LoopEnd, MAX_TIMEOUT};
pub use buffer::EventBuffer;
pub use buffer_event::{Callbacks, EventBufferEvent, Filters, RateLimit};
pub use config::EventConfig;
pub use dns::{DnsError, EventDnsBase, Lookup, LookupOptions};
pub use event::{Event, EventWith, Handler};
#[cfg(feature = "openssl")]
pub use flags::SslState;
pub use flags::{
    AddressFamily, BaseFlags, BufferEventFlags, BufferEventOptions, DnsFlags, DnsOptions, EolStyle,
    EventFeatures, EventFlags, FilterResult, FlushMode, HeaderSide, HttpMethods, ListenerFlags,
    LoopFlags, PtrHow, SocketLevel, SocketOption, SocketType,
};
pub use http::{
    EventHttp, EventHttpConnection, EventHttpRequest, HttpBody, HttpBodyError, HttpError,
};
pub use listener::{EventListener, ListenerTarget};
pub use runtime::error::{Error, Error as EventException, Result};
use runtime::{error, log};
#[cfg(feature = "openssl")]
pub use ssl_context::{EventSslContext, SslMethod, SslOption, SslValue, SslVersion};
pub use util::{EventUtil, SocketOptionValue};
pub use waker::Waker;

/// The namespace of the classes. PHP: `EVENT_NS`, empty as there.
pub const EVENT_NS: &str = "";

/// Compiles the README's programs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
