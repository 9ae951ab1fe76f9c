//! Creates, scales and removes streams: a small client of the Pravega controller.
//!
//! It writes, and is made for demos and tests; the agent's own client only reads and is written apart
//! from this one, so that a mistake in one shows in the other. Every call has a limit, goes to each
//! controller in turn, and is repeated for a while when a controller is away or still starting.

mod channel;
mod messages;

use std::time::Duration;

use thiserror::Error;
use tonic::{Code, Status};

use crate::clock::Deadline;
use crate::pravega::Security;
use channel::Controller;
use messages as pb;

/// How long a call is repeated before the lab gives up.
const LIMIT_OF_ALL_TRIES: Duration = Duration::from_mins(1);
/// How long to rest between two tries.
const BETWEEN_TRIES: Duration = Duration::from_millis(200);

/// Why a stream could not be changed.
#[derive(Debug, Error)]
pub enum AdminError {
    /// No controller answered, or none would do it, until the limit was over.
    #[error("{call} of {name} did not succeed within {limit:?}; the last answer was: {last}")]
    GaveUp {
        /// The call.
        call: &'static str,
        /// The scope or stream.
        name: String,
        /// How long it was tried.
        limit: Duration,
        /// What came back last.
        last: String,
    },
    /// The controller says no, and would say so again.
    #[error("{call} of {name}: {why}")]
    Refused {
        /// The call.
        call: &'static str,
        /// The scope or stream.
        name: String,
        /// Its reason.
        why: String,
    },
}

/// How many segments a stream has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scaling {
    pub(crate) kind: pb::ScaleType,
    pub(crate) rate: i32,
    pub(crate) factor: i32,
    pub(crate) minimum: i32,
}

impl Scaling {
    /// Always this many, unless scaled by hand.
    #[must_use]
    pub fn fixed(segments: u32) -> Self {
        Self { kind: pb::ScaleType::Fixed, rate: 0, factor: 0, minimum: small(segments) }
    }

    /// Pravega splits a segment that gets more than `rate` events per second into up to `factor`, and
    /// merges quiet ones down to `minimum`.
    #[must_use]
    pub fn by_event_rate(rate: u32, factor: u32, minimum: u32) -> Self {
        let kind = pb::ScaleType::EventsPerSecond;
        Self { kind, rate: small(rate), factor: small(factor), minimum: small(minimum) }
    }
}

fn small(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A segment and the part of the key space, from 0 to 1, that it covers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// Its id: number, and in the upper half the epoch in which it was made.
    pub id: i64,
    /// Where its keys begin.
    pub from: f64,
    /// Where they end.
    pub to: f64,
}

impl Segment {
    /// The epoch in which it was made.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.id >> 32
    }

    /// Its number within the stream.
    #[must_use]
    pub fn number(&self) -> i64 {
        self.id & 0xFFFF_FFFF
    }
}

/// What became of one try.
enum Try<T> {
    Done(T),
    Again(String),
    Refused(String),
}

/// A client of one or more controllers.
#[derive(Debug, Clone)]
pub struct Admin {
    controllers: Vec<Controller>,
}

impl Admin {
    /// Speaks to controllers given as `tcp://host:port`. Connects when first used.
    #[must_use]
    pub fn new(controllers: &[String]) -> Self {
        Self::of(controllers, None)
    }

    /// Speaks to controllers with TLS, given as `tls://localhost:port`, as the administrator.
    #[must_use]
    pub fn secure(controllers: &[String], security: &Security) -> Self {
        Self::of(controllers, Some(security))
    }

    fn of(controllers: &[String], security: Option<&Security>) -> Self {
        let all = controllers.iter().flat_map(|all| all.split(','));
        Self { controllers: all.filter_map(|address| Controller::new(address, security)).collect() }
    }

