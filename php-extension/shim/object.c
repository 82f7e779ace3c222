/* The objects: their creation, their end and their properties. */
#include "bridge.h"
#include "compat.h"

#include <zend_exceptions.h>

#include "classes.h"

_Static_assert(offsetof(bridge_object, std) % sizeof(zval) == 0, "the slots before it are aligned");

/* A class's objects begin with its slots: their offset is in its handlers. */
static zend_object_handlers handlers[CLASS_COUNT];
uint32_t bridge_slot_counts[CLASS_COUNT];

/* The place of an event's `pending`, the only one that is no ordinary property. */
#define EVENT_PENDING 0

/* As programs that PHP has compiled have them. Another string may have the same letters. */
static zend_string *pending_name, *length_name;

static const bridge_class *class_of(const bridge_object *object)
{
	return &bridge_classes[object->class_id];
}

static const bridge_property *find_property(const bridge_object *object, const char *name, size_t length)
{
	const bridge_class *class = class_of(object);

	for (uint32_t n = 0; n < class->property_count; n++) {
		const bridge_property *property = &class->properties[n];
		if (property->length == length && !property->real && memcmp(property->name, name, length) == 0) {
			return property;
		}
	}
	return NULL;
}

zend_object *bridge_create_object(zend_class_entry *entry, uint32_t class_id)
{
	const zend_object_handlers *of_class = &handlers[class_id];
	char *memory = emalloc((size_t)of_class->offset + sizeof(zend_object) + zend_object_properties_size(entry));
	bridge_object *object = bridge_object_of((zend_object *)(memory + of_class->offset));

	object->handle = NULL;
	object->class_id = class_id;
	object->hidden = 0;
	for (uint32_t n = 0; n < bridge_slot_counts[class_id]; n++) {
		ZVAL_UNDEF(bridge_slot(object, n));
	}
	zend_object_std_init(&object->std, entry);
	object_properties_init(&object->std, entry);
	object->std.handlers = of_class;
	return &object->std;
}

/* Whether code of PHP's may run when Zend lets go of the properties and of the weak references. */
static bool may_run_code(zend_object *std)
{
	if (std->properties || GC_FLAGS(std) & IS_OBJ_WEAKLY_REFERENCED) {
		return true;
	}
	for (int n = 0; n < std->ce->default_properties_count; n++) {
		if (Z_REFCOUNTED(std->properties_table[n])) {
			return true;
		}
	}
	return false;
}

/* Destructors of what the object holds run in here. None of them may reach the object, which goes
 * whatever they do: Rust calls it no more, and then Zend, before it lets go of the properties, empties
 * the weak references to it. */
static void free_object(zend_object *std)
{
	bridge_object *object = bridge_object_of(std);
	void *handle = object->handle;

	object->handle = NULL;
	if (object->hidden) {
		bridge_forget_hidden(object);
	}
	if (handle && may_run_code(std)) {
		php_event_unlink(object->class_id, handle);
		zend_object_std_dtor(std);
		php_event_bind(handle, NULL);
	} else {
		zend_object_std_dtor(std);
	}
	if (handle) {
		php_event_free(object->class_id, handle);
	}
	for (uint32_t n = 0; n < bridge_slot_counts[object->class_id]; n++) {
		bridge_clear(bridge_slot(object, n), IS_UNDEF);
	}
	if (bridge_in_request()) { /* afterwards no code of PHP's runs */
		bridge_finish();
	}
}

static void read_pending(bridge_object *object, zval *to)
{
	int pending = php_event_pending(object->handle);

	if (pending < 0) {
		ZVAL_NULL(to);
	} else {
		ZVAL_BOOL(to, pending);
	}
}

static void read_length(bridge_object *object, zval *to)
{
	int64_t length = php_event_readable(object->handle);

	if (length < 0) {
		ZVAL_NULL(to);
	} else {
		ZVAL_LONG(to, length);
	}
}

