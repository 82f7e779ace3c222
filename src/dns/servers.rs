//! The name servers of a DNS base, and which one a query asks next.
//!
//! Owns: their addresses, and how they have answered. Lends to C: nothing. Runs no user code.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::option::Settings;

/// The longest time for which a server is passed over.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

struct Server {
    address: SocketAddr,
    unanswered: u8,               // queries in a row
    failures: u32,                // times in a row that it was passed over
    passed_over: Option<Instant>, // until then, others are asked first
}

/// Name servers in the order in which they were added; they stay.
#[derive(Default)]
pub(super) struct Servers(Vec<Server>);

impl Servers {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn has(&self, address: SocketAddr) -> bool {
        self.0.iter().any(|server| server.address == address)
    }

    pub(super) fn add(&mut self, address: SocketAddr) {
        self.0.push(Server {
            address,
            unanswered: 0,
            failures: 0,
            passed_over: None,
        });
    }

    pub(super) fn address(&self, server: usize) -> SocketAddr {
        self.0[server].address
    }

    /// The server that a query asks next: the one that it has asked the fewest times, then one
    /// that answers, then the first of the list.
    pub(super) fn next(&self, asked: &Asked, now: Instant) -> Option<usize> {
        let order = |server: &usize| {
            let late = self.0[*server].passed_over;
            (
                asked.times(*server),
                late.is_some_and(|until| until > now),
                *server,
            )
        };
        let open = (0..self.0.len()).filter(|server| !asked.is_excluded(*server));
        open.min_by_key(order)
    }

    /// Notes that a server answered, whatever it said.
    pub(super) fn note_answer(&mut self, server: usize) {
        let server = &mut self.0[server];
        (server.unanswered, server.failures) = (0, 0);
        server.passed_over = None;
    }

    /// Notes that a query was not answered in time.
    pub(super) fn note_silence(&mut self, server: usize, settings: &Settings, now: Instant) {
        let one = &mut self.0[server];
        one.unanswered = one.unanswered.saturating_add(1);
        if one.unanswered >= settings.max_timeouts {
            self.note_absence(server, settings, now);
        }
    }

    /// Notes that nothing listens at the server's address, or no way leads there.
    pub(super) fn note_absence(&mut self, server: usize, settings: &Settings, now: Instant) {
        let server = &mut self.0[server];
        let factor = 3_u32.saturating_pow(server.failures);
        let pause = settings.probe.saturating_mul(factor).min(PAUSE_MAX);
        server.unanswered = 0;
        server.failures = server.failures.saturating_add(1);
        server.passed_over = now.checked_add(pause);
    }
}

/// How often one query has asked which server.
#[derive(Default)]
pub(super) struct Asked(Vec<u32>);

/// A count for a server that is not to be asked again.
const EXCLUDED: u32 = u32::MAX;

impl Asked {
    fn times(&self, server: usize) -> u32 {
        self.0.get(server).copied().unwrap_or(0)
    }

    fn is_excluded(&self, server: usize) -> bool {
        self.times(server) == EXCLUDED
    }

    fn at(&mut self, server: usize) -> &mut u32 {
        if self.0.len() <= server {
            self.0.resize(server + 1, 0);
        }
        &mut self.0[server]
    }

    pub(super) fn note(&mut self, server: usize) {
        *self.at(server) += 1;
    }

    /// Notes that the server has refused or cannot help: its answer would be the same.
    pub(super) fn exclude(&mut self, server: usize) {
        *self.at(server) = EXCLUDED;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(count: u16) -> Servers {
        let mut servers = Servers::default();
        for port in 1..=count {
            servers.add(([192, 0, 2, 1], port).into());
        }
        servers
    }

    #[test]
    fn each_retry_goes_to_another_server_until_all_were_asked() {
        let (servers, mut asked, now) = (servers(3), Asked::default(), Instant::now());
        let mut order = Vec::new();
        for _ in 0..7 {
            let next = servers.next(&asked, now).unwrap();
            order.push(next);
            asked.note(next);
        }
        assert_eq!(order, [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn a_server_that_is_excluded_is_not_asked_again() {
        let (servers, mut asked, now) = (servers(2), Asked::default(), Instant::now());
        asked.exclude(0);
        assert_eq!(servers.next(&asked, now), Some(1));
        asked.exclude(1);
        assert_eq!(servers.next(&asked, now), None);
    }

    #[test]
    fn a_silent_server_is_passed_over_longer_each_time() {
        let (mut servers, settings) = (servers(2), Settings::default());
        let mut now = Instant::now();
        for pause in [10, 30, 90, 270, 810, 2430, 3600, 3600] {
            for _ in 0..settings.max_timeouts {
                assert_eq!(servers.next(&Asked::default(), now), Some(0));
                servers.note_silence(0, &settings, now);
            }
            let last = now + Duration::from_secs(pause) - Duration::from_millis(1);
            assert_eq!(servers.next(&Asked::default(), last), Some(1));
            now += Duration::from_secs(pause);
        }
        servers.note_answer(0);
        servers.note_absence(0, &settings, now); // one failure is enough
        assert_eq!(servers.next(&Asked::default(), now), Some(1));
        let back = now + Duration::from_secs(10);
        assert_eq!(servers.next(&Asked::default(), back), Some(0));
    }

    #[test]
    fn a_retry_goes_to_another_server_though_the_first_is_passed_over_meanwhile() {
        let (mut servers, settings) = (servers(2), Settings::default());
        let (mut asked, now) = (Asked::default(), Instant::now());
        asked.note(0);
        servers.note_absence(0, &settings, now);
        assert_eq!(servers.next(&asked, now), Some(1));
        asked.note(1);
        assert_eq!(servers.next(&asked, now), Some(1)); // the first is still passed over
        asked.note(1);
        assert_eq!(servers.next(&asked, now), Some(0)); // but asked, too, in the end
    }
}
