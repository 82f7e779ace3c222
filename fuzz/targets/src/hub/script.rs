//! What the bytes of an input stand for.

use std::rc::Rc;

use super::action::{Action, FRAMES, List, ODD, Place, Publish, Resource, Subscribe};
use super::choices::{ALL_TOKENS, Data, IDS, PATTERNS, RETRIES, TOKENS, TOPICS, TYPES, Token};
use super::model::Mode;
use super::play::{CLIENTS, Play};
use crate::steps::Steps;

/// The steps. With `WAIT`, what a client sends waits for the next step of that client.
mod op {
    pub(super) const SUBSCRIBE: u8 = 0;
    pub(super) const PUBLISH: u8 = 1;
    pub(super) const LIST: u8 = 2;
    pub(super) const ODD: u8 = 3;
    pub(super) const CLIENT: u8 = 4;
    pub(super) const HOLD: u8 = 5;
    pub(super) const LEAVE: u8 = 6;
    pub(super) const END_WRITING: u8 = 7;
    pub(super) const SEND: u8 = 8;
    pub(super) const CUT: u8 = 9;
    pub(super) const AGAIN: u8 = 10;
    pub(super) const COUNT: u8 = 11;
    pub(super) const WAIT: u8 = 0x80;
}

/// Reads an input.
struct Script<'a> {
    steps: Steps<'a>,
    last: Option<Action>,
}

