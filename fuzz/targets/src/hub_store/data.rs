//! What a store has, and what commands do to it, as Redis documents them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::truth::{Serial, Truth};

type Bytes = Vec<u8>;

/// Where an entry of the stream is: a time in milliseconds, and a number.
pub(super) type Position = (u64, u64);

/// Redis cuts a stream by nodes of so many entries, and keeps a node of which any entry has to stay.
const NODE: usize = 100;

/// A reply (RESP 2).
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Simple(&'static str),
    Error(&'static str),
    Int(usize),
    Nil,
    Bulk(Bytes),
    Array(Vec<Reply>),
}

impl Reply {
    pub(super) fn write(&self, out: &mut Bytes) {
        match self {
            Self::Simple(text) => out.extend(format!("+{text}\r\n").into_bytes()),
            Self::Error(text) => out.extend(format!("-{text}\r\n").into_bytes()),
            Self::Int(number) => out.extend(format!(":{number}\r\n").into_bytes()),
            Self::Nil => out.extend(b"$-1\r\n"),
            Self::Bulk(bytes) => {
                out.extend(format!("${}\r\n", bytes.len()).into_bytes());
                out.extend(bytes);
                out.extend(b"\r\n");
            }
            Self::Array(values) => {
                out.extend(format!("*{}\r\n", values.len()).into_bytes());
                values.iter().for_each(|value| value.write(out));
            }
        }
    }

    fn texts(values: impl IntoIterator<Item = Bytes>) -> Self {
        Self::Array(values.into_iter().map(Self::Bulk).collect())
    }
}

/// An entry of the stream.
#[derive(Clone, Debug)]
struct Entry {
    position: Position,
    serial: Serial,
    fields: Vec<Bytes>,
}

impl Entry {
    fn reply(&self) -> Reply {
        let fields = Reply::texts(self.fields.iter().cloned());
        Reply::Array(vec![Reply::Bulk(text_of(self.position)), fields])
    }
}

fn text_of((upper, lower): Position) -> Bytes {
    format!("{upper}-{lower}").into_bytes()
}

/// The position that a text names; the end of a range may lack its number.
fn position_of(text: &[u8], number: u64) -> Position {
    let text = str::from_utf8(text).expect("a position");
    match text {
        "-" => (0, 0),
        "+" => (u64::MAX, u64::MAX),
        _ => {
            let (upper, lower) = text.split_once('-').unwrap_or((text, ""));
            let lower = lower.parse().unwrap_or(number);
            (upper.parse().expect("a position"), lower)
        }
    }
}

fn number(text: &[u8]) -> usize {
    let text = str::from_utf8(text).expect("a number");
    text.parse()
        .unwrap_or_else(|_| panic!("{text} is no number"))
}

/// A time in the sorted set.
fn score(text: &[u8]) -> f64 {
    let text = str::from_utf8(text).expect("a number");
    text.parse()
        .unwrap_or_else(|_| panic!("{text} is no number"))
}

/// The read that waits for entries.
#[derive(Clone, Debug)]
pub(super) struct Wait {
    key: Bytes,
    behind: Position,
    count: usize,
    /// Milliseconds.
    pub(super) most: u64,
}

/// What a command leads to.
pub(super) enum Outcome {
    Reply(Reply),
    /// Its reply comes with the next entry, or after a time.
    Waits(Wait),
}

/// The data of a store. Its stream has one key, and so has its sorted set.
#[derive(Clone, Debug, Default)]
pub(super) struct Data {
    stream: VecDeque<Entry>,
    last: Position,
    newest: Option<Serial>,
    added: usize,
    /// Whether it tells how many entries it has had, as Redis does from 7 on.
    pub(super) counts: bool,
    /// For each worker the numbers of its updates, and the first that it may send again.
    numbers: BTreeMap<Bytes, (BTreeSet<usize>, usize)>,
    hashes: BTreeMap<Bytes, BTreeMap<Bytes, Bytes>>,
    /// By their names, the times as texts.
    workers: BTreeMap<Bytes, Bytes>,
}

impl Data {
    /// No data. `counts` is whether it tells how many entries it has had.
    pub(super) fn new(counts: bool) -> Self {
        Self {
            counts,
            ..Self::default()
        }
    }

    /// The serial number of the last entry that it ever had.
    pub(super) fn last(&self) -> Option<Serial> {
        self.newest
    }

    /// The serial number of the first entry that is kept.
    pub(super) fn first(&self) -> Option<Serial> {
        self.stream.front().map(|entry| entry.serial)
    }

    pub(super) fn has(&self, serial: Serial) -> bool {
        self.stream.iter().any(|entry| entry.serial == serial)
    }

    /// Does what a command says at this time, in milliseconds.
    pub(super) fn run(&mut self, now: u64, command: &[Bytes], truth: &mut Truth) -> Outcome {
        let (name, arguments) = command.split_first().expect("a command");
        let name = str::from_utf8(name).expect("a name");
        if name == "XREAD" {
            let [_, count, _, most, _, key, behind] = arguments else {
                panic!("another form of XREAD");
            };
            let wait = Wait {
                key: key.clone(),
                behind: position_of(behind, 0),
                count: number(count),
                most: number(most) as u64,
            };
            return match self.news(&wait) {
                Some(reply) => Outcome::Reply(reply),
                None => Outcome::Waits(wait),
            };
        }
        Outcome::Reply(match name {
            "PING" => Reply::Simple("PONG"),
            "TIME" => Reply::texts([
                (now / 1000).to_string().into_bytes(),
                (now % 1000 * 1000).to_string().into_bytes(),
            ]),
            "EXPIRE" => Reply::Int(1),
            "XADD" => self.add_update(now, arguments, truth),
            "EVAL" => self.evaluate(now, arguments, truth),
            "XLEN" => Reply::Int(self.stream.len()),
            "XINFO" => self.describe(),
            "XRANGE" | "XREVRANGE" => self.range(name == "XREVRANGE", arguments),
            _ => self.run_on_keys(name, arguments),
        })
    }

    /// The entries that a read waits for, if there are any.
    pub(super) fn news(&self, wait: &Wait) -> Option<Reply> {
        let first = self
            .stream
            .partition_point(|one| one.position <= wait.behind);
        let news = self.stream.range(first..).take(wait.count);
        let news: Vec<_> = news.map(Entry::reply).collect();
        let of_stream = |news| Reply::Array(vec![Reply::Bulk(wait.key.clone()), news]);
        (!news.is_empty()).then(|| Reply::Array(vec![of_stream(Reply::Array(news))]))
    }

    /// `XADD key MAXLEN ~ most * field value …`
    fn add_update(&mut self, now: u64, arguments: &[Bytes], truth: &mut Truth) -> Reply {
        let [_key, maxlen, about, most, any, fields @ ..] = arguments else {
            panic!("another form of XADD");
        };
        assert_eq!([&maxlen[..], about, any], [&b"MAXLEN"[..], b"~", b"*"]);
        self.add(now, number(most), fields.to_vec(), truth)
    }

    /// `EVAL script count key … argument …`, where the first line of the script names it.
    fn evaluate(&mut self, now: u64, command: &[Bytes], truth: &mut Truth) -> Reply {
        let [script, count, rest @ ..] = command else {
            panic!("another form of EVAL");
        };
        let (keys, arguments) = rest.split_at(number(count));
        let script = str::from_utf8(script).expect("text");
        let name = script
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("-- "));
        match (name.expect("a name"), keys, arguments) {
            ("keep an update once", [_, numbers], [own, first, most, fields @ .., _time]) => {
                match self.is_new(numbers, number(own), number(first)) {
                    true => self.add(now, number(most), fields.to_vec(), truth),
                    false => Reply::Int(0),
                }
            }
            (
                "begin or end a subscription",
                [list, _, _],
                [worker, field, value, most, fields @ ..],
            ) => {
                let list = self.hashes.entry(list.clone()).or_default();
                match value.is_empty() {
                    true => list.remove(field),
                    false => list.insert(field.clone(), value.clone()),
                };
                self.add(now, number(most), fields.to_vec(), truth);
                let time = self.last.0.to_string().into_bytes();
                let is_new = !self.workers.contains_key(worker);
                self.workers.entry(worker.clone()).or_insert(time);
                Reply::Int(is_new.into())
            }
            ("refresh a worker", [_], [worker, time]) => {
                let seen = self.workers.insert(worker.clone(), time.clone());
                seen.map_or(Reply::Nil, Reply::Bulk)
            }
            ("claim a lost worker", [_], [worker, before, lease]) => {
                let seen = self.workers.get_mut(worker);
                let Some(seen) = seen.filter(|seen| score(seen) <= score(before)) else {
                    return Reply::Int(0);
                };
                seen.clone_from(lease);
                Reply::Int(1)
            }
            (
                "end a subscription of a lost worker",
                [_, list, _],
                [worker, lease, field, most, fields @ ..],
            ) => {
                let is_listed = |data: &mut Self| data.hashes.get_mut(list)?.remove(field);
                if self.workers.get(worker) != Some(lease) || is_listed(self).is_none() {
                    return Reply::Int(0);
                }
                self.add(now, number(most), fields.to_vec(), truth)
            }
            ("forget a lost worker", [_, list], [worker, lease]) => {
                if self.workers.get(worker) != Some(lease) {
                    return Reply::Int(0);
                }
                self.hashes.remove(list);
                Reply::Int(self.workers.remove(worker).iter().count())
            }
            (name, ..) => panic!("{name} with other keys or arguments"),
        }
    }

    /// Whether a worker's update with this number is not kept yet. None before `first` is sent
    /// again.
    fn is_new(&mut self, worker: &Bytes, own: usize, first: usize) -> bool {
        let (kept, least) = self.numbers.entry(worker.clone()).or_default();
        if own < *least || kept.contains(&own) {
            return false;
        }
        if first > *least {
            kept.retain(|one| *one >= first);
            *least = first;
        }
        kept.insert(own)
    }

    pub(super) fn add(
        &mut self,
        now: u64,
        most: usize,
        fields: Vec<Bytes>,
        truth: &mut Truth,
    ) -> Reply {
        let (last, number) = self.last;
        let position = if now > last {
            (now, 0)
        } else {
            (last, number + 1)
        };
        self.last = position;
        let [_, _, _, update] = &fields[..] else {
            panic!("an entry has an id and an update");
        };
        let serial = truth.add(update);
        self.newest = Some(serial);
        self.added += 1;
        self.stream.push_back(Entry {
            position,
            serial,
            fields,
        });
        if self.stream.len() >= most + NODE {
            self.stream.drain(..self.stream.len() - most);
        }
        Reply::Bulk(text_of(position))
    }

    /// `XINFO STREAM key`
    fn describe(&self) -> Reply {
        let number = |name: &str, number| [Reply::Bulk(name.into()), Reply::Int(number)];
        match self.newest {
            None => Reply::Error("ERR no such key"),
            Some(_) if !self.counts => Reply::Array(number("length", self.stream.len()).into()),
            Some(_) => Reply::Array(
                [
                    number("length", self.stream.len()),
                    number("entries-added", self.added),
                ]
                .concat(),
            ),
        }
    }

    fn range(&self, is_reverse: bool, arguments: &[Bytes]) -> Reply {
        let [_key, from, to, _, count] = arguments else {
            panic!("another form of XRANGE");
        };
        let (from, to) = if is_reverse { (to, from) } else { (from, to) };
        let (from, to) = (position_of(from, 0), position_of(to, u64::MAX));
        let first = self.stream.partition_point(|one| one.position < from);
        let end = self.stream.partition_point(|one| one.position <= to);
        let entries = self.stream.range(first..end.max(first));
        let count = number(count);
        Reply::Array(match is_reverse {
            false => entries.take(count).map(Entry::reply).collect(),
            true => entries.rev().take(count).map(Entry::reply).collect(),
        })
    }

    fn run_on_keys(&mut self, name: &str, arguments: &[Bytes]) -> Reply {
        match (name, arguments) {
            ("DEL", [key]) => Reply::Int(self.hashes.remove(key).iter().count()),
            ("HVALS", [key]) => {
                let hash = self.hashes.get(key);
                Reply::texts(hash.iter().flat_map(|hash| hash.values().cloned()))
            }
            ("ZRANGE", [_key, _first, _last]) => Reply::texts(self.workers.keys().cloned()),
            ("ZRANGEBYSCORE", [_key, _least, most]) => {
                let found = self
                    .workers
                    .iter()
                    .filter(|(_, seen)| score(seen) <= score(most));
                Reply::texts(found.map(|(member, _)| member.clone()))
            }
            _ => panic!("{name} with {} arguments", arguments.len()),
        }
    }
}
