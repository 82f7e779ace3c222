/* What PHP's collector of cycles sees of the objects.
 *
 * What is pending may still call: it hides what it has, so that a cycle with its own closure lives
 * until it has fired, as programs expect. The collector then drops it from its list of suspects, and
 * would look at it again only when it loses a count. But an object may cease to be pending without
 * one: its base is freed, its peer leaves, its time runs out with no callback to call. So what was
 * hidden is kept in a list here, and before each run those that are pending no more become suspects
 * again. */
#include "bridge.h"
#include "compat.h"

ZEND_TLS struct {
	bridge_object **all; /* null where the object has gone */
	uint32_t count;
	uint32_t room;
	bool in_use; /* by show_ended */
} hidden;

/* PHP's own, or that of an extension that was loaded before. */
static int (*collect)(void);

static bool is_pending(const bridge_object *object)
{
	return bridge_in_request() && object->handle && php_event_is_pending(object->class_id, object->handle);
}

static void note_hidden(bridge_object *object)
{
	if (object->hidden) {
		return;
	}
	if (hidden.count == hidden.room) {
		hidden.room = hidden.room ? hidden.room * 2 : 64;
		hidden.all = safe_perealloc(hidden.all, hidden.room, sizeof *hidden.all, 0, true);
	}
	hidden.all[hidden.count++] = object;
	object->hidden = hidden.count;
}

void bridge_forget_hidden(bridge_object *object)
{
	hidden.all[object->hidden - 1] = NULL;
	object->hidden = 0;
}

void bridge_forget_all_hidden(void)
{
	for (uint32_t n = 0; n < hidden.count; n++) {
		if (hidden.all[n]) {
			hidden.all[n]->hidden = 0;
		}
	}
	free(hidden.all);
	memset(&hidden, 0, sizeof hidden);
}

/* Each value is reported once, or the collector frees it too early: where PHP has made a table of
 * the properties, for json_encode or a cast, that table has the declared ones, too. */
HashTable *bridge_get_gc(zend_object *std, zval **table, int *count)
{
	bridge_object *object = bridge_object_of(std);
	zend_get_gc_buffer *buffer = zend_get_gc_buffer_create();
	HashTable *properties = NULL;

	if (is_pending(object)) {
		note_hidden(object);
	} else {
		for (uint32_t n = 0; n < bridge_slot_counts[object->class_id]; n++) {
			zend_get_gc_buffer_add_zval(buffer, bridge_slot(object, n));
		}
		properties = std->properties;
		for (int n = 0; !properties && n < std->ce->default_properties_count; n++) {
			zend_get_gc_buffer_add_zval(buffer, &std->properties_table[n]);
		}
	}
	zend_get_gc_buffer_use(buffer, table, count);
	return properties;
}

/* The list may grow meanwhile, and its objects may go: where PHP's list of suspects is full, adding to
 * it runs the collector. */
static void show_ended(void)
{
	uint32_t kept = 0;

	for (uint32_t n = 0; n < hidden.count; n++) {
		bridge_object *object = hidden.all[n];
		if (!object) {
			continue;
		}
		hidden.all[n] = NULL;
		if (is_pending(object)) {
			hidden.all[kept++] = object;
			object->hidden = kept;
		} else {
			object->hidden = 0;
			gc_check_possible_root((zend_refcounted *)&object->std);
		}
	}
	hidden.count = kept;
}

static int show_and_collect(void)
{
	if (!hidden.in_use) {
		hidden.in_use = true;
		show_ended();
		hidden.in_use = false;
	}
	return collect();
}

void bridge_startup_collector(void)
{
	collect = gc_collect_cycles;
	gc_collect_cycles = show_and_collect;
}

void bridge_shutdown_collector(void)
{
	if (gc_collect_cycles == show_and_collect) {
		gc_collect_cycles = collect;
	}
}