impl Script<'_> {
    /// A token, or none.
    fn token(number: u8) -> Option<&'static Token> {
        let number = usize::from(number) % (TOKENS + 1);
        ALL_TOKENS.get(number)
    }

    fn subscribe(&mut self, play: &mut Play<'_>) -> Subscribe {
        let (which, how, begin) = (
            self.steps.number(),
            self.steps.number(),
            self.steps.number(),
        );
        let patterns = [which & 15, which >> 4].map(|number| PATTERNS[usize::from(number)]);
        let place = match begin >> 6 {
            0 => None,
            1 => Some(Place::Field),
            2 => Some(Place::DeployedParameter),
            _ => Some(Place::StandardParameter),
        };
        Subscribe {
            patterns: patterns.to_vec(),
            token: Self::token(how & 15),
            is_socket: how & 16 != 0,
            has_early: how & 32 != 0,
            from: place.map(|place| (Self::last_id(play, begin & 63), place)),
        }
    }

    /// An id that a subscriber may have seen, or one that it can't have.
    fn last_id(play: &mut Play<'_>, number: u8) -> String {
        let kind = number & 7;
        match kind {
            0 => return "earliest".to_owned(),
            1 => return "unknown".to_owned(),
            2 => {
                if let Some(last) = &play.client().last_id {
                    return last.clone();
                }
            }
            _ => {}
        }
        let mut events = play.model.log().iter().rev();
        let back = usize::from(number >> 3);
        let known = events.nth(back).and_then(|event| event.id.known());
        match known {
            // The start of an id is another one.
            Some(id) if kind == 3 && id.len() > 1 => {
                let last = id.chars().next_back();
                let start = last.and_then(|last| id.strip_suffix(last));
                start.unwrap_or_default().trim_end().to_owned()
            }
            Some(id) if kind == 4 => id.to_owned() + "0",
            Some(id) => id.to_owned(),
            None => "none".to_owned(),
        }
    }

    fn publish(&mut self) -> Publish {
        let (which, data, how, more) = (
            self.steps.number(),
            self.steps.number(),
            self.steps.number(),
            self.steps.number(),
        );
        let mut topics = vec![TOPICS[usize::from(which & 15)]];
        if which >> 4 != 15 {
            topics.push(TOPICS[usize::from(which >> 4)]);
        }
        Publish {
            topics,
            data: Data::of(data),
            is_private: how & 16 != 0,
            token: Self::token(how & 15),
            closes: how & 0xe0 == 0xe0,
            id: IDS[usize::from(more & 7)],
            event_type: TYPES[usize::from(more >> 3 & 3)],
            retry: RETRIES[usize::from(more >> 5 & 3)],
        }
    }

    fn list(&mut self, play: &Play<'_>) -> List {
        let (which, token) = (self.steps.number(), self.steps.number());
        let number = usize::from(which >> 2);
        let pattern = PATTERNS[number % PATTERNS.len()];
        let of = match which & 3 {
            0 => Resource::All,
            1 => Resource::Matching(pattern),
            2 => Resource::One(pattern, None),
            _ => match play.model.active(number) {
                Some(active) => Resource::One(active.pattern, Some(Rc::clone(&active.subscriber))),
                None => Resource::All,
            },
        };
        List {
            of,
            token: Self::token(token),
        }
    }

    /// What the current client sends; `None` if that is not for it.
    fn action(&mut self, play: &mut Play<'_>, op: u8) -> Option<Action> {
        let is_socket = play.mode() == Mode::Socket;
        let action = match op {
            op::SUBSCRIBE => Action::Subscribe(self.subscribe(play)),
            op::PUBLISH => Action::Publish(self.publish()),
            op::LIST => Action::List(self.list(play)),
            op::AGAIN => self.last.clone()?,
            _ => {
                let number = usize::from(self.steps.number());
                match is_socket {
                    true => Action::Frames(FRAMES[number % FRAMES.len()]),
                    false => Action::Odd(&ODD[number % ODD.len()]),
                }
            }
        };
        let is_for_sockets = match action {
            Action::Publish(_) => is_socket,
            Action::Frames(_) => true,
            _ => false,
        };
        (is_for_sockets == is_socket).then_some(action)
    }

    /// What a client sends on its WebSocket before that is open.
    fn early(&mut self, play: &mut Play<'_>, action: &Action) -> Option<Action> {
        let Action::Subscribe(asked) = action else {
            return None;
        };
        if !asked.has_early || !play.will_open(asked) {
            return None;
        }
        let number = usize::from(self.steps.number());
        Some(match number % 2 {
            0 => Action::Publish(self.publish()),
            _ => Action::Frames(FRAMES[number / 2 % FRAMES.len()]),
        })
    }

    fn step(&mut self, play: &mut Play<'_>, op: u8, waits: bool) {
        match op {
            op::CLIENT => play.switch(usize::from(self.steps.number()) % CLIENTS),
            op::HOLD => play.hold(),
            op::LEAVE => play.leave(),
            op::END_WRITING => play.end_writing(),
            op::SEND => {
                let kept = self.steps.number();
                play.send(kept.into());
            }
            op::CUT => {
                let part = self.steps.number();
                play.send_cut(part.into());
            }
            _ => {
                let times = if op == op::AGAIN {
                    self.steps.number() % 8
                } else {
                    0
                };
                for _ in 0..=times {
                    if let Some(action) = self.action(play, op) {
                        self.last = Some(action.clone());
                        let early = self.early(play, &action);
                        play.add(action);
                        if let Some(early) = early {
                            play.add_early(early);
                        }
                    }
                }
                if !waits {
                    play.send(0);
                    play.turn();
                }
            }
        }
    }
}

/// Has the clients of a hub do what the bytes say.
pub(super) fn play(play: &mut Play<'_>, steps: &[u8]) {
    let mut script = Script {
        steps: Steps(steps),
        last: None,
    };
    while let Some(byte) = script.steps.step() {
        let waits = byte & op::WAIT != 0;
        script.step(play, (byte & !op::WAIT) % op::COUNT, waits);
    }
}

/// No token, and no second topic.
const NOBODY: u8 = 14;
const ONE: u8 = 0xf0;

/// Where the last event id stands.
const FIELD: u8 = 1 << 6;
const DEPLOYED: u8 = 2 << 6;
const STANDARD: u8 = 3 << 6;

const SOCKET: u8 = 16;
const EARLY: u8 = 32;
const PRIVATE: u8 = 16;
const CLOSES: u8 = 0xe0;

