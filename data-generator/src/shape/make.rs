//! The shapes that follow from a few numbers.

use super::{Curve, Rate, Shape, ShapeError};
use humantime::format_duration;
use std::fmt::Write as _;
use std::time::Duration;

/// Steps that the label of a shape lists; more are counted.
const STEPS_SHOWN: usize = 6;

/// A load that is steady but for one burst.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spike {
    /// The rate before and after.
    pub base: Rate,
    /// The rate at its height.
    pub peak: Rate,
    /// When it begins to rise.
    pub at: Duration,
    /// How long it rises; zero is a wall.
    pub rise: Duration,
    /// How long it stays at its height.
    pub hold: Duration,
    /// How long it falls; zero is a wall.
    pub fall: Duration,
}

impl Shape {
    /// The same rate without end.
    #[must_use]
    pub fn constant(rate: Rate) -> Self {
        Self::from_curves(format!("constant {rate}"), [(Curve::Constant { rate }, f64::INFINITY)])
    }

    /// A wave without end: `median + amplitude * cos(phase + 2 pi t / period)`.
    pub fn sinusoid(median: Rate, amplitude: Rate, period: Duration, phase: f64) -> Result<Self, ShapeError> {
        if period.is_zero() {
            return Err(ShapeError::NoTime("period"));
        }
        if amplitude > median {
            return Err(ShapeError::BelowZero { amplitude, median });
        }
        if !phase.is_finite() {
            return Err(ShapeError::Phase(phase));
        }
        let label = format!("sinusoid {median} +- {amplitude}, period {}, phase {phase}", format_duration(period));
        let curve = Curve::Sinusoid { median, amplitude, period: period.as_secs_f64(), phase };
        Ok(Self::from_curves(label, [(curve, f64::INFINITY)]))
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
        if let Some(index) = steps.iter().position(|(_, duration)| duration.is_zero()) {
            return Err(ShapeError::ZeroStep(index + 1));
        }
        let mut label = "step".to_owned();
        for (index, (rate, duration)) in steps.iter().take(STEPS_SHOWN).enumerate() {
            let comma = if index > 0 { "," } else { "" };
            // Writing to a string cannot fail.
            let _ = write!(label, "{comma} {rate} for {}", format_duration(*duration));
        }
        if let Some(more @ 1..) = steps.len().checked_sub(STEPS_SHOWN) {
            let _ = write!(label, " and {more} more");
        }
        let curves = steps.iter().map(|(rate, duration)| (Curve::Constant { rate: *rate }, duration.as_secs_f64()));
        Ok(Self::from_curves(label, curves))
    }

    /// A straight line from one rate to another; the shape ends with it.
    pub fn ramp(from: Rate, to: Rate, over: Duration) -> Result<Self, ShapeError> {
        if over.is_zero() {
            return Err(ShapeError::NoTime("over"));
        }
        let label = format!("ramp from {from} to {to} over {}", format_duration(over));
        let length = over.as_secs_f64();
        Ok(Self::from_curves(label, [(Curve::Ramp { from, to, length }, length)]))
    }

    /// One burst in a steady load, which goes on without end after it.
    #[must_use]
    pub fn spike(spike: &Spike) -> Self {
        let Spike { base, peak, at, rise, hold, fall } = *spike;
        let label = format!(
            "spike from {base} to {peak} after {}: rise {}, hold {}, fall {}",
            format_duration(at),
            format_duration(rise),
            format_duration(hold),
            format_duration(fall),
        );
        let [at, rise, hold, fall] = [at, rise, hold, fall].map(|time| time.as_secs_f64());
        let curves = [
            (Curve::Constant { rate: base }, at),
            (Curve::Ramp { from: base, to: peak, length: rise }, rise),
            (Curve::Constant { rate: peak }, hold),
            (Curve::Ramp { from: peak, to: base, length: fall }, fall),
            (Curve::Constant { rate: base }, f64::INFINITY),
        ];
        Self::from_curves(label, curves.into_iter().filter(|(_, length)| *length > 0.0))
    }
}
