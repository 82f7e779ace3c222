#!/bin/sh
# Installs what php-event needs to build, with the system's package manager: a C
# compiler, pkg-config, and the headers of libevent 2.1 and OpenSSL. Options add
# what the tests and the optional features need. If nothing is missing, it prints
# nothing and does not call the package manager. It does not install Rust.
set -eu

usage() {
    cat <<'END'
usage: install.sh [--tests] [--browser] [--bundled] [--php] [--coverage]

Installs what the build needs with apt, dnf, apk, pacman or brew, as root or through sudo:
a C compiler, pkg-config, libevent (2.1.12 or newer, below 2.2) and OpenSSL.

  --tests     also the programs that the tests run: curl, ab, wrk, nc, openssl, ps,
              redis-server, valgrind, strace
  --browser   also chromium, in which a test opens the page of `event-httpd hub --demo`; without
              it, the test is skipped
  --bundled   also what the features `bundled` and `bindgen` need: cmake, make and libclang
  --php       also what the PHP extension needs: php and its headers, make
  --coverage  also what .ci/coverage needs: an llvm-cov as new as rustc's LLVM
  --help      print this help
END
}

say() { echo "install.sh: $*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }
pkg() { "${PKG_CONFIG:-pkg-config}" "$@" 2>/dev/null; }

has_compiler() {
    echo '#include <stdio.h>' | "${CC:-cc}" -E - >/dev/null 2>&1
}

has_libevent() {
    for library in libevent_core libevent_extra libevent_openssl; do
        pkg --atleast-version=2.1.12 "$library" || return 1
    done
}

has_openssl() {
    # Homebrew keeps it where pkg-config does not look and Rust's openssl-sys does.
    pkg --exists openssl ||
        [ -d /opt/homebrew/opt/openssl@3 ] || [ -d /usr/local/opt/openssl@3 ]
}

# The tests connect to unix sockets; the traditional nc and busybox's cannot.
has_nc() { nc -h 2>&1 | grep -q -e '-U'; }

# Where bindgen looks for it. libclang-cpp is another library.
has_libclang() {
    set -- "${LIBCLANG_PATH:-}"/libclang[.-]* "$(llvm-config --libdir 2>/dev/null)"/libclang[.-]* \
        /usr/lib/libclang[.-]* /usr/lib64/libclang[.-]* /usr/lib/*/libclang[.-]* \
        /usr/lib/llvm*/lib/libclang[.-]* /opt/homebrew/opt/llvm/lib/libclang[.-]* \
        /usr/local/opt/llvm/lib/libclang[.-]*
    for file; do
        case $file in
            *-cpp*) ;;
            *.so* | *.dylib) [ ! -e "$file" ] || return 0 ;;
        esac
    done
    return 1
}

# An unversioned llvm-cov may be an older one.
has_llvm() {
    for tool in "llvm-cov-$llvm" llvm-cov; do
        found=$("$tool" --version 2>/dev/null | sed -n 's/.*LLVM version \([0-9]*\).*/\1/p')
        [ "${found:-0}" -lt "${llvm:-0}" ] || return 0
    done
    return 1
}

# Prints a word for each missing thing, the same on every system.
list_missing() {
    has_compiler || echo compiler
    have "${PKG_CONFIG:-pkg-config}" || echo pkg-config
    has_libevent || echo libevent
    has_openssl || echo openssl
    if [ "$bundled" = yes ]; then
        have cmake || echo cmake
        have make || echo make
        has_libclang || echo libclang
    fi
    if [ "$php" = yes ]; then
        have php || echo php
        have "${PHP_CONFIG:-php-config}" || echo php-headers
        [ "$bundled" = yes ] || have make || echo make
    fi
    [ "$coverage" = no ] || has_llvm || echo llvm
    [ "$browser" = no ] || have chromium || have chromium-browser || echo chromium
    [ "$tests" = yes ] || return 0
    have curl || echo curl
    have ab || echo ab
    have wrk || echo wrk
    has_nc || echo nc
    have openssl || echo openssl-program
    have ps || echo ps
    have redis-server || echo redis
    # These two exist on Linux only.
    [ "$(uname -s)" = Linux ] || return 0
    have valgrind || echo valgrind
    have strace || echo strace
}

