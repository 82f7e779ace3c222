//! A store as hubs see it: connections that can be slow, stuck or cut, over data that can be lost.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::data::{Data, Outcome, Reply, Wait};
use super::truth::Truth;
use crate::redis::Value;
use crate::redis::replies::Replies;

thread_local! {
    static DOOR: Rc<Door> = Rc::new(Door::open());
}

/// Where the store listens. It is opened once, and removed with its thread.
#[derive(Debug)]
struct Door {
    listener: UnixListener,
    path: PathBuf,
}

impl Door {
    fn open() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("php-event-fuzz-{}-{number}.sock", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::remove_file(&path).ok(); // of a process before that had the same number
        let listener = UnixListener::bind(&path).expect("a listener");
        listener.set_nonblocking(true).expect("an option");
        Self { listener, path }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).ok();
    }
}

/// The URL of the store of this thread.
pub(super) fn url() -> String {
    DOOR.with(|door| format!("unix:{}", door.path.display()))
}

/// How the store treats those who come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// It answers.
    Well,
    /// It closes new connections at once.
    Refusing,
    /// It takes new connections, and is silent.
    Silent,
    /// It cuts new connections after so many commands, before the reply to the last of them.
    Brief(u8),
}

/// The worst that has become of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loss {
    Nothing,
    Everything,
    /// Some of it, and nobody can tell what.
    Newest,
}

/// A connection of a hub.
struct Connection {
    stream: UnixStream,
    commands: Replies,
    out: Vec<u8>,
    /// How many bytes of `out` may go; `None` for all.
    credit: Option<usize>,
    /// It is cut after so many commands, before the reply to the last of them.
    left: Option<u8>,
    waits: Option<(Wait, u64)>, // until then
}

/// The store.
pub(super) struct Redis {
    door: Rc<Door>,
    data: Data,
    replica: Data,
    pub(super) truth: Truth,
    connections: Vec<Connection>,
    pub(super) mood: Mood,
    /// The error with which the next writes fail, and how many of them.
    pub(super) refusal: (&'static str, u8),
    now: u64,
    /// Whether it has refused a command.
    pub(super) has_refused: bool,
    pub(super) loss: Loss,
}

/// A time in milliseconds since 1970.
const BEGIN: u64 = 1_700_000_000_000;

/// The commands that write.
const WRITES: [&str; 3] = ["XADD", "EVAL", "DEL"];

impl Redis {
    /// One that tells how many entries its stream has had, or not.
    pub(super) fn new(counts: bool) -> Self {
        let door = DOOR.with(Rc::clone);
        while door.listener.accept().is_ok() {} // of the input before
        Self {
            door,
            data: Data::new(counts),
            replica: Data::new(counts),
            truth: Truth::default(),
            connections: Vec::new(),
            mood: Mood::Well,
            refusal: ("", 0),
            now: BEGIN,
            has_refused: false,
            loss: Loss::Nothing,
        }
    }

    /// The time in milliseconds.
    pub(super) fn now(&self) -> u64 {
        self.now
    }

    pub(super) fn data(&self) -> &Data {
        &self.data
    }

    pub(super) fn wait(&mut self, milliseconds: u64) {
        self.now += milliseconds;
    }

    /// Another program adds an update. The stream keeps `most` or a little more.
    pub(super) fn add(&mut self, most: usize, fields: Vec<Vec<u8>>) {
        self.data.add(self.now, most, fields, &mut self.truth);
    }

    /// Takes new connections and commands, and sends what may go. False if there was nothing.
    pub(super) fn turn(&mut self) -> bool {
        let mut is_news = self.accept();
        let mut connections = std::mem::take(&mut self.connections);
        connections.retain_mut(|one| self.serve(one, &mut is_news));
        self.connections = connections;
        is_news
    }

    fn accept(&mut self) -> bool {
        let mut is_news = false;
        while let Ok((stream, _)) = self.door.listener.accept() {
            is_news = true;
            if self.mood == Mood::Refusing {
                continue;
            }
            stream.set_nonblocking(true).expect("an option");
            self.connections.push(Connection {
                stream,
                commands: Replies::default(),
                out: Vec::new(),
                credit: (self.mood == Mood::Silent).then_some(0),
                left: match self.mood {
                    Mood::Brief(commands) => Some(commands),
                    _ => None,
                },
                waits: None,
            });
        }
        is_news
    }

