//! Whose turn it is, as far as one agent can tell from its own clock alone.
//!
//! Clocks of two machines are never compared: another agent's term is over when its Lease has not
//! changed for as long as it lasts, counted from when this agent saw it change last. The own term is
//! counted from before the request that renewed it was sent, and ends a fifth early, so that it is over
//! before anyone else takes it for over.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::LeaseSpec;
use tokio::time::Instant;

/// What one agent knows of the Lease.
#[derive(Debug)]
pub(super) struct Term {
    me: String,
    /// How the names begin of those that are certainly gone, if there are any such.
    before: Option<String>,
    seen: Option<Sighting>,
}

#[derive(Debug)]
struct Sighting {
    spec: LeaseSpec,
    /// When the Lease was first seen like this.
    since: Instant,
}

/// What may be done about the Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It is held by this agent: renew it.
    Mine,
    /// It is free, or its holder has not renewed it in time: take it.
    Free,
    /// It is held by this other agent.
    Theirs(String),
}

impl Term {
    pub fn new(me: String, before: Option<String>) -> Self {
        Self { me, before, seen: None }
    }

    /// Takes in the Lease as it was just read.
    pub fn claim(&mut self, now: Instant, spec: &LeaseSpec) -> Claim {
        // Only at the first look: what begins to hold it later is alive.
        let gone = |holder: &str| {
            self.seen.is_none() && self.before.as_deref().is_some_and(|before| holder.starts_with(before))
        };
        let abandoned = spec.holder_identity.as_deref().is_some_and(gone);
        let since = match &self.seen {
            Some(seen) if seen.spec == *spec => seen.since,
            _ => now,
        };
        self.seen = Some(Sighting { spec: spec.clone(), since });
        match spec.holder_identity.as_deref() {
            None | Some("") => Claim::Free,
            Some(holder) if holder == self.me => Claim::Mine,
            Some(_) if abandoned || now >= since + lasts(spec) => Claim::Free,
            Some(holder) => Claim::Theirs(holder.to_owned()),
        }
    }
}

/// How long the Lease lasts unless it is renewed. One that does not say so is nobody's promise.
fn lasts(spec: &LeaseSpec) -> Duration {
    spec.lease_duration_seconds
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map_or(Duration::ZERO, Duration::from_secs)
}

/// When the own term ends that a request renewed which was sent at `sent`.
pub(super) fn ends(sent: Instant, lease: Duration) -> Instant {
    sent + lease * 4 / 5
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{apimachinery::pkg::apis::meta::v1::MicroTime, jiff::Timestamp};

    use super::*;

    fn held(by: &str, renewed: i64) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(by.to_owned()),
            lease_duration_seconds: Some(15),
            renew_time: Some(MicroTime(Timestamp::from_second(renewed).unwrap())),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn another_term_ends_when_it_has_not_been_seen_to_change_for_its_duration() {
        let (start, mut term) = (Instant::now(), Term::new("a".to_owned(), None));
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let theirs = Claim::Theirs("b".to_owned());
        // However old its renewal claims to be, or however far ahead: their clock is not ours.
        for (second, renewed) in [(0, 0), (10, 9_999_999_999), (20, 1)] {
            assert_eq!(term.claim(at(second), &held("b", renewed)), theirs);
        }
        assert_eq!(term.claim(at(34), &held("b", 1)), theirs);
        assert_eq!(term.claim(at(35), &held("b", 1)), Claim::Free);
        assert_eq!(term.claim(at(36), &held("c", 1)), Claim::Theirs("c".to_owned()), "somebody was faster");
    }

    #[test]
    fn a_lease_that_nobody_holds_is_free_and_ones_own_is_ones_own() {
        let (now, mut term) = (Instant::now(), Term::new("a".to_owned(), None));
        assert_eq!(term.claim(now, &LeaseSpec::default()), Claim::Free);
        assert_eq!(term.claim(now, &held("", 5)), Claim::Free);
        assert_eq!(term.claim(now, &held("a", 5)), Claim::Mine);
        let unlimited = LeaseSpec { lease_duration_seconds: None, ..held("b", 5) };
        assert_eq!(term.claim(now, &unlimited), Claim::Free);
    }

    #[test]
    fn what_ran_before_in_the_same_container_is_gone_for_certain() {
        let new = || Term::new("pod_1-b".to_owned(), Some("pod_1-".to_owned()));
        let (now, mut term) = (Instant::now(), new());
        assert_eq!(term.claim(now, &held("pod_1-a", 5)), Claim::Free);
        assert_eq!(term.claim(now, &held("pod_1-c", 5)), Claim::Theirs("pod_1-c".to_owned()), "it came later");
        assert_eq!(new().claim(now, &held("pod_17-a", 5)), Claim::Theirs("pod_17-a".to_owned()));
        assert_eq!(new().claim(now, &held("pod-2_1-a", 5)), Claim::Theirs("pod-2_1-a".to_owned()));
    }

    #[test]
    fn the_own_term_is_over_before_it_is_over_for_others() {
        let sent = Instant::now();
        assert_eq!(ends(sent, Duration::from_secs(15)) - sent, Duration::from_secs(12));
    }
}
