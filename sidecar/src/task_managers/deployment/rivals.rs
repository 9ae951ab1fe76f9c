//! Another autoscaler on the same Deployment would undo what Sluice does, and the other way round.
//! It is looked for now and then, because one rarely appears: a `HorizontalPodAutoscaler`, or a KEDA
//! `ScaledObject`, which makes one itself and is named in its place.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::Deserialize;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::kubernetes::{
    KubernetesError,
    api::{Api, Resource},
};

const SCALED_OBJECTS: Resource = Resource { group: "keda.sh", version: "v1alpha1", plural: "scaledobjects" };
const AUTOSCALERS: Resource = Resource { group: "autoscaling", version: "v2", plural: "horizontalpodautoscalers" };

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(30);

/// What was found, and when.
#[derive(Debug, Default)]
pub(super) struct Rivals(Mutex<Found>);

#[derive(Debug, Default)]
struct Found {
    /// When the last look succeeded; `None` if none ever has.
    at: Option<Instant>,
    /// `Kind/name`.
    rival: Option<String>,
    /// It was said that the API may not be asked.
    said_forbidden: bool,
}

impl Rivals {
    /// The other autoscaler of the Deployment, as far as it can be known. A look that fails leaves
    /// what the one before it found; if there was none, it is unknown, which is an error.
    pub async fn look(&self, api: &Api, deployment: &str, what: &str) -> Result<Option<String>, KubernetesError> {
        let now = Instant::now();
        let known = {
            let found = self.found();
            found.at.map(|at| (now.duration_since(at) < EVERY, found.rival.clone()))
        };
        if let Some((true, rival)) = known {
            return Ok(rival);
        }
        let (scaled_objects, autoscalers) = tokio::join!(
            self.target_of(api, SCALED_OBJECTS, "ScaledObject", deployment, what),
            self.target_of(api, AUTOSCALERS, "HorizontalPodAutoscaler", deployment, what),
        );
        let looked = scaled_objects.and_then(|scaled_object| Ok(scaled_object.or(autoscalers?)));
        match (looked, known) {
            (Ok(rival), _) => {
                let mut found = self.found();
                found.at = Some(now);
                found.rival.clone_from(&rival);
                Ok(rival)
            }
            (Err(error), Some((_, before))) => {
                debug!(%error, "cannot look for other autoscalers");
                Ok(before)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// The first object of a kind that scales the Deployment.
    async fn target_of(
        &self,
        api: &Api,
        resource: Resource,
        kind: &str,
        deployment: &str,
        what: &str,
    ) -> Result<Option<String>, KubernetesError> {
        match api.list::<List>(resource, what).await {
            Ok(list) => {
                let rival = list.items.into_iter().find(|item| item.spec.scale_target_ref.is_deployment(deployment));
                Ok(rival.map(|item| format!("{kind}/{}", item.metadata.name)))
            }
            // The cluster has no such API, so nothing of the kind acts there.
            Err(KubernetesError::NotFound { .. }) => Ok(None),
            // An agent that may not look must still work; a person has to know that it cannot see.
            Err(error @ KubernetesError::Forbidden { .. }) => {
                if !std::mem::replace(&mut self.found().said_forbidden, true) {
                    warn!(%error, "cannot check that no other autoscaler acts on the Deployment");
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As much of a list of either kind as is looked at.
#[derive(Deserialize)]
struct List {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    scale_target_ref: Target,
}

/// A `ScaledObject` may leave the kind out and then means a Deployment.
#[derive(Deserialize)]
struct Target {
    #[serde(default)]
    kind: Option<String>,
    name: String,
}

impl Target {
    fn is_deployment(&self, name: &str) -> bool {
        self.kind.as_deref().is_none_or(|kind| kind == "Deployment") && self.name == name
    }
}
