//! `EventSslContext`, with PHP's defaults: nothing is verified unless asked.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use php_event::{EventSslContext, SslMethod, SslOption, SslValue, SslVersion};

use super::event_util::integer;
use crate::call::{Argument, Call, Failure, Value};
use crate::object::Object;

impl Object for EventSslContext {}

const METHODS: [SslMethod; 6] = [
    SslMethod::TlsClient,
    SslMethod::TlsServer,
    SslMethod::Tlsv11Client,
    SslMethod::Tlsv11Server,
    SslMethod::Tlsv12Client,
    SslMethod::Tlsv12Server,
];

const OPTIONS: [SslOption; 17] = [
    SslOption::LocalCert,
    SslOption::LocalPk,
    SslOption::Passphrase,
    SslOption::CaFile,
    SslOption::CaPath,
    SslOption::AllowSelfSigned,
    SslOption::VerifyPeer,
    SslOption::VerifyDepth,
    SslOption::Ciphers,
    SslOption::NoSslv2,
    SslOption::NoSslv3,
    SslOption::NoTlsv1,
    SslOption::NoTlsv1_1,
    SslOption::NoTlsv1_2,
    SslOption::CipherServerPreference,
    SslOption::RequireClientCert,
    SslOption::VerifyClientOnce,
];

const VERSIONS: [SslVersion; 5] = [
    SslVersion::Ssl3,
    SslVersion::Tls1,
    SslVersion::Tls1_1,
    SslVersion::Tls1_2,
    SslVersion::Tls1_3,
];

/// `__construct(int $method, array $options)`
pub(crate) fn construct(call: &mut Call) -> Result<Value, Failure> {
    let number = call.int(0).unwrap_or(0);
    let Some(method) = METHODS
        .into_iter()
        .find(|method| i64::from(method.number()) == number)
    else {
        return Err(Failure::EventException(format!(
            "{number} is not a TLS method: give EventSslContext::*_METHOD"
        )));
    };
    let mut options = Vec::new();
    if let Argument::Array(entries) = call.argument(1) {
        for (key, value) in entries {
            // PECL ignores keys that are names.
            if let Argument::Int(number) = key {
                let option = option(number)?;
                options.push((option, value_of(option, &value)));
            }
        }
    }
    match EventSslContext::with_php_defaults(method, &options) {
        Ok(context) => call.construct(context),
        Err(error) => Err(Failure::EventException(error.reason().into_owned())),
    }
}

fn option(number: i64) -> Result<SslOption, Failure> {
    let option = OPTIONS
        .into_iter()
        .find(|option| i64::from(option.number()) == number);
    let unknown = || {
        Failure::EventException(format!(
            "{number} is not an option: give EventSslContext::OPT_*"
        ))
    };
    option.ok_or_else(unknown)
}

/// The value, converted as PHP converts it to what the option wants. What is not a number or a text
/// stays, and is refused.
fn value_of(option: SslOption, value: &Argument<'_>) -> SslValue {
    match (option, value) {
        (SslOption::Passphrase, Argument::Null) => SslValue::Text(OsString::new()),
        (
            SslOption::LocalCert
            | SslOption::LocalPk
            | SslOption::Passphrase
            | SslOption::CaFile
            | SslOption::CaPath
            | SslOption::Ciphers,
            value,
        ) => as_given(value),
        (SslOption::VerifyDepth, value) => match whole(value) {
            Some(number) => SslValue::Int(number),
            None => as_given(value),
        },
        (_, value) => SslValue::Bool(truth(value)),
    }
}

fn as_given(value: &Argument<'_>) -> SslValue {
    match value {
        Argument::Int(number) => SslValue::Int(*number),
        Argument::String(text) => SslValue::Text(OsStr::from_bytes(text).to_owned()),
        value => SslValue::Bool(truth(value)),
    }
}

/// The whole number that a value stands for, if it does.
fn whole(value: &Argument<'_>) -> Option<i64> {
    match value {
        Argument::String(text) => std::str::from_utf8(text).ok()?.trim().parse().ok(),
        value => integer(value),
    }
}

/// Whether PHP takes the value for true.
fn truth(value: &Argument<'_>) -> bool {
    match value {
        Argument::Unset | Argument::Null => false,
        Argument::Bool(truth) => *truth,
        Argument::Int(number) => *number != 0,
        Argument::Float(number) => *number != 0.0,
        Argument::String(text) => !matches!(*text, b"" | b"0"),
        Argument::Array(entries) => !entries.is_empty(),
        Argument::Object(..) | Argument::Descriptor(..) | Argument::Other => true,
    }
}

/// `setMinProtoVersion(int $proto): bool`
pub(crate) fn set_min_proto_version(call: &mut Call) -> Result<Value, Failure> {
    let context = call.this::<EventSslContext>()?;
    let version = version(call.int(0))?;
    call.done(context.set_min_proto_version(version))
}

/// `setMaxProtoVersion(int $proto): bool`
pub(crate) fn set_max_proto_version(call: &mut Call) -> Result<Value, Failure> {
    let context = call.this::<EventSslContext>()?;
    let version = version(call.int(0))?;
    call.done(context.set_max_proto_version(version))
}

fn version(number: Option<i64>) -> Result<SslVersion, Failure> {
    let version = VERSIONS
        .into_iter()
        .find(|version| Some(i64::from(version.number())) == number);
    let unknown =
        || Failure::Warning("Unknown protocol version: give EventSslContext::*_VERSION".to_owned());
    version.ok_or_else(unknown)
}

/// The properties `local_cert` and `local_pk`.
pub(crate) fn path_property(call: &Call, is_key: bool) -> Value {
    let context = call.this_if_constructed::<EventSslContext>();
    let path = context.and_then(|context| match is_key {
        true => context.local_pk(),
        false => context.local_cert(),
    });
    path.map_or(Value::Null, |path| Value::text(path.as_os_str().as_bytes()))
}

/// An assignment to one of them, which loads the file.
pub(crate) fn set_path_property(call: &mut Call, is_key: bool) -> Result<Value, Failure> {
    let context = call.this::<EventSslContext>()?;
    let Some(path) = call.bytes(0) else {
        return Err(Failure::Warning(
            "The path of a PEM file is expected".to_owned(),
        ));
    };
    let path = OsStr::from_bytes(path);
    match is_key {
        true => context.set_local_pk(path)?,
        false => context.set_local_cert(path)?,
    }
    Ok(Value::Void)
}
