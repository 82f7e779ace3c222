#!/bin/sh
# Runs the tests of PECL's own event extension under ours: phpt.sh [--valgrind] CHECKOUT
#
# CHECKOUT is a checkout of that extension, of which nothing is changed: the tests run in a
# copy. Two of them connect to port 80 of www.php.net. Where user namespaces are allowed, they
# run in one whose /etc/hosts names the loopback, on which a listener stands; elsewhere they need
# the network.
#
# With --valgrind, an invalid access or a definite leak fails a test. What PHP itself does,
# with no extension of ours, is left out: valgrind.supp.
. "$(dirname "$0")/help.sh"
memcheck=
if [ "${1:-}" = --valgrind ]; then
    memcheck=-m
    shift
fi
[ $# -eq 1 ] || refuse
. "$(dirname "$0")/common.sh"
cp -r "$1/tests" "$scratch/tests"
runner=$(run_tests)

if [ -n "$memcheck" ]; then
    valgrind_options
fi
export TEST_PHP_EXECUTABLE NO_INTERACTION=1
TEST_PHP_EXECUTABLE=$php
# shellcheck disable=SC2046,SC2086
set -- "$php" -n "$runner" -n -q --no-color --show-diff $memcheck $(shared sockets) \
    -d "extension=$extension" "$scratch/tests"

private_network() {
    unshare --user --map-root-user --mount --net "$@"
}
if private_network ip link set lo up 2>/dev/null; then
    { cat /etc/hosts; echo '127.0.0.1 www.php.net'; } >"$scratch/hosts"
    echo 'nameserver 127.0.0.1' >"$scratch/resolv.conf" # one that can be reached
    private_network sh -euc '
        ip link set lo up
        mount --bind "$1/hosts" /etc/hosts
        mount --bind "$1/resolv.conf" /etc/resolv.conf
        shift
        "$2" -n -r "\$s = stream_socket_server(\"tcp://127.0.0.1:80\"); touch(\$argv[1]);
            while (true) { \$c = @stream_socket_accept(\$s, 600); }" "$1.listens" &
        listener=$!
        trap "kill $listener" EXIT
        while [ ! -e "$1.listens" ]; do sleep 0.1; done
        shift
        "$@"
    ' sh "$scratch" "$scratch/web" "$@"
else
    echo 'no user namespaces here: www.php.net must be reachable' >&2
    "$@"
fi
