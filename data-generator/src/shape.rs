//! The shape of a load over time: pure, no clock.
//!
//! A shape is a chain of pieces, each a [`Curve`] that runs for some length. It answers three
//! questions: the rate at a moment, the events due until a moment, and the moment at which the k-th
//! event is due. `pace` turns the last one into each writer's schedule. New shapes (ramp, spike, a
//! recorded trace) are further ways to chain pieces, or a further curve with its closed forms.

mod curve;
mod rate;

pub use curve::Curve;
pub use rate::{Rate, RateError};

use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// A load over time. Built by one of the constructors; never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    name: &'static str,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq)]
struct Piece {
    curve: Curve,
    /// Seconds from the start of the shape.
    starts: f64,
    /// Infinite for a piece without an end; only the last one may be.
    ends: f64,
    /// Events due before the piece starts.
    events_before: f64,
}

/// Why numbers do not make a shape. The text names the flag that carries the number.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ShapeError {
    /// A wave needs a length.
    #[error("--period is zero; a wave needs a length above zero, for example 10m")]
    ZeroPeriod,
    /// The wave would dip below zero.
    #[error("--amplitude {amplitude} is above --median {median}: the rate would fall below zero")]
    BelowZero {
        /// The swing asked for.
        amplitude: Rate,
        /// The median asked for.
        median: Rate,
    },
    /// The start of the wave is no number.
    #[error("--phase {0} is not a finite number of radians")]
    Phase(f64),
    /// No steps at all.
    #[error("--steps is empty; give at least one rate:duration, for example 100/s:30s")]
    NoSteps,
    /// A step that takes no time.
    #[error("--steps: step {0} lasts no time; give it a duration above zero")]
    ZeroStep(usize),
}

/// Counts are sums of products of floating-point numbers; an event that falls this close to the end
/// of a piece belongs to the next one.
const COUNT_TOLERANCE: f64 = 1e-6;

impl Shape {
    /// The same rate without end.
    #[must_use]
    pub fn constant(rate: Rate) -> Self {
        Self {
            name: "constant",
            pieces: vec![Piece {
                curve: Curve::Constant { rate },
                starts: 0.0,
                ends: f64::INFINITY,
                events_before: 0.0,
            }],
        }
    }

    /// A wave without end: `median + amplitude * cos(phase + 2 pi t / period)`.
    pub fn sinusoid(median: Rate, amplitude: Rate, period: Duration, phase: f64) -> Result<Self, ShapeError> {
        if period.is_zero() {
            return Err(ShapeError::ZeroPeriod);
        }
        if amplitude > median {
            return Err(ShapeError::BelowZero { amplitude, median });
        }
        if !phase.is_finite() {
            return Err(ShapeError::Phase(phase));
        }
        Ok(Self {
            name: "sinusoid",
            pieces: vec![Piece {
                curve: Curve::Sinusoid { median, amplitude, period: period.as_secs_f64(), phase },
                starts: 0.0,
                ends: f64::INFINITY,
                events_before: 0.0,
            }],
        })
    }

    /// Constant rates one after the other, each for its duration; the shape ends with the last.
    ///
    /// ```
    /// use data_generator::shape::{Rate, Shape};
    /// use std::time::Duration;
    ///
    /// let rate = |per_second| Rate::per_second(per_second).unwrap();
    /// let second = Duration::from_secs(1);
    /// let shape = Shape::steps(&[(rate(2.0), second), (rate(4.0), second)]).unwrap();
    /// assert_eq!(shape.time_of(0), Some(Duration::ZERO));
    /// assert_eq!(shape.time_of(3), Some(Duration::from_millis(1250)));
    /// assert_eq!(shape.time_of(6), None);
    /// ```
    pub fn steps(steps: &[(Rate, Duration)]) -> Result<Self, ShapeError> {
        if steps.is_empty() {
            return Err(ShapeError::NoSteps);
        }
        let mut pieces: Vec<Piece> = Vec::with_capacity(steps.len());
        for (index, (rate, duration)) in steps.iter().enumerate() {
            if duration.is_zero() {
                return Err(ShapeError::ZeroStep(index + 1));
            }
            let (starts, events_before) = pieces.last().map_or((0.0, 0.0), |last| (last.ends, last.events_until_end()));
            pieces.push(Piece {
                curve: Curve::Constant { rate: *rate },
                starts,
                ends: starts + duration.as_secs_f64(),
                events_before,
            });
        }
        Ok(Self { name: "step", pieces })
    }

    /// Events per second at `t` after the start; zero once the shape is over.
    #[must_use]
    pub fn rate(&self, t: Duration) -> f64 {
        let t = t.as_secs_f64();
        let piece = self.pieces.partition_point(|piece| piece.ends <= t);
        self.pieces.get(piece).map_or(0.0, |piece| piece.curve.rate(t - piece.starts))
    }

    /// Events due from the start until `t`: the integral of the rate.
    #[must_use]
    pub fn count(&self, t: Duration) -> f64 {
        let t = t.as_secs_f64();
        let piece = self.pieces.partition_point(|piece| piece.ends <= t);
        match (self.pieces.get(piece), self.pieces.last()) {
            (Some(piece), _) => piece.events_before + piece.curve.count(t - piece.starts),
            (None, Some(last)) => last.events_until_end(),
            (None, None) => 0.0,
        }
    }

    /// How many events are due before `t`, as a whole number: those with `time_of` below `t`.
    #[must_use]
    pub fn whole_count(&self, t: Duration) -> u64 {
        let count = (self.count(t) - COUNT_TOLERANCE).ceil().max(0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number, not negative")]
        let whole = count as u64;
        whole
    }

    /// When event number `index` (from 0) is due after the start: the moment after which the count
    /// exceeds the index. In a pause of rate zero it is therefore the end of the pause. `None` when
    /// the shape is over before.
    #[must_use]
    pub fn time_of(&self, index: u64) -> Option<Duration> {
        let count = index as f64;
        let piece = self.pieces.partition_point(|piece| piece.events_until_end() - COUNT_TOLERANCE <= count);
        let piece = self.pieces.get(piece)?;
        let within = piece.curve.time_of((count - piece.events_before).max(0.0))?;
        Some(Duration::from_secs_f64(piece.starts + within))
    }

    /// How long the shape lasts; `None` when it has no end.
    #[must_use]
    pub fn length(&self) -> Option<Duration> {
        let ends = self.pieces.last()?.ends;
        ends.is_finite().then(|| Duration::from_secs_f64(ends))
    }
}

impl Piece {
    /// Events due until the piece ends; infinite for a piece without an end, also at rate zero
    /// (nothing comes after it).
    fn events_until_end(&self) -> f64 {
        if self.ends.is_finite() {
            self.events_before + self.curve.count(self.ends - self.starts)
        } else {
            f64::INFINITY
        }
    }
}

/// One line for logs and the summary.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        for piece in &self.pieces {
            match piece.curve {
                Curve::Constant { rate } => write!(f, " {rate}")?,
                Curve::Sinusoid { median, amplitude, period, phase } => {
                    write!(f, " {median} +- {amplitude}, period {period:.1} s, phase {phase}")?;
                }
            }
            if piece.ends.is_finite() {
                write!(f, " for {} s", piece.ends - piece.starts)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
