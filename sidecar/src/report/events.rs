//! TELL: Kubernetes Events on the Deployment, for people who look there first.
//!
//! Each reason is the one name of what happened, in CamelCase. What lasts is told when it has lasted a
//! moment, and again now and then; what happens once, such as the end of a change, is told once. The
//! loop never waits for the API server: a task of its own writes, and what it cannot write is dropped.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use sluice_core::{Attention, Decision, Ended, Hold, Leadership, Observation, Outcome};
use tokio::{sync::mpsc, time::Instant};

use crate::{
    kubernetes::{Api, instance},
    report::history::in_words,
};

/// What lasts shorter than this is not worth an Event: a job that is just starting, a pod that waits for
/// a node.
const LASTING: Duration = Duration::from_secs(10);

/// What was not seen for so long has ended.
const GONE: Duration = Duration::from_secs(10);

/// What must be mended is told again after this long while it lasts; Kubernetes counts it in the same
/// Event. Nothing is told more often than this.
const AGAIN: Duration = Duration::from_mins(5);

/// An API server that is away is asked so often.
const ATTEMPTS: u32 = 24;

/// And after this long.
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(5);

/// More than this waits to be written only if the API server is away, and is dropped.
const WAITING: usize = 32;

/// The longest note that an Event may have is 1 kB.
const LONGEST: usize = 900;

/// And the longest action.
const LONGEST_ACTION: usize = 128;

/// An API server that has just come back forbids what it allows a moment later; one that still refuses is believed.
const REFUSALS: u32 = 3;

/// 403 Forbidden: the Role is missing, or not read yet.
const FORBIDDEN: u16 = 403;

/// 429 Too Many Requests: an API server that has just come back asks for patience.
const BUSY: u16 = 429;

/// Where Events go.
#[derive(Debug)]
pub struct Events {
    to: Option<mpsc::Sender<Told>>,
    lasting: Mutex<HashMap<(&'static str, String), Lasting>>,
}

#[derive(Debug)]
struct Told {
    about: ObjectReference,
    reason: String,
    action: String,
    note: String,
    kind: EventType,
}

/// What is the matter at the moment.
#[derive(Debug)]
struct Condition {
    reason: &'static str,
    /// With what, where that makes another matter of it: an object, a source, a cause.
    with: String,
    note: String,
    kind: EventType,
}

/// Something that lasts.
#[derive(Debug)]
struct Lasting {
    since: Instant,
    seen: Instant,
    told: Option<Instant>,
}

impl Events {
    /// Tells nothing.
    #[must_use]
    pub fn none() -> Self {
        Self { to: None, lasting: Mutex::default() }
    }

    /// Begins the task that writes; it ends when this is dropped.
    #[must_use]
    pub fn start(api: &Api) -> Self {
        let (to, mut from) = mpsc::channel::<Told>(WAITING);
        let reporter = Reporter { controller: "sluice".to_owned(), instance: Some(instance()) };
        let (recorder, timeout) = (Recorder::new(api.client(), reporter), api.timeout());
        tokio::spawn(async move {
            let mut said = false;
            while let Some(told) = from.recv().await {
                let Told { about, reason, action, note, kind } = told;
                let event = Event { type_: kind, reason, note: Some(note), action, secondary: None };
                let mut refusals = 0;
                // What was the matter while the API server was away is worth knowing afterwards.
                for _ in 0..ATTEMPTS {
                    match tokio::time::timeout(timeout, recorder.publish(&event, &about)).await {
                        Ok(Ok(())) => break,
                        Ok(Err(kube::Error::Api(refused))) if refused.code < 500 && refused.code != BUSY => {
                            refusals += 1;
                            if refusals == REFUSALS {
                                if refused.code != FORBIDDEN {
                                    tracing::warn!(%refused, reason = event.reason, "an Event was not taken");
                                } else if !std::mem::replace(&mut said, true) {
                                    tracing::warn!(
                                        %refused, reason = event.reason,
                                        "Events cannot be written: they take the verbs [create, patch] for events in events.k8s.io"
                                    );
                                }
                                break;
                            }
                        }
                        Ok(Err(_)) | Err(_) => {}
                    }
                    tokio::time::sleep(BETWEEN_ATTEMPTS).await;
                }
            }
        });
        Self { to: Some(to), lasting: Mutex::default() }
    }

