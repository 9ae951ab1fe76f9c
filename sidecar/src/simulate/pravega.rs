//! Pravega's own automatic scaling: from the rate that is written to the number of segments.
//!
//! After Pravega 0.13. The segment store keeps four moving averages of each segment's rate
//! (`SegmentAggregates`) and looks at them every two minutes while something is written
//! (`SegmentStatsRecorderImpl`); `AutoScaleProcessor.report` asks the controller to split or merge, and
//! the controller's `AutoScaleTask` decides how. What is written is taken to be spread evenly over the
//! routing keys.

use super::trace::Trace;

const MINUTE: u64 = 60;
/// `SegmentAggregates.TICK_INTERVAL`.
const TICK: u64 = 5;
/// `SegmentStatsRecorderImpl.DEFAULT_REPORTING_DURATION`.
const REPORT: u64 = 2 * MINUTE;
/// `AutoScaleTask.REQUEST_VALIDITY_PERIOD`: how long a segment counts as cold.
const COLD: u64 = 10 * MINUTE;

/// A stream's scaling policy (`ScalingPolicy.byEventRate`, `byDataRate`), and the times that the
/// segment store can be configured with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// What a segment should bear, in the unit of the rates.
    pub target: f64,
    /// Into how many a segment is split at most; less than 2 counts as 2.
    pub factor: u32,
    /// Never fewer segments.
    pub min: u32,
    /// `AutoScalerConfig`, seconds: no request before a segment is so old.
    pub cooldown: u64,
    /// No second request for a segment within this.
    pub mute: u64,
    /// A segment with no report for so long is cold for good.
    pub expiry: u64,
    /// How often that is looked for.
    pub cleanup: u64,
}

impl Scaling {
    /// With the times that Pravega ships with (`AutoScalerConfig`: cooldown and mute 10 min, cache
    /// expiry 20 min, cache clean-up 5 min).
    #[must_use]
    pub fn new(target: f64, factor: u32, min: u32) -> Self {
        let minutes = |n| n * MINUTE;
        Self { target, factor, min, cooldown: minutes(10), mute: minutes(10), expiry: minutes(20), cleanup: minutes(5) }
    }
}

/// One open segment.
#[derive(Clone, Debug)]
struct Segment {
    /// Its share of the routing keys.
    share: f64,
    created: u64,
    /// Over 2, 5, 10 and 20 minutes.
    rates: [f64; 4],
    reported: u64,
    /// When a split and when a merge was asked for last. A new segment begins muted.
    asked: (Option<u64>, Option<u64>),
    cold_until: u64,
    /// It was found without reports, and its entry dropped.
    expired: bool,
}

impl Segment {
    fn new(share: f64, now: u64) -> Self {
        let asked = (Some(now), Some(now));
        Self { share, created: now, rates: [0.0; 4], reported: now, asked, cold_until: 0, expired: false }
    }

    /// `SegmentAggregates.decayingRate`: an exponential average that begins at its first value.
    fn tick(&mut self, rate: f64) {
        for (average, minutes) in self.rates.iter_mut().zip([2.0, 5.0, 10.0, 20.0]) {
            let alpha = 1.0 - (-(TICK as f64) / MINUTE as f64 / minutes).exp();
            *average = if *average == 0.0 { rate } else { *average + alpha * (rate - *average) };
        }
    }
}

/// The segments of one stream, in the order of their keys.
#[derive(Clone, Debug)]
pub struct AutoScaler {
    scaling: Scaling,
    segments: Vec<Segment>,
}

impl AutoScaler {
    /// A stream that is created at second 0 with the least number of segments.
    #[must_use]
    pub fn new(scaling: Scaling) -> Self {
        let share = 1.0 / f64::from(scaling.min.max(1));
        Self { scaling, segments: (0..scaling.min.max(1)).map(|_| Segment::new(share, 0)).collect() }
    }

