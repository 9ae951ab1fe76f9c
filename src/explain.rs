//! What a person is told of a decision beside its reason: which guard decided, what that means, and what
//! would change it. The one source of `docs/reasons.md`, `sluice plan`, the page and `/state`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::decision::{Decision, Hold};

/// How much a decision asks of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attention {
    /// All is as it should be.
    None,
    /// A change is on its way.
    Busy,
    /// It passes by itself.
    Wait,
    /// Something is away or amiss outside Sluice; Sluice goes on when it is back.
    Look,
    /// It stays so until a person does something.
    Act,
}

impl Attention {
    /// The name in JSON, and the class on the page.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Busy => "busy",
            Self::Wait => "wait",
            Self::Look => "look",
            Self::Act => "act",
        }
    }

    /// What it comes to, in a few words.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::None => "all is well",
            Self::Busy => "a change is on its way",
            Self::Wait => "it passes by itself",
            Self::Look => "something is away or amiss; Sluice goes on when it is back",
            Self::Act => "it stays so until a person does something",
        }
    }
}

/// A guard, as a person is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The reason's one name, as in [`Hold::as_str`].
    pub reason: &'static str,
    /// What it means that this guard decided.
    pub means: &'static str,
    /// What would change it.
    pub mend: &'static str,
    /// How much it asks of a person.
    pub attention: Attention,
}

const fn guard(reason: &'static str, attention: Attention, means: &'static str, mend: &'static str) -> Guard {
    Guard { reason, means, mend, attention }
}

impl Guard {
    /// Every guard, in the order in which they are asked: that of [`Hold::REASONS`].
    pub const ALL: [Self; 18] = [
        guard(
            "bad_config",
            Attention::Act,
            "The configuration cannot be acted on.",
            "Mend the flag or the setting of Flink that the text names; `sluice check` finds them all at once.",
        ),
        guard(
            "not_leader",
            Attention::None,
            "Another agent holds the lead, and only one may act.",
            "Nothing, unless no agent acts at all: then look at the Lease and at the agent that holds it.",
        ),
        guard(
            "no_lease",
            Attention::Look,
            "Which of several agents leads cannot be told, so none may act on a guess.",
            "Mend what the text names: the Lease, the right to get and update it, or the way to the API server.",
        ),
        guard(
            "rescale_in_flight",
            Attention::Busy,
            "A change is being carried out, one step at a time.",
            "Nothing: it ends when the job runs at its new width, or by its deadlines (--slots-deadline, \
             --checkpoint-deadline).",
        ),
        guard(
            "paused",
            Attention::Act,
            "A person paused the agent: it watches and changes nothing.",
            "Take the pause back where it was set; the text names who set it.",
        ),
        guard(
            "unreadable",
            Attention::Look,
            "Something that a decision needs has not been read since the agent started.",
            "Mend the address, the name, the permission or the credentials of what the text names; the log has the \
             error.",
        ),
        guard(
            "stale",
            Attention::Look,
            "Something that a decision needs was read before, but not within --staleness.",
            "Bring back what the text names; the log has the error. Sluice goes on with the first answer.",
        ),
        guard(
            "sealed_stream",
            Attention::Act,
            "The stream is sealed and has no open segment: that is not a width.",
            "Follow another stream (--stream), or stop the job.",
        ),
        guard(
            "another_autoscaler",
            Attention::Act,
            "A HorizontalPodAutoscaler or ScaledObject scales the same TaskManagers, and two would undo each other's \
             work.",
            "Delete one of the two.",
        ),
        guard(
            "job_not_running",
            Attention::Look,
            "There is no job, more than one, or it does not run whole. Nothing is narrowed meanwhile; an empty pool is \
             filled all the same.",
            "Look at Flink; with several jobs on the cluster give --flink-job.",
        ),
        guard(
            "contested",
            Attention::Act,
            "Somebody else changed the TaskManagers or the job's resource requirements, and did so again after Sluice \
             had set its own.",
            "Find out who it is and stop one of the two; or wait for --contest-expiry to pass without another change.",
        ),
        guard(
            "capacity_limited",
            Attention::Look,
            "Fewer TaskManagers are registered at Flink than the job needs.",
            "Look at the pods or the pool's logs: quota, nodes, images. More are asked for again after \
             --capacity-expiry, or when more come by themselves.",
        ),
        guard(
            "in_step",
            Attention::None,
            "The job runs, and is as wide as its streams ask for within its bounds.",
            "Another number of segments, or other bounds.",
        ),
        guard(
            "settling",
            Attention::Wait,
            "The wanted width is new and has not stood for --settle.",
            "Time, or a shorter --settle.",
        ),
        guard(
            "scale_down_window",
            Attention::Wait,
            "A wider job was wanted within --scale-down-window, or the agent has not watched for a whole window yet.",
            "Time, or a shorter --scale-down-window.",
        ),
        guard(
            "catching_up",
            Attention::Wait,
            "The job is behind the stream, or may be: narrower it would stay behind.",
            "The job catching up; or, where it always lags so far, a higher --max-pending-records.",
        ),
        guard(
            "cooling_down",
            Attention::Wait,
            "The last change ended less than --cooldown-up or --cooldown-down ago.",
            "Time, or shorter cooldowns.",
        ),
        guard(
            "restart_budget_spent",
            Attention::Wait,
            "Changes have restarted the job as often within an hour as --restarts-per-hour allows; for a change that \
             shrinks it half as often is enough.",
            "Time; a stream that changes less often; or a larger budget, if the job can bear it.",
        ),
    ];

