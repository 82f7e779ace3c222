//! Handles of every class, used at random, from one seed after the other. The same with inputs
//! that libFuzzer finds is the fuzz target `lifetimes`.

#[allow(dead_code, reason = "the fuzz target gives it inputs")]
mod cage;

use std::rc::Rc;

use test_support::{limited, signals_turn};

use cage::{Choices, Ignored, episode};

#[test]
fn handles_of_every_class_used_at_random_crash_nothing_and_keep_no_closure() {
    let _turn = signals_turn();
    let _ignored = Ignored::new();
    let first = std::env::var("MONKEY_SEED").map_or(1, |seed| seed.parse().unwrap());
    let count = std::env::var("MONKEY_COUNT").map_or(6, |count| count.parse().unwrap());
    let reached = Rc::default();
    for seed in first..first + count {
        limited(|| episode(Choices::of_seed(seed), &reached));
    }
    println!("seeds {first} to {}: {reached:?}", first + count - 1); // plain and TLS
}
