//! The life of a request on the serving side.

use crate::error::Result;
use crate::http::request;

/// What a request of a server has beside what every request has.
pub(crate) struct Exchange {}

impl Exchange {
    /// Refuses a change of the reply's head when it has gone out.
    pub(super) fn head_open(&self, _call: &'static str) -> Result<()> {
        Ok(())
    }

    /// The last handle went.
    pub(super) fn abandoned(&self, _request: &request::Inner) {}
}
