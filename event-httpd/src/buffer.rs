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

/// Bytes that many peers share. They count once, until the last peer has them, and do not change
/// before.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    account: Option<Rc<Account>>,
}

impl Buffer {
    /// What a buffer takes besides its bytes: itself and the two counts of its `Rc`.
    const OVERHEAD: usize = size_of::<Self>() + 2 * size_of::<usize>();

    /// A buffer that counts in `account`.
    pub(crate) fn new(mut bytes: Vec<u8>, account: &Rc<Account>) -> Rc<Self> {
        bytes.shrink_to_fit();
        let buffer = Self {
            bytes,
            account: Some(Rc::clone(account)),
        };
        account.add(buffer.memory());
        Rc::new(buffer)
    }

    /// A buffer that counts nowhere, for what is small or bounded by its owner.
    pub(crate) fn uncounted(mut bytes: Vec<u8>) -> Rc<Self> {
        bytes.shrink_to_fit();
        Rc::new(Self {
            bytes,
            account: None,
        })
    }

    /// Has `write` append other bytes in the place of these. False when a peer has them still: then
    /// nothing happens.
    pub(crate) fn rewrite(buffer: &mut Rc<Self>, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let Some(buffer) = Rc::get_mut(buffer) else {
            return false;
        };
        let before = buffer.memory();
        buffer.bytes.clear(); // keeps its memory
        write(&mut buffer.bytes);
        if let Some(account) = &buffer.account {
            account.subtract(before);
            account.add(buffer.memory());
        }
        true
    }

    fn memory(&self) -> usize {
        self.bytes.capacity() + Self::OVERHEAD
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
            account.subtract(self.memory());
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

    #[test]
    fn a_buffer_is_written_again_in_its_place_unless_it_is_shared() {
        let account = Rc::new(Account::default());
        let mut buffer = Buffer::new(b"first".to_vec(), &account);
        let shared = Rc::clone(&buffer);
        assert!(!Buffer::rewrite(&mut buffer, |_| unreachable!()));
        drop(shared);
        let long = [b'x'; 1000];
        assert!(Buffer::rewrite(&mut buffer, |bytes| bytes.extend_from_slice(&long)));
        assert_eq!(**buffer, long);
        let capacity = buffer.bytes.capacity();
        assert_eq!(account.total(), capacity + Buffer::OVERHEAD);
        assert!(Buffer::rewrite(&mut buffer, |bytes| bytes.push(b'y')));
        assert_eq!(**buffer, *b"y");
        assert_eq!(
            account.total(),
            capacity + Buffer::OVERHEAD,
            "its memory is kept"
        );
        drop(buffer);
        assert_eq!(account.total(), 0);
    }
}