/* Reads what Rust answers for a property. */
static void read_virtual(bridge_object *object, const bridge_property *property, zval *to)
{
	bridge_frame frame;

	if (property->kind == PROPERTY_PENDING) {
		read_pending(object, to);
		return;
	}
	if (property->kind == PROPERTY_LENGTH) {
		read_length(object, to);
		return;
	}
	bridge_begin(&frame, object);
	frame.handle = object->handle;
	if (php_event_read_property(property->number, object, &frame)) {
		bridge_to_zval(to, &frame.result);
		/* The same buffer object each time. */
		if (frame.keeps.count && Z_TYPE_P(to) == IS_OBJECT) {
			bridge_replace(bridge_slot(object, frame.keeps.all[0].slot), to);
		}
	} else {
		ZVAL_NULL(to);
	}
	bridge_raise(&frame, NULL);
}

static zval *read_property(zend_object *std, zend_string *name, int type, void **cache, zval *to)
{
	const bridge_property *property;

	if (name == pending_name && bridge_object_of(std)->class_id == CLASS_Event) {
		read_pending(bridge_object_of(std), to);
		return to;
	}
	if (name == length_name && bridge_object_of(std)->class_id == CLASS_EventBuffer) {
		read_length(bridge_object_of(std), to);
		return to;
	}
	property = find_property(bridge_object_of(std), ZSTR_VAL(name), ZSTR_LEN(name));
	if (!property) {
		return zend_std_read_property(std, name, type, cache, to);
	}
	read_virtual(bridge_object_of(std), property, to);
	return to;
}

static zval *write_property(zend_object *std, zend_string *name, zval *value, void **cache)
{
	bridge_object *object = bridge_object_of(std);
	const bridge_property *property = find_property(object, ZSTR_VAL(name), ZSTR_LEN(name));
	bridge_frame frame;

	if (!property) {
		return zend_std_write_property(std, name, value, cache);
	}
	if (!property->writable) {
		zend_throw_error(NULL, "Cannot write property %s::$%s", ZSTR_VAL(std->ce->name), property->name);
		return value;
	}
	bridge_begin(&frame, object);
	frame.handle = object->handle;
	frame.argc = 1;
	frame.argv[0] = (bridge_value){0};
	ZVAL_DEREF(value);
	switch (Z_TYPE_P(value)) {
		case IS_STRING:
			frame.argv[0].kind = BRIDGE_STRING;
			frame.argv[0].as.text = Z_STRVAL_P(value);
			frame.argv[0].length = Z_STRLEN_P(value);
			break;
		case IS_FALSE: case IS_TRUE:
			frame.argv[0].kind = Z_TYPE_P(value) == IS_TRUE ? BRIDGE_TRUE : BRIDGE_FALSE;
			break;
		case IS_NULL: frame.argv[0].kind = BRIDGE_NULL; break;
		case IS_LONG: case IS_DOUBLE:
			frame.argv[0].kind = BRIDGE_LONG;
			frame.argv[0].as.number = zval_get_long(value);
			break;
		default: frame.argv[0].kind = BRIDGE_ZVAL; break;
	}
	php_event_write_property(property->number, object, &frame);
	bridge_raise(&frame, NULL);
	return value;
}

/* No reference to a virtual property: PHP reads it and writes it back instead. */
static zval *property_pointer(zend_object *std, zend_string *name, int type, void **cache)
{
	if (find_property(bridge_object_of(std), ZSTR_VAL(name), ZSTR_LEN(name))) {
		return NULL;
	}
	return zend_std_get_property_ptr_ptr(std, name, type, cache);
}

static int has_property(zend_object *std, zend_string *name, int check, void **cache)
{
	const bridge_property *property = find_property(bridge_object_of(std), ZSTR_VAL(name), ZSTR_LEN(name));
	zval value;
	int has;

	if (!property) {
		return zend_std_has_property(std, name, check, cache);
	}
	read_virtual(bridge_object_of(std), property, &value);
	switch (check) {
		case ZEND_PROPERTY_EXISTS: has = 1; break;
		case ZEND_PROPERTY_NOT_EMPTY: has = zend_is_true(&value); break;
		default: has = Z_TYPE(value) != IS_NULL; break;
	}
	zval_ptr_dtor(&value);
	return has;
}

