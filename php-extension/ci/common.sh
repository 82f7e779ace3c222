# What the scripts beside this one share: the extension, built, and PHP with it.
# Sourced, not run. BUILD=release builds it for speed; EXTENSION=FILE builds nothing.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
if [ -n "${EXTENSION:-}" ]; then
    extension=$(realpath "$EXTENSION")
else
    profile=dev
    [ "${BUILD:-debug}" = debug ] || profile=$BUILD
    cargo build --quiet --manifest-path "$here/Cargo.toml" -p php-event-extension --profile "$profile"
    extension=$(realpath -m "${CARGO_TARGET_DIR:-$here/target}")/${BUILD:-debug}/libphp_event_extension.so
fi
php_config=${PHP_CONFIG:-php-config}
php=$("$php_config" --php-binary)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Prints where PHP's runner of .phpt files is, which comes with its headers.
run_tests() {
    local prefix api runner
    prefix=$("$php_config" --prefix)
    api=$("$php_config" --phpapi)
    for runner in "$prefix/lib/php/$api/build/run-tests.php" \
        "$prefix/lib/php/build/run-tests.php" "$prefix/lib64/php/build/run-tests.php"; do
        if [ -f "$runner" ]; then
            echo "$runner"
            return
        fi
    done
    echo 'PHP comes without run-tests.php' >&2
    return 1
}

# Has PHP's runner fail a test for definite leaks as well as for invalid accesses.
valgrind_options() {
    export VALGRIND_OPTS="--leak-check=full --show-leak-kinds=definite \
--errors-for-leak-kinds=definite --suppressions=$here/php-extension/ci/valgrind.supp"
}

# Prints what loads those of these extensions that are files of their own.
shared() {
    local name
    for name in "$@"; do
        [ ! -f "$("$php_config" --extension-dir)/$name.so" ] || printf -- '-d extension=%s ' "$name"
    done
}

# Runs a command in a network of its own, with a loopback, where user namespaces are allowed.
own_network() {
    if unshare --user --map-root-user --net ip link set lo up 2>/dev/null; then
        # shellcheck disable=SC2016
        unshare --user --map-root-user --net sh -c 'ip link set lo up; exec "$@"' sh "$@"
    else
        "$@"
    fi
}
