//! The shape of a load over time: pure, no clock.
//!
//! A shape is a chain of pieces, each a [`Curve`] that runs for some length. It answers three
//! questions: the rate at a moment, the events due until a moment, and the moment at which the k-th
//! event is due. `pace` turns the last one into each writer's schedule. Every shape is put together
//! from three curves with closed forms: `make` has the simple ones, `walk` the random one, `trace`
//! those that were recorded; here they are chained, cut and compressed.

mod curve;
mod make;
mod rate;
mod trace;
mod walk;

pub use curve::Curve;
pub use make::Spike;
pub use rate::{Rate, RateError};
pub use trace::{Between, Trace, TraceError};
pub use walk::Walk;

use std::fmt::{self, Write as _};
use std::time::Duration;
use thiserror::Error;

/// A load over time. Built by one of the constructors; never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// One line for logs and the summary.
    label: String,
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
    /// Events due until the piece ends; infinite for a piece without an end, also at rate zero
    /// (nothing comes after it).
    events_until_end: f64,
}

/// Why numbers do not make a shape. The text begins with the name of the flag, or of the key in a
/// shape file, that carries the number.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ShapeError {
    /// Something that takes time takes none.
    #[error("{0} is zero; it needs a length of time above zero, for example 30s")]
    NoTime(&'static str),
    /// The wave would dip below zero.
    #[error("amplitude {amplitude} is above median {median}: the rate would fall below zero")]
    BelowZero {
        /// The swing asked for.
        amplitude: Rate,
        /// The median asked for.
        median: Rate,
    },
    /// The start of the wave is no number.
    #[error("phase {0} is not a finite number of radians")]
    Phase(f64),
    /// No steps at all.
    #[error("steps is empty; give at least one rate:duration, for example 100/s:30s")]
    NoSteps,
    /// A step that takes no time.
    #[error("steps: step {0} lasts no time; give it a duration above zero")]
    ZeroStep(usize),
    /// A walk without room.
    #[error("start {start} is not between low {low} and high {high}")]
    OutsideWalk {
        /// Where the walk should begin.
        start: Rate,
        /// The least rate.
        low: Rate,
        /// The largest rate.
        high: Rate,
    },
    /// More pieces than anybody can want.
    #[error("every {every:?} over {over:?} are {pieces:.0} changes; at most {MOST_PIECES} are kept in memory")]
    TooManyPieces {
        /// Time between two changes.
        every: Duration,
        /// The whole.
        over: Duration,
        /// How many that makes.
        pieces: f64,
    },
    /// A factor that is none.
    #[error("time-compression {0} is not a finite number above zero, for example 60 for an hour in a minute")]
    Compression(f64),
    /// Something would come after a piece that never ends.
    #[error("piece {0} has no end, and something comes after it; give it a length, for example length = \"5m\"")]
    NeverEnds(usize),
    /// A piece that is to last longer than it does.
    #[error("length {length:?} is more than the {has:?} that this shape lasts")]
    TooLong {
        /// What was asked for.
        length: Duration,
        /// What there is.
        has: Duration,
    },
    /// A chain of nothing.
    #[error("no piece at all; give at least one [[piece]]")]
    NoPieces,
}

/// A walk of a day with a change each second fits ten times.
const MOST_PIECES: usize = 1_000_000;

/// Counts are sums of products of floating-point numbers; an event that falls this close to the end
/// of a piece belongs to the next one.
const COUNT_TOLERANCE: f64 = 1e-6;

impl Shape {
    /// Puts curves one after the other, each for so many seconds.
    fn from_curves(label: String, curves: impl IntoIterator<Item = (Curve, f64)>) -> Self {
        let mut pieces: Vec<Piece> = Vec::new();
        for (curve, length) in curves {
            let (starts, events_before) = pieces.last().map_or((0.0, 0.0), |last| (last.ends, last.events_until_end));
            let events = if length.is_finite() { curve.count(length) } else { f64::INFINITY };
            pieces.push(Piece {
                curve,
                starts,
                ends: starts + length,
                events_before,
                events_until_end: events_before + events,
            });
        }
        Self { label, pieces }
    }

    /// The curves and how long each runs, in seconds.
    fn curves(&self) -> impl Iterator<Item = (Curve, f64)> {
        self.pieces.iter().map(|piece| (piece.curve, piece.ends - piece.starts))
    }

    /// Shapes one after the other, the whole so many times. Only the last may be without an end.
    pub fn chain(name: &str, shapes: &[Self], times: u32) -> Result<Self, ShapeError> {
        let last = shapes.len().checked_sub(1).ok_or(ShapeError::NoPieces)?;
        for (index, shape) in shapes.iter().enumerate() {
            if shape.length().is_none() && (index < last || times > 1) {
                return Err(ShapeError::NeverEnds(index + 1));
            }
        }
        let labels: Vec<&str> = shapes.iter().map(|shape| shape.label.as_str()).collect();
        let mut label = format!("{name}: {}", labels.join("; then "));
        if times > 1 {
            // Writing to a string cannot fail.
            let _ = write!(label, "; all of it {times} times");
        }
        let round = || shapes.iter().flat_map(Self::curves);
        Ok(Self::from_curves(label, (0..times.max(1)).flat_map(|_| round())))
    }

    /// The same, ended after this time.
    pub fn cut(self, length: Duration) -> Result<Self, ShapeError> {
        if length.is_zero() {
            return Err(ShapeError::NoTime("length"));
        }
        match self.length() {
            Some(has) if length > has => return Err(ShapeError::TooLong { length, has }),
            _ => {}
        }
        let end = length.as_secs_f64();
        let curves = self.pieces.iter().filter(|piece| piece.starts < end);
        let curves: Vec<_> = curves.map(|piece| (piece.curve, piece.ends.min(end) - piece.starts)).collect();
        let label = format!("{} for {}", self.label, humantime::format_duration(length));
        Ok(Self::from_curves(label, curves))
    }

    /// The same rates in a time that is shorter by this factor: a day in 24 minutes with 60. There are
    /// so many times fewer events, and what depends on the rate alone sees the same load.
    pub fn compressed(self, factor: f64) -> Result<Self, ShapeError> {
        if !(factor.is_finite() && factor > 0.0) {
            return Err(ShapeError::Compression(factor));
        }
        if factor.to_bits() == 1.0_f64.to_bits() {
            return Ok(self);
        }
        let label = format!("{}, time compressed {factor} times", self.label);
        let curves: Vec<_> = self.curves().map(|(curve, length)| (curve.compressed(factor), length / factor)).collect();
        Ok(Self::from_curves(label, curves))
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
            (None, Some(last)) => last.events_until_end,
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
        let piece = self.pieces.partition_point(|piece| piece.events_until_end - COUNT_TOLERANCE <= count);
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

/// One line for logs and the summary.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

#[cfg(test)]
mod tests;
