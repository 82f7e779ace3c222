//! A plain hub: one list of all updates, and what each client has to get.

use std::collections::VecDeque;
use std::rc::Rc;

use hub_protocol::Forms;

use super::action::{Action, FrameAnswer, Frames, List, Publish, Resource, Subscribe};
use super::event::{Active, Content, Event, Id, Published};
use super::matching::Pattern;
use super::rules::{Allowed, Rules};

/// A page of the history that is followed by another is longer, or than half of a queue.
const PAGE_MIN: usize = 200 << 10;

/// What a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It sends requests.
    Http,
    /// It gets events, and what it sends is dropped.
    Stream,
    /// It gets messages, and sends some.
    Socket,
    /// It has its last answer.
    Ended,
}

/// What a client has to get.
#[derive(Debug)]
pub(super) enum Wanted {
    /// The answer to a request, and whether it is one to a `HEAD`.
    Answer(u16, bool),
    /// The answer to who has published.
    Stored(Rc<Event>),
    Listed(Listed),
    /// The head of an event stream.
    Stream(Anchor),
    /// The answer that opens a WebSocket.
    Switch,
    Event(Rc<Event>),
    /// A WebSocket's message is kept.
    Published(Rc<Event>),
    Refused(u16),
    Pong(&'static [u8]),
    Close(Option<u16>),
    End,
}

impl Wanted {
    pub(super) fn is_event(&self) -> bool {
        matches!(self, Self::Event(_))
    }

    /// At least, and at most, so many bytes bring it to a client.
    pub(super) fn sizes(&self) -> (usize, usize) {
        match self {
            Self::Event(event) => event.sizes(),
            Self::Listed(listed) => (0, 1024 + 1024 * listed.active.len()),
            Self::End => (0, 0),
            _ => (0, 1024),
        }
    }
}

/// What the head of an event stream says of where it begins.
#[derive(Debug)]
pub(super) enum Anchor {
    /// Nothing: the client did not ask.
    None,
    /// Behind an update, or with the first one that is kept. The forms are those of the request.
    Behind(Option<Rc<Event>>, Forms),
}

/// A list of subscriptions.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) path: String,
    pub(super) is_deployed: bool,
    pub(super) is_one: bool,
    pub(super) active: Vec<Rc<Active>>,
    /// The last update that is kept.
    pub(super) last: Option<Rc<Event>>,
}

impl Listed {
    /// Whether another one differs by its subscriber alone.
    pub(super) fn has_alike(&self, active: &Active) -> bool {
        let is_alike =
            |one: &&Rc<Active>| one.pattern == active.pattern && one.payload == active.payload;
        self.active.iter().filter(is_alike).count() > 1
    }
}

#[derive(Debug)]
struct Subscriber {
    patterns: Vec<Pattern>,
    allowed: Allowed,
}

impl Subscriber {
    fn wants(&self, event: &Event) -> bool {
        let may_read = || {
            self.allowed
                .reading
                .is_some_and(|token| event.is_in(token.subscribe))
        };
        event.is_in(&self.patterns) && (!event.is_private() || may_read())
    }
}

/// One client.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) mode: Mode,
    pub(super) wanted: VecDeque<Wanted>,
    /// Requests after the one that waits for its answer.
    unread: VecDeque<Action>,
    waits: bool,
    /// Whether the connection ends with the answer that waits.
    closes: bool,
    subscriber: Option<Subscriber>,
    is_live: bool,
    /// The place of the first update that may come.
    pub(super) next: usize,
    /// Whether it may not have been sent all of a long history yet.
    pub(super) replays: bool,
}

impl Conn {
    fn new() -> Self {
        Self {
            mode: Mode::Http,
            wanted: VecDeque::new(),
            unread: VecDeque::new(),
            waits: false,
            closes: false,
            subscriber: None,
            is_live: false,
            next: 0,
            replays: false,
        }
    }

    fn answer(&mut self, status: u16, ends: bool) {
        self.wanted.push_back(Wanted::Answer(status, false));
        if ends {
            self.end();
        }
    }

    fn end(&mut self) {
        self.wanted.push_back(Wanted::End);
        self.mode = Mode::Ended;
    }

    /// Whether it gets what is published.
    pub(super) fn is_live(&self) -> bool {
        self.is_live && self.mode != Mode::Ended
    }
}

/// What the store reports, in its order.
#[derive(Debug)]
enum Tell {
    Update(Rc<Event>),
    Stored(usize, Rc<Event>),
    /// The updates between two places, for a subscriber that begins in the past.
    Page(usize, Joining),
    Listed(usize, Listed),
}

