//! Values that count, panic or run code when they are dropped, and the text of a panic.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread;

/// The text of the panic that `work` ends in.
#[track_caller]
pub fn panic_of<T>(work: impl FnOnce() -> T) -> String {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(_) => panic!("it did not panic"),
        Err(payload) => text_of(&*payload),
    }
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    match payload.downcast_ref::<String>() {
        Some(text) => text.clone(),
        None => (*payload.downcast_ref::<&str>().unwrap()).to_owned(),
    }
}

/// Counts how many of its tokens were dropped.
#[derive(Clone, Default)]
pub struct Drops(Rc<Cell<usize>>);

impl Drops {
    /// Something for a closure to capture: each one that is dropped counts.
    pub fn token(&self) -> Token {
        Token(Rc::clone(&self.0))
    }

    pub fn count(&self) -> usize {
        self.0.get()
    }
}

/// See [`Drops::token`].
pub struct Token(Rc<Cell<usize>>);

impl Token {
    /// Makes a closure that mentions the token own it.
    pub fn hold(&self) {}

    /// Another one of the same count.
    pub fn twin(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// Panics when it is dropped, unless a panic is already on its way.
pub struct Bomb(pub &'static str);

impl Bomb {
    /// Makes a closure that mentions the bomb own it.
    pub fn hold(&self) {}
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("{}", self.0);
        }
    }
}

/// Runs a closure when it is dropped.
pub struct OnDrop<F: FnMut()>(pub F);

impl<F: FnMut()> OnDrop<F> {
    /// Makes a closure that mentions it own it.
    pub fn hold(&self) {}
}

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
