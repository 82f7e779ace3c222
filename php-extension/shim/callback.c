/* User code under Rust frames: called inside zend_try, so that nothing jumps over them. */
#include "bridge.h"
#include "compat.h"

#include <zend_closures.h>
#include <zend_exceptions.h>

#include "classes.h"

/* The script is ending: a bailout was caught in bridge_call, and goes on in bridge_finish as soon
 * as Rust has returned. */
ZEND_TLS bool bailed_out;
ZEND_TLS bool in_request;

void bridge_begin_request(void)
{
	bailed_out = false;
	in_request = true;
}

bool bridge_in_request(void)
{
	return in_request;
}

void bridge_finish(void)
{
	if (bailed_out) {
		bailed_out = false;
		zend_bailout();
	}
}

static void warn_of_exception(void)
{
	zend_object *exception = EG(exception);

	if (!zend_is_unwind_exit(exception) && !zend_is_graceful_exit(exception)) {
		php_error_docref(NULL, E_WARNING, "Breaking the loop due to exception %s",
			ZSTR_VAL(exception->ce->name));
	}
}

static zval *callable_in(bridge_object *object, uint32_t slot, int64_t item)
{
	zval *place = bridge_slot(object, slot);

	if (item < 0) {
		return Z_ISUNDEF_P(place) ? NULL : place;
	}
	return Z_TYPE_P(place) == IS_ARRAY ? zend_hash_index_find(Z_ARRVAL_P(place), (zend_ulong)item) : NULL;
}

/* Finds the function of a callable. A closure stores it, so there is nothing to look up. */
static bool find_function(zval *callable, zend_fcall_info_cache *function)
{
	if (Z_TYPE_P(callable) != IS_OBJECT || Z_OBJCE_P(callable) != zend_ce_closure) {
		return zend_is_callable_ex(callable, NULL, 0, NULL, function, NULL);
	}
	memset(function, 0, sizeof *function);
	if (Z_OBJ_HANDLER_P(callable, get_closure)(Z_OBJ_P(callable), &function->calling_scope,
			&function->function_handler, &function->object, false) != SUCCESS) {
		return false;
	}
	function->called_scope = function->calling_scope;
	return true;
}

/* The kinds that most arguments are of come first. */
static inline void pass(zval *to, const bridge_value *from)
{
	switch (from->kind) {
		case BRIDGE_LONG: ZVAL_LONG(to, (zend_long)from->as.number); break;
		case BRIDGE_SLOT: bridge_copy(to, bridge_slot(from->as.object, from->n)); break;
		case BRIDGE_DATA: bridge_copy(to, OBJ_PROP_NUM(&from->as.object->std, from->n)); break;
		case BRIDGE_SELF: ZVAL_OBJ_COPY(to, &from->as.object->std); break;
		default: bridge_to_zval(to, from); break;
	}
}

/* Calls the callable in a slot, or element `item` of the list in it. */
uint32_t bridge_call(bridge_object *object, uint32_t slot, int64_t item, uint32_t argc,
                     const bridge_value *argv)
{
	zend_execute_data *volatile frame = EG(current_execute_data);
	volatile uint32_t result = BRIDGE_CALLED;
	zval arguments[BRIDGE_ARGUMENTS], callable, returned;
	zend_fcall_info_cache function;
	zval *place = callable_in(object, slot, item);

	if (bailed_out || !in_request) {
		return BRIDGE_BAILED_OUT;
	}
	if (EG(exception)) {
		return BRIDGE_THREW;
	}
	if (!place) {
		return BRIDGE_NOT_CALLABLE;
	}
	ZVAL_UNDEF(&returned);
	ZVAL_COPY(&callable, place); /* the slot may be replaced meanwhile */
	GC_ADDREF(&object->std);     /* and the object released */
	zend_try {
		for (uint32_t n = 0; n < argc; n++) {
			pass(&arguments[n], &argv[n]);
		}
		if (!find_function(&callable, &function)) {
			php_error_docref(NULL, E_WARNING, "The callback of %s is not callable",
				ZSTR_VAL(object->std.ce->name));
			result = BRIDGE_NOT_CALLABLE;
		} else {
			zend_fcall_info call = {
				.size = sizeof call, .retval = &returned, .params = arguments, .param_count = argc
			};
			ZVAL_COPY_VALUE(&call.function_name, &callable);
			zend_call_function(&call, &function);
		}
		if (EG(exception)) {
			result = BRIDGE_THREW;
			warn_of_exception();
		}
		i_zval_ptr_dtor(&returned);
		for (uint32_t n = 0; n < argc; n++) {
			i_zval_ptr_dtor(&arguments[n]);
		}
		i_zval_ptr_dtor(&callable);
		OBJ_RELEASE(&object->std);
		if (EG(exception)) {
			result = BRIDGE_THREW; /* a destructor threw */
		}
	} zend_catch {
		/* What was held goes with the request, as always after a bailout. */
		EG(current_execute_data) = frame;
		bailed_out = true;
		result = BRIDGE_BAILED_OUT;
	} zend_end_try();
	return result;
}

/* Whether a loop runs that has called no code of PHP's, or none that still runs. */
static bool is_in_loop(void)
{
	zend_execute_data *frame = EG(current_execute_data);
	zend_string *method;

	if (!frame || !frame->func || Z_TYPE(frame->This) != IS_OBJECT
			|| Z_OBJCE(frame->This) != bridge_entries[CLASS_EventBase]) {
		return false;
	}
	method = frame->func->common.function_name;
	return zend_string_equals_literal(method, "loop") || zend_string_equals_literal(method, "dispatch");
}

bool bridge_release(void *held, bool close)
{
	zend_execute_data *volatile frame = EG(current_execute_data);
	zend_object *former = EG(exception);
	volatile bool ends_loop = false;
	zval *value = held;

	zend_try {
		if (close) {
			bridge_close(value);
		}
		zval_ptr_dtor(value);
		if (EG(exception) && EG(exception) != former && is_in_loop()) {
			ends_loop = true;
			warn_of_exception();
		}
	} zend_catch {
		EG(current_execute_data) = frame;
		bailed_out = true;
		ends_loop = is_in_loop();
	} zend_end_try();
	free(value);
	return ends_loop;
}

void php_event_end_request(void)
{
	in_request = false;
	bailed_out = false;
}
