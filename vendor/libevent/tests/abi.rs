//! Compares the declarations with the headers and the library that this build found.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::mem::{align_of, offset_of, size_of};

use php_event_sys as ffi;

/// A row of `abi.c`.
#[repr(C)]
struct Entry {
    name: *const c_char,
    value: i64,
}

// SAFETY: `abi.c` defines it with this signature, accepts any index, and its rows are static.
unsafe extern "C" {
    safe fn php_event_abi(index: usize) -> Option<&'static Entry>;
}

fn headers() -> BTreeMap<String, i64> {
    (0..)
        .map_while(|index| php_event_abi(index))
        .map(|entry| {
            // SAFETY: the names in `abi.c` are string literals.
            let name = unsafe { CStr::from_ptr(entry.name) };
            (name.to_string_lossy().into_owned(), entry.value)
        })
        .collect()
}

/// Returns C's name of a constant: bindgen puts the name of its enum in front.
fn c_name(name: &str) -> &str {
    name.trim_start_matches(|c: char| c.is_ascii_lowercase() || c == '_')
}

macro_rules! numbers {
    ($($name:ident)+) => {
        BTreeMap::from([$((c_name(stringify!($name)).to_owned(), i64::from(ffi::$name))),+])
    };
}

macro_rules! layouts {
    ($($type:ident { $($($field:ident).+),+ })+) => {
        BTreeMap::from([$(
            (concat!(stringify!($type), " size").to_owned(), size_of::<ffi::$type>()),
            (concat!(stringify!($type), " alignment").to_owned(), align_of::<ffi::$type>()),
            $(
                (
                    concat!(stringify!($type), $(".", stringify!($field),)+ " offset").to_owned(),
                    offset_of!(ffi::$type, $($field).+),
                ),
                (
                    concat!(stringify!($type), $(".", stringify!($field),)+ " size").to_owned(),
                    size_of_field(|value: &ffi::$type| &value.$($field).+),
                ),
            )+
        )+])
    };
}

