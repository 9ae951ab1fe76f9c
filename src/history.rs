//! The widths that were wanted lately: the job shrinks to the widest of them.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::units::Parallelism;

/// What was wanted over the last scale-down window, as a step function of time.
///
/// A gap in the readings longer than a reading may be stale empties it: nobody knows what was
/// wanted meanwhile, so a whole window must pass again before the job may shrink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    since: Option<Timestamp>,
    last: Option<Timestamp>,
    steps: Vec<(Timestamp, Parallelism)>,
}

impl History {
    /// Notes that `wanted` is wanted at `now`, and drops what lies before the window.
    pub fn note(&mut self, now: Timestamp, wanted: Parallelism, window: Duration, gap: Duration) {
        if self.last.is_some_and(|last| now < last || last + gap < now) {
            self.clear();
        }
        self.since.get_or_insert(now);
        self.last = Some(now);
        if self.steps.last().is_none_or(|(_, value)| *value != wanted) {
            self.steps.push((now, wanted));
        }
        let outside = self.steps.windows(2).take_while(|pair| pair[1].0 + window <= now).count();
        self.steps.drain(..outside);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Since when the present value stands.
    #[must_use]
    pub fn stands_since(&self) -> Option<Timestamp> {
        self.steps.last().map(|(at, _)| *at)
    }

    /// When the readings cover a whole window; `None` without any.
    #[must_use]
    pub fn whole_at(&self, window: Duration) -> Option<Timestamp> {
        self.since.map(|since| since + window)
    }

    /// The widest value within the window, and when it leaves it if nothing else is wanted.
    #[must_use]
    pub fn widest(&self, now: Timestamp, window: Duration) -> Option<(Parallelism, Timestamp)> {
        let ended = self.steps.windows(2).map(|pair| (pair[0].1, pair[1].0 + window)).filter(|(_, until)| now < *until);
        // What is wanted now always counts, without a window too.
        let present = self.steps.last().map(|(_, value)| (*value, now + window));
        ended.chain(present).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_mins(1);
    const GAP: Duration = Duration::from_secs(15);

    fn at(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(u64::try_from(second).unwrap_or(0))
    }

    fn noted(values: &[(i64, u32)]) -> History {
        let mut history = History::default();
        for (second, value) in values {
            history.note(at(*second), Parallelism(*value), WINDOW, GAP);
        }
        history
    }

    #[test]
    fn the_widest_value_stays_for_one_window_after_it_ended() {
        let mut history = noted(&[(0, 2), (10, 4), (20, 2)]);
        assert_eq!(history.widest(at(20), WINDOW), Some((Parallelism(4), at(80))));
        for second in 21..=79 {
            history.note(at(second), Parallelism(2), WINDOW, GAP);
        }
        assert_eq!(history.widest(at(79), WINDOW).map(|w| w.0), Some(Parallelism(4)));
        history.note(at(80), Parallelism(2), WINDOW, GAP);
        assert_eq!(history.widest(at(80), WINDOW).map(|w| w.0), Some(Parallelism(2)));
    }

    #[test]
    fn without_a_window_only_the_present_counts() {
        let mut history = History::default();
        history.note(at(0), Parallelism(4), Duration::ZERO, GAP);
        history.note(at(1), Parallelism(2), Duration::ZERO, GAP);
        assert_eq!(history.widest(at(1), Duration::ZERO), Some((Parallelism(2), at(1))));
    }

    #[test]
    fn a_gap_starts_the_window_again() {
        let mut history = noted(&[(0, 4), (10, 4)]);
        assert_eq!(history.whole_at(WINDOW), Some(at(60)));
        history.note(at(26), Parallelism(1), WINDOW, GAP);
        assert_eq!(history.whole_at(WINDOW), Some(at(86)));
    }

    #[test]
    fn a_clock_set_back_starts_the_window_again() {
        let mut history = noted(&[(100, 4), (110, 4)]);
        history.note(at(50), Parallelism(1), WINDOW, GAP);
        assert_eq!(history.whole_at(WINDOW), Some(at(110)));
    }
}
