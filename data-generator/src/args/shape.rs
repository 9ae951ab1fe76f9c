//! Flags that describe the load over time. The same struct is one piece of a shape file (`chain`):
//! the keys there are the flags without their dashes.

use super::UsageError;
use super::chain;
use super::parse;
use crate::pace::Load;
use crate::shape::{Between, Rate, Shape, Spike, Trace, Walk};
use clap::{Args, ValueEnum};
use serde::Deserialize;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The sample's median, 50,000 events per 10 s, and its period: an angle of 0.04 more every 30 s.
const MEDIAN: &str = "50000/10s";
const PERIOD: Duration = Duration::from_millis(4_712_389);
const PHASE: f64 = -3.0;

/// The load over time.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Shape of the load (rates as 100/s, 6000/min or 50000/10s)")]
pub struct ShapeArgs {
    /// Shape and parameters.
    #[command(flatten)]
    pub parameters: Parameters,

    /// A chain of shapes: a TOML file with one [[piece]] for each, whose keys are these flags without
    /// dashes, and a length where a shape has no end of its own.
    #[arg(long, env = "DATA_GENERATOR_SHAPE_FILE", value_name = "FILE", conflicts_with = "shape")]
    pub shape_file: Option<PathBuf>,

    /// Play the shape so many times faster: the same rates, changing sooner. 60 makes an hour of it a
    /// minute; --duration and --events count as ever.
    #[arg(
        long,
        env = "DATA_GENERATOR_TIME_COMPRESSION",
        default_value_t = 1.0,
        value_name = "FACTOR",
        allow_hyphen_values = true
    )]
    pub time_compression: f64,
}

