//! The scenes on a real Kubernetes stand on these: the lab's cluster as a person reaches it ([`Cluster`],
//! [`Namespace`]), the agent in the JobManager's pod ([`PodAgent`]), and the [`Stage`]: one stream, one load
//! and one Flink with the agent, in real pods, that all scenes share. Beside them what Sluice replaces:
//! the pipeline of [`Prometheus`] and [`Adapter`], and Flink by the overlays without Sluice ([`Variant`]).

mod agent;
mod cluster;
mod pipeline;
mod stage;
mod variant;

pub use agent::PodAgent;
pub use cluster::{Cluster, JOB_MANAGER, Namespace, NotHere};
pub use pipeline::{Adapter, Prometheus};
pub use stage::{DEPLOYMENT, LONG, NODES, SAMPLE, Stage, until};
pub use variant::{VARIANT, Variant};
