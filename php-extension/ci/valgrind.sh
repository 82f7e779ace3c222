#!/bin/sh
# Runs our own .phpt files under Valgrind: valgrind.sh [FOLDER…]
#
# FOLDER is one of those in tests/phpt; without one, all run. An invalid access or a definite leak
# fails a test. Some tests are skipped there, and say so: those that measure memory, and those in
# which PHP leaves memory to its allocator, which Valgrind does without.
. "$(dirname "$0")/common.sh"
cp -r "$here/php-extension/tests/phpt" "$scratch/tests"
cd "$scratch/tests"
[ $# -gt 0 ] || set -- .
valgrind_options
export TEST_PHP_EXECUTABLE NO_INTERACTION=1
TEST_PHP_EXECUTABLE=$(command -v php)
# shellcheck disable=SC2046
php -n "$(run_tests)" -n -q -m -j2 --no-color --show-diff --show-mem $(shared sockets) \
    -d "extension=$extension" "$@"
