//! The memory that waits for peers: counted, bounded, and given back.

use std::cell::{Cell, OnceCell};
use std::cmp::Reverse;
use std::rc::Rc;
use std::time::Duration;

use super::Worker;
use crate::buffer::{Account, Buffer};
use php_event::Event;
use php_event::process::gc_mem_caches;

/// When this much has been freed since the peak, free memory goes back to the system.
const TRIM: usize = 8 << 20;

/// How long after that it goes back: peers that leave one by one cost one call together.
const TRIM_DELAY: Duration = Duration::from_millis(500);

/// What a worker holds for its peers, and how much that may be.
#[derive(Debug)]
pub(super) struct Memory {
    account: Rc<Account>,
    limit: usize,
    peak: Cell<usize>, // since memory was last given back
    trim: OnceCell<Event>,
}

impl Memory {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            account: Rc::default(),
            limit,
            peak: Cell::new(0),
            trim: OnceCell::new(),
        }
    }

    pub(super) fn set_timer(&self, timer: Event) {
        self.trim.get_or_init(|| timer);
    }

    pub(super) fn total(&self) -> usize {
        self.account.total()
    }

    /// What must remain after the worst peers were cut off. The distance to the limit makes one
    /// search for them last a while.
    fn target(&self) -> usize {
        self.limit - self.limit / 8
    }
}

impl Worker {
    /// The account of everything that waits.
    pub(crate) fn account(&self) -> &Rc<Account> {
        &self.memory.account
    }

    /// A buffer that counts in the worker's account.
    pub(crate) fn buffer(&self, bytes: Vec<u8>) -> Rc<Buffer> {
        Buffer::new(bytes, &self.memory.account)
    }

    /// Keeps what waits within `--max-queue-total`: cuts off the peers that hold most.
    pub(crate) fn limit_memory(&self) {
        let memory = &self.memory;
        let total = memory.total();
        memory.peak.set(memory.peak.get().max(total));
        if total > memory.limit {
            self.cut_off_the_worst();
        }
    }

    #[cold]
    fn cut_off_the_worst(&self) {
        let mut peers = self.admission.all();
        peers.retain(|peer| peer.held() > 0);
        peers.sort_by_key(|peer| Reverse(peer.held()));
        for peer in peers {
            let why = "what waits for all peers exceeds --max-queue-total";
            peer.cut_off(why, peer.held());
            if self.memory.total() <= self.memory.target() {
                break;
            }
        }
    }

    /// Notes that memory was freed.
    pub(crate) fn note_freed(&self) {
        let memory = &self.memory;
        let (peak, total) = (memory.peak.get(), memory.total());
        if peak.saturating_sub(total) >= TRIM
            && total <= peak / 2
            && let Some(trim) = memory.trim.get()
            && !trim.is_pending()
            && let Err(error) = trim.add(Some(TRIM_DELAY))
        {
            tracing::error!("{error}"); // the next peer that leaves tries again
        }
    }

    /// Gives free memory back to the system.
    pub(super) fn trim_memory(self: &Rc<Self>) {
        self.memory.peak.set(self.memory.total());
        gc_mem_caches();
    }
}
