//! Flags that describe the load over time.

use super::UsageError;
use super::parse;
use crate::shape::{Rate, Shape};
use clap::{Args, ValueEnum};
use std::time::Duration;

/// The load over time.
#[derive(Args, Debug)]
#[command(next_help_heading = "Shape of the load (rates as 100/s, 6000/min or 50000/10s)")]
pub struct ShapeArgs {
    /// Which shape. Left out, it follows from the flags: step with --steps, constant with --rate,
    /// sinusoid otherwise.
    #[arg(long, env = "DATA_GENERATOR_SHAPE", value_name = "SHAPE")]
    pub shape: Option<ShapeKind>,

    /// constant: the rate.
    #[arg(long, env = "DATA_GENERATOR_RATE", value_name = "RATE", allow_hyphen_values = true)]
    pub rate: Option<Rate>,

    /// step: rates and how long each is held; the run ends after the last.
    /// For example 100/s:30s,1000/s:2m,100/s:60s
    #[arg(
        long,
        env = "DATA_GENERATOR_STEPS",
        value_name = "RATE:DURATION,...",
        value_delimiter = ',',
        value_parser = parse::step,
        allow_hyphen_values = true
    )]
    pub steps: Vec<(Rate, Duration)>,

    /// sinusoid: the rate around which the wave swings.
    #[arg(
        long,
        env = "DATA_GENERATOR_MEDIAN",
        default_value = "50000/10s",
        value_name = "RATE",
        allow_hyphen_values = true
    )]
    pub median: Rate,

    /// sinusoid: how far it swings to either side; the median unless given, which makes troughs of
    /// zero.
    #[arg(long, env = "DATA_GENERATOR_AMPLITUDE", value_name = "RATE", allow_hyphen_values = true)]
    pub amplitude: Option<Rate>,

    /// sinusoid: length of one wave. The default is an angle of 0.04 more every 30 s, as in Pravega's
    /// autoscaling sample.
    #[arg(
        long,
        env = "DATA_GENERATOR_PERIOD",
        default_value = "78m 32s 389ms",
        value_name = "DURATION",
        value_parser = parse::duration
    )]
    pub period: Duration,

    /// sinusoid: where in the wave to start, in radians: 0 at the crest, 3.14 in the trough. The
    /// default is the sample's, just after the trough.
    #[arg(
        long,
        env = "DATA_GENERATOR_PHASE",
        default_value_t = -3.0,
        value_name = "RADIANS",
        allow_hyphen_values = true
    )]
    pub phase: f64,
}

/// The shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ShapeKind {
    /// The same --rate throughout.
    Constant,
    /// A wave of --period around --median.
    Sinusoid,
    /// The rates of --steps, one after the other.
    Step,
}

impl TryFrom<&ShapeArgs> for Shape {
    type Error = UsageError;

    fn try_from(args: &ShapeArgs) -> Result<Self, UsageError> {
        let usage = |text: &str| Err(UsageError(text.to_owned()));
        let kind = match (args.shape, args.rate.is_some(), args.steps.is_empty()) {
            (_, true, false) => return usage("--rate and --steps are of two shapes; give one"),
            (Some(ShapeKind::Constant), false, _) => {
                return usage("--shape constant needs --rate, for example --rate 100/s");
            }
            (Some(ShapeKind::Step), _, true) => {
                return usage("--shape step needs --steps, for example --steps 100/s:30s,1000/s:2m");
            }
            (Some(_), true, _) if args.shape != Some(ShapeKind::Constant) => {
                return usage("--rate belongs to --shape constant");
            }
            (Some(_), _, false) if args.shape != Some(ShapeKind::Step) => {
                return usage("--steps belongs to --shape step");
            }
            (Some(kind), ..) => kind,
            (None, true, _) => ShapeKind::Constant,
            (None, _, false) => ShapeKind::Step,
            (None, false, true) => ShapeKind::Sinusoid,
        };
        let shape = match (kind, args.rate) {
            (ShapeKind::Constant, Some(rate)) => Ok(Self::constant(rate)),
            (ShapeKind::Step, _) => Self::steps(&args.steps),
            _ => {
                let amplitude = args.amplitude.unwrap_or(args.median);
                Self::sinusoid(args.median, amplitude, args.period, args.phase)
            }
        };
        shape.map_err(|error| UsageError(error.to_string()))
    }
}
