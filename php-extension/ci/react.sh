#!/bin/sh
# Runs the tests of ReactPHP's ExtEventLoop under our extension: react.sh CHECKOUT
#
# CHECKOUT is a checkout of reactphp/event-loop; phpunit comes from the system's packages.
. "$(dirname "$0")/help.sh"
[ $# -eq 1 ] || refuse
. "$(dirname "$0")/common.sh"
CHECKOUTS=$(cd "$1" && pwd)
export CHECKOUTS
cd "$1"
"$php" -d "extension=$extension" "$(command -v phpunit)" --no-configuration \
    --bootstrap "$here/php-extension/ci/autoload.php" tests/ExtEventLoopTest.php
