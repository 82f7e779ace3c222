//! Whom a client talks to: the address, and whether with TLS.
//!
//! Owns: a handle of the DNS base, and one of the TLS context. Lends nothing to C, runs no user
//! code.

#[cfg(feature = "openssl")]
use std::cell::OnceCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use socket2::SockAddr;

#[cfg(feature = "openssl")]
use crate::EventSslContext;
use crate::address::{self, Address, with_port};
use crate::error::{Error, Result};
use crate::flags::BufferEventOptions;
#[cfg(feature = "openssl")]
use crate::flags::SslState;
use crate::http::headers;
use crate::{EventBase, EventBufferEvent, EventDnsBase, base};

pub(super) struct Target {
    /// As it was given.
    pub(super) address: String,
    pub(super) port: u16,
    pub(super) host: Host,
    #[cfg(feature = "openssl")]
    context: OnceCell<EventSslContext>, // empty without TLS
}

pub(super) enum Host {
    Address(SocketAddr),
    Name(EventDnsBase),
    /// A name whose addresses are known; there is at least one.
    Known(Vec<SocketAddr>),
    Unix(SockAddr),
}

impl Target {
    pub(super) fn checked(
        call: &'static str,
        base: &Rc<base::Inner>,
        dns: Option<&EventDnsBase>,
        address: &str,
        port: u16,
    ) -> Result<Self> {
        Ok(Self {
            address: address.to_owned(),
            port,
            host: Host::checked(call, base, dns, address, port)?,
            #[cfg(feature = "openssl")]
            context: OnceCell::new(),
        })
    }

    /// A name whose addresses the caller has looked up.
    pub(super) fn known(
        call: &'static str,
        name: &str,
        addresses: &[IpAddr],
        port: u16,
    ) -> Result<Self> {
        headers::check_line(call, "host name", name.as_bytes())?;
        if addresses.is_empty() {
            return Err(Error::argument(call, "give at least one address"));
        }
        let addresses = addresses.iter().map(|ip| SocketAddr::new(*ip, port));
        Ok(Self {
            address: name.to_owned(),
            port,
            host: Host::Known(addresses.collect()),
            #[cfg(feature = "openssl")]
            context: OnceCell::new(),
        })
    }

    /// Has the connections that are made from now on speak TLS.
    #[cfg(feature = "openssl")]
    pub(super) fn speak_tls(&self, call: &'static str, context: &EventSslContext) -> Result<()> {
        if matches!(self.host, Host::Unix(_)) {
            let reason = "a unix socket has no name that a certificate could have";
            return Err(Error::argument(call, reason));
        }
        context.connecting(call, Some(&self.name()))?; // so that what is wrong shows here
        self.context.set(context.clone()).ok(); // it is empty: `with_ssl` calls this once
        Ok(())
    }

    fn speaks_tls(&self) -> bool {
        #[cfg(feature = "openssl")]
        return self.context.get().is_some();
        #[cfg(not(feature = "openssl"))]
        false
    }

    pub(super) fn peer(&self) -> (String, u16) {
        (self.address.clone(), self.port)
    }

    /// The host as the server's certificate must have it: an address without its zone, which
    /// means nothing to anybody else.
    fn name(&self) -> String {
        match &self.host {
            Host::Address(address) => address.ip().to_string(),
            Host::Name(_) | Host::Known(_) => self.address.clone(),
            Host::Unix(_) => "localhost".to_owned(),
        }
    }

    /// Whom requests go to, as the `Host` field has it.
    pub(super) fn authority(&self) -> String {
        let host = match &self.host {
            Host::Unix(_) => return self.name(),
            Host::Address(SocketAddr::V6(address)) => format!("[{}]", address.ip()),
            _ => self.name(),
        };
        let usual = if self.speaks_tls() { 443 } else { 80 };
        match self.port {
            port if port == usual => host,
            port => format!("{host}:{port}"),
        }
    }

    /// Refuses port 0, which no server can have.
    pub(super) fn check_port(&self, call: &'static str) -> Result<()> {
        match (&self.host, self.port) {
            (Host::Unix(_), _) | (_, 1..) => Ok(()),
            (_, 0) => Err(Error::argument(call, "there is no port 0 to connect to")),
        }
    }

    /// Refuses a local address from which the server cannot be reached.
    pub(super) fn check_local(&self, call: &'static str, local: &SocketAddr) -> Result<()> {
        match &self.host {
            Host::Address(peer) if peer.is_ipv4() != local.is_ipv4() => {
                let (local, peer) = (local.ip(), peer.ip());
                let reason = format!("{local} is of another IP version than {peer}");
                Err(Error::argument(call, reason))
            }
            Host::Known(peers) if peers.iter().all(|peer| peer.is_ipv4() != local.is_ipv4()) => {
                let (local, name) = (local.ip(), &self.address);
                let reason = format!("{name} has no address of the IP version of {local}");
                Err(Error::argument(call, reason))
            }
            Host::Unix(_) => Err(Error::argument(call, "a unix socket has no IP address")),
            _ => Ok(()),
        }
    }

    /// A buffer event that is to be connected to the target.
    pub(super) fn unconnected(&self, base: &EventBase) -> Result<EventBufferEvent> {
        let options = BufferEventOptions::empty();
        #[cfg(feature = "openssl")]
        if let Some(context) = self.context.get() {
            let state = SslState::Connecting;
            let bev = EventBufferEvent::ssl_unconnected(base, context, state, options)?;
            bev.set_ssl_host(&self.name())?;
            return Ok(bev);
        }
        EventBufferEvent::unconnected(base, options)
    }
}

impl Host {
    fn checked(
        call: &'static str,
        base: &Rc<base::Inner>,
        dns: Option<&EventDnsBase>,
        address: &str,
        port: u16,
    ) -> Result<Self> {
        let refused = |reason: String| Err(Error::argument(call, reason));
        let scheme = address.get(.."unix:".len());
        if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("unix:")) {
            if port != 0 {
                return refused(format!("{address:?} has no ports: give 0"));
            }
            let path = address.parse::<Address>().map_err(|error| error.of(call))?;
            return match path.for_system() {
                Ok(path) => Ok(Self::Unix(path)),
                Err(error) => refused(format!("{address:?}: {error}")),
            };
        }
        match (address::Host::parse_ip(address), dns) {
            (Err(error), _) => Err(error.of(call)),
            (Ok(Some(ip)), _) => Ok(Self::Address(with_port(ip, port))),
            (Ok(None), Some(dns)) if dns.is_on(base) => {
                headers::check_line(call, "host name", address.as_bytes())?;
                Ok(Self::Name(dns.clone()))
            }
            (Ok(None), Some(_)) => refused("the DNS base is of another event base".to_owned()),
            (Ok(None), None) => refused(format!(
                "{address:?} is no IP address; give one, or a DNS base for a name"
            )),
        }
    }
}
