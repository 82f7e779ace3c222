//! What the cases are run over.

use std::net::{IpAddr, TcpStream};

use php_event::{EventBase, EventDnsBase, EventHttp, EventHttpConnection};

use crate::server::Stream;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    #[cfg(feature = "openssl")]
    Tls,
}

impl Transport {
    /// A client's connection, which trusts the scripted servers.
    pub(crate) fn connection(
        self,
        base: &EventBase,
        dns: Option<&EventDnsBase>,
        address: &str,
        port: u16,
    ) -> php_event::Result<EventHttpConnection> {
        match self {
            Self::Tcp => EventHttpConnection::new(base, dns, address, port),
            #[cfg(feature = "openssl")]
            Self::Tls => {
                let context = tls::trusting();
                EventHttpConnection::with_ssl(base, dns, address, port, &context)
            }
        }
    }

    /// The same to a name whose addresses are known.
    pub(crate) fn known(
        self,
        base: &EventBase,
        name: &str,
        addresses: &[IpAddr],
        port: u16,
    ) -> php_event::Result<EventHttpConnection> {
        match self {
            Self::Tcp => EventHttpConnection::with_addresses(base, name, addresses, port),
            #[cfg(feature = "openssl")]
            Self::Tls => {
                let context = tls::trusting();
                EventHttpConnection::with_addresses_and_ssl(base, name, addresses, port, &context)
            }
        }
    }

    /// A server of ours, whom these connections trust.
    pub(crate) fn http(self, base: &EventBase) -> EventHttp {
        match self {
            Self::Tcp => EventHttp::new(base).unwrap(),
            #[cfg(feature = "openssl")]
            Self::Tls => EventHttp::with_ssl(base, &tls::serving()).unwrap(),
        }
    }

    /// A server's end of a connection that was accepted. One whose handshake fails has ended.
    pub(crate) fn accepted(self, stream: TcpStream) -> Box<dyn Stream> {
        match self {
            Self::Tcp => Box::new(stream),
            #[cfg(feature = "openssl")]
            Self::Tls => tls::accepted(stream),
        }
    }
}

#[cfg(feature = "openssl")]
mod tls {
    use std::io::{self, Read, Write};
    use std::net::{Shutdown, TcpStream};
    use std::path::PathBuf;
    use std::sync::OnceLock;

    use openssl::ssl::{ShutdownState, SslAcceptor, SslMethod, SslStream};
    use php_event::EventSslContext;
    use test_support::tls::{Authority, Folder};

    use crate::server::Stream;

    /// The identity of all scripted servers.
    struct Identity {
        acceptor: SslAcceptor,
        authority: PathBuf,
        server: PathBuf,
        _folder: Folder,
    }

    fn identity() -> &'static Identity {
        static IDENTITY: OnceLock<Identity> = OnceLock::new();
        IDENTITY.get_or_init(|| {
            let (folder, authority) = (Folder::new(), Authority::new());
            let server = authority.sign(&["127.0.0.1", "::1", "web.test"]);
            let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
            acceptor.set_private_key(&server.key).unwrap();
            acceptor.set_certificate(&server.cert).unwrap();
            Identity {
                acceptor: acceptor.build(),
                authority: authority.save(&folder, "authority"),
                server: server.save(&folder, "server").both,
                _folder: folder,
            }
        })
    }

    pub(super) fn trusting() -> EventSslContext {
        let file = identity().authority.as_path().into();
        let options = [(EventSslContext::OPT_CA_FILE, file)];
        EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &options).unwrap()
    }

    pub(super) fn serving() -> EventSslContext {
        let file = identity().server.as_path().into();
        let options = [(EventSslContext::OPT_LOCAL_CERT, file)];
        EventSslContext::new(EventSslContext::TLS_SERVER_METHOD, &options).unwrap()
    }

    pub(super) fn accepted(stream: TcpStream) -> Box<dyn Stream> {
        match identity().acceptor.accept(stream) {
            Ok(stream) => Box::new(stream),
            Err(_) => Box::new(Failed),
        }
    }

    impl Stream for SslStream<TcpStream> {
        fn end_writing(&mut self) {
            self.shutdown().ok();
            self.get_ref().shutdown(Shutdown::Write).ok();
        }

        fn socket(&self) -> &TcpStream {
            self.get_ref()
        }

        fn has_ended(&mut self) -> bool {
            self.get_shutdown().contains(ShutdownState::RECEIVED)
        }
    }

    /// A connection whose handshake has failed.
    struct Failed;

    impl Read for Failed {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }
    }

    impl Write for Failed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Stream for Failed {
        fn end_writing(&mut self) {}

        fn socket(&self) -> &TcpStream {
            unreachable!("the handshake has failed")
        }

        fn has_ended(&mut self) -> bool {
            false
        }
    }
}
