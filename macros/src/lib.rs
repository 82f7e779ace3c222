//! `#[php]`: the names that a method of `php-event` has in PHP and in libevent, written once.
//!
//! Part of `php-event`; of no use without it.

mod arguments;
mod item;

use proc_macro::TokenStream;

/// Documents an item's PHP and libevent names, and names the call in errors.
///
/// `#[php("Event::add", c = "event_add")]` adds to the item
/// - the line "PHP: `Event::add`. libevent: `event_add`." in front of the first heading of its
///   docs, or at their end,
/// - both names as search aliases of rustdoc,
/// - `const CALL: &str = "Event::add";` as the first line of the body, where the body uses
///   `CALL`.
///
/// All parts but one may be left out:
/// - the PHP name; without it the docs say that PHP has no counterpart,
/// - `php_note`, which follows the PHP name: `php_note = ", in seconds since 1970"`,
/// - `c`, one name or several: `c = ["evhttp_set_bevcb", "evhttp_new"]`,
/// - `c_note`, which follows the last C name,
/// - `call`, the name in errors where PHP has none, or another.
///
/// # Examples
/// ```
/// # use php_event_macros::php;
/// /// Makes the event pending.
/// #[php("Event::add", c = "event_add")]
/// fn add() -> Result<(), &'static str> {
///     Err(CALL)
/// }
/// assert_eq!(add(), Err("Event::add"));
/// ```
/// A key that it does not know is an error:
/// ```compile_fail
/// # use php_event_macros::php;
/// #[php("Event::add", libevent = "event_add")]
/// fn add() {}
/// ```
/// So are no names at all:
/// ```compile_fail
/// # use php_event_macros::php;
/// #[php()]
/// fn add() {}
/// ```
#[proc_macro_attribute]
pub fn php(arguments: TokenStream, item: TokenStream) -> TokenStream {
    arguments::parse(arguments)
        .map(|arguments| item::expand(&arguments, item))
        .unwrap_or_else(|error| error.into_compile_error())
}
