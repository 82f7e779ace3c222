//! How an input is read, and what inputs begin with.

/// The parts of a request, by the bytes that stand for them.
pub(super) mod op {
    pub(in super::super) const PAIR: u8 = 0;
    pub(in super::super) const QUERY: u8 = 1;
    pub(in super::super) const BEARER: u8 = 2;
    pub(in super::super) const COOKIE: u8 = 3;
    pub(in super::super) const ORIGIN: u8 = 4;
    pub(in super::super) const REFERER: u8 = 5;
    pub(in super::super) const LAST_ID: u8 = 6;
    pub(in super::super) const FIELD: u8 = 7;
    pub(in super::super) const TOPIC: u8 = 8;
    pub(in super::super) const COUNT: u8 = 9;
}

pub(super) const WORDS: &[&[u8]] = &[
    &[op::PAIR, 0, 0, 0],
    &[op::PAIR, 0, 0, 0, op::PAIR, 0, 1, 0],
    &[op::PAIR, 0, 2, 1],
    &[op::PAIR, 0, 3, 0],
    &[op::PAIR, 0, 4, 3],
    &[op::PAIR, 0, 5, 2],
    &[op::PAIR, 1, 0, 0],
    &[op::PAIR, 1, 1, 2],
    &[op::PAIR, 2, 0, 0],
    &[op::PAIR, 0, 10, 0],
    &[op::PAIR, 4, 7, 0],
    &[op::PAIR, 4, 8, 2],
    &[op::PAIR, 5, 9, 0],
    &[op::PAIR, 5, 11, 0],
    &[op::PAIR, 6, 14, 0],
    &[op::PAIR, 6, 15, 0],
    &[op::PAIR, 6, 18, 0],
    &[op::PAIR, 7, 0, 0],
    b"\x01\x07topic=a",   // op::QUERY
    b"\x01\x09t%6fpic=a", // op::QUERY
    b"\x01\x09topic=%ff", // op::QUERY
    &[op::BEARER, 0, 0],
    &[op::BEARER, 0, 2],
    &[op::BEARER, 1, 1],
    &[op::BEARER, 0, 3],
    &[op::BEARER, 0, 5],
    &[op::BEARER, 5, 0],
    &[op::COOKIE, 0, 0],
    &[op::COOKIE, 1, 1],
    &[op::COOKIE, 2, 4],
    &[op::COOKIE, 1, 6, op::ORIGIN, 0],
    &[op::COOKIE, 0, 2, op::ORIGIN, 0],
    &[op::COOKIE, 0, 2, op::REFERER, 4],
    &[op::COOKIE, 3, 0],
    &[op::ORIGIN, 0],
    &[op::ORIGIN, 1],
    &[op::ORIGIN, 5],
    &[op::ORIGIN, 6],
    &[op::ORIGIN, 9],
    &[op::ORIGIN, 12],
    &[op::REFERER, 3],
    &[op::LAST_ID, 7],
    &[op::LAST_ID, 8],
    &[op::LAST_ID, 9],
    &[op::TOPIC, 0],
    &[op::TOPIC, 1],
    &[op::TOPIC, 3],
];

/// Parts that compete, or are nearly others. Every hub is asked each of them.
pub(super) const CASES: &[&[u8]] = &[
    &[
        op::COOKIE,
        0,
        2,
        op::ORIGIN,
        2,
        op::REFERER,
        5,
        op::TOPIC,
        0,
    ],
    &[
        op::COOKIE,
        2,
        6,
        op::ORIGIN,
        5,
        op::REFERER,
        2,
        op::TOPIC,
        1,
    ],
    &[op::PAIR, 0, 0, 0, op::PAIR, 6, 17, 0, op::COOKIE, 0, 2],
    &[op::PAIR, 0, 0, 0, op::COOKIE, 0, 3, op::COOKIE, 2, 6],
    &[op::PAIR, 0, 0, 0, op::BEARER, 3, 2, op::TOPIC, 0],
    &[op::PAIR, 1, 0, 0, op::PAIR, 4, 7, 0, op::PAIR, 5, 8, 0],
    &[op::PAIR, 1, 0, 0, op::PAIR, 5, 8, 0, op::PAIR, 4, 7, 0],
    &[op::PAIR, 1, 0, 0, op::PAIR, 4, 8, 0],
    &[op::PAIR, 0, 0, 0, op::PAIR, 5, 8, 0],
    &[op::PAIR, 0, 0, 0, op::PAIR, 4, 23, 3, b'a', 0xc2, 0xad, 0],
    &[
        op::PAIR,
        0,
        0,
        0,
        op::PAIR,
        9,
        5,
        b'M',
        b'A',
        b'T',
        b'C',
        b'H',
        0,
        0,
    ],
    b"\x01\x09topic=a=b",                    // op::QUERY
    b"\x01\x1c/.well-known/mercure?topic=a", // op::QUERY
    &[op::PAIR, 0, 0, 0, op::LAST_ID, 11],
    &[
        op::PAIR,
        0,
        0,
        0,
        op::PAIR,
        1,
        0,
        0,
        op::LAST_ID,
        7,
        op::PAIR,
        4,
        8,
        0,
    ],
    &[op::PAIR, 0, 0, 0, op::FIELD, 1, 2, b'a', 0xff],
    &[
        op::COOKIE,
        3,
        2,
        op::ORIGIN,
        2,
        op::PAIR,
        0,
        0,
        0,
        op::TOPIC,
        0,
    ],
];
