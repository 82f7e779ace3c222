/*
 * Makes one call of one function fail or come short, or all of its calls for a while. Loaded with
 * LD_PRELOAD by the tests of test_support::faults, which compile it with `cc`.
 *
 * FAULT_COUNTS  a file of COUNTS numbers, shared by the processes of a run: the calls of each
 *               function in the order of CALLS below, then how many failed, and when the first
 *               of them did, in milliseconds
 * FAULT_CALL    the function's name
 * FAULT_NUMBER  which of its calls fails, from 1 on
 * FAULT_ERROR   the errno, or -1 for a call that comes short
 * FAULT_FOR     for how many milliseconds the calls after it fail, too; 0 if only this one does
 * FAULT_OUTPUT  set if writes to the standard output and error fail, too
 *
 * `allocate` stands for libevent's own allocations.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define CALLS(X) \
	X(accept4) X(read) X(readv) X(recv) X(recvfrom) X(recvmsg) \
	X(write) X(writev) X(send) X(sendto) X(sendmsg) \
	X(epoll_create1) X(epoll_ctl) X(epoll_wait) \
	X(fork) X(socket) X(socketpair) X(pipe2) X(eventfd) X(connect) \
	X(open) X(open64) X(openat) X(openat64) X(allocate)

#define ID(name) CALL_##name,
enum call { CALLS(ID) CALL_COUNT };

#define NAME(name) #name,
static const char *const names[] = { CALLS(NAME) };

#define SHORT (-1)

static unsigned *counts; /* null until the constructor has run, and without FAULT_COUNTS */
static int planned = -1;
static unsigned planned_number;
static int planned_error;
static unsigned planned_time;
static int output_fails;

static int is_stream(int fd)
{
	int type = 0;
	socklen_t size = sizeof type;
	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

/* Whether a kernel could give this error for this descriptor. */
static int is_possible(int fd)
{
	int type;
	socklen_t size = sizeof type;
	switch (planned_error) {
	case SHORT:
		return is_stream(fd);
	case EAGAIN: /* fork has no descriptor */
		return fd < 0 || (fcntl(fd, F_GETFL) & O_NONBLOCK);
	case ECONNRESET:
	case EPIPE:
	case ENOBUFS:
		return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
	default:
		return 1;
	}
}

static unsigned milliseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned)(now.tv_sec * 1000 + now.tv_nsec / 1000000) | 1; /* never 0 */
}

/* Whether the call with that number is one that is to fail. */
static int is_due(unsigned number)
{
	if (!planned_time)
		return number == planned_number;
	if (number < planned_number)
		return 0;
	unsigned begun = __atomic_load_n(&counts[CALL_COUNT + 1], __ATOMIC_RELAXED);
	return !begun || milliseconds() - begun < planned_time;
}

/* Counts a call, and says what becomes of it: 0, an errno, or SHORT. */
static int fault(enum call call, int fd)
{
	if (!counts)
		return 0;
	unsigned number = __atomic_add_fetch(&counts[call], 1, __ATOMIC_RELAXED);
	if ((int)call != planned || !is_due(number))
		return 0;
	int saved = errno;
	int possible = is_possible(fd);
	errno = saved;
	if (!possible)
		return 0;
	__atomic_add_fetch(&counts[CALL_COUNT], 1, __ATOMIC_RELAXED);
	unsigned never = 0;
	__atomic_compare_exchange_n(&counts[CALL_COUNT + 1], &never, milliseconds(), 0,
		__ATOMIC_RELAXED, __ATOMIC_RELAXED);
	return planned_error;
}

#define REAL(name) \
	static __typeof__(name) *real; \
	if (!real) \
		real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define FAIL(call, fd) \
	do { \
		int error = fault(CALL_##call, fd); \
		if (error > 0) { \
			errno = error; \
			return -1; \
		} \
	} while (0)

/* The same for calls that move bytes: a short one moves a single byte. */
#define FAIL_OR_CUT(call, fd, size) \
	do { \
		int error = fault(CALL_##call, fd); \
		if (error > 0) { \
			errno = error; \
			return -1; \
		} \
		if (error == SHORT && size > 1) \
			size = 1; \
	} while (0)

ssize_t read(int fd, void *bytes, size_t size)
{
	REAL(read);
	FAIL_OR_CUT(read, fd, size);
	return real(fd, bytes, size);
}

ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
	REAL(recv);
	FAIL_OR_CUT(recv, fd, size);
	return real(fd, bytes, size, flags);
}

ssize_t recvfrom(int fd, void *bytes, size_t size, int flags, __SOCKADDR_ARG from, socklen_t *len)
{
	REAL(recvfrom);
	FAIL_OR_CUT(recvfrom, fd, size);
	return real(fd, bytes, size, flags, from, len);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
	REAL(write);
	/* One byte is libevent's signal handler, to a socket that has room. */
	if (size == 1 || (fd <= STDERR_FILENO && !output_fails))
		return real(fd, bytes, size);
	FAIL_OR_CUT(write, fd, size);
	return real(fd, bytes, size);
}

ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
	REAL(send);
	FAIL_OR_CUT(send, fd, size);
	return real(fd, bytes, size, flags);
}

ssize_t sendto(int fd, const void *bytes, size_t size, int flags, __CONST_SOCKADDR_ARG to, socklen_t len)
{
	REAL(sendto);
	FAIL_OR_CUT(sendto, fd, size);
	return real(fd, bytes, size, flags, to, len);
}

/* A short vectored call moves the first byte of the first part that has one. */
static int first_byte(const struct iovec *parts, int count, struct iovec *one)
{
	for (int i = 0; i < count; i++) {
		if (parts[i].iov_len) {
			one->iov_base = parts[i].iov_base;
			one->iov_len = 1;
			return 1;
		}
	}
	return 0;
}