    /// Tells what one look has come to.
    pub fn tell(
        &self,
        about: Option<&ObjectReference>,
        seen: &Observation,
        decision: &Decision,
        ended: Option<&Ended>,
    ) {
        let (Some(to), Some(about)) = (&self.to, about) else { return };
        let send = |reason: &str, action: String, note: String, kind: EventType| {
            let note = note[..note.floor_char_boundary(LONGEST)].to_owned();
            let told = Told { about: about.clone(), reason: camel_case(reason), action, note, kind };
            // Full: the API server is away, and what lasts is told again.
            let _ = to.try_send(told);
        };
        for condition in conditions(seen, decision) {
            if self.is_due(&condition, Instant::now()) {
                // Kubernetes counts an Event of the same reason and action in the one that is there.
                let action = format!("Observe {}", condition.with);
                let action = action[..action.floor_char_boundary(LONGEST_ACTION)].trim_end().to_owned();
                send(condition.reason, action, condition.note, condition.kind);
            }
        }
        for (reason, change, note, kind) in happened(decision, ended) {
            send(&reason, format!("Change{change}"), note, kind);
        }
    }

    /// Whether something that is seen now has lasted, and was not told lately.
    fn is_due(&self, condition: &Condition, now: Instant) -> bool {
        let mut lasting = self.lasting.lock().unwrap_or_else(PoisonError::into_inner);
        lasting.retain(|_, known| now < known.seen + AGAIN);
        let fresh = || Lasting { since: now, seen: now, told: None };
        let known = lasting.entry((condition.reason, condition.with.clone())).or_insert_with(fresh);
        if known.seen + GONE < now {
            known.since = now;
        }
        known.seen = now;
        let again = |told: Instant| now >= told + AGAIN && (condition.kind == EventType::Warning || told < known.since);
        let due = now >= known.since + LASTING && known.told.is_none_or(again);
        if due {
            known.told = Some(now);
        }
        due
    }
}

/// What is the matter at the moment, by reason.
fn conditions(seen: &Observation, decision: &Decision) -> Vec<Condition> {
    let mut found = Vec::new();
    let hold = match decision {
        Decision::Hold(Hold::RescaleInFlight { meanwhile, .. }) => meanwhile.as_deref(),
        Decision::Hold(hold) => Some(hold),
        Decision::Start(_) | Decision::Retarget(_) | Decision::Abandon(_) => None,
    };
    if let Some(hold) = hold {
        // Who paused the agent, or runs several, knows.
        let wanted = matches!(hold, Hold::Paused { .. } | Hold::NotLeader { .. });
        let told = Decision::Hold(hold.clone()).explain();
        if wanted || matches!(told.attention, Attention::Look | Attention::Act) {
            let kind = if wanted { EventType::Normal } else { EventType::Warning };
            let note = format!("{}. {}", told.why, told.mend);
            found.push(Condition { reason: hold.as_str(), with: with(hold), note, kind });
        }
    }
    if let Some(shortage) = seen.pool.as_ref().and_then(|pool| pool.value.shortage.as_ref()) {
        let (reason, note) = (shortage.cause.as_str(), shortage.to_string());
        found.push(Condition { reason, with: String::new(), note, kind: EventType::Warning });
    }
    if let Leadership::Leader { identity } = &seen.leadership {
        let note = format!("{identity} acts for this Deployment");
        found.push(Condition { reason: "leading", with: String::new(), note, kind: EventType::Normal });
    }
    found
}

/// What tells one hold from another of the same reason.
fn with(hold: &Hold) -> String {
    match hold {
        Hold::Unreadable { source } | Hold::Stale { source, .. } => source.to_string(),
        Hold::SealedStream { stream } => stream.to_string(),
        Hold::NotLeader { leader: name } | Hold::AnotherAutoscaler { name } => name.clone(),
        Hold::CapacityLimited { shortage: Some(shortage), .. } => shortage.cause.as_str().to_owned(),
        _ => String::new(),
    }
}

/// What has just happened to a change: the reason, which change, and in words.
fn happened(decision: &Decision, ended: Option<&Ended>) -> Vec<(String, u64, String, EventType)> {
    let mut found = Vec::new();
    let begun = match decision {
        Decision::Hold(_) => None,
        Decision::Start(change) => Some(("change_started", change)),
        Decision::Retarget(change) => Some(("change_retargeted", change)),
        Decision::Abandon(change) => Some(("change_abandoned", change)),
    };
    if let Some((reason, change)) = begun {
        found.push((reason.to_owned(), change.id, decision.to_string(), EventType::Normal));
    }
    if let Some(ended) = ended {
        let kind = if ended.outcome == Outcome::Done { EventType::Normal } else { EventType::Warning };
        found.push((format!("change_{}", ended.outcome.as_str()), ended.change.id, in_words(ended), kind));
    }
    found
}

/// `another_autoscaler` becomes `AnotherAutoscaler`.
fn camel_case(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    name.split('_').map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::scripted::{Answer, Server, failure, ok};

    const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/flink/events";

    /// How often one Event is sent to an API server that answers like this.
    async fn attempts(answers: Vec<Answer>) -> usize {
        let (api, server) = Server::start(&[(EVENTS, answers)]);
        let events = Events::start(&api);
        let about = ObjectReference { namespace: Some("flink".to_owned()), ..ObjectReference::default() };
        let (reason, action, note) = ("NoLease".to_owned(), "Observe".to_owned(), "gone".to_owned());
        let told = Told { about, reason, action, note, kind: EventType::Warning };
        events.to.as_ref().unwrap().send(told).await.unwrap();
        tokio::time::sleep(Duration::from_mins(10)).await;
        server.asked(EVENTS).await.len()
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_comes_back_is_asked_until_it_takes_the_event() {
        let forbidden = failure(403, "Forbidden", "the roles are not read yet");
        let taken = ok(&serde_json::json!({ "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {} }));
        let answers = vec![Answer::Cut, Answer::Silence, forbidden.clone(), forbidden.clone(), taken];
        assert_eq!(attempts(answers).await, 5);
        assert_eq!(attempts(vec![forbidden]).await, 3, "a right that is missing");
        assert_eq!(attempts(vec![Answer::Cut]).await, 24, "an API server that stays away");
    }

    fn condition(reason: &'static str, with: &str, kind: EventType) -> Condition {
        Condition { reason, with: with.to_owned(), note: String::new(), kind }
    }

    #[test]
    fn what_lasts_is_told_after_a_moment_and_again_after_minutes() {
        let (events, start) = (Events::none(), Instant::now());
        let told: Vec<_> = (0..620)
            .filter(|second| {
                let contested = condition("contested", "", EventType::Warning);
                events.is_due(&contested, start + Duration::from_secs(*second))
            })
            .collect();
        assert_eq!(told, [10, 310, 610]);
        let paused = condition("paused", "", EventType::Normal);
        let due = |second: &u64| events.is_due(&paused, start + Duration::from_secs(*second));
        assert_eq!((0..620).filter(due).collect::<Vec<_>>(), [10], "nothing to mend");
    }

    #[test]
    fn what_comes_and_goes_is_not_told_each_time() {
        let (events, start) = (Events::none(), Instant::now());
        let due = |reason, second| {
            events.is_due(&condition(reason, "", EventType::Warning), start + Duration::from_secs(second))
        };
        let seen = (0..3600).filter(|second| second % 60 < 5);
        assert_eq!(seen.filter(|second| due("stale", *second)).count(), 0);
        let seen = (0..3600).filter(|second| second % 60 < 30);
        let told = seen.filter(|second| due("unreadable", *second)).count();
        assert_eq!(told, 12, "once in five minutes");
    }

    #[test]
    fn another_matter_of_the_same_reason_is_told_too() {
        let (events, start) = (Events::none(), Instant::now());
        let told = |second: u64| {
            let with = if second < 60 { "HorizontalPodAutoscaler/a" } else { "ScaledObject/b" };
            let found = condition("another_autoscaler", with, EventType::Warning);
            events.is_due(&found, start + Duration::from_secs(second)).then_some((second, with))
        };
        let told: Vec<_> = (0..300).filter_map(told).collect();
        assert_eq!(told, [(10, "HorizontalPodAutoscaler/a"), (70, "ScaledObject/b")]);
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let (events, start) = (Events::none(), Instant::now());
        for second in 0..3600 {
            let found = condition("not_leader", &format!("agent-{second}"), EventType::Normal);
            events.is_due(&found, start + Duration::from_secs(second));
        }
        assert!(events.lasting.lock().unwrap().len() <= 301);
    }

    #[test]
    fn reasons_are_the_one_name_in_camel_case() {
        assert_eq!(camel_case("another_autoscaler"), "AnotherAutoscaler");
        assert_eq!(camel_case("change_checkpoint_timed_out"), "ChangeCheckpointTimedOut");
        assert!(Hold::REASONS.iter().all(|reason| camel_case(reason).len() <= 128));
    }
}
