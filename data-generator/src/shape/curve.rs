//! One piece of a load: a curve with closed forms for its rate and its cumulative count.

use super::rate::Rate;
use std::f64::consts::{PI, TAU};

/// How the rate runs over time within one piece. Times are seconds from the start of the piece.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Curve {
    /// The same rate throughout.
    Constant {
        /// The rate.
        rate: Rate,
    },
    /// A straight line from one rate to another.
    Ramp {
        /// The rate at the start.
        from: Rate,
        /// The rate at the end.
        to: Rate,
        /// How long it takes, seconds; above zero.
        length: f64,
    },
    /// `median + amplitude * cos(phase + 2 pi t / period)`. The amplitude is at most the median, so
    /// the rate never falls below zero.
    Sinusoid {
        /// The rate around which the wave swings.
        median: Rate,
        /// How far it swings to either side.
        amplitude: Rate,
        /// Length of one wave, seconds.
        period: f64,
        /// Where in the wave it starts, radians: 0 at the crest, pi in the trough.
        phase: f64,
    },
}

impl Curve {
    /// Events per second at `t`.
    pub(super) fn rate(&self, t: f64) -> f64 {
        match *self {
            Self::Constant { rate } => rate.events_per_second(),
            Self::Ramp { from, to, length } => {
                let (from, to) = (from.events_per_second(), to.events_per_second());
                from + (to - from) * (t / length)
            }
            Self::Sinusoid { median, amplitude, period, phase } => {
                let swing = (phase + TAU * t / period).cos();
                // Rounding may leave the trough a hair below zero.
                (median.events_per_second() + amplitude.events_per_second() * swing).max(0.0)
            }
        }
    }

    /// Events from the start of the piece to `t`: the integral of the rate.
    pub(super) fn count(&self, t: f64) -> f64 {
        match *self {
            Self::Constant { rate } => rate.events_per_second() * t,
            Self::Ramp { from, to, length } => {
                let (from, to) = (from.events_per_second(), to.events_per_second());
                t * (from + (to - from) * (t / length) / 2.0)
            }
            Self::Sinusoid { median, amplitude, period, phase } => {
                let swing = (phase + TAU * t / period).sin() - phase.sin();
                median.events_per_second() * t + amplitude.events_per_second() * swing * period / TAU
            }
        }
    }

    /// When the count reaches `count`; `None` when it never does.
    pub(super) fn time_of(&self, count: f64) -> Option<f64> {
        match *self {
            Self::Constant { rate } => {
                let rate = rate.events_per_second();
                (rate > 0.0).then(|| count / rate)
            }
            Self::Ramp { from, to, length } => {
                let (from, to) = (from.events_per_second(), to.events_per_second());
                let slope = (to - from) / length;
                // The root of the quadratic in the form that does not cancel. Rounding may leave the
                // discriminant a hair below zero at the end of a ramp down to zero.
                let divisor = from + (from * from + 2.0 * slope * count).max(0.0).sqrt();
                if divisor > 0.0 { Some((2.0 * count / divisor).min(length)) } else { (to > 0.0).then_some(0.0) }
            }
            Self::Sinusoid { median, amplitude, period, .. } => {
                let median = median.events_per_second();
                if median <= 0.0 {
                    return None;
                }
                // The wave strays from the straight line `median * t` by at most this many events,
                // which brackets the answer.
                let stray = amplitude.events_per_second() * period / PI;
                let low = ((count - stray) / median).max(0.0);
                let high = (count + stray) / median;
                Some(self.solve(count, low, high))
            }
        }
    }

    /// The same rates in a time that is shorter by this factor.
    pub(super) fn compressed(self, factor: f64) -> Self {
        match self {
            Self::Constant { .. } => self,
            Self::Ramp { from, to, length } => Self::Ramp { from, to, length: length / factor },
            Self::Sinusoid { median, amplitude, period, phase } => {
                Self::Sinusoid { median, amplitude, period: period / factor, phase }
            }
        }
    }

    /// Newton's method on `count`, falling back to halving whenever a step would leave the bracket
    /// (the rate may be zero in the trough). The count rises steadily, so there is one answer.
    fn solve(&self, count: f64, mut low: f64, mut high: f64) -> f64 {
        let mut t = low.midpoint(high);
        for _ in 0..100 {
            let over = self.count(t) - count;
            if over > 0.0 {
                high = t;
            } else {
                low = t;
            }
            let step = over / self.rate(t);
            let newton = t - step;
            let next = if newton > low && newton < high { newton } else { low.midpoint(high) };
            // A tenth of a microsecond is finer than any clock that paces by it.
            if (next - t).abs() < 1e-7 {
                return next;
            }
            t = next;
        }
        t
    }
}
