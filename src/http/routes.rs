//! Which closure gets a request: the one of its path, or else the default one.
//!
//! Owns: the closures. Lends C nothing. Runs user code: what a closure that goes had captured is
//! dropped, with nothing borrowed.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use super::{EventHttpRequest, path};
use crate::error::{Error, Result, c_text};
use crate::runtime::Slot;

pub(super) type Callback = dyn FnMut(&EventHttpRequest);

/// A closure for requests, which may be replaced while it runs.
pub(crate) struct Route {
    pub(crate) slot: Slot<Callback>,
    when: When,
}

/// When a closure gets its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Complete,
    /// At the head, with a limit for the body.
    Head {
        body_max: u64,
    },
}

/// The closures of a server.
#[derive(Default)]
pub(super) struct Routes {
    paths: RefCell<HashMap<Box<[u8]>, Rc<Route>>>,
    rest: RefCell<Option<Rc<Route>>>,
    streaming: Cell<bool>, // some path had a closure that gets requests at their heads
}

impl Route {
    /// A closure that gets complete requests.
    pub(super) fn new(callback: Box<Callback>) -> Self {
        Self {
            slot: Slot::new(callback),
            when: When::Complete,
        }
    }

    /// A closure that gets requests at their heads. The limit is one for the body.
    pub(super) fn streaming(callback: Box<Callback>, body_max: Option<u64>) -> Self {
        let body_max = body_max.unwrap_or(u64::MAX);
        Self {
            slot: Slot::new(callback),
            when: When::Head { body_max },
        }
    }

    /// The limit for bodies, if the closure gets requests at their heads.
    pub(super) fn streams(&self) -> Option<u64> {
        match self.when {
            When::Complete => None,
            When::Head { body_max } => Some(body_max),
        }
    }
}

impl Routes {
    /// Sets the closure of a path that has none.
    pub(super) fn add(&self, call: &'static str, path: &str, route: Route) -> Result<()> {
        c_text(call, "path", path)?;
        let mut paths = self.paths.borrow_mut();
        if paths.contains_key(path.as_bytes()) {
            drop(paths); // `route` is dropped after this, and may be at work on the routes
            return Err(Error::State {
                call,
                reason: "the path has a callback already, and takes one",
            });
        }
        if route.streams().is_some() {
            self.streaming.set(true);
        }
        paths.insert(path.as_bytes().into(), Rc::new(route));
        Ok(())
    }

    /// Removes the closure of a path; returns whether there was one.
    pub(super) fn remove(&self, path: &str) -> bool {
        let former = self.paths.borrow_mut().remove(path.as_bytes());
        former.is_some() // dropped when no borrow is held: captured values may run user code
    }

    /// Sets the closure for the requests that no path's closure takes.
    pub(super) fn set_rest(&self, route: Route) {
        let former = self.rest.replace(Some(Rc::new(route)));
        drop(former);
    }

    /// The closure for a path, whose escapes are not decoded.
    pub(super) fn find(&self, path: &[u8]) -> Option<Rc<Route>> {
        let route = self.paths.borrow().get(&*path::decoded(path)).cloned();
        route.or_else(|| self.rest.borrow().clone())
    }

    /// The limit for the body of a request with this target, if its closure gets it at the head.
    pub(super) fn streams(&self, target: &str) -> Option<u64> {
        self.streaming.get().then_some(())?;
        let path = path::decoded(path::of_target(target).as_bytes());
        self.paths.borrow().get(&*path)?.streams()
    }

    /// Takes all closures, for the caller to drop.
    pub(super) fn take(&self) -> impl Iterator<Item = Rc<Route>> + use<> {
        let paths = self.paths.take().into_values();
        paths.chain(self.rest.take())
    }
}
