/* What the two halves of the extension exchange: C owns everything of Zend's, Rust everything of
 * libevent's. src/bridge.rs declares the same.
 *
 * No Zend function that allocates, warns, throws or runs user code is called while a Rust frame
 * is on the stack, except inside bridge_call, which catches what would jump over it. */
#ifndef PHP_EVENT_BRIDGE_H
#define PHP_EVENT_BRIDGE_H

#include <php.h>
#include <stdbool.h>
#include <stdint.h>

#define BRIDGE_ARGUMENTS 8

/* Bits of an event's mask. */
#define BRIDGE_TIMEOUT 1
#define BRIDGE_READ 2
#define BRIDGE_WRITE 4
#define BRIDGE_SIGNAL 8
#define BRIDGE_PERSIST 16
#define BRIDGE_ET 32

typedef enum {
	BRIDGE_UNSET,      /* not given; in a result: void */
	BRIDGE_NULL,
	BRIDGE_FALSE,
	BRIDGE_TRUE,
	BRIDGE_LONG,       /* as.number */
	BRIDGE_DOUBLE,     /* as.fraction */
	BRIDGE_STRING,     /* as.text, length */
	BRIDGE_ARRAY,      /* as.entries, length */
	BRIDGE_OBJECT,     /* an argument: as.object, whose class has been checked */
	BRIDGE_DESCRIPTOR, /* an argument: as.number, and in n a bridge_origin */
	BRIDGE_ZVAL,       /* an argument of any type, or a callable: as.zval */
	BRIDGE_NEW,        /* a result: a new object of class n with as.handle */
	BRIDGE_SELF,       /* a result: the object of as.object */
	BRIDGE_SLOT,       /* a result: a copy of slot n of as.object; null if that is empty */
	BRIDGE_DATA,       /* for a callable: a copy of property n of as.object */
	BRIDGE_ITEM,       /* a result: element `length` of the list in slot n of as.object */
	BRIDGE_SOCKET      /* a result: a Socket object that owns the descriptor as.number */
} bridge_kind;

/* Where a descriptor comes from. */
typedef enum {
	BRIDGE_NO_DESCRIPTOR, /* null, or nothing that has one */
	BRIDGE_OF_STREAM,
	BRIDGE_OF_INT,
	BRIDGE_OF_SOCKET,
	BRIDGE_OF_DEAD_SOCKET /* closed, or with an error stored */
} bridge_origin;

struct bridge_object;
struct bridge_entry;

typedef struct bridge_value {
	uint32_t kind;
	uint32_t n;
	union {
		int64_t number;
		double fraction;
		const char *text;
		struct bridge_entry *entries;
		struct bridge_object *object;
		void *handle;
		zval *zval;
	} as;
	size_t length;
} bridge_value;

/* An element of an array; a key of kind BRIDGE_UNSET appends. */
typedef struct bridge_entry {
	bridge_value key;
	bridge_value value;
} bridge_entry;

typedef enum {
	BRIDGE_NO_ERROR,
	BRIDGE_WARNING,
	BRIDGE_EXCEPTION,       /* Exception */
	BRIDGE_EVENT_EXCEPTION, /* EventException */
	BRIDGE_PHP_ERROR,       /* Error */
	BRIDGE_TYPE_ERROR       /* TypeError about the argument `argument` */
} bridge_error_kind;

/* What is to happen to a slot after the call. */
typedef struct bridge_keep {
	uint32_t slot;
	uint32_t how;     /* bridge_how */
	uint32_t argument; /* counted from 0 */
} bridge_keep;

typedef enum {
	BRIDGE_KEEP,   /* the slot gets a copy of the argument */
	BRIDGE_APPEND, /* the list in the slot gets a copy at its end; null where it was not given */
	BRIDGE_CLEAR,
	BRIDGE_SET_DATA /* the property `data` gets a copy; null where it was not given */
} bridge_how;

typedef struct bridge_keeps {
	uint32_t count;
	bridge_keep all[BRIDGE_ARGUMENTS];
} bridge_keeps;

/* One call of a method: filled by C, answered by Rust, carried out by C. Of the arrays, what the
 * numbers count is set. */
