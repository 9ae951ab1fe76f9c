//! The second place where the history outlives the agent: a ConfigMap, for a pod without a volume. It holds
//! the same text as the file, cut to what a ConfigMap takes.

use std::{path::PathBuf, time::Duration};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, Config,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;
use thiserror::Error;

use crate::report::history_file::Kept;

/// The key of the text.
const KEY: &str = "history.jsonl";

/// The key of a text that could not be understood.
const BAD: &str = "history.bad";

/// A ConfigMap takes 1 MiB in all, and what was set aside stands beside.
const LONGEST: usize = 400 * 1024;

/// Which ConfigMap, and how to reach it.
#[derive(Clone, Debug)]
pub struct ConfigMapOptions {
    /// Its name.
    pub name: String,
    /// Its namespace; by default the one the agent runs in, or that of the kubeconfig's context.
    pub namespace: Option<String>,
    /// The kubeconfig to use instead of what the environment says.
    pub kubeconfig: Option<PathBuf>,
    /// How long one call may take.
    pub timeout: Duration,
}

/// The ConfigMap cannot be reached or written. The agent goes on without.
#[derive(Debug, Error)]
#[error("--history-config-map {name}: {problem}")]
pub struct ConfigMapError {
    name: String,
    problem: String,
}

/// The ConfigMap.
pub struct HistoryConfigMap {
    api: Api<ConfigMap>,
    name: String,
    timeout: Duration,
    /// A text that was found there and could not be understood, or was read too late to be gone on with.
    bad: Option<String>,
    /// What is there could not be read at the start: it is set aside before it would be written over.
    unread: bool,
}

impl std::fmt::Debug for HistoryConfigMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HistoryConfigMap").field("name", &self.name).finish_non_exhaustive()
    }
}

impl HistoryConfigMap {
    /// Reads what an earlier agent left. One that is not there, or cannot be read now, is no reason not to
    /// write to it later.
    pub async fn open(options: ConfigMapOptions) -> Result<(Self, Kept), ConfigMapError> {
        let ConfigMapOptions { name, namespace, kubeconfig, timeout } = options;
        let fail = |problem: String| ConfigMapError { name: name.clone(), problem };
        let mut config = match &kubeconfig {
            None => Config::infer().await.map_err(|error| fail(error.to_string()))?,
            Some(path) => {
                let file = Kubeconfig::read_from(path).map_err(|error| fail(error.to_string()))?;
                let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
                config.map_err(|error| fail(error.to_string()))?
            }
        };
        config.connect_timeout = Some(timeout);
        config.default_retry = false;
        let client = Client::try_from(config).map_err(|error| fail(error.to_string()))?;
        let api = match namespace {
            Some(namespace) => Api::namespaced(client, &namespace),
            None => Api::default_namespaced(client),
        };
        let mut place = Self { api, name, timeout, bad: None, unread: false };
        let kept = place.read().await;
        Ok((place, kept))
    }

    async fn text(&self) -> Result<Option<String>, ConfigMapError> {
        match tokio::time::timeout(self.timeout, self.api.get_opt(&self.name)).await {
            Ok(Ok(found)) => Ok(found.and_then(|mut found| found.data.as_mut()?.remove(KEY))),
            Ok(Err(error)) => Err(self.failed(told(&error))),
            Err(_) => Err(self.failed("no answer in time".into())),
        }
    }

    fn failed(&self, problem: String) -> ConfigMapError {
        ConfigMapError { name: self.name.clone(), problem }
    }

    async fn read(&mut self) -> Kept {
        let found = self.text().await;
        self.unread = found.is_err();
        let found = found.unwrap_or_else(|error| {
            tracing::warn!(config_map = self.name, %error, "the history cannot be read; starting without it");
            None
        });
        let Some(text) = found else { return Kept::default() };
        let (kept, damage) = Kept::from_text(&text);
        if let Some(damage) = damage {
            tracing::warn!(
                config_map = self.name, problem = %damage, set_aside = BAD,
                "the history cannot be understood, or not to its end; it is set aside"
            );
            self.bad = Some(text);
        }
        kept
    }

    /// Replaces the text, and creates the ConfigMap where there is none.
    pub async fn write(&mut self, kept: &Kept) -> Result<(), ConfigMapError> {
        if self.unread {
            self.bad = self.text().await?;
            self.unread = false;
        }
        let text = cut(kept).map_err(|error| self.failed(error.to_string()))?;
        let mut data = serde_json::Map::from_iter([(KEY.to_owned(), json!(text))]);
        if let Some(bad) = &self.bad {
            data.insert(BAD.to_owned(), json!(bad));
        }
        let write = async {
            let patch = json!({ "data": data });
            match self.api.patch_metadata(&self.name, &PatchParams::default(), &Patch::Merge(&patch)).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {
                    let name = Some(self.name.clone());
                    // As all that comes with the agent, so that it goes with it, too.
                    let labels = Some([("app.kubernetes.io/name".to_owned(), "sluice".to_owned())].into());
                    let data = data.iter().filter_map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned())));
                    let map = ConfigMap {
                        metadata: ObjectMeta { name, labels, ..ObjectMeta::default() },
                        data: Some(data.collect()),
                        ..ConfigMap::default()
                    };
                    self.api.create(&PostParams::default(), &map).await.map(|_| ())
                }
                other => other.map(|_| ()),
            }
        };
        match tokio::time::timeout(self.timeout, write).await {
            Ok(Ok(())) => {
                self.bad = None;
                Ok(())
            }
            Ok(Err(error)) => Err(self.failed(told(&error))),
            Err(_) => Err(self.failed("no answer in time".into())),
        }
    }
}

/// In the API server's own words, where it has answered: they name the right that is missing.
fn told(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// The text, without its oldest entries if it would be too long.
fn cut(kept: &Kept) -> serde_json::Result<String> {
    let mut kept = kept.clone();
    loop {
        let text = kept.to_text()?;
        if text.len() <= LONGEST || kept.entries.is_empty() {
            return Ok(text);
        }
        let first = kept.entries.len().div_ceil(4);
        kept.entries.drain(..first);
    }
}