    /// How many segments there are.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// One second in which so much is written.
    pub fn second(&mut self, now: u64, rate: f64) {
        if now.is_multiple_of(TICK) {
            for segment in &mut self.segments {
                segment.tick(rate * segment.share);
            }
        }
        if rate > 0.0 {
            let mut index = 0;
            while index < self.segments.len() {
                let segment = &mut self.segments[index];
                if now - segment.reported >= REPORT {
                    (segment.reported, segment.expired) = (now, false);
                    self.report(now, index);
                }
                index += 1;
            }
        }
        if now.is_multiple_of(self.scaling.cleanup) {
            self.expire(now);
        }
    }

    /// `AutoScaleProcessor.report`.
    fn report(&mut self, now: u64, index: usize) {
        let Scaling { target, cooldown, mute, .. } = self.scaling;
        let segment = &mut self.segments[index];
        let age = now - segment.created;
        if age < cooldown {
            return;
        }
        let [two, five, ten, twenty] = segment.rates;
        let muted = |asked: Option<u64>| asked.is_some_and(|at| now - at < mute);
        let hot = (two > 5.0 * target && age >= 2 * MINUTE)
            || (five > 2.0 * target && age >= 5 * MINUTE)
            || (ten > target && age >= 10 * MINUTE);
        if hot && !muted(segment.asked.0) {
            segment.asked = (Some(now), Some(now));
            let times = two.max(five).max(ten) / target;
            self.split(now, index, times);
            return;
        }
        let cold = two.max(five).max(ten) < target && twenty < target / 2.0 && age >= 20 * MINUTE;
        if cold && !muted(segment.asked.1) {
            segment.asked = (None, Some(now));
            segment.cold_until = now + COLD;
            self.merge(now, index);
        }
    }

    /// A segment that is not written to reports nothing and is dropped from a cache, which makes it
    /// cold without a time limit (`AutoScaleProcessor`, the `silent` scale-down).
    fn expire(&mut self, now: u64) {
        let mut index = 0;
        while index < self.segments.len() {
            let segment = &mut self.segments[index];
            if !segment.expired && now - segment.reported > self.scaling.expiry {
                (segment.expired, segment.cold_until) = (true, u64::MAX);
                self.merge(now, index);
            }
            index += 1;
        }
    }

    /// `AutoScaleTask.processScaleUp`: into equal parts, `times` but at least 2 and at most the factor.
    fn split(&mut self, now: u64, index: usize, times: f64) {
        let most = self.scaling.factor.max(2);
        let parts = (2..=most).rev().find(|parts| f64::from(*parts) <= times).unwrap_or(2);
        let share = self.segments[index].share / f64::from(parts);
        self.segments.splice(index..=index, (0..parts).map(|_| Segment::new(share, now)));
    }

    /// `AutoScaleTask.processScaleDown`: with those neighbours that are cold too, but to no fewer
    /// segments than the policy's minimum.
    fn merge(&mut self, now: u64, index: usize) {
        let dispensable = self.segments.len().saturating_sub(self.scaling.min.max(1) as usize);
        let cold = |index: usize| self.segments.get(index).is_some_and(|segment| now < segment.cold_until);
        let from = if index > 0 && cold(index - 1) { index - 1 } else { index };
        let to = if cold(index + 1) { index + 1 } else { index };
        // Of three only the first two are merged when the minimum allows no more.
        let to = to.min(from + dispensable);
        if to > from {
            let share = self.segments[from..=to].iter().map(|segment| segment.share).sum();
            self.segments.splice(from..=to, [Segment::new(share, now)]);
        }
    }
}

