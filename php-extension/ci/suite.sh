#!/bin/sh
# Runs the PHPUnit tests of a library that uses an event loop under our extension:
# suite.sh CHECKOUT [DEPENDENCY…]
#
# CHECKOUT and the dependencies are checkouts with their composer.json; phpunit comes from the
# system's packages. MODULE=FILE runs the tests under another event extension instead, to compare.
. "$(dirname "$0")/help.sh"
[ $# -ge 1 ] || refuse
. "$(dirname "$0")/common.sh"
CHECKOUTS=$(for checkout; do (cd "$checkout" && pwd); done)
export CHECKOUTS
cd "$1"
[ -d tests ] && tests=tests || tests=test
# Some leave timers behind, for which the loop runs on when the last test is done.
timeout 600 "$php" -d "extension=${MODULE:-$extension}" "$(command -v phpunit)" --no-configuration \
    --bootstrap "$here/php-extension/ci/autoload.php" "$tests"
