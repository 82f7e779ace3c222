#!/bin/sh
# Generated calls of the whole extension under Valgrind: monkey.sh [PROGRAMS [CALLS [SEED]]]
#
# Each program has a seed, from SEED on, which monkey.php repeats. A crash or an invalid access fails,
# and shows the program's last calls. Leaks do not: PHP leaves cycles to its allocator when it ends.
# MONKEY_TOOL= runs without Valgrind.
. "$(dirname "$0")/common.sh"
programs=${1:-20}
calls=${2:-400}
seed=${3:-1}
tool=${MONKEY_TOOL-valgrind -q --leak-check=no --error-exitcode=99 --suppressions=$here/php-extension/ci/valgrind.supp --log-file=$scratch/valgrind}
code=0
last=$((seed + programs))
while [ "$seed" -lt "$last" ]; do
    : >"$scratch/valgrind"
    # shellcheck disable=SC2046,SC2086
    if ! USE_ZEND_ALLOC=0 own_network timeout 300 $tool php -n $(shared sockets) \
        -d "extension=$extension" "$here/php-extension/ci/monkey.php" "$seed" "$calls" \
        </dev/null >"$scratch/output" 2>"$scratch/calls" || ! tail -n 1 "$scratch/calls" | grep -q '^done$'; then
        echo "monkey.php $seed $calls: failed after these calls:" >&2
        tail -n 5 "$scratch/calls" >&2
        head -n 60 "$scratch/valgrind" >&2
        code=1
    fi
    seed=$((seed + 1))
done
[ $code -ne 0 ] || echo "$programs programs of $calls calls: nothing wrong"
exit $code
