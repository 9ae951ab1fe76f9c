//! TaskManagers as the pods of a Kubernetes Deployment, changed through its `scale` subresource and
//! never as a whole object: the agent needs no right to change what runs in the pods.
//!
//! What is read: the Deployment and its pods, which are watched ([`crate::kubernetes::watched`]); and
//! now and then whether another autoscaler acts on it (`rivals.rs`). From the pods come the names that
//! the adaptive strategy needs (`pods.rs`), and why pods do not come (`shortage.rs`).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::{
    api::{apps::v1::Deployment as Object, core::v1 as core},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::{core::Selector, runtime::watcher};
use serde::Deserialize;
use serde_json::json;
use sluice_core::{Annotations, Choice, Pool, Reading, TaskManagers};
use tracing::warn;

use crate::kubernetes::{
    Api, ConnectOptions, KubernetesError,
    api::Resource,
    check_name,
    watched::{Subject, Watched},
};
use rivals::Rivals;

mod pods;
mod rivals;
mod shortage;
#[cfg(test)]
mod tests;

const DEPLOYMENTS: Resource = Resource { group: "apps", version: "v1", plural: "deployments" };

/// Which Deployment, and how to reach it.
#[derive(Clone, Debug)]
pub struct DeploymentOptions {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub cluster: ConnectOptions,
    /// A reading must be confirmed before it is so old.
    pub staleness: Duration,
}

/// A Deployment of TaskManagers.
pub struct Deployment {
    api: Api,
    name: String,
    /// A watch is begun anew so often.
    renew: Duration,
    watched: Watched<Object>,
    pods: Mutex<Option<Pods>>,
    /// The pods may not be listed, and that was said.
    said_hidden: Mutex<bool>,
    rivals: Rivals,
    /// What the last observation saw, on which the next step stands.
    seen: Mutex<Option<Seen>>,
}

/// The pods that a selector selects.
#[derive(Clone)]
struct Pods {
    selector: String,
    watched: Arc<Watched<core::Pod>>,
}

#[derive(Clone, Debug)]
struct Seen {
    resource_version: String,
    replicas: u32,
    reference: core::ObjectReference,
}

impl Deployment {
    /// Connects and begins to watch. A cluster that is away is no reason not to start.
    pub async fn connect(options: DeploymentOptions) -> Result<Self, KubernetesError> {
        let api = Api::connect(&options.cluster).await?;
        Self::new(api, options)
    }

    fn new(api: Api, options: DeploymentOptions) -> Result<Self, KubernetesError> {
        check_name("--deployment", &options.name)?;
        // Two may be lost before a reading is stale.
        let renew = options.staleness / 3;
        let subject = Subject {
            resource: DEPLOYMENTS,
            selected: watcher::Config::default().fields(&format!("metadata.name={}", options.name)),
            what: described(&api, &options.name),
            renew,
        };
        Ok(Self {
            watched: Watched::start(&api, subject),
            api,
            name: options.name,
            renew,
            pods: Mutex::default(),
            said_hidden: Mutex::default(),
            rivals: Rivals::default(),
            seen: Mutex::default(),
        })
    }

    /// How many TaskManagers are asked for, how many pods are Ready, and what keeps others away; with
    /// `by_name` also which pods these are, without which there is no answer then.
    pub async fn observe(&self, by_name: bool) -> Result<Reading<Pool>, KubernetesError> {
        let what = self.describe();
        let (deployments, other_autoscaler) =
            tokio::try_join!(self.watched.objects(), self.rivals.look(&self.api, &self.name, &what))?;
        let Reading { at, value: deployments } = deployments;
        let deployment = deployments.into_iter().next().ok_or_else(|| KubernetesError::missing(&what))?;
        let selector = deployment.spec.as_ref().map(|spec| spec.selector.clone()).unwrap_or_default();
        let pods = self.pods(selector).await;
        let seen = Seen::from(&deployment, &self.api, &self.name);
        let replicas = TaskManagers(seen.replicas);
        *lock(&self.seen) = Some(seen);

        let pods = match pods {
            Ok(pods) => Some(pods),
            Err(error) if by_name => return Err(error),
            Err(error @ KubernetesError::Forbidden { .. }) => {
                if !std::mem::replace(&mut *lock(&self.said_hidden), true) {
                    warn!(%error, "cannot see why TaskManagers do not come");
                }
                None
            }
            Err(_) => None,
        };
        // In reactive mode the pods only explain; a reading is as old as what is acted on.
        let at = pods.as_ref().filter(|_| by_name).map_or(at, |pods| pods.at.min(at));
        let pods = pods.as_ref().map(|pods| pods.value.as_slice());
        let status = deployment.status.clone().unwrap_or_default();
        let count = |n: Option<i32>| u32::try_from(n.unwrap_or(0)).unwrap_or(0);
        let generation = deployment.metadata.generation.unwrap_or(0);
        let pool = Pool {
            replicas,
            ready: TaskManagers(count(status.ready_replicas)),
            members: pods.filter(|_| by_name).map(pods::members),
            choice: Choice::ByMark,
            replacing: status.observed_generation.unwrap_or(0) < generation
                || count(status.updated_replicas) < count(status.replicas),
            other_autoscaler,
            shortage: shortage::shortage(&status, pods.unwrap_or_default()),
            annotations: annotations(deployment.metadata.annotations.as_ref()),
        };
        Ok(Reading { at, value: pool })
    }

