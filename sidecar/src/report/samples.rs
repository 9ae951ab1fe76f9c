//! The last hours as numbers for the plot: one sample every two seconds for the last minutes and one every
//! fifteen for the last hours, in memory of a fixed size.

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sluice_core::Job;

use crate::report::status::Status;

/// Seconds between two samples, and how many are kept: a quarter of an hour, and six hours.
const TRACKS: [(u32, usize); 2] = [(2, 450), (15, 1440)];

/// An older reading is what an earlier look found.
const OF_THIS_LOOK: Duration = Duration::from_secs(5);

/// So many seconds may lie between two looks.
const LOOKS_APART: i64 = 15;

/// One moment. What was not known is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Records that the job read in a second.
    pub rate: Option<u32>,
    /// Open segments of all streams together.
    pub segments: Option<u32>,
    /// The parallelism that the segments ask for, before any bound.
    pub unbounded: Option<u32>,
    /// TaskManagers wanted, within all bounds.
    pub wanted: Option<u32>,
    /// TaskManagers registered at Flink.
    pub task_managers: Option<u32>,
    /// The job's parallelism.
    pub parallelism: Option<u32>,
}

impl Sample {
    /// What a look found.
    #[must_use]
    pub fn of(status: &Status) -> Self {
        let seen = &status.observation;
        let flink = seen.flink.as_ref().filter(|flink| flink.age(status.at) < OF_THIS_LOOK).map(|flink| &flink.value);
        let job = flink.and_then(|flink| flink.job());
        let shapes = seen.streams.iter().map(|stream| stream.shape.as_ref());
        let fresh = shapes.map(|shape| shape.filter(|shape| shape.age(status.at) < OF_THIS_LOOK));
        let segments = fresh.map(|shape| Some(shape?.value.segments.0)).sum::<Option<u32>>();
        let wanted = status.wanted.filter(|_| segments.is_some());
        Self {
            rate: job.and_then(|job: &Job| job.records_per_second).map(|rate| u32::try_from(rate).unwrap_or(u32::MAX)),
            segments: segments.filter(|_| !seen.streams.is_empty()),
            unbounded: wanted.map(|wanted| wanted.unbounded.0),
            wanted: wanted.map(|wanted| wanted.width.task_managers.0),
            task_managers: flink.map(|flink| flink.registered().0),
            parallelism: job.map(|job| job.parallelism.0),
        }
    }
}

/// Samples at regular intervals, as columns: a moment without any is a gap of `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// Seconds between two samples.
    every: u32,
    /// When the first was taken, in seconds since 1970.
    from: i64,
    rate: VecDeque<Option<u32>>,
    segments: VecDeque<Option<u32>>,
    unbounded: VecDeque<Option<u32>>,
    wanted: VecDeque<Option<u32>>,
    task_managers: VecDeque<Option<u32>>,
    parallelism: VecDeque<Option<u32>>,
}

impl Track {
    fn len(&self) -> usize {
        self.segments.len()
    }

    fn at(&self, i: usize) -> Sample {
        let of = |column: &VecDeque<Option<u32>>| column.get(i).copied().flatten();
        Sample {
            rate: of(&self.rate),
            segments: of(&self.segments),
            unbounded: of(&self.unbounded),
            wanted: of(&self.wanted),
            task_managers: of(&self.task_managers),
            parallelism: of(&self.parallelism),
        }
    }

    fn columns(&mut self) -> [&mut VecDeque<Option<u32>>; 6] {
        [
            &mut self.rate,
            &mut self.segments,
            &mut self.unbounded,
            &mut self.wanted,
            &mut self.task_managers,
            &mut self.parallelism,
        ]
    }

    fn push(&mut self, sample: Sample, limit: usize) {
        let Sample { rate, segments, unbounded, wanted, task_managers, parallelism } = sample;
        if self.len() >= limit {
            self.from += i64::from(self.every);
        }
        for (column, value) in
            self.columns().into_iter().zip([rate, segments, unbounded, wanted, task_managers, parallelism])
        {
            if column.len() >= limit {
                column.pop_front();
            }
            column.push_back(value);
        }
    }

    /// The last sample of an interval stands for it.
    fn note(&mut self, second: i64, sample: Sample, limit: usize) {
        let every = i64::from(self.every.max(1));
        let slot = second - second.rem_euclid(every);
        let len = i64::try_from(self.len()).unwrap_or(i64::MAX);
        let ahead = (slot - self.from) / every - len;
        // A clock that was set back, or nothing noted for as long as anything is kept: begin again.
        if len == 0 || ahead < -1 || ahead > i64::try_from(limit).unwrap_or(i64::MAX) {
            self.columns().into_iter().for_each(VecDeque::clear);
            self.from = slot;
            return self.push(sample, limit);
        }
        if ahead == -1 {
            for column in self.columns() {
                column.pop_back();
            }
        }
        // Looks may lie further apart than samples; but where nothing was noted for long, nothing is known.
        let still = ahead * every <= LOOKS_APART;
        for _ in 0..ahead {
            let filler = if still { self.at(self.len() - 1) } else { Sample::default() };
            self.push(filler, limit);
        }
        self.push(sample, limit);
    }

