//! Whether the details of a job are of now.
//!
//! Flink caches them for `web.refresh-interval`, but not the overview of all jobs, and that says
//! when a subtask last changed its state. When that time moves while the details stay the same, a
//! restart may have happened that they do not show yet: for as long as the cache can be old, they
//! are not believed.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// What tells one run of a job from the next in its details.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    pub since: Option<Timestamp>,
    /// Running subtasks of each vertex.
    pub running: Vec<i64>,
}

/// What the last look at a job showed.
#[derive(Clone, Debug, Default)]
pub(super) struct Freshness {
    last: Option<(i64, Run)>,
    /// When the last change was noticed, and the run that the details showed before it.
    doubt: Option<(Instant, Run)>,
}

impl Freshness {
    /// Takes note of a look and answers whether its details can be believed.
    pub(super) fn confirms(&mut self, change: i64, run: &Run, cached_for: Duration, now: Instant) -> bool {
        if let Some((change_before, run_before)) = self.last.replace((change, run.clone()))
            && change_before != change
        {
            self.doubt = Some((now, run_before));
        }
        if self.doubt.as_ref().is_some_and(|(since, before)| before != run || now >= *since + cached_for) {
            self.doubt = None;
        }
        self.doubt.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CACHED_FOR: Duration = Duration::from_secs(3);

    fn run(second: i64, running: i64) -> Run {
        Run { since: Timestamp::from_second(second).ok(), running: vec![running] }
    }

    #[test]
    fn a_change_that_the_details_do_not_show_is_waited_for() {
        let begin = Instant::now();
        let mut freshness = Freshness::default();
        for (seconds, last_change, run, fresh) in [
            (0, 10, run(1, 2), true),
            (1, 10, run(1, 2), true),
            // The job restarted as wide as before; the details are from before.
            (2, 20, run(1, 2), false),
            (3, 20, run(1, 2), false),
            (4, 20, run(19, 2), true),
            (5, 20, run(19, 2), true),
            // Something changed that details never show: believed once the cache cannot be older.
            (6, 30, run(19, 2), false),
            (8, 30, run(19, 2), false),
            (9, 30, run(19, 2), true),
            // Both change at once.
            (10, 40, run(39, 1), true),
        ] {
            let now = begin + Duration::from_secs(seconds);
            let confirmed = freshness.confirms(last_change, &run, CACHED_FOR, now);
            assert_eq!(confirmed, fresh, "after {seconds} s");
        }
    }
}
