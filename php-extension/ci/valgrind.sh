#!/bin/sh
# Runs our own .phpt files under Valgrind: valgrind.sh [FOLDER…]
#
# FOLDER is one of those in tests/phpt; without one, all run, two at a time. An invalid access or a
# definite leak fails a test, and so does wrong output. After a fatal error, and with cycles at the
# end, PHP leaves memory to its allocator: such tests run with that allocator, and only invalid
# accesses count. Those that measure memory are skipped.
. "$(dirname "$0")/help.sh"
. "$(dirname "$0")/common.sh"
cp -r "$here/php-extension/tests/phpt" "$scratch/tests"
cd "$scratch/tests"
[ $# -gt 0 ] || set -- .
# Valgrind could not name the functions of an extension that PHP has unloaded.
export ZEND_DONT_UNLOAD_MODULES=1

# Runs every second of the files in the list $2, from the $1th on, with the options of Valgrind
# behind them.
run_half() {
    half=$1 list=$2
    shift 2
    # shellcheck disable=SC2046
    valgrind -q --error-exitcode=99 --num-callers=30 --suppressions="$here/php-extension/ci/valgrind.supp" \
        --log-file="$scratch/valgrind.%p" "$@" \
        "$php" -n -d error_reporting=-1 -d display_errors=1 -d html_errors=0 -d log_errors=0 -d pcre.jit=0 \
        $(shared posix sockets) -d "extension=$extension" \
        "$here/php-extension/ci/valgrind.php" "$scratch" $(awk "NR % 2 == $half" "$list")
}

run() {
    list=$1
    shift
    [ -s "$list" ] || return 0
    run_half 1 "$list" "$@" >"$scratch/output" 2>&1 &
    run_half 0 "$list" "$@" || code=1
    wait $! || code=1
    cat "$scratch/output"
}

code=0
find "$@" -name '*.phpt' | sort | sed "s|^\./||; s|^|$scratch/tests/|" >"$scratch/all"
xargs grep -l 'to its allocator' <"$scratch/all" >"$scratch/allocator" || true
USE_ZEND_ALLOC=0 run "$scratch/all" --leak-check=full --show-leak-kinds=definite \
    --errors-for-leak-kinds=definite
USE_ZEND_ALLOC=1 run "$scratch/allocator" --leak-check=no
# What no test waited for: the processes that they started, and PHP itself.
if find "$scratch" -name 'valgrind.[0-9]*' -size +0 -exec cat {} + | grep .; then
    code=1
fi
exit $code