/// One shape and its parameters. What is not given has the default that its text names.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Parameters {
    /// Which shape. Left out, it follows from the other flags: constant with --rate, step with
    /// --steps, and so on; sinusoid when there are none.
    #[arg(long, env = "DATA_GENERATOR_SHAPE", value_name = "SHAPE")]
    pub shape: Option<ShapeKind>,

    /// In a shape file only: ends the piece after this time.
    #[arg(skip)]
    #[serde(deserialize_with = "parse::length_in_file")]
    pub length: Option<Duration>,

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
    #[serde(deserialize_with = "parse::steps_in_file")]
    pub steps: Vec<(Rate, Duration)>,

    /// ramp: the rate at the start.
    #[arg(long, env = "DATA_GENERATOR_FROM", value_name = "RATE", allow_hyphen_values = true)]
    pub from: Option<Rate>,

    /// ramp: the rate at the end.
    #[arg(long, env = "DATA_GENERATOR_TO", value_name = "RATE", allow_hyphen_values = true)]
    pub to: Option<Rate>,

    /// ramp, random-walk: how long it takes; the run ends with it.
    #[arg(long, env = "DATA_GENERATOR_OVER", value_name = "DURATION", value_parser = parse::some_time)]
    #[serde(deserialize_with = "parse::length_in_file")]
    pub over: Option<Duration>,

    /// spike: the rate before and after it.
    #[arg(long, env = "DATA_GENERATOR_BASE", value_name = "RATE", allow_hyphen_values = true)]
    pub base: Option<Rate>,

    /// spike: the rate at its height.
    #[arg(long, env = "DATA_GENERATOR_PEAK", value_name = "RATE", allow_hyphen_values = true)]
    pub peak: Option<Rate>,

    /// spike: when it begins to rise [default: 30s].
    #[arg(long, env = "DATA_GENERATOR_AT", value_name = "DURATION", value_parser = parse::duration)]
    #[serde(deserialize_with = "parse::time_in_file")]
    pub at: Option<Duration>,

    /// spike: how long it rises [default: 0s, a wall].
    #[arg(long, env = "DATA_GENERATOR_RISE", value_name = "DURATION", value_parser = parse::duration)]
    #[serde(deserialize_with = "parse::time_in_file")]
    pub rise: Option<Duration>,

    /// spike: how long it stays at its height [default: 10s].
    #[arg(long, env = "DATA_GENERATOR_HOLD", value_name = "DURATION", value_parser = parse::duration)]
    #[serde(deserialize_with = "parse::time_in_file")]
    pub hold: Option<Duration>,

    /// spike: how long it falls [default: as long as it rose].
    #[arg(long, env = "DATA_GENERATOR_FALL", value_name = "DURATION", value_parser = parse::duration)]
    #[serde(deserialize_with = "parse::time_in_file")]
    pub fall: Option<Duration>,

    /// sinusoid: the rate around which the wave swings [default: 50000/10s, as in Pravega's
    /// autoscaling sample].
    #[arg(long, env = "DATA_GENERATOR_MEDIAN", value_name = "RATE", allow_hyphen_values = true)]
    pub median: Option<Rate>,

    /// sinusoid: how far it swings to either side [default: the median, which makes troughs of zero].
    #[arg(long, env = "DATA_GENERATOR_AMPLITUDE", value_name = "RATE", allow_hyphen_values = true)]
    pub amplitude: Option<Rate>,

    /// sinusoid: length of one wave [default: 78m 32s 389ms, an angle of 0.04 more every 30 s, as in
    /// the sample].
    #[arg(long, env = "DATA_GENERATOR_PERIOD", value_name = "DURATION", value_parser = parse::duration)]
    #[serde(deserialize_with = "parse::time_in_file")]
    pub period: Option<Duration>,

    /// sinusoid: where in the wave to start, in radians: 0 at the crest, 3.14 in the trough
    /// [default: -3, as in the sample, just after the trough].
    #[arg(long, env = "DATA_GENERATOR_PHASE", value_name = "RADIANS", allow_hyphen_values = true)]
    pub phase: Option<f64>,

    /// random-walk: the first rate [default: half-way between --low and --high].
    #[arg(long, env = "DATA_GENERATOR_START", value_name = "RATE", allow_hyphen_values = true)]
    pub start: Option<Rate>,

    /// random-walk: never below this rate [default: 0/s].
    #[arg(long, env = "DATA_GENERATOR_LOW", value_name = "RATE", allow_hyphen_values = true)]
    pub low: Option<Rate>,

    /// random-walk: never above this rate.
    #[arg(long, env = "DATA_GENERATOR_HIGH", value_name = "RATE", allow_hyphen_values = true)]
    pub high: Option<Rate>,

    /// random-walk: how far the rate may move at once, up or down [default: a tenth of the room
    /// between --low and --high].
    #[arg(long, env = "DATA_GENERATOR_STRIDE", value_name = "RATE", allow_hyphen_values = true)]
    pub stride: Option<Rate>,

    /// random-walk: how long each rate is held [default: 1s].
    #[arg(long, env = "DATA_GENERATOR_EVERY", value_name = "DURATION", value_parser = parse::some_time)]
    #[serde(deserialize_with = "parse::length_in_file")]
    pub every: Option<Duration>,

    /// random-walk: which walk; the same number gives the same one again [default: 1].
    #[arg(long, env = "DATA_GENERATOR_SEED", value_name = "NUMBER")]
    pub seed: Option<u64>,

    /// trace: a CSV file with a time and a rate on each line. Times are seconds (90), lengths of time
    /// (1m 30s) or timestamps (2026-11-22T08:00:00Z); the last line is where the run ends.
    #[arg(long, env = "DATA_GENERATOR_TRACE", value_name = "FILE")]
    pub trace: Option<PathBuf>,

    /// trace: what holds between two lines [default: hold].
    #[arg(long, env = "DATA_GENERATOR_BETWEEN", value_name = "HOW")]
    pub between: Option<BetweenKind>,
}

