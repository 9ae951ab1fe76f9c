//! The stream to write to: created with the policies asked for if it is missing, left as it is if it
//! is there.

use crate::pravega::{ControlError, Session};
use pravega_client_shared::{
    Retention as RetentionConfig, RetentionType, ScaleType, Scaling as ScalingConfig, Scope, ScopedStream, Stream,
    StreamConfiguration,
};
use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// When Pravega changes the number of segments by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaling {
    /// Never: the stream keeps its minimum.
    Fixed,
    /// By the events per second and segment.
    EventRate {
        /// Events per second that one segment should carry.
        target: u32,
        /// Into how many a hot segment may split at once.
        factor: u32,
    },
    /// By the kilobytes per second and segment.
    DataRate {
        /// Kilobytes per second that one segment should carry.
        target: u32,
        /// Into how many a hot segment may split at once.
        factor: u32,
    },
}

/// What Pravega may cut off from the head of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// Nothing.
    Unlimited,
    /// What is older than this.
    Time(Duration),
    /// What goes beyond this many bytes.
    Bytes(u64),
}

/// A stream and the policies it is created with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPlan {
    /// Scope name.
    pub scope: String,
    /// Stream name.
    pub stream: String,
    /// Scaling policy.
    pub scaling: Scaling,
    /// Segments at the start, and never fewer.
    pub min_segments: u32,
    /// Retention policy.
    pub retention: Retention,
}

/// How the stream was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It was missing and has been created.
    Created,
    /// It was there, with these policies.
    Existing {
        /// As the controller tells them.
        policies: String,
        /// Whether they are the ones asked for.
        as_asked: bool,
    },
}

/// Why the stream cannot be written to.
#[derive(Debug, Error)]
pub enum StreamError {
    /// The controller could not be asked.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A sealed stream takes no events, ever again.
    #[error("--stream {0} is sealed: it takes no more events; choose another name, or delete it first")]
    Sealed(String),
}

impl StreamPlan {
    /// The name as Pravega's client takes it.
    #[must_use]
    pub fn scoped(&self) -> ScopedStream {
        ScopedStream { scope: Scope::from(self.scope.clone()), stream: Stream::from(self.stream.clone()) }
    }

    /// Sees to it that the stream is there and takes events.
    pub async fn ensure(&self, session: &Session) -> Result<Found, StreamError> {
        let stream = self.scoped();
        let found = match session.stream_configuration(&stream).await {
            Ok(existing) => self.compare(&existing),
            Err(ControlError::Missing { .. }) => self.create(session).await?,
            Err(error) => return Err(error.into()),
        };
        if session.segment_count(&stream).await? == 0 {
            return Err(StreamError::Sealed(stream.to_string()));
        }
        Ok(found)
    }

    async fn create(&self, session: &Session) -> Result<Found, StreamError> {
        session.create_scope(&self.scope).await?;
        if session.create_stream(self.configuration()).await? {
            return Ok(Found::Created);
        }
        // Somebody else was quicker.
        let existing = session.stream_configuration(&self.scoped()).await?;
        Ok(self.compare(&existing))
    }

    fn compare(&self, existing: &StreamConfiguration) -> Found {
        let asked = self.configuration();
        let same_scaling = match asked.scaling.scale_type {
            // Rate and factor of a fixed stream mean nothing.
            ScaleType::FixedNumSegments => {
                existing.scaling.scale_type == ScaleType::FixedNumSegments
                    && existing.scaling.min_num_segments == asked.scaling.min_num_segments
            }
            _ => existing.scaling == asked.scaling,
        };
        Found::Existing {
            policies: policies(existing),
            as_asked: same_scaling && existing.retention == asked.retention,
        }
    }

    fn configuration(&self) -> StreamConfiguration {
        let (scale_type, target, factor) = match self.scaling {
            Scaling::Fixed => (ScaleType::FixedNumSegments, 0, 1),
            Scaling::EventRate { target, factor } => (ScaleType::ByRateInEventsPerSec, target, factor),
            Scaling::DataRate { target, factor } => (ScaleType::ByRateInKbytesPerSec, target, factor),
        };
        let (retention_type, retention_param) = match self.retention {
            Retention::Unlimited => (RetentionType::None, 0),
            Retention::Time(time) => (RetentionType::Time, i64::try_from(time.as_millis()).unwrap_or(i64::MAX)),
            Retention::Bytes(bytes) => (RetentionType::Size, i64::try_from(bytes).unwrap_or(i64::MAX)),
        };
        let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        StreamConfiguration {
            scoped_stream: self.scoped(),
            scaling: ScalingConfig {
                scale_type,
                target_rate: count(target),
                scale_factor: count(factor),
                min_num_segments: count(self.min_segments),
            },
            retention: RetentionConfig { retention_type, retention_param },
            tags: None,
        }
    }
}

/// The policies in the words of our flags.
impl fmt::Display for StreamPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&policies(&self.configuration()))
    }
}

fn policies(config: &StreamConfiguration) -> String {
    let ScalingConfig { scale_type, target_rate, scale_factor, min_num_segments } = &config.scaling;
    let rate = |unit: &str| format!("{target_rate} {unit} a segment, factor {scale_factor}");
    let scaling = match scale_type {
        ScaleType::FixedNumSegments => "fixed".to_owned(),
        ScaleType::ByRateInEventsPerSec => format!("event-rate {}", rate("events/s")),
        ScaleType::ByRateInKbytesPerSec => format!("data-rate {}", rate("kB/s")),
    };
    let retention = match config.retention.retention_type {
        RetentionType::None => "none".to_owned(),
        RetentionType::Time => {
            let ms = u64::try_from(config.retention.retention_param).unwrap_or(0);
            humantime::format_duration(Duration::from_millis(ms)).to_string()
        }
        RetentionType::Size => format!("{} bytes", config.retention.retention_param),
    };
    format!("scaling {scaling}, min segments {min_num_segments}, retention {retention}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> StreamPlan {
        StreamPlan {
            scope: "s".to_owned(),
            stream: "t".to_owned(),
            scaling: Scaling::EventRate { target: 800, factor: 2 },
            min_segments: 1,
            retention: Retention::Time(Duration::from_hours(1)),
        }
    }

    #[test]
    fn policies_read_as_they_are_asked_for() {
        assert_eq!(
            plan().to_string(),
            "scaling event-rate 800 events/s a segment, factor 2, min segments 1, retention 1h"
        );
    }

    #[test]
    fn another_policy_is_noticed() {
        let plan = plan();
        let as_asked = |existing: &StreamConfiguration| match plan.compare(existing) {
            Found::Existing { as_asked, .. } => as_asked,
            Found::Created => false,
        };
        let mut existing = plan.configuration();
        assert!(as_asked(&existing));
        existing.scaling.target_rate = 100;
        assert!(!as_asked(&existing));
        let mut existing = plan.configuration();
        existing.retention.retention_type = RetentionType::None;
        assert!(!as_asked(&existing));
    }

    #[test]
    fn rate_and_factor_of_a_fixed_stream_mean_nothing() {
        let mut plan = plan();
        plan.scaling = Scaling::Fixed;
        let mut existing = plan.configuration();
        existing.scaling.target_rate = 7;
        existing.scaling.scale_factor = 7;
        assert!(matches!(plan.compare(&existing), Found::Existing { as_asked: true, .. }));
    }
}
