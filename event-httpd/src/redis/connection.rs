//! One connection to Redis: commands out, replies in, in the same order.
//!
//! Owns: the buffer event, and the timer that finds out that the server is silent.
//! Runs no code of others but the handler.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use redis::{Cmd, Value, cmd};

use super::Tls;
use super::replies::Replies;
use super::target::{Endpoint, Target};
use crate::time::{self, Alarm};
use php_event::{
    AddressFamily, BufferEventFlags, Callbacks, Event, EventBase, EventBufferEvent, EventDnsBase,
    EventUtil,
};

/// What one read takes from the buffer event.
const READ_MAX: usize = 256 << 10;

/// What a connection reports.
pub(crate) enum Incoming<T> {
    /// The connection takes commands: the server has accepted the login.
    Ready,
    /// The reply to the command that was sent with this tag.
    Reply(T, Value),
    /// The connection is lost.
    Lost {
        /// Why.
        reason: String,
        /// The tags of the commands without a reply: the server may have carried them out.
        unanswered: Vec<T>,
    },
}

/// A connection that is open or being opened.
pub(super) struct Connection<T> {
    socket: EventBufferEvent,
    _dns: Option<EventDnsBase>, // its lookup runs until the connection is open
    state: Cell<State>,
    replies: RefCell<Replies>,
    waiting: RefCell<VecDeque<Waiting<T>>>,
    first_since: Cell<Instant>, // when the first became the first, or a part of its reply came
    patience: Duration,
    silence: OnceCell<Alarm>,
    handler: Box<dyn Fn(Incoming<T>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Waits for the server to accept.
    Connecting,
    /// Waits for the replies to the login.
    LoggingIn,
    /// Takes commands.
    Ready,
    /// Takes no more: one could not be written. The timer reports it as lost.
    Broken,
    /// Was reported as lost, or closed.
    Over,
}

/// A command without a reply.
struct Waiting<T> {
    purpose: Purpose<T>,
    patience: Duration,
}

enum Purpose<T> {
    /// A part of the login.
    Login,
    /// The last part of the login: a write, whose reply makes the connection ready.
    Probe,
    /// A sign of life.
    Ping,
    /// A command of the client.
    Command(T),
}

impl<T: 'static> Connection<T> {
    /// Begins to connect. The server has `patience` to accept at each of its addresses, and the same
    /// for each reply. `handler` is called from the loop.
    ///
    /// # Errors
    /// The library's, when the system refuses at once.
    pub(super) fn open(
        base: &EventBase,
        target: &Target,
        tls: &Tls,
        patience: Duration,
        handler: Box<dyn Fn(Incoming<T>)>,
    ) -> php_event::Result<Rc<Self>> {
        Self::open_with(base, target, tls, patience, handler, system_names)
    }

    /// As [`open`](Self::open), with what looks names up.
    fn open_with(
        base: &EventBase,
        target: &Target,
        tls: &Tls,
        patience: Duration,
        handler: Box<dyn Fn(Incoming<T>)>,
        names: impl FnOnce(&EventBase) -> php_event::Result<EventDnsBase>,
    ) -> php_event::Result<Rc<Self>> {
        let socket = socket(base, tls)?;
        socket.set_timeouts(None, Some(patience))?;
        let dns = connect(&socket, &target.endpoint, base, names)?;
        let connection = Rc::new(Self {
            socket,
            _dns: dns,
            state: Cell::new(State::Connecting),
            replies: RefCell::default(),
            waiting: RefCell::default(),
            first_since: Cell::new(time::now()),
            patience,
            silence: OnceCell::new(),
            handler,
        });
        connection.watch(base)?;
        connection.log_in(target)?;
        Ok(connection)
    }

