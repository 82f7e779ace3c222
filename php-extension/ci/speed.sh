#!/bin/sh
# Measures our extension beside PECL's, in one run: speed.sh PECL-EVENT.SO [WORKERMAN [TUTORIAL.md]]
#
# WORKERMAN is a checkout of walkor/workerman, TUTORIAL.md a copy of the tutorial; wrk asks their
# servers. Each line has the best of three runs on either side, which take turns, and our time as
# a multiple of PECL's; for requests per second, PECL's as a multiple of ours. Below 1 is faster.
[ $# -ge 1 ] && [ $# -le 3 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
BUILD=release
. "$(dirname "$0")/common.sh"
pecl=$(realpath "$1")
seconds=${SECONDS_EACH:-4}
speed=$here/php-extension/ci/speed.php

php -n "$speed" | while read -r work; do
    rm -f "$scratch/pecl" "$scratch/ours"
    for _ in 1 2 3; do
        # shellcheck disable=SC2046
        php -n $(shared sockets) -d "extension=$pecl" "$speed" "$work" >>"$scratch/pecl"
        # shellcheck disable=SC2046
        php -n $(shared sockets) -d "extension=$extension" "$speed" "$work" >>"$scratch/ours"
    done
    echo "$(sort -n "$scratch/pecl" | head -n 1) $(sort -n "$scratch/ours" | head -n 1)" |
        awk -v work="$work" '{ printf "%-45s %9.1f ms %9.1f ms  %5.2f\n", work, $1 / 1e6, $2 / 1e6, $2 / $1 }'
done

# Requests per second of the program $2 on the extension $1, with $4 connections to the port $3.
rate() {
    # shellcheck disable=SC2016,SC2046
    own_network sh -euc '
        program=$1 port=$2 connections=$3 seconds=$4
        shift 4
        "$@" "$program" >/dev/null 2>&1 &
        server=$!
        sleep 1
        wrk -t1 -c"$connections" -d"$seconds" "http://127.0.0.1:$port/" |
            awk "/^Requests\/sec/ { print \$2 }"
        kill -INT $server
        wait $server || true
    ' sh "$2" "$3" "$4" "$seconds" \
        php -n $(shared ctype mbstring posix sockets) -d "extension=$1" 2>/dev/null
}

rates() {
    rm -f "$scratch/pecl" "$scratch/ours"
    for _ in 1 2 3; do
        rate "$pecl" "$2" "$3" "$4" >>"$scratch/pecl"
        rate "$extension" "$2" "$3" "$4" >>"$scratch/ours"
    done
    echo "$(sort -n "$scratch/pecl" | tail -n 1) $(sort -n "$scratch/ours" | tail -n 1)" |
        awk -v work="$1" '{ printf "%-45s %9.0f /s %9.0f /s  %5.2f\n", work, $1, $2, $1 / $2 }'
}

if [ $# -ge 2 ]; then
    checkout=$(cd "$2" && pwd)
    mkdir "$scratch/vendor"
    cp "$here/php-extension/ci/autoload.php" "$scratch/vendor"
    cp "$checkout/tests/Feature/Stub/HttpServer.php" "$scratch"
    export CLASSES="Workerman\\ $checkout/src" FUNCTIONS='' TMPDIR="$scratch"
    rates 'Workerman, 64 connections' "$scratch/HttpServer.php" 8080 64
fi
if [ $# -ge 3 ]; then
    awk '/^```php/ { n++; print "<?php"; next } /^```/ { if (n) exit } n' "$3" >"$scratch/first.php"
    rates "the tutorial's first, 64 connections" "$scratch/first.php" 9999 64
    rates "the tutorial's first, 512 connections" "$scratch/first.php" 9999 512
fi
