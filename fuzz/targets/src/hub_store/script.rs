//! What the bytes of an input stand for.

use super::play::{HUBS, Play, SUBSCRIBERS, TOPICS};
use super::publisher::Way;
use super::redis::Mood;
use super::subscriber::Subscriber;
use crate::steps::Steps;

/// The steps. With `LATER`, nothing happens until the next step.
mod op {
    pub(super) const SUBSCRIBE: u8 = 0;
    pub(super) const PUBLISH: u8 = 1;
    pub(super) const WAIT: u8 = 2;
    pub(super) const CUT: u8 = 3;
    pub(super) const CUT_AFTER: u8 = 4;
    pub(super) const STALL: u8 = 5;
    pub(super) const MOOD: u8 = 6;
    pub(super) const REFUSE: u8 = 7;
    pub(super) const COPY: u8 = 8;
    pub(super) const FAIL_OVER: u8 = 9;
    pub(super) const EMPTY: u8 = 10;
    pub(super) const ADD: u8 = 11;
    pub(super) const FREEZE: u8 = 12;
    pub(super) const REPLACE: u8 = 13;
    pub(super) const MOVE: u8 = 14;
    pub(super) const HOLD: u8 = 15;
    pub(super) const LEAVE: u8 = 16;
    pub(super) const STOP: u8 = 17;
    pub(super) const COUNT: u8 = 18;
    pub(super) const LATER: u8 = 0x80;
}

/// Milliseconds that pass at once.
const TIMES: [u64; 8] = [1, 10, 60, 150, 700, 1500, 5000, 30_000];

/// Errors of a store.
const ERRORS: [&str; 4] = [
    "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY You can't write against a read only replica.",
    "LOADING Redis is loading the dataset in memory",
    "ERR something else",
];

/// How often a text is repeated.
const SIZES: [usize; 4] = [1, 100, 3000, 30_000];

fn step(steps: &mut Steps<'_>, play: &mut Play<'_>, op: u8) {
    let number = steps.number();
    let (low, high) = (usize::from(number & 15), usize::from(number >> 4));
    match op {
        op::SUBSCRIBE => {
            let how = steps.number();
            let last = last_id(play, how);
            let topics = TOPICS[high % TOPICS.len()];
            let subscriber = Subscriber::new(low % HUBS, topics, last);
            play.subscribe(low / HUBS % SUBSCRIBERS, subscriber);
        }
        op::PUBLISH => {
            let topic = ["a", "b"][high & 1];
            let data = "x".repeat(SIZES[high >> 1 & 3]);
            let way = if high < 8 { Way::Post } else { Way::Socket };
            for _ in 0..=low / HUBS {
                play.publish(low % HUBS, way, topic, &data);
            }
        }
        op::WAIT => play.wait(TIMES[usize::from(number) % TIMES.len()]),
        op::CUT => play.redis.cut(number, None),
        op::CUT_AFTER => play.redis.cut(number & 15, Some(number >> 4)),
        op::STALL => {
            let credit = steps.number();
            let credit = (credit != 255).then_some(usize::from(credit));
            play.redis.stall(number, credit);
        }
        op::MOOD => {
            play.redis.mood = match number & 3 {
                0 => Mood::Well,
                1 => Mood::Refusing,
                2 => Mood::Silent,
                _ => Mood::Brief(number >> 2),
            };
        }
        op::REFUSE => play.redis.refusal = (ERRORS[low % ERRORS.len()], number >> 4),
        op::COPY => play.redis.copy(),
        op::FAIL_OVER => play.redis.fail_over(),
        op::EMPTY => play.redis.empty(),
        op::ADD => {
            let count = usize::from(number >> 1);
            let count = if count > 100 {
                (count - 100) * 60
            } else {
                count
            };
            play.add(count, ["a", "b"][usize::from(number & 1)]);
        }
        op::FREEZE => play.freeze(low % HUBS),
        op::REPLACE => play.replace(low % HUBS),
        op::MOVE => play.move_on(low % SUBSCRIBERS),
        op::STOP => play.stop(low % HUBS),
        op::HOLD => {
            if let Some(one) = &mut play.subscribers[low % SUBSCRIBERS] {
                one.holds ^= true;
            }
        }
        _ => play.subscribers[low % SUBSCRIBERS] = None,
    }
}

