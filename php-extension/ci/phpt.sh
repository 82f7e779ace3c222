#!/bin/sh
# Runs the tests of PECL's own event extension under ours: phpt.sh CHECKOUT
#
# CHECKOUT is a checkout of that extension, of which nothing is changed: the tests run in a
# copy. Two of them connect to www.php.net; without a network, give that name an address in
# /etc/hosts at which something listens on port 80.
[ $# -eq 1 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
. "$(dirname "$0")/common.sh"
cp -r "$1/tests" "$scratch/tests"
api=$(php-config --phpapi)
for runner in "$(php-config --prefix)/lib/php/$api/build/run-tests.php" \
    "$(php-config --prefix)/lib/php/build/run-tests.php"; do
    [ ! -f "$runner" ] || break
done
TEST_PHP_EXECUTABLE=$(command -v php) NO_INTERACTION=1 \
    php -n "$runner" -n -q --show-diff -d "extension=$extension" "$scratch/tests"
