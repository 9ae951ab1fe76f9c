//! What a reader asks of Pravega's controller, and its connections to segment stores.

use super::fault::take_last_panic;
use super::session::{ControlError, Session};
use pravega_client_shared::{PravegaNodeUri, ScopedSegment, ScopedStream, Segment, SegmentWithRange};
use pravega_wire_protocol::connection::Connection;
use pravega_wire_protocol::connection_factory::{ConnectionFactory, ConnectionFactoryConfig};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::timeout;

/// A segment store that does not accept and greet within this time is not there.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Segments are named by their id within the stream: number, and in the upper half the epoch.
impl Session {
    /// The segments at the head of the stream, each with the offset at which its data begins.
    pub(crate) async fn head(&self, stream: &ScopedStream) -> Result<BTreeMap<i64, i64>, ControlError> {
        let what = format!("asking for the first segments of {stream}");
        let stream = stream.clone();
        self.call(&what, move |client| {
            let stream = stream.clone();
            async move {
                let head = client.controller_client().get_head_segments(&stream).await;
                let head = head.map_err(|error| error.error.to_string())?;
                Ok(head.into_iter().map(|(segment, offset)| (segment.number, offset)).collect())
            }
        })
        .await
    }

    /// The segments that take writes now.
    pub(crate) async fn tail(&self, stream: &ScopedStream) -> Result<Vec<i64>, ControlError> {
        let what = format!("asking for the segments of {stream}");
        let stream = stream.clone();
        self.call(&what, move |client| {
            let stream = stream.clone();
            async move {
                let current = client.controller_client().get_current_segments(&stream).await;
                let current = current.map_err(|error| error.error.to_string())?;
                Ok(current.key_segment_map.values().map(|segment| segment.get_segment().number).collect())
            }
        })
        .await
    }

    /// The segments that follow a sealed one, each with all its predecessors. None: the stream ends
    /// there.
    pub(crate) async fn successors(
        &self,
        segment: &ScopedSegment,
    ) -> Result<BTreeMap<i64, BTreeSet<i64>>, ControlError> {
        let what = format!("asking what follows segment {segment}");
        let segment = segment.clone();
        self.call(&what, move |client| {
            let segment = segment.clone();
            async move {
                let found = client.controller_client().get_successors(&segment).await;
                let found = found.map_err(|error| error.error.to_string())?;
                Ok(found.segment_with_predecessors.iter().map(|(next, before)| numbers(next, before)).collect())
            }
        })
        .await
    }

    /// The segment store that serves a segment.
    pub(crate) async fn endpoint(&self, segment: &ScopedSegment) -> Result<PravegaNodeUri, ControlError> {
        let what = format!("asking where segment {segment} is");
        let segment = segment.clone();
        self.call(&what, move |client| {
            let segment = segment.clone();
            async move {
                let found = client.controller_client().get_endpoint_for_segment(&segment).await;
                found.map_err(|error| error.error.to_string())
            }
        })
        .await
    }

    /// What to show a segment store as permission to use this stream; empty without authentication.
    pub(crate) async fn token(&self, stream: &ScopedStream) -> Result<String, ControlError> {
        if self.options.credentials.is_none() {
            return Ok(String::new());
        }
        let what = format!("asking for permission to use {stream}");
        let stream = stream.clone();
        self.call(&what, move |client| {
            let stream = stream.clone();
            async move {
                let token = client.controller_client().get_or_refresh_delegation_token_for(stream).await;
                token.map_err(|error| error.error.to_string())
            }
        })
        .await
    }

    /// Connects to a segment store and exchanges greetings; the error is in the client's words.
    pub(crate) async fn dial(&self, endpoint: PravegaNodeUri) -> Result<Box<dyn Connection>, String> {
        let config = ConnectionFactoryConfig::from(self.clients().data.config());
        // As a task of the client's runtime: it panics over names that it cannot resolve, and over
        // certificates that do not fit.
        let task = self.runtime.spawn(async move {
            let factory = <dyn ConnectionFactory>::create(config);
            factory.establish_connection(endpoint).await.map_err(|error| error.to_string())
        });
        match timeout(DIAL_TIMEOUT, task).await {
            Ok(Ok(connected)) => connected,
            Ok(Err(join)) => Err(take_last_panic().unwrap_or_else(|| join.to_string())),
            Err(_) => Err(format!("not accepted within {DIAL_TIMEOUT:?}")),
        }
    }
}

fn numbers(next: &SegmentWithRange, before: &[Segment]) -> (i64, BTreeSet<i64>) {
    (next.get_segment().number, before.iter().map(|segment| segment.number).collect())
}
