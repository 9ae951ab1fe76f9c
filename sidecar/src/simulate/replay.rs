//! One autoscaler in the simulated world, second by second, while the stream changes its segments as
//! the trace says.

use std::{collections::BTreeMap, mem};

use serde::Serialize;
use sluice_core::{
    Choice, Decision, FlinkVersion, Hold, Memory, Policy, Scheduler, Segments, TaskManagers,
    simulation::{Pace, Setup, World},
    turn,
};

use super::{
    hpa::Rules,
    pipeline::{Periods, Pipeline},
    score::{Counter, Need, Score},
};

/// Segments over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Segmented {
    /// From which second on there are how many; the first is second 0.
    pub points: Vec<(u64, u32)>,
    /// How many seconds it lasts.
    pub length: u64,
}

/// The cluster that every autoscaler finds.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The version of Flink.
    pub version: FlinkVersion,
    /// How Flink gives slots to the job. An HPA only makes sense with `Reactive`.
    pub scheduler: Scheduler,
    /// How long things take.
    pub pace: Pace,
}

/// Who decides.
#[derive(Clone, Debug)]
pub enum Autoscaler {
    /// The core of the agent, with this policy.
    Sluice(Box<Policy>),
    /// An HPA, or KEDA with the HPA that it makes.
    Hpa(Periods, Rules),
}

/// What a run led to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// The figures.
    pub score: Score,
    /// `[second, TaskManagers asked for, parallelism at which the job runs]`, whenever one of them
    /// changes.
    pub steps: Vec<(u64, u32, u32)>,
    /// How many seconds Sluice held for which reason, without being in step.
    pub held_seconds: BTreeMap<&'static str, u64>,
}

/// Lets `autoscaler` follow `stream`. `policy` says what is needed for how many segments.
#[must_use]
pub fn replay(stream: &Segmented, policy: &Policy, cluster: &Cluster, autoscaler: &Autoscaler) -> Outcome {
    let slots = policy.slots_per_task_manager();
    let need = |segments| {
        let parallelism = policy.ratio().of(Segments(segments));
        Need { parallelism: parallelism.0, task_managers: TaskManagers::holding(parallelism, slots).0 }
    };
    let first = stream.points.first().map_or(0, |(_, segments)| *segments);
    let mut driver = Driver::new(autoscaler, first);
    let bounds = driver.policy().unwrap_or(policy);
    let mut world = World::start(Setup {
        segments: first,
        task_managers: need(first).task_managers.clamp(bounds.min_task_managers().0, bounds.max_task_managers().0),
        slots: slots.0,
        version: cluster.version,
        scheduler: driver.scheduler(cluster),
        // Flink's own limit, so that no other bound bites than the policy's.
        max_parallelism: 1 << 15,
        pace: cluster.pace.clone(),
    });
    world.choice = Choice::ByMark;
    driver.warm_up(&mut world);

    let mut counter = Counter::new(&world);
    let mut steps: Vec<(u64, u32, u32)> = Vec::new();
    let mut points = stream.points.iter().peekable();
    for now in 0..stream.length {
        while let Some((_, segments)) = points.next_if(|(at, _)| *at <= now) {
            world.segments = *segments;
        }
        driver.second(now, &mut world);
        counter.second(now, need(world.segments), slots.0, &world);
        let shown = (world.replicas(), if world.is_running() { world.parallelism() } else { 0 });
        if steps.last().is_none_or(|(_, replicas, runs)| (*replicas, *runs) != shown) {
            steps.push((now, shown.0, shown.1));
        }
        world.advance(1);
    }
    Outcome { score: counter.finish(&world), steps, held_seconds: driver.held() }
}

/// An autoscaler at work.
enum Driver<'a> {
    Sluice(Box<Agent<'a>>),
    Hpa(Pipeline),
}

impl<'a> Driver<'a> {
    fn new(autoscaler: &'a Autoscaler, segments: u32) -> Self {
        match autoscaler {
            Autoscaler::Sluice(policy) => {
                let (memory, held) = (Memory::default(), BTreeMap::new());
                Self::Sluice(Box::new(Agent { policy, memory, held, asleep: 0, segments }))
            }
            Autoscaler::Hpa(periods, rules) => Self::Hpa(Pipeline::new(*periods, *rules, segments)),
        }
    }

    fn policy(&self) -> Option<&'a Policy> {
        match self {
            Self::Sluice(agent) => Some(agent.policy),
            Self::Hpa(_) => None,
        }
    }

    fn scheduler(&self, cluster: &Cluster) -> Scheduler {
        match self {
            Self::Sluice(_) => cluster.scheduler,
            Self::Hpa(_) => Scheduler::Reactive,
        }
    }

    /// An agent that has just started narrows nothing for a while, and first starts its spares: that is
    /// not what is asked about.
    fn warm_up(&mut self, world: &mut World) {
        if let Self::Sluice(agent) = self {
            let policy = agent.policy;
            let a_while = policy.scale_down_window() + policy.cooldown_up() + policy.cooldown_down();
            for _ in 0..a_while.as_secs() + 2 * world.pace.start + 60 {
                agent.second(world);
                world.advance(1);
            }
            agent.held.clear();
        }
    }

    fn held(&mut self) -> BTreeMap<&'static str, u64> {
        match self {
            Self::Sluice(agent) => mem::take(&mut agent.held),
            Self::Hpa(_) => BTreeMap::new(),
        }
    }

    fn second(&mut self, now: u64, world: &mut World) {
        match self {
            Self::Sluice(agent) => agent.second(world),
            Self::Hpa(pipeline) => {
                let current = world.replicas();
                let replicas = pipeline.second(now, world.segments, current);
                if replicas != current {
                    world.set_replicas(replicas, &[]);
                }
            }
        }
    }
}

/// The agent: what it does each second is [`turn`], as in the real one.
struct Agent<'a> {
    policy: &'a Policy,
    memory: Memory,
    held: BTreeMap<&'static str, u64>,
    /// Looks that are left out because nothing has happened since the last.
    asleep: u64,
    segments: u32,
}

impl Agent<'_> {
    fn second(&mut self, world: &mut World) {
        if self.segments == world.segments && self.asleep > 0 {
            self.asleep -= 1;
            world.ask_flink();
            return;
        }
        self.segments = world.segments;
        let seen = world.observe(&self.memory);
        let turn = turn(world.now(), &seen, &mut self.memory, self.policy);
        if let Some(step) = &turn.step {
            world.act(step, &self.memory);
        }
        self.asleep = match &turn.decision {
            // Nothing happens until the stream changes; but readings must not grow stale.
            Decision::Hold(Hold::InStep) => self.policy.staleness().as_secs() / 2,
            Decision::Hold(Hold::RescaleInFlight { .. }) => 0,
            Decision::Hold(hold) => {
                *self.held.entry(hold.as_str()).or_default() += 1;
                0
            }
            _ => 0,
        };
    }
}
