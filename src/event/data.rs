//! The value attached to an event, and JSON in PHP's shape.
//!
//! Owns, lends to C: nothing. Runs user code: the value's `Serialize` and its destructor,
//! when nothing is borrowed.

use std::any::Any;
use std::cell::Cell;
use std::rc::Rc;

use serde::ser::{Error as _, Serialize, SerializeStruct, Serializer};

use super::Event;

/// A value that [`Event::data`] returns and JSON shows.
pub(super) trait Data: erased_serde::Serialize {
    fn into_any(self: Rc<Self>) -> Rc<dyn Any>;
}

impl<T: Serialize + 'static> Data for T {
    fn into_any(self: Rc<Self>) -> Rc<dyn Any> {
        self
    }
}

impl Event {
    /// Attaches a value to the event, replacing the previous one. A freed event drops it.
    ///
    /// PHP: the property `Event::$data`, and the argument `$arg`.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// let base = EventBase::new()?;
    /// let event = Event::timer(&base, |event| println!("{:?}", event.data::<String>()))?;
    /// event.set_data("once".to_owned());
    /// assert_eq!(event.data::<String>().as_deref().map(String::as_str), Some("once"));
    /// assert_eq!(serde_json::to_string(&event)?, r#"{"pending":false,"data":"once"}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "Event::$data")]
    pub fn set_data<T: Serialize + 'static>(&self, data: T) {
        let data: Option<Box<Rc<dyn Data>>> = Some(Box::new(Rc::new(data)));
        let freed = self.0.native().is_none();
        let unused = if freed {
            data
        } else {
            self.0.data.replace(data)
        };
        drop(unused); // nothing is borrowed: its destructor may run user code
    }

    /// The value attached to the event, if it is of type `T`.
    ///
    /// PHP: the property `Event::$data`, and the argument `$arg`.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// # let base = EventBase::new()?;
    /// let timer = Event::timer(&base, |event| println!("{:?}", event.data::<String>()))?;
    /// timer.set_data(String::from("tick"));
    /// assert_eq!(timer.data::<String>().as_deref().map(String::as_str), Some("tick"));
    /// assert_eq!(timer.data::<i32>(), None);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "Event::$data")]
    #[must_use]
    pub fn data<T: 'static>(&self) -> Option<Rc<T>> {
        let data = Rc::clone(self.0.data.borrow().as_deref()?);
        data.into_any().downcast().ok()
    }
}

impl Serialize for Event {
    /// `{"pending":true,"data":null}`, as PHP's `json_encode` gives; both are null once freed.
    /// The serializer decides how numbers and text are written.
    /// Data that contains the event itself is an error.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.serializing.replace(true) {
            return Err(S::Error::custom(
                "the data of an Event contains the event itself",
            ));
        }
        let _whole = Whole(&self.0.serializing);
        let freed = self.0.native().is_none();
        let data = self.0.data.borrow().as_deref().cloned();
        let mut object = serializer.serialize_struct("Event", 2)?;
        object.serialize_field("pending", &(!freed).then(|| self.is_pending()))?;
        match data {
            Some(data) => object.serialize_field("data", &*data as &dyn erased_serde::Serialize)?,
            None => object.serialize_field("data", &())?,
        }
        object.end()
    }
}

/// Ends a serialization, by a panic too.
struct Whole<'a>(&'a Cell<bool>);

impl Drop for Whole<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}
