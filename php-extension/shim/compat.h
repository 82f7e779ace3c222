/* What differs between PHP 8.1 and 8.5, and nothing else. */
#ifndef PHP_EVENT_COMPAT_H
#define PHP_EVENT_COMPAT_H

#include <php.h>

#if PHP_VERSION_ID < 80100
# error "PHP 8.1 or newer is needed"
#endif

#endif
