dnl phpize makes a configure script of this. Makefile.frag then has cargo do the work, so that
dnl `phpize && ./configure && make && make install` and PIE can build the extension.
PHP_ARG_ENABLE([event],
  [whether to build event],
  [AS_HELP_STRING([--disable-event], [Do not build event])],
  [yes])

if test "$PHP_EVENT" != "no"; then
  AC_PATH_PROG([CARGO], [cargo], [], [$PATH$PATH_SEPARATOR$HOME/.cargo/bin])
  if test -z "$CARGO"; then
    AC_MSG_ERROR([cargo is missing: install Rust 1.88 or newer (https://rustup.rs)])
  fi
  PHP_SUBST([CARGO])
  PHP_SUBST([PHP_CONFIG])
  PHP_MODULES="$PHP_MODULES \$(phplibdir)/event.la"
  PHP_ADD_MAKEFILE_FRAGMENT([$abs_srcdir/Makefile.frag], [$abs_srcdir], [$abs_builddir])
fi
