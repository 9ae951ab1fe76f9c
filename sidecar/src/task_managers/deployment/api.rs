//! The calls that are made to the Kubernetes API, each within a time limit. What passes by
//! itself (overload, a connection cut) is tried again twice inside that limit; anything else is told,
//! and the control loop comes back to it a second later.

use std::{sync::Mutex, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use http::Request;
use kube::{
    Client,
    core::{
        params::{GetParams, ListParams, Patch, PatchParams},
        request,
    },
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{FIELD_MANAGER, error::DeploymentError};

/// How often a call is repeated.
const REPETITIONS: usize = 2;

/// The wait before the first repetition; it doubles, and is spread by chance.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// A kind of namespaced object, as paths and RBAC rules name it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resource {
    pub group: &'static str,
    pub version: &'static str,
    pub plural: &'static str,
}

/// The API of one namespace.
#[derive(Debug)]
pub(super) struct Api {
    client: DebugClient,
    namespace: String,
    timeout: Duration,
}

/// One call, for messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    /// The RBAC verb.
    pub verb: &'static str,
    /// Which kind of object.
    pub resource: Resource,
    /// `scale`, if not the object itself.
    pub subresource: Option<&'static str>,
    /// Whose sake it is for, such as `Deployment flink/taskmanager`.
    pub what: &'a str,
}

/// The client has no `Debug` of its own, and nothing to show.
struct DebugClient(Client);

impl std::fmt::Debug for DebugClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Api {
    pub fn new(client: Client, namespace: String, timeout: Duration) -> Self {
        Self { client: DebugClient(client), namespace, timeout }
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// One object.
    pub async fn get<T: DeserializeOwned>(
        &self,
        resource: Resource,
        name: &str,
        what: &str,
    ) -> Result<T, DeploymentError> {
        let request = self.path(resource).get(name, &GetParams::default());
        self.parsed(request, Call { verb: "get", resource, subresource: None, what }).await
    }

    /// All objects of one kind in the namespace.
    pub async fn list<T: DeserializeOwned>(&self, resource: Resource, what: &str) -> Result<T, DeploymentError> {
        let request = self.path(resource).list(&ListParams::default());
        self.parsed(request, Call { verb: "list", resource, subresource: None, what }).await
    }

    /// Those of one kind in the namespace that a label selector selects.
    pub async fn list_selected<T: DeserializeOwned>(
        &self,
        resource: Resource,
        selector: &str,
        what: &str,
    ) -> Result<T, DeploymentError> {
        let request = self.path(resource).list(&ListParams::default().labels(selector));
        self.parsed(request, Call { verb: "list", resource, subresource: None, what }).await
    }

    /// A merge patch of an object, or of its subresource. What the server answers is not looked at: the next
    /// observation shows what became of it.
    pub async fn patch(
        &self,
        resource: Resource,
        name: &str,
        subresource: Option<&'static str>,
        patch: &Value,
        what: &str,
    ) -> Result<(), DeploymentError> {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let (at, merge) = (self.path(resource), Patch::Merge(patch));
        let request = match subresource {
            Some(subresource) => at.patch_subresource(subresource, name, &params, &merge),
            None => at.patch(name, &params, &merge),
        };
        self.text(request, Call { verb: "patch", resource, subresource, what }).await?;
        Ok(())
    }

    fn path(&self, Resource { group, version, plural }: Resource) -> request::Request {
        let group = if group.is_empty() { "api".to_owned() } else { format!("apis/{group}") };
        request::Request::new(format!("/{group}/{version}/namespaces/{}/{plural}", self.namespace))
    }

    async fn parsed<T: DeserializeOwned>(
        &self,
        request: Result<Request<Vec<u8>>, request::Error>,
        call: Call<'_>,
    ) -> Result<T, DeploymentError> {
        let text = self.text(request, call).await?;
        serde_json::from_str(&text).map_err(|error| DeploymentError::malformed(call, &error))
    }

    async fn text(
        &self,
        request: Result<Request<Vec<u8>>, request::Error>,
        call: Call<'_>,
    ) -> Result<String, DeploymentError> {
        let request = request.map_err(|error| DeploymentError::config(&error))?;
        // Told if the time is over while waiting to try again.
        let last = Mutex::new(None);
        let ask = || async {
            let answer = self.client.0.request_text(request.clone()).await;
            answer.map_err(|error| DeploymentError::from_answer(call, error))
        };
        let backoff =
            ExponentialBuilder::default().with_min_delay(FIRST_WAIT).with_max_times(REPETITIONS).with_jitter();
        let asking = ask
            .retry(backoff)
            .when(DeploymentError::passes_by_itself)
            // A server that says how long to stay away is obeyed: the loop comes back later.
            .adjust(|error, wait| wait.filter(|wait| error.retry_after().is_none_or(|asked| asked <= *wait)))
            .notify(|error, _| {
                if let Ok(mut last) = last.lock() {
                    *last = Some(error.to_string());
                }
            });
        match tokio::time::timeout(self.timeout, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(DeploymentError::timeout(call, self.timeout, last.into_inner().ok().flatten())),
        }
    }
}