typedef struct bridge_frame {
	struct bridge_object *self; /* null for a static method */
	void *handle;               /* of self; null before its constructor and after free() */
	uint32_t argc;
	bridge_keeps keeps;
	bridge_value argv[BRIDGE_ARGUMENTS];

	/* In Rust a struct of its own. */
	uint32_t outs;  /* bit n: out[n] is set */
	uint32_t error; /* bridge_error_kind */
	uint32_t argument;
	uint32_t constructed; /* set: `made` is the handle of self from now on */
	uint32_t memory; /* names what Rust keeps of the answer until php_event_forget; 0 for nothing */
	const char *message;
	size_t message_length;
	void *made;
	bridge_value result;
	bridge_value out[BRIDGE_ARGUMENTS]; /* for arguments by reference */
} bridge_frame;

/* Field by field: memset is slower here. */
static inline void bridge_begin(bridge_frame *frame, struct bridge_object *self)
{
	frame->self = self;
	frame->handle = NULL;
	frame->argc = 0;
	frame->keeps.count = 0;
	frame->outs = 0;
	frame->error = BRIDGE_NO_ERROR;
	frame->argument = 0;
	frame->constructed = 0;
	frame->memory = 0;
	frame->message = NULL;
	frame->message_length = 0;
	frame->made = NULL;
	frame->result.kind = BRIDGE_UNSET;
	frame->result.n = 0;
	frame->result.as.number = 0;
	frame->result.length = 0;
}

/* An object of one of the extension's classes. Every zval that belongs to it is in a slot or in a
 * property, where the collector sees it; Rust knows the object by its address alone. The slots lie
 * before it, as many as the class needs. */
typedef struct bridge_object {
	void *handle;
	uint32_t class_id;
	uint32_t hidden; /* its place in collector.c's list, counted from 1; 0 where it is in none */
	zend_object std;
} bridge_object;

extern uint32_t bridge_slot_counts[]; /* of each class */

static inline zval *bridge_slot(bridge_object *object, uint32_t n)
{
	ZEND_ASSERT(n < bridge_slot_counts[object->class_id]);
	return (zval *)object - 1 - n;
}

static inline bridge_object *bridge_object_of(zend_object *object)
{
	return (bridge_object *)((char *)object - XtOffsetOf(bridge_object, std));
}

/* A slot or property gets a copy of a value. The former value is released last: that may run a
 * destructor. */
static inline void bridge_replace(zval *place, zval *value)
{
	zval former;

	ZVAL_COPY_VALUE(&former, place);
	ZVAL_COPY_DEREF(place, value);
	if (Z_REFCOUNTED(former)) {
		zval_ptr_dtor(&former);
	}
}

/* A slot becomes empty, or a property null. */
static inline void bridge_clear(zval *place, uint32_t type)
{
	zval former;

	ZVAL_COPY_VALUE(&former, place);
	Z_TYPE_INFO_P(place) = type;
	if (Z_REFCOUNTED(former)) {
		zval_ptr_dtor(&former);
	}
}

/* A copy of what a slot or property holds; null where that is nothing. */
static inline void bridge_copy(zval *to, zval *from)
{
	if (!from || Z_ISUNDEF_P(from)) {
		ZVAL_NULL(to);
	} else {
		ZVAL_COPY_DEREF(to, from);
	}
}

/* In Rust. */
void php_event_method(uint32_t method, bridge_frame *frame);
uint32_t php_event_slots(uint32_t class_id); /* how many its objects have */
void php_event_bind(void *handle, struct bridge_object *object); /* null: it is freed next */
void php_event_unlink(uint32_t class_id, void *handle); /* it has no object from now on */
void php_event_free(uint32_t class_id, void *handle);
bool php_event_is_pending(uint32_t class_id, void *handle);
bool php_event_quick_add(void *handle, double seconds); /* -1 for ever */
bool php_event_quick_add_whole(void *handle, int64_t seconds);
bool php_event_quick_del(void *handle);
bool php_event_quick_free(void *handle);
int php_event_pending(void *handle); /* the property: 0 or 1; -1 for null */
void *php_event_quick_timer(void *base, bridge_object *object);
void *php_event_quick_watch(void *base, bridge_object *object, int64_t descriptor, uint32_t origin,
                            int64_t what);
int64_t php_event_readable(void *handle); /* -1 where there is no buffer */
int64_t php_event_line(void *handle, int64_t style, int64_t *end); /* -1 when there is none */
int64_t php_event_take(void *handle, unsigned char *room, size_t length); /* -1 when it fails */
int64_t php_event_copy(void *handle, size_t start, unsigned char *room, size_t length); /* the same */
bool php_event_add(void *handle, const char *text, size_t length);
bool php_event_drain(void *handle, size_t length);
bool php_event_read_property(uint32_t property, bridge_object *object, bridge_frame *frame);
bool php_event_write_property(uint32_t property, bridge_object *object, bridge_frame *frame);
void php_event_forget(uint32_t memory);
void php_event_request_shutdown(void);

