/* The loops of rows.rs as a program in C has them: no check that C leaves to its caller, no counts.
 * Each twin_* does so many units of its work; a failed call ends the process. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <openssl/ssl.h>

#define MANY 16

void twin_fire(uint64_t units);
void twin_active(uint64_t units);
void twin_timer(uint64_t units);
void twin_make(uint64_t units);
void twin_buffer(uint64_t units);
void twin_search(uint64_t units);
void twin_line(uint64_t units);
void twin_echo(uint64_t units);
void twin_tls(uint64_t units, const char *certificate);
uint16_t twin_http_begin(void);
void twin_http_turn(void);
void twin_http_end(void);
void twin_refusal(uint64_t units);

struct work {
	struct event_base *base;
	struct event *event;
	uint64_t left;
};

static void need(int holds)
{
	if (!holds) {
		abort();
	}
}

static void fired(evutil_socket_t fd, short what, void *arg)
{
	struct work *work = arg;

	(void)fd; (void)what;
	if (--work->left == 0) {
		event_base_loopbreak(work->base);
	}
}

void twin_fire(uint64_t units)
{
	struct work work = { event_base_new(), NULL, units };
	struct event *events[MANY];
	int pairs[MANY][2];

	for (int n = 0; n < MANY; n++) {
		need(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[n]) == 0);
		events[n] = event_new(work.base, pairs[n][0], EV_WRITE | EV_PERSIST, fired, &work);
		need(event_add(events[n], NULL) == 0);
	}
	event_base_dispatch(work.base);
	for (int n = 0; n < MANY; n++) {
		event_free(events[n]);
		close(pairs[n][0]);
		close(pairs[n][1]);
	}
	event_base_free(work.base);
}

static void activated(evutil_socket_t fd, short what, void *arg)
{
	struct work *work = arg;

	(void)fd; (void)what;
	if (--work->left > 0) {
		event_active(work->event, EV_TIMEOUT, 1);
	}
}

void twin_active(uint64_t units)
{
	struct work work = { event_base_new(), NULL, units };

	work.event = evtimer_new(work.base, activated, &work);
	event_active(work.event, EV_TIMEOUT, 1);
	event_base_dispatch(work.base);
	event_free(work.event);
	event_base_free(work.base);
}

void twin_timer(uint64_t units)
{
	struct work work = { event_base_new(), NULL, 0 };
	struct timeval time = { 10, 0 };

	work.event = evtimer_new(work.base, fired, &work);
	while (units-- > 0) {
		need(event_add(work.event, &time) == 0);
		need(event_del(work.event) == 0);
	}
	event_free(work.event);
	event_base_free(work.base);
}

void twin_make(uint64_t units)
{
	struct work work = { event_base_new(), NULL, 0 };

	while (units-- > 0) {
		struct event *event = evtimer_new(work.base, fired, &work);
		need(event != NULL);
		event_free(event);
	}
	event_base_free(work.base);
}

void twin_buffer(uint64_t units)
{
	struct evbuffer *buffer = evbuffer_new();

	while (units-- > 0) {
		need(evbuffer_add(buffer, "a line of text", 14) == 0);
		need(evbuffer_drain(buffer, 14) == 0);
	}
	evbuffer_free(buffer);
}

void twin_search(uint64_t units)
{
	struct evbuffer *buffer = evbuffer_new();

	for (int n = 0; n < 20; n++) {
		evbuffer_add_printf(buffer, "Field-%02d: and its value\r\n", n);
	}
	evbuffer_add(buffer, "\r\n", 2);
	while (units-- > 0) {
		struct evbuffer_ptr found = evbuffer_search(buffer, "\r\n\r\n", 4, NULL);
		need(found.pos > 0);
	}
	evbuffer_free(buffer);
}

void twin_line(uint64_t units)
{
	struct evbuffer *buffer = evbuffer_new();

	while (units-- > 0) {
		char *line;
		size_t length;
		need(evbuffer_add(buffer, "a line of text\n", 15) == 0);
		line = evbuffer_readln(buffer, &length, EVBUFFER_EOL_LF);
		need(line && length == 14);
		free(line);
	}
	evbuffer_free(buffer);
}

static void echo(struct bufferevent *bev, void *arg)
{
	(void)arg;
	bufferevent_write_buffer(bev, bufferevent_get_input(bev));
}

static void echoed(struct bufferevent *bev, void *arg)
{
	struct work *work = arg;
	char text[100];

	need(bufferevent_read(bev, text, sizeof text) == sizeof text);
	if (--work->left == 0) {
		event_base_loopbreak(work->base);
	} else {
		bufferevent_write(bev, text, sizeof text);
	}
}

static void run_echo(struct work *work, struct bufferevent *near, struct bufferevent *far)
{
	char text[100];

	memset(text, 'x', sizeof text);
	bufferevent_setcb(near, echoed, NULL, NULL, work);
	bufferevent_setcb(far, echo, NULL, NULL, NULL);
	bufferevent_enable(near, EV_READ);
	bufferevent_enable(far, EV_READ);
	bufferevent_write(near, text, sizeof text);
	event_base_dispatch(work->base);
	bufferevent_free(near);
	bufferevent_free(far);
}

void twin_echo(uint64_t units)
{
	struct work work = { event_base_new(), NULL, units };
	struct bufferevent *pair[2];

	need(bufferevent_pair_new(work.base, 0, pair) == 0);
	run_echo(&work, pair[0], pair[1]);
	event_base_free(work.base);
}

void twin_tls(uint64_t units, const char *certificate)
{
	struct work work = { event_base_new(), NULL, units };
	SSL_CTX *client = SSL_CTX_new(TLS_client_method()), *server = SSL_CTX_new(TLS_server_method());
	struct bufferevent *near, *far;
	int pair[2];

	need(SSL_CTX_use_certificate_chain_file(server, certificate) == 1);
	need(SSL_CTX_use_PrivateKey_file(server, certificate, SSL_FILETYPE_PEM) == 1);
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	evutil_make_socket_nonblocking(pair[0]);
	evutil_make_socket_nonblocking(pair[1]);
	near = bufferevent_openssl_socket_new(work.base, pair[0], SSL_new(client),
		BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
	far = bufferevent_openssl_socket_new(work.base, pair[1], SSL_new(server),
		BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	run_echo(&work, near, far);
	event_base_free(work.base);
	SSL_CTX_free(client);
	SSL_CTX_free(server);
}

static struct {
	struct event_base *base;
	struct evhttp *http;
} served;

static void answer(struct evhttp_request *request, void *arg)
{
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	evbuffer_add(body, "hello, world", 12);
	evhttp_send_reply(request, 200, "OK", body);
	evbuffer_free(body);
}

/* Returns the port. */
uint16_t twin_http_begin(void)
{
	struct evhttp_bound_socket *bound;
	struct sockaddr_storage address;
	socklen_t length = sizeof address;

	served.base = event_base_new();
	served.http = evhttp_new(served.base);
	evhttp_set_timeout(served.http, 50); /* these three as EventHttp has them by default */
	evhttp_set_max_headers_size(served.http, 16 * 1024);
	evhttp_set_max_body_size(served.http, 1024 * 1024);
	evhttp_set_gencb(served.http, answer, NULL);
	bound = evhttp_bind_socket_with_handle(served.http, "127.0.0.1", 0);
	need(bound != NULL);
	need(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length) == 0);
	return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

void twin_http_turn(void)
{
	event_base_loop(served.base, EVLOOP_ONCE);
}

void twin_http_end(void)
{
	evhttp_free(served.http);
	event_base_free(served.base);
}

void twin_refusal(uint64_t units)
{
	static const char text[] = "400 Bad Request: the Host field is empty\n";
	char out[512];

	while (units-- > 0) {
		int length = snprintf(out, sizeof out,
			"HTTP/1.1 %s\r\nDate: %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
			"Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
			"400 Bad Request", "Sun, 06 Nov 1994 08:49:37 GMT", sizeof text - 1, text);
		need(length > 0);
		__asm__ volatile("" : : "r"(out) : "memory"); /* as black_box */
	}
}
