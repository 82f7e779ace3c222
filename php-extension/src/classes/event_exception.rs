//! `EventException`.

