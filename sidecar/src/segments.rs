//! Where the numbers of segments come from: Pravega's controller, or a Prometheus that scrapes it where
//! the controller cannot be reached.

pub mod prometheus;

use sluice_core::{Reading, StreamName, StreamShape};

use crate::{clock, pravega, segments::prometheus::PrometheusError};

/// One of the two sources.
#[derive(Debug)]
pub enum Source {
    /// The controllers: what they say is so.
    Controller(pravega::Controller),
    /// A gauge that the controllers once set.
    Prometheus(Box<prometheus::Prometheus>),
}

/// The source did not say how the stream is split.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SegmentsError {
    #[error(transparent)]
    Controller(#[from] pravega::ControllerError),
    #[error(transparent)]
    Prometheus(#[from] PrometheusError),
}

impl Source {
    /// How the stream is split, and when that was so: the controllers tell of now, a gauge of its last
    /// sample.
    pub async fn shape(&self, name: &StreamName) -> Result<Reading<StreamShape>, SegmentsError> {
        match self {
            Self::Controller(controller) => {
                let value = controller.shape(name).await?;
                Ok(Reading { at: clock::now(), value })
            }
            Self::Prometheus(prometheus) => {
                let sample = prometheus.segments(name).await?;
                let at = clock::now().saturating_sub(jiff::SignedDuration::try_from(sample.age).unwrap_or_default());
                let at = at.unwrap_or(jiff::Timestamp::MIN);
                Ok(Reading { at, value: StreamShape { segments: sample.segments, epoch: None } })
            }
        }
    }

    /// The source's name in metrics and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Controller(_) => PRAVEGA,
            Self::Prometheus(_) => PROMETHEUS,
        }
    }
}

/// The name of the controllers as a source.
pub const PRAVEGA: &str = "pravega";
/// The name of Prometheus as a source.
pub const PROMETHEUS: &str = "prometheus";

impl SegmentsError {
    /// The kind of error, for metric labels.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Controller(error) => error.kind(),
            Self::Prometheus(error) => error.kind(),
        }
    }
}
