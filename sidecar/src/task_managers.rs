//! SEE and DO: the owner of the TaskManagers, which keeps as many of them running as it is asked
//! for. Either a local [`ProcessPool`] or a Kubernetes [`Deployment`]; the control loop knows only
//! [`Owner`]: it observes the pool, and carries out the step that sets the number of replicas.

use k8s_openapi::api::core::v1::ObjectReference;
use sluice_core::{Pool, Reading, TaskManagers};

pub mod deployment;
pub mod process_pool;

use crate::{
    clock,
    kubernetes::{Api, KubernetesError},
};

pub use deployment::{Deployment, DeploymentOptions};
pub use process_pool::{PoolError, ProcessPool, ProcessPoolOptions};

/// Who starts and stops TaskManagers.
#[derive(Debug)]
pub enum Owner {
    /// Child processes on this machine.
    Processes(ProcessPool),
    /// A Deployment, changed through its `scale` subresource.
    Deployment(Box<Deployment>),
}

impl Owner {
    /// How many TaskManagers are asked for, and which of them run: by name if that matters.
    pub async fn observe(&self, by_name: bool) -> Result<Reading<Pool>, OwnerError> {
        Ok(match self {
            Self::Processes(pool) => pool.observe().await.map(|value| Reading { at: clock::now(), value })?,
            Self::Deployment(deployment) => deployment.observe(by_name).await?,
        })
    }

    /// The Kubernetes API, if the TaskManagers are pods.
    #[must_use]
    pub fn kubernetes(&self) -> Option<&Api> {
        match self {
            Self::Processes(_) => None,
            Self::Deployment(deployment) => Some(deployment.api()),
        }
    }

    /// What a Kubernetes Event is about, once it has been seen.
    #[must_use]
    pub fn reference(&self) -> Option<ObjectReference> {
        match self {
            Self::Processes(_) => None,
            Self::Deployment(deployment) => deployment.reference(),
        }
    }

    /// Has these TaskManagers stopped before all others when the number is next lowered, or takes
    /// that back. A process pool is told with the number itself.
    pub async fn mark(&self, members: &[String], marked: bool) -> Result<(), OwnerError> {
        match self {
            Self::Processes(_) => {}
            Self::Deployment(deployment) => deployment.mark(members, marked).await?,
        }
        Ok(())
    }

    /// Asks for `replicas` TaskManagers; if that is fewer than now, those named in `stop` go first
    /// where the owner lets Sluice choose. Returns as soon as the wish is on record: the
    /// TaskManagers come and go afterwards. Asking again for the same changes nothing.
    pub async fn set_replicas(&self, replicas: TaskManagers, stop: &[String]) -> Result<(), OwnerError> {
        match self {
            Self::Processes(pool) => pool.set_replicas(replicas, stop).await?,
            Self::Deployment(deployment) => deployment.set_replicas(replicas).await?,
        }
        Ok(())
    }

    /// What it is, for people: `Deployment flink/taskmanager`, `process pool in /var/lib/sluice`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Processes(pool) => pool.describe(),
            Self::Deployment(deployment) => deployment.describe(),
        }
    }
}

/// Why the owner of the TaskManagers could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// The local process pool.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The Kubernetes Deployment.
    #[error(transparent)]
    Deployment(#[from] KubernetesError),
}

impl OwnerError {
    /// Every value that [`Self::kind`] can take, for labels that are set to zero at the start.
    pub const KINDS: [&str; 18] = [
        "command",
        "config",
        "conflict",
        "corrupt",
        "forbidden",
        "io",
        "locked",
        "malformed",
        "not_found",
        "read_only",
        "rejected",
        "server",
        "spawn",
        "still_running",
        "throttled",
        "timeout",
        "unauthorized",
        "unreachable",
    ];

    /// A short name for logs and labels, out of [`Self::KINDS`].
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Pool(error) => error.kind(),
            Self::Deployment(error) => error.kind(),
        }
    }
}
