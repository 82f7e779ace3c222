//! `EventException`.
