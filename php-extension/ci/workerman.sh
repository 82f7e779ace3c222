#!/bin/sh
# Runs Workerman's HTTP and UDP stubs on our extension: workerman.sh CHECKOUT
#
# CHECKOUT is a checkout of walkor/workerman, of which nothing is changed. A client asks for
# everything that the stubs do, has the workers replaced, and asks again. The stubs have fixed
# ports, so they run in a network of their own where user namespaces are allowed.
# MODULE=FILE runs them on another event extension instead.
. "$(dirname "$0")/help.sh"
[ $# -eq 1 ] || refuse
. "$(dirname "$0")/common.sh"
checkout=$(cd "$1" && pwd)
mkdir "$scratch/vendor"
cp "$here/php-extension/ci/autoload.php" "$scratch/vendor"
cp "$checkout/tests/Feature/Stub/HttpServer.php" "$checkout/tests/Feature/Stub/UdpServer.php" "$scratch"
export CHECKOUTS="$checkout" TMPDIR="$scratch"
php="$php -n $(shared ctype mbstring posix sockets) -d extension=${MODULE:-$extension}"
# shellcheck disable=SC2016
own_network sh -euc '
    cd "$1"
    $2 HttpServer.php >http.log 2>&1 &
    http=$!
    $2 UdpServer.php >udp.log 2>&1 &
    udp=$!
    code=0
    $2 "$3" $http $udp || code=$?
    kill -INT $http $udp
    wait $http $udp || true
    [ $code = 0 ] || cat http.log udp.log >&2
    exit $code
' sh "$scratch" "$php" "$here/php-extension/ci/workerman.php"
