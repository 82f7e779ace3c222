#!/bin/sh
# Builds the extension as `pie install` does, and checks what comes out: phpize.sh
#
# Runs phpize, configure, make and make install in php-extension/phpize, and removes what they
# wrote. Nothing is installed on the system. BUILD=release builds it for speed.
. "$(dirname "$0")/help.sh"
[ $# -eq 0 ] || refuse
set -eu
cd "$(dirname "$0")/../phpize"
root=$(mktemp -d)
php_config=${PHP_CONFIG:-php-config}
phpize=$(printf %s "$php_config" | sed 's|php-config\([^/]*\)$|phpize\1|')
php=$("$php_config" --php-binary)
trap '"$phpize" --clean >/dev/null; rm -rf "$root"' EXIT
profile=dev
[ "${BUILD:-debug}" = debug ] || profile=$BUILD

"$phpize" >"$root/log" 2>&1 || { cat "$root/log" >&2; exit 1; }
./configure --with-php-config="$(command -v "$php_config")" >"$root/log" 2>&1 || { cat "$root/log" >&2; exit 1; }
make -j2 EVENT_PROFILE=$profile
# PIE looks for this file.
[ -f modules/event.so ]
NO_INTERACTION=1 make test EVENT_PROFILE=$profile TESTS=../tests/phpt/load.phpt
# Under sudo there may be no cargo.
make install EVENT_PROFILE=$profile CARGO=false INSTALL_ROOT="$root"
"$php" -n -d extension_dir="$root$("$php_config" --extension-dir)" -d extension=event -r '
    exit(phpversion("event") === "3.1.5" ? 0 : 1);'
# What they write is in .gitignore.
[ -z "$(git ls-files --others --exclude-standard .)" ]
