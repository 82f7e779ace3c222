/*
 * What the two servers on libevent share: a listening socket, and an event for each connection.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static struct event_base *base;

static void *must(void *memory) {
    if (!memory) abort();
    return memory;
}

/* Accepts all that wait. `opened` is called with each, in `size` bytes that begin with its event. */
static void accept_all(int listener, size_t size, event_callback_fn on_readable, void (*opened)(void *)) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        struct event *readable = must(calloc(1, size));
        opened(readable);
        event_assign(readable, base, fd, EV_READ | EV_PERSIST, on_readable, readable);
        event_add(readable, NULL);
    }
}

/* Makes the base, and listens on a port of the loopback device. */
static void start(const char *port, event_callback_fn on_connection) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);
    base = must(event_base_new());
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* clients inherit it */
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((unsigned short)atoi(port)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 102400)) {
        perror(port);
        exit(1);
    }
    struct event *accepting = must(event_new(base, listener, EV_READ | EV_PERSIST, on_connection, NULL));
    event_add(accepting, NULL);
}
