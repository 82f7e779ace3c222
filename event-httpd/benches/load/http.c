/*
 * An HTTP server on libevent that does only what it must: the bound to measure
 * `event-httpd serve` against. It answers with the same bytes, the table of its connections, and
 * does not parse a request: it looks at the first letter and counts empty lines.
 *
 * usage: http PORT
 */
#include "listen.h"

enum { READ_SIZE = 16384, ENTRY_SIZE = 64, ANSWERS_AT_ONCE = 64 };

struct client {
    struct event readable; /* first */
    struct event *writable; /* exists while something waits */
    unsigned long id;
    char *waiting;
    size_t length, sent;
};

static unsigned long next_id = 6;

/* The body, as text, and the head in front of it. */
static char *table;
static size_t table_length, table_room;
static char head[256];
static int head_length; /* 0 after a change */

static size_t entry(char *text, unsigned long id) {
    return (size_t)sprintf(text, ",\"%lu\":{\"pending\":true,\"data\":null}", id);
}

static void table_add(unsigned long id) {
    if (table_length + ENTRY_SIZE > table_room) {
        table_room = 2 * table_room + 4096;
        table = must(realloc(table, table_room));
    }
    table_length--; /* the closing brace */
    table_length += entry(table + table_length, id);
    table[table_length++] = '}';
    head_length = 0;
}

static void table_remove(unsigned long id) {
    char text[ENTRY_SIZE];
    size_t length = entry(text, id);
    char *found = must(memmem(table, table_length, text, length));
    memmove(found, found + length, table_length - length - (size_t)(found - table));
    table_length -= length;
    head_length = 0;
}

static void close_client(struct client *client) {
    int fd = event_get_fd(&client->readable);
    event_del(&client->readable);
    if (client->writable) event_free(client->writable);
    close(fd);
    table_remove(client->id);
    free(client->waiting);
    free(client);
}

static void on_writable(int fd, short what, void *argument) {
    struct client *client = argument;
    (void)what;
    ssize_t count = write(fd, client->waiting + client->sent, client->length - client->sent);
    if (count < 0) {
        if (errno != EAGAIN) close_client(client);
        return;
    }
    client->sent += (size_t)count;
    if (client->sent < client->length) return;
    free(client->waiting);
    client->waiting = NULL;
    event_free(client->writable);
    client->writable = NULL;
    event_add(&client->readable, NULL);
}

/* Keeps what the socket has no room for, and stops reading until it has left. */
static void keep(struct client *client, int fd, struct iovec *parts, int count, size_t skip) {
    size_t length = 0;
    for (int i = 0; i < count; i++) length += parts[i].iov_len;
    client->length = length - skip;
    client->sent = 0;
    client->waiting = must(malloc(client->length));
    char *end = client->waiting;
    for (int i = 0; i < count; i++) {
        size_t gone = skip < parts[i].iov_len ? skip : parts[i].iov_len;
        memcpy(end, (char *)parts[i].iov_base + gone, parts[i].iov_len - gone);
        end += parts[i].iov_len - gone;
        skip -= gone;
    }
    event_del(&client->readable);
    client->writable = must(event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, client));
    event_add(client->writable, NULL);
}

static int requests_in(const char *bytes, size_t length) {
    int count = 0;
    const char *end = bytes + length;
    while ((bytes = memmem(bytes, (size_t)(end - bytes), "\r\n\r\n", 4))) {
        count++;
        bytes += 4;
    }
    return count;
}

static void on_readable(int fd, short what, void *argument) {
    static char bytes[READ_SIZE];
    struct client *client = argument;
    (void)what;
    ssize_t got = read(fd, bytes, sizeof bytes);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) close_client(client);
        return;
    }
    int requests = requests_in(bytes, (size_t)got);
    if (requests == 0) return;
    if (!head_length)
        head_length = sprintf(head,
            "HTTP/1.1 200 OK\r\n"
            "Accept: application/json, text/plain, */*\r\n"
            "Connection: keep-alive\r\n"
            "Content-Length:%zu\r\n\r\n",
            table_length);
    struct iovec parts[2 * ANSWERS_AT_ONCE];
    int each = bytes[0] == 'H' ? 1 : 2;
    while (requests > 0) {
        int count = 0;
        size_t length = 0;
        for (; requests > 0 && count < 2 * ANSWERS_AT_ONCE; requests--) {
            parts[count++] = (struct iovec){head, (size_t)head_length};
            if (each == 2) parts[count++] = (struct iovec){table, table_length};
        }
        for (int i = 0; i < count; i++) length += parts[i].iov_len;
        ssize_t sent = writev(fd, parts, count);
        if (sent < 0 && errno != EAGAIN) {
            close_client(client);
            return;
        }
        if (sent < 0) sent = 0;
        if ((size_t)sent < length) {
            keep(client, fd, parts, count, (size_t)sent);
            return; /* the bench never pipelines more than fits */
        }
    }
}

static void opened(void *argument) {
    struct client *client = argument;
    client->id = next_id++;
    table_add(client->id);
}

static void on_connection(int listener, short what, void *argument) {
    (void)what;
    (void)argument;
    accept_all(listener, sizeof(struct client), on_readable, opened);
}

int main(int count, char **arguments) {
    if (count != 2) return 2;
    table_room = 4096;
    table = must(malloc(table_room));
    table_length = (size_t)sprintf(table, "{\"5\":{\"pending\":true,\"data\":{}}}");
    start(arguments[1], on_connection);
    event_base_dispatch(base);
    return 0;
}
