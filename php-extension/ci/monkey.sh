#!/bin/sh
# Generated calls of the whole extension under Valgrind: monkey.sh [PROGRAMS [CALLS [SEED]]]
#
# Each program has a seed, from SEED on, which monkey.php repeats. A crash or an invalid access fails,
# and shows the program's last calls. Leaks do not: PHP leaves cycles to its allocator when it ends.
# Two programs run at a time. MONKEY_TOOL= runs without Valgrind.
. "$(dirname "$0")/help.sh"
. "$(dirname "$0")/common.sh"
programs=${1:-20}
calls=${2:-400}
first=${3:-1}

# Runs every second program, from the seed $1 on.
run_half() {
    seed=$1
    mkdir "$scratch/$1"
    report=$scratch/$1/valgrind output=$scratch/$1/output log=$scratch/$1/calls
    tool=${MONKEY_TOOL-valgrind -q --leak-check=no --error-exitcode=99 --suppressions=$here/php-extension/ci/valgrind.supp --log-file=$report}
    result=0
    while [ "$seed" -lt $((first + programs)) ]; do
        : >"$report"
        # shellcheck disable=SC2046,SC2086
        if ! USE_ZEND_ALLOC=0 own_network timeout 300 $tool "$php" -n $(shared sockets) \
            -d "extension=$extension" "$here/php-extension/ci/monkey.php" "$seed" "$calls" \
            </dev/null >"$output" 2>"$log" || ! tail -n 1 "$log" | grep -q '^done$'; then
            echo "monkey.php $seed $calls: failed after these calls:" >&2
            tail -n 5 "$log" >&2
            head -n 60 "$report" >&2
            result=1
        fi
        seed=$((seed + 2))
    done
    return $result
}

code=0
run_half "$first" &
run_half $((first + 1)) || code=1
wait $! || code=1
[ $code -ne 0 ] || echo "$programs programs of $calls calls: nothing wrong"
exit $code
