//! The counts that the decision is made of, each its own type so that a slot is never taken for a
//! TaskManager.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! count {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

count! {
    /// Open segments of one Pravega stream, or of several taken together.
    Segments
}
count! {
    /// Subtasks that each data-parallel operator of a Flink job runs as.
    Parallelism
}
count! {
    /// Flink TaskManagers: processes, or pods (replicas of their Deployment).
    TaskManagers
}
count! {
    /// Task slots, on one TaskManager or on all of them.
    Slots
}

impl TaskManagers {
    /// The fewest TaskManagers of `slots` slots each that hold `parallelism` subtasks.
    #[must_use]
    pub fn holding(parallelism: Parallelism, slots: Slots) -> Self {
        Self(parallelism.0.div_ceil(slots.0.max(1)))
    }

    /// All slots of this many TaskManagers.
    #[must_use]
    pub fn slots(self, each: Slots) -> Slots {
        Slots(self.0.saturating_mul(each.0))
    }
}
