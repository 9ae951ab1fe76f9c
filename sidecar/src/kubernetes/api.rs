//! The connection, and the calls that are made over it, each within a time limit. What passes by
//! itself (overload, a connection cut) is tried again twice inside that limit; anything else is told,
//! and the control loop comes back to it at its next look.

use std::{path::PathBuf, sync::Mutex, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use http::Request;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
    core::{
        params::{GetParams, ListParams, Patch, PatchParams, PostParams},
        request,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::error::{KubernetesError, check_name};

/// What stands in `managedFields` beside what the agent set.
const FIELD_MANAGER: &str = "sluice";

/// How often a call is repeated.
const REPETITIONS: usize = 2;

/// The wait before the first repetition; it doubles, and is spread by chance.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// How to reach the cluster.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// The namespace; by default the one the agent runs in, or that of the kubeconfig's context.
    pub namespace: Option<String>,
    /// The kubeconfig to use instead of `KUBECONFIG`, `~/.kube/config` or the pod's own account.
    pub kubeconfig: Option<PathBuf>,
    /// How long one call may take, repetitions included.
    pub timeout: Duration,
}

/// A kind of namespaced object, as paths and RBAC rules name it.
#[derive(Clone, Copy, Debug)]
pub struct Resource {
    /// Empty for the core group.
    pub group: &'static str,
    /// The version of the group.
    pub version: &'static str,
    /// The name in paths and rules.
    pub plural: &'static str,
}

/// The API of one namespace.
#[derive(Clone, Debug)]
pub struct Api {
    client: DebugClient,
    namespace: String,
    timeout: Duration,
}

/// One call, for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
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
#[derive(Clone)]
struct DebugClient(Client);

impl std::fmt::Debug for DebugClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Api {
    /// Reads the configuration of the cluster's client. Nothing is asked of the cluster yet, so a
    /// cluster that is away is no reason not to start.
    pub async fn connect(options: &ConnectOptions) -> Result<Self, KubernetesError> {
        let mut config = config(options.kubeconfig.as_ref()).await?;
        config.connect_timeout = Some(options.timeout);
        config.default_retry = false; // It would go on far beyond any time limit.
        let client = Client::try_from(config).map_err(|error| KubernetesError::config(&error))?;
        Self::new(client, options)
    }

    pub(crate) fn new(client: Client, options: &ConnectOptions) -> Result<Self, KubernetesError> {
        let namespace = options.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
        check_name("--namespace", &namespace)?;
        Ok(Self { client: DebugClient(client), namespace, timeout: options.timeout })
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// How long one call may take, repetitions included.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The client beneath, for watches and Events.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.0.clone()
    }

    /// One object, or its subresource.
    pub async fn get<T: DeserializeOwned>(
        &self,
        resource: Resource,
        name: &str,
        subresource: Option<&'static str>,
        what: &str,
    ) -> Result<T, KubernetesError> {
        let at = self.path(resource);
        let request = match subresource {
            Some(subresource) => at.get_subresource(subresource, name),
            None => at.get(name, &GetParams::default()),
        };
        self.parsed(request, Call { verb: "get", resource, subresource, what }).await
    }

    /// All objects of one kind in the namespace.
    pub async fn list<T: DeserializeOwned>(&self, resource: Resource, what: &str) -> Result<T, KubernetesError> {
        let request = self.path(resource).list(&ListParams::default());
        self.parsed(request, Call { verb: "list", resource, subresource: None, what }).await
    }

    /// Makes an object that is not there yet.
    pub async fn create<T: Serialize>(
        &self,
        resource: Resource,
        object: &T,
        what: &str,
    ) -> Result<(), KubernetesError> {
        let call = Call { verb: "create", resource, subresource: None, what };
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let body = serde_json::to_vec(object).map_err(|error| KubernetesError::malformed(call, &error))?;
        self.text(self.path(resource).create(&params, body), call).await?;
        Ok(())
    }

    /// Writes a whole object, which carries the `resourceVersion` that it was read with: if somebody else
    /// has written it since, that is a [`KubernetesError::Conflict`]. Answers it as it is now.
    pub async fn replace<T: Serialize + DeserializeOwned>(
        &self,
        resource: Resource,
        name: &str,
        object: &T,
        what: &str,
    ) -> Result<T, KubernetesError> {
        let call = Call { verb: "update", resource, subresource: None, what };
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let body = serde_json::to_vec(object).map_err(|error| KubernetesError::malformed(call, &error))?;
        self.parsed(self.path(resource).replace(name, &params, body), call).await
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
    ) -> Result<(), KubernetesError> {
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
    ) -> Result<T, KubernetesError> {
        let text = self.text(request, call).await?;
        serde_json::from_str(&text).map_err(|error| KubernetesError::malformed(call, &error))
    }

    async fn text(
        &self,
        request: Result<Request<Vec<u8>>, request::Error>,
        call: Call<'_>,
    ) -> Result<String, KubernetesError> {
        let request = request.map_err(|error| KubernetesError::config(&error))?;
        // Told if the time is over while waiting to try again.
        let last = Mutex::new(None);
        let ask = || async {
            let answer = self.client.0.request_text(request.clone()).await;
            answer.map_err(|error| KubernetesError::from_answer(call, error))
        };
        let backoff =
            ExponentialBuilder::default().with_min_delay(FIRST_WAIT).with_max_times(REPETITIONS).with_jitter();
        let asking = ask
            .retry(backoff)
            .when(KubernetesError::passes_by_itself)
            // A server that says how long to stay away is obeyed: the loop comes back later.
            .adjust(|error, wait| wait.filter(|wait| error.retry_after().is_none_or(|asked| asked <= *wait)))
            .notify(|error, _| {
                if let Ok(mut last) = last.lock() {
                    *last = Some(error.to_string());
                }
            });
        match tokio::time::timeout(self.timeout, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(KubernetesError::timeout(call, self.timeout, last.into_inner().ok().flatten())),
        }
    }
}

async fn config(kubeconfig: Option<&PathBuf>) -> Result<Config, KubernetesError> {
    let Some(path) = kubeconfig else {
        return Config::infer().await.map_err(|error| KubernetesError::config(&error));
    };
    let file = Kubeconfig::read_from(path).map_err(|error| KubernetesError::config(&error))?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    config.map_err(|error| KubernetesError::config(&error))
}
