//! The scenes on a real Kubernetes stand on these: the lab's cluster as a person reaches it ([`Cluster`],
//! [`Namespace`]), the agent in the JobManager's pod ([`PodAgent`]), and the [`Stage`]: one stream, one load
//! and one Flink with the agent, in real pods, that all scenes share.

mod agent;
mod cluster;
mod stage;

pub use agent::PodAgent;
pub use cluster::{Cluster, Namespace, NotHere};
pub use stage::{DEPLOYMENT, LONG, NODES, SAMPLE, Stage, until};
