//! `EventSslContext`.

use crate::call::{Call, Failure, Value};

/// `__construct(int $method, array $options)`
pub(crate) fn construct(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventSslContext::__construct is not there yet".to_owned()))
}

/// `setMinProtoVersion(int $proto): bool`
pub(crate) fn set_min_proto_version(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventSslContext::setMinProtoVersion is not there yet".to_owned()))
}

/// `setMaxProtoVersion(int $proto): bool`
pub(crate) fn set_max_proto_version(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventSslContext::setMaxProtoVersion is not there yet".to_owned()))
}
