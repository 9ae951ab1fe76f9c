//! A load that wanders: reproducible, since the same seed gives the same walk on every machine.

use super::{Curve, MOST_PIECES, Rate, Shape, ShapeError};
use crate::dice::Dice;
use humantime::format_duration;
use std::time::Duration;

/// A random walk between two rates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Walk {
    /// The first rate.
    pub start: Rate,
    /// It never goes below.
    pub low: Rate,
    /// Nor above.
    pub high: Rate,
    /// How far the rate may move at once, up or down.
    pub stride: Rate,
    /// How long each rate is held.
    pub every: Duration,
    /// Which walk.
    pub seed: u64,
    /// How long the whole lasts.
    pub over: Duration,
}

impl Shape {
    /// Holds a rate, moves it by up to a stride, holds that; what would leave the bounds is thrown
    /// back from them. The shape ends with the walk.
    pub fn random_walk(walk: &Walk) -> Result<Self, ShapeError> {
        let Walk { start, low, high, stride, every, seed, over } = *walk;
        if every.is_zero() {
            return Err(ShapeError::NoTime("every"));
        }
        if over.is_zero() {
            return Err(ShapeError::NoTime("over"));
        }
        if !(low <= start && start <= high) {
            return Err(ShapeError::OutsideWalk { start, low, high });
        }
        let pieces = (over.as_secs_f64() / every.as_secs_f64()).ceil();
        if pieces > MOST_PIECES as f64 {
            return Err(ShapeError::TooManyPieces { every, over, pieces });
        }
        let label = format!(
            "random-walk from {start} between {low} and {high}, up to {stride} every {}, seed {seed}, over {}",
            format_duration(every),
            format_duration(over),
        );
        let mut dice = Dice::new(seed);
        let (low, high) = (low.events_per_second(), high.events_per_second());
        let mut rate = start.events_per_second();
        let mut curves = Vec::new();
        let mut left = over;
        while !left.is_zero() {
            let length = left.min(every);
            // Between the bounds, which are rates.
            curves.push((Curve::Constant { rate: Rate::per_second(rate).unwrap_or(start) }, length.as_secs_f64()));
            left -= length;
            let to = rate + stride.events_per_second() * (2.0 * dice.unit() - 1.0);
            let back = if to < low { 2.0 * low - to } else { 2.0 * high - to };
            // A stride longer than the room between the bounds ends at one of them.
            rate = if to < low || to > high { back.clamp(low, high) } else { to };
        }
        Ok(Self::from_curves(label, curves))
    }
}
