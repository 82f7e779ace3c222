//! Shared buffers, and the account that counts their memory.

use std::cell::Cell;
use std::ops::Deref;
use std::rc::Rc;

/// Bytes that a worker holds for its peers. Each holder adds what it takes, and subtracts it when
/// it lets go.
#[derive(Debug, Default)]
pub(crate) struct Account(Cell<usize>);

impl Account {
    pub(crate) fn add(&self, bytes: usize) {
        self.0.set(self.0.get().saturating_add(bytes));
    }

    pub(crate) fn subtract(&self, bytes: usize) {
        self.0.set(self.0.get().saturating_sub(bytes));
    }

    pub(crate) fn total(&self) -> usize {
        self.0.get()
    }
}

/// Immutable bytes that many peers share. They count once, until the last peer has them.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    account: Option<Rc<Account>>,
}

impl Buffer {
    /// What a buffer takes beside its bytes: itself and the two counts of its `Rc`.
    const OVERHEAD: usize = size_of::<Self>() + 2 * size_of::<usize>();

    /// A buffer that counts in `account`.
    pub(crate) fn new(bytes: Vec<u8>, account: &Rc<Account>) -> Rc<Self> {
        account.add(bytes.len() + Self::OVERHEAD);
        Rc::new(Self {
            bytes: bytes.into(),
            account: Some(Rc::clone(account)),
        })
    }

    /// A buffer that counts nowhere, for what is small or bounded by its owner.
    pub(crate) fn uncounted(bytes: Vec<u8>) -> Rc<Self> {
        Rc::new(Self {
            bytes: bytes.into(),
            account: None,
        })
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(account) = &self.account {
            account.subtract(self.bytes.len() + Self::OVERHEAD);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_counts_once_until_its_last_handle_is_dropped() {
        let account = Rc::new(Account::default());
        let buffer = Buffer::new(vec![0; 1000], &account);
        let shared = [(); 10].map(|()| Rc::clone(&buffer));
        assert_eq!(account.total(), 1000 + Buffer::OVERHEAD);
        drop(buffer);
        assert_eq!(account.total(), 1000 + Buffer::OVERHEAD);
        drop(shared);
        assert_eq!(account.total(), 0);
    }
}
