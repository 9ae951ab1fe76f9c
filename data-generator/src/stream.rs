//! The stream to write to: created with the policies asked for if it is missing; if it is there it has
//! to have them already, or is given them when that is asked for.

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

/// Which policies an existing stream has to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Insist {
    /// The scaling policy.
    pub on_scaling: bool,
    /// The retention policy.
    pub on_retention: bool,
}

/// A stream and the policies it should have.
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
    /// Which of them an existing stream has to have; nobody asked for the others.
    pub insist: Insist,
    /// Whether to give an existing stream these policies.
    pub update: bool,
    /// Whether to delete it in the end.
    pub delete_on_exit: bool,
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
    },
    /// It was there, and has been given the policies asked for.
    Updated {
        /// Those it had.
        from: String,
        /// Those it has now.
        to: String,
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
    /// It has other policies than those asked for.
    #[error(
        "--stream {stream} exists with other policies: it has {existing}; the flags ask for {asked}. Give --update-stream to change it, or leave the policy flags away to take it as it is"
    )]
    OtherPolicies {
        /// Scope and name.
        stream: String,
        /// What it has.
        existing: String,
        /// What was asked for.
        asked: String,
    },
}

impl StreamPlan {
    /// The name as Pravega's client takes it.
    #[must_use]
    pub fn scoped(&self) -> ScopedStream {
        ScopedStream { scope: Scope::from(self.scope.clone()), stream: Stream::from(self.stream.clone()) }
    }

    /// Sees to it that the stream is there, takes events, and has the policies insisted on.
    pub async fn ensure(&self, session: &Session) -> Result<Found, StreamError> {
        let stream = self.scoped();
        let existing = match session.stream_configuration(&stream).await {
            Ok(existing) => existing,
            Err(ControlError::Missing { .. }) => {
                session.create_scope(&self.scope).await?;
                if session.create_stream(self.configuration()).await? {
                    return Ok(Found::Created);
                }
                // Somebody else was quicker.
                session.stream_configuration(&stream).await?
            }
            Err(error) => return Err(error.into()),
        };
        if session.segment_count(&stream).await? == 0 {
            return Err(StreamError::Sealed(stream.to_string()));
        }
        let wanted = self.wanted(&existing);
        if same(&wanted, &existing) {
            return Ok(Found::Existing { policies: policies(&existing) });
        }
        let (from, to) = (policies(&existing), policies(&wanted));
        if !self.update {
            return Err(StreamError::OtherPolicies { stream: stream.to_string(), existing: from, asked: to });
        }
        session.update_stream(wanted).await?;
        Ok(Found::Updated { from, to })
    }

    /// The policies of the existing stream, but for those that are insisted on.
    fn wanted(&self, existing: &StreamConfiguration) -> StreamConfiguration {
        let asked = self.configuration();
        let mut wanted = existing.clone();
        if self.insist.on_scaling {
            wanted.scaling = asked.scaling;
        }
        if self.insist.on_retention {
            wanted.retention = asked.retention;
        }
        wanted
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

fn same(one: &StreamConfiguration, other: &StreamConfiguration) -> bool {
    let (a, b) = (&one.scaling, &other.scaling);
    let same_scaling = match a.scale_type {
        // Rate and factor of a fixed stream mean nothing.
        ScaleType::FixedNumSegments => a.scale_type == b.scale_type && a.min_num_segments == b.min_num_segments,
        _ => a == b,
    };
    same_scaling && one.retention == other.retention
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
            insist: Insist { on_scaling: true, on_retention: true },
            update: false,
            delete_on_exit: false,
        }
    }

    #[test]
    fn policies_read_as_they_are_asked_for() {
        assert_eq!(
            plan().to_string(),
            "scaling event-rate 800 events/s a segment, factor 2, min segments 1, retention 1h"
        );
    }

    fn as_asked(plan: &StreamPlan, existing: &StreamConfiguration) -> bool {
        same(&plan.wanted(existing), existing)
    }

    #[test]
    fn another_policy_is_noticed_if_it_was_insisted_on() {
        let mut plan = plan();
        let mut other_rate = plan.configuration();
        other_rate.scaling.target_rate = 100;
        let mut other_retention = plan.configuration();
        other_retention.retention.retention_type = RetentionType::None;
        assert!(as_asked(&plan, &plan.configuration()));
        assert!(!as_asked(&plan, &other_rate));
        assert!(!as_asked(&plan, &other_retention));
        plan.insist = Insist { on_scaling: true, on_retention: false };
        assert!(!as_asked(&plan, &other_rate));
        assert!(as_asked(&plan, &other_retention));
        assert_eq!(plan.wanted(&other_retention).retention, other_retention.retention);
        plan.insist = Insist::default();
        assert!(as_asked(&plan, &other_rate));
    }

    #[test]
    fn rate_and_factor_of_a_fixed_stream_mean_nothing() {
        let mut plan = plan();
        plan.scaling = Scaling::Fixed;
        let mut existing = plan.configuration();
        existing.scaling.target_rate = 7;
        existing.scaling.scale_factor = 7;
        assert!(as_asked(&plan, &existing));
        existing.scaling.min_num_segments = 7;
        assert!(!as_asked(&plan, &existing));
    }
}