#[derive(Debug)]
struct Joining {
    asked: Subscribe,
    subscriber: Subscriber,
    anchor: Anchor,
    missed: Vec<Rc<Event>>,
    /// The place of the first of them.
    first: usize,
}

/// The hub.
#[derive(Debug)]
pub(super) struct Model<'a> {
    rules: &'a Rules,
    log: Vec<Rc<Event>>,
    told: VecDeque<Tell>,
    pub(super) conns: Vec<Conn>,
    active: Vec<(usize, Rc<Active>)>,
}

impl<'a> Model<'a> {
    pub(super) fn new(rules: &'a Rules, clients: usize) -> Self {
        Self {
            rules,
            log: Vec::new(),
            told: VecDeque::new(),
            conns: (0..clients).map(|_| Conn::new()).collect(),
            active: Vec::new(),
        }
    }

    pub(super) fn log(&self) -> &[Rc<Event>] {
        &self.log
    }

    /// The place of the first update that is kept.
    pub(super) fn first_kept(&self) -> usize {
        self.log.len().saturating_sub(self.rules.history)
    }

    /// The subscriber with that number among those that the hub tells of.
    pub(super) fn active(&self, number: usize) -> Option<&Rc<Active>> {
        let (_, active) = self.active.get(number % self.active.len().max(1))?;
        Some(active)
    }

    /// The hub reads all that a client has sent at once.
    pub(super) fn receive(&mut self, client: usize, actions: Vec<Action>) {
        match self.conns[client].mode {
            Mode::Http => {
                self.conns[client].unread.extend(actions);
                self.serve(client);
            }
            Mode::Socket => self.take_frames(client, &actions),
            Mode::Stream | Mode::Ended => {}
        }
    }

    /// The store reports what it has done, and what follows from that.
    pub(super) fn settle(&mut self) {
        while let Some(tell) = self.told.pop_front() {
            match tell {
                Tell::Update(event) => self.deliver(&event),
                Tell::Stored(client, event) => self.stored(client, event),
                Tell::Page(client, joining) => {
                    self.conns[client].waits = false;
                    self.begin(client, joining);
                }
                Tell::Listed(client, listed) => {
                    let conn = &mut self.conns[client];
                    conn.waits = false;
                    if listed.is_one && listed.active.is_empty() {
                        conn.answer(404, false);
                    } else {
                        conn.wanted.push_back(Wanted::Listed(listed));
                    }
                    self.serve(client);
                }
            }
        }
    }

    /// Whether what a client has sent makes it a subscriber when the store has answered.
    pub(super) fn is_subscribing(&self, client: usize) -> bool {
        let is_page = |tell: &Tell| matches!(tell, Tell::Page(of, _) if *of == client);
        let mut unread = self.conns[client].unread.iter();
        unread.any(|action| matches!(action, Action::Subscribe(_))) || self.told.iter().any(is_page)
    }

    /// The connection of a client has closed, and the client may come again.
    pub(super) fn leave(&mut self, client: usize) {
        self.retract(client);
        self.conns[client] = Conn::new();
    }

    /// The hub has ended a client's connection, or waits for the client to close it.
    pub(super) fn end(&mut self, client: usize, is_open: bool) {
        self.conns[client].mode = Mode::Ended;
        if !is_open {
            self.retract(client);
        }
    }

    fn keep(&mut self, id: Id, content: Content) -> Rc<Event> {
        let place = self.log.len();
        let event = Rc::new(Event { place, id, content });
        self.log.push(Rc::clone(&event));
        self.told.push_back(Tell::Update(Rc::clone(&event)));
        event
    }

    fn deliver(&mut self, event: &Rc<Event>) {
        for conn in self.conns.iter_mut().filter(|conn| conn.is_live()) {
            let subscriber = conn.subscriber.as_ref();
            if subscriber.is_some_and(|subscriber| subscriber.wants(event)) {
                conn.wanted.push_back(Wanted::Event(Rc::clone(event)));
            }
        }
    }

