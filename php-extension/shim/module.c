/* The module `event`: start, requests, end, phpinfo. */
#include "bridge.h"
#include "compat.h"

#include <ext/spl/spl_exceptions.h>
#include <ext/standard/info.h>

#include "classes.h"

#define PHP_EVENT_VERSION "3.1.5"

void php_event_end_request(void);

ZEND_TSRMLS_CACHE_DEFINE()

static PHP_MINIT_FUNCTION(event)
{
	(void)type;
	ZEND_TSRMLS_CACHE_UPDATE();
	bridge_startup_objects();
	bridge_startup_collector();
	bridge_register_classes();
	REGISTER_STRING_CONSTANT("EVENT_NS", "", CONST_PERSISTENT);
	return SUCCESS;
}

static PHP_MSHUTDOWN_FUNCTION(event)
{
	(void)type; (void)module_number;
	bridge_shutdown_collector();
	return SUCCESS;
}

static PHP_RINIT_FUNCTION(event)
{
	(void)type; (void)module_number;
	ZEND_TSRMLS_CACHE_UPDATE();
	bridge_begin_request();
	return SUCCESS;
}

static PHP_RSHUTDOWN_FUNCTION(event)
{
	(void)type; (void)module_number;
	php_event_end_request();
	bridge_forget_all_hidden();
	php_event_request_shutdown();
	return SUCCESS;
}

static PHP_MINFO_FUNCTION(event)
{
	(void)zend_module;
	php_info_print_table_start();
	php_info_print_table_row(2, "Event support", "enabled");
	php_info_print_table_row(2, "Compatible with PECL event", PHP_EVENT_VERSION);
	php_info_print_table_row(2, "Implementation", "php-event (Rust)");
	php_info_print_table_row(2, "libevent", php_event_libevent_version());
	php_info_print_table_row(2, "OpenSSL", php_event_openssl_version());
	php_info_print_table_end();
}

/* `sockets` may come before or after this extension, or not at all. */
static const zend_module_dep dependencies[] = {
	ZEND_MOD_OPTIONAL("sockets")
	ZEND_MOD_END
};

static zend_module_entry event_module_entry = {
	STANDARD_MODULE_HEADER_EX, NULL, dependencies,
	"event", NULL,
	PHP_MINIT(event), PHP_MSHUTDOWN(event), PHP_RINIT(event), PHP_RSHUTDOWN(event), PHP_MINFO(event),
	PHP_EVENT_VERSION, STANDARD_MODULE_PROPERTIES
};

zend_module_entry *bridge_module(void)
{
	return &event_module_entry;
}
