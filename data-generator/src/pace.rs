//! Who sends which event when: turns a shape into one schedule per writer. Pure.
//!
//! The shape's events are dealt to the writers in turn: event k of the shape is event `k / writers`
//! of writer `k % writers`. Each writer so numbers its events from 0 without gaps, all writers carry
//! the same load at every moment, and the intended time of an event depends on nothing that happens
//! while the run goes on. That is what makes the load open-loop.

use crate::shape::Shape;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What is to be sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Load {
    /// As many events as the shape wants, when it wants them.
    Shape(Shape),
    /// As many as go through: each event is due when there is room for it.
    Max,
}

impl Load {
    /// How long it lasts; `None` when it has no end.
    #[must_use]
    pub fn length(&self) -> Option<Duration> {
        match self {
            Self::Shape(shape) => shape.length(),
            Self::Max => None,
        }
    }

    /// Events per second wanted at `t`; `None` for as many as possible.
    #[must_use]
    pub fn rate(&self, t: Duration) -> Option<f64> {
        match self {
            Self::Shape(shape) => Some(shape.rate(t)),
            Self::Max => None,
        }
    }

    /// When an event is due; at once for as many as possible.
    fn time_of(&self, index: u64) -> Option<Duration> {
        match self {
            Self::Shape(shape) => shape.time_of(index),
            Self::Max => Some(Duration::ZERO),
        }
    }
}

/// One line for logs and the summary.
impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape(shape) => shape.fmt(f),
            Self::Max => f.write_str("as fast as it goes"),
        }
    }
}

/// Where a run ends, whatever its shape would still hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// No event that is due at this time after the start or later.
    pub duration: Option<Duration>,
    /// No more than this many events over all writers.
    pub events: Option<u64>,
}

impl Limits {
    /// When the load ends at the latest; `None` when that is not known.
    #[must_use]
    pub fn end(&self, load: &Load) -> Option<Duration> {
        let last = match load {
            Load::Shape(shape) => self.events.and_then(|events| shape.time_of(events)),
            Load::Max => None,
        };
        [self.duration, load.length(), last].into_iter().flatten().min()
    }

    /// How many events are due before `t`; `None` for as many as possible.
    #[must_use]
    pub fn due_before(&self, load: &Load, t: Duration) -> Option<u64> {
        let Load::Shape(shape) = load else { return None };
        let t = self.duration.map_or(t, |duration| duration.min(t));
        let due = shape.whole_count(t);
        Some(self.events.map_or(due, |events| events.min(due)))
    }
}

/// One event to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The writer's own number for it.
    pub sequence: u64,
    /// Intended time after the start of the run.
    pub at: Duration,
}

/// The events of one writer, in order. An iterator that can be looked into.
#[derive(Clone, Debug)]
pub struct Schedule {
    load: Arc<Load>,
    limits: Limits,
    writer: u64,
    writers: u64,
    next: Option<Due>,
}

impl Schedule {
    /// The share of writer number `writer` (from 0) among `writers`.
    #[must_use]
    pub fn new(load: Arc<Load>, limits: Limits, writer: u32, writers: u32) -> Self {
        let mut schedule = Self { load, limits, writer: u64::from(writer), writers: u64::from(writers), next: None };
        schedule.next = schedule.due(0);
        schedule
    }

    /// The next event without taking it; `None` when the run is over for this writer.
    #[must_use]
    pub fn peek(&self) -> Option<Due> {
        self.next
    }

    /// Ends the schedule: what was not taken yet will not be sent.
    pub fn stop(&mut self) {
        self.next = None;
    }

    fn due(&self, sequence: u64) -> Option<Due> {
        let index = sequence.checked_mul(self.writers)?.checked_add(self.writer)?;
        if self.limits.events.is_some_and(|events| index >= events) {
            return None;
        }
        let at = self.load.time_of(index)?;
        if self.limits.duration.is_some_and(|duration| at >= duration) {
            return None;
        }
        Some(Due { sequence, at })
    }
}

impl Iterator for Schedule {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        let due = self.next?;
        self.next = due.sequence.checked_add(1).and_then(|next| self.due(next));
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Rate;
    use proptest::prelude::*;

    fn rate(per_second: f64) -> Rate {
        Rate::per_second(per_second).expect("a rate")
    }

    fn schedules(shape: Shape, limits: Limits, writers: u32) -> Vec<Vec<Due>> {
        let load = Arc::new(Load::Shape(shape));
        (0..writers).map(|writer| Schedule::new(Arc::clone(&load), limits, writer, writers).collect()).collect()
    }

