//! How far the loop gets between two things that happen from outside.

use php_event::{EventBase, LoopFlags};

/// How long a pause between two parts of an input is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// Until nothing is active any more.
    Settled,
    /// One turn of the loop: what it has begun may go on with the next part there.
    Turn,
}

impl Pace {
    pub(crate) fn turn(self, base: &EventBase) {
        let flags = match self {
            Self::Settled => LoopFlags::NONBLOCK,
            Self::Turn => LoopFlags::ONCE | LoopFlags::NONBLOCK,
        };
        base.r#loop(flags).expect("the loop runs");
    }
}
