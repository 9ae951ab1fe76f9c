//! What a person asks of the agent while it runs, by annotations of the Deployment: to pause, and to
//! stay within other bounds than those of the flags.

use crate::{
    observation::{Annotations, Observation},
    policy::Policy,
    units::TaskManagers,
};

/// The policy in force: `policy`, with what the annotations override. What they ask for beyond that is
/// noted in `seen`: a pause, or that they cannot be acted on.
///
/// A reading that has gone stale still counts: who paused the agent has not taken it back.
#[must_use]
pub fn in_force(policy: &Policy, seen: &mut Observation) -> Policy {
    let Some(pool) = &seen.pool else { return policy.clone() };
    let annotations = &pool.value.annotations;
    let (paused, bounded) = (is_paused(annotations), bounded(policy, annotations));
    if paused == Ok(true) {
        seen.paused_by = Some(format!("the annotation {}", Annotations::PAUSED));
    }
    if let Some(problem) = paused.err().or_else(|| bounded.clone().err()) {
        seen.config_problem.get_or_insert(problem);
    }
    bounded.unwrap_or_else(|_| policy.clone())
}

fn is_paused(annotations: &Annotations) -> Result<bool, String> {
    match annotations.paused.as_deref().map(str::trim) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(format!("annotation {}: '{other}' is neither true nor false", Annotations::PAUSED)),
    }
}

fn bounded(policy: &Policy, annotations: &Annotations) -> Result<Policy, String> {
    let (min_name, max_name) = (Annotations::MIN_TASK_MANAGERS, Annotations::MAX_TASK_MANAGERS);
    let min = number(min_name, annotations.min_task_managers.as_deref())?;
    let max = number(max_name, annotations.max_task_managers.as_deref())?;
    let named = |annotation: &str, flag: &str, given: Option<TaskManagers>| {
        if given.is_some() { format!("annotation {annotation}") } else { flag.to_owned() }
    };
    let (least, most) = (min.unwrap_or(policy.min_task_managers()), max.unwrap_or(policy.max_task_managers()));
    if least > most {
        return Err(format!(
            "{} {least} is more than {} {most}: nothing lies between them",
            named(min_name, "--min-task-managers", min),
            named(max_name, "--max-task-managers", max),
        ));
    }
    Ok(policy.within(least, most))
}

fn number(annotation: &str, text: Option<&str>) -> Result<Option<TaskManagers>, String> {
    let Some(text) = text.map(str::trim) else { return Ok(None) };
    match text.parse() {
        Ok(0) => Err(format!("annotation {annotation}: 0 would stop the job; give at least 1")),
        Ok(number) => Ok(Some(TaskManagers(number))),
        Err(_) => Err(format!("annotation {annotation}: '{text}' is not a number of TaskManagers")),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        observation::{Pool, Reading},
        policy::PolicyOptions,
    };

    fn policy() -> Policy {
        Policy::try_from(PolicyOptions::default()).unwrap()
    }

    fn annotated(paused: Option<&str>, min: Option<&str>, max: Option<&str>) -> (Policy, Observation) {
        let text = |value: Option<&str>| value.map(str::to_owned);
        let annotations =
            Annotations { paused: text(paused), min_task_managers: text(min), max_task_managers: text(max) };
        let pool = Pool { annotations, ..Pool::default() };
        let mut seen =
            Observation { pool: Some(Reading { at: Timestamp::UNIX_EPOCH, value: pool }), ..Observation::default() };
        (in_force(&policy(), &mut seen), seen)
    }

    #[test]
    fn without_annotations_the_flags_stand() {
        assert_eq!(in_force(&policy(), &mut Observation::default()), policy());
        assert_eq!(annotated(None, None, None).0, policy());
        assert_eq!(annotated(Some("false"), None, None).1.paused_by, None);
    }

    #[test]
    fn annotations_pause_and_set_other_bounds() {
        let (policy, seen) = annotated(Some("true"), Some(" 2 "), Some("3"));
        assert_eq!((policy.min_task_managers(), policy.max_task_managers()), (TaskManagers(2), TaskManagers(3)));
        assert!(seen.paused_by.is_some_and(|by| by.contains(Annotations::PAUSED)));
        assert_eq!(seen.config_problem, None);
    }

    #[test]
    fn what_cannot_be_acted_on_names_its_annotation_and_changes_nothing() {
        let cases = [
            (Some("yes"), None, None, Annotations::PAUSED),
            (None, Some("two"), None, Annotations::MIN_TASK_MANAGERS),
            (None, Some("0"), None, Annotations::MIN_TASK_MANAGERS),
            (None, Some("-1"), None, Annotations::MIN_TASK_MANAGERS),
            (None, None, Some(""), Annotations::MAX_TASK_MANAGERS),
            (None, None, Some("4294967296"), Annotations::MAX_TASK_MANAGERS),
            (None, Some("33"), None, "--max-task-managers 32"),
            (None, Some("3"), Some("2"), "min-task-managers 3 is more than annotation"),
        ];
        for (paused, min, max, named) in cases {
            let (in_force, seen) = annotated(paused, min, max);
            let problem = seen.config_problem.unwrap_or_default();
            assert!(problem.contains(named), "{problem}");
            assert_eq!(in_force, policy());
        }
    }
}
