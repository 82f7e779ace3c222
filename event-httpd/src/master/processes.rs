//! The worker processes of a master, and how far each is in its life.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use php_event::process::Pid;

/// A worker that ends sooner than this after its start has failed quickly.
const QUICK: Duration = Duration::from_secs(1);

/// How far a worker process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Forked, and does not accept connections yet.
    Starting,
    /// Accepts connections.
    Serving,
    /// Was told to end: another worker has its slot.
    Leaving,
    /// Hung and was killed.
    Killed {
        /// Whether it had accepted connections.
        served: bool,
    },
}

/// A worker process.
#[derive(Clone, Copy, Debug)]
pub(super) struct WorkerProcess {
    slot: usize,
    started: Instant,
    state: State,
}

impl WorkerProcess {
    /// A process that was forked just now.
    pub(super) fn new(slot: usize) -> Self {
        Self {
            slot,
            started: Instant::now(),
            state: State::Starting,
        }
    }

    pub(super) fn slot(&self) -> usize {
        self.slot
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Whether it accepted connections at some time.
    pub(super) fn served(&self) -> bool {
        matches!(
            self.state,
            State::Serving | State::Leaving | State::Killed { served: true }
        )
    }

    /// Whether its end now is a quick failure.
    pub(super) fn is_quick(&self) -> bool {
        self.started.elapsed() < QUICK
    }
}

/// All worker processes that have not been reaped.
#[derive(Debug, Default)]
pub(super) struct Processes(RefCell<BTreeMap<Pid, WorkerProcess>>);

impl Processes {
    pub(super) fn insert(&self, pid: Pid, process: WorkerProcess) {
        self.0.borrow_mut().insert(pid, process);
    }

    pub(super) fn remove(&self, pid: Pid) -> Option<WorkerProcess> {
        self.0.borrow_mut().remove(&pid)
    }

    pub(super) fn get(&self, pid: Pid) -> Option<WorkerProcess> {
        self.0.borrow().get(&pid).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    pub(super) fn pids(&self) -> Vec<Pid> {
        self.0.borrow().keys().copied().collect()
    }

    /// How many accept connections.
    pub(super) fn serving(&self) -> usize {
        self.count(State::Serving)
    }

    /// How many were told to end and have not ended.
    pub(super) fn leaving(&self) -> usize {
        self.count(State::Leaving)
    }

    fn count(&self, state: State) -> usize {
        let processes = self.0.borrow();
        let matching = processes.values().filter(|process| process.state == state);
        matching.count()
    }

    /// The processes of a slot that were not told to leave.
    pub(super) fn staying(&self, slot: usize) -> Vec<Pid> {
        let processes = self.0.borrow();
        processes
            .iter()
            .filter(|(_, process)| process.slot == slot && process.state != State::Leaving)
            .map(|(pid, _)| *pid)
            .collect()
    }

    /// Marks a process that hung. False when it is marked already, or has been reaped.
    pub(super) fn mark_killed(&self, pid: Pid) -> bool {
        let mut processes = self.0.borrow_mut();
        let Some(process) = processes.get_mut(&pid) else {
            return false;
        };
        if matches!(process.state, State::Killed { .. }) {
            return false;
        }
        let served = process.served();
        process.state = State::Killed { served };
        true
    }

    /// Gives a process that accepts connections its slot. Returns the slot's other processes,
    /// which have to leave now; `None` when the process has been reaped.
    pub(super) fn take_slot(&self, pid: Pid) -> Option<Vec<Pid>> {
        let mut processes = self.0.borrow_mut();
        let process = processes.get_mut(&pid)?;
        if process.state != State::Starting {
            return Some(Vec::new()); // another was faster and has the slot
        }
        process.state = State::Serving;
        let slot = process.slot;
        let mut former = Vec::new();
        for (other, process) in processes.iter_mut() {
            if *other != pid && process.slot == slot && process.state != State::Leaving {
                process.state = State::Leaving;
                former.push(*other);
            }
        }
        Some(former)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_to_accept_takes_the_slot_and_the_others_leave() {
        let processes = Processes::default();
        for (pid, slot) in [(1, 0), (2, 1), (3, 0), (4, 0)] {
            processes.insert(pid, WorkerProcess::new(slot));
        }
        assert_eq!(processes.take_slot(3), Some(vec![1, 4]));
        assert_eq!(processes.take_slot(4), Some(vec![]), "it was told to leave");
        assert_eq!(processes.take_slot(9), None, "it has been reaped");
        assert_eq!(processes.staying(0), [3]);
        assert_eq!((processes.serving(), processes.leaving()), (1, 2));
    }

    #[test]
    fn a_hung_process_is_marked_once_and_remembers_whether_it_served() {
        let processes = Processes::default();
        processes.insert(1, WorkerProcess::new(0));
        processes.insert(2, WorkerProcess::new(1));
        processes.take_slot(2);
        assert!(processes.mark_killed(1) && processes.mark_killed(2));
        assert!(!processes.mark_killed(1) && !processes.mark_killed(9));
        let served = [1, 2].map(|pid| processes.get(pid).unwrap().served());
        assert_eq!(served, [false, true]);
    }
}
