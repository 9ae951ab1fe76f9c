//! One whole pass: take in an observation, decide, and name the next step. What the agent adds to
//! this is I/O.

use jiff::Timestamp;

use crate::{
    change::{Asked, Requirements, Savepoint, Strategy},
    decide::decide,
    decision::{Decision, Hold},
    memory::Memory,
    observation::Observation,
    outcome::{Ended, Failure, Outcome},
    policy::Policy,
    step::{Step, next_step},
};

/// What one pass came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The decision.
    pub decision: Decision,
    /// The step to carry out now, after the memory has been saved.
    pub step: Option<Step>,
    /// A change that ended in this pass.
    pub ended: Option<Ended>,
}

/// Takes in `seen`, decides, and moves the change in flight on by one step.
///
/// `memory` holds afterwards what must be saved before the step is carried out; an agent that dies
/// in between repeats the step, and every step may be repeated.
#[must_use]
pub fn turn(now: Timestamp, seen: &Observation, memory: &mut Memory, policy: &Policy) -> Turn {
    memory.note(now, seen, policy);
    let decision = decide(now, seen, memory, policy);
    match &decision {
        Decision::Start(change) | Decision::Retarget(change) => memory.begin(change.clone()),
        Decision::Abandon(_) => memory.end(now, Outcome::Failed(Failure::NoLongerWanted), seen, policy),
        Decision::Hold(Hold::RescaleInFlight { .. }) => {}
        Decision::Hold(_) => return Turn { decision, step: None, ended: None },
    }
    let Some(change) = &mut memory.change else {
        return Turn { decision, step: None, ended: None };
    };
    let step = next_step(now, seen, change, policy);
    let ended = match &step {
        Step::TriggerCheckpoint { attempt, tries } => {
            if change.asked.is_none_or(|asked| asked.attempt != *attempt) {
                change.asked = Some(Asked { attempt: *attempt, tries: *tries, at: now, completed: None });
            }
            None
        }
        Step::TriggerSavepoint => {
            change.savepoint.get_or_insert(Savepoint { at: now, location: None, failed: None });
            None
        }
        Step::SetRequirements { parallelism, pin: true, .. } => {
            memory.asked_for_bound = Some(*parallelism);
            change.pinned.get_or_insert(now);
            None
        }
        Step::SetRequirements { parallelism, pin: false, .. } => {
            memory.asked_for_bound = Some(*parallelism);
            let asked = Requirements { parallelism: *parallelism, at: now, seen: None };
            if change.requirements.is_none_or(|known| known.parallelism != asked.parallelism) {
                change.requirements = Some(asked);
            }
            None
        }
        Step::MarkIdle { members } => {
            change.choose(now, members);
            None
        }
        Step::SetReplicas { replicas, stop } => {
            memory.asked_for = Some(*replicas);
            if change.strategy == Strategy::Adaptive && !stop.is_empty() {
                change.choose(now, stop);
            }
            None
        }
        Step::End(outcome) => {
            memory.end(now, outcome.clone(), seen, policy);
            memory.last.clone()
        }
        Step::Unmark { .. } | Step::Wait(_) => None,
    };
    Turn { decision, step: Some(step), ended }
}
