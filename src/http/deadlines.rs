//! What must come in time: heads, TLS handshakes and bodies.
//!
//! A byte from time to time is enough for libevent's timeout. So a head and a handshake have a
//! deadline, and a body has to bring a number of bytes in each period.
//!
//! Owns: [`Deadlines`] the timer of a server. Lends to C: nothing but what the timer lends. Runs
//! no user code.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::gate::{Part, Progress};
use super::server::{self, Settings};
use crate::Event;

/// How often the deadlines are looked at.
const CHECK: Duration = Duration::from_millis(250);

/// No handshake takes so long.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// How many bytes of a body must come at least in each such time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BodyRate {
    pub(super) bytes: usize,
    pub(super) per: Duration,
}

/// What a connection has to bring next.
#[derive(Default)]
pub(super) struct Due(Cell<Option<Next>>);

#[derive(Clone, Copy)]
enum Next {
    /// The rest of a TLS handshake.
    Handshake { until: Instant },
    /// The rest of a head.
    Head { until: Instant },
    /// Part of a body, so that all bodies of the connection together have `bytes`.
    Body { until: Instant, bytes: u64 },
}

impl Due {
    pub(super) fn is_set(&self) -> bool {
        self.0.get().is_some()
    }

    #[cfg(feature = "openssl")]
    pub(super) fn is_handshake(&self) -> bool {
        matches!(self.0.get(), Some(Next::Handshake { .. }))
    }

    pub(super) fn clear(&self) {
        self.0.set(None);
    }

    /// A head begins now. Returns whether it has a deadline.
    pub(super) fn expect_head(&self, settings: Settings) -> bool {
        self.0
            .set(within(settings.head_max, |until| Next::Head { until }));
        self.is_set()
    }

    /// A handshake begins now. Its end is looked for without a deadline, too.
    pub(super) fn expect_handshake(&self, settings: Settings) {
        let max = settings.head_max.unwrap_or(FOREVER);
        self.0
            .set(within(Some(max), |until| Next::Handshake { until }));
    }

    /// A period of a body begins now, with what has come. Returns whether it has a deadline.
    fn expect_body(&self, progress: Progress, settings: Settings) -> bool {
        let next = settings.body_rate.and_then(|rate| {
            let bytes = u64::try_from(rate.bytes).unwrap_or(u64::MAX);
            Some(Next::Body {
                until: Instant::now().checked_add(rate.per)?,
                bytes: progress.body_bytes.saturating_add(bytes),
            })
        });
        self.0.set(next);
        self.is_set()
    }

    /// Bytes have come. Returns whether something new has a deadline.
    pub(super) fn advance(&self, from: Progress, to: Progress, settings: Settings) -> bool {
        let same = from.heads == to.heads;
        match (to.part, self.0.get()) {
            (Part::Head, Some(Next::Head { .. })) | (Part::Body, Some(Next::Body { .. }))
                if same =>
            {
                false
            }
            (Part::Head, _) => self.expect_head(settings),
            (Part::Body, _) => self.expect_body(to, settings),
            (Part::None, _) => {
                self.clear();
                false
            }
        }
    }

    /// Gives what is due its whole time again, from now on.
    pub(super) fn restart(&self, progress: Progress, settings: Settings) -> bool {
        match self.0.get() {
            Some(Next::Head { .. }) => self.expect_head(settings),
            Some(Next::Body { .. }) => self.expect_body(progress, settings),
            Some(Next::Handshake { .. }) | None => false,
        }
    }

    /// Whether the connection is late at `now`; `None` if nothing is due. `reads` says whether
    /// the server takes what the peer sends.
    pub(super) fn is_late(
        &self,
        now: Instant,
        progress: Progress,
        settings: Settings,
        reads: bool,
    ) -> Option<bool> {
        match self.0.get()? {
            Next::Handshake { until } | Next::Head { until } => Some(now >= until && reads),
            Next::Body { until, .. } if now < until => Some(false),
            Next::Body { bytes, .. } if reads && progress.body_bytes < bytes => Some(true),
            Next::Body { .. } => {
                self.expect_body(progress, settings);
                Some(false)
            }
        }
    }
}

/// What has to come at most `max` from now on; `None` without a limit.
fn within(max: Option<Duration>, next: impl FnOnce(Instant) -> Next) -> Option<Next> {
    let until = max.and_then(|max| Instant::now().checked_add(max));
    until.map(next)
}

/// The timer that looks at the connections of one server, pending while something is due.
#[derive(Default)]
pub(super) struct Deadlines(RefCell<Option<Event>>);

impl Deadlines {
    /// Something is due: closes its connection when it is late.
    pub(super) fn watch(&self, server: &Rc<server::Inner>) {
        let timer = self.0.borrow().clone();
        let timer = timer.or_else(|| {
            let weak = Rc::downgrade(server);
            let check = move |_event: &Event| {
                if let Some(server) = weak.upgrade() {
                    close_late(&server);
                }
            };
            Event::timer_on("EventHttp", &server.base, check).ok()
        });
        if let Some(timer) = &timer
            && !timer.is_pending()
        {
            timer.add(Some(CHECK)).ok();
        }
        self.0.replace(timer);
    }
}

fn close_late(server: &Rc<server::Inner>) {
    let now = Instant::now();
    let mut due = false;
    for conn in server.all() {
        match conn.server().and_then(|end| end.is_late(now, server)) {
            Some(true) => {
                if let Some(end) = conn.server() {
                    end.fail_slow_body();
                }
                conn.close();
            }
            Some(false) => due = true,
            None => {}
        }
    }
    if due {
        server.deadlines.watch(server);
    }
}

#[cfg(all(test, feature = "openssl"))]
mod tests {
    use super::*;

    #[test]
    fn a_head_after_a_handshake_has_its_whole_time() {
        let settings = Settings {
            headers_max: None,
            body_max: None,
            silence_max: None,
            head_max: Some(FOREVER),
            body_rate: None,
        };
        let due = Due::default();
        due.expect_handshake(settings);
        let progress = |part| Progress {
            heads: 0,
            body_bytes: 0,
            part,
        };
        assert!(due.is_handshake());
        assert!(due.advance(progress(Part::None), progress(Part::Head), settings));
        assert!(!due.is_handshake());
        assert!(!due.advance(progress(Part::Head), progress(Part::Head), settings));
    }
}
