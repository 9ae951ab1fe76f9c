//! The only place that reads a clock; everything else takes the time as an argument.

use tokio::time::Instant;

/// The steady clock, for pacing and for measuring.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the one place that may ask")]
pub fn now() -> Instant {
    Instant::now()
}

/// The wall clock, for what people and other programs read.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the one place that may ask")]
pub fn wall() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
