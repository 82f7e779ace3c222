//! The tutorial's third program: what forked children change, the parent never sees.
//!
//! `cargo run --example tutorial_isolation [longest sleep, 1 or more: 10] [pause: 3]`, in seconds

use std::time::Duration;
use std::{env, process, thread};

use php_event::Result;
use php_event::process::{Fork, Pid, Wait, Waited, fork, getpid, wait};

mod m {
    use std::cell::RefCell;

    thread_local! {
        pub(super) static ARR: RefCell<Vec<super::Pid>> = RefCell::default();
    }
}

fn is_arr() {
    m::ARR.with_borrow_mut(|arr| {
        if arr.is_empty() {
            println!("global M::arr empty~");
            arr.push(getpid());
        }
    });
}

fn main() -> Result<()> {
    let seconds = |n| env::args().nth(n).and_then(|argument| argument.parse().ok());
    let (max, pause) = (seconds(1).unwrap_or(10), seconds(2).unwrap_or(3));

    for _i in 0..5 {
        let pid = fork()?;

        if pid == Fork::Child {
            is_arr();
            thread::sleep(Duration::from_secs(fastrand::u64(1..=max)));
            process::exit(0);
        }
    }

    // PHP's program never ends; this one ends when no child is left. It needs no
    // `pcntl_signal_dispatch()`: neither program handles a signal.
    while let Waited::Ended(pid, _status) = wait(Wait::Block)? {
        println!("child process exit~ pid = {pid} ");

        thread::sleep(Duration::from_secs(pause));

        m::ARR.with_borrow(|arr| print_r(arr));
    }
    Ok(())
}

/// PHP's `print_r` of an array of numbers.
fn print_r(arr: &[Pid]) {
    println!("Array\n(");
    for (key, value) in arr.iter().enumerate() {
        println!("    [{key}] => {value}");
    }
    println!(")");
}
