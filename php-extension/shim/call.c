/* A method call: PHP's arguments are read, Rust answers, and the answer is carried out when no
 * Rust frame is left. */
#include "bridge.h"
#include "compat.h"

#include <zend_exceptions.h>
#include <zend_interfaces.h>

/* Reads a value that may stand in an array for Rust. */
static void read_scalar(zval *from, bridge_value *to)
{
	ZVAL_DEREF(from);
	switch (Z_TYPE_P(from)) {
		case IS_FALSE: to->kind = BRIDGE_FALSE; break;
		case IS_TRUE: to->kind = BRIDGE_TRUE; break;
		case IS_LONG: to->kind = BRIDGE_LONG; to->as.number = Z_LVAL_P(from); break;
		case IS_DOUBLE: to->kind = BRIDGE_DOUBLE; to->as.fraction = Z_DVAL_P(from); break;
		case IS_STRING:
			to->kind = BRIDGE_STRING;
			to->as.text = Z_STRVAL_P(from);
			to->length = Z_STRLEN_P(from);
			break;
		case IS_NULL: to->kind = BRIDGE_NULL; break;
		default: to->kind = BRIDGE_ZVAL; to->as.zval = from; break;
	}
}

static zend_string *text_of(const bridge_value *value)
{
	return (zend_string *)(value->as.text - XtOffsetOf(zend_string, val));
}

/* The entries hold their texts: reading another argument may run code that replaces an element
 * that is a reference. All of it goes with the request if a bailout keeps free_arrays from
 * running. */
static void read_array(HashTable *from, bridge_value *to)
{
	bridge_entry *entry = ecalloc(zend_hash_num_elements(from) + 1, sizeof *entry);
	zend_ulong number;
	zend_string *name;
	zval *value;

	to->kind = BRIDGE_ARRAY;
	to->as.entries = entry;
	to->length = zend_hash_num_elements(from);
	ZEND_HASH_FOREACH_KEY_VAL(from, number, name, value) {
		if (name) {
			entry->key.kind = BRIDGE_STRING;
			entry->key.as.text = ZSTR_VAL(name);
			entry->key.length = ZSTR_LEN(name);
		} else {
			entry->key.kind = BRIDGE_LONG;
			entry->key.as.number = (int64_t)number;
		}
		read_scalar(value, &entry->value);
		if (entry->value.kind == BRIDGE_STRING) {
			zend_string_addref(text_of(&entry->value));
		}
		entry++;
	} ZEND_HASH_FOREACH_END();
}

static void free_arrays(bridge_frame *frame)
{
	for (uint32_t n = 0; n < frame->argc; n++) {
		bridge_value *array = &frame->argv[n];
		if (array->kind != BRIDGE_ARRAY) {
			continue;
		}
		for (size_t i = 0; i < array->length; i++) {
			if (array->as.entries[i].value.kind == BRIDGE_STRING) {
				zend_string_release(text_of(&array->as.entries[i].value));
			}
		}
		efree(array->as.entries);
	}
}

static bool read_object(zval *from, const bridge_param *param, uint32_t number, bridge_value *to)
{
	zend_class_entry *entry = bridge_entries[param->class_id];

	if (Z_TYPE_P(from) == IS_OBJECT && instanceof_function(Z_OBJCE_P(from), entry)) {
		to->kind = BRIDGE_OBJECT;
		to->as.object = bridge_object_of(Z_OBJ_P(from));
		to->length = (size_t)from; /* for bridge_hold */
		return true;
	}
	if (param->nullable) {
		zend_wrong_parameter_class_or_null_error(number, ZSTR_VAL(entry->name), from);
	} else {
		zend_wrong_parameter_class_error(number, ZSTR_VAL(entry->name), from);
	}
	return false;
}

static bool read_callable(zval *from, bool nullable, uint32_t number, bridge_value *to)
{
	zend_fcall_info info;
	zend_fcall_info_cache cache;
	char *error = NULL;

	if (zend_fcall_info_init(from, 0, &info, &cache, NULL, &error) == SUCCESS) {
		zend_release_fcall_info_cache(&cache);
		to->kind = BRIDGE_ZVAL;
		to->as.zval = from;
		return true;
	}
	if (nullable) {
		zend_wrong_callback_or_null_error(number, error);
	} else {
		zend_wrong_callback_error(number, error);
	}
	return false;
}

