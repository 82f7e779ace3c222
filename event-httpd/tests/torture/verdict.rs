//! What is checked in the calm: ends of connections, deliveries, processes.

use std::collections::{BTreeMap, BTreeSet};

use super::client::{Client, Stage};
use super::server::{Process, WORKERS, Worker, descriptors, memory};
use super::{MASTER_SLACK, Outcome, Processes, Torture, Violation, WORKER_SLACK};

/// How many of a sender's messages have to have come.
#[derive(Clone, Copy, Debug, Default)]
struct Due {
    everywhere: u32,
    elsewhere: u32, // on other workers than the sender's
}

impl Torture {
    /// Whether all is answered, and four workers are there and nothing else.
    pub(super) fn is_at_rest(&mut self) -> Outcome {
        let unsettled = self
            .clients
            .iter()
            .position(|client| client.is_there() && !client.is_settled(&self.ledger));
        if let Some(index) = unsettled {
            let client = &self.clients[index];
            return Err(Violation {
                what: format!("client {} has no answer", client.id),
                clients: vec![index],
            });
        }
        let processes = self.server.look();
        self.are_four(&processes)?;
        let there = processes
            .iter()
            .map(|(worker, _)| *worker)
            .collect::<BTreeSet<_>>();
        for (index, worker) in self.server.workers.iter().enumerate() {
            if worker.ended.is_none() && !(there.contains(&index) && worker.is_steady()) {
                return Err(
                    format!("a worker has neither ended nor is it well: {worker:?}").into(),
                );
            }
        }
        Ok(())
    }

    fn are_four(&self, workers: &[(usize, Process)]) -> Outcome {
        let names = workers
            .iter()
            .filter(|(_, process)| !matches!(process.state, 'Z' | 'T'))
            .map(|(_, process)| process.name.as_str())
            .collect::<BTreeSet<_>>();
        if workers.len() == WORKERS && names.len() == WORKERS {
            Ok(())
        } else {
            Err(format!("these workers are there: {workers:?}").into())
        }
    }

