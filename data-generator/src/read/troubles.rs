//! What does not work at the moment, said when it begins and when it is over.

use crate::clock;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Troubles that last, by what they are about.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    lasting: Mutex<Lasting>,
}

#[derive(Debug, Default)]
struct Lasting {
    since: BTreeMap<String, (Instant, String)>,
    /// How many there have been.
    count: u64,
}

impl Troubles {
    /// It does not work; the first time in a row it is said.
    pub(super) fn note(&self, about: &str, reason: &str) {
        let mut lasting = self.lasting();
        if let Some((_, last)) = lasting.since.get_mut(about) {
            reason.clone_into(last);
            return;
        }
        lasting.count += 1;
        lasting.since.insert(about.to_owned(), (clock::now(), reason.to_owned()));
        tracing::warn!("{about}: {reason}; trying again");
    }

    /// Nobody wants it any more.
    pub(super) fn forget(&self, about: &str) {
        self.lasting().since.remove(about);
    }

    /// It works.
    pub(super) fn over(&self, about: &str) {
        if let Some((since, _)) = self.lasting().since.remove(about) {
            tracing::info!("{about}: well again after {:.1} s", (clock::now() - since).as_secs_f64());
        }
    }

    /// The one that has lasted longest: for how long, and in words.
    pub(super) fn longest(&self) -> Option<(Duration, String)> {
        let lasting = self.lasting();
        let (about, (since, reason)) = lasting.since.iter().min_by_key(|(_, (since, _))| *since)?;
        Some((clock::now() - *since, format!("{about}: {reason}")))
    }

    /// How many there have been.
    pub(super) fn count(&self) -> u64 {
        self.lasting().count
    }

    fn lasting(&self) -> MutexGuard<'_, Lasting> {
        self.lasting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