    fn watch(self: &Rc<Self>, base: &EventBase) -> php_event::Result<()> {
        let on_read = Rc::downgrade(self);
        let on_event = Rc::downgrade(self);
        let callbacks = Callbacks::new()
            .on_read(move |_socket| {
                if let Some(connection) = on_read.upgrade() {
                    connection.read();
                }
            })
            .on_event(move |_socket, what| {
                if let Some(connection) = on_event.upgrade() {
                    connection.happened(what);
                }
            });
        self.socket.set_callbacks(callbacks)?;
        self.socket.enable(Event::READ)?;
        let weak = Rc::downgrade(self);
        let silence = Event::timer(base, move |_event| {
            if let Some(connection) = weak.upgrade() {
                connection.was_silent();
            }
        })?;
        let silence = Alarm::new(silence);
        silence.set(self.patience)?;
        self.silence.get_or_init(|| silence);
        Ok(())
    }

    /// Queues the commands that log in; they are sent once connected.
    fn log_in(&self, target: &Target) -> php_event::Result<()> {
        let mut login = Vec::new();
        if target.user.is_some() || target.password.is_some() {
            let mut auth = cmd("AUTH");
            if let Some(user) = &target.user {
                auth.arg(user);
            }
            let password = target.password.as_deref().unwrap_or_default(); // any will do for `nopass`
            login.push(auth.arg(password).take());
        }
        if target.database != 0 {
            login.push(cmd("SELECT").arg(target.database).take());
        }
        login.push(cmd("PING")); // a server that still loads its data refuses it
        for command in &login {
            self.queue(Purpose::Login, command, self.patience)?;
        }
        // No key has this name, so this changes nothing. A read-only replica refuses it.
        let probe = cmd("DEL").arg(target.key("probe")).take();
        self.queue(Purpose::Probe, &probe, self.patience)
    }

    /// Sends a command. The server has `patience` to reply once those before are answered.
    ///
    /// # Errors
    /// The tag, if the connection takes no commands.
    pub(super) fn send(&self, tag: T, command: &Cmd, patience: Duration) -> Result<(), T> {
        if self.state.get() != State::Ready {
            return Err(tag);
        }
        if let Err(error) = self.socket.write(command.get_packed_command()) {
            tracing::error!("{error}");
            self.break_off();
            return Err(tag);
        }
        self.note(Purpose::Command(tag), patience);
        Ok(())
    }

    /// Reports the connection as lost in a later turn of the loop: the caller is in the middle of
    /// something.
    fn break_off(&self) {
        self.state.set(State::Broken);
        if let Some(silence) = self.silence.get()
            && let Err(error) = silence.set(Duration::ZERO)
        {
            tracing::error!("{error}"); // then it fires when it would have fired anyway
        }
    }

    fn queue(
        &self,
        purpose: Purpose<T>,
        command: &Cmd,
        patience: Duration,
    ) -> php_event::Result<()> {
        self.socket.write(command.get_packed_command())?;
        self.note(purpose, patience);
        Ok(())
    }

