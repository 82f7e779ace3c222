/* Values from Rust become PHP's, errors are raised, descriptors are found. */
#include "bridge.h"
#include "compat.h"

#include <errno.h>
#include <fcntl.h>

#include <zend_exceptions.h>
#define HAVE_SOCKETS 1
#include <ext/sockets/php_sockets.h>
#include <main/php_memory_streams.h>

#include "classes.h"

static zend_class_entry *socket_class(void)
{
	/* Looked up by name: no symbol of the extension `sockets` is needed, whatever is loaded
	 * first, or not at all. */
	return zend_hash_str_find_ptr(CG(class_table), "socket", sizeof "socket" - 1);
}

static php_socket *socket_of(zend_object *object)
{
	return (php_socket *)((char *)object - XtOffsetOf(php_socket, std));
}

static void make_object(zval *to, const bridge_value *from)
{
	if (object_init_ex(to, bridge_entries[from->n]) == SUCCESS) {
		bridge_object *object = bridge_object_of(Z_OBJ_P(to));
		object->handle = from->as.handle;
		php_event_bind(object->handle, object);
	} else {
		php_event_bind(from->as.handle, NULL);
		php_event_free(from->n, from->as.handle);
		ZVAL_NULL(to);
	}
}

static void make_socket(zval *to, int descriptor)
{
	zend_class_entry *entry = socket_class();
	php_socket *socket;
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	int flags = fcntl(descriptor, F_GETFL);

	if (!entry || object_init_ex(to, entry) != SUCCESS) {
		php_error_docref(NULL, E_WARNING, "The extension `sockets` is not loaded");
		ZVAL_FALSE(to);
		return;
	}
	socket = socket_of(Z_OBJ_P(to));
	socket->bsd_socket = descriptor;
	socket->error = 0;
	/* A stream made of it polls where it blocks. */
	socket->blocking = flags == -1 || !(flags & O_NONBLOCK);
	socket->type = AF_INET;
	if (getsockname(descriptor, (struct sockaddr *)&address, &length) == 0) {
		socket->type = address.ss_family;
	} else {
		php_error_docref(NULL, E_WARNING, "The descriptor %d is no socket: %s", descriptor, strerror(errno));
	}
}

static void make_array(zval *to, const bridge_value *from)
{
	array_init_size(to, (uint32_t)from->length);
	for (size_t n = 0; n < from->length; n++) {
		const bridge_entry *entry = &from->as.entries[n];
		zval value;
		bridge_to_zval(&value, &entry->value);
		if (entry->key.kind == BRIDGE_STRING) {
			zend_symtable_str_update(Z_ARRVAL_P(to), entry->key.as.text, entry->key.length, &value);
		} else if (entry->key.kind == BRIDGE_LONG) {
			zend_hash_index_update(Z_ARRVAL_P(to), (zend_ulong)entry->key.as.number, &value);
		} else {
			zend_hash_next_index_insert(Z_ARRVAL_P(to), &value);
		}
	}
}

void bridge_to_zval(zval *to, const bridge_value *from)
{
	switch ((bridge_kind)from->kind) {
		case BRIDGE_FALSE: ZVAL_FALSE(to); break;
		case BRIDGE_TRUE: ZVAL_TRUE(to); break;
		case BRIDGE_LONG: ZVAL_LONG(to, (zend_long)from->as.number); break;
		case BRIDGE_DOUBLE: ZVAL_DOUBLE(to, from->as.fraction); break;
		case BRIDGE_STRING: ZVAL_STRINGL(to, from->as.text, from->length); break;
		case BRIDGE_ARRAY: make_array(to, from); break;
		case BRIDGE_NEW: make_object(to, from); break;
		case BRIDGE_SELF: ZVAL_OBJ_COPY(to, &from->as.object->std); break;
		case BRIDGE_SLOT: bridge_copy(to, bridge_slot(from->as.object, from->n)); break;
		case BRIDGE_ITEM: {
			zval *list = bridge_slot(from->as.object, from->n);
			bridge_copy(to, Z_TYPE_P(list) == IS_ARRAY
				? zend_hash_index_find(Z_ARRVAL_P(list), from->length) : NULL);
			break;
		}
		case BRIDGE_ZVAL: bridge_copy(to, from->as.zval); break;
		case BRIDGE_SOCKET: make_socket(to, (int)from->as.number); break;
		default: ZVAL_NULL(to); break;
	}
}

/* The type of an argument, as PHP's errors name it. */
static const char *given(zend_execute_data *execute_data, uint32_t number)
{
	zval *argument = execute_data ? ZEND_CALL_ARG(execute_data, number) : NULL;

	if (!argument) {
		return "nothing";
	}
	ZVAL_DEREF(argument);
	return Z_TYPE_P(argument) == IS_OBJECT ? ZSTR_VAL(Z_OBJCE_P(argument)->name) : zend_zval_type_name(argument);
}