static bool read_argument(zval *from, const bridge_param *param, uint32_t number, bridge_value *to)
{
	zend_long integer;
	double fraction;
	zend_string *text;
	bool truth, is_null;

	if (param->type == PARAM_OUT) {
		to->kind = BRIDGE_ZVAL;
		to->as.zval = from;
		return true;
	}
	ZVAL_DEREF(from);
	if (Z_TYPE_P(from) == IS_NULL && param->nullable && param->type != PARAM_TARGET) {
		to->kind = BRIDGE_NULL;
		to->as.zval = from;
		return true;
	}
	switch (param->type) {
		case PARAM_LONG:
			if (!zend_parse_arg_long(from, &integer, &is_null, false, number)) {
				zend_wrong_parameter_type_error(number, Z_EXPECTED_LONG, from);
				return false;
			}
			to->kind = BRIDGE_LONG;
			to->as.number = integer;
			return true;
		case PARAM_DOUBLE:
			if (!zend_parse_arg_double(from, &fraction, &is_null, false, number)) {
				zend_wrong_parameter_type_error(number, Z_EXPECTED_DOUBLE, from);
				return false;
			}
			to->kind = BRIDGE_DOUBLE;
			to->as.fraction = fraction;
			return true;
		case PARAM_BOOL:
			if (!zend_parse_arg_bool(from, &truth, &is_null, false, number)) {
				zend_wrong_parameter_type_error(number, Z_EXPECTED_BOOL, from);
				return false;
			}
			to->kind = truth ? BRIDGE_TRUE : BRIDGE_FALSE;
			return true;
		case PARAM_STRING:
			if (!zend_parse_arg_str(from, &text, false, number)) {
				zend_wrong_parameter_type_error(number, Z_EXPECTED_STRING, from);
				return false;
			}
			to->kind = BRIDGE_STRING;
			to->as.text = ZSTR_VAL(text);
			to->length = ZSTR_LEN(text);
			return true;
		case PARAM_ARRAY:
			if (Z_TYPE_P(from) != IS_ARRAY) {
				zend_wrong_parameter_type_error(number, Z_EXPECTED_ARRAY, from);
				return false;
			}
			read_array(Z_ARRVAL_P(from), to);
			return true;
		case PARAM_CALLABLE:
			return read_callable(from, param->nullable, number, to);
		case PARAM_OBJECT:
			return read_object(from, param, number, to);
		case PARAM_TARGET:
			if (Z_TYPE_P(from) == IS_STRING) {
				read_scalar(from, to);
				return true;
			}
			return bridge_descriptor(from, to);
		case PARAM_DESCRIPTOR:
		case PARAM_SOCKET:
			return bridge_descriptor(from, to);
		case PARAM_MIXED:
			if (Z_TYPE_P(from) == IS_ARRAY) {
				read_array(Z_ARRVAL_P(from), to);
			} else {
				read_scalar(from, to);
			}
			return true;
		default: /* PARAM_UNCHECKED_CALLABLE */
			to->kind = BRIDGE_ZVAL;
			to->as.zval = from;
			return true;
	}
}

/* What `Event` waits for depends on the argument behind it, its mask: a timeout takes whatever is
 * given for nothing, a signal takes a number. */
static bool read_event_source(zval *from, const bridge_value *mask, bridge_value *to)
{
	zend_long what = mask->kind == BRIDGE_LONG ? (zend_long)mask->as.number : -1;

	ZVAL_DEREF(from);
	if (what != -1 && what & (BRIDGE_SIGNAL | BRIDGE_TIMEOUT)) {
		to->kind = BRIDGE_LONG;
		to->as.number = what & BRIDGE_SIGNAL ? zval_get_long(from) : -1;
		return true;
	}
	if (Z_TYPE_P(from) == IS_NULL && what == -1) {
		to->kind = BRIDGE_NULL;
		return true;
	}
	return bridge_descriptor(from, to);
}

