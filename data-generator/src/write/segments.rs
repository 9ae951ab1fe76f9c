//! Looks at the stream now and then while it is written to: how many segments it has, whether the
//! controller is there, whether the stream still takes events.

use super::outlet::Closed;
use super::writer::Start;
use crate::clock;
use crate::pravega::{ControlError, Session};
use crate::report::round;
use pravega_client_shared::ScopedStream;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::sleep;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// How long a look may take before the controller counts as away.
const LIMIT: Duration = Duration::from_secs(6);

/// From so long after the start the stream had so many segments.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct SegmentsSeen {
    pub(super) seconds: f64,
    pub(super) segments: usize,
}

/// A time in which the controller did not answer, seconds after the start; the end is absent if it
/// never did again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Outage {
    pub(super) from: f64,
    pub(super) to: Option<f64>,
}

/// What has been seen so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) segments: Vec<SegmentsSeen>,
    pub(super) outages: Vec<Outage>,
    /// Why the stream takes no more events.
    pub(super) closed: Option<Closed>,
}

impl Seen {
    /// How many segments there are now, as far as is known.
    pub(super) fn now(&self) -> Option<usize> {
        self.segments.last().map(|seen| seen.segments)
    }

    /// Whether the controller answered when it was last asked.
    pub(super) fn controller_answers(&self) -> bool {
        self.outages.last().is_none_or(|outage| outage.to.is_some())
    }

    /// Notes a look; returns what is worth a line.
    fn note(&mut self, seconds: f64, stream: &str, look: Result<usize, ControlError>) -> Option<News> {
        let seconds = round(seconds);
        let segments = match look {
            Ok(0) => return self.close(Closed::Sealed(stream.to_owned())),
            Ok(segments) => segments,
            Err(ControlError::Missing { .. }) => return self.close(Closed::Deleted(stream.to_owned())),
            Err(error) => {
                let why = match error {
                    // Its own words name a flag that has nothing to do with this.
                    ControlError::NoAnswer { limit, .. } => format!("it does not answer within {limit:?}"),
                    error => error.to_string(),
                };
                return self.controller_answers().then(|| {
                    self.outages.push(Outage { from: seconds, to: None });
                    News::Trouble(format!("the controller is away, writing goes on: {why}"))
                });
            }
        };
        let back = self.outages.last_mut().filter(|outage| outage.to.is_none()).map(|outage| {
            outage.to = Some(seconds);
            seconds - outage.from
        });
        let before = self.now();
        if before != Some(segments) {
            self.segments.push(SegmentsSeen { seconds, segments });
        }
        let change = before
            .filter(|before| *before != segments)
            .map(|before| format!("{stream} has {segments} segments now, it had {before}"));
        match (back, change) {
            (Some(away), None) => Some(News::Good(format!("the controller answers again after {away:.0} s"))),
            (Some(away), Some(change)) => {
                Some(News::Good(format!("the controller answers again after {away:.0} s; {change}")))
            }
            (None, change) => change.map(News::Good),
        }
    }

    fn close(&mut self, closed: Closed) -> Option<News> {
        self.closed.is_none().then(|| {
            let text = closed.to_string();
            self.closed = Some(closed);
            News::Trouble(text)
        })
    }
}

/// A line for the log.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Good(String),
    Trouble(String),
}

/// A task that looks; it ends when dropped.
pub(super) struct SegmentWatch {
    seen: watch::Receiver<Seen>,
    looking: AbortHandle,
}

impl SegmentWatch {
    pub(super) fn start(session: Arc<Session>, stream: ScopedStream, start: Start) -> Self {
        let (sender, seen) = watch::channel(Seen::default());
        let looking = tokio::spawn(async move {
            loop {
                let look = session.segment_count_within(&stream, LIMIT).await;
                let seconds = start.elapsed(clock::now()).as_secs_f64();
                let mut news = None;
                sender.send_modify(|seen| news = seen.note(seconds, &stream.to_string(), look));
                match news {
                    Some(News::Good(text)) => tracing::info!("{text}"),
                    Some(News::Trouble(text)) => tracing::warn!("{text}"),
                    None => {}
                }
                sleep(EVERY).await;
            }
        });
        Self { seen, looking: looking.abort_handle() }
    }

    /// What has been seen so far.
    pub(super) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits until the stream takes no more events.
    pub(super) async fn closed(&mut self) {
        if self.seen.wait_for(|seen| seen.closed.is_some()).await.is_err() {
            // The task has ended, which it never does by itself.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for SegmentWatch {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> Result<usize, ControlError> {
        Err(ControlError::Unreachable("tcp://a:1".to_owned()))
    }

    #[test]
    fn changes_and_outages_are_noted_once() {
        let mut seen = Seen::default();
        let mut news = Vec::new();
        for (second, look) in [Ok(1), Ok(1), Ok(3), away(), away(), Ok(3), away(), Ok(2)].into_iter().enumerate() {
            news.extend(seen.note(second as f64, "s/t", look));
        }
        let texts: Vec<&str> = news
            .iter()
            .map(|news| match news {
                News::Good(text) | News::Trouble(text) => text.as_str(),
            })
            .collect();
        assert_eq!(texts.len(), 5, "{texts:?}");
        assert_eq!(texts[0], "s/t has 3 segments now, it had 1");
        assert!(texts[1].starts_with("the controller is away"), "{texts:?}");
        assert_eq!(texts[2], "the controller answers again after 2 s");
        assert_eq!(texts[4], "the controller answers again after 1 s; s/t has 2 segments now, it had 3");
        let history: Vec<(f64, usize)> = seen.segments.iter().map(|seen| (seen.seconds, seen.segments)).collect();
        assert_eq!(history, [(0.0, 1), (2.0, 3), (7.0, 2)]);
        assert_eq!(seen.outages, [Outage { from: 3.0, to: Some(5.0) }, Outage { from: 6.0, to: Some(7.0) }]);
        assert!(seen.controller_answers());
    }

    #[test]
    fn a_sealed_stream_is_told_from_a_deleted_one() {
        let mut seen = Seen::default();
        seen.note(0.0, "s/t", Ok(1));
        assert!(seen.note(1.0, "s/t", Ok(0)).is_some());
        assert_eq!(seen.closed, Some(Closed::Sealed("s/t".to_owned())));
        let missing = || ControlError::Missing { call: String::new(), reason: String::new() };
        assert_eq!(seen.note(2.0, "s/t", Err(missing())), None);
        let mut seen = Seen::default();
        seen.note(1.0, "s/t", Err(missing()));
        assert_eq!(seen.closed, Some(Closed::Deleted("s/t".to_owned())));
    }
}
