//! Says so when acknowledgements stay away, finds out what can be found out, and says so when they
//! are back.

use crate::clock;
use crate::pravega::{ControlError, Session};
use pravega_client_shared::ScopedStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};

/// Silence that is worth a line.
const NOTABLE: Duration = Duration::from_secs(5);
/// And another line after this time.
const AGAIN: Duration = Duration::from_secs(10);
/// A line that says little is better than one that comes late.
const CONTROLLER_LIMIT: Duration = Duration::from_secs(3);

/// Watches how long the oldest unacknowledged event has been waiting.
pub(super) struct StallWatch {
    session: Arc<Session>,
    stream: ScopedStream,
    give_up_after: Duration,
    since_last_line: Option<Instant>,
    finding_out: Option<AbortHandle>,
}

impl StallWatch {
    pub(super) fn new(session: Arc<Session>, stream: ScopedStream, give_up_after: Duration) -> Self {
        Self { session, stream, give_up_after, since_last_line: None, finding_out: None }
    }

    /// Called every second with the longest wait of all writers.
    pub(super) fn observe(&mut self, now: Instant, waiting: Duration) {
        if waiting < NOTABLE {
            if let Some(finding_out) = self.finding_out.take() {
                finding_out.abort();
            }
            if self.since_last_line.take().is_some() {
                tracing::info!("acknowledgements are coming again");
            }
            return;
        }
        let due = self.since_last_line.is_none_or(|last| now - last >= AGAIN);
        if due && self.finding_out.as_ref().is_none_or(AbortHandle::is_finished) {
            self.since_last_line = Some(now);
            let session = Arc::clone(&self.session);
            let stream = self.stream.clone();
            let give_up_after = self.give_up_after;
            let finding_out = tokio::spawn(async move {
                let finding = explain(timeout(CONTROLLER_LIMIT, session.segment_count(&stream)).await);
                let waiting = waiting + clock::now().saturating_duration_since(now);
                let left = give_up_after.saturating_sub(waiting);
                tracing::warn!(
                    "no acknowledgement from {stream} for {waiting:.0?}, giving up in {left:.0?}: {finding}"
                );
            });
            self.finding_out = Some(finding_out.abort_handle());
        }
    }
}

impl Drop for StallWatch {
    fn drop(&mut self) {
        if let Some(finding_out) = self.finding_out.take() {
            finding_out.abort();
        }
    }
}

fn explain(segments: Result<Result<usize, ControlError>, Elapsed>) -> String {
    let Ok(segments) = segments else {
        return format!(
            "the controller does not answer within {CONTROLLER_LIMIT:?} either; it needs the segment store, too"
        );
    };
    match segments {
        Ok(0) => "the stream is sealed".to_owned(),
        Ok(segments) => {
            format!("the controller answers ({segments} segments), so look at the segment store and its BookKeeper")
        }
        Err(error) => error.to_string(),
    }
}
