//! The entry points of `EventDnsBase`: the answers to a lookup's queries. They only note
//! what came; the lookup's timer calls the user's closure.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void};

use crate::dns::{Family, find};
use crate::ffi;

/// # Safety
/// Registered only with `evdns_base_resolve_ipv4`, which gives `count` addresses of IPv4.
pub(crate) unsafe extern "C" fn on_ipv4_answer(
    result: c_int,
    _kind: c_char,
    count: c_int,
    _ttl: c_int,
    addresses: *mut c_void,
    key: *mut c_void,
) {
    // SAFETY: the caller's duty.
    unsafe { answer(Family::Ipv4, result, count, addresses, key) };
}

/// # Safety
/// Registered only with `evdns_base_resolve_ipv6`, which gives `count` addresses of IPv6.
pub(crate) unsafe extern "C" fn on_ipv6_answer(
    result: c_int,
    _kind: c_char,
    count: c_int,
    _ttl: c_int,
    addresses: *mut c_void,
    key: *mut c_void,
) {
    // SAFETY: the caller's duty.
    unsafe { answer(Family::Ipv6, result, count, addresses, key) };
}

/// # Safety
/// `addresses` is null, or `count` addresses of `family` can be read there.
unsafe fn answer(
    family: Family,
    result: c_int,
    count: c_int,
    addresses: *const c_void,
    key: *mut c_void,
) {
    let Some(lookup) = find(key.addr()) else {
        return; // cancelled, or its time was over
    };
    let length = usize::try_from(count).unwrap_or(0) * family.length();
    // SAFETY: the caller's duty; C keeps its answer until this function returns.
    let addresses = unsafe { ffi::bytes(addresses, length) };
    lookup.answered(family, result, addresses);
}
