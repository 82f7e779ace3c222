/*
 * A broadcast on libevent that does only what it must: the bound to measure `event-httpd broadcast`
 * against. What one connection sends, all others receive as an HTTP response. What a turn of the
 * loop brings goes into one buffer: a connection that has sent nothing gets it in one call, a sender
 * gets the parts that are not its own.
 *
 * usage: fanout PORT
 */
#include "listen.h"

enum { READ_SIZE = 16384, HEAD_SIZE = 256, PARTS = 1024 };

struct client {
    struct event readable; /* first */
    struct event *writable; /* exists while something waits */
    struct client *previous, *next;
    char *waiting;
    size_t length, sent;
    int sends; /* in this turn */
};

struct part {
    struct client *from;
    size_t start, end;
};

static struct client clients = {.previous = &clients, .next = &clients}; /* a ring */

/* What this turn has brought. */
static char *joined;
static size_t joined_length, joined_room;
static struct part parts[PARTS];
static int part_count;

static void close_client(struct client *client) {
    int fd = event_get_fd(&client->readable);
    event_del(&client->readable);
    if (client->writable) event_free(client->writable);
    close(fd);
    client->previous->next = client->next;
    client->next->previous = client->previous;
    free(client->waiting);
    free(client);
}

static void on_writable(int fd, short what, void *argument) {
    struct client *client = argument;
    (void)what;
    ssize_t count = write(fd, client->waiting + client->sent, client->length - client->sent);
    if (count < 0) {
        if (errno != EAGAIN) shutdown(fd, SHUT_RDWR); /* its read event ends it */
        return;
    }
    client->sent += (size_t)count;
    if (client->sent < client->length) return;
    client->sent = client->length = 0;
    event_free(client->writable);
    client->writable = NULL;
}

static void keep(struct client *client, const struct iovec *vector, int count, size_t skip) {
    int fd = event_get_fd(&client->readable);
    for (int i = 0; i < count; i++) {
        size_t gone = skip < vector[i].iov_len ? skip : vector[i].iov_len;
        size_t length = vector[i].iov_len - gone;
        skip -= gone;
        client->waiting = must(realloc(client->waiting, client->length + length + 1));
        memcpy(client->waiting + client->length, (char *)vector[i].iov_base + gone, length);
        client->length += length;
    }
    if (client->writable) return;
    client->writable = must(event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, client));
    event_add(client->writable, NULL);
}

static void send_to(struct client *client, const struct iovec *vector, int count) {
    size_t length = 0;
    ssize_t sent = 0;
    for (int i = 0; i < count; i++) length += vector[i].iov_len;
    if (length == 0) return;
    int fd = event_get_fd(&client->readable);
    if (!client->writable) {
        sent = count == 1 ? send(fd, vector->iov_base, length, MSG_NOSIGNAL) : writev(fd, vector, count);
        if (sent < 0 && errno != EAGAIN) {
            shutdown(fd, SHUT_RDWR);
            return;
        }
        if (sent < 0) sent = 0;
    }
    if ((size_t)sent < length) keep(client, vector, count, (size_t)sent);
}

static void end_turn(void) {
    struct iovec vector[PARTS];
    if (part_count == 0) return;
    for (struct client *client = clients.next; client != &clients; client = client->next) {
        if (!client->sends) {
            send_to(client, &(struct iovec){joined, joined_length}, 1);
            continue;
        }
        int count = 0;
        for (int i = 0; i < part_count; i++)
            if (parts[i].from != client)
                vector[count++] = (struct iovec){joined + parts[i].start, parts[i].end - parts[i].start};
        send_to(client, vector, count);
        client->sends = 0;
    }
    part_count = 0;
    joined_length = 0;
}

static void on_readable(int fd, short what, void *argument) {
    static char bytes[READ_SIZE];
    struct client *client = argument;
    (void)what;
    ssize_t got = read(fd, bytes, sizeof bytes);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) close_client(client); /* has sent nothing in this turn */
        return;
    }
    if (joined_length + (size_t)got + HEAD_SIZE > joined_room) {
        joined_room = 2 * joined_room + READ_SIZE + HEAD_SIZE;
        joined = must(realloc(joined, joined_room));
    }
    struct part *part = &parts[part_count++];
    part->from = client;
    part->start = joined_length;
    joined_length += (size_t)sprintf(joined + joined_length,
        "HTTP/1.1 200 OK\r\n"
        "Accept: application/json, text/plain, */*\r\n"
        "Connection: keep-alive\r\n"
        "Content-Length:%zd\r\n\r\n",
        got);
    memcpy(joined + joined_length, bytes, (size_t)got);
    joined_length += (size_t)got;
    part->end = joined_length;
    client->sends = 1;
    if (part_count == PARTS) end_turn();
}

static void opened(void *argument) {
    struct client *client = argument;
    client->next = &clients;
    client->previous = clients.previous;
    clients.previous->next = client;
    clients.previous = client;
}

static void on_connection(int listener, short what, void *argument) {
    (void)what;
    (void)argument;
    accept_all(listener, sizeof(struct client), on_readable, opened);
}

int main(int count, char **arguments) {
    if (count != 2) return 2;
    start(arguments[1], on_connection);
    while (event_base_loop(base, EVLOOP_ONCE) == 0) end_turn();
    return 0;
}
