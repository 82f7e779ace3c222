#!/bin/sh
# Runs the tutorial's programs on our extension: tutorial.sh TUTORIAL.md
#
# TUTORIAL.md is a copy of the tutorial. Its three programs run as they are; a client talks to
# the first two. With PECL=FILE they run on PECL's extension as well, and everything that the
# client read and the programs printed must be the same, byte for byte. They listen on port 9999,
# so they run in a network of their own where user namespaces are allowed.
. "$(dirname "$0")/help.sh"
[ $# -eq 1 ] || refuse
. "$(dirname "$0")/common.sh"
awk -v to="$scratch/program" '
    /^```php/ { n++; inside = 1; print "<?php" >(to n ".php"); next }
    /^```/ { inside = 0; next }
    inside { print >(to n ".php") }
' "$1"
[ -f "$scratch/program3.php" ] || { echo "$1 does not have three programs" >&2; exit 1; }

# Runs all on the extension $1; what happened goes to the folder $2.
run() {
    to=$2
    mkdir "$to"
    # shellcheck disable=SC2046
    set -- "$php" -n $(shared posix sockets) -d "extension=$1"
    timeout 27 "$@" "$scratch/program3.php" >"$to/isolation" 2>&1 &
    isolation=$!
    own_network sh -euc '
        scratch=$1 client=$2 to=$3 php=$4
        shift 4
        for n in 1 2; do
            "$@" "$scratch/program$n.php" >"$to/printed$n" 2>&1 &
            server=$!
            "$php" -n "$client" "$n" >"$to/read$n" || { kill $server; cat "$to/printed$n" >&2; exit 1; }
            kill $server
            wait $server || true
        done
    ' sh "$scratch" "$here/php-extension/ci/tutorial.php" "$to" "$php" "$@"
    wait $isolation || true
    # The processes have other numbers, and end in any order and after any time. The parent goes on
    # when the last one has ended.
    awk '
        { sub(/pid = [0-9]+/, "pid = N"); line[NR] = $0 }
        /child process exit/ { last = NR }
        END { for (n = 1; n <= last; n++) print line[n] }
    ' "$to/isolation" >"$to/ended"
    mv "$to/ended" "$to/isolation"
}

run "$extension" "$scratch/ours"
cd "$scratch/ours"
wc -c read1 read2 printed1 printed2 isolation
grep -c 'child process exit' isolation | grep -qx 5 || { cat isolation >&2; exit 1; }
if [ -n "${PECL:-}" ]; then
    run "$PECL" "$scratch/pecl"
    diff -r "$scratch/pecl" "$scratch/ours"
    echo 'the same on both, byte for byte'
fi
