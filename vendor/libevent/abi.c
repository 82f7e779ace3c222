/* Every number in bindings.rs, and the layout of every struct whose fields Rust reads, as the
 * headers of the installed libevent have them. tests/abi.rs compares the two. build.rs compiles
 * this file; only the tests are linked with it. */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <netdb.h>

#include "headers.h"
#include <event2/bufferevent_struct.h>

struct php_event_abi_entry {
	const char *name;
	int64_t value;
};

#define NUMBER(name) { #name, (int64_t)(name) },
#define STRUCT(type) \
	{ #type " size", (int64_t)sizeof(struct type) }, \
	{ #type " alignment", (int64_t)_Alignof(struct type) },
#define FIELD(type, field) \
	{ #type "." #field " offset", (int64_t)offsetof(struct type, field) }, \
	{ #type "." #field " size", (int64_t)sizeof(((struct type *)0)->field) },

static const struct php_event_abi_entry table[] = {
	NUMBER(EVENT_BASE_COUNT_ACTIVE)
	NUMBER(EVENT_BASE_COUNT_VIRTUAL)
	NUMBER(EVENT_BASE_COUNT_ADDED)
	NUMBER(EVENT_LOG_DEBUG)
	NUMBER(EVENT_LOG_MSG)
	NUMBER(EVENT_LOG_WARN)
	NUMBER(EVENT_LOG_ERR)
	NUMBER(EVENT_DBG_ALL)
	NUMBER(EVENT_DBG_NONE)
	NUMBER(EVLOOP_ONCE)
	NUMBER(EVLOOP_NONBLOCK)
	NUMBER(EVLOOP_NO_EXIT_ON_EMPTY)
	NUMBER(EV_TIMEOUT)
	NUMBER(EV_READ)
	NUMBER(EV_WRITE)
	NUMBER(EV_SIGNAL)
	NUMBER(EV_PERSIST)
	NUMBER(EV_ET)
	NUMBER(EV_CLOSED)
	NUMBER(LIBEVENT_VERSION_NUMBER)
	NUMBER(EVENT_MAX_PRIORITIES)
	NUMBER(EVBUFFER_FLAG_DRAINS_TO_FD)
	NUMBER(EVBUF_FS_CLOSE_ON_FREE)
	NUMBER(EVBUF_FS_DISABLE_MMAP)
	NUMBER(EVBUF_FS_DISABLE_SENDFILE)
	NUMBER(EVBUF_FS_DISABLE_LOCKING)
	NUMBER(EVBUFFER_CB_ENABLED)
	NUMBER(BEV_EVENT_READING)
	NUMBER(BEV_EVENT_WRITING)
	NUMBER(BEV_EVENT_EOF)
	NUMBER(BEV_EVENT_ERROR)
	NUMBER(BEV_EVENT_TIMEOUT)
	NUMBER(BEV_EVENT_CONNECTED)
	NUMBER(LEV_OPT_LEAVE_SOCKETS_BLOCKING)
	NUMBER(LEV_OPT_CLOSE_ON_FREE)
	NUMBER(LEV_OPT_CLOSE_ON_EXEC)
	NUMBER(LEV_OPT_REUSEABLE)
	NUMBER(LEV_OPT_THREADSAFE)
	NUMBER(LEV_OPT_DISABLED)
	NUMBER(LEV_OPT_DEFERRED_ACCEPT)
	NUMBER(LEV_OPT_REUSEABLE_PORT)
	NUMBER(LEV_OPT_BIND_IPV6ONLY)
	NUMBER(EVHTTP_SERVER_LINGERING_CLOSE)
	NUMBER(EVHTTP_CON_REUSE_CONNECTED_ADDR)
	NUMBER(EVHTTP_CON_READ_ON_WRITE_ERROR)
	NUMBER(EVHTTP_CON_LINGERING_CLOSE)
	NUMBER(EVHTTP_CON_PUBLIC_FLAGS_END)
	NUMBER(EVHTTP_URI_NONCONFORMANT)
	NUMBER(DNS_ERR_NONE)
	NUMBER(DNS_ERR_FORMAT)
	NUMBER(DNS_ERR_SERVERFAILED)
	NUMBER(DNS_ERR_NOTEXIST)
	NUMBER(DNS_ERR_NOTIMPL)
	NUMBER(DNS_ERR_REFUSED)
	NUMBER(DNS_ERR_TRUNCATED)
	NUMBER(DNS_ERR_UNKNOWN)
	NUMBER(DNS_ERR_TIMEOUT)
	NUMBER(DNS_ERR_SHUTDOWN)
	NUMBER(DNS_ERR_CANCEL)
	NUMBER(DNS_ERR_NODATA)
	NUMBER(DNS_IPv4_A)
	NUMBER(DNS_PTR)
	NUMBER(DNS_IPv6_AAAA)
	NUMBER(DNS_QUERY_NO_SEARCH)
	NUMBER(DNS_OPTION_SEARCH)
	NUMBER(DNS_OPTION_NAMESERVERS)
	NUMBER(DNS_OPTION_MISC)
	NUMBER(DNS_OPTION_HOSTSFILE)
	NUMBER(DNS_OPTION_NAMESERVERS_NO_DEFAULT)
	NUMBER(DNS_NO_SEARCH)
	NUMBER(EVDNS_BASE_INITIALIZE_NAMESERVERS)
	NUMBER(EVDNS_BASE_DISABLE_WHEN_INACTIVE)
	NUMBER(EVDNS_BASE_NAMESERVERS_NO_DEFAULT)
	NUMBER(EVDNS_ANSWER_SECTION)
	NUMBER(EVDNS_AUTHORITY_SECTION)
	NUMBER(EVDNS_ADDITIONAL_SECTION)
	NUMBER(EVDNS_TYPE_A)
	NUMBER(EVDNS_TYPE_NS)
	NUMBER(EVDNS_TYPE_CNAME)
	NUMBER(EVDNS_TYPE_SOA)
	NUMBER(EVDNS_TYPE_PTR)
	NUMBER(EVDNS_TYPE_MX)
	NUMBER(EVDNS_TYPE_TXT)
	NUMBER(EVDNS_TYPE_AAAA)
	NUMBER(EVDNS_QTYPE_AXFR)
	NUMBER(EVDNS_QTYPE_ALL)
	NUMBER(EVDNS_CLASS_INET)
	NUMBER(EVDNS_FLAGS_AA)
	NUMBER(EVDNS_FLAGS_RD)
	NUMBER(EV_FEATURE_ET)
	NUMBER(EV_FEATURE_O1)
	NUMBER(EV_FEATURE_FDS)
	NUMBER(EV_FEATURE_EARLY_CLOSE)
	NUMBER(EVENT_BASE_FLAG_NOLOCK)
	NUMBER(EVENT_BASE_FLAG_IGNORE_ENV)
	NUMBER(EVENT_BASE_FLAG_STARTUP_IOCP)
	NUMBER(EVENT_BASE_FLAG_NO_CACHE_TIME)
	NUMBER(EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST)
	NUMBER(EVENT_BASE_FLAG_PRECISE_TIMER)
	NUMBER(EVBUFFER_EOL_ANY)
	NUMBER(EVBUFFER_EOL_CRLF)
	NUMBER(EVBUFFER_EOL_CRLF_STRICT)
	NUMBER(EVBUFFER_EOL_LF)
	NUMBER(EVBUFFER_EOL_NUL)
	NUMBER(EVBUFFER_PTR_SET)
	NUMBER(EVBUFFER_PTR_ADD)
	NUMBER(BEV_OPT_CLOSE_ON_FREE)
	NUMBER(BEV_OPT_THREADSAFE)
	NUMBER(BEV_OPT_DEFER_CALLBACKS)
	NUMBER(BEV_OPT_UNLOCK_CALLBACKS)
	NUMBER(BEV_NORMAL)
	NUMBER(BEV_FLUSH)
	NUMBER(BEV_FINISHED)
	NUMBER(BEV_OK)
	NUMBER(BEV_NEED_MORE)
	NUMBER(BEV_ERROR)
#ifdef EVENT__HAVE_OPENSSL
	NUMBER(BUFFEREVENT_SSL_OPEN)
	NUMBER(BUFFEREVENT_SSL_CONNECTING)
	NUMBER(BUFFEREVENT_SSL_ACCEPTING)
#endif
	NUMBER(EVHTTP_REQ_GET)
	NUMBER(EVHTTP_REQ_POST)
	NUMBER(EVHTTP_REQ_HEAD)
	NUMBER(EVHTTP_REQ_PUT)
	NUMBER(EVHTTP_REQ_DELETE)
	NUMBER(EVHTTP_REQ_OPTIONS)
	NUMBER(EVHTTP_REQ_TRACE)
	NUMBER(EVHTTP_REQ_CONNECT)
	NUMBER(EVHTTP_REQ_PATCH)
	NUMBER(EVHTTP_REQUEST)
	NUMBER(EVHTTP_RESPONSE)
	NUMBER(EVREQ_HTTP_TIMEOUT)
	NUMBER(EVREQ_HTTP_EOF)
	NUMBER(EVREQ_HTTP_INVALID_HEADER)
	NUMBER(EVREQ_HTTP_BUFFER_ERROR)
	NUMBER(EVREQ_HTTP_REQUEST_CANCEL)
	NUMBER(EVREQ_HTTP_DATA_TOO_LONG)

	STRUCT(timeval)
	FIELD(timeval, tv_sec)
	FIELD(timeval, tv_usec)

	STRUCT(addrinfo)
	FIELD(addrinfo, ai_flags)
	FIELD(addrinfo, ai_family)
	FIELD(addrinfo, ai_socktype)
	FIELD(addrinfo, ai_protocol)
	FIELD(addrinfo, ai_addrlen)
	FIELD(addrinfo, ai_addr)
	FIELD(addrinfo, ai_canonname)
	FIELD(addrinfo, ai_next)

	STRUCT(sockaddr)
	FIELD(sockaddr, sa_family)
	FIELD(sockaddr, sa_data)

	/* buffer.h defines evbuffer_iovec as the system's iovec. */
	{ "iovec size", (int64_t)sizeof(struct evbuffer_iovec) },
	{ "iovec alignment", (int64_t)_Alignof(struct evbuffer_iovec) },
	FIELD(iovec, iov_base)
	FIELD(iovec, iov_len)

	STRUCT(evbuffer_ptr)
	FIELD(evbuffer_ptr, pos)
	FIELD(evbuffer_ptr, internal_)
	FIELD(evbuffer_ptr, internal_.chain)
	FIELD(evbuffer_ptr, internal_.pos_in_chain)

	STRUCT(evbuffer_cb_info)
	FIELD(evbuffer_cb_info, orig_size)
	FIELD(evbuffer_cb_info, n_added)
	FIELD(evbuffer_cb_info, n_deleted)

	STRUCT(evkeyval)
	FIELD(evkeyval, next)
	FIELD(evkeyval, next.tqe_next)
	FIELD(evkeyval, next.tqe_prev)
	FIELD(evkeyval, key)
	FIELD(evkeyval, value)

	STRUCT(evkeyvalq)
	FIELD(evkeyvalq, tqh_first)
	FIELD(evkeyvalq, tqh_last)

	/* Not in bindings.rs: php-event's buffer events compute these offsets themselves. */
	{ "bufferevent.ev_read offset", (int64_t)offsetof(struct bufferevent, ev_read) },
	{ "bufferevent.ev_write offset", (int64_t)offsetof(struct bufferevent, ev_write) },
};

const struct php_event_abi_entry *php_event_abi(size_t index);

/* Returns entry by entry, then NULL. */
const struct php_event_abi_entry *
php_event_abi(size_t index)
{
	return index < sizeof(table) / sizeof(table[0]) ? &table[index] : NULL;
}
