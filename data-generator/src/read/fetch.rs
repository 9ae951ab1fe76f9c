//! Brings the data of one segment to the worker, from where the lease begins to the segment's end.

use super::ReadError;
use super::frames::whole;
use super::lease::Hold;
use super::shared::Shared;
use super::store::{Found, Line, StoreError, segment_of};
use super::worker::Chunk;
use crate::pravega::ControlError;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::time::sleep;

/// Between two tries: grows from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Reads one segment; cancelled when the lease is given back.
pub(super) struct Fetch {
    pub(super) shared: Arc<Shared>,
    pub(super) hold: Arc<Hold>,
    pub(super) chunks: Sender<Chunk>,
}

impl Fetch {
    /// Ends with the segment, or with an error that no further try would mend.
    pub(super) async fn run(self) {
        let about = format!("segment {}", segment_of(&self.shared.stream, self.hold.segment));
        // A task before this one, for the same lease, may have brought some already.
        let mut offset = self.hold.next();
        let mut carry = Vec::new();
        let mut line = None;
        let mut pause = PAUSES.0;
        loop {
            match self.read(&mut line, offset, &carry).await {
                Ok(found) => {
                    self.shared.troubles.over(&about);
                    pause = PAUSES.0;
                    match self.pass_on(found, &mut offset, &mut carry).await {
                        Ok(true) => {}
                        Ok(false) => return,
                        Err(error) => {
                            self.shared.fail(error);
                            return;
                        }
                    }
                }
                // At the end of a quiet segment, or after the permission's usual time: the next
                // connection will do.
                Err(StoreError::Silent(_) | StoreError::Expired) => line = None,
                Err(error) => {
                    line = None;
                    if let StoreError::Refused(_) = error {
                        self.shared.store.forget(&self.name());
                    }
                    self.shared.troubles.note(&about, &error.to_string());
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    /// Reads what follows the beginning of an event that is already here.
    async fn read(&self, line: &mut Option<Line>, offset: i64, carry: &[u8]) -> Result<Found, StoreError> {
        if line.is_none() {
            let segment = segment_of(&self.shared.stream, self.hold.segment);
            *line = Some(self.shared.store.line(segment).await?);
        }
        match line {
            Some(line) => line.read(offset + length(carry), carry).await,
            None => Ok(Found::Nothing),
        }
    }

    /// False when there is nothing more to fetch.
    async fn pass_on(&self, found: Found, offset: &mut i64, carry: &mut Vec<u8>) -> Result<bool, ReadError> {
        let hold = Arc::clone(&self.hold);
        let chunk = match found {
            Found::Nothing => return Ok(true),
            Found::Data(mut data) => {
                let end = whole(&data).map_err(|error| {
                    let at = *offset + i64::try_from(error.at).unwrap_or(i64::MAX);
                    ReadError::NotAnEvent { segment: self.name(), offset: at }
                })?;
                *carry = data.split_off(end);
                if data.is_empty() {
                    return Ok(true);
                }
                let first = *offset;
                *offset += length(&data);
                Chunk::Events { hold, offset: first, data }
            }
            Found::Truncated { start } => {
                tracing::warn!(
                    "segment {}: retention has cut off everything before offset {start}; {} bytes were not read before",
                    self.name(),
                    start.saturating_sub(*offset)
                );
                *offset = start.max(*offset);
                carry.clear();
                Chunk::Skip { hold, to: *offset }
            }
            Found::Missing => {
                self.explain_missing().await?;
                let _ = self.chunks.send(Chunk::End { hold }).await;
                return Ok(false);
            }
            Found::End => {
                if !carry.is_empty() {
                    return Err(ReadError::NotAnEvent { segment: self.name(), offset: *offset });
                }
                let _ = self.chunks.send(Chunk::End { hold }).await;
                return Ok(false);
            }
        };
        // The worker is gone only when the whole command ends.
        Ok(self.chunks.send(chunk).await.is_ok())
    }

    /// A segment that is gone is either cut off as a whole, or its stream is deleted.
    async fn explain_missing(&self) -> Result<(), ReadError> {
        let stream = &self.shared.stream;
        let found = self.shared.store.session.stream_configuration(stream).await;
        if let Err(ControlError::Missing { .. }) = found {
            return Err(ReadError::Deleted(stream.to_string()));
        }
        // What follows it can still be asked for, whether or not the controller answers now.
        tracing::warn!("segment {}: retention has cut it off as a whole before it was read", self.name());
        Ok(())
    }

    fn name(&self) -> String {
        segment_of(&self.shared.stream, self.hold.segment).to_string()
    }
}

fn length(data: &[u8]) -> i64 {
    i64::try_from(data.len()).unwrap_or(i64::MAX)
}