/// The segments over time that a trace of rates leads to.
#[must_use]
pub fn segments(rates: &Trace, scaling: Scaling) -> Vec<(u64, u32)> {
    let mut scaler = AutoScaler::new(scaling);
    let mut points: Vec<(u64, u32)> = Vec::new();
    let mut rates_left = rates.points.iter().peekable();
    let mut rate = 0.0;
    for second in 0..rates.length {
        while let Some((_, value)) = rates_left.next_if(|(at, _)| *at <= second) {
            rate = *value;
        }
        scaler.second(second, rate);
        let segments = u32::try_from(scaler.segments()).unwrap_or(u32::MAX);
        if points.last().is_none_or(|(_, last)| *last != segments) {
            points.push((second, segments));
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::trace::Kind;

    fn play(rates: &[(u64, f64)], length: u64, scaling: Scaling) -> Vec<(u64, u32)> {
        segments(&Trace { kind: Kind::Rate, points: rates.to_vec(), length }, scaling)
    }

    const DAY: u64 = 24 * 3600;

    #[test]
    fn each_rule_has_its_threshold_and_its_age() {
        // Target 100, factor 4: the load, and when which number of segments is there.
        for (rate, wanted) in [
            (99.0, vec![(0, 1)]),
            // 1.5 times the target: nothing until the segment is 10 minutes old.
            (150.0, vec![(0, 1), (600, 2)]),
            // 3 times: the 5-minute rule would speak sooner, but the cooldown is 10 minutes.
            (300.0, vec![(0, 1), (600, 3)]),
            // 4 times and more: no more than the factor at once.
            (400.0, vec![(0, 1), (600, 4)]),
            (399.0, vec![(0, 1), (600, 3), (1200, 6)]),
        ] {
            assert_eq!(play(&[(0, rate)], 1300, Scaling::new(100.0, 4, 1)), wanted, "{rate}");
        }
        // Without the cooldown: 6 times the target after 2 minutes, 3 times after 6 (a report at 5 would
        // do, but they come every 2 minutes), 1.5 times after 10.
        let eager = Scaling { cooldown: 0, mute: 0, ..Scaling::new(100.0, 2, 1) };
        for (rate, first) in [(600.0, 120), (300.0, 360), (150.0, 600)] {
            assert_eq!(play(&[(0, rate)], 601, eager)[1], (first, 2), "{rate}");
        }
    }

    #[test]
    fn cold_neighbours_are_merged_after_20_minutes_and_not_below_the_minimum() {
        let busy_then_quiet = [(0, 400.0), (3600, 40.0)];
        let merged = play(&busy_then_quiet, DAY, Scaling::new(100.0, 4, 1));
        assert_eq!(merged[..2], [(0, 1), (600, 4)]);
        assert_eq!(merged.last().unwrap().1, 1);
        let first_merge = merged[2].0;
        assert!(first_merge > 3600, "not while 20-minute rates are above half of the target: {merged:?}");
        let kept = play(&busy_then_quiet, DAY, Scaling::new(100.0, 4, 3));
        assert_eq!(kept.last().unwrap().1, 3, "{kept:?}");
    }

    #[test]
    fn a_stream_that_is_not_written_to_is_merged_in_silence() {
        let merged = play(&[(0, 400.0), (3600, 0.0)], DAY, Scaling::new(100.0, 4, 1));
        assert_eq!(merged.last().unwrap().1, 1);
        let first = merged[2].0 - 3600;
        assert!((1200..=1500 + 120).contains(&first), "20 min without a report, looked for every 5: {first}");
    }

    #[test]
    fn the_segments_follow_the_load_of_the_sample() {
        let day = segments(&Trace::sample(DAY), Scaling::new(800.0, 2, 1));
        let most = day.iter().map(|(_, segments)| *segments).max().unwrap();
        assert!((9..=20).contains(&most), "10,000 ev/s at 800 a segment are 12.5: {most}");
        assert!(day.iter().any(|(at, segments)| *at > 3600 && *segments <= 8), "and fewer in the trough: {day:?}");
    }

    /// Measured on Pravega 0.13 with cooldown and mute at 30 s, clean-up 30 s and expiry 180 s:
    /// 1,000 events/s into one segment of target 100 and factor 4 made 4 of it after 122 s; when the
    /// load stopped 180 s later, the first merge came 147 s after that.
    #[test]
    fn the_model_agrees_with_a_real_pravega() {
        let configured = Scaling { cooldown: 30, mute: 30, cleanup: 30, expiry: 180, ..Scaling::new(100.0, 4, 1) };
        let model = play(&[(0, 1000.0), (302, 0.0)], 600, configured);
        assert_eq!(model[0], (0, 1));
        assert_eq!(model[1].1, 4);
        assert!(model[1].0.abs_diff(122) <= 5, "{model:?}");
        assert!(model[2].1 < 4 && model[2].0.abs_diff(302 + 147) <= 30, "{model:?}");
    }
}
