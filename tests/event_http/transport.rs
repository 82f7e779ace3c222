//! What the cases are run over.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use php_event::{EventBase, EventHttp};

/// Bytes in both directions.
pub(crate) trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    #[cfg(feature = "openssl")]
    Tls,
}

impl Transport {
    /// A server that listens nowhere yet.
    pub(crate) fn http(self, base: &EventBase) -> php_event::Result<EventHttp> {
        match self {
            Self::Tcp => EventHttp::new(base),
            #[cfg(feature = "openssl")]
            Self::Tls => EventHttp::with_ssl(base, &tls::serving()),
        }
    }

    /// A client's connection to a server.
    #[allow(dead_code, reason = "not used by every test that has this file")]
    pub(crate) fn connect(self, server: SocketAddr) -> TcpStream {
        self.client(TcpStream::connect(server).unwrap())
    }

    /// What a client writes to and reads from, in place of its connection to a server.
    pub(crate) fn client(self, stream: TcpStream) -> TcpStream {
        match self {
            Self::Tcp => stream,
            #[cfg(feature = "openssl")]
            Self::Tls => test_support::tls::relayed(stream),
        }
    }

    /// A client's own end of its connection to a server, which has to be served meanwhile.
    #[allow(dead_code, reason = "not used by every test that has this file")]
    pub(crate) fn direct(self, stream: TcpStream) -> Box<dyn Stream> {
        match self {
            Self::Tcp => Box::new(stream),
            #[cfg(feature = "openssl")]
            Self::Tls => {
                let client = test_support::tls::trusting().connect("localhost", stream);
                Box::new(client.unwrap())
            }
        }
    }

    /// The scheme of the server's URIs.
    #[allow(dead_code, reason = "not used by every test that has this file")]
    pub(crate) fn scheme(self) -> &'static str {
        match self {
            Self::Tcp => "http",
            #[cfg(feature = "openssl")]
            Self::Tls => "https",
        }
    }
}

#[cfg(feature = "openssl")]
mod tls {
    use php_event::EventSslContext;
    use test_support::tls::server_file;

    pub(super) fn serving() -> EventSslContext {
        let file = server_file().into();
        let options = [(EventSslContext::OPT_LOCAL_CERT, file)];
        EventSslContext::new(EventSslContext::TLS_SERVER_METHOD, &options).unwrap()
    }
}