static void unset_property(zend_object *std, zend_string *name, void **cache)
{
	const bridge_property *property = find_property(bridge_object_of(std), ZSTR_VAL(name), ZSTR_LEN(name));

	if (property) {
		zend_throw_error(NULL, "Cannot unset property %s::$%s", ZSTR_VAL(std->ce->name), property->name);
		return;
	}
	if (bridge_object_of(std)->class_id == CLASS_Event && zend_string_equals_literal(name, "data")) {
		return; /* it keeps its value, as under PECL */
	}
	zend_std_unset_property(std, name, cache);
}

/* var_dump, json_encode and foreach see present values. */
static HashTable *get_properties(zend_object *std)
{
	bridge_object *object = bridge_object_of(std);
	const bridge_class *class = class_of(object);

	if (object->class_id == CLASS_Event) { /* of which programs make tables as JSON */
		zval former, *place = OBJ_PROP_NUM(std, EVENT_PENDING);
		ZVAL_COPY_VALUE(&former, place); /* what unserialize() put there */
		read_pending(object, place);
		i_zval_ptr_dtor(&former);
		return zend_std_get_properties(std);
	}
	for (uint32_t n = 0; n < class->property_count; n++) {
		const bridge_property *property = &class->properties[n];
		zval value, former, *place;
		if (property->real) {
			continue;
		}
		read_virtual(object, property, &value);
		place = OBJ_PROP_NUM(std, property->slot);
		ZVAL_COPY_VALUE(&former, place);
		ZVAL_COPY_VALUE(place, &value);
		zval_ptr_dtor(&former);
	}
	return zend_std_get_properties(std);
}

static int refuse_serialize(zval *object, unsigned char **buffer, size_t *length, zend_serialize_data *data)
{
	(void)buffer; (void)length; (void)data;
	zend_throw_exception_ex(bridge_entries[CLASS_EventException], 0,
		"%s instances are not serializable", ZSTR_VAL(Z_OBJCE_P(object)->name));
	return FAILURE;
}

static int refuse_unserialize(zval *object, zend_class_entry *entry, const unsigned char *buffer,
                              size_t length, zend_unserialize_data *data)
{
	(void)object; (void)buffer; (void)length; (void)data;
	zend_throw_exception_ex(bridge_entries[CLASS_EventException], 0,
		"%s instances cannot be unserialized", ZSTR_VAL(entry->name));
	return FAILURE;
}

void bridge_startup_objects(void)
{
	pending_name = zend_string_init_interned(ZEND_STRL("pending"), true);
	length_name = zend_string_init_interned(ZEND_STRL("length"), true);
	for (uint32_t id = 0; id < CLASS_COUNT; id++) {
		zend_object_handlers *of_class = &handlers[id];
		bridge_slot_counts[id] = php_event_slots(id);
		*of_class = std_object_handlers;
		of_class->offset = (int)(bridge_slot_counts[id] * sizeof(zval) + XtOffsetOf(bridge_object, std));
		of_class->free_obj = free_object;
		of_class->get_gc = bridge_get_gc;
		of_class->read_property = read_property;
		of_class->write_property = write_property;
		of_class->get_property_ptr_ptr = property_pointer;
		of_class->has_property = has_property;
		of_class->unset_property = unset_property;
		of_class->get_properties = get_properties;
		of_class->clone_obj = NULL;
	}
}

void bridge_setup_class(zend_class_entry *entry, uint32_t class_id,
                        zend_object *(*create)(zend_class_entry *))
{
	if (class_id == CLASS_EventException) {
		return; /* an ordinary PHP object */
	}
	entry->create_object = create;
	if (!bridge_classes[class_id].serializable) {
		entry->serialize = refuse_serialize;
		entry->unserialize = refuse_unserialize;
	}
}
