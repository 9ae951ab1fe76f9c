//! Notices readers that show no sign of life any more.
//!
//! No clock is compared with another one's: a sign of life is a number in the group's state that
//! changes, and how long it has not is measured on our own steady clock, between our own looks. If we
//! could not look ourselves for a while (the store was away for all), that time does not count.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::time::Instant;

/// What one reader knows of the others' signs of life.
#[derive(Debug)]
pub(super) struct Watch {
    timeout: Duration,
    /// A longer pause between two looks than this says nothing about the others.
    longest_pause: Duration,
    looked: Option<Instant>,
    seen: HashMap<String, (u64, Instant)>,
}

impl Watch {
    pub(super) fn new(timeout: Duration, every: Duration) -> Self {
        let longest_pause = (every * 3).max(Duration::from_secs(1));
        Self { timeout, longest_pause, looked: None, seen: HashMap::new() }
    }

    /// Takes a look at the signs of life and returns those readers, other than `me`, whose one has
    /// not changed for the timeout.
    pub(super) fn dead(&mut self, readers: &BTreeMap<String, u64>, me: &str, now: Instant) -> Vec<(String, u64)> {
        if self.looked.is_none_or(|looked| now - looked > self.longest_pause) {
            self.seen.clear();
        }
        self.looked = Some(now);
        self.seen.retain(|reader, _| readers.contains_key(reader));
        let mut dead = Vec::new();
        for (reader, beat) in readers.iter().filter(|(reader, _)| *reader != me) {
            let (last, since) = self.seen.entry(reader.clone()).or_insert((*beat, now));
            if last != beat {
                (*last, *since) = (*beat, now);
            } else if now - *since >= self.timeout {
                dead.push((reader.clone(), *beat));
            }
        }
        dead
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const SECOND: Duration = Duration::from_secs(1);

    fn readers(beats: &[(&str, u64)]) -> BTreeMap<String, u64> {
        beats.iter().map(|(reader, beat)| ((*reader).to_owned(), *beat)).collect()
    }

    #[test]
    fn a_reader_without_a_new_sign_for_the_timeout_is_dead() {
        let mut watch = Watch::new(3 * SECOND, SECOND);
        let start = clock::now();
        for second in 0..3_u32 {
            let beats = readers(&[("me", 0), ("dead", 7), ("alive", u64::from(second))]);
            assert!(watch.dead(&beats, "me", start + second * SECOND).is_empty(), "{second}");
        }
        let beats = readers(&[("me", 0), ("dead", 7), ("alive", 2)]);
        assert_eq!(watch.dead(&beats, "me", start + 3 * SECOND), [("dead".to_owned(), 7)]);
    }

    #[test]
    fn the_time_in_which_we_could_not_look_does_not_count() {
        let mut watch = Watch::new(3 * SECOND, SECOND);
        let start = clock::now();
        let beats = readers(&[("me", 0), ("other", 7)]);
        assert!(watch.dead(&beats, "me", start).is_empty());
        assert!(watch.dead(&beats, "me", start + 60 * SECOND).is_empty());
        assert!(watch.dead(&beats, "me", start + 62 * SECOND).is_empty());
        assert_eq!(watch.dead(&beats, "me", start + 64 * SECOND).len(), 1);
    }
}