# Prints the names that the package manager $1 uses for the words in $2.
packages() {
    for need in $2; do
        case $1:$need in
            apt:compiler) echo gcc libc6-dev ;;
            apk:compiler) echo gcc musl-dev ;;
            *:compiler) echo gcc ;;
            apt:pkg-config) echo pkg-config ;;
            dnf:pkg-config) echo pkgconf-pkg-config ;;
            *:pkg-config) echo pkgconf ;;
            apt:libevent | apk:libevent) echo libevent-dev ;;
            dnf:libevent) echo libevent-devel ;;
            apt:openssl) echo libssl-dev ;;
            apk:openssl) echo openssl-dev ;;
            dnf:openssl) echo openssl-devel ;;
            brew:openssl*) echo openssl@3 ;;
            *:openssl-program) echo openssl ;;
            apt:libclang) echo libclang-dev ;;
            dnf:libclang) echo clang-devel ;;
            apk:libclang) echo clang-dev ;;
            pacman:libclang) echo clang ;;
            brew:libclang) echo llvm ;;
            apt:ab | apk:ab) echo apache2-utils ;;
            dnf:ab) echo httpd-tools ;;
            pacman:ab) echo apache ;;
            brew:ab) echo httpd ;;
            apt:nc | apk:nc) echo netcat-openbsd ;;
            dnf:nc) echo nmap-ncat ;;
            pacman:nc) echo openbsd-netcat ;;
            brew:nc) echo netcat ;;
            apt:php) echo php-cli ;;
            dnf:php) echo php-cli ;;
            apt:php-headers | apk:php-headers) echo php-dev ;;
            dnf:php-headers) echo php-devel ;;
            *:php-headers) echo php ;;
            apt:ps) echo procps ;;
            apt:redis) echo redis-server ;;
            apt:llvm) echo "llvm-$llvm" ;;
            apk:llvm) echo "llvm$llvm" ;;
            *:ps) echo procps-ng ;;
            *) echo "$need" ;;
        esac
    done | tr '\n' ' ' | sed 's/ $//'
}

find_manager() {
    if have apt-get; then echo apt
    elif have dnf; then echo dnf
    elif have apk; then echo apk
    elif have pacman; then echo pacman
    elif have brew; then echo brew
    fi
}

refresh() {
    case $manager in
        apt) $root apt-get -q update ;;
        dnf) $root dnf -q makecache ;;
        apk) $root apk update ;;
        pacman) $root pacman -Sy --noconfirm ;;
        brew) brew update ;;
    esac
}

add() {
    case $manager in
        apt)
            $root env DEBIAN_FRONTEND=noninteractive \
                apt-get -q install -y --no-install-recommends "$@"
            ;;
        dnf) $root dnf -q install -y "$@" ;;
        apk) $root apk add "$@" ;;
        pacman) $root pacman -S --needed --noconfirm "$@" ;;
        brew) brew install "$@" ;;
    esac
}

# A package may replace a libevent that is too old, but not one that is too new.
judge_libevent() {
    version=$(pkg --modversion libevent_core || pkg --modversion libevent) || return 0
    if ! pkg --atleast-version=2.1.12 libevent_core; then
        say "libevent $version is too old: php-event needs 2.1.12 or newer, below 2.2"
    elif pkg --atleast-version=2.2 libevent_core && [ "$bundled" = no ]; then
        say "libevent $version is too new: php-event needs 2.1.12 or newer, below 2.2;" \
            "set PKG_CONFIG_PATH to the directory of such a libevent's .pc files, or run" \
            "this with --bundled and build with --features bundled"
        exit 1
    fi
}

tests=no
browser=no
bundled=no
php=no
coverage=no
for argument in "$@"; do
    case $argument in
        --tests) tests=yes ;;
        --browser) browser=yes ;;
        --bundled) bundled=yes ;;
        --php) php=yes ;;
        --coverage) coverage=yes ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            say "unknown argument: $argument"
            usage >&2
            exit 2
            ;;
    esac
done

have cargo || say "cargo not found: the build also needs Rust 1.88 or newer, see https://rustup.rs"
llvm=$(rustc -vV 2>/dev/null | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
judge_libevent
missing=$(list_missing)
[ -n "$missing" ] || exit 0

manager=$(find_manager)
if [ -z "$manager" ]; then
    say "no apt-get, dnf, apk, pacman or brew found; install these, named as on" \
        "Debian: $(packages apt "$missing")"
    exit 1
fi
wanted=$(packages "$manager" "$missing")

root=
if [ "$manager" != brew ] && [ "$(id -u)" -ne 0 ]; then
    if ! have sudo; then
        say "not root, and no sudo; as root, install with $manager: $wanted"
        exit 1
    fi
    # Without a terminal, nobody can answer sudo's question.
    if [ -t 0 ]; then root=sudo; else root='sudo -n'; fi
fi

say "installing with $manager: $wanted"
# One argument for each package.
# shellcheck disable=SC2086
if ! add $wanted </dev/null >&2; then
    say "failed; trying again with fresh package lists"
    if ! { refresh && add $wanted; } </dev/null >&2; then
        say "failed to install with $manager: $wanted"
        exit 1
    fi
fi

judge_libevent
missing=$(list_missing | tr '\n' ' ')
if [ -n "$missing" ]; then
    say "installed, but still not found: $missing"
    exit 1
fi
