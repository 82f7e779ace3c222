//! A publisher: one update, and what the hub says of it.

use fuzz_server::Peer;
use memchr::memmem;

use super::truth::Truth;

/// An update on its way.
#[derive(Debug)]
pub(super) struct Publisher {
    /// `None` when it was killed.
    pub(super) hub: Option<usize>,
    id: String,
    /// How often the hub had turned when it was sent.
    turn: usize,
    /// When it was sent, in milliseconds.
    pub(super) since: u64,
    /// Whether the hub has no reason left not to keep it.
    pub(super) has_to_be_kept: bool,
    peer: Option<Peer>,
    got: Vec<u8>,
    answer: Option<Answer>,
}

/// What a hub says of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Kept,
    NotKept,
    /// The hub can't know, or is gone.
    Unsure,
}

impl Publisher {
    pub(super) fn new(
        hub: usize,
        (turn, since): (usize, u64),
        (id, topic, data): (String, &str, &str),
        (peer, token): (Peer, &str),
    ) -> Self {
        let form = format!("topic={topic}&id={id}&data={data}");
        let request = format!(
            "POST /.well-known/mercure HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        peer.send(request.as_bytes());
        Self {
            hub: Some(hub),
            id,
            turn,
            since,
            has_to_be_kept: false,
            peer: Some(peer),
            got: Vec::new(),
            answer: None,
        }
    }

    pub(super) fn waits(&self) -> bool {
        self.peer.is_some()
    }

    pub(super) fn waits_at(&self, hub: usize) -> bool {
        self.waits() && self.hub == Some(hub)
    }

    /// Reads the answer, and checks it. False if nothing has come.
    pub(super) fn read(&mut self, truth: &Truth) -> bool {
        let Some(peer) = &self.peer else { return false };
        let before = self.got.len();
        let has_end = peer.receive(&mut self.got);
        if let Some(end) = memmem::find(&self.got, b"\r\n\r\n") {
            let head = str::from_utf8(&self.got[..end]).expect("text");
            let fields = head.lines().filter_map(|line| line.split_once(": "));
            let length = fields.filter(|(name, _)| *name == "Content-Length");
            let length: usize = length
                .map(|(_, value)| value.parse::<usize>().expect("a length"))
                .sum();
            if let Some(body) = self.got.get(end + 4..end + 4 + length) {
                let body = str::from_utf8(body).expect("text").to_owned();
                let head = head.to_owned();
                self.answer = Some(self.answered(&head, &body));
                self.peer = None;
                self.check(truth);
                return true;
            }
        }
        if has_end {
            assert!(self.got.is_empty(), "half an answer");
            self.answer = Some(Answer::Unsure);
            self.peer = None;
        }
        has_end || self.got.len() > before
    }

    fn answered(&self, head: &str, body: &str) -> Answer {
        match body {
            _ if head.starts_with("HTTP/1.1 200 ") => {
                assert_eq!(body, self.id);
                Answer::Kept
            }
            "the store is unavailable\n"
            | "the store is unavailable, and --store-queue has no room\n"
            | "the store was unavailable for --store-queue-time\n" => Answer::NotKept,
            "the store is unavailable, and may have stored the update before\n" => Answer::Unsure,
            _ => panic!("{head} {body}"),
        }
    }

    /// Checks that the store has what the answer says.
    pub(super) fn check(&self, truth: &Truth) {
        let all = truth.with_id(&self.id).count();
        let kept = truth.with_id(&self.id).filter(|(_, kept)| !kept.is_lost);
        assert!(kept.count() <= 1, "it is kept twice: {self:?}");
        assert!(
            !self.has_to_be_kept || self.answer == Some(Answer::Kept),
            "{self:?}"
        );
        match self.answer {
            Some(Answer::Kept) => assert!(all > 0, "it is not kept: {self:?}"),
            Some(Answer::NotKept) => assert_eq!(all, 0, "it is kept: {self:?}"),
            Some(Answer::Unsure) | None => {}
        }
    }

    /// Where its update is, and when it was sent.
    pub(super) fn place(&self, truth: &Truth) -> Option<(usize, usize)> {
        let mut kept = truth.with_id(&self.id).filter(|(_, kept)| !kept.is_lost);
        Some((self.turn, kept.next()?.0))
    }
}
