//! Sets of bytes, as tables.

/// A set of bytes.
#[derive(Debug)]
pub(super) struct ByteSet([bool; 256]);

impl ByteSet {
    pub(super) const fn new(members: [bool; 256]) -> Self {
        Self(members)
    }

    fn contains(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte)) == Some(&true)
    }

    /// Splits `bytes` before the first that is not in the set; `None` without one.
    #[inline]
    pub(super) fn split<'a>(&self, bytes: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let mut end = 0;
        for bytes in bytes.as_chunks::<4>().0 {
            // One branch for all four.
            if !bytes
                .iter()
                .fold(true, |all, byte| all & self.contains(*byte))
            {
                break;
            }
            end += bytes.len();
        }
        let rest = bytes.get(end..)?;
        end += rest.iter().position(|byte| !self.contains(*byte))?;
        bytes.split_at_checked(end)
    }
}

/// The [`ByteSet`] of the bytes for which a `const fn` is true.
macro_rules! byte_set {
    ($is_member:expr) => {{
        let mut members = [false; 256];
        let mut byte = 0;
        while byte < members.len() {
            #[cfg_attr(
                not(test),
                expect(
                    clippy::indexing_slicing,
                    reason = "in a constant, it would not compile"
                )
            )]
            {
                members[byte] = $is_member(byte as u8);
            }
            byte += 1;
        }
        $crate::byte_set::ByteSet::new(members)
    }};
}
pub(super) use byte_set;