/// An id that a subscriber may have from another time, or none.
fn last_id(play: &Play<'_>, how: u8) -> Option<String> {
    let truth = &play.redis.truth;
    match how & 3 {
        0 => None,
        1 => Some("earliest".to_owned()),
        2 => Some("unknown".to_owned()),
        _ => {
            let back = usize::from(how >> 2) + 1;
            let serial = truth.len().checked_sub(back)?;
            Some(truth.update(serial).id.clone())
        }
    }
}

/// Has everybody do what the bytes say.
pub(super) fn play(play: &mut Play<'_>, steps: &[u8]) {
    let mut steps = Steps(steps);
    play.settle();
    while let Some(byte) = steps.step() {
        step(&mut steps, play, (byte & !op::LATER) % op::COUNT);
        if byte & op::LATER == 0 {
            play.settle();
            play.connect_all();
        }
    }
}

/// What an input is made of.
pub(crate) const WORDS: &[&[u8]] = &[
    &[op::SUBSCRIBE, 0x00, 0],
    &[op::SUBSCRIBE, 0x23, 0],
    &[op::SUBSCRIBE, 0x05, 1],
    &[op::SUBSCRIBE, 0x26, 3],
    &[op::SUBSCRIBE, 0x03, 3 | 4 << 2],
    &[op::SUBSCRIBE, 0x01, 2],
    &[op::PUBLISH, 0x00],
    &[op::PUBLISH, 0x01],
    &[op::PUBLISH, 0x06],
    &[op::PUBLISH, 0x27],
    &[op::PUBLISH, 0x61],
    &[op::PUBLISH, 0x80],
    &[op::PUBLISH, 0x93],
    &[op::PUBLISH | op::LATER, 0xe1],
    &[op::PUBLISH | op::LATER, 0x80, op::STOP, 0],
    &[op::PUBLISH | op::LATER, 0x02],
    &[op::PUBLISH | op::LATER, 0x03],
    &[op::WAIT, 3],
    &[op::WAIT, 4],
    &[op::WAIT, 5],
    &[op::WAIT, 6],
    &[op::WAIT, 7],
    &[op::CUT, 0],
    &[op::CUT, 1],
    &[op::CUT | op::LATER, 2],
    &[op::CUT, 3, op::WAIT, 3],
    &[op::CUT_AFTER, 0x00],
    &[op::CUT_AFTER, 0x10],
    &[op::CUT_AFTER, 0x22],
    &[op::CUT_AFTER, 0x01],
    &[op::STALL, 0, 0],
    &[op::STALL, 1, 0],
    &[op::STALL, 1, 20],
    &[op::STALL, 3, 0],
    &[op::STALL, 0, 255, op::STALL, 1, 255],
    &[op::STALL, 2, 255, op::STALL, 3, 255],
    &[op::MOOD, 0],
    &[op::MOOD, 1],
    &[op::MOOD, 2],
    &[op::MOOD, 3 | 1 << 2],
    &[op::MOOD, 3 | 3 << 2],
    &[op::MOOD, 3 | 4 << 2],
    &[op::MOOD, 3 | 6 << 2],
    &[op::MOOD, 3 | 3 << 2, op::REPLACE, 0, op::MOOD, 1],
    &[op::MOOD, 1, op::CUT, 0, op::CUT, 0, op::CUT, 0, op::CUT, 0],
    &[op::MOOD, 0, op::WAIT, 6],
    &[op::REFUSE, 0x10],
    &[op::REFUSE, 0x31],
    &[op::REFUSE, 0x12],
    &[op::COPY, 0],
    &[op::FAIL_OVER, 0, op::WAIT, 3],
    &[op::EMPTY, 0, op::WAIT, 3],
    &[op::ADD, 2],
    &[op::ADD, 150],
    &[op::ADD, 241],
    &[op::ADD | op::LATER, 240],
    &[op::FREEZE, 0],
    &[op::FREEZE, 1],
    &[op::REPLACE, 0],
    &[op::REPLACE, 1, op::WAIT, 6],
    &[op::MOVE, 0],
    &[op::MOVE, 1],
    &[op::HOLD, 0],
    &[op::HOLD, 1],
    &[op::LEAVE, 1],
    &[op::STOP, 0],
    &[op::STOP | op::LATER, 1],
];
