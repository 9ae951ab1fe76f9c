//! The only place where the agent reads a clock.

use std::time::Instant;

use jiff::Timestamp;

/// The wall clock: what readings, changes and logs are stamped with.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one reader of the wall clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The monotonic clock: how long a call took.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one reader of the monotonic clock")]
pub fn instant() -> Instant {
    Instant::now()
}
