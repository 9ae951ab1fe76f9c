//! The pure core of Sluice: from what is observed to what is done next.
//!
//! One direction, one pass per turn:
//!
//! ```text
//! Observation ─► Memory::note ─► decide ─► Decision ─► next_step ─► Step
//! ```
//!
//! [`turn`] is the whole pass. Nothing here reads a clock, a socket or a file: time and readings
//! are arguments, and the same function drives the agent, `sluice plan`, the closed-loop tests
//! and the crash tests. [`simulation`] is the world of those tests and of `sluice simulate`, as pure.

mod change;
mod decide;
mod decision;
mod explain;
mod guards;
mod history;
pub mod invariants;
mod memory;
mod observation;
mod outcome;
mod overrides;
mod policy;
mod setup;
pub mod simulation;
mod step;
mod turn;
mod units;
mod width;

pub use change::{Asked, Change, Direction, Idle, Requirements, Savepoint, Strategy};
pub use decide::{decide, unknown, wanted};
pub use decision::{Decision, Hold, Source};
pub use explain::{Attention, Explanation, Guard};
pub use guards::cooling_until;
pub use history::History;
pub use memory::{Capacity, Contest, Edit, Memory, Replaced};
pub use observation::{
    Annotations, Bounds, Checkpoint, Checkpoints, Choice, Flink, FlinkVersion, Job, JobState, Leadership, Member,
    Observation, Operation, Pool, Reading, Registered, Rescale, Scheduler, Shortage, ShortageCause, Stream, StreamName,
    StreamShape, Vertex,
};
pub use outcome::{Cost, Ended, Failure, Outcome};
pub use overrides::in_force;
pub use policy::{Combine, Policy, PolicyError, PolicyOptions, Ratio};
pub use setup::{SetupProblem, setup_problems};
pub use step::{Step, Waiting, next_step};
pub use turn::{Turn, turn};
pub use units::{Parallelism, Segments, Slots, TaskManagers};
pub use width::{Limit, Wanted, Width};
