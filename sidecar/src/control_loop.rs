//! The loop: observe → decide → save → act → report. Read this first.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use sluice_core::{Attention, Change, Decision, Memory, Observation, Policy, Step, Turn, decide, turn};

use crate::{
    act, clock,
    observe::{Look, Observer, Peers, Trouble},
    report::{
        history::in_words,
        metrics::Metrics,
        status::{Shared, Status},
    },
    state_file::StateFile,
};

/// While a change is in flight the agent looks at least this often, so that no phase waits long.
const LOOK_IN_FLIGHT: Duration = Duration::from_millis(250);

/// While a checkpoint is waited for, it looks at least this often: what comes in between its completion
/// and the restart is read twice.
const LOOK_FOR_CHECKPOINT: Duration = Duration::from_millis(100);

/// The same trouble is logged again after this long.
const REPEAT_TROUBLE: Duration = Duration::from_mins(1);

/// One agent.
pub struct ControlLoop {
    /// SEE.
    pub observer: Observer,
    /// The connections that both seeing and doing need.
    pub peers: Peers,
    /// What the user wants.
    pub policy: Policy,
    /// What the core remembers.
    pub memory: Memory,
    /// Where it is saved.
    pub state_file: StateFile,
    /// TELL.
    pub shared: Shared,
    /// TELL.
    pub metrics: Arc<Metrics>,
    /// Time between two looks.
    pub poll: Duration,
    /// Carry nothing out.
    pub dry_run: bool,
    /// When the last look was.
    pub looked_at: Option<std::time::Instant>,
    /// When each trouble was logged last.
    pub logged: HashMap<(&'static str, &'static str), Timestamp>,
}

impl ControlLoop {
    /// Looks, decides and acts until the future is dropped. It is dropped only between two awaits,
    /// and each step may be repeated, so nothing is left half done that the next agent cannot finish.
    pub async fn run(mut self) {
        loop {
            let begun = tokio::time::Instant::now();
            self.look().await;
            tokio::time::sleep_until(begun + self.interval()).await;
        }
    }

    fn interval(&self) -> Duration {
        match &self.memory.change {
            Some(change) if change.awaits_checkpoint().is_some() => self.poll.min(LOOK_FOR_CHECKPOINT),
            Some(_) => self.poll.min(LOOK_IN_FLIGHT),
            None => self.poll,
        }
    }

    /// One pass.
    async fn look(&mut self) {
        let Look { observation, mut troubles, took } =
            self.observer.look(&self.peers, self.memory.change.as_ref()).await;
        self.metrics.looked(took);
        let now = clock::now();
        self.count_the_idle(&observation);
        let (had_recovered, replaced) = (self.has_recovered(), self.memory.replaced.clone());
        let Turn { decision, step, ended } = if self.dry_run {
            self.memory.note(now, &observation, &self.policy);
            // Whoever changes the TaskManagers beside a dry run has every right to.
            self.memory.contest = None;
            Turn { decision: decide(now, &observation, &self.memory, &self.policy), step: None, ended: None }
        } else {
            turn(now, &observation, &mut self.memory, &self.policy)
        };
        if self.memory.replaced != replaced {
            self.tell_new_job();
        }
        self.metrics.decided(&decision);
        self.tell_decision(now, &decision);

        let mut status = Status::new(now, observation, decision, step.clone(), &self.memory, &self.policy);
        status.dry_run = self.dry_run;
        status.next_look = Some(now + self.interval());
        self.shared.set_status(status);

        if let Some(last) = self.memory.last.as_ref().filter(|_| !had_recovered && ended.is_none()) {
            self.metrics.recovered(last);
            self.shared.recovered(last);
        }
        if let Some(ended) = &ended {
            self.metrics.ended(ended);
            self.shared.ended(ended);
            tracing::info!(change = ended.change.id, outcome = ended.outcome.as_str(), "{}", in_words(ended));
        }
        // Saved before acting: an agent that dies in the middle of the step repeats it, no more.
        if let Err(error) = self.state_file.save(&self.memory) {
            troubles.push(Trouble::new("state_file", "write", &error));
        } else if let (Some(step), Some(change)) = (&step, &self.memory.change)
            && let Err(trouble) = self.carry_out(step, change).await
        {
            troubles.push(trouble);
        }
        self.tell_troubles(now, troubles);
    }

    fn has_recovered(&self) -> bool {
        self.memory.last.as_ref().is_some_and(|last| last.recovered.is_some())
    }

    fn count_the_idle(&mut self, seen: &Observation) {
        let now = clock::instant();
        let elapsed = self.looked_at.replace(now).map_or(Duration::ZERO, |last| now.duration_since(last));
        if let Some(idle) = seen.flink.as_ref().and_then(|flink| flink.value.idle()) {
            self.metrics.idled(idle, elapsed);
        }
    }

    async fn carry_out(&self, step: &Step, change: &Change) -> Result<(), Trouble> {
        let Some(action) = act::action(step) else { return Ok(()) };
        let done = act::carry_out(step, change, &self.peers).await;
        self.metrics.acted(action, done.is_ok());
        match (&done, step) {
            (Ok(()), Step::SetReplicas { replicas, stop }) => {
                tracing::info!(change = change.id, %replicas, ?stop, "asked for {replicas} TaskManagers");
            }
            (Ok(()), Step::SetRequirements { parallelism, .. }) => {
                tracing::info!(change = change.id, %parallelism, "asked Flink to run the job at parallelism {parallelism}");
            }
            (Ok(()), Step::MarkIdle { members } | Step::Unmark { members }) => {
                tracing::info!(change = change.id, action, ?members, "told which TaskManagers are idle");
            }
            (Ok(()), Step::TriggerSavepoint) => tracing::info!(change = change.id, "asked Flink for a savepoint"),
            (Ok(()), _) => tracing::info!(change = change.id, "asked Flink for a checkpoint"),
            (Err(_), _) => {}
        }
        done
    }

    fn tell_new_job(&self) {
        if let (Some(replaced), Some(job)) = (&self.memory.replaced, &self.memory.job) {
            tracing::warn!(
                job,
                before = replaced.job,
                "Flink runs another job than before: a JobManager without high availability came back, or the job was \
                 started anew; it is not narrowed before a whole --scale-down-window has been watched"
            );
        }
    }

    fn tell_decision(&self, now: Timestamp, decision: &Decision) {
        if self.shared.decided(now, decision) {
            let told = decision.explain();
            let mend = matches!(told.attention, Attention::Look | Attention::Act).then_some(told.mend);
            tracing::info!(decision = decision.kind(), reason = decision.reason(), mend, "{decision}");
        }
    }

    fn tell_troubles(&mut self, now: Timestamp, troubles: Vec<Trouble>) {
        self.metrics.troubled(&troubles);
        self.shared.set_troubles(troubles.clone());
        self.logged.retain(|_, at| now < *at + REPEAT_TROUBLE);
        for Trouble { source, kind, message } in troubles {
            if self.logged.insert((source, kind), now).is_none() {
                tracing::warn!(source, kind, "{message}");
            }
        }
    }
}
