#!/bin/sh
# Regenerates bindings.rs from the system's libevent headers. Run it when headers.h
# changes or the project moves to a new libevent. The build does not need it.
#
# Needs bindgen (`cargo install bindgen-cli --locked`), libclang and rustfmt.
set -eu
cd "$(dirname "$0")"

BINDGEN=${BINDGEN:-bindgen}
if ! command -v "$BINDGEN" >/dev/null 2>&1; then
    echo "bindings.sh: $BINDGEN not found; install it with: cargo install bindgen-cli --locked" >&2
    exit 1
fi

# What the wrapper may call. Left out on purpose: evtag, evrpc, the DNS server API,
# evbuffer_add_buffer_reference, the calls on libevent's implicit base, and calls that
# take a FILE or a va_list.
functions='event_.*|evutil_.*|evbuffer_.*|bufferevent_.*|evconnlistener_.*|evhttp_.*|evdns_base_.*|evdns_cancel_request|evdns_getaddrinfo.*|evthread_use_pthreads|ev_token_bucket_cfg_.*|libevent_.*'
numbers='EV_(TIMEOUT|READ|WRITE|SIGNAL|PERSIST|ET|CLOSED)|EVENT_[A-Z].*|EVLOOP_.*|EVBUF(FER|_FS)_.*|BEV_.*|LEV_OPT_.*|EVHTTP_.*|EVDNS_.*|DNS_.*|LIBEVENT_VERSION_NUMBER'
types='event|evkeyval|evkeyvalq|evbuffer_iovec|evbuffer_ptr|event_method_feature|event_base_config_flag|bufferevent_options|evhttp_cmd_type|evhttp_request_kind'

"$BINDGEN" headers.h \
    --allowlist-function "$functions" \
    --allowlist-var "$numbers" \
    --allowlist-type "$types" \
    --blocklist-function 'evbuffer_add_buffer_reference|evdns_base_resolve_reverse.*|evutil_inet_.*' \
    --blocklist-function 'evbuffer_add_vprintf|evutil_vsnprintf|event_base_dump_events|event_enable_debug_logging' \
    --blocklist-function 'event_(init|dispatch|loop|loopexit|loopbreak|once|priority_init|set|get_method)' \
    --blocklist-type 'FILE|_IO_.*|in6?_addr.*|__va_list_tag|__builtin_va_list|va_list|__gnuc_va_list' \
    --no-doc-comments --no-layout-tests --use-core --rust-edition 2021 --rust-target 1.85 \
    --output bindings.rs