const char *php_event_libevent_version(void);
const char *php_event_openssl_version(void);
int64_t php_event_openssl_number(void);

/* In C, for Rust: the only way into user code. */
typedef enum {
	BRIDGE_CALLED,
	BRIDGE_THREW,       /* an exception is under way */
	BRIDGE_BAILED_OUT,  /* the script ends: bridge_finish goes on with that */
	BRIDGE_NOT_CALLABLE /* a warning said so */
} bridge_called;

/* Holds what a descriptor belongs to, or an object. No memory of Zend's is asked for: Rust frames
 * may be there. */
void *bridge_hold(zval *value);
void *bridge_hold_object(bridge_object *object);

/* Lets go of it, and closes it if it is a stream or Socket. What that runs cannot jump over Rust
 * frames. Whether it threw or ends the script, and a loop ends by that. */
bool bridge_release(void *held, bool close);

uint32_t bridge_call(bridge_object *object, uint32_t slot, int64_t item, uint32_t argc,
                     const bridge_value *argv);

/* In C, for C. */
typedef enum {
	PARAM_LONG, PARAM_DOUBLE, PARAM_BOOL, PARAM_STRING, PARAM_ARRAY, PARAM_MIXED,
	PARAM_CALLABLE, PARAM_UNCHECKED_CALLABLE, PARAM_DESCRIPTOR, PARAM_TARGET, PARAM_OBJECT,
	PARAM_SOCKET, PARAM_EVENT_SOURCE, PARAM_OUT
} bridge_param_type;

typedef struct bridge_param {
	uint8_t type;
	bool nullable;
	uint32_t class_id; /* of PARAM_OBJECT */
} bridge_param;

typedef struct bridge_method {
	uint32_t number;
	uint32_t required;
	uint32_t total;
	const bridge_param *params;
} bridge_method;

/* The properties that programs read often. */
typedef enum {
	PROPERTY_OTHER,
	PROPERTY_PENDING, /* of Event */
	PROPERTY_LENGTH   /* of EventBuffer */
} bridge_property_kind;

typedef struct bridge_property {
	const char *name;
	uint32_t length; /* of the name */
	bridge_property_kind kind;
	uint32_t number;
	uint32_t slot; /* in the properties table */
	bool writable;
	bool real; /* an ordinary property, which PHP itself reads and writes */
} bridge_property;

typedef struct bridge_class {
	const char *name;
	const bridge_property *properties;
	uint32_t property_count;
	bool serializable;
} bridge_class;

extern const bridge_class bridge_classes[];
extern zend_class_entry *bridge_entries[];

bool bridge_quick_add(zend_execute_data *execute_data, zval *return_value);
bool bridge_quick_del(zend_execute_data *execute_data, zval *return_value);
bool bridge_quick_free(zend_execute_data *execute_data, zval *return_value);
bool bridge_quick_timer(zend_execute_data *execute_data, zval *return_value);
bool bridge_quick_construct(zend_execute_data *execute_data, zval *return_value);
bool bridge_quick_write(zend_execute_data *execute_data, zval *return_value);
bool bridge_quick_read(zend_execute_data *execute_data, zval *return_value);
bool bridge_quick_read_line(zend_execute_data *execute_data, zval *return_value);
bool bridge_quick_substr(zend_execute_data *execute_data, zval *return_value);
bool bridge_quick_drain(zend_execute_data *execute_data, zval *return_value);
void bridge_invoke(const bridge_method *method, zend_execute_data *execute_data,
                   zval *return_value);
void bridge_register_classes(void);
void bridge_startup_objects(void);
void bridge_to_zval(zval *to, const bridge_value *from);
bool bridge_descriptor(zval *of, bridge_value *to);
void bridge_close(zval *value); /* a stream, or a Socket */
void bridge_raise(bridge_frame *frame, zend_execute_data *execute_data);
void bridge_finish(void);
void bridge_begin_request(void);
HashTable *bridge_get_gc(zend_object *std, zval **table, int *count);
void bridge_forget_hidden(bridge_object *object);
void bridge_forget_all_hidden(void);
void bridge_startup_collector(void);
void bridge_shutdown_collector(void);
bool bridge_in_request(void);
zend_object *bridge_create_object(zend_class_entry *entry, uint32_t class_id);
void bridge_setup_class(zend_class_entry *entry, uint32_t class_id,
                        zend_object *(*create)(zend_class_entry *));

#endif
