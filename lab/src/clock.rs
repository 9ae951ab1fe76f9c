//! The lab's clock: waiting for something to become true, with a limit, and how long something took.

use std::time::{Duration, Instant};

/// How long to rest between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// The one place where the lab looks at the clock.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// Blocks until `done` or until `limit` is over; says which.
pub fn wait_blocking(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = now() + limit;
    while !done() {
        if now() >= end {
            return false;
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    true
}

/// A limit that has begun to run.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    limit: Duration,
    end: Instant,
}

impl Deadline {
    /// Begins now.
    pub fn after(limit: Duration) -> Self {
        Self { limit, end: now() + limit }
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        now() >= self.end
    }

    /// What remains of it.
    pub fn remaining(&self) -> Duration {
        self.end.saturating_duration_since(now())
    }

    /// The whole limit, for messages.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Rests a little before the next look.
    pub async fn rest(&self) {
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}
