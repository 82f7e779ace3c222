//! PHP objects that need no variable as long as the loop of their base may call them.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use php_event::EventBase;

use crate::bridge::HeldValue;
use crate::classes::event_base::can_run;

/// What keeps an object, and belongs to a base.
pub(crate) trait Keeper: 'static {
    fn base(&self) -> &EventBase;
}

/// None before the object is kept, and after that.
pub(crate) type Kept<T> = RefCell<Option<T>>;

/// A count of an object.
pub(crate) struct Count {
    pub(crate) _object: HeldValue,
    pub(crate) base: EventBase,
}

impl Keeper for Count {
    fn base(&self) -> &EventBase {
        &self.base
    }
}

/// A [`Kept`] of any type.
trait AnyKept {
    fn is_empty(&self) -> bool;
    fn let_go(&self);
    fn waits_in_vain(&self) -> bool;
}

impl<T: Keeper> AnyKept for Kept<T> {
    fn is_empty(&self) -> bool {
        self.borrow().is_none()
    }

    fn let_go(&self) {
        drop(self.take()); // nothing is borrowed: a destructor may run
    }

    fn waits_in_vain(&self) -> bool {
        let kept = self.borrow();
        kept.as_ref().is_some_and(|kept| !can_run(kept.base()))
    }
}

thread_local! {
    /// What keeps objects, and some that do so no longer.
    static ALL: RefCell<Vec<Weak<dyn AnyKept>>> = const { RefCell::new(Vec::new()) };
}

/// Notes that an object is kept.
pub(crate) fn note<T: Keeper>(kept: &Rc<Kept<T>>) {
    let weak: Weak<dyn AnyKept> = Rc::downgrade(kept) as Weak<dyn AnyKept>;
    ALL.with_borrow_mut(|all| {
        if all.len() == all.capacity() {
            all.retain(|one| one.upgrade().is_some_and(|one| !one.is_empty()));
            all.reserve(all.len().max(16)); // so that few calls look at all of them
        }
        all.push(weak);
    });
}

/// Lets go of the objects whose base was freed, or can be run by nobody: no loop calls them any more.
pub(crate) fn let_go_in_vain() {
    let all = ALL.with_borrow(|all| all.iter().filter_map(Weak::upgrade).collect::<Vec<_>>());
    for one in all.iter().filter(|one| one.waits_in_vain()) {
        one.let_go();
    }
}
