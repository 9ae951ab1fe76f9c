//! The loop: observe → decide → save → act → report. Read this first.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use sluice_core::{
    Annotations, Attention, Change, Decision, Leadership, Memory, Observation, Policy, Step, Turn, decide, in_force,
    turn,
};

use crate::{
    act, clock,
    memory_store::{MemoryStore, SaveError},
    observe::{Look, Observer, Peers, Trouble},
    report::{
        events::Events,
        history::in_words,
        metrics::Metrics,
        status::{Shared, Status},
    },
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
    /// Where it is saved, and whether this agent may act.
    pub store: MemoryStore,
    /// TELL.
    pub shared: Shared,
    /// TELL.
    pub metrics: Arc<Metrics>,
    /// TELL.
    pub events: Events,
    /// Time between two looks.
    pub poll: Duration,
    /// Carry nothing out.
    pub dry_run: bool,
    /// When the last look was.
    pub looked_at: Option<std::time::Instant>,
    /// When each trouble was logged last.
    pub logged: HashMap<(&'static str, &'static str), Timestamp>,
    /// What was last said of who leads, and of the annotations.
    pub told: (Leadership, Annotations),
}

impl ControlLoop {
    /// Looks, decides and acts until the future is dropped. It is dropped only between two awaits,
    /// and each step may be repeated, so nothing is left half done that the next agent cannot finish.
    pub async fn run(&mut self) {
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
        let Look { mut observation, mut troubles, took } =
            self.observer.look(&self.peers, self.memory.change.as_ref()).await;
        self.metrics.looked(took);
        let now = clock::now();
        observation.leadership = self.store.leadership();
        if let Some(saved) = self.store.restored().await {
            self.memory.take_over(saved);
        }
        if !observation.leadership.may_act() {
            self.memory.stand_back();
        }
        self.tell_who_leads(&observation);
        let policy = in_force(&self.policy, &mut observation);
        self.count_the_idle(&observation);
        let (had_recovered, replaced) = (self.has_recovered(), self.memory.replaced.clone());
        let Turn { decision, step, ended } = if self.dry_run {
            self.memory.note(now, &observation, &policy);
            // Whoever changes the TaskManagers beside a dry run has every right to.
            self.memory.contest = None;
            Turn { decision: decide(now, &observation, &self.memory, &policy), step: None, ended: None }
        } else {
            turn(now, &observation, &mut self.memory, &policy)
        };
        if self.memory.replaced != replaced {
            self.tell_new_job();
        }
        self.metrics.decided(&decision);
        self.tell_decision(now, &decision);

        if !self.dry_run {
            let about = self.peers.owner.reference();
            self.events.tell(about.as_ref(), &observation, &decision, ended.as_ref());
        }
        let mut status = Status::new(now, observation, decision, step.clone(), &self.memory, &policy);
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
        let about_to_act = step.as_ref().is_some_and(|step| act::action(step).is_some());
        let not_saved = |error: &SaveError| {
            let (source, kind) = error.labels();
            Trouble::new(source, kind, error)
        };
        if let Err(error) = self.store.save(&self.memory, about_to_act).await {
            troubles.push(not_saved(&error));
        } else if let (Some(step), Some(change)) = (&step, &self.memory.change) {
            match self.store.within_term(self.carry_out(step, change)).await {
                Ok(Ok(())) => {}
                Ok(Err(trouble)) => troubles.push(trouble),
                Err(error) => troubles.push(not_saved(&error)),
            }
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

    /// What a person has asked for by annotations, and which agent leads, are said when they change.
    fn tell_who_leads(&mut self, seen: &Observation) {
        let (leadership, annotations) = &mut self.told;
        if *leadership != seen.leadership {
            match &seen.leadership {
                Leadership::Alone => {}
                Leadership::Leader { identity } => tracing::info!(identity, "this agent leads"),
                Leadership::Follower { leader } => tracing::info!(leader, "another agent leads"),
                Leadership::Unknown { problem } => tracing::warn!("which agent leads cannot be told: {problem}"),
            }
            leadership.clone_from(&seen.leadership);
        }
        if let Some(pool) = &seen.pool
            && *annotations != pool.value.annotations
        {
            annotations.clone_from(&pool.value.annotations);
            let Annotations { paused, min_task_managers, max_task_managers } = annotations;
            tracing::info!(?paused, ?min_task_managers, ?max_task_managers, "annotations of the Deployment");
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