#define VECTORED(call) \
	ssize_t call(int fd, const struct iovec *parts, int count) \
	{ \
		REAL(call); \
		struct iovec one; \
		int error = fault(CALL_##call, fd); \
		if (error > 0) { \
			errno = error; \
			return -1; \
		} \
		if (error == SHORT && first_byte(parts, count, &one)) \
			return real(fd, &one, 1); \
		return real(fd, parts, count); \
	}

VECTORED(readv)
VECTORED(writev)

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	REAL(recvmsg);
	if (planned_error != SHORT)
		FAIL(recvmsg, fd);
	return real(fd, message, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	REAL(sendmsg);
	struct iovec one;
	int error = fault(CALL_sendmsg, fd);
	if (error > 0) {
		errno = error;
		return -1;
	}
	if (error == SHORT && first_byte(message->msg_iov, (int)message->msg_iovlen, &one)) {
		struct msghdr cut = *message;
		cut.msg_iov = &one;
		cut.msg_iovlen = 1;
		return real(fd, &cut, flags);
	}
	return real(fd, message, flags);
}

int accept4(int fd, __SOCKADDR_ARG from, socklen_t *len, int flags)
{
	REAL(accept4);
	FAIL(accept4, fd);
	return real(fd, from, len, flags);
}

int epoll_create1(int flags)
{
	REAL(epoll_create1);
	FAIL(epoll_create1, -1);
	return real(flags);
}

int epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
	REAL(epoll_ctl);
	if (what != EPOLL_CTL_ADD) /* a kernel needs no memory for the others */
		return real(epoll, what, fd, event);
	FAIL(epoll_ctl, fd);
	return real(epoll, what, fd, event);
}

int epoll_wait(int epoll, struct epoll_event *events, int count, int timeout)
{
	REAL(epoll_wait);
	FAIL(epoll_wait, epoll);
	return real(epoll, events, count, timeout);
}

pid_t fork(void)
{
	REAL(fork);
	FAIL(fork, -1);
	return real();
}

int socket(int family, int type, int protocol)
{
	REAL(socket);
	FAIL(socket, -1);
	return real(family, type, protocol);
}

int socketpair(int family, int type, int protocol, int fds[2])
{
	REAL(socketpair);
	FAIL(socketpair, -1);
	return real(family, type, protocol, fds);
}

int pipe2(int fds[2], int flags)
{
	REAL(pipe2);
	FAIL(pipe2, -1);
	return real(fds, flags);
}

int eventfd(unsigned value, int flags)
{
	static int (*real)(unsigned, int);
	if (!real)
		real = (int (*)(unsigned, int))dlsym(RTLD_NEXT, "eventfd");
	FAIL(eventfd, -1);
	return real(value, flags);
}

int connect(int fd, __CONST_SOCKADDR_ARG to, socklen_t len)
{
	REAL(connect);
	FAIL(connect, fd);
	return real(fd, to, len);
}

/* Takes the mode if there is one, and returns it. */
#define MODE(flags) \
	mode_t mode = 0; \
	if ((flags) & (O_CREAT | O_TMPFILE)) { \
		va_list rest; \
		va_start(rest, flags); \
		mode = va_arg(rest, mode_t); \
		va_end(rest); \
	}

int open(const char *path, int flags, ...)
{
	REAL(open);
	MODE(flags);
	FAIL(open, -1);
	return real(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	REAL(open64);
	MODE(flags);
	FAIL(open64, -1);
	return real(path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
	REAL(openat);
	MODE(flags);
	FAIL(openat, -1);
	return real(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...)
{
	REAL(openat64);
	MODE(flags);
	FAIL(openat64, -1);
	return real(folder, path, flags, mode);
}

/*
 * libevent's allocations come here first, and go on to the functions that the program has given it,
 * which see that `malloc` fails.
 */
static void *(*given_malloc)(size_t) = malloc;
static void *(*given_realloc)(void *, size_t) = realloc;
static void (*given_free)(void *) = free;
static __thread int next_fails;

extern void *__libc_malloc(size_t);
extern void *__libc_realloc(void *, size_t);

static int fails(void)
{
	int now = next_fails;
	next_fails = 0;
	if (now)
		errno = ENOMEM;
	return now;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *realloc(void *old, size_t size)
{
	return fails() ? NULL : __libc_realloc(old, size);
}

static void *allocate(size_t size)
{
	next_fails = fault(CALL_allocate, -1) != 0;
	return given_malloc(size);
}

static void *reallocate(void *old, size_t size)
{
	next_fails = fault(CALL_allocate, -1) != 0;
	return given_realloc(old, size);
}

static void release(void *old)
{
	given_free(old);
}

void event_set_mem_functions(void *(*m)(size_t), void *(*r)(void *, size_t), void (*f)(void *))
{
	given_malloc = m;
	given_realloc = r;
	given_free = f;
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("FAULT_COUNTS");
	if (!path)
		return;
	output_fails = getenv("FAULT_OUTPUT") != NULL;
	const char *call = getenv("FAULT_CALL");
	for (int i = 0; call && i < CALL_COUNT; i++) {
		if (strcmp(call, names[i]) == 0)
			planned = i;
	}
	if (planned >= 0) {
		planned_number = (unsigned)atoi(getenv("FAULT_NUMBER"));
		planned_error = atoi(getenv("FAULT_ERROR"));
		planned_time = (unsigned)atoi(getenv("FAULT_FOR"));
	}
	void (*set)(void *(*)(size_t), void *(*)(void *, size_t), void (*)(void *));
	*(void **)&set = dlsym(RTLD_NEXT, "event_set_mem_functions");
	if (set)
		set(allocate, reallocate, release);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (shared != MAP_FAILED)
		counts = shared;
}