    /// Answers requests until one waits for the store.
    fn serve(&mut self, client: usize) {
        loop {
            let conn = &mut self.conns[client];
            if conn.mode != Mode::Http {
                conn.unread.clear();
            }
            if conn.waits {
                return;
            }
            let Some(action) = conn.unread.pop_front() else {
                return;
            };
            match action {
                Action::Subscribe(asked) => self.subscribe(client, asked),
                Action::Publish(asked) => self.post(client, &asked),
                Action::List(asked) => self.list(client, &asked),
                Action::Odd(odd) => {
                    let is_full = self.is_full();
                    let status = odd.status(self.rules.is_anonymous, is_full);
                    let conn = &mut self.conns[client];
                    conn.wanted.push_back(Wanted::Answer(status, odd.is_head()));
                    if odd.ends {
                        conn.end();
                    }
                }
                Action::Frames(_) => unreachable!("frames are for WebSockets"),
            }
        }
    }

    fn publish(&mut self, client: usize, published: Published, id: &str) {
        let id = if id.is_empty() {
            Id::default()
        } else {
            Id::given(id)
        };
        let event = self.keep(id, Content::Published(published));
        self.told.push_back(Tell::Stored(client, event));
    }

    fn post(&mut self, client: usize, asked: &Publish) {
        match self.rules.post(asked) {
            Err(status) => self.conns[client].answer(status, asked.closes),
            Ok(published) => {
                self.publish(client, published, asked.id);
                self.conns[client].waits = true;
                self.conns[client].closes = asked.closes;
            }
        }
    }

    fn stored(&mut self, client: usize, event: Rc<Event>) {
        let conn = &mut self.conns[client];
        match conn.mode {
            Mode::Http => {
                conn.wanted.push_back(Wanted::Stored(event));
                conn.waits = false;
                if conn.closes {
                    conn.end();
                }
                self.serve(client);
            }
            Mode::Socket => conn.wanted.push_back(Wanted::Published(event)),
            Mode::Stream | Mode::Ended => {}
        }
    }

    /// What a subscriber gets, or the status of the refusal.
    pub(super) fn allow(&self, asked: &Subscribe) -> Result<(Vec<Pattern>, Allowed), u16> {
        let allowed = self.rules.allow(asked.token, asked.is_socket)?;
        if self.is_full() {
            return Err(429);
        }
        match self.rules.patterns(asked) {
            patterns if patterns.is_empty() => Err(400),
            patterns => Ok((patterns, allowed)),
        }
    }

    /// Whether there is no room for another subscriber.
    fn is_full(&self) -> bool {
        let subscribers = self.conns.iter().filter(|conn| conn.subscriber.is_some());
        let waiting = self
            .told
            .iter()
            .filter(|tell| matches!(tell, Tell::Page(..)));
        let taken = subscribers.count() + waiting.count();
        let max = self.rules.max_subscribers;
        max.is_some_and(|max| taken >= max)
    }

    fn subscribe(&mut self, client: usize, asked: Subscribe) {
        let (patterns, allowed) = match self.allow(&asked) {
            Err(status) => return self.conns[client].answer(status, false),
            Ok(allowed) => allowed,
        };
        let forms = Forms {
            deployed: patterns.iter().any(|one| !one.kind.is_standard()),
            standard: patterns.iter().any(|one| one.kind.is_standard()),
        };
        let mut joining = Joining {
            subscriber: Subscriber { patterns, allowed },
            anchor: Anchor::None,
            missed: Vec::new(),
            first: self.log.len(),
            asked,
        };
        let Some(last) = self.rules.last_id(&joining.asked) else {
            return self.begin(client, joining);
        };
        let conn = &mut self.conns[client];
        let first_kept = self.log.len().saturating_sub(self.rules.history);
        let mut kept = self.log[first_kept..].iter();
        // The first of several with this id.
        let found = kept
            .clone()
            .position(|event| event.id.known() == Some(last));
        let anchor = found.and_then(|found| kept.nth(found)).cloned();
        joining.missed = kept.cloned().collect();
        joining.first -= joining.missed.len();
        joining.anchor = Anchor::Behind(anchor, forms);
        conn.waits = true;
        self.told.push_back(Tell::Page(client, joining));
    }

    fn begin(&mut self, client: usize, joining: Joining) {
        let conn = &mut self.conns[client];
        conn.is_live = true;
        conn.next = joining.first;
        let missed = joining.missed.iter().map(|event| event.sizes().1);
        let page_min = PAGE_MIN.min(self.rules.max_queue / 2);
        conn.replays = missed.sum::<usize>() >= page_min;
        let mut early = std::mem::take(&mut conn.unread);
        let is_socket = joining.asked.is_socket;
        if is_socket {
            conn.mode = Mode::Socket;
            conn.wanted.push_back(Wanted::Switch);
        } else {
            conn.mode = Mode::Stream;
            conn.wanted.push_back(Wanted::Stream(joining.anchor));
        }
        self.announce(client, &joining.subscriber);
        let wants = |event: &Rc<Event>| joining.subscriber.wants(event);
        let missed = joining.missed.into_iter().filter(wants);
        let missed: Vec<_> = missed.map(Wanted::Event).collect();
        self.conns[client].subscriber = Some(joining.subscriber);
        if is_socket {
            self.take_frames(client, early.make_contiguous());
        }
        let conn = &mut self.conns[client];
        if conn.is_live() {
            conn.wanted.extend(missed);
        }
    }