    /// Whether all controllers list their scopes, which they do once they are up.
    pub(crate) async fn lists_scopes(&self) -> bool {
        for controller in &self.controllers {
            if controller.call::<_, pb::Scopes>("listScopes", pb::Scopes {}).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Creates a scope. `false` if it was there already.
    pub async fn create_scope(&self, scope: &str) -> Result<bool, AdminError> {
        let request = pb::ScopeInfo { scope: scope.into() };
        self.repeat("createScope", scope, &request, |answer: pb::StatusOnly| match answer.status {
            0 => Try::Done(true),
            1 => Try::Again("the controller failed".into()),
            2 => Try::Done(false),
            other => Try::Refused(format!("invalid scope name (status {other})")),
        })
        .await
    }

    /// Creates a stream, and its scope if that is missing. `false` if the stream was there already.
    pub async fn create_stream(&self, scope: &str, stream: &str, scaling: Scaling) -> Result<bool, AdminError> {
        self.create_scope(scope).await?;
        let request = stream_config(scope, stream, scaling);
        self.repeat("createStream", &format!("{scope}/{stream}"), &request, |answer: pb::StatusOnly| {
            match answer.status {
                0 => Try::Done(true),
                1 => Try::Again("the controller failed".into()),
                2 => Try::Done(false),
                3 => Try::Again("the scope is not found".into()),
                other => Try::Refused(format!("invalid stream name (status {other})")),
            }
        })
        .await
    }

    /// Changes the scaling of a stream; its segments stay until Pravega next looks at them.
    pub async fn update_stream(&self, scope: &str, stream: &str, scaling: Scaling) -> Result<(), AdminError> {
        let request = stream_config(scope, stream, scaling);
        self.change("updateStream", scope, stream, &request).await
    }

    /// The segments that take events now, by their keys. None if the stream is sealed.
    pub async fn segments(&self, scope: &str, stream: &str) -> Result<Vec<Segment>, AdminError> {
        let name = format!("{scope}/{stream}");
        let request = stream_info(scope, stream);
        self.repeat("getCurrentSegments", &name, &request, |answer: pb::SegmentRanges| {
            let mut segments: Vec<Segment> = answer
                .ranges
                .into_iter()
                .map(|range| Segment {
                    id: range.segment.map_or(0, |segment| segment.id),
                    from: range.from,
                    to: range.to,
                })
                .collect();
            segments.sort_by(|a, b| a.from.total_cmp(&b.from));
            Try::Done(segments)
        })
        .await
    }

    /// Scales a stream by hand: seals all its segments and makes `segments` new ones of equal width.
    /// Returns them once the change is complete. A stream that has that many is left alone.
    pub async fn scale_to(&self, scope: &str, stream: &str, segments: u32) -> Result<Vec<Segment>, AdminError> {
        let name = format!("{scope}/{stream}");
        let now = self.segments(scope, stream).await?;
        if segments == 0 || now.is_empty() {
            let why = if segments == 0 { "a stream has at least one segment" } else { "the stream is sealed" };
            return Err(AdminError::Refused { call: "scale", name, why: why.into() });
        }
        if now.len() == segments as usize {
            return Ok(now);
        }
        let request = pb::ScaleRequest {
            stream: Some(stream_info(scope, stream)),
            sealed: now.iter().map(|segment| segment.id).collect(),
            ranges: equal_ranges(segments),
            timestamp: 0,
        };
        let epoch = self
            .repeat("scale", &name, &request, |answer: pb::ScaleResponse| match answer.status {
                0 => Try::Done(Some(answer.epoch)),
                // A repeated request finds that the first one, whose answer was lost, has begun.
                2 => Try::Done(None),
                _ => Try::Again("the controller failed".into()),
            })
            .await?;
        if let Some(epoch) = epoch {
            let request = pb::ScaleStatusRequest { stream: Some(stream_info(scope, stream)), epoch };
            self.repeat("checkScale", &name, &request, |answer: pb::StatusOnly| match answer.status {
                1 => Try::Done(()),
                0 => Try::Again("in progress".into()),
                2 => Try::Refused("invalid input".into()),
                _ => Try::Again("the controller failed".into()),
            })
            .await?;
        }
        let scaled = self.segments(scope, stream).await?;
        if scaled.len() == segments as usize {
            return Ok(scaled);
        }
        let why = format!(
            "it has {} segments now: another change came in between, or its policy has more as its minimum",
            scaled.len()
        );
        Err(AdminError::Refused { call: "scale", name, why })
    }

    /// Seals a stream: it takes no more events and has no current segments.
    pub async fn seal(&self, scope: &str, stream: &str) -> Result<(), AdminError> {
        self.change("sealStream", scope, stream, &stream_info(scope, stream)).await
    }

    /// Removes everything before the current segments: readers that are still in older ones lose it.
    pub async fn truncate_to_current(&self, scope: &str, stream: &str) -> Result<(), AdminError> {
        let current = self.segments(scope, stream).await?;
        let request = pb::StreamCut {
            stream: Some(stream_info(scope, stream)),
            cut: current.iter().map(|segment| (segment.id, 0)).collect(),
        };
        self.change("truncateStream", scope, stream, &request).await
    }

    /// Deletes a stream, sealing it first. `false` if there was none.
    pub async fn delete(&self, scope: &str, stream: &str) -> Result<bool, AdminError> {
        match self.seal(scope, stream).await {
            Err(AdminError::Refused { .. }) => return Ok(false),
            other => other?,
        }
        let name = format!("{scope}/{stream}");
        self.repeat("deleteStream", &name, &stream_info(scope, stream), |answer: pb::StatusOnly| match answer.status {
            0 => Try::Done(true),
            2 => Try::Done(false),
            3 => Try::Again("the stream is not sealed yet".into()),
            _ => Try::Again("the controller failed".into()),
        })
        .await
    }

    /// A call whose answer is one of: done, failed, no such stream, no such scope.
    async fn change<Q>(&self, call: &'static str, scope: &str, stream: &str, request: &Q) -> Result<(), AdminError>
    where
        Q: prost::Message + Clone + Default + 'static,
    {
        self.repeat(call, &format!("{scope}/{stream}"), request, |answer: pb::StatusOnly| match answer.status {
            0 => Try::Done(()),
            1 => Try::Again("the controller failed".into()),
            _ => Try::Refused("no such stream".into()),
        })
        .await
    }

    /// Calls the controllers in turn until one gives a final answer.
    async fn repeat<Q, A, T>(
        &self,
        call: &'static str,
        name: &str,
        request: &Q,
        judge: impl Fn(A) -> Try<T>,
    ) -> Result<T, AdminError>
    where
        Q: prost::Message + Clone + Default + 'static,
        A: prost::Message + Default + 'static,
    {
        let deadline = Deadline::after(LIMIT_OF_ALL_TRIES);
        let mut last = "no controller is given".to_owned();
        loop {
            for controller in &self.controllers {
                let outcome = match controller.call(call, request.clone()).await {
                    Ok(answer) => judge(answer),
                    Err(status) => judge_status(&status),
                };
                match outcome {
                    Try::Done(value) => return Ok(value),
                    Try::Again(why) => last = why,
                    Try::Refused(why) => return Err(AdminError::Refused { call, name: name.into(), why }),
                }
            }
            if deadline.is_over() {
                return Err(AdminError::GaveUp { call, name: name.into(), limit: deadline.limit(), last });
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
    }
}

/// Whether a failed call is worth repeating.
fn judge_status<T>(status: &Status) -> Try<T> {
    let text = format!("{:?} {}", status.code(), status.message());
    match status.code() {
        Code::NotFound => Try::Refused("no such scope or stream".into()),
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::Unauthenticated
        | Code::PermissionDenied => Try::Refused(text),
        _ => Try::Again(text),
    }
}

fn stream_info(scope: &str, stream: &str) -> pb::StreamInfo {
    pb::StreamInfo { scope: scope.into(), stream: stream.into() }
}

fn stream_config(scope: &str, stream: &str, scaling: Scaling) -> pb::StreamConfig {
    pb::StreamConfig {
        stream: Some(stream_info(scope, stream)),
        scaling: Some(pb::ScalingPolicy {
            kind: scaling.kind as i32,
            target_rate: scaling.rate,
            scale_factor: scaling.factor,
            min_segments: scaling.minimum,
        }),
    }
}

/// The key space in equal parts. Each part ends exactly where the next begins, and the last at 1.
fn equal_ranges(segments: u32) -> Vec<pb::KeyRange> {
    let edge = |i: u32| f64::from(i) / f64::from(segments);
    (0..segments).map(|i| pb::KeyRange { start: edge(i), end: edge(i + 1) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ranges_leave_no_gap() {
        for segments in 1..50 {
            let ranges = equal_ranges(segments);
            assert_eq!(ranges.len(), segments as usize);
            assert!(ranges[0].start.abs() < f64::EPSILON);
            assert!((ranges[ranges.len() - 1].end - 1.0).abs() < f64::EPSILON);
            assert!(ranges.windows(2).all(|pair| pair[0].end.to_bits() == pair[1].start.to_bits()));
        }
    }

    #[test]
    fn the_id_of_a_segment_tells_its_epoch() {
        let segment = Segment { id: (3 << 32) | 7, from: 0.0, to: 1.0 };
        assert_eq!((segment.epoch(), segment.number()), (3, 7));
    }
}
