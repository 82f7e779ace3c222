//! What `#[php]` does to the items it stands on, as far as code can see it.

use php_event_macros::php;

struct Event;

impl Event {
    /// Has a PHP name, and uses it.
    #[php("Event::add", c = "event_add")]
    fn add(&self) -> &'static str {
        CALL
    }

    /// Uses the name inside a nested block, with a generic parameter and a return type.
    #[php("Event::set", c = ["event_assign", "event_set"], php_note = ", which replaces both")]
    fn set<F: Fn() -> u8>(&self, callback: F) -> Result<u8, &'static str> {
        if callback() > 1 { Err(CALL) } else { Ok(0) }
    }

    /// Has no PHP name; errors use another.
    #[php(c = "event_active", call = "Event::active")]
    fn active(&self) -> &'static str {
        CALL
    }

    /// Does not use its name: no constant is made, and no warning comes.
    ///
    /// # Examples
    /// ```text
    /// # hidden
    /// ```
    #[php("Event::del")]
    #[must_use]
    fn del(&self) -> u8 {
        7
    }
}

#[test]
fn call_is_the_php_name() {
    assert_eq!(Event.add(), "Event::add");
    assert_eq!(Event.set(|| 2), Err("Event::set"));
    assert_eq!(Event.set(|| 1), Ok(0));
}

#[test]
fn call_is_what_the_attribute_says_where_php_has_no_name() {
    assert_eq!(Event.active(), "Event::active");
}

#[test]
fn an_item_that_does_not_use_its_name_stays_as_it_is() {
    assert_eq!(Event.del(), 7);
}
