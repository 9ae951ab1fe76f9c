//! The hand that changes the width: an agent that follows the stream, or TaskManagers that are started
//! and stopped and nothing else.

use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde_json::Value;
use sluice_e2e::scene::Scene;
use sluice_lab::rig::{Agent, Look};

use crate::driver::Driver;

/// How long the agent may take to notice that a change is over.
const LIMIT: Duration = Duration::from_mins(1);

/// What changes the width.
pub enum Hand {
    Agent(Box<Agent>),
    Replicas {
        /// Those that run, oldest first.
        ids: Vec<String>,
        /// How many were ever started.
        started: u32,
    },
}

impl Hand {
    /// Starts the agent, or the first TaskManagers.
    pub async fn start(scene: &mut Scene, driver: Driver, width: u32) -> Result<Self> {
        if let Some(flags) = driver.agent() {
            let mut plan = scene.agent_plan();
            plan.flags = flags;
            return Ok(Self::Agent(Box::new(Agent::start(&scene.run, &plan).await?)));
        }
        let mut hand = Self::Replicas { ids: Vec::new(), started: 0 };
        hand.set(scene, width)?;
        Ok(hand)
    }

    /// Does as a Deployment does: what is missing is started; of what is too many the newest goes, all
    /// at once. An agent needs no telling.
    pub fn set(&mut self, scene: &mut Scene, replicas: u32) -> Result<()> {
        let Self::Replicas { ids, started } = self else { return Ok(()) };
        let replicas = replicas as usize;
        let gone = ids.split_off(replicas.min(ids.len()));
        scene.flink.dismiss_task_managers(gone.iter().map(String::as_str));
        while ids.len() < replicas {
            // A name of its own for each that is ever started, as pods have.
            *started += 1;
            let id = format!("replica-{started}");
            scene.flink.start_task_manager(&id)?;
            ids.push(id);
        }
        Ok(())
    }

    /// Waits until the agent, if there is one, says that nothing is left to do.
    pub async fn in_step(&mut self, width: u32) -> Result<()> {
        if let Self::Agent(agent) = self {
            let done = |look: &Look| look.reason() == "in_step" && look.parallelism() == Some(u64::from(width));
            agent.wait(&format!("in step at {width}"), LIMIT, done).await?;
        }
        Ok(())
    }

    /// When the agent, if there is one, decided on what the stream asked for, by its own history.
    pub async fn decided_after(&self, asked: Timestamp) -> Result<Option<Timestamp>> {
        let Self::Agent(agent) = self else { return Ok(None) };
        let history = agent.api.history().await?;
        let started = |entry: &Value| -> Option<Timestamp> { entry.pointer("/change/started")?.as_str()?.parse().ok() };
        // It may have seen the stream change a moment before this program did.
        let since = asked - Duration::from_secs(2);
        let first = history.iter().filter_map(started).filter(|at| *at >= since).min();
        first.map(Some).context("the agent's history does not tell of the change")
    }

    /// Stops the agent; its TaskManagers end with the run.
    pub async fn stop(self) {
        if let Self::Agent(agent) = self {
            agent.stop().await;
        }
    }
}
