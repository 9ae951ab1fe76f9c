//! Keeps an eye on how far the ends of our segments are from what we have processed: the lag.

use super::lease::Hold;
use super::shared::Shared;
use super::store::{Line, StoreError, segment_of};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

const EVERY: Duration = Duration::from_secs(1);

/// Asks for the tails of the segments that this process holds, for as long as it is not cancelled.
pub(super) async fn watch_tails(shared: Arc<Shared>) {
    let mut lines = HashMap::new();
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let holds: Vec<Arc<Hold>> = shared.holds().values().cloned().collect();
        lines.retain(|segment, _| holds.iter().any(|hold| hold.segment == *segment));
        for hold in holds {
            match look(&shared, lines.remove(&hold.segment), &hold).await {
                Ok(line) => {
                    lines.insert(hold.segment, line);
                }
                Err(error) => {
                    // Whoever reads the segment says so if it cannot be had; here only the lag is
                    // unknown, and that it is.
                    tracing::debug!(%error, segment = hold.segment, "no tail");
                    hold.note_tail(-1);
                }
            }
        }
    }
}

async fn look(shared: &Shared, line: Option<Line>, hold: &Hold) -> Result<Line, StoreError> {
    let mut line = match line {
        Some(line) => line,
        None => shared.store.line(segment_of(&shared.stream, hold.segment)).await?,
    };
    hold.note_tail(line.tail().await?);
    Ok(line)
}