fn size_of_field<T, F>(_field: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

fn numbers() -> BTreeMap<String, i64> {
    #[cfg_attr(not(feature = "openssl"), expect(unused_mut))]
    let mut numbers = numbers! {
        EVENT_BASE_COUNT_ACTIVE EVENT_BASE_COUNT_VIRTUAL EVENT_BASE_COUNT_ADDED EVENT_LOG_DEBUG
        EVENT_LOG_MSG EVENT_LOG_WARN EVENT_LOG_ERR EVENT_DBG_ALL EVENT_DBG_NONE EVLOOP_ONCE
        EVLOOP_NONBLOCK EVLOOP_NO_EXIT_ON_EMPTY EV_TIMEOUT EV_READ EV_WRITE EV_SIGNAL EV_PERSIST
        EV_ET EV_CLOSED LIBEVENT_VERSION_NUMBER EVENT_MAX_PRIORITIES EVBUFFER_FLAG_DRAINS_TO_FD
        EVBUF_FS_CLOSE_ON_FREE EVBUF_FS_DISABLE_MMAP EVBUF_FS_DISABLE_SENDFILE
        EVBUF_FS_DISABLE_LOCKING EVBUFFER_CB_ENABLED BEV_EVENT_READING BEV_EVENT_WRITING BEV_EVENT_EOF BEV_EVENT_ERROR
        BEV_EVENT_TIMEOUT BEV_EVENT_CONNECTED LEV_OPT_LEAVE_SOCKETS_BLOCKING LEV_OPT_CLOSE_ON_FREE
        LEV_OPT_CLOSE_ON_EXEC LEV_OPT_REUSEABLE LEV_OPT_THREADSAFE LEV_OPT_DISABLED
        LEV_OPT_DEFERRED_ACCEPT LEV_OPT_REUSEABLE_PORT LEV_OPT_BIND_IPV6ONLY
        EVHTTP_SERVER_LINGERING_CLOSE EVHTTP_CON_REUSE_CONNECTED_ADDR EVHTTP_CON_READ_ON_WRITE_ERROR
        EVHTTP_CON_LINGERING_CLOSE EVHTTP_CON_PUBLIC_FLAGS_END EVHTTP_URI_NONCONFORMANT DNS_ERR_NONE
        DNS_ERR_FORMAT DNS_ERR_SERVERFAILED DNS_ERR_NOTEXIST DNS_ERR_NOTIMPL DNS_ERR_REFUSED
        DNS_ERR_TRUNCATED DNS_ERR_UNKNOWN DNS_ERR_TIMEOUT DNS_ERR_SHUTDOWN DNS_ERR_CANCEL
        DNS_ERR_NODATA DNS_IPv4_A DNS_PTR DNS_IPv6_AAAA DNS_QUERY_NO_SEARCH DNS_OPTION_SEARCH
        DNS_OPTION_NAMESERVERS DNS_OPTION_MISC DNS_OPTION_HOSTSFILE
        DNS_OPTION_NAMESERVERS_NO_DEFAULT DNS_NO_SEARCH EVDNS_BASE_INITIALIZE_NAMESERVERS
        EVDNS_BASE_DISABLE_WHEN_INACTIVE EVDNS_BASE_NAMESERVERS_NO_DEFAULT EVDNS_ANSWER_SECTION
        EVDNS_AUTHORITY_SECTION EVDNS_ADDITIONAL_SECTION EVDNS_TYPE_A EVDNS_TYPE_NS EVDNS_TYPE_CNAME
        EVDNS_TYPE_SOA EVDNS_TYPE_PTR EVDNS_TYPE_MX EVDNS_TYPE_TXT EVDNS_TYPE_AAAA EVDNS_QTYPE_AXFR
        EVDNS_QTYPE_ALL EVDNS_CLASS_INET EVDNS_FLAGS_AA EVDNS_FLAGS_RD
        event_method_feature_EV_FEATURE_ET event_method_feature_EV_FEATURE_O1
        event_method_feature_EV_FEATURE_FDS event_method_feature_EV_FEATURE_EARLY_CLOSE
        event_base_config_flag_EVENT_BASE_FLAG_NOLOCK
        event_base_config_flag_EVENT_BASE_FLAG_IGNORE_ENV
        event_base_config_flag_EVENT_BASE_FLAG_STARTUP_IOCP
        event_base_config_flag_EVENT_BASE_FLAG_NO_CACHE_TIME
        event_base_config_flag_EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST
        event_base_config_flag_EVENT_BASE_FLAG_PRECISE_TIMER evbuffer_eol_style_EVBUFFER_EOL_ANY
        evbuffer_eol_style_EVBUFFER_EOL_CRLF evbuffer_eol_style_EVBUFFER_EOL_CRLF_STRICT
        evbuffer_eol_style_EVBUFFER_EOL_LF evbuffer_eol_style_EVBUFFER_EOL_NUL
        evbuffer_ptr_how_EVBUFFER_PTR_SET evbuffer_ptr_how_EVBUFFER_PTR_ADD
        bufferevent_options_BEV_OPT_CLOSE_ON_FREE bufferevent_options_BEV_OPT_THREADSAFE
        bufferevent_options_BEV_OPT_DEFER_CALLBACKS bufferevent_options_BEV_OPT_UNLOCK_CALLBACKS
        bufferevent_flush_mode_BEV_NORMAL bufferevent_flush_mode_BEV_FLUSH
        bufferevent_flush_mode_BEV_FINISHED bufferevent_filter_result_BEV_OK
        bufferevent_filter_result_BEV_NEED_MORE bufferevent_filter_result_BEV_ERROR
        evhttp_cmd_type_EVHTTP_REQ_GET
        evhttp_cmd_type_EVHTTP_REQ_POST evhttp_cmd_type_EVHTTP_REQ_HEAD
        evhttp_cmd_type_EVHTTP_REQ_PUT evhttp_cmd_type_EVHTTP_REQ_DELETE
        evhttp_cmd_type_EVHTTP_REQ_OPTIONS evhttp_cmd_type_EVHTTP_REQ_TRACE
        evhttp_cmd_type_EVHTTP_REQ_CONNECT evhttp_cmd_type_EVHTTP_REQ_PATCH
        evhttp_request_kind_EVHTTP_REQUEST evhttp_request_kind_EVHTTP_RESPONSE
        evhttp_request_error_EVREQ_HTTP_TIMEOUT evhttp_request_error_EVREQ_HTTP_EOF
        evhttp_request_error_EVREQ_HTTP_INVALID_HEADER evhttp_request_error_EVREQ_HTTP_BUFFER_ERROR
        evhttp_request_error_EVREQ_HTTP_REQUEST_CANCEL evhttp_request_error_EVREQ_HTTP_DATA_TOO_LONG
    };
    // libevent-sys lacks them where libevent was built without OpenSSL.
    #[cfg(feature = "openssl")]
    numbers.extend(numbers! {
        bufferevent_ssl_state_BUFFEREVENT_SSL_OPEN bufferevent_ssl_state_BUFFEREVENT_SSL_CONNECTING
        bufferevent_ssl_state_BUFFEREVENT_SSL_ACCEPTING
    });
    numbers
}

fn layouts() -> BTreeMap<String, usize> {
    layouts! {
        timeval { tv_sec, tv_usec }
        addrinfo {
            ai_flags, ai_family, ai_socktype, ai_protocol,
            ai_addrlen, ai_addr, ai_canonname, ai_next
        }
        sockaddr { sa_family, sa_data }
        iovec { iov_base, iov_len }
        evbuffer_ptr { pos, internal_, internal_.chain, internal_.pos_in_chain }
        evbuffer_cb_info { orig_size, n_added, n_deleted }
        evkeyval { next, next.tqe_next, next.tqe_prev, key, value }
        evkeyvalq { tqh_first, tqh_last }
    }
}

/// Returns a line for each name that one side lacks, or whose values differ.
fn differences(
    (left, a): (&str, &BTreeMap<String, i64>),
    (right, b): (&str, &BTreeMap<String, i64>),
) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, x) in a {
        match b.get(name) {
            None => lines.push(format!("{name}: {x} in {left}, missing in {right}")),
            Some(y) if x != y => lines.push(format!("{name}: {x} in {left}, {y} in {right}")),
            Some(_) => {}
        }
    }
    for (name, y) in b {
        if !a.contains_key(name) {
            lines.push(format!("{name}: {y} in {right}, missing in {left}"));
        }
    }
    lines
}