    fn note(&self, purpose: Purpose<T>, patience: Duration) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.push_back(Waiting { purpose, patience });
        if waiting.len() == 1 {
            drop(waiting);
            self.restart_silence();
        }
    }

    /// Whether it takes commands.
    pub(super) fn is_ready(&self) -> bool {
        self.state.get() == State::Ready
    }

    /// Bytes that the server has not taken yet.
    pub(super) fn unsent(&self) -> usize {
        self.socket.output().length()
    }

    /// Measures the silence of the server from now on.
    fn restart_silence(&self) {
        if self.state.get() == State::Broken {
            return; // it fires at once
        }
        self.first_since.set(time::now());
        let patience = self.patience_now();
        if let Some(silence) = self.silence.get()
            && let Err(error) = silence.set(patience)
        {
            tracing::error!("{error}"); // the next command tries again
        }
    }

    /// How long the server may be silent now.
    fn patience_now(&self) -> Duration {
        let waiting = self.waiting.borrow();
        waiting
            .front()
            .map_or(self.patience, |first| first.patience)
    }

    /// The timer has fired: nothing was sent for a while, or the server does not reply.
    fn was_silent(&self) {
        if self.state.get() == State::Broken {
            return self.lose("a command could not be written".to_owned());
        }
        if self.state.get() == State::Connecting && self.socket.fd().is_none() {
            // The name is looked up, or its addresses are tried: each in a time of its own.
            return self.restart_silence();
        }
        let patience = self.patience_now();
        let left = patience.saturating_sub(time::now() - self.first_since.get());
        if !left.is_zero() {
            if let Some(silence) = self.silence.get()
                && let Err(error) = silence.set(left)
            {
                tracing::error!("{error}");
            }
        } else if self.waiting.borrow().is_empty() {
            if let Err(error) = self.queue(Purpose::Ping, &cmd("PING"), self.patience) {
                self.lose(error.reason().into_owned());
            }
        } else {
            self.lose(format!("no reply within {patience:?}"));
        }
    }

    fn read(&self) {
        self.first_since.set(time::now()); // a server that sends part of a reply is not silent
        while self.state.get() != State::Over {
            match self.socket.read(READ_MAX) {
                Ok(Some(bytes)) if !bytes.is_empty() => self.replies.borrow_mut().extend(bytes),
                Ok(_) => return,
                Err(error) => return self.lose(error.reason().into_owned()),
            }
            self.take_replies();
        }
    }

    fn take_replies(&self) {
        while self.state.get() != State::Over {
            let next = self.replies.borrow_mut().next();
            let value = match next {
                Ok(Some(value)) => value,
                Ok(None) => return,
                Err(error) => return self.lose(format!("not a reply: {error}")),
            };
            let first = self.waiting.borrow_mut().pop_front();
            let Some(first) = first else {
                return self.lose("a reply to nothing".to_owned());
            };
            self.restart_silence();
            self.take_reply(first.purpose, value);
        }
    }

    fn take_reply(&self, purpose: Purpose<T>, value: Value) {
        match purpose {
            Purpose::Command(tag) => (self.handler)(Incoming::Reply(tag, value)),
            Purpose::Ping => {}
            Purpose::Login => {
                if let Value::ServerError(error) = value {
                    self.lose(error.to_string());
                }
            }
            Purpose::Probe => match value {
                Value::ServerError(error) if error.code() == "READONLY" => {
                    self.lose(error.to_string());
                }
                // Another error, such as NOPERM, says nothing about the commands that follow.
                _ => {
                    self.state.set(State::Ready);
                    (self.handler)(Incoming::Ready);
                }
            },
        }
    }

    fn happened(&self, what: BufferEventFlags) {
        if what.contains(EventBufferEvent::CONNECTED) {
            self.state.set(State::LoggingIn); // the login is on its way
            return self.restart_silence();
        }
        let reason = if what.contains(EventBufferEvent::TIMEOUT) {
            match self.state.get() {
                State::Connecting => format!("no connection within {:?}", self.patience),
                _ => format!("the server has taken no bytes for {:?}", self.patience),
            }
        } else if what.contains(EventBufferEvent::EOF) {
            "the server closed the connection".to_owned()
        } else {
            self.failure()
        };
        self.lose(reason);
    }

    /// Why the connection fails: the name is unknown, TLS refuses, or the system does.
    fn failure(&self) -> String {
        let system = EventUtil::get_last_socket_error();
        if let Ok(Some(error)) = self.socket.get_dns_error_string() {
            return format!("the name is not found: {error}");
        }
        #[cfg(feature = "tls")]
        if let Ok(Some(error)) = self.socket.ssl_error() {
            return error;
        }
        system
    }

    /// Closes the connection and reports it, once.
    fn lose(&self, reason: String) {
        if self.close() {
            let waiting = self.waiting.take().into_iter();
            let tags = waiting.filter_map(|waiting| match waiting.purpose {
                Purpose::Command(tag) => Some(tag),
                Purpose::Login | Purpose::Probe | Purpose::Ping => None,
            });
            let unanswered = tags.collect();
            (self.handler)(Incoming::Lost { reason, unanswered });
        }
    }

    /// Closes the connection. Returns whether it was open.
    fn close(&self) -> bool {
        if self.state.replace(State::Over) == State::Over {
            return false;
        }
        self.socket.free();
        if let Some(silence) = self.silence.get() {
            silence.free();
        }
        true
    }

    /// Closes the connection, and reports why as if it had failed.
    pub(super) fn disconnect(&self, reason: &str) {
        self.lose(reason.to_owned());
    }
}

