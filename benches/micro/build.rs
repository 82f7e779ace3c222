//! Compiles the loops in C, with libevent's headers as the library has found them.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=src/twin.c");
    let mut build = cc::Build::new();
    build
        .file("src/twin.c")
        .opt_level(2)
        .warnings_into_errors(true);
    for include in ["DEP_PHP_EVENT_LIBEVENT_INCLUDE", "DEP_OPENSSL_INCLUDE"] {
        build.includes(env::var_os(include));
    }
    build.compile("twin");
}
