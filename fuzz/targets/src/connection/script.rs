//! What the clients of a server and its app do, read from bytes.

use std::time::Duration;

use crate::steps::Steps;

/// Two clients are connected at a time.
pub(super) const CLIENTS: usize = 2;

/// Bytes that one client sends, so that the server reads all that waits at once.
const SENT_MAX: usize = 40 << 10;

/// How long time passes, in quarters of a second.
const QUARTERS: [u32; 8] = [1, 2, 3, 4, 7, 8, 16, 20];

/// One step. Parts, and what the app does, concern one of the clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The client sends this.
    Send(Vec<u8>),
    /// The server does what there is to do.
    Turn,
    /// Another client is meant from here on.
    Other,
    /// The client stops reading, or reads again.
    Hold(bool),
    /// The app answers the request that waits.
    Reply,
    /// The app sends a message.
    Deliver(usize),
    /// The app ends its answer without an end.
    EndStream,
    /// The client sends no more.
    EndWriting,
    /// The client leaves, and a new one comes.
    Leave,
    /// Time passes.
    Wait(Duration),
    /// The server is told to stop.
    Stop,
}

impl Step {
    /// How many bytes a client sends.
    pub(super) fn length(&self) -> usize {
        match self {
            Self::Send(part) => part.len(),
            _ => 0,
        }
    }
}

/// How an input is read: what each of its bytes stands for.
pub(super) mod op {
    pub(in super::super) const REQUEST: u8 = 0;
    pub(in super::super) const BYTES: u8 = 1;
    pub(in super::super) const AGAIN: u8 = 2;
    pub(in super::super) const CHANGED: u8 = 3;
    pub(in super::super) const MANY: u8 = 4;
    pub(in super::super) const CUT: u8 = 5;
    pub(in super::super) const CUT_INSIDE: u8 = 6;
    pub(in super::super) const OTHER: u8 = 7;
    pub(in super::super) const HOLD: u8 = 8;
    pub(in super::super) const REPLY: u8 = 9;
    pub(in super::super) const DELIVER: u8 = 10;
    pub(in super::super) const END_STREAM: u8 = 11;
    pub(in super::super) const END_WRITING: u8 = 12;
    pub(in super::super) const LEAVE: u8 = 13;
    /// A part is sent, and the server does nothing yet.
    pub(in super::super) const SEND: u8 = 14;
    pub(in super::super) const COUNT: u8 = 15;
    // These stand for themselves alone.
    pub(in super::super) const WAIT: u8 = 0xf0;
    pub(in super::super) const STOP: u8 = 0xf1;
}

/// Requests as clients send them. Some are alike in their first 32 bytes, by which a worker finds
/// the heads that it knows, and some are shorter.
pub(super) const REQUESTS: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost:x\r\n\r\n",
    b"GET /status HTTP/1.1\r\nHost: example.org\r\n\r\n",
    b"GET /status HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n",
    b"GET /status HTTP/1.1\r\nHost: example.org\r\nContent-Length: 0\r\n\r\n",
    b"GET /status HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5\r\n\r\nhello",
    b"HEAD /status HTTP/1.1\r\nHost: example.org\r\n\r\n",
    b"GET /status HTTP/1.0\r\nHost: example.org\r\n\r\n",
    b"GET /status HTTP/1.0\r\nHost: example.org\r\nConnection: keep-alive\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: example.org\r\nContent-Length: 45\r\n\r\nGET /status HTTP/1.1\r\nHost: example.org\r\n\r\n..",
    b"POST /p HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;a=b\r\n wo\r\n0\r\nA: b\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: example.org\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    b"HEAD /p HTTP/1.1\r\nHost: example.org\r\nContent-Length: 3\r\n\r\nabc",
    b"\r\nGET /status HTTP/1.1\r\nHost: example.org\r\n\r\n",
    b"HEADS /status HTTP/1.1\r\nHost: example.org\r\nHost: example.org\r\n\r\n",
    b"HEAD /status HTTP/1.1\r\nHost: example.org\r\nContent-Length: 99999999999\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: example.org\r\nContent-Length: 300\r\nConnection: close\r\n\r\n",
    b"abc",
    b"\r\n\r\n",
    // Its body is as long as the second of these, and may be it.
    b"POST /p HTTP/1.1\r\nHost: example.org\r\nContent-Length: 43\r\n\r\n",
];

/// Reads an input.
struct Reader<'a> {
    input: Steps<'a>,
    steps: Vec<Step>,
    pieces: Vec<Vec<u8>>,       // what stands for a request, to come again
    unsent: [Vec<u8>; CLIENTS], // the next part
    sent: [usize; CLIENTS],
    current: usize,
}