    /// The guard of this name.
    #[must_use]
    pub fn of(reason: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|guard| guard.reason == reason)
    }
}

/// A decision as a person is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The guard that decided, or the direction of the change.
    pub guard: &'static str,
    /// `holding`, or what is being done.
    pub doing: &'static str,
    /// Why, with the numbers of this very decision.
    pub why: String,
    /// What it means that this guard decided.
    pub means: &'static str,
    /// What would change it.
    pub mend: &'static str,
    /// When time alone changes it, if it does.
    pub until: Option<Timestamp>,
    /// How much it asks of a person.
    pub attention: Attention,
}

impl Decision {
    /// Which guard decided, and what would change it.
    #[must_use]
    pub fn explain(&self) -> Explanation {
        let (doing, means, mend) = match self {
            Self::Hold(hold) => return hold.explain(),
            Self::Start(_) => (
                "starting a change",
                "No guard objects to the width that the segments ask for.",
                "Nothing: it is being carried out.",
            ),
            Self::Retarget(_) => (
                "changing the target",
                "The stream widened again before the change in flight had restarted the job.",
                "Nothing: the change in flight goes on to the new target.",
            ),
            Self::Abandon(_) => (
                "dropping the change",
                "The change in flight has touched nothing yet and is no longer wanted.",
                "Nothing: the job stays as it is.",
            ),
        };
        let why = self.in_words();
        Explanation { guard: self.reason(), doing, why, means, mend, until: None, attention: Attention::Busy }
    }
}

impl Hold {
    fn explain(&self) -> Explanation {
        let known = Guard::of(self.as_str());
        // What time alone ends, a person need not; but they may look.
        Explanation {
            guard: self.as_str(),
            doing: "holding",
            why: self.in_words(),
            means: known.map_or("", |guard| guard.means),
            mend: known.map_or("", |guard| guard.mend),
            until: self.until(),
            attention: match self {
                Self::RescaleInFlight { meanwhile: Some(_), .. } => Attention::Look,
                _ => known.map_or(Attention::Look, |guard| guard.attention),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;

    #[test]
    fn each_reason_has_its_guard_in_the_same_order() {
        assert_eq!(Guard::ALL.map(|guard| guard.reason), Hold::REASONS);
        for guard in Guard::ALL {
            assert!(guard.means.ends_with('.') && guard.mend.ends_with('.'), "{guard:?}");
        }
    }

    #[test]
    fn a_decision_says_which_guard_decided_until_when_and_what_would_change_it() {
        let until = Timestamp::UNIX_EPOCH;
        let told = Decision::Hold(Hold::CoolingDown { until }).explain();
        assert_eq!((told.guard, told.until, told.attention), ("cooling_down", Some(until), Attention::Wait));
        assert_eq!(told.why, "cooling down after the last change");
        assert!(told.mend.contains("cooldowns"), "{}", told.mend);
    }

    #[test]
    fn a_change_whose_readings_are_away_calls_for_a_look() {
        let meanwhile = Some(Box::new(Hold::Unreadable { source: Source::Flink }));
        let told = Decision::Hold(Hold::RescaleInFlight { id: 3, meanwhile }).explain();
        assert_eq!((told.guard, told.attention), ("rescale_in_flight", Attention::Look));
    }
}