    /// Does what one hub asks. False if its connection has ended.
    fn serve(&mut self, one: &mut Connection, is_news: &mut bool) -> bool {
        let mut bytes = Vec::new();
        let has_end = match (&one.stream).read_to_end(&mut bytes) {
            Ok(_) => true,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        };
        *is_news |= !bytes.is_empty() || has_end;
        one.commands.extend(bytes);
        while one.waits.is_none()
            && let Some(command) = one.commands.next().expect("a command")
        {
            if one.left == Some(0) {
                self.run(command);
                *is_news = true;
                return false;
            }
            one.left = one.left.map(|left| left - 1);
            match self.run(command) {
                Outcome::Reply(reply) => reply.write(&mut one.out),
                Outcome::Waits(wait) => {
                    let until = self.now + wait.most;
                    one.waits = Some((wait, until));
                }
            }
        }
        if let Some((wait, until)) = &one.waits {
            let news = self.data.news(wait);
            if let Some(reply) = news.or_else(|| (*until <= self.now).then_some(Reply::Nil)) {
                reply.write(&mut one.out);
                one.waits = None;
                *is_news = true;
            }
        }
        *is_news |= one.send();
        !has_end
    }

    fn run(&mut self, command: Value) -> Outcome {
        let Value::Array(parts) = command else {
            panic!("a command is a list");
        };
        let parts = parts.into_iter().map(|part| match part {
            Value::BulkString(bytes) => bytes,
            _ => panic!("a command is of strings"),
        });
        let parts: Vec<_> = parts.collect();
        let (text, left) = &mut self.refusal;
        let is_write = WRITES.iter().any(|name| name.as_bytes() == parts[0]);
        if *left > 0 && is_write {
            *left -= 1;
            self.has_refused = true;
            return Outcome::Reply(Reply::Error(text));
        }
        self.data.run(self.now, &parts, &mut self.truth)
    }

    fn nth(&mut self, number: u8) -> Option<&mut Connection> {
        let count = self.connections.len().max(1);
        self.connections.get_mut(usize::from(number) % count)
    }

    /// Cuts one of the connections, or after so many further commands.
    pub(super) fn cut(&mut self, number: u8, after: Option<u8>) {
        match after {
            Some(after) => {
                if let Some(one) = self.nth(number) {
                    one.left = Some(after);
                }
            }
            None if self.connections.is_empty() => {}
            None => {
                let number = usize::from(number) % self.connections.len();
                self.connections.remove(number);
            }
        }
    }

    /// Sends no more than so many bytes on one of the connections, or all again.
    pub(super) fn stall(&mut self, number: u8, credit: Option<usize>) {
        if let Some(one) = self.nth(number) {
            one.credit = credit;
        }
    }

    /// A copy of the data, as a replica has it that will fall behind.
    pub(super) fn copy(&mut self) {
        self.replica = self.data.clone();
    }

    /// The replica takes over.
    pub(super) fn fail_over(&mut self) {
        self.lose(self.replica.clone(), Loss::Newest);
    }

    /// The store is as empty as on its first day. A replica is as empty.
    pub(super) fn empty(&mut self) {
        self.replica = Data::new(self.data.counts);
        self.lose(self.replica.clone(), Loss::Everything);
    }

    fn lose(&mut self, left: Data, loss: Loss) {
        self.truth.note_lost(left.last());
        self.data = left;
        self.loss = self.loss.max(loss);
        self.connections.clear();
        self.now += 1;
    }

    /// Everything is well again.
    pub(super) fn heal(&mut self) {
        self.mood = Mood::Well;
        self.refusal = ("", 0);
        for one in &mut self.connections {
            (one.credit, one.left) = (None, None);
        }
    }
}

impl Connection {
    /// Sends what may go. False if there is nothing.
    fn send(&mut self) -> bool {
        let most = self.credit.unwrap_or(usize::MAX).min(self.out.len());
        if most == 0 {
            return false;
        }
        let sent = (&self.stream).write(&self.out[..most]).unwrap_or(0); // it may be full, or closed
        self.out.drain(..sent);
        if let Some(credit) = &mut self.credit {
            *credit -= sent;
        }
        sent > 0
    }
}