/// The shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ShapeKind {
    /// The same --rate throughout.
    Constant,
    /// A wave of --period around --median.
    Sinusoid,
    /// The rates of --steps, one after the other.
    Step,
    /// A straight line --from one rate --to another.
    Ramp,
    /// A --base rate with one burst to a --peak.
    Spike,
    /// A rate that wanders between --low and --high.
    RandomWalk,
    /// What a --trace file recorded.
    Trace,
}

/// What holds between two lines of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum BetweenKind {
    /// The rate of the earlier line.
    Hold,
    /// A straight line.
    Linear,
}

impl fmt::Display for ShapeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Constant => "constant",
            Self::Sinusoid => "sinusoid",
            Self::Step => "step",
            Self::Ramp => "ramp",
            Self::Spike => "spike",
            Self::RandomWalk => "random-walk",
            Self::Trace => "trace",
        })
    }
}

impl ShapeArgs {
    /// The first flag that is given.
    pub(super) fn first_given(&self) -> Option<&'static str> {
        match (&self.shape_file, self.parameters.shape) {
            (Some(_), _) => Some("shape-file"),
            (_, Some(_)) => Some("shape"),
            _ => self.parameters.given().into_iter().find(|(_, given, _)| *given).map(|(name, ..)| name),
        }
    }
}

impl TryFrom<&ShapeArgs> for Load {
    type Error = UsageError;

    fn try_from(args: &ShapeArgs) -> Result<Self, UsageError> {
        let shape = match &args.shape_file {
            Some(file) => {
                if let Some((name, ..)) = args.parameters.given().into_iter().find(|(_, given, _)| *given) {
                    return Err(UsageError(format!("--{name} and --shape-file are given: put {name} into the file")));
                }
                chain::read(file)?
            }
            None => args.parameters.shape("--", Path::new("")).map_err(UsageError)?,
        };
        let shape = shape.compressed(args.time_compression);
        shape.map(Self::Shape).map_err(|error| UsageError(format!("--{error}")))
    }
}

impl Parameters {
    /// Name of each parameter, whether it is given, and whose it is.
    fn given(&self) -> [(&'static str, bool, &'static [ShapeKind]); 22] {
        use ShapeKind::{Constant, Ramp, RandomWalk, Sinusoid, Spike, Step, Trace};
        [
            ("rate", self.rate.is_some(), &[Constant]),
            ("steps", !self.steps.is_empty(), &[Step]),
            ("from", self.from.is_some(), &[Ramp]),
            ("to", self.to.is_some(), &[Ramp]),
            ("over", self.over.is_some(), &[Ramp, RandomWalk]),
            ("base", self.base.is_some(), &[Spike]),
            ("peak", self.peak.is_some(), &[Spike]),
            ("at", self.at.is_some(), &[Spike]),
            ("rise", self.rise.is_some(), &[Spike]),
            ("hold", self.hold.is_some(), &[Spike]),
            ("fall", self.fall.is_some(), &[Spike]),
            ("median", self.median.is_some(), &[Sinusoid]),
            ("amplitude", self.amplitude.is_some(), &[Sinusoid]),
            ("period", self.period.is_some(), &[Sinusoid]),
            ("phase", self.phase.is_some(), &[Sinusoid]),
            ("start", self.start.is_some(), &[RandomWalk]),
            ("low", self.low.is_some(), &[RandomWalk]),
            ("high", self.high.is_some(), &[RandomWalk]),
            ("stride", self.stride.is_some(), &[RandomWalk]),
            ("every", self.every.is_some(), &[RandomWalk]),
            ("seed", self.seed.is_some(), &[RandomWalk]),
            ("trace", self.trace.is_some() || self.between.is_some(), &[Trace]),
        ]
    }

    /// The kind that is named, or the one that the first parameter belongs to.
    fn kind(&self) -> ShapeKind {
        let owner = self.given().into_iter().find_map(|(_, given, owners)| match owners {
            [owner] if given => Some(*owner),
            _ => None,
        });
        self.shape.or(owner).unwrap_or(ShapeKind::Sinusoid)
    }

