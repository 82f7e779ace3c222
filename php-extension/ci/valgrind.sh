#!/bin/sh
# Runs our own .phpt files under Valgrind: valgrind.sh
#
# An invalid access or a definite leak fails a test. Not run are the tests in which the script ends
# by a fatal error or at its memory limit: PHP gives up its memory then, and without its allocator,
# which Valgrind needs, that is a leak of its own; nor those that measure memory, which say so.
[ $# -eq 0 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
. "$(dirname "$0")/common.sh"
cp -r "$here/php-extension/tests/phpt" "$scratch/tests"
valgrind_options
export TEST_PHP_EXECUTABLE NO_INTERACTION=1
TEST_PHP_EXECUTABLE=$(command -v php)
# shellcheck disable=SC2046
php -n "$(run_tests)" -n -q -m -j2 --no-color --no-progress --show-diff --show-mem $(shared sockets) \
    -d "extension=$extension" "$scratch/tests"
