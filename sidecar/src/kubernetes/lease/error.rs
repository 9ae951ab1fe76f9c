//! What can be wrong with the Lease, and how to mend it.

use crate::kubernetes::KubernetesError;

/// Why this agent may not act, or its memory could not be saved.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LeaseError {
    /// The agent never creates it: the right to create cannot be narrowed to one name.
    #[error(
        "{what} does not exist: apply the one that the manifests bring (an empty Lease of this name will do), name another \
         with --lease, or run one agent alone with --no-lease"
    )]
    Missing {
        /// Namespace and name.
        what: String,
    },
    /// It could not be read or written.
    #[error(transparent)]
    Kubernetes(KubernetesError),
    /// Another agent has taken it.
    #[error("{what} was taken by {leader}: this agent stops acting at once")]
    Taken {
        /// Namespace and name.
        what: String,
        /// The other agent.
        leader: String,
    },
    /// This agent does not hold it, or too little is left of its term to begin anything.
    #[error("{what} is not held for long enough to do anything now: {why}")]
    NotHeld {
        /// Namespace and name.
        what: String,
        /// What it last said.
        why: String,
    },
    /// The state does not fit into an annotation.
    #[error("{what}: the state has grown to {bytes} bytes, and an annotation holds {limit}")]
    TooLarge {
        /// Namespace and name.
        what: String,
        /// Its size.
        bytes: usize,
        /// The most there may be.
        limit: usize,
    },
}

impl LeaseError {
    /// Every value that [`Self::kind`] can take.
    pub const KINDS: [&str; 13] = [
        "config",
        "conflict",
        "forbidden",
        "malformed",
        "missing",
        "not_held",
        "rejected",
        "server",
        "taken",
        "throttled",
        "timeout",
        "too_large",
        "unreachable",
    ];

    /// A short name for logs and labels, out of [`Self::KINDS`].
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Kubernetes(KubernetesError::Unauthorized { .. }) => "forbidden",
            Self::Kubernetes(error) => error.kind(),
            Self::Taken { .. } => "taken",
            Self::NotHeld { .. } => "not_held",
            Self::TooLarge { .. } => "too_large",
        }
    }
}
