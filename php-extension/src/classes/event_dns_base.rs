//! `EventDnsBase`.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;

use php_event::{DnsFlags, DnsOptions, EventBase, EventDnsBase};

use crate::call::{Argument, Call, Failure, Value};
use crate::object::Object;

impl Object for EventDnsBase {}

/// `__construct(EventBase $base, int|bool $initialize)`
pub(crate) fn construct(call: &mut Call) -> Result<Value, Failure> {
    let base = call.object::<EventBase>(0)?;
    let flags = match call.argument(1) {
        Argument::Bool(initialize) => Some(i64::from(initialize)),
        Argument::Int(flags) => Some(flags),
        _ => None,
    };
    let Some(flags) = flags else {
        return Err(Failure::Type(2, "must be of type int|bool".to_owned()));
    };
    let known = i32::try_from(flags).ok().and_then(DnsFlags::from_bits);
    let flags = known.ok_or_else(|| {
        Failure::EventException(format!(
            "Invalid initialization flags {flags}: give EventDnsBase::* constants"
        ))
    })?;
    match EventDnsBase::new(&base, flags) {
        Ok(dns) => call.construct(dns),
        Err(error) => Err(Failure::EventException(error.reason().into_owned())),
    }
}

/// `parseResolvConf(int $flags, string $filename): bool`
pub(crate) fn parse_resolv_conf(call: &mut Call) -> Result<Value, Failure> {
    let dns = call.this::<EventDnsBase>()?;
    let flags = call.int(0).and_then(|flags| i32::try_from(flags).ok());
    let Some(flags) = flags.and_then(DnsOptions::from_bits) else {
        return Err(Failure::Warning(
            "Invalid flags: give EventDnsBase::OPTION_* constants".to_owned(),
        ));
    };
    let path = OsStr::from_bytes(call.bytes(1).unwrap_or_default());
    let parsed = dns.parse_resolv_conf(flags, path);
    if parsed
        .as_ref()
        .is_err_and(|error| error.kind() == ErrorKind::NotFound)
    {
        let path = path.to_string_lossy();
        return Err(Failure::Warning(format!("Failed to open file {path}")));
    }
    call.done(parsed)
}

/// `addNameserverIp(string $ip): bool`
pub(crate) fn add_nameserver_ip(call: &mut Call) -> Result<Value, Failure> {
    let dns = call.this::<EventDnsBase>()?;
    let ip = call.text(0)?.unwrap_or_default();
    call.done(dns.add_nameserver_ip(ip))
}

/// `loadHosts(string $hosts): bool`
pub(crate) fn load_hosts(call: &mut Call) -> Result<Value, Failure> {
    let dns = call.this::<EventDnsBase>()?;
    let path = OsStr::from_bytes(call.bytes(0).unwrap_or_default());
    call.done(dns.load_hosts(path))
}

/// `clearSearch(): void`
pub(crate) fn clear_search(call: &mut Call) -> Result<Value, Failure> {
    call.this::<EventDnsBase>()?.clear_search()?;
    Ok(Value::Void)
}

/// `addSearch(string $domain): void`
pub(crate) fn add_search(call: &mut Call) -> Result<Value, Failure> {
    let dns = call.this::<EventDnsBase>()?;
    dns.add_search(call.text(0)?.unwrap_or_default())?;
    Ok(Value::Void)
}

/// `setSearchNdots(int $ndots): void`
pub(crate) fn set_search_ndots(call: &mut Call) -> Result<Value, Failure> {
    let dns = call.this::<EventDnsBase>()?;
    let ndots = call.int(0).unwrap_or(0);
    let Ok(ndots) = u32::try_from(ndots) else {
        return Err(Failure::WarningAnd(
            format!("{ndots} is not a number of dots"),
            Value::Null,
        ));
    };
    dns.set_search_ndots(ndots)?;
    Ok(Value::Void)
}

/// `setOption(string $option, string $value): bool`
pub(crate) fn set_option(call: &mut Call) -> Result<Value, Failure> {
    let dns = call.this::<EventDnsBase>()?;
    let (option, value) = (call.text(0)?, call.text(1)?);
    call.done(dns.set_option(option.unwrap_or_default(), value.unwrap_or_default()))
}

/// `countNameservers(): int`
pub(crate) fn count_nameservers(call: &mut Call) -> Result<Value, Failure> {
    let count = call.this::<EventDnsBase>()?.count_nameservers();
    Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
}
