//! A reader's hands: a thread that takes data in order, and burns time on each event as the Flink
//! job's busy operator does. A thread and not a task, so that a reader that is busy never keeps the
//! signs of life or the positions of the others waiting.

use super::checks::Seen;
use super::frames::frames;
use super::lease::Hold;
use super::shared::Shared;
use super::slice::Slice;
use crate::clock;
use crate::event;
use std::hint::black_box;
use std::sync::Arc;
use tokio::sync::mpsc::Receiver;

/// Events that are counted together when they cost no time.
const BATCH: usize = 256;

/// What a worker is given, in the order of each segment.
pub(super) enum Chunk {
    /// Whole events, of which the first stands at this offset.
    Events { hold: Arc<Hold>, offset: i64, data: Slice },
    /// There is nothing before this offset any more.
    Skip { hold: Arc<Hold>, to: i64 },
    /// The segment ends.
    End { hold: Arc<Hold> },
}

/// Works until nobody can send any more.
pub(super) fn work(shared: &Shared, mut chunks: Receiver<Chunk>) {
    while let Some(chunk) = chunks.blocking_recv() {
        match chunk {
            Chunk::Events { hold, offset, data } => process(shared, &hold, offset, &data),
            Chunk::Skip { hold, to } => hold.skip_to(to),
            Chunk::End { hold } => {
                hold.end();
                shared.nudge();
            }
        }
    }
}

fn process(shared: &Shared, hold: &Hold, offset: i64, data: &[u8]) {
    // A busy reader counts event by event, so that it can be stopped, and killed, between any two.
    let batch = if shared.plan.iterations == 0 { BATCH } else { 1 };
    let mut seen = Vec::with_capacity(batch);
    let mut frames = frames(data).peekable();
    while frames.peek().is_some() {
        if !hold.begin() {
            return;
        }
        let (mut events, mut bytes, mut foreign, mut end) = (0, 0, 0, 0);
        seen.clear();
        for frame in frames.by_ref().take(batch) {
            events += 1;
            bytes += frame.event.len() as u64;
            end = frame.end;
            let at = offset + i64::try_from(frame.start).unwrap_or(i64::MAX);
            match event::parse(frame.event) {
                Ok(event) => {
                    burn(event.bases, shared.plan.iterations);
                    let id = event.identity;
                    // Until the batch is done this is the time it was meant to be sent.
                    seen.push(Seen { writer: id.writer, sequence: id.sequence, latency_us: id.time_us, offset: at });
                }
                Err(error) => {
                    foreign += 1;
                    shared.note_foreign(hold.segment, at, error);
                }
            }
        }
        let now_us = u64::try_from(clock::wall().as_microsecond()).unwrap_or(0);
        for event in &mut seen {
            event.latency_us = now_us.saturating_sub(event.latency_us);
        }
        let next = offset + i64::try_from(end).unwrap_or(i64::MAX);
        shared.note(hold.segment, &seen, next, |counts| {
            counts.events += events;
            counts.bytes += bytes;
            counts.foreign += foreign;
        });
        let ids = if shared.keeps_ledger() { seen.as_slice() } else { &[] };
        hold.done(next, events, ids);
    }
}

/// Counts A, C, G and T of the bases, so many times.
fn burn(bases: &[u8], iterations: u64) {
    for _ in 0..iterations {
        black_box(count(black_box(bases)));
    }
}

fn count(bases: &[u8]) -> [u64; 4] {
    let mut counts = [0; 4];
    for base in bases {
        match base {
            b'A' => counts[0] += 1,
            b'C' => counts[1] += 1,
            b'G' => counts[2] += 1,
            b'T' => counts[3] += 1,
            _ => {}
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_are_counted() {
        assert_eq!(count(b"GATTACA"), [3, 1, 1, 2]);
    }
}