    /// The shape. Names of parameters are told with `dash` before them; a trace is looked for in
    /// `folder`.
    pub(super) fn shape(&self, dash: &str, folder: &Path) -> Result<Shape, String> {
        let kind = self.kind();
        let stranger = self.given().into_iter().find(|(_, given, owners)| *given && !owners.contains(&kind));
        if let Some((name, _, [owner, ..])) = stranger {
            return Err(format!("{dash}{name} belongs to {dash}shape {owner}, not to {kind}"));
        }
        let needs = |name: &str, example: &str| {
            format!("{dash}shape {kind} needs {dash}{name}, for example {dash}{name} {example}")
        };
        let seconds = Duration::from_secs;
        let shape = match kind {
            ShapeKind::Constant => Ok(Shape::constant(self.rate.ok_or_else(|| needs("rate", "100/s"))?)),
            ShapeKind::Step if self.steps.is_empty() => return Err(needs("steps", "100/s:30s,1000/s:2m")),
            ShapeKind::Step => Shape::steps(&self.steps),
            ShapeKind::Ramp => Shape::ramp(
                self.from.ok_or_else(|| needs("from", "0/s"))?,
                self.to.ok_or_else(|| needs("to", "1000/s"))?,
                self.over.ok_or_else(|| needs("over", "5m"))?,
            ),
            ShapeKind::Spike => {
                let rise = self.rise.unwrap_or_default();
                Ok(Shape::spike(&Spike {
                    base: self.base.ok_or_else(|| needs("base", "100/s"))?,
                    peak: self.peak.ok_or_else(|| needs("peak", "5000/s"))?,
                    at: self.at.unwrap_or(seconds(30)),
                    rise,
                    hold: self.hold.unwrap_or(seconds(10)),
                    fall: self.fall.unwrap_or(rise),
                }))
            }
            ShapeKind::Sinusoid => {
                let sample = || MEDIAN.parse().map_err(|error| format!("{error}"));
                let median = self.median.map_or_else(sample, Ok)?;
                let amplitude = self.amplitude.unwrap_or(median);
                Shape::sinusoid(median, amplitude, self.period.unwrap_or(PERIOD), self.phase.unwrap_or(PHASE))
            }
            ShapeKind::RandomWalk => {
                let low = self.low.unwrap_or(Rate::ZERO);
                let high = self.high.ok_or_else(|| needs("high", "1000/s"))?;
                Shape::random_walk(&Walk {
                    start: self.start.unwrap_or_else(|| low.between(high, 0.5)),
                    low,
                    high,
                    stride: self.stride.unwrap_or_else(|| Rate::ZERO.between(high, 0.1)),
                    every: self.every.unwrap_or(seconds(1)),
                    seed: self.seed.unwrap_or(1),
                    over: self.over.ok_or_else(|| needs("over", "10m"))?,
                })
            }
            ShapeKind::Trace => {
                let file = self.trace.as_ref().ok_or_else(|| needs("trace", "day.csv"))?;
                Ok(read_trace(dash, &folder.join(file), self.between)?)
            }
        };
        let shape = shape.map_err(|error| format!("{dash}{error}"))?;
        match self.length {
            Some(length) => shape.cut(length).map_err(|error| format!("{dash}{error}")),
            None => Ok(shape),
        }
    }
}

fn read_trace(dash: &str, file: &Path, between: Option<BetweenKind>) -> Result<Shape, String> {
    let path = file.display();
    let bytes = fs::read(file).map_err(|error| format!("{dash}trace {path}: {error}"))?;
    let trace = Trace::parse(&bytes).map_err(|error| format!("{dash}trace {path}: {error}"))?;
    let between = match between {
        Some(BetweenKind::Linear) => Between::Linear,
        Some(BetweenKind::Hold) | None => Between::Hold,
    };
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Ok(Shape::trace(&name, &trace, between))
}