    /// The Deployment's pods, watched from the first time on that its selector is known.
    async fn pods(&self, selector: LabelSelector) -> Result<Reading<Vec<Arc<core::Pod>>>, KubernetesError> {
        let selector = Selector::try_from(selector).map_err(|error| KubernetesError::config(&error))?.to_string();
        let pods = {
            let mut pods = lock(&self.pods);
            match pods.as_ref().filter(|known| known.selector == selector) {
                Some(known) => known.clone(),
                None => pods.insert(self.watch_pods(selector)).clone(),
            }
        };
        pods.watched.objects().await
    }

    fn watch_pods(&self, selector: String) -> Pods {
        let subject = Subject {
            resource: pods::PODS,
            selected: watcher::Config::default().labels(&selector),
            what: self.describe(),
            renew: self.renew,
        };
        Pods { selector, watched: Arc::new(Watched::start(&self.api, subject)) }
    }

    /// Makes the `ReplicaSet` stop these pods first, or takes that back.
    pub async fn mark(&self, pods: &[String], marked: bool) -> Result<(), KubernetesError> {
        pods::mark(&self.api, pods, marked, &self.describe()).await
    }

    /// Asks for `replicas` pods, if nobody has changed their number since it was last observed.
    pub async fn set_replicas(&self, replicas: TaskManagers) -> Result<(), KubernetesError> {
        let seen = lock(&self.seen).clone();
        let version = seen.as_ref().map(|seen| seen.resource_version.clone());
        match (self.patch_scale(replicas, version).await, seen) {
            // Anything may have been written meanwhile, such as the number of pods that are Ready.
            (Err(conflict @ KubernetesError::Conflict { .. }), Some(seen)) => {
                let now: Scale = self.api.get(DEPLOYMENTS, &self.name, Some("scale"), &self.describe()).await?;
                if now.spec.replicas != seen.replicas {
                    return Err(conflict);
                }
                self.patch_scale(replicas, Some(now.metadata.resource_version)).await
            }
            (result, _) => result,
        }
    }

    async fn patch_scale(&self, replicas: TaskManagers, version: Option<String>) -> Result<(), KubernetesError> {
        let mut patch = json!({ "spec": { "replicas": replicas } });
        if let Some(version) = version {
            patch["metadata"] = json!({ "resourceVersion": version });
        }
        self.api.patch(DEPLOYMENTS, &self.name, Some("scale"), &patch, &self.describe()).await
    }

    /// The cluster's API in the Deployment's namespace.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// What an Event is about. Without its uid, which is not known before the first observation,
    /// `kubectl describe` does not find the Event.
    #[must_use]
    pub fn reference(&self) -> Option<core::ObjectReference> {
        lock(&self.seen).as_ref().map(|seen| seen.reference.clone())
    }

    /// What it is, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        described(&self.api, &self.name)
    }
}

impl std::fmt::Debug for Deployment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.describe())
    }
}

impl Seen {
    fn from(deployment: &Object, api: &Api, name: &str) -> Self {
        let metadata = &deployment.metadata;
        // The API server fills in 1 when a Deployment leaves it out.
        let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        Self {
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
            replicas: u32::try_from(replicas).unwrap_or(0),
            reference: core::ObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: Some("Deployment".to_owned()),
                name: Some(name.to_owned()),
                namespace: Some(api.namespace().to_owned()),
                uid: metadata.uid.clone(),
                ..core::ObjectReference::default()
            },
        }
    }
}

fn described(api: &Api, name: &str) -> String {
    format!("Deployment {}/{name}", api.namespace())
}

fn annotations(found: Option<&BTreeMap<String, String>>) -> Annotations {
    let value = |name: &str| found.and_then(|found| found.get(name)).cloned();
    Annotations {
        paused: value(Annotations::PAUSED),
        min_task_managers: value(Annotations::MIN_TASK_MANAGERS),
        max_task_managers: value(Annotations::MAX_TASK_MANAGERS),
    }
}

fn lock<T>(place: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As much of a `Scale` as is looked at.
#[derive(Deserialize)]
struct Scale {
    metadata: ScaleMetadata,
    spec: ScaleSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScaleMetadata {
    resource_version: String,
}

/// Zero is written by leaving the field out.
#[derive(Deserialize)]
struct ScaleSpec {
    #[serde(default)]
    replicas: u32,
}
