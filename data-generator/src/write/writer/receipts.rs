//! The answers that a writer waits for.
//!
//! A set of futures would wake the writer for every single one of them, which at full speed costs more
//! than everything else that the writer does. Answers come mostly in order and in batches, so only the
//! oldest is waited for; the others are looked at every few milliseconds, because the oldest may be from
//! a segment that is slower than the rest.

use super::super::outlet::Answer;
use crate::clock;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::{Instant, sleep_until};

/// For how long an answer behind the oldest is not looked at, at the least.
const LOOK_EVERY: Duration = Duration::from_millis(4);
/// And for each answer that is awaited: so looking takes half a percent of the time, not more.
const LOOK_EVERY_EACH: Duration = Duration::from_micros(2);

/// The answer to one event, with its sequence number.
pub(super) type Receipt = (u64, Result<(), String>);

/// Answers that are awaited, and those that are there.
pub(super) struct Receipts {
    awaited: VecDeque<(u64, Answer)>,
    ready: VecDeque<Receipt>,
    looked: Instant,
}

impl Receipts {
    pub(super) fn new() -> Self {
        Self { awaited: VecDeque::new(), ready: VecDeque::new(), looked: clock::now() }
    }

    /// Awaits one more.
    pub(super) fn push(&mut self, sequence: u64, answer: Answer) {
        self.awaited.push_back((sequence, answer));
    }

    /// The next one; `None` if none is awaited. Loses nothing when it is cancelled.
    pub(super) async fn next(&mut self) -> Option<Receipt> {
        loop {
            if let Some(receipt) = self.ready.pop_front() {
                return Some(receipt);
            }
            let look_at = self.look_at();
            let (sequence, oldest) = self.awaited.front_mut()?;
            tokio::select! {
                answer = oldest => {
                    let receipt = (*sequence, outcome(answer.map_err(|_| ())));
                    self.awaited.pop_front();
                    self.ready.push_back(receipt);
                    self.look_in_order();
                }
                () = sleep_until(look_at) => {}
            }
            let now = clock::now();
            if now >= self.look_at() {
                self.looked = now;
                self.look_at_all();
            }
        }
    }

    /// One that is there already.
    pub(super) fn take_ready(&mut self) -> Option<Receipt> {
        self.ready.pop_front()
    }

    /// When all are to be looked at.
    fn look_at(&self) -> Instant {
        let awaited = u32::try_from(self.awaited.len()).unwrap_or(u32::MAX);
        self.looked + LOOK_EVERY.max(LOOK_EVERY_EACH * awaited)
    }

    /// Those right behind the oldest, up to the first that is not there.
    fn look_in_order(&mut self) {
        while let Some((sequence, answer)) = self.awaited.front_mut() {
            let Some(answer) = look(answer) else { break };
            self.ready.push_back((*sequence, answer));
            self.awaited.pop_front();
        }
    }

    fn look_at_all(&mut self) {
        let ready = &mut self.ready;
        self.awaited.retain_mut(|(sequence, answer)| match look(answer) {
            Some(answer) => {
                ready.push_back((*sequence, answer));
                false
            }
            None => true,
        });
    }
}

fn look(answer: &mut Answer) -> Option<Result<(), String>> {
    match answer.try_recv() {
        Ok(answer) => Some(outcome(Ok(answer))),
        Err(TryRecvError::Closed) => Some(outcome(Err(()))),
        Err(TryRecvError::Empty) => None,
    }
}

fn outcome(answer: Result<Result<(), pravega_client::error::Error>, ()>) -> Result<(), String> {
    match answer {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        // The task that held the other end is gone: it panicked, or found the stream sealed.
        Err(()) => Err("its background task ended".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test(start_paused = true)]
    async fn the_oldest_does_not_keep_the_others_waiting() {
        let mut receipts = Receipts::new();
        let (oldest, answer) = oneshot::channel();
        receipts.push(0, answer);
        let (other, answer) = oneshot::channel();
        receipts.push(1, answer);
        let (dead, answer) = oneshot::channel();
        receipts.push(2, answer);
        other.send(Ok(())).expect("awaited");
        drop(dead);
        let began = clock::now();
        assert_eq!(receipts.next().await, Some((1, Ok(()))));
        assert!(clock::now() - began <= 2 * LOOK_EVERY);
        assert!(matches!(receipts.take_ready(), Some((2, Err(_)))));
        assert_eq!(receipts.take_ready(), None);
        oldest.send(Ok(())).expect("awaited");
        assert_eq!(receipts.next().await, Some((0, Ok(()))));
        assert_eq!(receipts.next().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_lost_when_the_wait_is_cancelled() {
        let mut receipts = Receipts::new();
        let (sender, answer) = oneshot::channel();
        receipts.push(0, answer);
        assert!(tokio::time::timeout(LOOK_EVERY / 2, receipts.next()).await.is_err());
        sender.send(Ok(())).expect("awaited");
        assert_eq!(receipts.next().await, Some((0, Ok(()))));
    }
}
