# configure appends this to the Makefile.
EVENT_ROOT = $(srcdir)/../..
# `make EVENT_PROFILE=dev` builds without optimization.
EVENT_PROFILE = release
EVENT_TARGET = $(or $(CARGO_TARGET_DIR),$(EVENT_ROOT)/target)
EVENT_LIBRARY = $(EVENT_TARGET)/$(EVENT_PROFILE:dev=debug)/libphp_event_extension.so
EVENT_SOURCES := $(shell find $(EVENT_ROOT) -name target -prune -o -name '.?*' -prune -o -type f \
	'(' -name '*.rs' -o -name '*.[ch]' -o -name 'Cargo.*' -o -name pecl-event-api.json ')' -print)

# This depends on the sources alone: after `make`, `sudo make install` does not call cargo.
$(phplibdir)/event.so: $(EVENT_SOURCES)
	+cd $(EVENT_ROOT) && PHP_CONFIG=$(PHP_CONFIG) $(CARGO) build --locked \
		--profile $(EVENT_PROFILE) -p php-event-extension --target-dir $(EVENT_TARGET)
	$(INSTALL) $(EVENT_LIBRARY) $@

# `make test` reads the name from here. libtool writes such a file for C.
$(phplibdir)/event.la: $(phplibdir)/event.so
	@echo "dlname='event.so'" >$@