/// What an input says.
pub(super) fn read(input: &[u8]) -> Vec<Step> {
    let mut reader = Reader {
        input: Steps(input),
        steps: Vec::new(),
        pieces: Vec::new(),
        unsent: Default::default(),
        sent: [0; CLIENTS],
        current: 0,
    };
    while let Some(op) = reader.input.step() {
        match op {
            op::WAIT => reader.wait(),
            op::STOP => reader.steps.push(Step::Stop),
            _ => reader.take(op % op::COUNT),
        }
    }
    for _ in 0..CLIENTS {
        reader.send(0);
        reader.steps.push(Step::Turn);
        reader.other();
    }
    reader.steps
}

impl Reader<'_> {
    fn number(&mut self) -> usize {
        self.input.number().into()
    }

    fn take(&mut self, op: u8) {
        match op {
            op::REQUEST => {
                let number = self.number();
                self.add(REQUESTS[number % REQUESTS.len()].to_vec());
            }
            op::BYTES => {
                let length = self.number() | self.number() << 8;
                let bytes = self.input.bytes(length);
                self.add(bytes);
            }
            op::AGAIN => {
                let piece = self.piece();
                self.add(piece);
            }
            op::CHANGED => {
                let mut piece = self.piece();
                let (at, byte) = (self.number(), self.input.number());
                if !piece.is_empty() {
                    let at = at % piece.len();
                    piece[at] ^= byte.max(1);
                }
                self.add(piece);
            }
            op::MANY => {
                let piece = self.piece();
                for _ in 0..3 * self.number() {
                    self.extend(&piece);
                }
            }
            op::CUT => {
                self.send(0);
                self.steps.push(Step::Turn);
            }
            op::CUT_INSIDE => {
                let kept = self.number();
                self.send(kept);
                self.steps.push(Step::Turn);
            }
            op::SEND => self.send(0),
            op::OTHER => self.other(),
            op::HOLD => {
                let is_held = self.number().is_multiple_of(2);
                self.steps.push(Step::Hold(is_held));
            }
            op::DELIVER => {
                let length = self.number();
                self.steps.push(Step::Deliver(length));
            }
            op::REPLY => self.steps.push(Step::Reply),
            op::END_STREAM => self.steps.push(Step::EndStream),
            op::END_WRITING => self.steps.push(Step::EndWriting),
            _ => {
                self.unsent[self.current].clear();
                self.sent[self.current] = 0;
                self.steps.push(Step::Leave);
            }
        }
    }

    fn wait(&mut self) {
        let number = self.number();
        let quarters = QUARTERS[number % QUARTERS.len()];
        let time = quarters * Duration::from_millis(250);
        self.steps.push(Step::Wait(time));
    }

    fn piece(&mut self) -> Vec<u8> {
        let number = self.number();
        let which = number % self.pieces.len().max(1);
        self.pieces.get(which).cloned().unwrap_or_default()
    }

    fn add(&mut self, piece: Vec<u8>) {
        self.extend(&piece);
        self.pieces.push(piece);
    }

    fn extend(&mut self, piece: &[u8]) {
        let sent = &mut self.sent[self.current];
        if *sent + piece.len() <= SENT_MAX {
            *sent += piece.len();
            self.unsent[self.current].extend_from_slice(piece);
        }
    }

    /// Sends all but the last `kept` bytes.
    fn send(&mut self, kept: usize) {
        let unsent = &mut self.unsent[self.current];
        let kept = unsent.split_off(unsent.len().saturating_sub(kept));
        let part = std::mem::replace(unsent, kept);
        if !part.is_empty() {
            self.steps.push(Step::Send(part));
        }
    }

    fn other(&mut self) {
        self.steps.push(Step::Other);
        self.current = (self.current + 1) % CLIENTS;
    }
}

/// The same, each client's bytes in one part, or cut in other places; nothing else happens but
/// that the app answers. `None` if something else does in `steps`.
pub(super) fn cut_anew(steps: &[Step], length: usize) -> Option<Vec<Step>> {
    let mut streams: [Vec<u8>; CLIENTS] = Default::default();
    let mut current = 0;
    for step in steps {
        match step {
            Step::Send(part) => streams[current].extend_from_slice(part),
            Step::Other => current = (current + 1) % CLIENTS,
            Step::Turn | Step::Reply => {}
            _ => return None,
        }
    }
    let mut anew = Vec::new();
    for mut stream in streams {
        // A fault in a part of a head may be seen only at its end.
        stream.extend_from_slice(b"\r\n\r\n");
        for part in stream.chunks(length.max(1)) {
            anew.extend([Step::Send(part.to_vec()), Step::Turn]);
        }
        anew.push(Step::Other);
    }
    Some(anew)
}