impl<T> Drop for Connection<T> {
    fn drop(&mut self) {
        self.socket.free();
    }
}

fn socket(base: &EventBase, tls: &Tls) -> php_event::Result<EventBufferEvent> {
    let options = EventBufferEvent::OPT_CLOSE_ON_FREE;
    match tls {
        None => EventBufferEvent::unconnected(base, options),
        #[cfg(feature = "tls")]
        Some(context) => {
            let state = EventBufferEvent::SSL_CONNECTING;
            EventBufferEvent::ssl_unconnected(base, context, state, options)
        }
        #[cfg(not(feature = "tls"))]
        Some(never) => match *never {},
    }
}

/// Begins to connect. Returns what looks the name up, if there is a name.
fn connect(
    socket: &EventBufferEvent,
    endpoint: &Endpoint,
    base: &EventBase,
    names: impl FnOnce(&EventBase) -> php_event::Result<EventDnsBase>,
) -> php_event::Result<Option<EventDnsBase>> {
    let (host, port) = match endpoint {
        Endpoint::Tcp { host, port } | Endpoint::Tls { host, port } => (host, *port),
        Endpoint::Unix(path) => {
            socket.connect(&format!("unix:{}", path.display()))?;
            return Ok(None);
        }
    };
    let is_numeric = host.contains(':') || host.parse::<Ipv4Addr>().is_ok();
    let dns = (!is_numeric).then(|| names(base)).transpose()?;
    socket.connect_host(dns.as_ref(), host, port, AddressFamily::UNSPEC)?;
    Ok(dns)
}

