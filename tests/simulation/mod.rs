//! An agent in a simulated world, every decision of which is held against the invariants.

#![allow(dead_code, reason = "each test uses the part of the agent that it needs")]

#[allow(unused_imports, reason = "each test uses the part of the world that it needs")]
pub use sluice_core::simulation::{Faults, World};
use sluice_core::{Bounds, Memory, Parallelism, Policy, PolicyOptions, Step, Turn, invariants, turn};

/// An agent whose clock is the world's, looking once a second.
pub struct Agent {
    pub memory: Memory,
    pub policy: Policy,
    pub turns: Vec<Turn>,
}

impl Agent {
    pub fn new(options: PolicyOptions) -> Self {
        Self { memory: Memory::default(), policy: options.try_into().unwrap(), turns: Vec::new() }
    }

    /// One look, one decision, one step, one second. Every decision is held against the invariants.
    pub fn look(&mut self, world: &mut World) -> Turn {
        let turn = self.decide(world);
        if let Some(step) = &turn.step {
            if let Step::SetRequirements { bounds, .. } = step {
                assert_eq!(bounds["count"], Bounds { lower: Parallelism(1), upper: Parallelism(1) });
            }
            world.act(step, &self.memory);
        }
        world.advance(1);
        turn
    }

    /// All of a look but the step: what an agent that is killed at the worst moment leaves behind.
    pub fn decide(&mut self, world: &mut World) -> Turn {
        let seen = world.observe(&self.memory);
        let mut noted = self.memory.clone();
        noted.note(world.now(), &seen, &self.policy);
        let turn = turn(world.now(), &seen, &mut self.memory, &self.policy);
        if let Err(broken) = invariants::check(world.now(), &seen, &noted, &self.policy, &turn.decision) {
            panic!("{broken}: {} at {}\n{seen:#?}\n{noted:#?}", turn.decision, world.now());
        }
        if let (Some(step), Some(change)) = (&turn.step, &self.memory.change)
            && let Err(broken) = invariants::check_step(&seen, change, step)
        {
            panic!("{broken}: {step:?} at {}\n{seen:#?}\n{change:#?}", world.now());
        }
        self.turns.push(turn.clone());
        turn
    }

    pub fn run(&mut self, world: &mut World, seconds: u64) {
        for _ in 0..seconds {
            self.look(world);
        }
    }

    /// Killed and started again: only what was saved as JSON is left.
    pub fn restart(&mut self) {
        let saved = serde_json::to_string(&self.memory).unwrap();
        self.memory = serde_json::from_str(&saved).unwrap();
    }

    pub fn last_reason(&self) -> &'static str {
        self.turns.last().map_or("", |turn| turn.decision.reason())
    }
}