    /// Every connection that the server ended had a reason to end.
    pub(crate) fn judge_drops(&mut self) -> Outcome {
        for (index, client) in self.clients.iter().enumerate() {
            if client.outlived_one && client.proof.is_some() {
                self.totals.survived_in_queue += 1;
            }
            if client.stage != Stage::Dropped || client.cut_off {
                continue;
            }
            self.totals.dropped += 1;
            if client.proof.is_none() {
                self.totals.dropped_unanswered += 1;
                let in_peace = match client.worker {
                    Some(worker) => self.server.workers[worker].kept_its_word(),
                    None => self
                        .server
                        .workers
                        .iter()
                        .filter(|worker| worker.may_have_dropped(client))
                        .all(Worker::kept_its_word),
                };
                if in_peace {
                    self.totals.dropped_in_peace += 1;
                    self.totals.dropped_asking += u64::from(client.has_written);
                }
            }
            let violation = |what: &str| Violation {
                what: format!("client {} {what}", client.id),
                clients: vec![index],
            };
            match client.worker.map(|worker| &self.server.workers[worker]) {
                Some(worker) if worker.ended.is_none() => {
                    return Err(violation("lost its connection though its worker lives"));
                }
                Some(worker) if worker.kept_its_word() && client.torn => {
                    return Err(violation("was left in the middle of a message"));
                }
                Some(_) => {}
                None => {
                    let mut workers = self.server.workers.iter();
                    if !workers.any(|worker| worker.may_have_dropped(client)) {
                        return Err(violation("lost its connection, and no worker had it"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether everyone has what he is due.
    pub(crate) fn is_complete(&mut self) -> Outcome {
        let due = self.due();
        let first = self.ledger.first();
        let mut checked = 0;
        for (index, receiver) in self.clients.iter().enumerate() {
            let Some(proof) = receiver.proof.filter(|_| receiver.stage == Stage::Open) else {
                continue;
            };
            let Some(worker) = receiver.worker else {
                return Err(Violation {
                    what: format!("client {} is on no worker", receiver.id),
                    clients: vec![index],
                });
            };
            for (sender, due) in (first..).zip(&due) {
                if sender == receiver.id {
                    continue;
                }
                let same = self.clients[(sender - first) as usize].worker == Some(worker);
                let due = if same { due.everywhere } else { due.elsewhere };
                let from = self.ledger.first_after(sender, proof);
                if from >= due {
                    continue;
                }
                checked += 1;
                let seen = receiver.seen.get(&sender);
                if seen.is_none_or(|seen| seen.first > from || seen.next < due) {
                    return Err(Violation {
                        what: format!(
                            "client {} has not got messages {from} to {} of client {sender}, \
                             but {seen:?}",
                            receiver.id,
                            due - 1
                        ),
                        clients: vec![index, (sender - first) as usize],
                    });
                }
            }
        }
        self.totals.checked += checked;
        Ok(())
    }

    /// What has to have come of each sender's messages.
    fn due(&self) -> Vec<Due> {
        let first = self.ledger.first();
        // Of each sender, how many the clients of each worker have, and how many anyone has.
        let mut seen = vec![(BTreeMap::new(), 0); self.clients.len()];
        for receiver in &self.clients {
            for (sender, got) in &receiver.seen {
                let (by_worker, by_anyone) = &mut seen[(sender - first) as usize];
                *by_anyone = got.next.max(*by_anyone);
                if let Some(worker) = receiver.worker {
                    let most = by_worker.entry(worker).or_insert(0);
                    *most = got.next.max(*most);
                }
            }
        }
        let senders = self.clients.iter().zip(seen);
        let due = senders.map(|(sender, (by_worker, by_anyone))| match sender.worker {
            Some(own) if self.server.workers[own].kept_its_word() => {
                let all = sender.answered.max(by_anyone);
                Due {
                    everywhere: all,
                    elsewhere: all,
                }
            }
            Some(own) => Due {
                everywhere: 0, // who was there has ended with it
                elsewhere: by_worker
                    .iter()
                    .filter(|(worker, _)| **worker != own)
                    .map(|(_, most)| *most)
                    .max()
                    .unwrap_or(0),
            },
            None => {
                let mut most = by_worker.into_values().collect::<Vec<_>>();
                most.sort_unstable();
                let second = most.len().checked_sub(2).map_or(0, |second| most[second]);
                Due {
                    everywhere: second,
                    elsewhere: second,
                }
            }
        });
        due.collect()
    }

    /// Whether the processes have no more than at first.
    pub(crate) fn has_shrunk(&mut self) -> Outcome {
        let workers = self.server.look();
        self.are_four(&workers)?;
        let master = self.server.master();
        let counts = |pid: i32| descriptors(pid).len();
        let Some(at_first) = &mut self.at_first else {
            let most = workers.iter().map(|(_, process)| counts(process.pid)).max();
            let least = workers.iter().map(|(_, process)| counts(process.pid)).min();
            if most != least {
                return Err(format!("workers have {least:?} to {most:?} descriptors").into());
            }
            self.at_first = Some(Processes {
                descriptors: (counts(master), most.unwrap_or(0)),
                memory: None,
            });
            return Ok(());
        };
        let (of_master, of_worker) = at_first.descriptors;
        let all = [(master, of_master)]
            .into_iter()
            .chain(workers.iter().map(|(_, process)| (process.pid, of_worker)));
        for (pid, count) in all {
            let open = descriptors(pid);
            if open.len() != count {
                return Err(format!(
                    "process {pid} has {} descriptors, not {count}: {open:?}",
                    open.len()
                )
                .into());
            }
        }
        let now = (
            memory(master).unwrap_or(0),
            workers
                .iter()
                .filter_map(|(_, process)| memory(process.pid))
                .max()
                .unwrap_or(0),
        );
        self.memory_of_workers = now.1;
        let (of_master, of_worker) = *at_first.memory.get_or_insert(now);
        if now.0 > of_master + MASTER_SLACK || now.1 > of_worker + WORKER_SLACK {
            return Err(format!(
                "the master has {} KiB, a worker up to {}; it was {of_master} and {of_worker}",
                now.0, now.1
            )
            .into());
        }
        Ok(())
    }
}

impl Worker {
    /// Whether this may be the worker that accepted the client, and whose end was its end.
    fn may_have_dropped(&self, client: &Client) -> bool {
        // It had not ended, nor stood still for good, when the client was not accepted yet;
        // and its end had begun when the client lost the connection.
        let after = client.unaccepted.unwrap_or(client.born);
        let Some((ended, dropped)) = self.ended.as_ref().zip(client.dropped) else {
            return false;
        };
        ended.step > after
            && self.frozen.is_none_or(|since| since > after)
            && self.doomed().is_some_and(|since| since < dropped)
    }
}
