//! What the two sides of a connection do.

use arbitrary::{Arbitrary, Result, Unstructured};

/// Lengths of answers and of their pieces.
const LENGTHS: [usize; 7] = [0, 1, 100, 5_000, 16_385, 60_000, 200_000];

/// What a client sends after its last request, which nobody answers.
const BEHIND: [&[u8]; 4] = [
    b"",
    b"\r\n",
    b"GET /0 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"no request",
];

const EXCHANGES_MAX: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Which server.
    pub(super) server: usize,
    /// The connection has a time limit, which is never reached.
    pub(super) has_limit: bool,
    /// It has a close callback.
    pub(super) watches: bool,
    /// The last one ends the connection.
    pub(super) exchanges: Vec<Exchange>,
    /// The client sends all but the last request at once, or each after an answer.
    pub(super) pipelines: bool,
    /// How many bytes it sends at once.
    pub(super) cut: usize,
    /// What it sends after its last request, with it or when nothing moves any more.
    pub(super) behind: &'static [u8],
    pub(super) sends_late: bool,
    /// It reads only when nothing moves any more.
    pub(super) reads_late: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Exchange {
    number: usize,
    pub(super) method: Method,
    is_1_0: bool,
    asks: Asks,
    /// Turns before it is answered.
    pub(super) delay: u8,
    /// A timer answers it, in the turn in which earlier bytes leave; otherwise it is answered
    /// between two turns.
    pub(super) in_turn: bool,
    /// The answer has `Connection: close`.
    pub(super) says_close: bool,
    pub(super) reply: Reply,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Post,
}

/// What the request says of the connection.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    Nothing,
    KeepAlive,
    Close,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Whole(usize),
    Pieces(Vec<usize>),
    Error,
}

impl Plan {
    pub(super) fn any(u: &mut Unstructured<'_>) -> Result<Self> {
        let mut plan = Self {
            server: u.arbitrary::<bool>()?.into(),
            has_limit: u.arbitrary()?,
            watches: u.arbitrary()?,
            pipelines: u.arbitrary()?,
            cut: *u.choose(&[usize::MAX, 1_000, 10, 1])?,
            behind: u.choose(&BEHIND)?,
            sends_late: u.arbitrary()?,
            reads_late: u.arbitrary()?,
            exchanges: Vec::new(),
        };
        while plan.exchanges.len() < EXCHANGES_MAX && !u.is_empty() {
            plan.exchanges.push(Exchange::any(plan.exchanges.len(), u)?);
            if plan.exchanges.last().is_some_and(Exchange::ends) {
                return Ok(plan);
            }
        }
        plan.exchanges.push(Exchange::last(plan.exchanges.len()));
        Ok(plan)
    }
}

impl Exchange {
    fn any(number: usize, u: &mut Unstructured<'_>) -> Result<Self> {
        let reply = match u.int_in_range(0..=7)? {
            0..=3 => Reply::Whole(*u.choose(&LENGTHS)?),
            4..=6 => {
                let count = u.int_in_range(0..=3)?;
                let lengths = (0..count).map(|_| Ok(*u.choose(&LENGTHS)?));
                Reply::Pieces(lengths.collect::<Result<_>>()?)
            }
            _ => Reply::Error,
        };
        Ok(Self {
            number,
            // What HEAD gets in pieces has no end that a client of HTTP/1.0 knows.
            method: match u.arbitrary()? {
                Method::Head if matches!(reply, Reply::Pieces(_)) => Method::Get,
                method => method,
            },
            is_1_0: u.ratio(1, 4)?,
            asks: u.arbitrary()?,
            delay: u.int_in_range(0..=3)?,
            in_turn: u.arbitrary()?,
            says_close: u.ratio(1, 4)?,
            reply,
        })
    }

    /// One that ends the connection, and is answered only if that goes on until then.
    fn last(number: usize) -> Self {
        Self {
            number,
            method: Method::Get,
            is_1_0: false,
            asks: Asks::Close,
            delay: 0,
            in_turn: false,
            says_close: false,
            reply: Reply::Whole(3),
        }
    }

    /// Whether the connection ends after it.
    pub(super) fn ends(&self) -> bool {
        let without_length = self.is_1_0 && matches!(self.reply, Reply::Pieces(_));
        self.asks == Asks::Close
            || (self.is_1_0 && self.asks == Asks::Nothing)
            || self.says_close
            || without_length
            || self.is_error()
    }

    /// Whether its answer is the page of an error.
    pub(super) fn is_error(&self) -> bool {
        self.reply == Reply::Error
    }

    pub(super) fn request(&self) -> Vec<u8> {
        let method = match self.method {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
        };
        let connection = match self.asks {
            Asks::Nothing => "",
            Asks::KeepAlive => "Connection: keep-alive\r\n",
            Asks::Close => "Connection: close\r\n",
        };
        let length = match self.body().len() {
            0 => String::new(),
            length => format!("Content-Length: {length}\r\n"),
        };
        let (number, minor) = (self.number, u8::from(!self.is_1_0));
        let head =
            format!("{method} /{number} HTTP/1.{minor}\r\nHost: x\r\n{connection}{length}\r\n");
        [head.as_bytes(), self.body()].concat()
    }

    pub(super) fn body(&self) -> &'static [u8] {
        match self.method {
            Method::Post => b"a body",
            Method::Get | Method::Head => b"",
        }
    }

    /// What the body of its answer is made of.
    pub(super) fn letter(&self) -> u8 {
        b"abcdefgh"[self.number]
    }

    /// How long that is; `None` for the page of an error.
    pub(super) fn length(&self) -> Option<usize> {
        match &self.reply {
            _ if self.method == Method::Head => Some(0),
            Reply::Whole(length) => Some(*length),
            Reply::Pieces(lengths) => Some(lengths.iter().sum()),
            Reply::Error => None,
        }
    }
}
