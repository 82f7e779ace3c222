#!/bin/sh
# Runs the tests of Revolt's EventDriver under our extension: revolt.sh CHECKOUT
#
# CHECKOUT is a checkout of revoltphp/event-loop; phpunit comes from the system's packages.
# Some tests watch the standard streams, which epoll can only do with pipes or a terminal.
. "$(dirname "$0")/help.sh"
[ $# -eq 1 ] || refuse
. "$(dirname "$0")/common.sh"
CHECKOUTS=$(cd "$1" && pwd)
export CHECKOUTS
cd "$1"
mkfifo "$scratch/input" "$scratch/output"
cat "$scratch/output" &
"$php" -d "extension=$extension" "$(command -v phpunit)" --no-configuration \
    --bootstrap "$here/php-extension/ci/autoload.php" test/Driver/EventDriverTest.php 0<>"$scratch/input" >"$scratch/output" 2>&1
