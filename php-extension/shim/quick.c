/* The methods that programs call most, without a frame. Each does the plain case alone, and
 * returns false, with nothing done but conversions of arguments, where bridge_invoke has to do it:
 * for other types of arguments, and for what fails. */
#include "bridge.h"
#include "compat.h"

#include "classes.h"

/* The slots and the property of an event, as src/classes/event.rs has them. */
#define EVENT_DESCRIPTOR 0
#define EVENT_CALLBACK 1
#define EVENT_DATA 1

#define PLAIN_FLAGS (BRIDGE_READ | BRIDGE_WRITE | BRIDGE_PERSIST | BRIDGE_ET)

static bridge_object *self_of(zend_execute_data *execute_data)
{
	return bridge_object_of(Z_OBJ(EX(This)));
}

/* The handle of a base; null of anything else. */
static void *base_of(zval *value)
{
	if (Z_TYPE_P(value) != IS_OBJECT
			|| !instanceof_function(Z_OBJCE_P(value), bridge_entries[CLASS_EventBase])) {
		return NULL;
	}
	return bridge_object_of(Z_OBJ_P(value))->handle;
}

static zval *data_of(bridge_object *object)
{
	return OBJ_PROP_NUM(&object->std, EVENT_DATA);
}

/* Event::add, addTimer and addSignal. */
bool bridge_quick_add(zend_execute_data *execute_data, zval *return_value)
{
	void *handle = self_of(execute_data)->handle;
	zval *seconds = ZEND_CALL_ARG(execute_data, 1);
	bool added = false;

	if (ZEND_NUM_ARGS() == 0) {
		added = php_event_quick_add_whole(handle, -1);
	} else if (ZEND_NUM_ARGS() == 1 && Z_TYPE_P(seconds) == IS_LONG) {
		added = php_event_quick_add_whole(handle, Z_LVAL_P(seconds));
	} else if (ZEND_NUM_ARGS() == 1 && Z_TYPE_P(seconds) == IS_DOUBLE) {
		added = php_event_quick_add(handle, Z_DVAL_P(seconds));
	}
	if (added) {
		ZVAL_TRUE(return_value);
	}
	return added;
}

/* Event::del, delTimer and delSignal. */
bool bridge_quick_del(zend_execute_data *execute_data, zval *return_value)
{
	if (ZEND_NUM_ARGS() != 0 || !php_event_quick_del(self_of(execute_data)->handle)) {
		return false;
	}
	ZVAL_TRUE(return_value);
	return true;
}

/* Event::free */
bool bridge_quick_free(zend_execute_data *execute_data, zval *return_value)
{
	bridge_object *object = self_of(execute_data);

	(void)return_value; /* null already */
	if (ZEND_NUM_ARGS() != 0 || !php_event_quick_free(object->handle)) {
		return false;
	}
	bridge_clear(bridge_slot(object, EVENT_DESCRIPTOR), IS_UNDEF);
	bridge_clear(bridge_slot(object, EVENT_CALLBACK), IS_UNDEF);
	bridge_clear(data_of(object), IS_NULL);
	return true;
}

/* Event::timer. The object is made first: no handle is lost if there is no memory for it. */
bool bridge_quick_timer(zend_execute_data *execute_data, zval *return_value)
{
	uint32_t given = ZEND_NUM_ARGS();
	bridge_object *object;
	void *base;

	if (given < 2 || given > 3 || !(base = base_of(ZEND_CALL_ARG(execute_data, 1)))) {
		return false;
	}
	if (object_init_ex(return_value, bridge_entries[CLASS_Event]) != SUCCESS) {
		return true; /* it threw */
	}
	object = bridge_object_of(Z_OBJ_P(return_value));
	object->handle = php_event_quick_timer(base, object);
	if (!object->handle) {
		zval_ptr_dtor(return_value);
		ZVAL_NULL(return_value);
		return false;
	}
	ZVAL_COPY_DEREF(bridge_slot(object, EVENT_CALLBACK), ZEND_CALL_ARG(execute_data, 2));
	if (given == 3) { /* a new object's data is null */
		bridge_replace(data_of(object), ZEND_CALL_ARG(execute_data, 3));
	}
	return true;
}

/* Event::__construct for a descriptor. */
bool bridge_quick_construct(zend_execute_data *execute_data, zval *return_value)
{
	uint32_t given = ZEND_NUM_ARGS();
	bridge_object *object = self_of(execute_data);
	zval *descriptor, *what;
	bridge_value source;
	void *base;

	(void)return_value; /* null already */
	if (given < 4 || given > 5) {
		return false;
	}
	descriptor = ZEND_CALL_ARG(execute_data, 2);
	what = ZEND_CALL_ARG(execute_data, 3);
	if (Z_TYPE_P(what) != IS_LONG || Z_LVAL_P(what) & ~PLAIN_FLAGS) {
		return false;
	}
	ZVAL_DEREF(descriptor);
	if (!bridge_descriptor(descriptor, &source)) {
		return true; /* it threw */
	}
	/* Only now: a stream's own cast may have run code that constructs one of them again. */
	base = base_of(ZEND_CALL_ARG(execute_data, 1));
	if (object->handle || !base) {
		return false;
	}
	object->handle = php_event_quick_watch(base, object, source.as.number, source.n, Z_LVAL_P(what));
	if (!object->handle) {
		return false;
	}
	ZVAL_COPY(bridge_slot(object, EVENT_DESCRIPTOR), descriptor);
	ZVAL_COPY_DEREF(bridge_slot(object, EVENT_CALLBACK), ZEND_CALL_ARG(execute_data, 4));
	if (given == 5) {
		bridge_replace(data_of(object), ZEND_CALL_ARG(execute_data, 5));
	} else {
		bridge_clear(data_of(object), IS_NULL);
	}
	return true;
}

