#!/bin/sh
# Measures our extension beside PECL's, in one run: speed.sh PECL-EVENT.SO [WORKERMAN [TUTORIAL.md]]
#
# For each kind of work in speed.php: the instructions that one takes, which valgrind counts and
# other work on the machine does not change (those of system calls are not among them), and the
# process's own time for one, the median of RUNS (5) runs on either side, which take turns.
#
# WORKERMAN is a checkout of walkor/workerman, TUTORIAL.md a copy of the tutorial; wrk asks their
# servers. Each line has the requests per second, and the server's own time for one request; both
# are medians of RUNS runs. Last in each line stands ours as a multiple of PECL's: below 1 is
# faster. On a busy machine the times say more than the requests per second.
. "$(dirname "$0")/help.sh"
[ $# -ge 1 ] && [ $# -le 3 ] || refuse
BUILD=release
. "$(dirname "$0")/common.sh"
pecl=$(realpath "$1")
runs=${RUNS:-5}
seconds=${SECONDS_EACH:-4}
speed=$here/php-extension/ci/speed.php

# Runs PHP with the extension $1.
with() {
    local extension=$1
    shift
    # shellcheck disable=SC2046
    timeout 60 "$php" -n $(shared sockets) -d "extension=$extension" "$@"
}

# The median of the numbers in column $2 of file $1.
median() {
    cut -f"$2" "$1" | sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'
}

# Writes what each kind of work takes with the extension $1, as NAME, tab, instructions. The
# profile is dumped at each mark, so that every second part is one kind of work.
instructions() {
    local part=2 name count
    rm -f "$scratch"/profile*
    # PECL's own extension may crash at the end, when all is done.
    # shellcheck disable=SC2046
    valgrind -q --tool=callgrind --dump-before=zend_gc_collect_cycles \
        --callgrind-out-file="$scratch/profile" \
        "$php" -n $(shared sockets) -d "extension=$1" "$speed" --counted >"$scratch/names" 2>/dev/null || true
    grep "$(printf '\t')" "$scratch/names" | while IFS=$(printf '\t') read -r name count; do
        awk -v name="$name" -v count="$count" '
            /^(totals|summary):/ { all = $2 } END { printf "%s\t%.0f\n", name, all / count }
        ' "$scratch/profile.$part"
        part=$((part + 2))
    done
}

if command -v valgrind >/dev/null; then
    instructions "$pecl" >"$scratch/counted.pecl"
    instructions "$extension" >"$scratch/counted.ours"
fi
printf '%-58s %25s %29s\n' 'one of' 'instructions: PECL, ours' 'nanoseconds: PECL, ours'
with "$extension" "$speed" | while IFS=$(printf '\t') read -r name count; do
    rm -f "$scratch/pecl" "$scratch/ours"
    for _ in $(seq "$runs"); do
        with "$pecl" "$speed" "$name" "$count" >>"$scratch/pecl" 2>/dev/null || true
        with "$extension" "$speed" "$name" "$count" >>"$scratch/ours"
    done
    for side in pecl ours; do
        [ ! -f "$scratch/counted.$side" ] ||
            awk -F'\t' -v name="$name" '$1 == name { printf "%s ", $2 }' "$scratch/counted.$side"
    done >"$scratch/counts"
    echo "$(cat "$scratch/counts")$(median "$scratch/pecl" 1) $(median "$scratch/ours" 1)" |
        awk -v name="$name" '
            { printf "%-58s", name }
            NF == 4 { printf " %9d %9d  %4.2f", $1, $2, $2 / $1 }
            { printf "   %10.0f %10.0f  %4.2f\n", $(NF - 1), $NF, $NF / $(NF - 1) }'
done

# Asks the program $2 on the extension $1, over $4 connections to the port $3. Prints the requests
# per second and the microseconds of the server's own time for one, its children's included.
rate() {
    # shellcheck disable=SC2016,SC2046
    own_network sh -euc '
        scratch=$1 program=$2 port=$3 connections=$4 seconds=$5
        shift 5
        "$@" "$program" >/dev/null 2>&1 &
        server=$!
        sleep 1
        wrk -t1 -c"$connections" -d"$seconds" "http://127.0.0.1:$port/" >"$scratch/wrk" || true
        for process in "$server" $(pgrep -P "$server"); do
            awk "{ print \$14 + \$15 }" "/proc/$process/stat" # in ticks
        done >"$scratch/ticks"
        kill -TERM "$server"
        wait || true
    ' sh "$scratch" "$2" "$3" "$4" "$seconds" \
        "$php" -n $(shared ctype mbstring posix sockets) -d "extension=$1" 2>/dev/null
    awk -v tick="$(getconf CLK_TCK)" '
        FNR == NR { if (/requests in/) requests = $1; if (/^Requests\/sec/) rate = $2; next }
        { used += $1 / tick }
        END { if (requests) printf "%.0f\t%.2f\n", rate, 1e6 * used / requests }
    ' "$scratch/wrk" "$scratch/ticks"
}

rates() {
    rm -f "$scratch/pecl" "$scratch/ours"
    for _ in $(seq "$runs"); do
        rate "$pecl" "$2" "$3" "$4" >>"$scratch/pecl"
        rate "$extension" "$2" "$3" "$4" >>"$scratch/ours"
    done
    for side in pecl ours; do
        echo "$(median "$scratch/$side" 1) $(median "$scratch/$side" 2)"
    done | paste -s -d ' ' - | awk -v name="$1" '{
        printf "%-38s %7.0f /s %7.0f /s  %4.2f   %7.2f us %7.2f us  %4.2f\n",
            name, $1, $3, $1 / $3, $2, $4, $4 / $2 }'
}

if [ $# -ge 2 ]; then
    checkout=$(cd "$2" && pwd)
    mkdir "$scratch/vendor"
    cp "$here/php-extension/ci/autoload.php" "$scratch/vendor"
    cp "$checkout/tests/Feature/Stub/HttpServer.php" "$scratch"
    export CHECKOUTS="$checkout" TMPDIR="$scratch"
    rates 'Workerman, 64 connections' "$scratch/HttpServer.php" 8080 64
fi
if [ $# -ge 3 ]; then
    awk '/^```php/ { n++; print "<?php"; next } /^```/ { if (n) exit } n' "$3" >"$scratch/first.php"
    rates "the tutorial's first, 64 connections" "$scratch/first.php" 9999 64
    rates "the tutorial's first, 512 connections" "$scratch/first.php" 9999 512
fi