/// A subscriber that reads its history only when a part of it is gone.
#[rustfmt::skip]
const fn missed(how: u8) -> [u8; 28] {
    [
        op::CLIENT, 0, op::PUBLISH, ONE, 15, 0, 0, op::AGAIN, 4,
        op::CLIENT, 1, op::HOLD, op::SUBSCRIBE, 0x00, how, FIELD,
        op::CLIENT, 0, op::PUBLISH, ONE, 13, 0, 0, op::AGAIN, 6,
        op::CLIENT, 1, op::HOLD,
    ]
}

/// Inputs that the generator seldom makes: the same in a hub that keeps six updates and whose
/// sockets take little, over an event stream and over a WebSocket.
pub(crate) fn cases() -> Vec<Vec<u8>> {
    let hub = [9, 64];
    [0, SOCKET]
        .map(|how| [&hub[..], &missed(how)].concat())
        .into()
}

/// Publications and subscriptions as in the tests of the hub.
pub(crate) const WORDS: &[&[u8]] = &[
    &[op::CLIENT, 0],
    &[op::CLIENT, 1],
    &[op::CLIENT, 2],
    &[op::CLIENT, 3],
    &[op::CLIENT, 1, op::SUBSCRIBE, 0x00, NOBODY, 0, op::CLIENT, 0],
    &[op::CLIENT, 2, op::SUBSCRIBE, 0x22, 0, 0, op::CLIENT, 0],
    &[
        op::CLIENT,
        3,
        op::SUBSCRIBE,
        0x33,
        1 | SOCKET,
        0,
        op::CLIENT,
        0,
    ],
    &[op::SUBSCRIBE, 0x45, 5, FIELD],
    &[op::SUBSCRIBE, 0x87, 11, STANDARD | 6],
    &[op::SUBSCRIBE, 0xab, 7 | SOCKET, DEPLOYED | 21],
    &[op::SUBSCRIBE, 0x6c, NOBODY, STANDARD],
    &[op::SUBSCRIBE, 0x01, 3, FIELD | 13],
    &[op::SUBSCRIBE, 0x20, NOBODY, FIELD | 2],
    &[op::SUBSCRIBE, 0xfd, 13, FIELD | 5],
    &[op::SUBSCRIBE, 0x22, 2 | SOCKET, FIELD | 1],
    &[op::SUBSCRIBE, 0x33, 10 | SOCKET, FIELD],
    &[op::SUBSCRIBE, 0x02, SOCKET | EARLY, 0, 0, ONE, 3, 0, 1],
    &[
        op::SUBSCRIBE,
        0x42,
        SOCKET | EARLY,
        FIELD,
        0,
        ONE,
        0,
        PRIVATE,
        2,
    ],
    &[op::SUBSCRIBE, 0x22, 2 | SOCKET | EARLY, FIELD, 3],
    &[op::SUBSCRIBE, 0x20, SOCKET | EARLY, FIELD, 21],
    &[op::SUBSCRIBE, 0xba, 0, FIELD],
    &[op::LEAVE, op::SUBSCRIBE, 0x22, 0, FIELD | 2],
    &[op::PUBLISH, ONE, 0, 0, 0],
    &[op::PUBLISH, ONE, 2, 0, 1],
    &[op::PUBLISH, ONE, 3, PRIVATE, 2],
    &[op::PUBLISH, 0x30, 5, 10, 3 | 1 << 3],
    &[op::PUBLISH, 0x43, 8, PRIVATE, 4 | 2 << 3 | 1 << 5],
    &[op::PUBLISH, ONE | 9, 10, PRIVATE | 4, 2 << 5],
    &[op::PUBLISH, ONE | 3, 9, 12, 0],
    &[op::PUBLISH, ONE, 0, 2 | CLOSES, 0],
    &[op::PUBLISH, ONE, 12, 6, 0, op::AGAIN, 7],
    &[op::PUBLISH, ONE, 13, 0, 0, op::AGAIN, 5, op::AGAIN, 7],
    &[op::PUBLISH, ONE, 14, 0, 0],
    &[op::PUBLISH, ONE, 15, 0, 0, op::AGAIN, 4],
    &missed(0),
    &missed(SOCKET),
    // An id that comes again, and a subscriber that names it.
    &[
        op::PUBLISH,
        ONE,
        0,
        0,
        1,
        op::PUBLISH,
        ONE,
        3,
        0,
        2,
        op::PUBLISH,
        ONE,
        8,
        0,
        1,
        op::PUBLISH,
        ONE,
        0,
        0,
        3,
        op::CLIENT,
        2,
        op::SUBSCRIBE,
        0x00,
        0,
        FIELD | 1 << 3 | 5,
    ],
    // A subscriber with two matchers comes, goes, and is listed.
    &[
        op::CLIENT,
        2,
        op::SUBSCRIBE,
        0x40,
        0,
        0,
        op::LEAVE,
        op::CLIENT,
        0,
        op::LIST,
        0,
        0,
    ],
    &[op::PUBLISH, ONE, 3, 0, 0],
    &[
        op::PUBLISH | op::WAIT,
        ONE,
        0,
        0,
        0,
        op::PUBLISH,
        ONE | 3,
        1,
        PRIVATE,
        1,
    ],
    &[op::PUBLISH, ONE | 3, 0, 5, 0],
    &[op::PUBLISH, ONE | 13, 0, 0, 0],
    &[op::PUBLISH, ONE | 14, 0, 0, 0],
    &[op::PUBLISH, ONE, 0, 0, 6],
    // Of two topics one is asked for, and may be read.
    &[op::PUBLISH, 0x01, 0, PRIVATE, 0],
    &[op::PUBLISH, 0x10, 0, PRIVATE, 1],
    &[op::PUBLISH, 0x31, 0, 10 | PRIVATE, 3],
    &[op::PUBLISH, 0x18, 0, PRIVATE, 0],
    // Three subscribers of the same and of different topics, and their lists.
    &[
        op::CLIENT,
        1,
        op::SUBSCRIBE,
        0x10,
        0,
        0,
        op::CLIENT,
        2,
        op::SUBSCRIBE,
        0x21,
        0,
        0,
        op::CLIENT,
        3,
        op::SUBSCRIBE,
        0x80,
        0,
        0,
        op::CLIENT,
        0,
        op::LIST,
        0,
        0,
        op::LIST,
        1,
        0,
        op::LIST,
        1 | 1 << 2,
        0,
        op::LIST,
        3 | 2 << 2,
        0,
        op::LIST,
        1 | 8 << 2,
        0,
    ],
    &[op::CLIENT, 2, op::SUBSCRIBE, 0x00, 2, FIELD],
    &[op::CLIENT, 3, op::SUBSCRIBE, 0x44, 4 | SOCKET, FIELD],
    // An id that begins another one.
    &[op::PUBLISH, ONE, 0, 0, 3, op::SUBSCRIBE, 0x22, 0, FIELD | 3],
    &[op::PUBLISH, ONE, 0, 0, 1, op::SUBSCRIBE, 0x22, 0, FIELD | 4],
    &[op::LIST, 0, 0],
    &[op::LIST, 0, 1],
    &[op::LIST, 1, 11],
    &[op::LIST, 1 | 1 << 2, 0],
    &[op::LIST, 3, 7],
    &[op::LIST, 2, 1],
    &[op::LIST, 3, 1],
    &[op::LIST, 0, NOBODY],
    &[op::ODD, 0],
    &[op::ODD, 2],
    &[op::ODD, 6],
    &[op::ODD, 10],
    &[op::ODD, 11],
    &[op::HOLD],
    &[op::LEAVE],
    &[op::END_WRITING],
    &[op::PUBLISH | op::WAIT, ONE, 0, 0, 0, op::SEND, 20],
    &[op::PUBLISH | op::WAIT, ONE, 3, 0, 0, op::CUT, 30],
    &[op::SUBSCRIBE | op::WAIT, 0x22, 0, FIELD, op::CUT, 7],
    &[op::PUBLISH | op::WAIT, ONE, 0, 0, 0, op::SEND, 0],
    &[op::AGAIN | op::WAIT, 3],
    &[op::SEND, 0],
];
