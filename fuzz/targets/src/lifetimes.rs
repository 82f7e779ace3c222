//! Handles of every class, used, freed and dropped in an order that the input chooses: nothing
//! crashes, and every closure is dropped.

use std::rc::Rc;

use test_support::signals_turn;

use crate::cage::{Choices, Ignored, episode};

pub(crate) fn run(input: &[u8]) {
    let _turn = signals_turn();
    let _ignored = Ignored::new();
    episode(Choices::of_input(input), &Rc::default());
}
