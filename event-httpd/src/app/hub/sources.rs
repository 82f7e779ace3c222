//! How many subscribers each address has.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;

/// The network that one subscriber usually has: an IPv6 address counts as its /64.
const NETWORK_MASK: u128 = u128::MAX << 64;

/// The subscribers of each address in this worker, and their limit.
#[derive(Debug)]
pub(super) struct Sources {
    limit: Option<usize>,
    counts: Rc<RefCell<HashMap<IpAddr, usize>>>,
}

/// The place of a subscriber, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    address: IpAddr,
    counts: Rc<RefCell<HashMap<IpAddr, usize>>>,
}

/// An address has as many subscribers as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Sources {
    /// `limit` subscribers for each address; `None` for no limit.
    pub(super) fn new(limit: Option<usize>) -> Self {
        Self {
            limit,
            counts: Rc::default(),
        }
    }

    /// Whether anybody asks for addresses.
    pub(super) fn are_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// Takes a place for a subscriber. One without an address, on a unix socket, needs none.
    ///
    /// # Errors
    /// [`Full`] if the address has as many as it may.
    pub(super) fn take(&self, address: Option<IpAddr>) -> Result<Option<Place>, Full> {
        let (Some(limit), Some(address)) = (self.limit, address.map(network)) else {
            return Ok(None);
        };
        let mut counts = self.counts.borrow_mut();
        let count = counts.entry(address).or_default();
        if *count >= limit {
            return Err(Full);
        }
        *count += 1;
        Ok(Some(Place {
            address,
            counts: Rc::clone(&self.counts),
        }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.borrow_mut();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// What counts as one address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK_MASK)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn an_address_has_as_many_places_as_the_limit_until_one_leaves() {
        let sources = Sources::new(Some(2));
        let one = sources.take(address("192.0.2.1")).unwrap();
        let two = sources.take(address("192.0.2.1")).unwrap();
        assert!(sources.take(address("192.0.2.1")).is_err());
        assert!(sources.take(address("192.0.2.2")).is_ok());
        drop(one);
        assert!(sources.take(address("192.0.2.1")).is_ok());
        drop(two);
        assert!(sources.counts.borrow().is_empty());
    }

    #[test]
    fn addresses_of_one_network_count_as_one() {
        let sources = Sources::new(Some(1));
        let _six = sources.take(address("2001:db8::1")).unwrap();
        assert!(sources.take(address("2001:db8::ffff:1")).is_err());
        assert!(sources.take(address("2001:db8:0:1::1")).is_ok());
        let _four = sources.take(address("192.0.2.1")).unwrap();
        assert!(sources.take(address("::ffff:192.0.2.1")).is_err());
    }

    #[test]
    fn without_a_limit_or_an_address_there_is_always_a_place() {
        let unlimited = Sources::new(None);
        let places = [(); 3].map(|()| unlimited.take(address("::1")));
        assert!(places.iter().all(Result::is_ok));
        let limited = Sources::new(Some(1));
        let places = [(); 3].map(|()| limited.take(None));
        assert!(places.iter().all(Result::is_ok));
    }
}
