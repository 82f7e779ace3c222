//! `EventDnsBase`.

use crate::call::{Call, Failure, Value};

/// `__construct(EventBase $base, mixed $initialize)`
pub(crate) fn construct(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventDnsBase::__construct is not there yet".to_owned()))
}

/// `parseResolvConf(int $flags, string $filename): bool`
pub(crate) fn parse_resolv_conf(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventDnsBase::parseResolvConf is not there yet".to_owned()))
}

/// `addNameserverIp(string $ip): bool`
pub(crate) fn add_nameserver_ip(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventDnsBase::addNameserverIp is not there yet".to_owned()))
}

/// `loadHosts(string $hosts): bool`
pub(crate) fn load_hosts(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventDnsBase::loadHosts is not there yet".to_owned()))
}

/// `clearSearch(): void`
pub(crate) fn clear_search(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventDnsBase::clearSearch is not there yet".to_owned()))
}

/// `addSearch(string $domain): void`
pub(crate) fn add_search(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventDnsBase::addSearch is not there yet".to_owned()))
}

/// `setSearchNdots(int $ndots): void`
pub(crate) fn set_search_ndots(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventDnsBase::setSearchNdots is not there yet".to_owned()))
}

/// `setOption(string $option, string $value): bool`
pub(crate) fn set_option(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventDnsBase::setOption is not there yet".to_owned()))
}

/// `countNameservers(): int`
pub(crate) fn count_nameservers(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventDnsBase::countNameservers is not there yet".to_owned()))
}
