//! TaskManagers as the pods of a Kubernetes Deployment, changed through its `scale` subresource and
//! never as a whole object: the agent needs no right to change what runs in the pods.
//!
//! What is read: the Deployment at every observation, its pods where it matters which of them go
//! (`pods.rs`), and now and then whether another autoscaler acts on it (`rivals.rs`). Every call has a time limit within which it may be repeated
//! (`api.rs`).

use std::{path::PathBuf, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde::Deserialize;
use serde_json::json;
use sluice_core::{Choice, Pool, TaskManagers};

use api::{Api, Resource};
use rivals::Rivals;

mod api;
mod error;
mod pods;
mod rivals;
#[cfg(test)]
mod tests;

pub use error::DeploymentError;

/// What stands in `managedFields` beside the replicas.
const FIELD_MANAGER: &str = "sluice";

const DEPLOYMENTS: Resource = Resource { group: "apps", version: "v1", plural: "deployments" };

/// Which Deployment, and how to reach it.
#[derive(Clone, Debug)]
pub struct DeploymentOptions {
    /// Its name.
    pub name: String,
    /// Its namespace; by default the one the agent runs in, or that of the kubeconfig's context.
    pub namespace: Option<String>,
    /// The kubeconfig to use instead of `KUBECONFIG`, `~/.kube/config` or the pod's own account.
    pub kubeconfig: Option<PathBuf>,
    /// How long one call may take, repetitions included.
    pub timeout: Duration,
}

/// A Deployment of TaskManagers.
#[derive(Debug)]
pub struct Deployment {
    api: Api,
    name: String,
    rivals: Rivals,
}

impl Deployment {
    /// Reads the configuration of the cluster's client. Nothing is asked of the cluster yet, so a
    /// cluster that is away is no reason not to start.
    pub async fn connect(options: DeploymentOptions) -> Result<Self, DeploymentError> {
        let mut config = config(options.kubeconfig.as_ref()).await?;
        config.connect_timeout = Some(options.timeout);
        config.default_retry = false; // It would go on far beyond any time limit.
        let client = Client::try_from(config).map_err(|error| DeploymentError::config(&error))?;
        Self::new(client, options)
    }

    fn new(client: Client, options: DeploymentOptions) -> Result<Self, DeploymentError> {
        let namespace = options.namespace.unwrap_or_else(|| client.default_namespace().to_owned());
        error::check_name("--deployment", &options.name)?;
        error::check_name("--namespace", &namespace)?;
        let api = Api::new(client, namespace, options.timeout);
        Ok(Self { api, name: options.name, rivals: Rivals::default() })
    }

    /// How many TaskManagers are asked for and how many pods are Ready; with `by_name` also which
    /// pods these are, which takes the right to list them.
    pub async fn observe(&self, by_name: bool) -> Result<Pool, DeploymentError> {
        let what = self.describe();
        let (Seen { metadata, spec, status }, other_autoscaler) = tokio::try_join!(
            self.api.get::<Seen>(DEPLOYMENTS, &self.name, &what),
            self.rivals.look(&self.api, &self.name, &what),
        )?;
        let members = if by_name { Some(pods::members(&self.api, spec.selector, &what).await?) } else { None };
        Ok(Pool {
            replicas: TaskManagers(spec.replicas),
            ready: TaskManagers(status.ready_replicas),
            members,
            choice: Choice::ByMark,
            replacing: status.observed_generation < metadata.generation || status.updated_replicas < status.replicas,
            other_autoscaler,
        })
    }

    /// Makes the `ReplicaSet` stop these pods first, or takes that back.
    pub async fn mark(&self, pods: &[String], marked: bool) -> Result<(), DeploymentError> {
        pods::mark(&self.api, pods, marked, &self.describe()).await
    }

    /// Asks for `replicas` pods.
    pub async fn set_replicas(&self, replicas: TaskManagers) -> Result<(), DeploymentError> {
        let patch = json!({ "spec": { "replicas": replicas } });
        self.api.patch(DEPLOYMENTS, &self.name, Some("scale"), &patch, &self.describe()).await
    }

    /// What it is, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("Deployment {}/{}", self.api.namespace(), self.name)
    }
}

async fn config(kubeconfig: Option<&PathBuf>) -> Result<Config, DeploymentError> {
    let Some(path) = kubeconfig else {
        return Config::infer().await.map_err(|error| DeploymentError::config(&error));
    };
    let file = Kubeconfig::read_from(path).map_err(|error| DeploymentError::config(&error))?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    config.map_err(|error| DeploymentError::config(&error))
}

/// As much of a Deployment as is looked at.
#[derive(Deserialize)]
struct Seen {
    #[serde(default)]
    metadata: SeenMetadata,
    spec: SeenSpec,
    #[serde(default)]
    status: SeenStatus,
}

/// The API server fills in `replicas` when a Deployment leaves it out, so that a reply without it
/// is no reply about a Deployment.
#[derive(Deserialize)]
struct SeenSpec {
    replicas: u32,
    #[serde(default)]
    selector: LabelSelector,
}

#[derive(Default, Deserialize)]
struct SeenMetadata {
    /// Rises with every change of the specification.
    #[serde(default)]
    generation: i64,
}

/// Zero pods Ready is written by leaving the field out.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SeenStatus {
    #[serde(default)]
    ready_replicas: u32,
    #[serde(default)]
    replicas: u32,
    /// Fewer than `replicas` while pods of an older template are there.
    #[serde(default)]
    updated_replicas: u32,
    #[serde(default)]
    observed_generation: i64,
}
