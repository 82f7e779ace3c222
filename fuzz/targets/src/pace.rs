//! How far the loop gets between two parts of an input.

use php_event::{EventBase, LoopFlags};

/// How long the next part waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// Until nothing happens any more.
    Settled,
    /// One turn of the loop: what it has begun may go on with the next part there.
    Turn,
}

impl Pace {
    /// Runs the loop; `settle` does so until nothing happens any more.
    pub(crate) fn wait(self, base: &EventBase, settle: impl FnOnce()) {
        match self {
            Self::Settled => settle(),
            Self::Turn => {
                let once = LoopFlags::ONCE | LoopFlags::NONBLOCK;
                base.r#loop(once).expect("the loop runs");
            }
        }
    }
}
