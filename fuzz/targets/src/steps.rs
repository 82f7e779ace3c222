//! The bytes of an input as steps, and as numbers that say how much or which.

/// What is left of an input.
pub(crate) struct Steps<'a>(pub(crate) &'a [u8]);

impl Steps<'_> {
    /// The next step.
    pub(crate) fn step(&mut self) -> Option<u8> {
        let (step, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*step)
    }

    /// The next number; 0 at the end of the input.
    pub(crate) fn number(&mut self) -> u8 {
        self.step().unwrap_or_default()
    }

    /// The next bytes, as far as there are so many.
    pub(crate) fn bytes(&mut self, most: usize) -> Vec<u8> {
        let (bytes, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        bytes.to_vec()
    }
}
