# What the scripts beside this one share: the extension, built, and PHP with it.
# Sourced, not run.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
cargo build --quiet --manifest-path "$here/Cargo.toml" -p php-event-extension
extension=$(realpath -m "${CARGO_TARGET_DIR:-$here/target}")/debug/libphp_event_extension.so
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