    /// The hub tells of a subscriber that has come.
    fn announce(&mut self, client: usize, subscriber: &Subscriber) {
        if !self.rules.has_subscriptions {
            return;
        }
        let id = Rc::<Id>::default();
        for pattern in &subscriber.patterns {
            let reading = subscriber.allowed.reading;
            let active = Rc::new(Active {
                pattern: *pattern,
                subscriber: Rc::clone(&id),
                payload: reading.and_then(|token| token.payload(pattern)),
            });
            self.active.push((client, Rc::clone(&active)));
            self.tell_of(active, true);
        }
    }

    fn tell_of(&mut self, active: Rc<Active>, is_active: bool) {
        let of = active;
        self.keep(Id::default(), Content::Subscription { of, is_active });
    }

    /// A subscriber has gone, if the client was one.
    fn retract(&mut self, client: usize) {
        self.conns[client].subscriber = None;
        let all = self.active.drain(..);
        let (mut own, others): (Vec<_>, Vec<_>) = all.partition(|(of, _)| *of == client);
        self.active = others;
        own.sort_by_key(|(_, active)| active.pattern);
        for (_, active) in own {
            self.tell_of(active, false);
        }
    }

    fn list(&mut self, client: usize, asked: &List) {
        let resource = match self.rules.list(asked) {
            Err(status) => return self.conns[client].answer(status, false),
            Ok(resource) => resource,
        };
        let is_listed = |active: &Active| match &resource {
            Resource::All => true,
            Resource::Matching(pattern) => active.pattern == *pattern,
            Resource::One(pattern, subscriber) => {
                let subscriber = subscriber.as_ref().and_then(|id| id.known());
                active.pattern == *pattern
                    && subscriber.is_some_and(|id| active.subscriber.known() == Some(id))
            }
        };
        let active = self.active.iter().map(|(_, active)| active);
        let listed = Listed {
            path: asked.of.path(),
            is_deployed: self.rules.is_deployed(&resource),
            is_one: matches!(resource, Resource::One(..)),
            active: active.filter(|one| is_listed(one)).cloned().collect(),
            last: self.log[self.first_kept()..].last().cloned(),
        };
        self.conns[client].waits = true;
        self.told.push_back(Tell::Listed(client, listed));
    }

    /// Takes the messages of a WebSocket, and then what they ask the store.
    fn take_frames(&mut self, client: usize, actions: &[Action]) {
        for action in actions {
            if self.conns[client].mode == Mode::Ended {
                return;
            }
            match action {
                Action::Publish(asked) => {
                    let subscriber = self.conns[client].subscriber.as_ref();
                    let token = subscriber.and_then(|one| one.allowed.publishing);
                    match self.rules.message(asked, token) {
                        Err(status) => self.conns[client].wanted.push_back(Wanted::Refused(status)),
                        Ok(published) => self.publish(client, published, asked.id),
                    }
                }
                Action::Frames(frames) => self.take_odd_frames(client, frames),
                _ => unreachable!("requests are not for WebSockets"),
            }
        }
    }

    fn take_odd_frames(&mut self, client: usize, frames: &[Frames]) {
        let conn = &mut self.conns[client];
        let may_publish = conn.subscriber.as_ref();
        let may_publish = may_publish.is_some_and(|one| one.allowed.publishing.is_some());
        for answer in frames.iter().filter_map(|one| one.answer) {
            match answer {
                FrameAnswer::Refused(_) if !may_publish => {
                    conn.wanted.push_back(Wanted::Refused(403));
                }
                FrameAnswer::Refused(status) => conn.wanted.push_back(Wanted::Refused(status)),
                FrameAnswer::Pong(payload) => conn.wanted.push_back(Wanted::Pong(payload)),
                FrameAnswer::Close(code) => {
                    conn.wanted.push_back(Wanted::Close(code));
                    conn.end();
                }
            }
        }
    }
}