/// Whether a program built for `built_for` may run with `found`: the same series, and no older.
fn serves(found: i64, built_for: i64) -> bool {
    found >> 16 == built_for >> 16 && found >= built_for
}

#[test]
fn bindings_agree_with_the_headers() {
    let mut bindings = numbers();
    bindings.extend(
        layouts()
            .into_iter()
            .map(|(name, value)| (name, value as i64)),
    );
    let mut headers = headers();
    if cfg!(not(feature = "openssl")) {
        headers.retain(|name, _| !name.starts_with("BUFFEREVENT_SSL_"));
    }

    // After two pointers, one after the other: php-event's buffer events rely on it.
    let ev_read = headers.remove("bufferevent.ev_read offset");
    let offset = 2 * size_of::<*const ()>();
    assert_eq!(ev_read, Some(offset as i64));
    let ev_write = headers.remove("bufferevent.ev_write offset");
    // SAFETY: takes nothing.
    let size = unsafe { ffi::event_get_struct_event_size() };
    assert_eq!(ev_write, Some((offset + size) as i64));

    // The headers may be of a later 2.1.
    let version = "LIBEVENT_VERSION_NUMBER";
    let (ours, theirs) = (
        bindings.remove(version).unwrap(),
        headers.remove(version).unwrap(),
    );
    assert!(
        serves(theirs, ours),
        "bindings for {ours:#x}, headers of {theirs:#x}"
    );

    let differences = differences(("the bindings", &bindings), ("the headers", &headers));
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

#[test]
fn every_number_in_bindings_rs_is_compared() {
    let constants = include_str!("../bindings.rs")
        .lines()
        .filter_map(|line| {
            line.strip_prefix("pub const ")?
                .strip_suffix(';')?
                .split_once(": ")
        })
        .filter_map(|(name, rest)| Some((name, rest.split_once(" = ")?.1)));
    let mut file: BTreeMap<String, i64> = constants
        .map(|(name, value)| (c_name(name).to_owned(), value.parse().unwrap()))
        .collect();
    let mut compared = numbers();
    if cfg!(not(feature = "openssl")) {
        file.retain(|name, _| !name.starts_with("BUFFEREVENT_SSL_"));
    }
    // With other declarations, the headers may be of a later version.
    for side in [&mut file, &mut compared] {
        side.remove("LIBEVENT_VERSION_NUMBER");
    }

    let differences = differences(("bindings.rs", &file), ("this test", &compared));
    assert!(
        differences.is_empty(),
        "a number without its row here and in abi.c:\n{}",
        differences.join("\n")
    );
}

#[test]
fn timeval_matches_libc() {
    assert_eq!(size_of::<ffi::timeval>(), size_of::<libc::timeval>());
    assert_eq!(align_of::<ffi::timeval>(), align_of::<libc::timeval>());
    assert_eq!(
        offset_of!(ffi::timeval, tv_sec),
        offset_of!(libc::timeval, tv_sec)
    );
    assert_eq!(
        offset_of!(ffi::timeval, tv_usec),
        offset_of!(libc::timeval, tv_usec)
    );
    // Compiles only if the fields have the same types.
    let theirs = libc::timeval {
        tv_sec: 1,
        tv_usec: 2,
    };
    let ours = ffi::timeval {
        tv_sec: theirs.tv_sec,
        tv_usec: theirs.tv_usec,
    };
    assert_eq!((ours.tv_sec, ours.tv_usec), (1, 2));
}

#[test]
fn linked_library_serves_the_headers() {
    // SAFETY: takes no argument, and returns a constant of the library.
    let linked = i64::from(unsafe { ffi::event_get_version_number() });
    let headers = headers()["LIBEVENT_VERSION_NUMBER"];
    assert!(
        serves(linked, headers),
        "library {linked:#x}, headers of {headers:#x}"
    );
}

#[cfg(feature = "openssl")]
#[test]
fn tls_functions_are_linked() {
    for function in [
        ffi::bufferevent_openssl_socket_new as *const (),
        ffi::bufferevent_openssl_filter_new as *const (),
        ffi::bufferevent_openssl_get_ssl as *const (),
        ffi::bufferevent_get_openssl_error as *const (),
        ffi::bufferevent_ssl_renegotiate as *const (),
    ] {
        assert!(!std::hint::black_box(function).is_null());
    }
}