    /// Whether it is one that this agent could have written.
    fn is_sound(&mut self, (every, limit): (u32, usize)) -> bool {
        let len = self.len();
        self.every == every && len <= limit && self.columns().iter().all(|column| column.len() == len)
    }
}

/// The last minutes and the last hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Samples(Vec<Track>);

impl Default for Samples {
    fn default() -> Self {
        Self(TRACKS.map(|(every, _)| Track { every, ..Track::default() }).into())
    }
}

impl Samples {
    /// Notes what a look found.
    pub fn note(&mut self, at: Timestamp, sample: Sample) {
        for (track, (_, limit)) in self.0.iter_mut().zip(TRACKS) {
            track.note(at.as_second(), sample, limit);
        }
    }

    /// What an earlier agent left, if it can be gone on with.
    #[must_use]
    pub fn sound(mut self) -> Option<Self> {
        let sound = self.0.len() == TRACKS.len();
        let sound = sound && self.0.iter_mut().zip(TRACKS).all(|(track, shape)| track.is_sound(shape));
        sound.then_some(self)
    }

    /// The moments at which anything but the rate became another, newest first: the plot as a table.
    #[must_use]
    pub fn turns(&self, most: usize) -> Vec<(Timestamp, Sample)> {
        let Some(track) = self.0.last() else { return Vec::new() };
        let at = |i: usize| track.at(i);
        let still = |sample: Sample| Sample { rate: None, ..sample };
        let turns = (0..track.len()).rev().filter(|i| *i == 0 || still(at(*i)) != still(at(*i - 1)));
        let moment = |i: usize| {
            let seconds = track.from + i64::from(track.every) * i64::try_from(i).unwrap_or(0);
            Some((Timestamp::from_second(seconds).ok()?, at(i)))
        };
        turns.filter_map(moment).take(most).collect()
    }

    /// How far back they go at most.
    #[must_use]
    pub fn span() -> Duration {
        TRACKS
            .iter()
            .map(|(every, limit)| Duration::from_secs(u64::from(*every) * *limit as u64))
            .max()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn wide(n: u32) -> Sample {
        Sample { segments: Some(n), ..Sample::default() }
    }

    #[test]
    fn the_last_of_an_interval_stands_and_what_was_not_noted_for_long_is_a_gap() {
        let mut samples = Samples::default();
        for (second, n) in [(100, 1), (101, 2), (102, 3), (106, 4), (124, 5)] {
            samples.note(at(second), wide(n));
        }
        let fine = &samples.0[0];
        assert_eq!((fine.from, fine.every), (100, 2));
        assert_eq!(fine.segments, [[Some(2), Some(3), Some(3), Some(4)].as_slice(), &[None; 8], &[Some(5)]].concat());
        assert_eq!(samples.0[1].segments, [Some(3), Some(4), Some(5)], "90 to 104, to 119, to 134");
    }

    #[test]
    fn memory_is_bounded_and_a_clock_set_back_begins_again() {
        let mut samples = Samples::default();
        for second in 0..30_000 {
            samples.note(at(second), wide(1));
        }
        assert_eq!(samples.0.iter().map(Track::len).collect::<Vec<_>>(), [450, 1440]);
        assert_eq!(samples.0[0].from, 30_000 - 900);
        assert!(samples.clone().sound().is_some());
        samples.note(at(10), wide(1));
        assert_eq!(samples.0.iter().map(Track::len).collect::<Vec<_>>(), [1, 1]);
        samples.note(at(1_000_000), wide(1));
        assert_eq!(samples.0.iter().map(Track::len).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn the_table_has_a_row_for_each_turn() {
        let mut samples = Samples::default();
        for second in 0..60 {
            samples
                .note(at(second), Sample { rate: u32::try_from(second).ok(), ..wide(if second < 30 { 1 } else { 2 }) });
        }
        let rows: Vec<_> =
            samples.turns(10).into_iter().map(|(at, sample)| (at.as_second(), sample.segments)).collect();
        assert_eq!(rows, [(30, Some(2)), (0, Some(1))]);
    }

    #[test]
    fn what_contradicts_itself_is_not_gone_on_with() {
        let mut samples = Samples::default();
        samples.note(at(0), wide(1));
        let mut crooked = samples.clone();
        crooked.0[0].rate.push_back(None);
        assert!(crooked.sound().is_none());
        assert!(Samples(Vec::new()).sound().is_none());
    }
}
