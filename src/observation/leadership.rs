//! Which of several agents acts.

use serde::{Deserialize, Serialize};

/// Whether this agent is the one that may act. A `JobManager` that is highly available brings several
/// agents, and a Lease says which of them leads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Leadership {
    /// There is no Lease: this agent is taken to be the only one.
    #[default]
    Alone,
    /// This agent holds the Lease.
    Leader {
        /// The name that it holds it under.
        identity: String,
    },
    /// Another agent holds it.
    Follower {
        /// The name of that agent.
        leader: String,
    },
    /// It cannot be told, so nothing may be done.
    Unknown {
        /// What is wrong with the Lease, and how to mend it.
        problem: String,
    },
}

impl Leadership {
    /// Whether this agent may act.
    #[must_use]
    pub fn may_act(&self) -> bool {
        matches!(self, Self::Alone | Self::Leader { .. })
    }
}