/* The copy is Zend's, so that it goes with the request if raising it ends the script. */
void bridge_raise(bridge_frame *frame, zend_execute_data *execute_data)
{
	uint32_t kind = frame->error;
	char *message;

	if (kind == BRIDGE_NO_ERROR) {
		if (frame->memory) {
			php_event_forget(frame->memory);
		}
		return;
	}
	message = estrndup(frame->message, frame->message_length);
	php_event_forget(frame->memory);
	if (!EG(exception)) {
		switch (kind) {
			case BRIDGE_WARNING: php_error_docref(NULL, E_WARNING, "%s", message); break;
			case BRIDGE_EXCEPTION: zend_throw_exception(zend_ce_exception, message, 0); break;
			case BRIDGE_EVENT_EXCEPTION:
				zend_throw_exception(bridge_entries[CLASS_EventException], message, 0);
				break;
			case BRIDGE_TYPE_ERROR:
				zend_argument_type_error(frame->argument, "%s, %s given", message,
					given(execute_data, frame->argument));
				break;
			default: zend_throw_error(NULL, "%s", message); break;
		}
	}
	efree(message);
}

static bool no_descriptor(const char *why)
{
	zend_throw_exception(zend_ce_exception, why, 0);
	return false;
}

/* Asked for the descriptor of php://temp, PHP would move the data into a file. */
static bool is_in_memory(const php_stream *stream)
{
	return stream->ops == &php_stream_memory_ops || stream->ops == &php_stream_temp_ops ||
		stream->ops == &php_stream_rfc2397_ops;
}

static bool stream_descriptor(zval *of, bridge_value *to)
{
	int descriptor = -1;
	php_stream *stream = zend_fetch_resource2_ex(of, NULL, php_file_le_stream(), php_file_le_pstream());

	if (!stream) {
		return no_descriptor("the resource is not an open stream");
	}
	if (is_in_memory(stream)) {
		return no_descriptor("the stream is in memory, and has no descriptor");
	}
	if (php_stream_cast(stream, PHP_STREAM_AS_FD_FOR_SELECT | PHP_STREAM_CAST_INTERNAL,
			(void *)&descriptor, 0) != SUCCESS || descriptor < 0) {
		return no_descriptor("the stream has no descriptor");
	}
	to->as.number = descriptor;
	to->n = BRIDGE_OF_STREAM;
	return true;
}

/* As `socket_close` does: the object does not close the number again, whosever it is then. At the
 * end of a request PHP may have closed it already. */
static void close_socket(zend_object *object)
{
	php_socket *socket = socket_of(object);

	if (OBJ_FLAGS(object) & IS_OBJ_FREE_CALLED) {
		return;
	}
	if (Z_TYPE(socket->zstream) == IS_RESOURCE) {
		zend_list_close(Z_RES(socket->zstream)); /* of socket_import_stream */
	} else if (socket->bsd_socket >= 0) {
		close(socket->bsd_socket);
	}
	socket->bsd_socket = -1;
}

void bridge_close(zval *value)
{
	if (Z_TYPE_P(value) == IS_RESOURCE) {
		zend_list_close(Z_RES_P(value));
	} else if (Z_TYPE_P(value) == IS_OBJECT && Z_OBJCE_P(value) == socket_class()) {
		close_socket(Z_OBJ_P(value));
	}
}

void *bridge_hold(zval *value)
{
	zval *held = malloc(sizeof *held);

	if (!held) {
		abort(); /* as PHP does without memory for itself */
	}
	ZVAL_COPY(held, value);
	return held;
}

void *bridge_hold_object(bridge_object *object)
{
	zval value;

	ZVAL_OBJ(&value, &object->std);
	return bridge_hold(&value);
}

/* Whether a Socket has failed for good. It also stores what only asks to try again, which a call
 * without blocking ends in. */
static bool has_failed(const php_socket *socket)
{
	switch (socket->error) {
		case 0: case EINPROGRESS: case EALREADY: case EAGAIN: case EINTR: return false;
		default: return true;
	}
}

/* Reads what has a descriptor; false after an exception. The zval goes along, as a
 * number in `length`, for bridge_hold. */
bool bridge_descriptor(zval *of, bridge_value *to)
{
	to->kind = BRIDGE_DESCRIPTOR;
	to->length = (size_t)of;
	to->as.number = -1;
	to->n = BRIDGE_NO_DESCRIPTOR;
	switch (Z_TYPE_P(of)) {
		case IS_RESOURCE: return stream_descriptor(of, to);
		case IS_LONG:
			if (Z_LVAL_P(of) < 0 || Z_LVAL_P(of) > INT_MAX) {
				zend_throw_exception_ex(zend_ce_exception, 0,
					ZEND_LONG_FMT " is not a descriptor: give a number from 0 to %d", Z_LVAL_P(of), INT_MAX);
				return false;
			}
			to->as.number = Z_LVAL_P(of);
			to->n = BRIDGE_OF_INT;
			return true;
		case IS_OBJECT: {
			zend_class_entry *entry = socket_class();
			if (entry && Z_OBJCE_P(of) == entry) {
				const php_socket *socket = socket_of(Z_OBJ_P(of));
				bool dead = socket->bsd_socket < 0 || has_failed(socket);
				to->as.number = dead ? -1 : socket->bsd_socket;
				to->n = dead ? BRIDGE_OF_DEAD_SOCKET : BRIDGE_OF_SOCKET;
				return true;
			}
			break;
		}
		default: break;
	}
	return no_descriptor("the argument is neither a stream, nor a Socket, nor a descriptor's number");
}