/* EventBuffer::add, EventBufferEvent::write */
bool bridge_quick_write(zend_execute_data *execute_data, zval *return_value)
{
	zval *data = ZEND_CALL_ARG(execute_data, 1);
	bool written;

	if (ZEND_NUM_ARGS() != 1 || Z_TYPE_P(data) != IS_STRING) {
		return false;
	}
	written = php_event_add(self_of(execute_data)->handle, Z_STRVAL_P(data), Z_STRLEN_P(data));
	bridge_finish(); /* filters may have run code of PHP's */
	if (!written || EG(exception)) {
		return EG(exception) != NULL;
	}
	ZVAL_TRUE(return_value);
	return true;
}

/* Takes `length` bytes from the buffer, and returns the first `shown` of them. */
static bool read_string(void *handle, int64_t length, int64_t shown, zval *return_value)
{
	zend_string *text = zend_string_alloc((size_t)length, false);
	int64_t taken = php_event_take(handle, (unsigned char *)ZSTR_VAL(text), (size_t)length);

	bridge_finish(); /* the buffer's callbacks may have run code of PHP's */
	if (taken != length) {
		zend_string_efree(text);
		return EG(exception) != NULL;
	}
	ZSTR_LEN(text) = (size_t)shown;
	ZSTR_VAL(text)[shown] = '\0';
	RETVAL_STR(text);
	return true;
}

/* EventBuffer::read, EventBufferEvent::read. The bytes go into their string at once. */
bool bridge_quick_read(zend_execute_data *execute_data, zval *return_value)
{
	void *handle = self_of(execute_data)->handle;
	zval *most = ZEND_CALL_ARG(execute_data, 1);
	int64_t length;

	if (ZEND_NUM_ARGS() != 1 || Z_TYPE_P(most) != IS_LONG || Z_LVAL_P(most) <= 0) {
		return false;
	}
	length = php_event_readable(handle);
	length = MIN(length, Z_LVAL_P(most)); /* MIN evaluates its arguments twice */
	return length > 0 && read_string(handle, length, length, return_value);
}

/* EventBuffer::readLine. The line and its end are taken together. */
bool bridge_quick_read_line(zend_execute_data *execute_data, zval *return_value)
{
	void *handle = self_of(execute_data)->handle;
	zval *style = ZEND_CALL_ARG(execute_data, 1);
	int64_t length, end;

	if (ZEND_NUM_ARGS() != 1 || Z_TYPE_P(style) != IS_LONG) {
		return false;
	}
	length = php_event_line(handle, Z_LVAL_P(style), &end);
	return length > 0 && read_string(handle, length + end, length, return_value);
}

/* EventBuffer::substr */
bool bridge_quick_substr(zend_execute_data *execute_data, zval *return_value)
{
	void *handle = self_of(execute_data)->handle;
	zval *start = ZEND_CALL_ARG(execute_data, 1), *most = ZEND_CALL_ARG(execute_data, 2);
	zend_string *text;
	int64_t length;

	if (ZEND_NUM_ARGS() != 2 || Z_TYPE_P(start) != IS_LONG || Z_TYPE_P(most) != IS_LONG
			|| Z_LVAL_P(start) < 0 || Z_LVAL_P(most) <= 0) {
		return false;
	}
	length = php_event_readable(handle);
	if (length <= Z_LVAL_P(start)) {
		return false;
	}
	length = MIN(length - Z_LVAL_P(start), Z_LVAL_P(most));
	text = zend_string_alloc((size_t)length, false);
	if (php_event_copy(handle, (size_t)Z_LVAL_P(start), (unsigned char *)ZSTR_VAL(text),
			(size_t)length) != length) {
		zend_string_efree(text);
		return false;
	}
	ZSTR_VAL(text)[length] = '\0';
	RETVAL_STR(text);
	return true;
}

/* EventBuffer::drain */
bool bridge_quick_drain(zend_execute_data *execute_data, zval *return_value)
{
	zval *length = ZEND_CALL_ARG(execute_data, 1);
	bool drained;

	if (ZEND_NUM_ARGS() != 1 || Z_TYPE_P(length) != IS_LONG || Z_LVAL_P(length) < 0) {
		return false;
	}
	drained = php_event_drain(self_of(execute_data)->handle, (size_t)Z_LVAL_P(length));
	bridge_finish(); /* the buffer's callbacks may have run code of PHP's */
	if (!drained || EG(exception)) {
		return EG(exception) != NULL;
	}
	ZVAL_TRUE(return_value);
	return true;
}