/// What looks names up by the system's files, which it reads once: it is made anew for each attempt.
fn system_names(base: &EventBase) -> php_event::Result<EventDnsBase> {
    let flags = EventDnsBase::INITIALIZE_NAMESERVERS
        | EventDnsBase::NAMESERVERS_NO_DEFAULT
        | EventDnsBase::DISABLE_WHEN_INACTIVE;
    EventDnsBase::new(base, flags)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use php_event::stream::{
        ContextOptions, stream_context_create, stream_socket_get_name, stream_socket_server,
    };
    use test_support::dns::{Reply, Server, ips};

    use super::*;

    /// Why a connection is lost whose server logs it in with these replies and then waits, when
    /// it sends a command of 32 MiB.
    fn reason_of_loss(replies: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (over, wait) = std::sync::mpsc::channel::<()>();
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            socket.read_exact(&mut [0; 4]).unwrap();
            socket.write_all(replies).unwrap();
            wait.recv().ok();
        });
        let base = EventBase::new().unwrap();
        let target = Target::parse(&format!("redis://{address}")).unwrap();
        let reason: Rc<RefCell<String>> = Rc::default();
        let this: Rc<OnceCell<Rc<Connection<()>>>> = Rc::default();
        let handler = {
            let (reason, this, base) = (Rc::clone(&reason), Rc::downgrade(&this), base.clone());
            move |incoming| match incoming {
                Incoming::Ready => {
                    let command = cmd("X").arg(vec![b'x'; 32 << 20]).take();
                    let patience = Duration::from_secs(30);
                    let this = this.upgrade().unwrap();
                    let connection = this.get().unwrap();
                    connection.send((), &command, patience).unwrap();
                }
                Incoming::Reply(..) => panic!("there is no reply"),
                Incoming::Lost { reason: why, .. } => {
                    *reason.borrow_mut() = why;
                    base.exit(None).unwrap();
                }
            }
        };
        let patience = Duration::from_millis(300);
        let connection =
            Connection::open(&base, &target, &None, patience, Box::new(handler)).unwrap();
        this.get_or_init(|| connection);
        base.r#loop(php_event::LoopFlags::empty()).unwrap();
        drop(over);
        server.join().unwrap();
        reason.take()
    }

    type Handler = Box<dyn Fn(Incoming<()>)>;

    /// A handler that ends the loop, and where it notes what has happened.
    fn noting(base: &EventBase) -> (Rc<RefCell<String>>, Handler) {
        let outcome: Rc<RefCell<String>> = Rc::default();
        let (noted, base) = (Rc::clone(&outcome), base.clone());
        let handler = move |incoming: Incoming<()>| {
            *noted.borrow_mut() = match incoming {
                Incoming::Ready => "ready".to_owned(),
                Incoming::Reply(..) => "a reply".to_owned(),
                Incoming::Lost { reason, .. } => reason,
            };
            base.exit(None).unwrap();
        };
        (outcome, Box::new(handler))
    }

    #[test]
    fn a_server_that_takes_no_bytes_is_not_reported_as_one_that_is_not_there() {
        let reason = reason_of_loss(b"+PONG\r\n:0\r\n");
        assert_eq!(reason, "the server has taken no bytes for 300ms");
    }

    #[test]
    fn a_server_that_sends_a_long_reply_slowly_is_not_silent() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            socket.set_nodelay(true).unwrap();
            socket.read_exact(&mut [0; 4]).unwrap();
            for part in [&b"$7\r\nlo"[..], b"n", b"g t", b"e\r\n", b":0\r\n"] {
                thread::sleep(Duration::from_millis(300));
                if socket.write_all(part).is_err() {
                    return; // the connection was taken for lost
                }
            }
        });
        let base = EventBase::new().unwrap();
        let target = Target::parse(&format!("redis://{address}")).unwrap();
        let (outcome, handler) = noting(&base);
        let patience = Duration::from_secs(1);
        let _connection = Connection::open(&base, &target, &None, patience, handler).unwrap();
        base.r#loop(php_event::LoopFlags::empty()).unwrap();
        assert_eq!(*outcome.borrow(), "ready");
        server.join().unwrap();
    }

    #[test]
    fn the_next_address_of_a_name_is_tried_when_nothing_answers_at_the_first() {
        // A full backlog drops what comes.
        let full = ContextOptions::default().backlog(0);
        let deaf = stream_socket_server("tcp://127.0.0.1:0", &stream_context_create(full)).unwrap();
        let address = stream_socket_get_name(&deaf, false).unwrap();
        let deaf_address = address.parse().unwrap();
        let soon = Duration::from_millis(100);
        let waiting = std::iter::from_fn(|| TcpStream::connect_timeout(&deaf_address, soon).ok());
        let waiting: Vec<_> = waiting.collect();
        let listener = TcpListener::bind(("127.0.0.2", deaf_address.port())).unwrap();
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            socket.write_all(b"+PONG\r\n:0\r\n").unwrap();
            socket.read_to_end(&mut Vec::new()).ok();
        });
        let names = Server::always(Reply::Addresses(ips(&["127.0.0.1", "127.0.0.2"])));
        let base = EventBase::new().unwrap();
        let target = format!("redis://two.test:{}", deaf_address.port());
        let target = Target::parse(&target).unwrap();
        let (outcome, handler) = noting(&base);
        let ask = |base: &EventBase| {
            let dns = EventDnsBase::new(base, EventDnsBase::DISABLE_WHEN_INACTIVE)?;
            dns.add_nameserver_ip(&names.address()).map(|()| dns)
        };
        let patience = Duration::from_secs(1);
        let connection =
            Connection::open_with(&base, &target, &None, patience, handler, ask).unwrap();
        base.r#loop(php_event::LoopFlags::empty()).unwrap();
        assert_eq!(*outcome.borrow(), "ready");
        drop((connection, waiting));
        server.join().unwrap();
    }

    #[test]
    fn a_server_that_takes_no_writes_is_lost_before_it_gets_a_command() {
        let reason = reason_of_loss(b"+PONG\r\n-READONLY no writes\r\n");
        assert!(reason.contains("no writes"), "{reason}");
    }

    #[test]
    fn a_login_that_may_not_try_a_write_is_accepted() {
        let reason = reason_of_loss(b"+PONG\r\n-NOPERM no permission\r\n");
        assert_eq!(reason, "the server has taken no bytes for 300ms");
    }
}