/* False after an exception. */
static bool read_arguments(const bridge_method *method, zend_execute_data *execute_data,
                           bridge_frame *frame)
{
	static const bridge_value not_given = {0};
	uint32_t given = ZEND_NUM_ARGS();

	if (given < method->required || given > method->total) {
		zend_wrong_parameters_count_error(method->required, method->total);
		return false;
	}
	for (uint32_t n = 0; n < given; n++) {
		frame->argv[n] = (bridge_value){0};
	}
	frame->argc = given;
	for (uint32_t n = given; n-- > 0;) { /* the mask before the source */
		zval *argument = ZEND_CALL_ARG(execute_data, n + 1);
		if (method->params[n].type == PARAM_EVENT_SOURCE) {
			const bridge_value *mask = n + 1 < given ? &frame->argv[n + 1] : &not_given;
			if (!read_event_source(argument, mask, &frame->argv[n])) {
				return false;
			}
			continue;
		}
		if (!read_argument(argument, &method->params[n], n + 1, &frame->argv[n]) || EG(exception)) {
			return false;
		}
	}
	return true;
}

static void append(zval *list, zval *value)
{
	zval copy;

	if (Z_ISUNDEF_P(list)) {
		array_init(list);
	}
	if (value) {
		ZVAL_COPY_DEREF(&copy, value);
	} else {
		ZVAL_NULL(&copy);
	}
	add_next_index_zval(list, &copy);
}

/* A slot or property gets a copy of an argument, or becomes of a type where it was not given. */
static void put(zval *place, zval *argument, uint32_t type)
{
	if (argument) {
		bridge_replace(place, argument);
	} else {
		bridge_clear(place, type);
	}
}

static void keep(const bridge_frame *frame, zend_execute_data *execute_data, bridge_object *object)
{
	for (uint32_t n = 0; n < frame->keeps.count; n++) {
		const bridge_keep *keep = &frame->keeps.all[n];
		bool given = keep->argument < frame->argc;
		zval *argument = given ? ZEND_CALL_ARG(execute_data, keep->argument + 1) : NULL;
		switch (keep->how) {
			case BRIDGE_KEEP: put(bridge_slot(object, keep->slot), argument, IS_UNDEF); break;
			case BRIDGE_APPEND: append(bridge_slot(object, keep->slot), argument); break;
			case BRIDGE_CLEAR: bridge_clear(bridge_slot(object, keep->slot), IS_UNDEF); break;
			case BRIDGE_SET_DATA:
				put(OBJ_PROP_NUM(&object->std, keep->slot), argument, IS_NULL);
				break;
		}
	}
}

static void construct(bridge_object *object, void *made)
{
	void *former = object->handle;

	object->handle = made;
	php_event_bind(made, object);
	if (former) { /* the constructor was called again */
		php_event_free(object->class_id, former);
	}
}

static void assign_outs(const bridge_frame *frame, zend_execute_data *execute_data)
{
	for (uint32_t n = 0; n < frame->argc; n++) {
		if (frame->outs & (1u << n)) {
			zval value;
			bridge_to_zval(&value, &frame->out[n]);
			ZEND_TRY_ASSIGN_REF_TMP(ZEND_CALL_ARG(execute_data, n + 1), &value);
		}
	}
}

void bridge_invoke(const bridge_method *method, zend_execute_data *execute_data, zval *return_value)
{
	bridge_frame frame;
	bridge_object *object = NULL;

	if (Z_TYPE(EX(This)) == IS_OBJECT) {
		object = bridge_object_of(Z_OBJ(EX(This)));
	}
	bridge_begin(&frame, object);
	if (!read_arguments(method, execute_data, &frame)) {
		free_arrays(&frame);
		return;
	}
	if (object) { /* only now: reading an argument may run code that constructs the object again */
		frame.handle = object->handle;
	}
	php_event_method(method->number, &frame);
	free_arrays(&frame);
	if (frame.constructed) {
		construct(object, frame.made);
	}
	bridge_to_zval(return_value, &frame.result);
	if (frame.keeps.count) {
		/* A factory keeps its arguments in the object that it makes. */
		if (frame.result.kind == BRIDGE_NEW && Z_TYPE_P(return_value) == IS_OBJECT) {
			object = bridge_object_of(Z_OBJ_P(return_value));
		}
		keep(&frame, execute_data, object);
	}
	if (frame.outs) {
		assign_outs(&frame, execute_data);
	}
	bridge_raise(&frame, execute_data);
	bridge_finish();
}