    #[test]
    fn the_events_are_dealt_in_turn() {
        let limits = Limits { events: Some(5), ..Limits::default() };
        let dealt = schedules(Shape::constant(rate(10.0)), limits, 2);
        let at = |tenths: u64| Duration::from_millis(100 * tenths);
        let due = |sequence, tenths| Due { sequence, at: at(tenths) };
        assert_eq!(dealt[0], [due(0, 0), due(1, 2), due(2, 4)]);
        assert_eq!(dealt[1], [due(0, 1), due(1, 3)]);
    }

    #[test]
    fn a_duration_ends_a_shape_without_end() {
        let limits = Limits { duration: Some(Duration::from_secs(2)), ..Limits::default() };
        let dealt = schedules(Shape::constant(rate(50.0)), limits, 3);
        assert_eq!(dealt.iter().map(Vec::len).sum::<usize>(), 100);
    }

    #[test]
    fn what_is_due_is_what_is_scheduled() {
        let shape = Shape::constant(rate(50.0));
        let limits = Limits { duration: Some(Duration::from_secs(2)), events: Some(70) };
        let load = Load::Shape(shape.clone());
        assert_eq!(limits.end(&load), Some(Duration::from_millis(1_400)));
        assert_eq!(limits.due_before(&load, Duration::from_secs(1)), Some(50));
        assert_eq!(limits.due_before(&load, Duration::from_secs(9)), Some(70));
        assert_eq!(schedules(shape, limits, 1)[0].len(), 70);
    }

    #[test]
    fn as_many_as_possible_are_due_at_once_and_end_with_their_number() {
        let limits = Limits { events: Some(5), ..Limits::default() };
        let load = Arc::new(Load::Max);
        let dealt: Vec<Due> = Schedule::new(Arc::clone(&load), limits, 1, 2).collect();
        assert_eq!(dealt.iter().map(|due| due.sequence).collect::<Vec<_>>(), [0, 1]);
        assert!(dealt.iter().all(|due| due.at.is_zero()));
        assert_eq!(limits.due_before(&load, Duration::from_secs(9)), None);
        assert_eq!(limits.end(&load), None);
    }

    #[test]
    fn a_stopped_schedule_is_over() {
        let mut schedule = Schedule::new(Arc::new(Load::Shape(Shape::constant(rate(1.0)))), Limits::default(), 0, 1);
        assert_eq!(schedule.next().map(|due| due.sequence), Some(0));
        schedule.stop();
        assert_eq!(schedule.next(), None);
    }

    /// Runs a schedule as a writer would, on a clock that is moved by hand: sends everything due,
    /// then sleeps to the next event, with a stall in the middle. Returns the send time of each.
    fn simulate(schedule: Schedule, stall: std::ops::Range<Duration>) -> Vec<(Due, Duration)> {
        let mut now = Duration::ZERO;
        let mut sent = Vec::new();
        for due in schedule {
            now = now.max(due.at);
            if stall.contains(&now) {
                now = stall.end;
            }
            sent.push((due, now));
        }
        sent
    }

    #[test]
    fn a_stall_moves_the_sending_but_not_the_intended_times() {
        let limits = Limits { duration: Some(Duration::from_secs(10)), ..Limits::default() };
        let load = Arc::new(Load::Shape(Shape::constant(rate(100.0))));
        let schedule = Schedule::new(load, limits, 0, 1);
        let stall = Duration::from_secs(3)..Duration::from_secs(5);
        let sent = simulate(schedule, stall);
        assert_eq!(sent.len(), 1_000);
        let worst = sent.iter().map(|(due, at)| at.saturating_sub(due.at)).max();
        assert_eq!(worst, Some(Duration::from_secs(2)));
        // Caught up at once after the stall, and on time from then on.
        let late = sent.iter().filter(|(due, at)| at > &due.at).count();
        assert_eq!(late, 200);
    }

    proptest! {
        #[test]
        fn every_event_of_the_shape_is_dealt_exactly_once(
            writers in 1_u32..7,
            per_second in 1.0..500.0_f64,
            ms in 1_u64..5_000,
        ) {
            let shape = Shape::steps(&[(rate(per_second), Duration::from_millis(ms))]).expect("steps");
            let alone = schedules(shape.clone(), Limits::default(), 1).remove(0);
            let dealt = schedules(shape, Limits::default(), writers);
            for events in &dealt {
                let sequences: Vec<u64> = events.iter().map(|due| due.sequence).collect();
                prop_assert_eq!(sequences, (0..events.len() as u64).collect::<Vec<_>>());
            }
            let mut times: Vec<Duration> = dealt.iter().flatten().map(|due| due.at).collect();
            times.sort();
            prop_assert_eq!(times, alone.iter().map(|due| due.at).collect::<Vec<_>>());
        }
    }
}
