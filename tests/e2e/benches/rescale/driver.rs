//! Who changes the width of the job.

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use sluice_e2e::scene::{MANY_RESTARTS, QUICK};
use sluice_lab::Mode;

/// How often the modelled metric pipeline scrapes, and how often its autoscaler looks.
const METRIC_PERIOD: Duration = Duration::from_secs(15);

/// Who changes the width of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// Sluice on the adaptive scheduler.
    Adaptive,
    /// The same, with one spare TaskManager.
    Spare,
    /// Sluice on the reactive scheduler.
    Reactive,
    /// TaskManagers of a reactive Flink started and stopped, and nothing else.
    Bare,
    /// The same, with all of Flink's timeouts at their defaults. Only if asked for: it takes minutes.
    Stock,
    /// As `bare`, by an autoscaler behind a metric pipeline.
    Metrics,
}

impl Driver {
    /// The name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Adaptive => "Sluice, adaptive",
            Self::Spare => "Sluice, adaptive, 1 spare",
            Self::Reactive => "Sluice, reactive",
            Self::Bare => "bare reactive Flink, replicas changed",
            Self::Stock => "bare reactive Flink at its default timeouts, replicas changed",
            Self::Metrics => "bare reactive Flink, replicas changed by a 15 s metric pipeline",
        }
    }

    /// The scheduler of Flink.
    pub fn mode(self) -> Mode {
        match self {
            Self::Adaptive | Self::Spare => Mode::Adaptive,
            Self::Reactive | Self::Bare | Self::Stock | Self::Metrics => Mode::Reactive,
        }
    }

    /// The flags of the agent, if there is one.
    pub fn agent(self) -> Option<Vec<String>> {
        let mut flags: Vec<_> = QUICK.into_iter().chain(MANY_RESTARTS).map(str::to_owned).collect();
        match self {
            Self::Adaptive | Self::Reactive => Some(flags),
            Self::Spare => {
                flags.extend(["--spare-task-managers".into(), self.spares().to_string()]);
                Some(flags)
            }
            Self::Bare | Self::Stock | Self::Metrics => None,
        }
    }

    /// TaskManagers beyond the width.
    pub fn spares(self) -> u32 {
        u32::from(self == Self::Spare)
    }

    /// How long the `sample`th change stays unnoticed: until the next scrape, and from there until the
    /// autoscaler next looks. The two are out of step by chance; here the samples cover what chance can
    /// do evenly, by multiples of two irrational numbers.
    pub fn unnoticed(self, sample: u32) -> Duration {
        const STEPS: [f64; 2] = [0.754_877_666, 0.569_840_291];
        if self != Self::Metrics {
            return Duration::ZERO;
        }
        STEPS.map(|step| METRIC_PERIOD.mul_f64((0.5 + step * f64::from(sample)).fract())).iter().sum()
    }
}
